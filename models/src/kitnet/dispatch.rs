//! The hot loops compiled for several instruction sets; the best one for this processor is chosen at run time.
//!
//! Every variant computes the same bits: all arithmetic is IEEE 754 basic operations and explicit fused
//! multiply-add, in one order. A processor without fused multiply-add emulates it, slowly.

use super::kernel::{self, Packed, Scratch};
use super::learner::{self, Learner};
use multiversion::multiversion;

/// [`kernel::score`] on the widest vectors of this processor.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn score(
    ensemble: &[Packed],
    output: &Packed,
    mapped: &[f64],
    width: usize,
    scratch: &mut Scratch,
    errors: &mut [f64],
    scores: &mut [f64],
) {
    kernel::score(ensemble, output, mapped, width, scratch, errors, scores);
}

/// [`learner::train`] on the widest vectors of this processor.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn train(learner: &mut Learner, row: &[f64], errors: &mut [f64]) {
    learner::train(learner, row, errors);
}
