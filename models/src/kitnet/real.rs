//! The numbers that a network is executed in.

use super::logistic::{FACTOR, logistic_f32, logistic_f64};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Div, Mul, Sub};
use std::str::FromStr;

/// The floating-point numbers in which a KitNET is executed. Training is in `f64` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Double precision: the reference's.
    #[default]
    F64,
    /// Single precision for the network, after features were normalised in `f64`: about twice as fast. On the reference
    /// vectors a score differs from that of `f64` by at most [`Precision::F32_TOLERANCE`] of itself.
    F32,
}

impl Precision {
    /// The largest relative difference of a score in `f32` to that in `f64`.
    pub const F32_TOLERANCE: f64 = 1e-5;
}

/// What is neither `f64` nor `f32`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("precision {0:?} is not known: choose f64 or f32")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        match text {
            "f64" => Ok(Self::F64),
            "f32" => Ok(Self::F32),
            _ => Err(UnknownPrecision(text.into())),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
        })
    }
}

/// Computes nothing. In a loop whose every turn fills vectors, it keeps the compiler from spreading several turns over the
/// lanes of one vector, which takes more shuffles than it saves.
#[inline(always)]
pub(crate) fn one_by_one() {
    std::hint::black_box(());
}

/// What the kernels need of a number.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    const ONE: Self;
    const INFINITY: Self;
    /// A deviation whose square is beyond all bounds is squared after multiplication by this power of two; 1 where
    /// the reference does not do so either.
    const SCALE: Self;

    fn of(value: f64) -> Self;
    /// A weight or a bias, for sums whose [`logistic`](Self::logistic) is taken.
    fn weight(value: f64) -> Self {
        Self::of((value * FACTOR).clamp(f64::MIN, f64::MAX))
    }
    fn widen(self) -> f64;
    /// `self` · a + b, rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    fn root(self) -> Self;
    /// The logistic function of a sum over [`weight`](Self::weight)s.
    fn logistic(self) -> Self;
}

impl Real for f64 {
    const ONE: Self = 1.0;
    const INFINITY: Self = Self::INFINITY;
    const SCALE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn logistic(self) -> Self {
        logistic_f64(self)
    }
}

impl Real for f32 {
    const ONE: Self = 1.0;
    const INFINITY: Self = Self::INFINITY;
    /// 2⁻⁶⁴
    const SCALE: Self = 1.0 / 18_446_744_073_709_551_616.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self.into()
    }

    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn logistic(self) -> Self {
        logistic_f32(self)
    }
}
