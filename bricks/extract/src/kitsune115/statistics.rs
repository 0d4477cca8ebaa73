//! From the damped sums that a packet leaves to its features (kitsune-115.md §3 to §6).
//!
//! The quicker rates of a group fill a vector. The slowest of all groups are put side by side, so that every division
//! and root fills a vector, too; the results are transposed in registers straight into the row.

use super::sums::{Addend, Loaded};
use crate::Shard;
use crate::shard::Shards;
use crate::vector::Vector;

/// What a packet leaves of a 2-D group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairSums<V> {
    /// Of its direction. The owner's number is the sum of products at the slowest rate.
    pub(crate) own: Loaded<V>,
    /// Mean and variance of its direction, at the quicker rates.
    pub(crate) moments: [V; 2],
    /// Of the opposite direction.
    pub(crate) other: Loaded<V>,
    /// Sums of products at the quicker rates.
    pub(crate) products: V,
}

impl<V: Vector> PairSums<V> {
    /// What the first packet of a channel leaves, if it has `value` bytes.
    #[inline(always)]
    pub(crate) fn first(value: &Addend<V>, is_own_reverse: bool) -> Self {
        let own = Loaded::first(value);
        let other = if is_own_reverse { own } else { Loaded::nothing() };
        let zero = V::splat(0.0);
        Self { own, moments: [own.sums, zero], other, products: zero }
    }
}

/// The cells of a row, by group; none of shards that are elsewhere.
#[derive(Debug)]
pub(crate) struct Cells<'a> {
    pub(crate) sources: Option<[&'a mut [f64; 15]; 2]>,
    pub(crate) channel: Option<(&'a mut [f64; 35], &'a mut [f64; 15])>,
    pub(crate) socket: Option<&'a mut [f64; 35]>,
}

impl<'a> Cells<'a> {
    /// Those of some shards in a row that has columns of these and perhaps others, in the order of the schema.
    #[inline(always)]
    pub(crate) fn of(mut row: &'a mut [f64], shards: Shards, columns: Shards) -> Self {
        let sources = columns.has(Shard::Sources).then(|| [take(&mut row), take(&mut row)]);
        let channel = columns.has(Shard::Channels).then(|| (take(&mut row), take(&mut row)));
        let socket = columns.has(Shard::Sockets).then(|| take(&mut row));
        Self {
            sources: sources.filter(|_| shards.has(Shard::Sources)),
            channel: channel.filter(|_| shards.has(Shard::Channels)),
            socket: socket.filter(|_| shards.has(Shard::Sockets)),
        }
    }

    /// Writes the slowest rate of MI and H alone.
    #[inline(always)]
    pub(crate) fn write_slowest_sources<V: Vector>(self, identity: V, source: V) {
        let Some([identity_cells, source_cells]) = self.sources else { return };
        let [weight, sum, squares, _] = V::transpose([identity, source, identity, source]);
        let [mean, var] = moments::<V>(weight, sum, squares);
        let [identity, source, ..] = V::transpose([weight, mean, var, var]);
        identity.store_three(chunk(identity_cells, 12));
        source.store_three(chunk(source_cells, 12));
    }

    /// Writes the slowest rate of all groups: HH, HpHp, MI and H are side by side, and the opposite directions with
    /// HH_jit. What the quicker rates write comes before.
    #[inline(always)]
    pub(crate) fn write_slowest<V: Vector>(self, slowest: &Slowest<V>) {
        let [weight, sum, squares, products] = V::transpose(slowest.own);
        let [other_weight, other_sum, other_squares, _] = V::transpose(slowest.other);
        let [mean, var] = moments::<V>(weight, sum, squares);
        let other = moments_or_zero::<V>(other_weight, other_sum, other_squares);
        let [other_mean, other_var] = other;
        let std = var.join(other_var).sqrt();
        let norms = square_sum(mean, other_mean).join(square_sum(var, other_var)).sqrt();
        let cov = products / ((weight + other_weight) * V::splat(0.5));
        let pcc = correlation(cov, std * std.swap());
        let [channel, socket, ..] = V::transpose([weight, mean, std, norms]);
        let [channel_rest, socket_rest, ..] = V::transpose([norms.swap(), cov, pcc, pcc]);
        if let Some([identity_cells, source_cells]) = self.sources {
            let [_, _, identity, source] = V::transpose([weight, mean, var, var]);
            identity.store_three(chunk(identity_cells, 12));
            source.store_three(chunk(source_cells, 12));
        }
        if let Some((cells, jitter_cells)) = self.channel {
            channel.store(chunk(cells, 28));
            channel_rest.store_three(chunk(cells, 32));
            let [_, _, jitter, _] = V::transpose([other_weight, other_mean, other_var, other_var]);
            jitter.store_three(chunk(jitter_cells, 12));
        }
        if let Some(cells) = self.socket {
            socket.store(chunk(cells, 28));
            socket_rest.store_three(chunk(cells, 32));
        }
    }
}

