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

/// Cells of one packet in a plane of the 1-D groups: MI, H and HH_jit.
const SINGLES: usize = 3 * RATES;

/// Cells of one packet in a plane of the 2-D groups: HH and HpHp.
const PAIRS: usize = 2 * RATES;

/// Planes of the 1-D groups.
#[derive(Debug)]
struct Singles {
    weight: Vec<f64>,
    /// Sums, then means.
    mean: Vec<f64>,
    /// Sums of squares, then variances.
    var: Vec<f64>,
}

/// Planes of the 2-D groups.
#[derive(Debug)]
struct Pairs {
    weight: Vec<f64>,
    mean: Vec<f64>,
    /// Sums of squares, then standard deviations.
    std: Vec<f64>,
    /// Weights of the opposite stream, then correlation coefficients.
    pcc: Vec<f64>,
    /// Sums of the opposite stream, then magnitudes.
    magnitude: Vec<f64>,
    /// Sums of squares of the opposite stream, then radii.
    radius: Vec<f64>,
    /// Sums of products, then covariances.
    cov: Vec<f64>,
}

/// Sums of a run of packets, turned into features in place.
#[derive(Debug)]
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
    /// Planes for `packets` packets.
    pub(crate) fn new(packets: usize) -> Self {
        let single = || vec![0.0; packets * SINGLES];
        let pair = || vec![0.0; packets * PAIRS];
        Self {
            singles: Singles { weight: single(), mean: single(), var: single() },
            pairs: Pairs {
                weight: pair(),
                mean: pair(),
                std: pair(),
                pcc: pair(),
                magnitude: pair(),
                radius: pair(),
                cov: pair(),
            },
        }
    }

    /// Takes the sums of a 1-D stream.
    #[inline(always)]
    pub(crate) fn set_single(&mut self, packet: usize, group: Single, sums: &Sums) {
        let at = packet * SINGLES + group as usize * RATES;
        let planes = &mut self.singles;
        put(&mut planes.weight, at, part(sums, 0));
        put(&mut planes.mean, at, part(sums, 1));
        put(&mut planes.var, at, part(sums, 2));
    }

    /// Takes the sums of a stream and its opposite, the stream's mean and the sum of products.
    #[inline(always)]
    pub(crate) fn set_pair(
        &mut self,
        packet: usize,
        group: Pair,
        Outcome { own, other, mean, products }: &Outcome<'_>,
    ) {
        let at = packet * PAIRS + group as usize * RATES;
        let planes = &mut self.pairs;
        put(&mut planes.weight, at, part(own, 0));
        put(&mut planes.mean, at, mean);
        put(&mut planes.std, at, part(own, 2));
        put(&mut planes.pcc, at, part(other, 0));
        put(&mut planes.magnitude, at, part(other, 1));
        put(&mut planes.radius, at, part(other, 2));
        put(&mut planes.cov, at, products);
    }

    /// Turns the sums of these packets into features.
    pub(crate) fn evaluate(&mut self, packets: Range<usize>, fast: bool) {
        let (s, p) = (&mut self.singles, &mut self.pairs);
        let cells = packets.start * SINGLES..packets.end * SINGLES;
        singles(&s.weight[cells.clone()], &mut s.mean[cells.clone()], &mut s.var[cells], fast);
        let cells = packets.start * PAIRS..packets.end * PAIRS;
        let read = [&p.weight, &p.mean].map(|plane| &plane[cells.clone()]);
        let write = [&mut p.std, &mut p.pcc, &mut p.magnitude, &mut p.radius, &mut p.cov];
        pairs(read, write.map(|plane| &mut plane[cells.clone()]), fast);
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
        let at = packet * SINGLES + group as usize * RATES;
        let s = &self.singles;
        interleave([&s.weight, &s.mean, &s.var], at, cells);
    }

    #[inline(always)]
    fn write_pair(&self, packet: usize, group: Pair, cells: &mut [f64; 35]) {
        let at = packet * PAIRS + group as usize * RATES;
        let p = &self.pairs;
        interleave([&p.weight, &p.mean, &p.std, &p.magnitude, &p.radius, &p.cov, &p.pcc], at, cells);
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

#[inline(always)]
fn put(plane: &mut [f64], at: usize, values: &PerRate) {
    plane[at..at + RATES].copy_from_slice(values);
}

/// Writes the cells of each plane from `at` on: the statistics of the first rate, then those of the second,
/// and so on.
#[inline(always)]
fn interleave<const N: usize>(planes: [&[f64]; N], at: usize, cells: &mut [f64]) {
    for (statistic, plane) in planes.into_iter().enumerate() {
        for (rate, value) in plane[at..at + RATES].iter().enumerate() {
            cells[rate * N + statistic] = *value;
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
