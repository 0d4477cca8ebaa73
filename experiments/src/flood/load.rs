//! Generated traffic through parser and extractor, with what that takes.

use super::detector::Detector;
use crate::ExperimentError;
use legonf_core::{BATCH, Batch, Brick, Handle, Headers, Layout, Progress, Rows, Schema, Transport};
use legonf_datasets::generate::{Config, Generator};
use legonf_engine::measure::processor_time;
use legonf_engine::{Error, Gauge, Session};
use legonf_extract::{FEATURES, FeatureQuantization};
use legonf_wire::PacketBatching;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Points of a curve over a run.
const SAMPLES: u64 = 200;

/// Traffic on its way through the bricks.
pub struct Traffic {
    generator: Generator,
    batching: PacketBatching,
    extractor: FeatureQuantization,
    batch: Batch,
    features: Handle<Rows>,
    labels: Vec<bool>,
    /// Processor time in the bricks alone, which other programs on the machine take no part of.
    busy: Duration,
}

impl Traffic {
    /// Traffic before its first packet.
    pub fn new(config: Config, extraction: &legonf_extract::Config) -> Result<Self, ExperimentError> {
        let (generator, mut extractor) = (Generator::new(config)?, FeatureQuantization::new(extraction)?);
        let layout = Layout::binding(&mut [&mut extractor])?;
        Ok(Self {
            generator,
            batching: PacketBatching::new(legonf_wire::Config {}),
            extractor,
            batch: Batch::new(&layout),
            features: layout.handle(&FEATURES)?,
            labels: Vec::new(),
            busy: Duration::ZERO,
        })
    }

    /// Columns of the features.
    pub fn schema(&self) -> &Schema {
        self.extractor.schema()
    }

    /// The present batch.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Its features.
    pub fn features(&self) -> &Rows {
        self.batch.columns.get(self.features)
    }

    /// Packets so far.
    pub fn position(&self) -> u64 {
        self.generator.position()
    }

    /// Processor time in the bricks so far.
    pub fn busy(&self) -> Duration {
        self.busy
    }

    /// Bytes of the extractor's state now and at most.
    pub fn state_bytes(&self) -> (usize, usize) {
        self.extractor.state_bytes()
    }

    /// Streams that had to go, by their table.
    pub fn evicted(&self) -> BTreeMap<&'static str, u64> {
        self.extractor.counters().into_iter().collect()
    }

    /// Goes on to the next batch; `false` at the end.
    pub fn next(&mut self) -> Result<bool, ExperimentError> {
        self.next_of(BATCH)
    }

    /// [`next`](Self::next) with a batch of so many packets.
    pub fn next_of(&mut self, packets: usize) -> Result<bool, ExperimentError> {
        self.batch.clear();
        self.labels.clear();
        self.generator.append(&mut self.batch.packets, &mut self.labels, packets);
        let start = processor_time();
        self.batching.process(&mut self.batch)?;
        self.extractor.process(&mut self.batch)?;
        self.busy += processor_time().saturating_sub(start);
        Ok(!self.batch.is_empty())
    }
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Benign,
    Scan,
    Flood,
}

impl Class {
    /// The generator's scan is TCP and its flood UDP.
    fn of(headers: &Headers, malicious: bool) -> Self {
        match (malicious, headers.outer.transport) {
            (false, _) => Self::Benign,
            (true, Transport::Tcp) => Self::Scan,
            (true, _) => Self::Flood,
        }
    }
}

/// Packets of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// Packets since the warm-up.
    pub packets: u64,
    /// Packets above the threshold.
    pub alarms: u64,
    /// Part of them above the threshold.
    pub rate: f64,
}

/// A point of the curves.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sample {
    pub packets: u64,
    pub state_bytes: u64,
    /// Memory of the whole process, where the system tells.
    pub resident_bytes: Option<u64>,
    /// Packets from bytes to verdict since the point before, for each second of processor time.
    pub packets_per_second: f64,
    /// Seconds of processor time from bytes to verdict since the warm-up.
    pub busy_seconds: f64,
    /// Those of parser and extractor alone.
    pub extraction_seconds: f64,
    /// Pages that this thread has touched for the first time, and seconds that the system worked for it, since it began; where the
    /// system tells.
    pub page_faults: u64,
    pub system_seconds: f64,
}

