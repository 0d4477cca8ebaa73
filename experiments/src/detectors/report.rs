//! What detectors found in a capture.

use serde::Serialize;
use std::fmt::{self, Write};
use std::time::Duration;

/// A pause that parts two attacks.
const PAUSE: Duration = Duration::from_secs(60);
/// Rates of false positives.
const RATES: [f64; 2] = [0.001, 0.01];
/// What the names of detectors that join others begin with.
const JOINED: &str = "ensemble";

/// What one detector found.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its name.
    pub detector: &'static str,
    /// Area under the ROC curve, exact; equal scores count half.
    pub auc: f64,
    /// By how much that is below the best of a single detector.
    pub gap: f64,
    /// Part of the malicious packets above the threshold that leaves 0.1% of the benign ones above it.
    pub tpr_at_0_1_percent: f64,
    /// The same with 1%.
    pub tpr_at_1_percent: f64,
    /// Attacks of which a packet is above the threshold of 0.1%.
    pub attacks_found: usize,
    /// Seconds from the first malicious packet to the first one above that threshold; none where there is none.
    pub seconds_to_first: Option<f64>,
    /// Nanoseconds for each packet that was scored, on one core.
    pub ns_a_packet: f64,
}

/// What all of them found in a capture.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The capture.
    pub capture: String,
    /// Whether the training was long.
    pub warm: bool,
    /// Packets of the training.
    pub training_packets: u64,
    /// Benign packets that were judged.
    pub benign: usize,
    /// Malicious ones.
    pub malicious: usize,
    /// Attacks, parted by pauses of a minute.
    pub attacks: usize,
    /// The best AUC of a single detector.
    pub best_single: f64,
    /// The detectors.
    pub detectors: Vec<Entry>,
}

/// The packets that were judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    /// For each packet the attack that it belongs to, from 1; 0 of a benign one.
    attack: Vec<u32>,
    elapsed: Vec<Duration>,
    attacks: u32,
    last: Option<Duration>,
}

impl Judged {
    /// Adds a packet.
    pub fn push(&mut self, malicious: bool, elapsed: Duration) {
        if malicious {
            let goes_on = self.last.is_some_and(|last| elapsed.saturating_sub(last) <= PAUSE);
            self.attacks += u32::from(!goes_on);
            self.last = Some(elapsed);
        }
        self.attack.push(if malicious { self.attacks } else { 0 });
        self.elapsed.push(elapsed);
    }

    /// What detectors found whose scores these are; none where one kind of packets is missing.
    pub fn report<'a>(
        &self,
        (capture, warm, training_packets): (String, bool, u64),
        scores: impl Iterator<Item = (&'static str, &'a [f64], Duration)>,
    ) -> Option<Report> {
        let malicious = self.attack.iter().filter(|attack| **attack > 0).count();
        let benign = self.attack.len() - malicious;
        if benign == 0 || malicious == 0 {
            return None;
        }
        let mut detectors: Vec<Entry> =
            scores.map(|(name, scores, spent)| self.entry(name, scores, spent)).collect();
        let single = detectors.iter().filter(|entry| !entry.detector.starts_with(JOINED));
        let best_single = single.map(|entry| entry.auc).fold(0.0, f64::max);
        detectors.iter_mut().for_each(|entry| entry.gap = (best_single - entry.auc).max(0.0));
        let attacks = self.attacks as usize;
        Some(Report { capture, warm, training_packets, benign, malicious, attacks, best_single, detectors })
    }

    fn entry(&self, detector: &'static str, scores: &[f64], spent: Duration) -> Entry {
        let of = |malicious: bool| {
            let packets = scores.iter().zip(&self.attack).filter(|(_, attack)| (**attack > 0) == malicious);
            let mut scores: Vec<f64> = packets.map(|(score, _)| *score).collect();
            scores.sort_unstable_by(f64::total_cmp);
            scores
        };
        let (benign, malicious) = (of(false), of(true));
        let thresholds = RATES.map(|rate| benign[benign.len() - 1 - (benign.len() as f64 * rate) as usize]);
        let above = |threshold: f64| malicious.len() - malicious.partition_point(|score| *score <= threshold);
        let [low, high] = thresholds.map(|threshold| above(threshold) as f64 / malicious.len() as f64);
        let (attacks_found, seconds_to_first) = self.found(scores, thresholds[0]);
        Entry {
            detector,
            auc: auc(&benign, &malicious),
            gap: 0.0,
            tpr_at_0_1_percent: low,
            tpr_at_1_percent: high,
            attacks_found,
            seconds_to_first,
            ns_a_packet: spent.as_secs_f64() * 1e9 / scores.len() as f64,
        }
    }

    /// Attacks with a packet above a threshold, and seconds from the first malicious packet to the first such.
    fn found(&self, scores: &[f64], threshold: f64) -> (usize, Option<f64>) {
        let (mut found, mut last, mut first) = (0, 0, None);
        for ((score, attack), elapsed) in scores.iter().zip(&self.attack).zip(&self.elapsed) {
            if *attack > last && *score > threshold {
                (found, last) = (found + 1, *attack);
                first.get_or_insert(*elapsed);
            }
        }
        let begin = self.attack.iter().position(|attack| *attack > 0).map(|at| self.elapsed[at]);
        (found, first.zip(begin).map(|(first, begin)| first.saturating_sub(begin).as_secs_f64()))
    }
}

