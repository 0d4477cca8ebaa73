//! Four numbers in an array, for every processor.

use super::{Shift, Vector};
use crate::damp::Quick;
use std::ops::{Add, Div, Mul, Sub};

/// Four numbers in an array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable(Quick);

macro_rules! portable {
    ($trait:ident, $method:ident, $operator:tt) => {
        impl $trait for Portable {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(std::array::from_fn(|k| self.0[k] $operator other.0[k]))
            }
        }
    };
}

portable!(Add, add, +);
portable!(Sub, sub, -);
portable!(Mul, mul, *);
portable!(Div, div, /);

impl Vector for Portable {
    // Of AArch64 processors the compiler knows that they have NEON.
    const NAME: &'static str = if cfg!(target_arch = "aarch64") { "neon" } else { "portable" };

    #[inline(always)]
    fn load(from: &Quick) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut Quick) {
        *to = self.0;
    }

    #[inline(always)]
    fn store_three(self, to: &mut [f64; 3]) {
        to.copy_from_slice(&self.0[..3]);
    }

    #[inline(always)]
    fn splat(x: f64) -> Self {
        Self([x; 4])
    }

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k].mul_add(a.0[k], b.0[k])))
    }

    #[inline(always)]
    fn mul_sub(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k].mul_add(a.0[k], -b.0[k])))
    }

    #[inline(always)]
    fn first_two(self) -> [f64; 2] {
        [self.0[0], self.0[1]]
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f64::sqrt))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(self.0.map(f64::abs))
    }

    #[inline(always)]
    fn with_fourth(self, other: Self) -> Self {
        Self([self.0[0], self.0[1], self.0[2], other.0[3]])
    }

    #[inline(always)]
    fn join(self, other: Self) -> Self {
        Self([self.0[0], self.0[1], other.0[0], other.0[1]])
    }

    #[inline(always)]
    fn swap(self) -> Self {
        Self([self.0[2], self.0[3], self.0[0], self.0[1]])
    }

    #[inline(always)]
    fn where_at_least(self, other: Self, least: f64) -> Self {
        Self(std::array::from_fn(|k| if other.0[k] >= least { self.0[k] } else { 0.0 }))
    }

    #[inline(always)]
    fn where_not_zero(self, other: Self) -> Self {
        Self(std::array::from_fn(|k| if other.0[k] == 0.0 { 0.0 } else { self.0[k] }))
    }

    #[inline(always)]
    fn reaches(self, limit: f64) -> bool {
        !self.0.iter().all(|x| x.abs() < limit)
    }

    #[inline(always)]
    fn look_up(self, table: &[[u64; 2]; 128], shift: Shift) -> [Self; 2] {
        let rows = self.0.map(|x| (x.to_bits(), table[x.to_bits() as usize % 128]));
        let second = rows.map(|(bits, row)| f64::from_bits(row[1].wrapping_add(bits << shift)));
        [Self(rows.map(|(_, row)| f64::from_bits(row[0]))), Self(second)]
    }

    #[inline(always)]
    fn transpose(rows: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|column| Self(rows.map(|row| row.0[column])))
    }
}
