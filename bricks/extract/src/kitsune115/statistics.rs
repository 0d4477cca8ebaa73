//! From the damped sums of a run of packets to their features (kitsune-115.md §3 to §6).
//!
//! The sums are gathered into planes, one per quantity, so that every division and root fills whole vectors.

use super::channel::Outcome;
use super::sums::{PerRate, Sums, part};
use crate::Shard;
use crate::damp::RATES;
use crate::shard::Shards;
use multiversion::multiversion;
use std::ops::Range;

/// The most packets in a run.
pub(crate) const LENGTH: usize = 32;

/// A number per rate of `GROUPS` groups, for every packet of a run.
type Plane<const GROUPS: usize> = Box<[[PerRate; GROUPS]; LENGTH]>;

/// Planes of the 1-D groups: MI, H and HH_jit.
#[derive(Debug, Default)]
struct Singles {
    weight: Plane<3>,
    /// Sums, then means.
    mean: Plane<3>,
    /// Sums of squares, then variances.
    var: Plane<3>,
}

/// Planes of the 2-D groups: HH and HpHp.
#[derive(Debug, Default)]
struct Pairs {
    weight: Plane<2>,
    mean: Plane<2>,
    /// Sums of squares, then standard deviations.
    std: Plane<2>,
    /// Weights of the opposite stream, then correlation coefficients.
    pcc: Plane<2>,
    /// Sums of the opposite stream, then magnitudes.
    magnitude: Plane<2>,
    /// Sums of squares of the opposite stream, then radii.
    radius: Plane<2>,
    /// Sums of products, then covariances.
    cov: Plane<2>,
}

/// Sums of a run of packets, turned into features in place.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    singles: Singles,
    pairs: Pairs,
}

/// A group of 1-D statistics, by its place in the planes.
#[derive(Clone, Copy)]
pub(crate) enum Single {
    Identity,
    Source,
    Jitter,
}

/// A group of 2-D statistics, by its place in the planes.
#[derive(Clone, Copy)]
pub(crate) enum Pair {
    Channel,
    Socket,
}

impl Statistics {
    /// Takes the sums of a 1-D stream.
    #[inline(always)]
    pub(crate) fn set_single(&mut self, packet: usize, group: Single, sums: &Sums) {
        let (packet, group, planes) = (packet % LENGTH, group as usize, &mut self.singles);
        planes.weight[packet][group] = *part(sums, 0);
        planes.mean[packet][group] = *part(sums, 1);
        planes.var[packet][group] = *part(sums, 2);
    }

    /// Takes the sums of a stream and its opposite, the stream's mean and the sum of products.
    #[inline(always)]
    pub(crate) fn set_pair(
        &mut self,
        packet: usize,
        group: Pair,
        Outcome { own, other, mean, products }: &Outcome<'_>,
    ) {
        let (packet, group, planes) = (packet % LENGTH, group as usize, &mut self.pairs);
        planes.weight[packet][group] = *part(own, 0);
        planes.mean[packet][group] = *mean;
        planes.std[packet][group] = *part(own, 2);
        planes.pcc[packet][group] = *part(other, 0);
        planes.magnitude[packet][group] = *part(other, 1);
        planes.radius[packet][group] = *part(other, 2);
        planes.cov[packet][group] = *products;
    }

    /// Turns the sums of these packets into features.
    pub(crate) fn evaluate(&mut self, packets: Range<usize>, fast: bool) {
        fn cells<const N: usize>(plane: &mut Plane<N>, packets: Range<usize>) -> &mut [f64] {
            plane[packets].as_flattened_mut().as_flattened_mut()
        }
        let (s, p) = (&mut self.singles, &mut self.pairs);
        let [weight, mean, var] =
            [&mut s.weight, &mut s.mean, &mut s.var].map(|plane| cells(plane, packets.clone()));
        singles(weight, mean, var, fast);
        let read = [&mut p.weight, &mut p.mean].map(|plane| &*cells(plane, packets.clone()));
        let write = [&mut p.std, &mut p.pcc, &mut p.magnitude, &mut p.radius, &mut p.cov];
        pairs(read, write.map(|plane| cells(plane, packets.clone())), fast);
    }

    /// Writes the columns of some shards for a packet, in the order of the schema.
    #[inline(always)]
    pub(crate) fn write(&self, packet: usize, shards: Shards, mut row: &mut [f64]) {
        if shards.has(Shard::Sources) {
            self.write_single(packet, Single::Identity, take(&mut row));
            self.write_single(packet, Single::Source, take(&mut row));
        }
        if shards.has(Shard::Channels) {
            self.write_pair(packet, Pair::Channel, take(&mut row));
            self.write_single(packet, Single::Jitter, take(&mut row));
        }
        if shards.has(Shard::Sockets) {
            self.write_pair(packet, Pair::Socket, take(&mut row));
        }
    }

