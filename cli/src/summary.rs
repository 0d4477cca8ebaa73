//! What a replay found, for people and for programs.

pub mod clock;
pub mod tables;

use clock::ClockReport;
use legonf_core::{Coverage, count};
use legonf_output::one_line;
use legonf_runtime::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write};

use legonf_decide::evaluate::{BenignShare, Promise, Report as Evaluation, Summary as ScoreSummary};

/// The content of `summary.json`: nothing in it depends on a clock, a path or the number of workers.
#[derive(Serialize)]
pub struct Summary {
    /// Name of the capture's file.
    pub capture: String,
    /// Name of the model's file.
    pub model: String,
    /// Feature schema and its hash.
    pub schema: String,
    /// Hash of the schema.
    pub schema_hash: String,
    /// Numbers that the KitNET is executed in, `f64` or `f32`; none where a generic engine runs the model.
    pub precision: Option<String>,
    /// Seed by which streams were divided into slots; none where there were no packets.
    pub slot_seed: Option<u64>,
    /// Where every packet went.
    pub coverage: Coverage,
    /// Distribution of the scores (RMSE); none where nothing was scored.
    pub score: Option<ScoreSummary>,
    /// Scores above it are anomalous; none where only scores were wanted.
    pub threshold: Option<f64>,
    /// The share of benign packets above the threshold that its calibration stands for.
    pub false_positive_bound: Option<f64>,
    /// That share beside what the labels show, where both are there.
    pub promise: Option<Promise>,
    /// Packets above the threshold.
    pub alerts: u64,
    /// Those of them that were written, and those that were only counted; none where no alerts are written at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_written: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_suppressed: Option<u64>,
    /// Malformed packets by reason, evictions by table, and other counters that are not zero.
    pub counters: BTreeMap<String, u64>,
    /// What was wrong with the capture's clock; none where it was in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReport>,
    /// Against labels, where they were given.
    pub evaluation: Option<Evaluation>,
    /// Why the replay ended before the end of the capture, if it did.
    pub ended_early: Option<String>,
}

/// How long a replay took. Apart from [`Summary`], since no two runs take the same time.
#[derive(Clone, Copy, Serialize)]
pub struct Timing {
    /// Wall-clock seconds from the first packet read to the last result written.
    pub seconds: f64,
    /// Packets a second over that time.
    pub packets_per_second: f64,
}

/// What happened to the bricks of a run. Apart from [`Summary`], since no result depends on it: it follows from the layout, the
/// controller and the machine.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Incidents {
    /// Bricks that panicked and were made anew.
    pub restarts: u64,
    /// Slots whose state moved from replica to replica.
    pub moved_slots: u64,
    /// Packets that waited for one of them.
    pub paused_packets: u64,
    /// Milliseconds that 99% of these waited at most.
    pub pause_ms_p99: f64,
    /// Milliseconds that the longest of them waited.
    pub pause_ms_max: f64,
}

/// What happened to the interface and the outputs of a live run, which lasts however they fare.
#[derive(Default, Serialize)]
pub struct Service {
    /// How often the interface was seen to be down.
    pub interface_down: u64,
    /// How often the files were opened anew (SIGHUP).
    pub reopened: u64,
    /// Lines or packets that each output did not take.
    pub lost: BTreeMap<&'static str, u64>,
    /// What went wrong with an output first.
    pub trouble: BTreeMap<&'static str, String>,
}

impl Service {
    /// Lines of text on what there was; nothing where all went on undisturbed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.interface_down > 0 {
            text += &format!("interface   went down {} times, and the run went on\n", self.interface_down);
        }
        for (output, reason) in &self.trouble {
            let lost = self.lost.get(output).copied().unwrap_or(0);
            text += &format!("lost        {lost} of --{output}: {reason}\n");
        }
        text
    }
}

impl Incidents {
    /// Those of a run.
    pub fn of(outcome: &Outcome) -> Self {
        let pauses = &outcome.pauses;
        Self {
            restarts: outcome.restarts,
            moved_slots: pauses.slots,
            paused_packets: pauses.packets,
            pause_ms_p99: pauses.p99.as_secs_f64() * 1e3,
            pause_ms_max: pauses.longest.as_secs_f64() * 1e3,
        }
    }

    /// Lines of text on what there was; nothing where all went on undisturbed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.restarts > 0 {
            let panics = count(self.restarts, "panic");
            text +=
                &format!("restarts    {panics} of bricks, each of which was made anew; please report this\n");
        }
        if self.moved_slots > 0 {
            text += &self.pauses();
        }
        text
    }

    /// What packets waited for slots that moved, in a line.
    pub fn pauses(&self) -> String {
        format!(
            "pauses      {} moved, for which {} waited: {:.2} ms for 99 of 100, {:.2} ms at most\n",
            count(self.moved_slots, "slot"),
            count(self.paused_packets, "packet"),
            self.pause_ms_p99,
            self.pause_ms_max
        )
    }
}