/// The probability that a malicious score is above a benign one, equal ones counting half; both are sorted.
fn auc(benign: &[f64], malicious: &[f64]) -> f64 {
    let below = |score: &f64| {
        let (less, equal) = (benign.partition_point(|b| b < score), benign.partition_point(|b| b <= score));
        (less + equal) as u128
    };
    let halves: u128 = malicious.iter().map(below).sum();
    halves as f64 / (2 * benign.len() as u128 * malicious.len() as u128) as f64
}

/// The report in words.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write(report, &mut out);
    out
}

fn write(report: &Report, out: &mut String) -> fmt::Result {
    let Report { capture, training_packets, benign, malicious, attacks, .. } = report;
    writeln!(
        out,
        "{capture}: trained on {training_packets} packets; judged {benign} benign and {malicious} malicious ones, attacks: {attacks}"
    )?;
    writeln!(
        out,
        "{:<18} {:>6} {:>6} {:>9} {:>7} {:>6} {:>9} {:>10}",
        "detector", "AUC", "gap", "TPR@0.1%", "TPR@1%", "found", "first", "ns/packet"
    )?;
    for entry in &report.detectors {
        let first =
            entry.seconds_to_first.map_or_else(|| "never".into(), |seconds| format!("{seconds:.1} s"));
        writeln!(
            out,
            "{:<18} {:>6.3} {:>6.3} {:>9.3} {:>7.3} {:>6} {:>9} {:>10.0}",
            entry.detector,
            entry.auc,
            entry.gap,
            entry.tpr_at_0_1_percent,
            entry.tpr_at_1_percent,
            entry.attacks_found,
            first,
            entry.ns_a_packet
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_attacks_and_times_by_hand() {
        let mut judged = Judged::default();
        let seconds = [0, 1, 2, 3, 100, 101];
        for (second, malicious) in seconds.into_iter().zip([false, false, true, true, true, false]) {
            judged.push(malicious, Duration::from_secs(second));
        }
        let scores = [1.0, 2.0, 2.0, 5.0, 0.5, 1.5];
        let entries =
            [("pca", &scores[..], Duration::from_nanos(600)), ("ensemble", &scores[..], Duration::ZERO)];
        let report = judged.report(("c".into(), false, 9), entries.into_iter()).unwrap();
        assert_eq!((report.benign, report.malicious, report.attacks), (3, 3, 2));
        let entry = &report.detectors[0];
        // 2.0 wins two and ties one, 5.0 wins three, 0.5 none: 5.5 of 9.
        assert_eq!((entry.auc, entry.gap, report.best_single), (5.5 / 9.0, 0.0, 5.5 / 9.0));
        assert_eq!((entry.tpr_at_0_1_percent, entry.attacks_found), (1.0 / 3.0, 1));
        assert_eq!((entry.seconds_to_first, entry.ns_a_packet), (Some(1.0), 100.0));
        assert!(text(&report).contains("\npca  "));
        assert!(Judged::default().report(("c".into(), false, 9), entries.into_iter()).is_none());
    }
}
