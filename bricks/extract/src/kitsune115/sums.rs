//! Damped sums of a stream, at every rate (kitsune-115.md §3).

use crate::damp::{Damp, Quick, RATES};
use crate::state::{self, Reader, StateError};
use crate::vector::Vector;

/// Weights, sums and sums of squares of a stream.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(32))]
pub(crate) struct Sums {
    /// At the quicker rates, a vector of each.
    quick: [Quick; 3],
    /// At the slowest rate, and a number of the owner's that neither decays nor grows.
    slow: [f64; 4],
}

/// [`Sums`] in vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded<V> {
    pub(crate) weights: V,
    pub(crate) sums: V,
    pub(crate) squares: V,
    /// Weight, sum and sum of squares at the slowest rate, and the owner's number.
    pub(crate) slow: V,
}

/// What a value adds to sums, at every rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addend<V> {
    pub(crate) value: V,
    square: V,
    /// To those at the slowest rate; nothing to the owner's number, which is never -0.
    slow: V,
}

impl<V: Vector> Addend<V> {
    /// That of a finite value.
    #[inline(always)]
    pub(crate) fn of(value: f64) -> Self {
        let [value, square] = [V::splat(value), V::splat(value * value)];
        let [one, second, third] = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let slow = square.mul_add(V::load(&third), value.mul_add(V::load(&second), V::load(&one)));
        Self { value, square, slow }
    }
}

impl Sums {
    /// The sums of one value, and the owner's number.
    pub(crate) fn first(value: f64, spare: f64) -> Self {
        let square = value * value;
        Self { quick: [[1.0; 4], [value; 4], [square; 4]], slow: [1.0, value, square, spare] }
    }

    #[inline(always)]
    pub(crate) fn load<V: Vector>(&self) -> Loaded<V> {
        let [weights, sums, squares] = &self.quick;
        Loaded {
            weights: V::load(weights),
            sums: V::load(sums),
            squares: V::load(squares),
            slow: V::load(&self.slow),
        }
    }

    #[inline(always)]
    pub(crate) fn store<V: Vector>(&mut self, sums: &Loaded<V>) {
        let [a, b, c] = &mut self.quick;
        sums.weights.store(a);
        sums.sums.store(b);
        sums.squares.store(c);
        sums.slow.store(&mut self.slow);
    }

    /// Multiplies by the decay factors.
    #[inline(always)]
    pub(crate) fn decay<V: Vector>(&mut self, damp: &Damp) -> Loaded<V> {
        let sums = self.load::<V>().decayed(damp);
        self.store(&sums);
        sums
    }

    /// Decays, then adds a value.
    #[inline(always)]
    pub(crate) fn insert<V: Vector>(&mut self, damp: &Damp, value: &Addend<V>) -> Loaded<V> {
        let sums = self.load::<V>().decayed(damp).plus(value);
        self.store(&sums);
        sums
    }

    /// The owner's number.
    #[inline(always)]
    pub(crate) fn spare(&self) -> f64 {
        self.slow[3]
    }

    /// The owner's number.
    #[inline(always)]
    pub(crate) fn set_spare(&mut self, number: f64) {
        self.slow[3] = number;
    }

    /// The weight at the slowest rate.
    pub(crate) fn slowest(&self) -> f64 {
        self.slow[0]
    }

    /// Appends weights, sums and sums of squares, [`RATES`] of each.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (quick, slow) in self.quick.iter().zip(self.slow) {
            state::put(out, quick);
            state::put(out, &[slow]);
        }
    }

    /// Reads what [`write`](Self::write) wrote; the owner's number is 0.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut sums = Self::default();
        for (quick, slow) in sums.quick.iter_mut().zip(&mut sums.slow) {
            (*quick, *slow) = read_rates(reader)?;
        }
        Ok(sums)
    }
}

impl<V: Vector> Loaded<V> {
    /// Nothing.
    #[inline(always)]
    pub(crate) fn nothing() -> Self {
        let zero = V::splat(0.0);
        Self { weights: zero, sums: zero, squares: zero, slow: zero }
    }

    /// The sums of one value.
    #[inline(always)]
    pub(crate) fn first(value: &Addend<V>) -> Self {
        Self::nothing().plus(value)
    }

    /// The mean at the slowest rate.
    #[inline(always)]
    pub(crate) fn slow_mean(&self) -> f64 {
        let [weight, sum] = self.slow.first_two();
        sum / weight
    }

    /// With another number of the owner's.
    #[inline(always)]
    pub(crate) fn with_spare(self, number: f64) -> Self {
        Self { slow: self.slow.with_fourth(V::splat(number)), ..self }
    }

    /// Times the decay factors.
    #[inline(always)]
    pub(crate) fn decayed(self, damp: &Damp) -> Self {
        let (quick, slow) = (V::load(&damp.quick), V::load(&damp.slow));
        Self {
            weights: self.weights * quick,
            sums: self.sums * quick,
            squares: self.squares * quick,
            slow: self.slow * slow,
        }
    }

    /// With another value.
    #[inline(always)]
    pub(crate) fn plus(self, value: &Addend<V>) -> Self {
        Self {
            weights: self.weights + V::splat(1.0),
            sums: self.sums + value.value,
            squares: self.squares + value.square,
            slow: self.slow + value.slow,
        }
    }
}

/// A number per rate: those of the quicker ones, and that of the slowest.
pub(crate) fn read_rates(reader: &mut Reader<'_>) -> Result<(Quick, f64), StateError> {
    let [a, b, c, d, slow] = reader.numbers::<RATES>()?;
    Ok(([a, b, c, d], slow))
}