/// What a packet leaves at the slowest rate, of each group a weight, a sum and a sum of squares, and the sum of products of
/// the 2-D ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slowest<V> {
    /// HH, HpHp, MI and H.
    pub(crate) own: [V; 4],
    /// The opposite directions of HH and HpHp, and twice HH_jit.
    pub(crate) other: [V; 4],
}

/// The next cells of a row.
#[inline(always)]
fn take<'a, const N: usize>(row: &mut &'a mut [f64]) -> &'a mut [f64; N] {
    let (cells, rest) =
        std::mem::take(row).split_first_chunk_mut().expect("a row has one cell per column of its shards");
    *row = rest;
    cells
}

/// Mean and variance of streams with weights of at least 1.
#[inline(always)]
pub(crate) fn moments<V: Vector>(weight: V, sum: V, squares: V) -> [V; 2] {
    let [mean, square] = [sum / weight, squares / weight];
    [mean, (square - mean * mean).abs()]
}

/// Mean and variance of streams; 0 where there is no weight.
#[inline(always)]
fn moments_or_zero<V: Vector>(weight: V, sum: V, squares: V) -> [V; 2] {
    let least = f64::from_bits(1);
    let [mean, var] = moments::<V>(weight, sum, squares);
    [mean.where_at_least(weight, least), var.where_at_least(weight, least)]
}

#[inline(always)]
fn square_sum<V: Vector>(a: V, b: V) -> V {
    a * a + b * b
}

/// The covariance by the product of the standard deviations, and 0 where that is 0.
#[inline(always)]
fn correlation<V: Vector>(cov: V, product: V) -> V {
    (cov / product).where_not_zero(product)
}

/// Writes weight, mean and variance of a 1-D group at the quicker rates, in their order.
#[inline(always)]
pub(crate) fn write_single<V: Vector>(sums: &Loaded<V>, cells: &mut [f64; 15]) {
    let [mean, var] = moments::<V>(sums.weights, sums.sums, sums.squares);
    // Each rate's fourth number stands where the next rate's first comes.
    for (rate, statistics) in V::transpose([sums.weights, mean, var, var]).into_iter().enumerate() {
        statistics.store(chunk(cells, 3 * rate));
    }
}

/// Writes weight, mean, standard deviation, magnitude, radius, covariance and correlation coefficient of a 2-D group at the
/// quicker rates, in their order.
#[inline(always)]
pub(crate) fn write_pair<V: Vector>(sums: &PairSums<V>, cells: &mut [f64; 35]) {
    let PairSums { own, moments: [mean, var], other, products } = *sums;
    let weight = own.weights;
    let [other_mean, other_var] = moments_or_zero::<V>(other.weights, other.sums, other.squares);
    let std = var.sqrt();
    let cov = products / ((weight + other.weights) * V::splat(0.5));
    let pcc = correlation(cov, std * other_var.sqrt());
    let magnitude = square_sum(mean, other_mean).sqrt();
    let radius = square_sum(var, other_var).sqrt();
    let first = V::transpose([weight, mean, std, magnitude]);
    let rest = V::transpose([radius, cov, pcc, pcc]);
    for (rate, (first, rest)) in first.into_iter().zip(rest).enumerate() {
        first.store(chunk(cells, 7 * rate));
        rest.store(chunk(cells, 7 * rate + 4));
    }
}

/// Some cells from one on.
#[inline(always)]
fn chunk<const N: usize>(cells: &mut [f64], from: usize) -> &mut [f64; N] {
    cells[from..].first_chunk_mut().expect("the cells are a group's")
}