    #[inline(always)]
    fn write_single(&self, packet: usize, group: Single, cells: &mut [f64; 15]) {
        let (s, packet) = (&self.singles, packet % LENGTH);
        interleave([&s.weight, &s.mean, &s.var].map(|plane| &plane[packet][group as usize]), cells);
    }

    #[inline(always)]
    fn write_pair(&self, packet: usize, group: Pair, cells: &mut [f64; 35]) {
        let (p, packet) = (&self.pairs, packet % LENGTH);
        let planes = [&p.weight, &p.mean, &p.std, &p.magnitude, &p.radius, &p.cov, &p.pcc];
        interleave(planes.map(|plane| &plane[packet][group as usize]), cells);
    }
}

/// The next cells of a row.
#[inline(always)]
fn take<'a, const N: usize>(row: &mut &'a mut [f64]) -> &'a mut [f64; N] {
    let (cells, rest) =
        std::mem::take(row).split_first_chunk_mut().expect("a row has one cell per column of its shards");
    *row = rest;
    cells
}

/// Writes the statistics of the first rate, then those of the second, and so on.
#[inline(always)]
fn interleave<const N: usize, const CELLS: usize>(statistics: [&PerRate; N], cells: &mut [f64; CELLS]) {
    const { assert!(CELLS == N * RATES) };
    for rate in 0..RATES {
        for (at, statistic) in statistics.iter().enumerate() {
            cells[rate * N + at] = statistic[rate];
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn singles(weight: &[f64], mean: &mut [f64], var: &mut [f64], fast: bool) {
    let cells = weight.iter().zip(mean).zip(var);
    if fast {
        for ((w, m), v) in cells {
            let inverse = 1.0 / w;
            *m *= inverse;
            *v = (*v * inverse - *m * *m).abs();
        }
    } else {
        for ((w, m), v) in cells {
            *m /= w;
            *v = (*v / w - *m * *m).abs();
        }
    }
}

/// `[weight, mean]` and `[std, pcc, magnitude, radius, cov]`, see [`Pairs`].
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn pairs(read: [&[f64]; 2], write: [&mut [f64]; 5], fast: bool) {
    let [weight, mean] = read;
    let [std, pcc, magnitude, radius, cov] = write;
    let cells = weight.iter().zip(mean).zip(std).zip(pcc).zip(magnitude).zip(radius).zip(cov);
    if fast {
        for ((((((w, m), std), pcc), magnitude), radius), cov) in cells {
            let other = [*pcc, *magnitude, *radius];
            [*std, *magnitude, *radius, *cov, *pcc] =
                pair(*w, *m, *std * (1.0 / w), other, fast_moments(other), *cov);
        }
    } else {
        for ((((((w, m), std), pcc), magnitude), radius), cov) in cells {
            let other = [*pcc, *magnitude, *radius];
            [*std, *magnitude, *radius, *cov, *pcc] = pair(*w, *m, *std / w, other, moments(other), *cov);
        }
    }
}

/// Mean and mean square of a stream from its weight and sums; 0 without weight.
#[inline(always)]
fn moments([weight, sum, squares]: [f64; 3]) -> [f64; 2] {
    let some = weight > 0.0;
    let divisor = if some { weight } else { 1.0 };
    [if some { sum / divisor } else { 0.0 }, if some { squares / divisor } else { 0.0 }]
}

/// [`moments`] with one division.
#[inline(always)]
fn fast_moments([weight, sum, squares]: [f64; 3]) -> [f64; 2] {
    let inverse = if weight >= f64::MIN_POSITIVE { 1.0 / weight } else { 0.0 };
    [sum * inverse, squares * inverse]
}

/// Standard deviation, magnitude, radius, covariance and correlation coefficient.
#[inline(always)]
fn pair(
    weight: f64,
    mean: f64,
    square: f64,
    other: [f64; 3],
    [other_mean, other_square]: [f64; 2],
    products: f64,
) -> [f64; 5] {
    let var = (square - mean * mean).abs();
    let other_var = (other_square - other_mean * other_mean).abs();
    let std = var.sqrt();
    let magnitude = (mean * mean + other_mean * other_mean).sqrt();
    let radius = (var * var + other_var * other_var).sqrt();
    let cov = products / ((weight + other[0]) / 2.0);
    let product = std * other_var.sqrt();
    let pcc = if product != 0.0 { cov / product } else { 0.0 };
    [std, magnitude, radius, cov, pcc]
}
