//! What detectors found in several captures.

use super::report::{Entry, Report, text as report_text};
use serde::Serialize;
use std::fmt::Write;

/// A gap that is none.
const NEAR: f64 = 0.01;

/// How one detector fares over captures.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// Its name.
    pub detector: &'static str,
    /// Comparisons.
    pub comparisons: usize,
    /// The largest gap to the best single detector.
    pub worst_gap: f64,
    /// The mean gap.
    pub mean_gap: f64,
    /// Comparisons in which the gap is at most .01.
    pub near_best: usize,
    /// Mean part of the malicious packets found at 0.1% false positives.
    pub tpr_at_0_1_percent: f64,
    /// The same at 1%.
    pub tpr_at_1_percent: f64,
    /// Nanoseconds for each packet, the median of the comparisons.
    pub ns_a_packet: f64,
}

/// All comparisons, and how each detector fares in the warm and in the cold ones.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Of trainings on 10,000 packets or more.
    pub warm: Vec<Spread>,
    /// Of trainings on few packets.
    pub cold: Vec<Spread>,
    /// The comparisons.
    pub reports: Vec<Report>,
}

impl Summary {
    pub(super) fn of(reports: Vec<Report>) -> Self {
        let spreads =
            |warm: bool| spreads(&reports.iter().filter(|report| report.warm == warm).collect::<Vec<_>>());
        Self { warm: spreads(true), cold: spreads(false), reports }
    }
}

fn spreads(reports: &[&Report]) -> Vec<Spread> {
    let Some(first) = reports.first() else { return Vec::new() };
    (0..first.detectors.len())
        .map(|at| spread(&reports.iter().map(|r| &r.detectors[at]).collect::<Vec<_>>()))
        .collect()
}

fn spread(entries: &[&Entry]) -> Spread {
    let mean = |value: fn(&Entry) -> f64| {
        entries.iter().map(|entry| value(entry)).sum::<f64>() / entries.len() as f64
    };
    let mut times: Vec<f64> = entries.iter().map(|entry| entry.ns_a_packet).collect();
    times.sort_unstable_by(f64::total_cmp);
    Spread {
        detector: entries[0].detector,
        comparisons: entries.len(),
        worst_gap: entries.iter().map(|entry| entry.gap).fold(0.0, f64::max),
        mean_gap: mean(|entry| entry.gap),
        near_best: entries.iter().filter(|entry| entry.gap <= NEAR).count(),
        tpr_at_0_1_percent: mean(|entry| entry.tpr_at_0_1_percent),
        tpr_at_1_percent: mean(|entry| entry.tpr_at_1_percent),
        ns_a_packet: times[times.len() / 2],
    }
}

/// The summary in words.
pub fn text(summary: &Summary) -> String {
    let mut out: String = summary.reports.iter().map(|report| report_text(report) + "\n").collect();
    for (name, spreads) in [("warm", &summary.warm), ("cold", &summary.cold)] {
        if let Some(first) = spreads.first() {
            // Writing to a text cannot fail.
            let _ = writeln!(
                out,
                "{name}, {} comparisons\n{:<18} {:>9} {:>8} {:>10} {:>9} {:>7} {:>10}",
                first.comparisons,
                "detector",
                "worst gap",
                "mean gap",
                "within .01",
                "TPR@0.1%",
                "TPR@1%",
                "ns/packet"
            );
        }
        for spread in spreads {
            let _ = writeln!(
                out,
                "{:<18} {:>9.3} {:>8.4} {:>10} {:>9.3} {:>7.3} {:>10.0}",
                spread.detector,
                spread.worst_gap,
                spread.mean_gap,
                spread.near_best,
                spread.tpr_at_0_1_percent,
                spread.tpr_at_1_percent,
                spread.ns_a_packet
            );
        }
    }
    out
}
