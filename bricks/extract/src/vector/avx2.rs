//! Four numbers in a register of AVX2. Unsafe code, see ARCHITECTURE.md.
#![allow(unsafe_code)]

use super::{Shift, Vector, Work};
use crate::damp::Quick;
use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Sub};

/// Does work on registers, or gives it back where the processor has none of these.
#[inline]
pub(super) fn run<W: Work>(work: W) -> Result<(), W> {
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("fma")
    {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { compiled_for_avx2(work) };
        return Ok(());
    }
    Err(work)
}

/// Does work compiled for AVX2. `run` has seen that the processor has that: so every register there is is on such a
/// processor, and its operations are safe.
#[target_feature(enable = "avx2,bmi2,fma")]
fn compiled_for_avx2(work: impl Work) {
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
    const NAME: &'static str = "avx2";

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
        Self(unsafe { _mm256_and_pd(self.0, _mm256_cmp_pd::<_CMP_GE_OQ>(other.0, _mm256_set1_pd(least))) })
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
        // SAFETY: see `run`; an offset is that of one of the 128 rows, and every row has the two words that are read.
        unsafe {
            let bits = _mm256_castpd_si256(self.0);
            let offsets = _mm256_and_si256(_mm256_slli_epi64::<4>(bits), _mm256_set1_epi64x(127 << 4));
            let (low, high) = (_mm256_castsi256_si128(offsets), _mm256_extracti128_si256::<1>(offsets));
            let start = table.as_ptr().cast::<u8>();
            let row = |offset: i64| _mm_loadu_si128(start.add(offset as usize).cast());
            let even = _mm256_set_m128i(row(_mm_cvtsi128_si64(high)), row(_mm_cvtsi128_si64(low)));
            let odd = _mm256_set_m128i(row(_mm_extract_epi64::<1>(high)), row(_mm_extract_epi64::<1>(low)));
            let first = _mm256_unpacklo_epi64(even, odd);
            let second = _mm256_unpackhi_epi64(even, odd);
            let second = _mm256_add_epi64(second, _mm256_sll_epi64(bits, _mm_cvtsi32_si128(shift as i32)));
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
