//! Four numbers side by side: in a register where the processor has AVX2, else wherever the compiler puts them.
//! Unsafe code, see ARCHITECTURE.md.
//!
//! Every operation rounds once, as IEEE 754 says, so that both give the same bits.
#![allow(unsafe_code)]

use crate::damp::Quick;
use std::ops::{Add, Div, Mul, Sub};

/// Four numbers. Every operation is on each of them.
pub(crate) trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
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
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("fma")
    {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx2::run(work) };
    }
    work.run::<Portable>();
}

/// Four numbers in an array.
#[derive(Clone, Copy, Debug)]
struct Portable(Quick);

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

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Quick, Shift, Vector, Work};
    use std::arch::x86_64::*;
    use std::ops::{Add, Div, Mul, Sub};

    /// Does work compiled for AVX2. Whoever calls it has seen that the processor has that: so every vector there ever is
    /// is on such a processor, and its operations are safe.
    #[target_feature(enable = "avx2,bmi2,fma")]
    pub(super) fn run(work: impl Work) {
        work.run::<Register>();
    }

    /// Four numbers in a register.
    #[derive(Clone, Copy, Debug)]
    struct Register(__m256d);

    macro_rules! register {
        ($trait:ident, $method:ident, $instruction:ident) => {
            impl $trait for Register {
                type Output = Self;

                #[inline(always)]
                fn $method(self, other: Self) -> Self {
                    // SAFETY: see `run`.
                    Self(unsafe { $instruction(self.0, other.0) })
                }
            }
        };
    }

    register!(Add, add, _mm256_add_pd);
    register!(Sub, sub, _mm256_sub_pd);
    register!(Mul, mul, _mm256_mul_pd);
    register!(Div, div, _mm256_div_pd);

    impl Vector for Register {
        #[inline(always)]
        fn load(from: &Quick) -> Self {
            // SAFETY: see `run`; the array has the four numbers that are read.
            Self(unsafe { _mm256_loadu_pd(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut Quick) {
            // SAFETY: see `run`; the array has room for the four numbers that are written.
            unsafe { _mm256_storeu_pd(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn store_three(self, to: &mut [f64; 3]) {
            // SAFETY: see `run`; the first store writes two numbers, the second the third.
            unsafe {
                _mm_storeu_pd(to.as_mut_ptr(), _mm256_castpd256_pd128(self.0));
                _mm_store_sd(&raw mut to[2], _mm256_extractf128_pd::<1>(self.0));
            }
        }

        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_set1_pd(x) })
        }

        #[inline(always)]
        fn mul_add(self, a: Self, b: Self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_fmadd_pd(self.0, a.0, b.0) })
        }

        #[inline(always)]
        fn mul_sub(self, a: Self, b: Self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_fmsub_pd(self.0, a.0, b.0) })
        }

        #[inline(always)]
        fn first_two(self) -> [f64; 2] {
            // SAFETY: see `run`.
            unsafe {
                let low = _mm256_castpd256_pd128(self.0);
                [_mm_cvtsd_f64(low), _mm_cvtsd_f64(_mm_unpackhi_pd(low, low))]
            }
        }

        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_sqrt_pd(self.0) })
        }

        #[inline(always)]
        fn abs(self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_andnot_pd(_mm256_set1_pd(-0.0), self.0) })
        }

        #[inline(always)]
        fn with_fourth(self, other: Self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_blend_pd::<0b1000>(self.0, other.0) })
        }

        #[inline(always)]
        fn join(self, other: Self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_permute2f128_pd::<0x20>(self.0, other.0) })
        }

        #[inline(always)]
        fn swap(self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_permute2f128_pd::<0x01>(self.0, self.0) })
        }

        #[inline(always)]
        fn where_at_least(self, other: Self, least: f64) -> Self {
            // SAFETY: see `run`.
            Self(unsafe {
                _mm256_and_pd(self.0, _mm256_cmp_pd::<_CMP_GE_OQ>(other.0, _mm256_set1_pd(least)))
            })
        }

        #[inline(always)]
        fn where_not_zero(self, other: Self) -> Self {
            // SAFETY: see `run`.
            Self(unsafe { _mm256_and_pd(self.0, _mm256_cmp_pd::<_CMP_NEQ_UQ>(other.0, _mm256_setzero_pd())) })
        }

        #[inline(always)]
        fn reaches(self, limit: f64) -> bool {
            // SAFETY: see `run`.
            unsafe {
                let below = _mm256_cmp_pd::<_CMP_LT_OQ>(self.abs().0, _mm256_set1_pd(limit));
                _mm256_movemask_pd(below) != 0b1111
            }
        }

        #[inline(always)]
        fn look_up(self, table: &[[u64; 2]; 128], shift: Shift) -> [Self; 2] {
            // SAFETY: see `run`; every row has the two words that are read.
            unsafe {
                let bits = _mm256_castpd_si256(self.0);
                let (low, high) = (_mm256_castsi256_si128(bits), _mm256_extracti128_si256::<1>(bits));
                let row = |bits: i64| _mm_loadu_si128(table[bits as usize % 128].as_ptr().cast());
                let rows = [_mm_cvtsi128_si64(low), _mm_extract_epi64::<1>(low)].map(row);
                let more = [_mm_cvtsi128_si64(high), _mm_extract_epi64::<1>(high)].map(row);
                let even = _mm256_set_m128i(more[0], rows[0]);
                let odd = _mm256_set_m128i(more[1], rows[1]);
                let first = _mm256_unpacklo_epi64(even, odd);
                let second = _mm256_unpackhi_epi64(even, odd);
                let second =
                    _mm256_add_epi64(second, _mm256_sll_epi64(bits, _mm_cvtsi32_si128(shift as i32)));
                [Self(_mm256_castsi256_pd(first)), Self(_mm256_castsi256_pd(second))]
            }
        }

        #[inline(always)]
        fn transpose([a, b, c, d]: [Self; 4]) -> [Self; 4] {
            // SAFETY: see `run`.
            unsafe {
                let (even, odd) = (_mm256_unpacklo_pd(a.0, b.0), _mm256_unpackhi_pd(a.0, b.0));
                let (other_even, other_odd) = (_mm256_unpacklo_pd(c.0, d.0), _mm256_unpackhi_pd(c.0, d.0));
                [
                    Self(_mm256_permute2f128_pd::<0x20>(even, other_even)),
                    Self(_mm256_permute2f128_pd::<0x20>(odd, other_odd)),
                    Self(_mm256_permute2f128_pd::<0x31>(even, other_even)),
                    Self(_mm256_permute2f128_pd::<0x31>(odd, other_odd)),
                ]
            }
        }
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