/// What a run took and found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    pub packets: u64,
    /// Packets of the warm-up, which end before the attacks begin; they are not in the figures below.
    pub warm_up: u64,
    /// From bytes to verdict (parser, extractor, network, threshold) in one thread, for each second of its processor
    /// time.
    pub packets_per_second: f64,
    /// Through parser and extractor alone.
    pub extraction_packets_per_second: f64,
    pub state_bytes: u64,
    pub state_bytes_bound: u64,
    pub evicted: BTreeMap<&'static str, u64>,
    pub benign: Share,
    pub scan: Share,
    pub flood: Share,
    /// The end of the warm-up.
    pub start: Sample,
    pub samples: Vec<Sample>,
}

/// Runs traffic and measures it after `warm_up` packets, from those on that the detector did not learn from.
pub fn run(
    mut traffic: Traffic,
    warm_up: u64,
    detector: &mut Detector,
    bar: &dyn Gauge,
    session: &Session,
) -> Result<Outcome, ExperimentError> {
    let mut meter = Meter::default();
    let total = traffic.generator.config().packets;
    let mut shares = [Share::default(); 3];
    let mut judging = Duration::ZERO;
    let mut started = None;
    while traffic.next()? {
        if session.is_stopped() {
            let at = traffic.position();
            return Err(Error::Interrupted(format!("{at} packets were run, nothing was written")).into());
        }
        bar.update(Progress::default(), traffic.position());
        if traffic.position() <= warm_up {
            continue;
        }
        let (from, before) = *started.get_or_insert_with(|| {
            meter.start = point(&traffic, Spent::default(), 0.0);
            (traffic.position(), traffic.busy)
        });
        let clock = processor_time();
        let verdicts = detector.judge(traffic.features());
        for ((alarm, headers), malicious) in verdicts.zip(&traffic.batch.headers).zip(&traffic.labels) {
            let share = &mut shares[Class::of(headers, *malicious) as usize];
            share.packets += 1;
            share.alarms += u64::from(alarm);
        }
        judging += processor_time().saturating_sub(clock);
        let extraction = traffic.busy - before;
        let run = Spent { packets: traffic.position() - from, extraction, busy: extraction + judging };
        meter.sample(run, (total.saturating_sub(from) / SAMPLES).max(1), &traffic);
    }
    let (from, before) = started.unwrap_or((traffic.position(), traffic.busy));
    let (state, bound) = traffic.state_bytes();
    let [benign, scan, flood] = shares.map(|s| Share { rate: rate(s.alarms as f64, s.packets as f64), ..s });
    let packets = traffic.position();
    let (measured, extraction) = ((packets - from) as f64, traffic.busy - before);
    Ok(Outcome {
        packets,
        warm_up: from,
        packets_per_second: rate(measured, (extraction + judging).as_secs_f64()),
        extraction_packets_per_second: rate(measured, extraction.as_secs_f64()),
        state_bytes: state as u64,
        state_bytes_bound: bound as u64,
        evicted: traffic.evicted(),
        benign,
        scan,
        flood,
        start: meter.start,
        samples: meter.samples,
    })
}

/// 0 where there is nothing to divide by.
fn rate(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Takes a sample every so many packets.
#[derive(Default)]
struct Meter {
    start: Sample,
    samples: Vec<Sample>,
    last: Spent,
}

impl Meter {
    fn sample(&mut self, spent: Spent, every: u64, traffic: &Traffic) {
        let (packets, busy) = (spent.packets - self.last.packets, spent.busy.saturating_sub(self.last.busy));
        if packets < every {
            return;
        }
        self.last = spent;
        self.samples.push(point(traffic, spent, rate(packets as f64, busy.as_secs_f64())));
    }
}

/// What was spent since the warm-up, of processor time: on the way to the features, and in all.
#[derive(Clone, Copy, Default)]
struct Spent {
    packets: u64,
    extraction: Duration,
    busy: Duration,
}

/// The traffic after so many packets and so much time.
fn point(traffic: &Traffic, Spent { packets, extraction, busy }: Spent, packets_per_second: f64) -> Sample {
    let (page_faults, system_seconds) = faults().unwrap_or_default();
    Sample {
        packets,
        state_bytes: traffic.state_bytes().0 as u64,
        resident_bytes: resident(),
        packets_per_second,
        busy_seconds: busy.as_secs_f64(),
        extraction_seconds: extraction.as_secs_f64(),
        page_faults,
        system_seconds,
    }
}

/// Pages that this thread has touched for the first time, and seconds that the system worked for it, as Linux tells.
fn faults() -> Option<(u64, f64)> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The name, which may have blanks in it, ends with the last bracket; faults are the eighth field behind it, system time the
    // thirteenth, in hundredths of a second.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(7)?.parse().ok()?, fields.get(12)?.parse::<f64>().ok()? / 100.0))
}

/// Memory of this process, as Linux tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