impl Summary {
    /// The summary as lines of text.
    pub fn text(&self, timing: Timing) -> Result<String, fmt::Error> {
        let mut out = String::new();
        writeln!(out, "capture     {}", one_line(&self.capture))?;
        let precision = self.precision.iter().map(|p| format!(", network in {p}")).collect::<String>();
        writeln!(out, "model       {} ({}{precision})", one_line(&self.model), self.schema)?;
        let rate = timing.packets_per_second;
        writeln!(
            out,
            "packets     {} in {:.3} s, {rate:.0} packets/s",
            self.coverage.received, timing.seconds
        )?;
        writeln!(out, "coverage    {}", self.coverage)?;
        out.extend(self.clock.iter().map(ClockReport::text));
        self.write_scores(&mut out)?;
        match self.threshold {
            Some(threshold) => {
                let left_out = self.left_out();
                writeln!(out, "alerts      {} above the threshold of {threshold:.6}{left_out}", self.alerts)?
            }
            None => {
                writeln!(out, "alerts      none: the model has no threshold (`legonf calibrate` sets one)")?
            }
        }
        if let Some(evaluation) = &self.evaluation {
            write_evaluation(&mut out, evaluation)?;
        }
        if let Some(promise) = &self.promise {
            writeln!(out, "bound       {}", promised(promise))?;
        }
        if !self.counters.is_empty() {
            let list: Vec<_> = self.counters.iter().map(|(k, v)| format!("{k} {v}")).collect();
            writeln!(out, "counters    {}", list.join(", "))?;
        }
        Ok(out)
    }

    /// The words on alerts that were not written.
    fn left_out(&self) -> String {
        match (self.alerts_written, self.alerts_suppressed) {
            (Some(written), Some(suppressed @ 1..)) => {
                format!(
                    "; {written} of them written, {suppressed} only counted (--alerts-per-source, --alerts-per-second)"
                )
            }
            _ => String::new(),
        }
    }

    fn write_scores(&self, out: &mut String) -> fmt::Result {
        let Some(s) = &self.score else { return writeln!(out, "RMSE        no packet was scored") };
        writeln!(
            out,
            "RMSE        mean {:.6}, p50 {:.6}, p90 {:.6}, p99 {:.6}, p99.9 {:.6}, max {:.6}",
            s.mean, s.p50, s.p90, s.p99, s.p999, s.max
        )
    }
}

fn write_evaluation(out: &mut String, e: &Evaluation) -> fmt::Result {
    let percent =
        |rate: Option<f64>| rate.map_or_else(|| "undefined".to_owned(), |r| format!("{:.3}%", 100.0 * r));
    let auc = e.auc.map_or_else(|| "undefined".to_owned(), |a| format!("{a:.6}"));
    writeln!(out, "labels      AUC {auc}, TPR {}, FPR {}", percent(e.tpr), percent(e.fpr))?;
    let c = &e.confusion;
    writeln!(out, "            {:>12} {:>12}", "anomalous", "benign")?;
    writeln!(out, "  malicious {:>12} {:>12}", c.true_positives, c.false_negatives)?;
    writeln!(out, "  benign    {:>12} {:>12}", c.false_positives, c.true_negatives)
}

/// What the threshold stands for beside what the labels show, in a line.
fn promised(promise: &Promise) -> String {
    let share = |share: BenignShare, contradicted| {
        let word = if contradicted { ", which contradicts it" } else { "" };
        format!("{} of {} ({:.3}%{word})", share.above, share.packets, 100.0 * share.rate())
    };
    let mut line = format!(
        "false positives at most {:.4}% by the model; before the first malicious packet {}",
        100.0 * promise.false_positive_bound,
        share(promise.before_attack, promise.contradicted_before)
    );
    if promise.since_attack.packets > 0 {
        line += &format!(", from it on {}", share(promise.since_attack, promise.contradicted_since));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Clock;
    use legonf_runtime::Pauses;
    use std::time::Duration;

    fn outcome(restarts: u64, pauses: Pauses) -> Outcome {
        let (counters, clock) = (Vec::new(), Clock::default());
        Outcome { packets: 9, counters, restarts, pauses, clock, stopped: false, fault: None }
    }

    #[test]
    fn a_bound_that_the_labels_contradict_is_said_to_be() {
        let share = |packets, above| BenignShare { packets, above };
        let promise = Promise {
            false_positive_bound: 0.001,
            before_attack: share(50_000, 29),
            since_attack: share(16_000, 4_000),
            contradicted_before: false,
            contradicted_since: true,
        };
        let line = "false positives at most 0.1000% by the model; before the first malicious packet 29 of 50000 (0.058%), \
                    from it on 4000 of 16000 (25.000%, which contradicts it)";
        assert_eq!(promised(&promise), line);
        let quiet = Promise { since_attack: share(0, 0), contradicted_since: false, ..promise };
        assert!(promised(&quiet).ends_with("29 of 50000 (0.058%)"));
    }

    #[test]
    fn only_what_happened_is_told() {
        assert_eq!(Incidents::of(&outcome(0, Pauses::default())).text(), "");
        let restarted = Incidents::of(&outcome(2, Pauses::default())).text();
        assert!(restarted.starts_with("restarts    2 panics of bricks") && restarted.lines().count() == 1);
        let (p99, longest) = (Duration::from_micros(1500), Duration::from_micros(2250));
        let pauses = Pauses { slots: 4096, packets: 77, p99, longest };
        let moved = Incidents::of(&outcome(0, pauses));
        let line = "pauses      4096 slots moved, for which 77 packets waited: 1.50 ms for 99 of 100, 2.25 ms at most\n";
        assert_eq!(moved.text(), line);
        let json = serde_json::to_value(moved).unwrap();
        assert_eq!((&json["restarts"], &json["paused_packets"]), (&0.into(), &77.into()));
        assert_eq!((&json["pause_ms_p99"], &json["pause_ms_max"]), (&1.5.into(), &2.25.into()));
    }
}
