//! Alerts in Suricata's EVE format: one JSON object a line.

mod record;

use super::scored::{Scored, scored};
use super::{Lines, OutputFile, SinkError};
use legonf_core::{
    Batch, Column, Columns, Coverage, Explain, Explanation, Fault, Headers, Sink, Timestamp, Verdict,
};
use record::{AlertRecord, StatsRecord};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Writes one `alert` record for each packet with [`Verdict::Anomalous`], and at the end one `stats` record.
///
/// The records have the fields of Suricata's `eve.json` of the same meaning, so that its dashboards read them;
/// what Suricata has no field for is in the object `legonf`. `pcap_cnt` is the packet's number in the capture,
/// from 1. Times are packet times: the file holds no wall clock.
pub struct Eve {
    out: Box<dyn Lines>,
    threshold: f64,
    explain: Option<Box<dyn Explain>>,
    stats: StatsHandle,
    tally: Tally,
    lines: Vec<u8>,
}

/// What the sink counts itself.
#[derive(Debug, Default)]
struct Tally {
    packets: u64,
    bytes: u64,
    malformed: u64,
    not_finite: u64,
    alerts: u64,
    first: Option<Timestamp>,
    last: Timestamp,
}

impl Eve {
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
        let (stats, tally) = (StatsHandle::default(), Tally::default());
        Self { out, threshold, explain, stats, tally, lines: Vec::new() }
    }

    /// Where to put the run's coverage and counters for the closing record. If nothing is put there, the record
    /// tells what the sink has seen.
    pub fn stats(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// Where the lines go.
    pub fn output(&mut self) -> &mut dyn Lines {
        &mut *self.out
    }

    /// Alerts written so far.
    pub fn alerts(&self) -> u64 {
        self.tally.alerts
    }

    fn alert(&self, headers: &Headers, row: Scored, features: Option<&[f64]>) -> AlertRecord {
        let explanation = self.explanation(features);
        AlertRecord::new(headers, row, self.threshold, explanation, self.tally.coverage())
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
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let features = (batch.features.len() == batch.len()).then_some(&batch.features);
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for (i, row) in scored(batch, || self.out.name())?.enumerate() {
            let headers = headers(batch, i, row);
            self.tally.count(&headers, row);
            if row.verdict == Verdict::Anomalous {
                line(&mut lines, &self.alert(&headers, row, features.map(|f| f.row(i))));
            }
        }
        self.lines = lines;
        if self.lines.is_empty() { Ok(()) } else { Ok(self.out.put(&self.lines)?) }
    }

    fn reads(&self) -> Columns {
        let explained = if self.explain.is_some() { Columns::of(&[Column::Features]) } else { Columns::NONE };
        Columns::RESULTS.union(explained)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let stats = self
            .stats
            .get()
            .unwrap_or_else(|| RunStats { coverage: self.tally.coverage(), counters: BTreeMap::new() });
        let mut lines = Vec::new();
        line(&mut lines, &StatsRecord::new(&stats, &self.tally));
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
    fn count(&mut self, headers: &Headers, row: Scored) {
        self.packets += 1;
        self.bytes += u64::from(headers.wire_len);
        self.malformed += u64::from(headers.malformed.is_some());
        self.not_finite += u64::from(row.verdict == Verdict::Rejected);
        self.alerts += u64::from(row.verdict == Verdict::Anomalous);
        self.first.get_or_insert(row.timestamp);
        self.last = row.timestamp;
    }

    /// Whole seconds between the first and the last packet.
    fn seconds(&self) -> u64 {
        let span = self.last.as_nanos().saturating_sub(self.first.unwrap_or_default().as_nanos());
        u64::try_from(span / 1_000_000_000).unwrap_or(0)
    }

    /// Where the packets seen so far went.
    fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        coverage.score(self.packets - self.not_finite);
        if self.not_finite > 0 {
            coverage.reject(Coverage::NON_FINITE_SCORE, self.not_finite);
        }
        coverage
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
