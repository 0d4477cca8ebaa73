//! What the experiment found, as numbers, Markdown and CSV.

use super::split::Done;
use super::{Options, PAPER_SINGLE, picture};
use crate::{Costs, ExperimentError, Loads};
use legonf_core::{SLOTS, balanced};
use serde::Serialize;
use std::fmt::Write;

/// Overloading streams that are named.
const NAMED: usize = 3;
/// Replicas whose packets are listed one by one in Markdown.
const LISTED: usize = 8;

/// One way to run Kitsune.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name: `single`, a granularity, or `exact plan`.
    pub split: String,
    /// Average of the scores.
    pub average_rmse: f64,
    /// LEGO's average RMSE of the Mirai capture, where its Table II has one.
    pub paper_average_rmse: Option<f64>,
    /// Average less that of the single instance.
    pub deviation: f64,
    /// Mean of the absolute differences of the scores from the single instance's.
    pub mean_absolute_deviation: f64,
    /// The largest of them.
    pub worst_deviation: f64,
    /// Scores that are not the single instance's bit for bit.
    pub differing_scores: u64,
    /// Scores above the threshold, where there is one.
    pub alerts: Option<u64>,
    /// Alerts of the single instance that are none here.
    pub alerts_lost: Option<u64>,
    /// Alerts that the single instance does not give.
    pub alerts_gained: Option<u64>,
    /// Copies of headers that were sent, for each packet.
    pub replication: f64,
    /// Slots whose state went from one replica to another on the way.
    pub slots_moved: u64,
    /// Seconds of feature extraction, all replicas together.
    pub extraction_seconds: f64,
    /// Packets that came to each replica by shard, and what they cost.
    pub costs: Costs,
    /// Where slots would go by measured load, by shard.
    pub placements: Vec<Placement>,
}

/// A shard's packets by replica if its slots were placed by measured load, the heaviest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placement {
    /// Packets of each replica.
    pub packets: Vec<u64>,
    /// The heaviest of the streams that alone are more than an even share, with what would help.
    pub overloads: Vec<String>,
    /// How many such streams there are.
    pub overloading: usize,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Replicas of each shard.
    pub replicas: usize,
    /// Packets that came.
    pub received: u64,
    /// Packets that got a score, skipped ones included.
    pub scored: u64,
    /// Packets whose score is not a finite number.
    pub rejected: u64,
    /// Packets that were lost.
    pub dropped: u64,
    /// Packets that the averages leave out.
    pub skipped: u64,
    /// Scores above it are alerts.
    pub threshold: Option<f64>,
    /// The single instance, and the splits.
    pub rows: Vec<Row>,
    /// Why the experiment fails: the exact plan deviates.
    pub failure: Option<String>,
}

pub(super) fn make(options: &Options, scores: &[f64], seconds: f64, splits: &[Done]) -> Report {
    let single = single(options, scores, seconds);
    let average = single.average_rmse;
    let rows = splits.iter().map(|split| row(split, scores.len() as u64, average, options));
    let rejected = scores.iter().filter(|score| !score.is_finite()).count() as u64;
    let received = scores.len() as u64;
    Report {
        replicas: options.replicas,
        received,
        scored: received - rejected,
        rejected,
        dropped: 0,
        skipped: options.skip.min(received),
        threshold: options.threshold,
        rows: std::iter::once(single).chain(rows).collect(),
        failure: splits.iter().find_map(|split| deviation(split, received)).map(|error| error.to_string()),
    }
}

/// Why a split that must not deviate is at fault.
fn deviation(split: &Done, received: u64) -> Option<ExperimentError> {
    let (name, tally) = (split.kind.name.to_owned(), &split.tally);
    if tally.scored != received {
        return Some(ExperimentError::Missing { split: name, scored: tally.scored, received });
    }
    let (seq, found, expected) = tally.first.filter(|_| split.kind.exact)?;
    Some(ExperimentError::Deviation { split: name, packets: tally.differing, seq, found, expected })
}

fn single(options: &Options, scores: &[f64], seconds: f64) -> Row {
    let counted = || scores.iter().skip(options.skip as usize).filter(|score| score.is_finite());
    let alerts = |threshold: f64| scores.iter().filter(|score| **score > threshold).count() as u64;
    Row {
        split: "single".into(),
        average_rmse: counted().sum::<f64>() / counted().count().max(1) as f64,
        paper_average_rmse: Some(PAPER_SINGLE),
        deviation: 0.0,
        mean_absolute_deviation: 0.0,
        worst_deviation: 0.0,
        differing_scores: 0,
        alerts: options.threshold.map(alerts),
        alerts_lost: options.threshold.map(|_| 0),
        alerts_gained: options.threshold.map(|_| 0),
        replication: 1.0,
        slots_moved: 0,
        extraction_seconds: seconds,
        costs: Costs { packets: vec![vec![scores.len() as u64]], replica_seconds: vec![vec![seconds]] },
        placements: Vec::new(),
    }
}

