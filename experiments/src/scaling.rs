//! Throughput by the number of replicas: projected from what each replica, dispatcher and merge take of a processor.

use crate::{Clock, Cluster, Costs, ExperimentError, Make, Setup};
use legonf_core::{BATCH, Headers, Rows, Schema, Timestamp};
use legonf_splitter::{GroupSet, Loads, Plan, Shard};
use serde::Serialize;

/// Numbers of replicas of a shard.
pub const REPLICAS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Rounds of which the median counts.
const ROUNDS: usize = 3;

/// What one way to split takes at one number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Split {
    /// Seconds of processor time of all parts together.
    pub total_seconds: f64,
    /// Of the part that takes most, with a core for each.
    pub bottleneck_seconds: f64,
    /// Which part that is.
    pub bottleneck: String,
    /// Packets a second with a core for each part: a projection.
    pub projected_packets_per_second: f64,
}

/// The splits at one number of replicas of each shard, fed batch by batch in turn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Replicas of each shard.
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
    /// The columns of whole rows.
    pub schema: &'a Schema,
    /// The groups of the extractor.
    pub set: &'a GroupSet,
    /// The exact plan.
    pub exact: &'a Plan,
    /// Makes the replicas, and for a shard with all groups the single instance.
    pub make: Make<'a>,
    /// Seed of the slots' hash.
    pub seed: u64,
    /// Measures work.
    pub clock: Clock,
}

impl Scaling<'_> {
    /// Measures feature extraction of these packets, the second time that they come, at each of [`REPLICAS`]; `done` is told after each of them. Slots are
    /// placed by their load, which a run before has measured.
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

    fn cluster(&self, plan: &Plan, replicas: usize, loads: &[Loads]) -> Result<Cluster, ExperimentError> {
        let Self { schema, set, make, seed, clock, .. } = *self;
        Cluster::new(&Setup { schema, set, plan, replicas, seed, make, clock })?.placed(loads)
    }

    /// The loads of each shard's slots.
    fn loads(&self, plan: &Plan, packets: &[Headers]) -> Result<Vec<Loads>, ExperimentError> {
        let mut cluster = self.cluster(plan, 1, &[])?;
        cluster.push(packets, &mut |_, _| {});
        cluster.flush(&mut |_, _| {});
        Ok(cluster.loads().map(|(loads, _)| loads.clone()).collect())
    }

    fn round(
        &self,
        plans: [&Plan; 2],
        loads: &[Vec<Loads>; 2],
        replicas: usize,
        packets: &[Headers],
    ) -> Result<Point, ExperimentError> {
        let routes = plans[0].shards.iter().flat_map(|shard| shard.routes.clone()).collect();
        let mut single = (self.make)(&Shard { routes })?;
        let mut exact = self.cluster(plans[0], replicas, &loads[0])?;
        let mut approximate = self.cluster(plans[1], replicas, &loads[1])?;
        let (mut rows, mut seconds) = (Rows::default(), 0.0);
        let mut run = |packets: &[Headers]| {
            seconds = 0.0;
            exact.reset_costs();
            approximate.reset_costs();
            for batch in packets.chunks(BATCH) {
                let start = (self.clock)();
                single.extract(batch, &mut rows);
                seconds += ((self.clock)() - start).as_secs_f64();
                exact.push(batch, &mut |_, _| {});
                approximate.push(batch, &mut |_, _| {});
            }
            exact.flush(&mut |_, _| {});
            approximate.flush(&mut |_, _| {});
        };
        run(packets);
        run(&later(packets));
        let count = packets.len() as f64;
        Ok(Point {
            replicas,
            single_packets_per_second: rate(count, seconds),
            exact: split(&exact.costs(), count),
            approximate: split(&approximate.costs(), count),
        })
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

fn split(costs: &Costs, packets: f64) -> Split {
    let replica = |(shard, seconds): (usize, &Vec<f64>)| {
        let of = |(at, seconds): (usize, &f64)| (*seconds, format!("replica {at} of shard {}", shard + 1));
        seconds.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    let dispatchers = costs.dispatcher_seconds.iter().enumerate();
    let dispatchers =
        dispatchers.map(|(shard, seconds)| (*seconds, format!("dispatcher of shard {}", shard + 1)));
    let mut parts: Vec<_> =
        costs.replica_seconds.iter().enumerate().flat_map(replica).chain(dispatchers).collect();
    parts.push((costs.announcement_seconds, "announcement to the merge".into()));
    parts.push((costs.merge_seconds, "merge".into()));
    let total_seconds = parts.iter().map(|(seconds, _)| seconds).sum();
    let most = parts.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let (bottleneck_seconds, bottleneck) = most.unwrap_or_default();
    let projected_packets_per_second = rate(packets, bottleneck_seconds);
    Split { total_seconds, bottleneck_seconds, bottleneck, projected_packets_per_second }
}

/// The points as Markdown.
pub fn markdown(points: &[Point]) -> String {
    let mut out = String::from(
        "| replicas of each shard | single, measured | exact, projected | gain | bottleneck | approximate, projected | gain | bottleneck |\n\
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
    out + "\nA projection: packets a second of feature extraction if each replica, dispatcher and the merge had a core of its \
           own, from the processor time that each took of one core. Slots are placed by measured load.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_takes_most_bounds_the_rate() {
        let costs = Costs {
            packets: vec![vec![60, 40], vec![100]],
            replica_seconds: vec![vec![3.0, 4.0], vec![5.0]],
            dispatcher_seconds: vec![1.0, 1.5],
            announcement_seconds: 0.5,
            merge_seconds: 2.0,
        };
        let split = split(&costs, 100.0);
        assert_eq!((split.total_seconds, split.bottleneck_seconds), (17.0, 5.0));
        assert_eq!((split.projected_packets_per_second, &*split.bottleneck), (20.0, "replica 0 of shard 2"));
    }
}
