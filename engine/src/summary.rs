//! What a run found, for programs; people are told by the command.

use crate::captures::Series;
use crate::fit::Misfit;
use crate::suppression::Suppressed;
use crate::swap::{NewThreshold, Swapped};
use crate::watch::IncidentSummary;
use legonf_core::{Clock, ClockFaults, Coverage, count};
use legonf_decide::evaluate::{Promise, Report as Evaluation, SpanReport, Summary as ScoreSummary};
use legonf_runtime::{BrickCounters, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;

/// The content of `summary.json`: nothing in it depends on a clock, a path or the number of workers.
#[derive(Serialize)]
pub struct Summary {
    /// Name of the capture's file; of several captures those of the first and the last, or all where they are few.
    pub capture: String,
    /// Names of all captures in the order in which they were read, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<String>,
    /// What a filter left out, where there was one: these packets are no part of those received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered: Option<FilteredOut>,
    /// Name of the file of the model that the scores come from; empty where there is none.
    pub model: String,
    /// Models that came into force meanwhile, each from a packet on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<Swapped>,
    /// Thresholds that came into force meanwhile, each from a packet on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<NewThreshold>,
    /// Names of the files of the models that the graph names, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, String>,
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
    /// Packets that were scored but not judged; none where every packet was judged (`--no-warm-up`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warming_up: Option<WarmingUp>,
    /// Packets above the threshold, but for those that were not judged.
    pub alerts: u64,
    /// Those of them that were written; none where no alerts are written at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_written: Option<u64>,
    /// Those that were held back: they are told of by their incidents, and counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_held_back: Option<u64>,
    /// Those that were suppressed, where there is a file of suppressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts_suppressed: Option<u64>,
    /// What each suppression did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<Suppressed>,
    /// What the alerts gathered into; none where there can be no alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incidents: Option<IncidentSummary>,
    /// Whether the graph decides on scores: without, there are no scores and no alerts to tell of.
    #[serde(skip)]
    pub decides_on_scores: bool,
    /// For each column of verdicts but those on scores (`verdicts`) the number of packets by label; empty if the graph has no other.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, BTreeMap<String, u64>>,
    /// Rows of flows; none if the graph has no columns of flows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<FlowCounts>,
    /// Malformed packets by reason, evictions by table, and other counters that are not zero.
    pub counters: BTreeMap<String, u64>,
    /// What was wrong with the capture's clock; none where it was in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReport>,
    /// That the model does not fit what it judged, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misfit: Option<Misfit>,
    /// Against labels, where they were given.
    pub evaluation: Option<Evaluation>,
    /// Against labels, by windows of 10 s, by hosts and by incidents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<SpanReport>,
    /// Why the replay ended before the end of the capture, if it did.
    pub ended_early: Option<String>,
}

/// Packets that did not pass a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilteredOut {
    /// The BPF expression.
    pub filter: String,
    /// How many.
    pub packets: u64,
}

impl Summary {
    /// Says which captures were read, and how many of their packets a filter left out.
    pub(crate) fn read_from(&mut self, series: &Series) {
        self.captures = series.names();
        let left_out = |(filter, packets): (&str, u64)| FilteredOut { filter: filter.to_owned(), packets };
        self.filtered = series.filter().map(left_out);
    }
}

/// Flows that got a row: when they were ready, at their end, or at that of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowCounts {
    /// How many.
    pub rows: u64,
    /// Those of them that were still open at the end of the input. With `--state-out` there are none: these flows go on.
    pub open_at_end: u64,
    /// For each column of verdicts on flows their number by label; empty if the graph has no such column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Packets of the time in which statistics settle: they are among those that were scored, and have no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WarmingUp {
    /// How many.
    pub packets: u64,
    /// Seconds of packet time from the first packet of the stream on.
    pub seconds: f64,
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
pub struct Disturbances {
    /// Bricks that panicked and were made anew.
    pub restarts: u64,
    /// Bricks that were lost with the process or the host that they ran in, and were made anew.
    pub losses: u64,
    /// Milliseconds that the longest of these took to be back.
    pub recovery_ms_max: f64,
    /// Slots whose state moved from replica to replica.
    pub moved_slots: u64,
    /// Bytes of this state.
    pub moved_bytes: u64,
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
    /// Packets, copies among them, that left by each port of the graph with an interface.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sent: BTreeMap<String, u64>,
    /// Mirrored copies that could not leave; of packets that could not, the coverage tells.
    #[serde(skip_serializing_if = "is_zero")]
    pub unsent_copies: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Disturbances {
    /// Those of a run.
    pub fn of(outcome: &Outcome) -> Self {
        let pauses = &outcome.pauses;
        Self {
            restarts: outcome.restarts,
            losses: outcome.losses.count,
            recovery_ms_max: outcome.losses.longest.as_secs_f64() * 1e3,
            moved_slots: pauses.slots,
            moved_bytes: pauses.bytes,
            paused_packets: pauses.packets,
            pause_ms_p99: pauses.p99.as_secs_f64() * 1e3,
            pause_ms_max: pauses.longest.as_secs_f64() * 1e3,
        }
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

/// Part of every summary where a capture's clock was not in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockReport {
    /// Packets up to a second behind others.
    pub reordered: u64,
    /// Times that the clock went further back.
    pub steps_back: u64,
    /// Times that it went ahead further than time can have passed.
    pub jumps: u64,
    /// Seconds of all steps back.
    pub seconds_back: f64,
    /// Seconds of all jumps.
    pub seconds_ahead: f64,
    /// Number of the first packet that shows it, from 0.
    pub first_seq: u64,
    /// Whether the features leave these times out; otherwise they follow the time stamps, as the reference does.
    pub left_out: bool,
    /// The feature schema.
    #[serde(skip)]
    pub schema: String,
}

impl ClockReport {
    /// What there is to say of a run; none where the clock was in order.
    pub fn of(clock: &Clock, schema: &str) -> Option<Self> {
        let ClockFaults { reordered, steps_back, jumps, back, ahead, first } = clock.faults();
        let (seconds_back, seconds_ahead) = (back as f64 / 1e9, ahead as f64 / 1e9);
        let (left_out, schema) = (legonf_extract::follows_stream_time(schema), schema.to_owned());
        let report = |first_seq| Self {
            reordered,
            steps_back,
            jumps,
            seconds_back,
            seconds_ahead,
            first_seq,
            left_out,
            schema,
        };
        first.map(report)
    }
}

/// All counters of a run that are not zero, by name.
pub(crate) fn flatten(counters: &[BrickCounters]) -> BTreeMap<String, u64> {
    let all = counters.iter().flat_map(|b| b.counters.iter());
    all.filter(|(_, value)| *value > 0).map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// [`flatten`] with what was wrong with the capture's clock, for records that have nothing but counters.
pub(crate) fn with_clock(outcome: &Outcome) -> BTreeMap<String, u64> {
    let clock = BrickCounters { id: String::new(), counters: outcome.clock.faults().counters().into() };
    let mut counters = flatten(&outcome.counters);
    counters.extend(flatten(&[clock]));
    counters
}
