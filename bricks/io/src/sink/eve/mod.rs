//! Alerts in Suricata's EVE format: one JSON object a line.

mod flow;
mod record;

use super::limit::AlertLimit;
use super::scored::{Results, Scored};
use super::{AlertRate, Lines, OutputFile, SinkError};
use crate::FEATURES;
use legonf_core::{
    Account, Batch, BindError, Clock, ColumnSpec, Coverage, Explain, Explanation, Fault, Findings, Handle,
    Headers, Incident, Layout, Notice, Rows, Sink, Timestamp, Verdict,
};
use record::{AlertRecord, HeldBackRecord, IncidentRecord, StatsRecord};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Autoencoders in an explanation, and features of each.
const TOP: usize = 3;

/// What the closing record of an [`Eve`] file says about the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Where every received packet went.
    pub coverage: Coverage,
    /// Counters of sources and bricks by name: evictions, malformed packets by reason.
    pub counters: BTreeMap<String, u64>,
}

/// Sets the [`RunStats`] of an [`Eve`] sink from outside, also when the sink itself has been handed over.
#[derive(Clone, Debug, Default)]
pub struct StatsHandle(Arc<Mutex<Option<RunStats>>>);

impl StatsHandle {
    /// Sets what the closing record says; to be called before the sink's `finish`.
    pub fn set(&self, stats: RunStats) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stats);
    }

    fn get(&self) -> Option<RunStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes `alert` records for packets with [`Verdict::ANOMALOUS`], an `incident` record for each incident when it has ended, and
/// at the end one `stats` record.
///
/// Of the alerts some are written, by their [rate](Self::limited). What was held back in a second, or in the span of the rate, is
/// told before the first alert of the next, or at the end, in one record of the type `held_back`: how many alerts, and of which
/// sources most of them were.
///
/// Every record keeps to Suricata's schema, so that its tools read them; what Suricata has no field for is in
/// `alert.metadata.legonf`, and counters are in `metadata.flowints`, where the schema has room. The action is `blocked` where the
/// packet was dropped, else `allowed`. `pcap_cnt` is the packet's number in the capture, from 1. Times are packet times: the
/// file holds no wall clock.
pub struct Eve {
    out: Box<dyn Lines>,
    threshold: f64,
    explain: Option<Box<dyn Explain>>,
    stats: StatsHandle,
    tally: Tally,
    limit: AlertLimit,
    /// For each packet of the last batch whether its alert was written.
    written: Vec<bool>,
    /// Name of the interface that packets come from.
    interface: Option<String>,
    lines: Vec<u8>,
    results: Results,
    /// What alerts are explained by, where they are.
    features: Option<Handle<Rows>>,
}

/// What the sink counts itself.
#[derive(Debug, Default)]
struct Tally {
    packets: u64,
    bytes: u64,
    malformed: u64,
    alerts: u64,
    /// Of them, those of sources that are not to be told of.
    suppressed: u64,
    account: Account,
    clock: Clock,
    last: Timestamp,
}

impl Eve {
    /// Alerts from now on are above another threshold.
    pub fn set_threshold(&mut self, threshold: f64) {
        self.threshold = threshold;
    }

