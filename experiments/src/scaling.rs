//! Throughput by the number of replicas: projected from what each of them takes of a processor.

use crate::pieces::{Pieces, Spent};
use crate::{Clock, ExperimentError, Loads, Scorer};
use legonf_core::{BATCH, Headers, LARGEST_BATCH, Rows, SLOTS, Timestamp, balanced};
use legonf_extract::{Config, Extractor, build_shards};
use legonf_models::kitnet::KitNet;
use legonf_splitter::{GroupSet, Plan, Router};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Numbers of replicas.
pub const REPLICAS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Rounds of which the median counts.
const ROUNDS: usize = 3;

/// What one way to split takes at one number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Split {
    /// Seconds of processor time of all replicas together.
    pub total_seconds: f64,
    /// Of the replica that takes most, with a core for each.
    pub bottleneck_seconds: f64,
    /// Which replica that is.
    pub bottleneck: String,
    /// Packets a second with a core for each replica: a projection.
    pub projected_packets_per_second: f64,
}

/// The splits at one number of replicas, fed batch by batch in turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Replicas.
    pub replicas: usize,
    /// Packets a second of a core that runs the single instance: measured.
    pub single_packets_per_second: f64,
    /// The exact plan.
    pub exact: Split,
    /// The single granularity of LEGO.
    pub approximate: Split,
}

/// What to measure.
#[derive(Clone, Copy)]
pub struct Scaling<'a> {
    /// The extractor.
    pub config: &'a Config,
    /// Its groups.
    pub set: &'a GroupSet,
    /// The exact plan.
    pub exact: &'a Plan,
    /// The network behind it, which runs where a packet has its home.
    pub network: &'a Arc<KitNet>,
    /// Measures work.
    pub clock: Clock,
}

impl Scaling<'_> {
    /// Measures features and scores of these packets, the second time that they come, at each of [`REPLICAS`]; `done` is told after
    /// each of them. Slots are placed by their load, which is counted before.
    ///
    /// # Errors
    /// If the plan is not for the groups or replicas cannot be made.
    pub fn measure(
        &self,
        packets: &[Headers],
        mut done: impl FnMut(),
    ) -> Result<Vec<Point>, ExperimentError> {
        let approximate = Plan::approximate(self.set);
        let plans = [self.exact, &approximate];
        let loads = [self.loads(plans[0], packets)?, self.loads(plans[1], packets)?];
        let mut points = Vec::new();
        for replicas in REPLICAS {
            let rounds = (0..ROUNDS).map(|_| self.round(plans, &loads, replicas, packets));
            points.push(median(rounds.collect::<Result<_, _>>()?));
            done();
        }
        Ok(points)
    }

    /// The loads of each shard's slots.
    fn loads(&self, plan: &Plan, packets: &[Headers]) -> Result<Vec<Loads>, ExperimentError> {
        let router = Router::new(plan, self.config.limits.seed)?;
        let mut loads = Loads::of_shards(plan.shards.len());
        Loads::count_all(&mut loads, &router, packets);
        Ok(loads)
    }

    /// Replicas whose slots are placed by load. A plan that keeps a group whole has none.
    fn pieces(
        &self,
        plan: &Plan,
        loads: &[Loads],
        replicas: usize,
    ) -> Result<Option<Pieces>, ExperimentError> {
        if plan.is_whole() {
            return Ok(None);
        }
        let place = |loads: &Loads| balanced(&[0; SLOTS], &loads.by_slot(), replicas).into();
        let owners = loads.iter().map(place).collect();
        Pieces::new(self.config, plan, self.network, owners, replicas, self.clock).map(Some)
    }

    fn round(
        &self,
        plans: [&Plan; 2],
        loads: &[Vec<Loads>; 2],
        replicas: usize,
        packets: &[Headers],
    ) -> Result<Point, ExperimentError> {
        let mut single = Single::new(self)?;
        let mut exact = self.pieces(plans[0], &loads[0], replicas)?;
        let mut approximate = self.pieces(plans[1], &loads[1], replicas)?;
        for packets in [packets, &later(packets)] {
            single.spent = Duration::ZERO;
            exact.iter_mut().chain(&mut approximate).for_each(Pieces::reset);
            for batch in packets.chunks(BATCH * replicas.min(LARGEST_BATCH / BATCH)) {
                batch.chunks(BATCH).for_each(|batch| single.push(batch, self.clock));
                exact.iter_mut().chain(&mut approximate).try_for_each(|pieces| pieces.push(batch))?;
            }
        }
        let split = |pieces: Option<Pieces>| {
            let spent = pieces.map_or_else(|| Spent::alone(single.spent), |pieces| pieces.spent);
            split(&spent, packets.len() as f64)
        };
        Ok(Point {
            replicas,
            single_packets_per_second: rate(packets.len() as f64, single.spent.as_secs_f64()),
            exact: split(exact),
            approximate: split(approximate),
        })
    }
}

