//! What the sink of a run tells those who watch.

use super::packets::Chunk;
use super::{Accounts, Monitor};
use crate::suppression::Suppressed;
use crate::watch::Watch;
use legonf_core::{Batch, Coverage, Findings, Origin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Incidents that go on and are told of, at most.
const OPEN: usize = 50;
/// How often these are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Adds packets that were lost before any brick saw them.
pub(crate) type Losses = Box<dyn Fn(&mut Coverage) + Send>;

/// Tells a monitor where packets went, whenever it is due.
pub(crate) struct Accounting {
    monitor: Arc<Monitor>,
    losses: Losses,
    /// The highest score since it was told last.
    peak: Option<f64>,
    looked: Option<Instant>,
    threshold: Option<f64>,
    open: Vec<legonf_core::Incident>,
    suppressed: Vec<Suppressed>,
    /// Packets of alerts since it told last.
    chunk: Chunk,
}

impl Accounting {
    /// For a monitor, with what adds packets that never came.
    pub fn new(monitor: &Arc<Monitor>, losses: Losses) -> Self {
        Self {
            monitor: monitor.clone(),
            losses,
            peak: None,
            looked: None,
            threshold: None,
            open: Vec::new(),
            suppressed: Vec::new(),
            chunk: Chunk::default(),
        }
    }

    /// Takes a score.
    #[inline]
    pub fn score(&mut self, score: f64) {
        if score.is_finite() && self.peak.is_none_or(|peak| score > peak) {
            self.peak = Some(score);
        }
    }

    /// Packets are judged by another threshold from now on.
    pub fn set_threshold(&mut self, threshold: f64) {
        self.threshold = Some(threshold);
    }

    /// Keeps a packet that raised an alert, where the batch has its bytes.
    pub fn keep(&mut self, batch: &Batch, packet: usize) {
        if packet < batch.packets.len() {
            self.chunk.add(&batch.packets, packet, Origin::of(&batch.headers[packet]));
        }
    }

    /// Takes incidents that have ended.
    pub fn found(&self, findings: &Findings) {
        findings.closed.iter().for_each(|(_, incident)| self.monitor.closed(incident));
    }

    /// Whether something is to be told.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.monitor.is_due.load(Relaxed)
    }

    /// Tells where packets went.
    pub fn tell(&mut self, coverage: &Coverage, (alerts, warming_up): (u64, u64), watch: Option<&Watch>) {
        self.monitor.is_due.store(false, Relaxed);
        let mut coverage = coverage.clone();
        (self.losses)(&mut coverage);
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK) {
            self.looked = Some(now);
            self.open = watch.map(|watch| watch.open(OPEN)).unwrap_or_default();
        }
        if let Some(watch) = watch {
            self.suppressed = watch.suppressed();
        }
        let accounts = Accounts {
            coverage,
            alerts,
            warming_up,
            open: self.open.clone(),
            threshold: self.threshold,
            suppressed: self.suppressed.clone(),
        };
        if !self.chunk.is_empty() {
            self.monitor.keep(std::mem::take(&mut self.chunk));
        }
        self.monitor.account(accounts, self.peak.take());
    }

    /// Tells so for the last time: nothing goes on.
    pub fn end(&mut self, coverage: &Coverage, counts: (u64, u64)) {
        (self.looked, self.open) = (Some(Instant::now()), Vec::new());
        self.tell(coverage, counts, None);
    }
}