fn row(split: &Done, packets: u64, average: f64, options: &Options) -> Row {
    let (tally, costs) = (&split.tally, split.costs.clone());
    let counted = tally.counted.max(1) as f64;
    let sent: u64 = costs.packets.iter().flatten().sum();
    let with_threshold = |value| options.threshold.map(|_| value);
    Row {
        split: split.kind.name.into(),
        average_rmse: tally.sum / counted,
        paper_average_rmse: split.kind.paper,
        deviation: tally.sum / counted - average,
        mean_absolute_deviation: tally.sum_of_deviations / counted,
        worst_deviation: tally.worst,
        differing_scores: tally.differing,
        alerts: with_threshold(tally.alerts),
        alerts_lost: with_threshold(tally.lost),
        alerts_gained: with_threshold(tally.gained),
        replication: sent as f64 / packets.max(1) as f64,
        slots_moved: split.moved,
        extraction_seconds: costs.replica_seconds.iter().flatten().sum(),
        placements: split.loads.iter().map(|loads| placement(loads, options.replicas)).collect(),
        costs,
    }
}

fn placement(loads: &Loads, replicas: usize) -> Placement {
    let (overloads, owners) = (loads.overloads(replicas), balanced(&[0; SLOTS], &loads.by_slot(), replicas));
    Placement {
        packets: loads.by_replica(&owners, replicas),
        overloads: overloads.iter().take(NAMED).map(ToString::to_string).collect(),
        overloading: overloads.len(),
    }
}

impl Report {
    /// The table as Markdown, with what is worth saying below it.
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "| split | average RMSE | LEGO's | deviation | mean abs. deviation | scores that differ | alerts | lost | gained | \
             packets by replica | copies |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|\n",
        );
        for row in &self.rows {
            let optional = |value: Option<u64>| value.map_or("–".into(), |v| v.to_string());
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "| {} | {:.6} | {} | {:+.3e} | {:.3e} | {} | {} | {} | {} | {} | {:.2} |",
                row.split,
                row.average_rmse,
                row.paper_average_rmse.map_or("–".into(), |p| format!("{p:.3}")),
                row.deviation,
                row.mean_absolute_deviation,
                row.differing_scores,
                optional(row.alerts),
                optional(row.alerts_lost),
                optional(row.alerts_gained),
                row.costs.packets.iter().map(|packets| list(packets)).collect::<Vec<_>>().join(" + "),
                row.replication,
            );
        }
        let _ = writeln!(
            out,
            "\n{} received = {} scored + {} rejected + {} dropped; {} replicas of each shard; the averages leave out the first {}.",
            self.received, self.scored, self.rejected, self.dropped, self.replicas, self.skipped
        );
        let moved: u64 = self.rows.iter().map(|row| row.slots_moved).sum();
        if moved > 0 {
            let _ =
                writeln!(out, "\nThe exact plan moved {moved} slots with their state while packets came.");
        }
        out + &self.placements()
    }

    /// Where the exact plan's slots would go by load, and which streams stand in the way.
    fn placements(&self) -> String {
        let mut out = String::new();
        let exact = self.rows.last().into_iter().flat_map(|row| row.placements.iter().enumerate());
        for (shard, Placement { packets, overloads, overloading }) in exact.map(|(at, p)| (at + 1, p)) {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "\nShard {shard} placed by measured load, the heaviest slots first: {}.",
                list(packets)
            );
            for line in overloads {
                let _ = writeln!(out, "\nShard {shard}: {line}.");
            }
            if *overloading > overloads.len() {
                let _ =
                    writeln!(out, "\nShard {shard}: {} more streams are so.", overloading - overloads.len());
            }
        }
        out
    }

    /// The table as CSV. What work took is in the JSON report alone: every other number is the same in every run.
    pub fn csv(&self) -> String {
        let mut out = String::from(
            "split,average_rmse,paper_average_rmse,deviation,mean_absolute_deviation,worst_deviation,differing_scores,\
             alerts,alerts_lost,alerts_gained,packets_by_replica,replication\n",
        );
        for row in &self.rows {
            let optional = |value: Option<u64>| value.map_or(String::new(), |v| v.to_string());
            let _ = writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{},{},{}",
                row.split,
                row.average_rmse,
                row.paper_average_rmse.map_or(String::new(), |p| p.to_string()),
                row.deviation,
                row.mean_absolute_deviation,
                row.worst_deviation,
                row.differing_scores,
                optional(row.alerts),
                optional(row.alerts_lost),
                optional(row.alerts_gained),
                by_shard(&row.costs.packets),
                row.replication,
            );
        }
        out
    }

    /// The mean absolute deviations as a bar chart (SVG).
    pub fn svg(&self) -> String {
        picture::svg(self)
    }
}

/// The packets of each replica; of many replicas the range.
fn list(packets: &[u64]) -> String {
    match (packets.iter().min(), packets.iter().max()) {
        (Some(least), Some(most)) if packets.len() > LISTED => format!("{least} to {most}"),
        _ => packets.iter().map(u64::to_string).collect::<Vec<_>>().join(" "),
    }
}

/// `4 5 6 + 7 8 9`: replicas of one shard, then of the next.
fn by_shard(packets: &[Vec<u64>]) -> String {
    let shard = |packets: &Vec<u64>| packets.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
    packets.iter().map(shard).collect::<Vec<_>>().join(" + ")
}