    /// Creates the file; `-` is standard output. `threshold` is the score above which a packet is anomalous;
    /// `explain` says why it is.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, threshold: f64, explain: Option<Box<dyn Explain>>) -> Result<Self, SinkError> {
        Ok(Self::over(Box::new(OutputFile::create(path)?), threshold, explain))
    }

    /// As [`create`](Self::create), over an open output.
    pub fn over(out: Box<dyn Lines>, threshold: f64, explain: Option<Box<dyn Explain>>) -> Self {
        let (stats, tally, limit) =
            (StatsHandle::default(), Tally::default(), AlertLimit::new(AlertRate::ALL));
        let (written, interface, lines, results, features) = Default::default();
        Self { out, threshold, explain, stats, tally, limit, written, interface, lines, results, features }
    }

    /// The same sink with a bound on the alerts that it writes; without it writes all.
    #[must_use]
    pub fn limited(self, rate: AlertRate) -> Self {
        Self { limit: AlertLimit::new(rate), ..self }
    }

    /// The same sink, whose records name the interface that packets come from.
    #[must_use]
    pub fn on_interface(self, name: String) -> Self {
        Self { interface: Some(name), ..self }
    }

    /// Where to put the run's coverage and counters for the closing record. If nothing is put there, the record
    /// tells what the sink has seen.
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// Writes a `stats` record of a run that goes on: where its packets went by the time `at`, so long after it began.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tell(&mut self, stats: &RunStats, at: Timestamp, uptime: Duration) -> Result<(), SinkError> {
        let untold = self.limit.held_back() + self.tally.suppressed;
        let record = StatsRecord::new(stats, &self.tally, untold, self.interface.as_deref()).at(at, uptime);
        let mut lines = Vec::new();
        line(&mut lines, &record);
        self.out.put(&lines)
    }

    /// Where the lines go.
    pub fn output(&mut self) -> &mut dyn Lines {
        &mut *self.out
    }

    /// Alerts seen so far, written or not.
    pub fn alerts(&self) -> u64 {
        self.tally.alerts
    }

    /// Alerts that were held back so far.
    pub fn held_back(&self) -> u64 {
        self.limit.held_back()
    }

    /// For each packet of the last batch whether its alert was written.
    pub fn written(&self) -> &[bool] {
        &self.written
    }

    /// Whether a packet's alert is written. Tells before what was held back in the span before.
    fn admits(&mut self, headers: &Headers, row: Scored, notice: Notice, lines: &mut Vec<u8>) -> bool {
        if row.verdict != Verdict::ANOMALOUS || row.disposition.is_unseen() {
            return false;
        }
        if notice == Notice::Suppressed {
            self.tally.suppressed += 1;
            return false;
        }
        if self.limit.begins(row.timestamp) {
            self.tell_held_back(lines);
        }
        self.limit.admit(headers, row.timestamp, notice)
    }

    fn tell_held_back(&mut self, lines: &mut Vec<u8>) {
        if let Some(held_back) = self.limit.take() {
            line(lines, &HeldBackRecord::new(&held_back, self.interface.as_deref()));
        }
    }

    fn alert(&self, headers: &Headers, row: Scored, features: Option<&[f64]>) -> AlertRecord<'_> {
        let explanation = self.explanation(features);
        AlertRecord::new(headers, row, self.threshold, explanation, self.interface.as_deref())
    }

    fn incident(&self, incident: &Incident, lines: &mut Vec<u8>) {
        line(lines, &IncidentRecord::new(incident, self.interface.as_deref()));
    }

    /// Writes a batch with what was found of it: the incidents that ended, each before the packet at its place, and the alerts.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_found(&mut self, batch: &Batch, findings: &Findings) -> Result<(), Fault> {
        let features = self.features.map(|features| batch.columns.get(features));
        let features = features.filter(|features| features.len() == batch.len());
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        self.written.clear();
        let mut closed = findings.closed.iter().peekable();
        for (i, row) in self.results.of(batch, || self.out.name())?.enumerate() {
            while let Some((_, incident)) = closed.next_if(|(place, _)| *place <= i) {
                self.incident(incident, &mut lines);
            }
            let headers = headers(batch, i, row);
            self.tally.count(&headers, row);
            let notice = findings.notices.get(i).copied().unwrap_or_default();
            let admitted = self.admits(&headers, row, notice, &mut lines);
            self.written.push(admitted);
            if admitted {
                line(&mut lines, &self.alert(&headers, row, features.map(|f| f.row(i))));
            }
        }
        closed.for_each(|(_, incident)| self.incident(incident, &mut lines));
        self.lines = lines;
        if self.lines.is_empty() { Ok(()) } else { Ok(self.out.put(&self.lines)?) }
    }

    /// Writes the incidents that ended with the run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_incidents(&mut self, findings: &Findings) -> Result<(), Fault> {
        let mut lines = Vec::new();
        findings.closed.iter().for_each(|(_, incident)| self.incident(incident, &mut lines));
        if lines.is_empty() { Ok(()) } else { Ok(self.out.put(&lines)?) }
    }

    fn explanation(&self, features: Option<&[f64]>) -> Option<Explanation> {
        let mut explanation = self.explain.as_ref()?.explain(features?, TOP);
        explanation.groups.truncate(TOP);
        for group in &mut explanation.groups {
            group.features.truncate(TOP);
        }
        Some(explanation)
    }
}

impl Sink for Eve {
    /// As [`write_found`](Self::write_found), where nothing was found beside the columns.
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.write_found(batch, &Findings::default())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        let explained = self.explain.as_ref().map(|_| FEATURES);
        Some(Results::columns().into_iter().chain(explained).collect())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.results = Results::bind(layout)?;
        self.features = self.explain.as_ref().map(|_| layout.handle(&FEATURES)).transpose()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let stats = self.stats.get().unwrap_or_else(|| RunStats {
            coverage: self.tally.account.coverage(),
            counters: BTreeMap::new(),
        });
        let mut lines = Vec::new();
        self.tell_held_back(&mut lines);
        let untold = self.limit.held_back() + self.tally.suppressed;
        line(&mut lines, &StatsRecord::new(&stats, &self.tally, untold, self.interface.as_deref()));
        self.out.put(&lines)?;
        Ok(self.out.finish()?)
    }
}

impl std::fmt::Debug for Eve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eve")
            .field("out", &self.out.name())
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl Tally {
    #[inline]
    fn count(&mut self, headers: &Headers, row: Scored) {
        self.packets += 1;
        self.bytes += u64::from(headers.wire_len);
        self.malformed += u64::from(headers.malformed.is_some());
        self.account.count(headers, row.verdict, row.disposition.dropped());
        self.alerts += u64::from(row.verdict == Verdict::ANOMALOUS && !row.disposition.is_unseen());
        self.clock.shift(row.seq, row.timestamp);
        self.last = row.timestamp;
    }

    /// Whole seconds between the first and the last packet, without the faults of the capture's clock.
    fn seconds(&self) -> u64 {
        self.clock.elapsed() / 1_000_000_000
    }
}

/// The headers of a packet; only its number, time and length where the batch has no more.
fn headers(batch: &Batch, index: usize, row: Scored) -> Headers {
    batch.headers.get(index).copied().unwrap_or_else(|| {
        let wire_len = batch.packets.record(index).wire_len;
        Headers { seq: row.seq, timestamp: row.timestamp, wire_len, ..Headers::default() }
    })
}

fn line(to: &mut Vec<u8>, record: &impl Serialize) {
    serde_json::to_writer(&mut *to, record).expect("plain records into memory cannot fail");
    to.push(b'\n');
}
