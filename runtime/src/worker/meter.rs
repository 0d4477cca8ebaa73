//! What passes each brick, and how long that takes.
//!
//! No packet carries a clock: a batch has the time at which it was read, and that at which a brick handed it on last. Where nobody
//! asks for it nothing is measured, and no clock is read.

use crate::options::Time;
use crate::worker::envelope::Envelope;
use legonf_core::{BUCKETS, Batch, Histogram, Passage, Passages};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What goes with a batch for the meter.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stamp {
    /// When it was read, and when it was handed on last.
    read: Duration,
    handed_on: Duration,
    /// Bytes of its packets, as they were on the wire.
    bytes: u64,
}

/// Measures a run.
pub(crate) struct Meter<'a> {
    time: Option<Time<'a>>,
    bricks: Vec<Counters>,
    /// From the source to the sink.
    whole: Counters,
}

/// Counters of one brick. Its replicas all add to them, once a batch.
struct Counters {
    bytes: AtomicU64,
    nanos: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

impl<'a> Meter<'a> {
    /// A meter for so many bricks, by a clock if there is one.
    pub fn new(time: Option<Time<'a>>, bricks: usize) -> Self {
        let buckets = if time.is_some() { BUCKETS } else { 0 };
        let bricks = (0..bricks).map(|_| Counters::new(buckets)).collect();
        Self { time, bricks, whole: Counters::new(buckets) }
    }

    /// A batch was read.
    pub fn read(&self, envelope: &mut Envelope) {
        let Some(time) = self.time else { return };
        let now = time();
        let Batch { packets, headers, .. } = &envelope.batch;
        // A source gives packets, or headers alone.
        let bytes = if packets.is_empty() {
            headers.iter().map(|headers| u64::from(headers.wire_len)).sum()
        } else {
            packets.iter().map(|(record, _)| u64::from(record.wire_len)).sum()
        };
        envelope.stamp = Stamp { read: now, handed_on: now, bytes };
    }

    /// Bricks have handed a batch on: one, or several that ran together on parts of it.
    pub fn passed(&self, bricks: Range<usize>, envelope: &mut Envelope) {
        let Some(time) = self.time else { return };
        let now = time();
        let took = now.saturating_sub(std::mem::replace(&mut envelope.stamp.handed_on, now));
        let counters = self.bricks.get(bricks).into_iter().flatten();
        counters.for_each(|counters| counters.add(envelope, took));
    }

    /// The sink has taken a batch.
    pub fn done(&self, envelope: &Envelope) {
        let Some(time) = self.time else { return };
        self.whole.add(envelope, time().saturating_sub(envelope.stamp.read));
    }

    /// What was measured since the run began; none where nothing is.
    pub fn passages(&self) -> Option<Passages> {
        self.time?;
        // Against the way of batches: no brick has handed on fewer packets than those behind it.
        let whole = self.whole.passage();
        let mut bricks: Vec<_> = self.bricks.iter().rev().map(Counters::passage).collect();
        bricks.reverse();
        Some(Passages { bricks, whole })
    }
}

impl Counters {
    fn new(buckets: usize) -> Self {
        let (bytes, nanos) = Default::default();
        Self { bytes, nanos, buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect() }
    }

    fn add(&self, envelope: &Envelope, took: Duration) {
        let packets = envelope.batch.len() as u64;
        self.bytes.fetch_add(envelope.stamp.bytes, Relaxed);
        self.nanos.fetch_add(packets.saturating_mul(took.as_nanos() as u64), Relaxed);
        if let Some(bucket) = self.buckets.get(Histogram::bucket(took)) {
            bucket.fetch_add(packets, Relaxed);
        }
    }

    fn passage(&self) -> Passage {
        let [bytes, nanos] = [&self.bytes, &self.nanos].map(|counter| counter.load(Relaxed));
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let latency = Histogram::of_counts(counts);
        Passage {
            packets: latency.packets(),
            bytes,
            seconds: nanos as f64 / 1e9,
            latency,
            counters: Vec::new(),
        }
    }
}
