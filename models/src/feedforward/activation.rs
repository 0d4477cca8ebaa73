//! Functions of one number, with the same bits on every instruction set.

use crate::kitnet::sigmoid::exp;
use multiversion::multiversion;

/// A function of one number that networks apply to each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Activation {
    #[default]
    None,
    Relu,
    /// The slope below zero.
    LeakyRelu(f32),
    /// The least and the largest value.
    Clip(f32, f32),
    Tanh,
    Sigmoid,
    Sqrt,
    Exp,
    Neg,
    Abs,
}

/// Below it tanh is computed as x − x³/3.
const SMALL: f64 = 1e-3;

impl Activation {
    /// Of some numbers.
    #[inline(always)]
    pub(super) fn of<const N: usize>(self, values: &[f32; N]) -> [f32; N] {
        let mut done = *values;
        self.apply(&mut done);
        done
    }

    /// In place. What is not a number stays none.
    #[inline(always)]
    fn apply(self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Relu => each(values, |x| if x < 0.0 { 0.0 } else { x }),
            Self::LeakyRelu(slope) => each(values, |x| if x < 0.0 { slope * x } else { x }),
            Self::Clip(least, most) => each(values, |x| {
                let x = if x < least { least } else { x };
                if x > most { most } else { x }
            }),
            Self::Tanh => each(values, tanh),
            Self::Sigmoid => each(values, sigmoid),
            Self::Sqrt => each(values, f32::sqrt),
            Self::Exp => each(values, |x| exp(x.into()) as f32),
            Self::Neg => each(values, |x| -x),
            Self::Abs => each(values, f32::abs),
        }
    }
}

/// Applies a function to numbers.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn map(activation: Activation, from: &[f32], to: &mut [f32]) {
    to.copy_from_slice(from);
    activation.apply(to);
}

#[inline(always)]
fn each(values: &mut [f32], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + exp(-f64::from(x)))) as f32
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    let x = f64::from(x);
    let (small, large) = (x - x * x * x / 3.0, 1.0 - 2.0 / (1.0 + exp(2.0 * x)));
    (if x.abs() < SMALL { small } else { large }) as f32
}

/// Parts of one by their exponentials, computed in double precision: `inner` numbers apart lie the `count` that make one. With
/// `logarithm` the logarithms of them.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
pub(super) fn softmax(from: &[f32], to: &mut [f32], count: usize, inner: usize, logarithm: bool) {
    for (from, to) in from.chunks_exact(count * inner).zip(to.chunks_exact_mut(count * inner)) {
        for lane in 0..inner {
            one_softmax(&from[lane..], &mut to[lane..], inner, logarithm);
        }
    }
}

#[inline(always)]
fn one_softmax(from: &[f32], to: &mut [f32], step: usize, logarithm: bool) {
    let most = from.iter().step_by(step).fold(f32::NEG_INFINITY, |most, x| if *x > most { *x } else { most });
    let deviation = |x: f32| f64::from(x) - f64::from(most);
    let sum: f64 = from.iter().step_by(step).map(|x| exp(deviation(*x))).sum();
    for (from, to) in from.iter().zip(to).step_by(step) {
        let value = deviation(*from);
        *to = if logarithm { value - sum.ln() } else { exp(value) / sum } as f32;
    }
}
