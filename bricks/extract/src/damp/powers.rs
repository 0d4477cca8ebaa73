//! From gaps to decay factors.

use super::{LAMBDAS, QUICKER, Quick, SLOWEST};
use crate::math::{Pow2, pow2};
use crate::vector::Vector;

/// Gaps in seconds below which every exponent is within the range of [`Pow2::of`].
const SHORT: f64 = 147.0;
const _: () = assert!(SHORT * LAMBDAS[0] < 738.0);

/// Evaluates factors 2^(-λ·gap) with the bits of the reference's `pow(2, y)`.
#[derive(Clone, Debug)]
pub(crate) struct Powers {
    /// The quicker rates as exponents of two.
    quicker: Quick,
    /// The slowest one, four times.
    slowest: Quick,
    power: Pow2,
}

impl Powers {
    /// For the rates [`LAMBDAS`].
    pub(crate) fn new() -> Self {
        let [a, b, c, d, slow] = LAMBDAS.map(|rate| -rate);
        Self { quicker: [a, b, c, d], slowest: [slow; QUICKER], power: Pow2::new() }
    }

    /// Turns four gaps into their factors: `quick` gives where those of a gap at the quicker rates go, `slow` are the gaps
    /// and then their factors at the slowest rate.
    #[inline(always)]
    pub(crate) fn evaluate<V: Vector>(&self, quick: [&mut Quick; QUICKER], slow: &mut Quick) {
        let gaps = V::load(slow);
        if gaps.reaches(SHORT) {
            exponentials(quick, slow);
        } else {
            for (gap, quick) in slow.iter().zip(quick) {
                self.power.of(V::load(&self.quicker) * V::splat(*gap)).store(quick);
            }
            self.power.of(gaps * V::load(&self.slowest)).store(slow);
        }
    }
}

/// [`Powers::evaluate`], whatever the gaps.
#[cold]
#[inline(never)]
fn exponentials(quick: [&mut Quick; QUICKER], slow: &mut Quick) {
    for (quick, gap) in quick.into_iter().zip(slow) {
        for (factor, rate) in quick.iter_mut().zip(LAMBDAS) {
            *factor = pow2(-rate * *gap);
        }
        *gap = pow2(-LAMBDAS[SLOWEST] * *gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Work, dispatch};
    use proptest::prelude::*;

    /// The factors of four gaps.
    struct Factors<'a> {
        powers: &'a Powers,
        gaps: Quick,
        results: &'a mut Vec<f64>,
    }

    impl Work for Factors<'_> {
        fn run<V: Vector>(self) {
            let (mut slow, mut quick) = (self.gaps, [[0.0; QUICKER]; QUICKER]);
            self.powers.evaluate::<V>(quick.each_mut(), &mut slow);
            self.results.extend(quick.as_flattened());
            self.results.extend(slow);
        }
    }

    fn gap() -> impl Strategy<Value = f64> {
        prop_oneof![4 => 0.0..1.0, 4 => 0.0..150.0, 2 => 0.0..2e3, 1 => 0.0..2e9, 1 => Just(0.0)]
    }

    proptest! {
        #[test]
        fn factors_are_those_of_the_plain_functions(gaps in prop::array::uniform4(gap())) {
            let mut results = Vec::new();
            dispatch(Factors { powers: &Powers::new(), gaps, results: &mut results });
            let one = |gap: f64, rate: f64| pow2(-rate * gap);
            let (quick, slow) = LAMBDAS.split_at(SLOWEST);
            let quick = gaps.iter().flat_map(|gap| quick.iter().map(|rate| one(*gap, *rate)));
            let expected: Vec<f64> = quick.chain(gaps.iter().map(|gap| one(*gap, slow[0]))).collect();
            prop_assert_eq!(results, expected);
        }
    }
}
