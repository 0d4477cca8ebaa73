//! Sums of products over rows of weights, units in the lanes.

use super::real::Real;

/// Units that are computed together. Rows are padded to whole groups.
pub(crate) const GROUP: usize = 4;
pub(crate) type Group<T> = [T; GROUP];

/// The most groups of a row whose number is known when this is compiled.
pub(crate) const BLOCK: usize = 6;

/// sums += Σᵢ inputs[i] · weights[i], in the order of i; `weights` holds a row of `sums.len()` for each input.
#[inline(always)]
pub(crate) fn add_products<T: Real>(sums: &mut [Group<T>], weights: &[Group<T>], inputs: &[T]) {
    let weights = &weights[..inputs.len() * sums.len()];
    match sums.len() {
        1 => row_products::<T, 1>(sums, weights, inputs),
        2 => row_products::<T, 2>(sums, weights, inputs),
        3 => row_products::<T, 3>(sums, weights, inputs),
        4 => row_products::<T, 4>(sums, weights, inputs),
        5 => row_products::<T, 5>(sums, weights, inputs),
        BLOCK => row_products::<T, BLOCK>(sums, weights, inputs),
        stride => long_products(sums, weights, stride, inputs),
    }
}

/// The products for rows of `S` groups, whose sums stay in registers.
#[inline(always)]
fn row_products<T: Real, const S: usize>(sums: &mut [Group<T>], weights: &[Group<T>], inputs: &[T]) {
    let Some(sums) = sums.first_chunk_mut::<S>() else { return };
    let mut totals = *sums;
    for (row, input) in weights.as_chunks::<S>().0.iter().zip(inputs) {
        for i in 0..S {
            totals[i] = fma(*input, &row[i], &totals[i]);
        }
    }
    *sums = totals;
}

/// The products for rows of `stride` groups, one column of groups after the other.
#[inline(always)]
fn long_products<T: Real>(sums: &mut [Group<T>], weights: &[Group<T>], stride: usize, inputs: &[T]) {
    for (i, sum) in sums.iter_mut().enumerate() {
        for (row, input) in weights.chunks_exact(stride).zip(inputs) {
            *sum = fma(*input, &row[i], sum);
        }
    }
}

/// a · b + c in each lane.
#[inline(always)]
pub(crate) fn fma<T: Real, const W: usize>(a: T, b: &[T; W], c: &[T; W]) -> [T; W] {
    let mut sum = *c;
    for lane in 0..W {
        sum[lane] = a.fma(b[lane], c[lane]);
    }
    sum
}
