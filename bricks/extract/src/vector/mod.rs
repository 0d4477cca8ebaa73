//! Four numbers side by side: in a register where the processor has AVX2, else wherever the compiler puts them.
//!
//! Every operation rounds once, as IEEE 754 says, so that both give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use crate::damp::Quick;
pub(crate) use portable::Portable;
use std::ops::{Add, Div, Mul, Sub};

/// Four numbers. Every operation is on each of them.
pub(crate) trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Name of the instruction set.
    const NAME: &'static str;

    /// From memory.
    fn load(from: &Quick) -> Self;

    /// To memory.
    fn store(self, to: &mut Quick);

    /// The first three to memory.
    fn store_three(self, to: &mut [f64; 3]);

    /// The same number four times.
    fn splat(x: f64) -> Self;

    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// `self * a - b`, rounded once.
    fn mul_sub(self, a: Self, b: Self) -> Self;

    /// The first two numbers.
    fn first_two(self) -> [f64; 2];

    /// Square root.
    fn sqrt(self) -> Self;

    /// Without its sign.
    fn abs(self) -> Self;

    /// The first three numbers of this one, and the fourth of `other`.
    fn with_fourth(self, other: Self) -> Self;

    /// The first two numbers of this one, and behind them the first two of `other`.
    fn join(self, other: Self) -> Self;

    /// The last two numbers, then the first two.
    fn swap(self) -> Self;

    /// These numbers where those of `other` are at least `least`, else 0.
    fn where_at_least(self, other: Self, least: f64) -> Self;

    /// These numbers where those of `other` are not 0, else 0.
    fn where_not_zero(self, other: Self) -> Self;

    /// Whether a number is as far from 0 as `limit`, or NaN.
    fn reaches(self, limit: f64) -> bool;

    /// Looks up the rows of a table by the low bits of these numbers. The second word of a row becomes a number when those
    /// bits, shifted by `shift`, have been added to it.
    fn look_up(self, table: &[[u64; 2]; 128], shift: Shift) -> [Self; 2];

    /// Rows to columns.
    fn transpose(rows: [Self; 4]) -> [Self; 4];
}

/// By how many bits [`Vector::look_up`] shifts.
pub(crate) type Shift = u32;

/// Work that is done on vectors.
pub(crate) trait Work {
    /// Does it.
    fn run<V: Vector>(self);
}

/// Does work on the widest vectors that the processor has.
#[inline]
pub(crate) fn dispatch(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    let work = match avx2::run(work) {
        Ok(()) => return,
        Err(work) => work,
    };
    work.run::<Portable>();
}

/// Name of the instruction set that [`dispatch`] chooses.
pub(crate) fn name() -> &'static str {
    let mut name = Portable::NAME;
    dispatch(Name(&mut name));
    name
}

struct Name<'a>(&'a mut &'static str);

impl Work for Name<'_> {
    fn run<V: Vector>(self) {
        *self.0 = V::NAME;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every operation on three vectors, one result after the other.
    struct Everything<'a> {
        operands: [Quick; 4],
        results: &'a mut Vec<Quick>,
    }

    impl Work for Everything<'_> {
        fn run<V: Vector>(self) {
            let [a, b, c, d] = self.operands.map(|x| V::load(&x));
            let mut put = |v: V| {
                let (mut all, mut three) = ([0.0; 4], [0.0; 3]);
                v.store(&mut all);
                v.store_three(&mut three);
                assert_eq!(all[..3].iter().map(|x| x.to_bits()).collect::<Vec<_>>(), three.map(f64::to_bits));
                self.results.push(all);
            };
            [a + b, a - b, a * b, a / b, a.abs(), a.abs().sqrt()].into_iter().for_each(&mut put);
            [a.with_fourth(b), a.join(b), a.swap(), V::splat(1.5)].into_iter().for_each(&mut put);
            [a.mul_add(b, c), a.mul_sub(b, c)].into_iter().for_each(&mut put);
            a.look_up(&std::array::from_fn(|row| [row as u64, !row as u64]), 45)
                .into_iter()
                .for_each(&mut put);
            put(V::splat(f64::from(u8::from(a.reaches(5.0)))));
            let [first, second] = a.first_two();
            [V::splat(first), V::splat(second)].into_iter().for_each(&mut put);
            [a.where_at_least(b, 0.25), a.where_not_zero(b * V::splat(0.0)), a.where_not_zero(b)]
                .into_iter()
                .for_each(&mut put);
            V::transpose([a, b, c, d]).into_iter().for_each(&mut put);
        }
    }

    proptest! {
        #[test]
        fn registers_and_arrays_give_the_same_bits(
            operands in prop::array::uniform4(prop::array::uniform4(prop_oneof![Just(0.0), -1e3..1e3f64, any::<f64>()])),
        ) {
            let (mut portable, mut widest) = (Vec::new(), Vec::new());
            Everything { operands, results: &mut portable }.run::<Portable>();
            dispatch(Everything { operands, results: &mut widest });
            let bits = |results: Vec<Quick>| -> Vec<_> {
                let canonical = |x: f64| if x.is_nan() { f64::NAN } else { x };
                results.into_iter().map(|v| v.map(|x| canonical(x).to_bits())).collect()
            };
            prop_assert_eq!(bits(portable), bits(widest));
        }
    }
}