/// The single instance: extractor and network in one thread.
struct Single {
    extractor: Box<dyn Extractor>,
    rows: Rows,
    scorer: Scorer,
    spent: Duration,
}

impl Single {
    fn new(scaling: &Scaling<'_>) -> Result<Self, ExperimentError> {
        let Config { schema, limits, shards } = scaling.config;
        let extractor = build_shards(schema, *limits, shards)?;
        let scorer = Scorer::new(scaling.network.clone());
        Ok(Self { extractor, rows: Rows::default(), scorer, spent: Duration::ZERO })
    }

    fn push(&mut self, packets: &[Headers], clock: Clock) {
        let start = clock();
        self.extractor.extract(packets, &mut self.rows);
        self.rows.iter().for_each(|row| self.scorer.push(row, |_| {}));
        self.scorer.flush(|_| {});
        self.spent += clock().saturating_sub(start);
    }
}

/// The packets once more, after their end: when they are measured every stream and all its memory is there.
fn later(packets: &[Headers]) -> Vec<Headers> {
    let nanos = || packets.iter().map(|packet| packet.timestamp.as_nanos());
    let (first, last) = (nanos().min().unwrap_or(0), nanos().max().unwrap_or(0));
    let length = last.saturating_sub(first).saturating_add(1_000_000_000);
    let shift = |time: Timestamp| Timestamp::from_nanos(time.as_nanos().saturating_add(length));
    packets.iter().map(|p| Headers { timestamp: shift(p.timestamp), ..*p }).collect()
}

fn rate(packets: f64, seconds: f64) -> f64 {
    packets / seconds.max(1e-9)
}

/// The point with the median of the exact plan's bottleneck.
fn median(mut points: Vec<Point>) -> Point {
    points.sort_by(|a, b| a.exact.bottleneck_seconds.total_cmp(&b.exact.bottleneck_seconds));
    points.swap_remove(points.len() / 2)
}

/// With a core for each replica the one that takes most bounds the rate. What whichever of them is free does is shared evenly.
fn split(spent: &Spent, packets: f64) -> Split {
    let shared = spent.shared.as_secs_f64();
    let each = shared / spent.replicas.len().max(1) as f64;
    let replicas = || spent.replicas.iter().map(Duration::as_secs_f64).enumerate();
    let (at, most) = replicas().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let bottleneck_seconds = most + each;
    Split {
        total_seconds: shared + replicas().map(|(_, seconds)| seconds).sum::<f64>(),
        bottleneck_seconds,
        bottleneck: format!("replica {at}"),
        projected_packets_per_second: rate(packets, bottleneck_seconds),
    }
}

/// The points as Markdown.
pub fn markdown(points: &[Point]) -> String {
    let mut out = String::from(
        "| replicas | single, measured | exact, projected | gain | bottleneck | approximate, projected | gain | bottleneck |\n\
         |---:|---:|---:|---:|---|---:|---:|---|\n",
    );
    for Point { replicas, single_packets_per_second: single, exact, approximate } in points {
        let cells = |split: &Split| {
            let rate = split.projected_packets_per_second;
            format!("{:.2} M/s | {:.2} | {}", rate / 1e6, rate / single, split.bottleneck)
        };
        out += &format!(
            "| {replicas} | {:.2} M/s | {} | {} |\n",
            single / 1e6,
            cells(exact),
            cells(approximate)
        );
    }
    out + "\nA projection: packets a second through feature extraction and the network if each replica had a core of its own, from \
           the processor time that its pieces took one after the other on one core: its part of partitioning, of the cells that \
           travel, of joining rows and scoring them. Slots are placed by measured load; reading and writing are left out.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_that_takes_most_bounds_the_rate() {
        let seconds = Duration::from_secs;
        let spent = Spent { shared: seconds(4), replicas: vec![seconds(3), seconds(8)] };
        let split = split(&spent, 100.0);
        assert_eq!((split.total_seconds, split.bottleneck_seconds), (15.0, 10.0));
        assert_eq!((split.projected_packets_per_second, &*split.bottleneck), (10.0, "replica 1"));
    }
}
