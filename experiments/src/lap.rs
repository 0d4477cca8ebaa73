//! Traffic in memory, again and again.

use crate::ExperimentError;
use legonf_core::{BATCH, Batch, Fault, PacketRecord, Packets, Progress, Source, Timestamp};
use legonf_datasets::generate::{Config, Generator};
use std::sync::Arc;

/// Generated packets, in memory.
pub struct Track {
    batches: Vec<Packets>,
    packets: u64,
    /// Nanoseconds from the first packet to that of the next lap.
    span: i64,
}

impl Track {
    /// Generates packets.
    pub fn generate(config: Config) -> Result<Self, ExperimentError> {
        let (packets, rate) = (config.packets, config.rate);
        let (mut generator, mut batches, mut labels) = (Generator::new(config)?, Vec::new(), Vec::new());
        while generator.position() < packets {
            let mut batch = Packets::default();
            labels.clear();
            generator.append(&mut batch, &mut labels, BATCH);
            batches.push(batch);
        }
        Ok(Self { batches, packets, span: (packets as f64 / rate * 1.01e9) as i64 })
    }
}

impl Track {
    /// Packet `number` of all laps.
    pub fn packet(&self, number: u64) -> (&PacketRecord, &[u8]) {
        let place = (number % self.packets.max(1)) as usize;
        let batch = &self.batches[place / BATCH];
        (batch.record(place % BATCH), batch.bytes(place % BATCH))
    }
}

/// A source that goes round a track until it has given some packets. Time goes on from lap to lap.
pub struct Laps {
    track: Arc<Track>,
    batch: usize,
    lap: u64,
    given: u64,
    end: u64,
}

impl Laps {
    /// `packets` of a track, up to whole batches.
    pub fn new(track: Arc<Track>, packets: u64) -> Self {
        Self { track, batch: 0, lap: 0, given: 0, end: packets }
    }

    /// Packets given so far.
    pub fn given(&self) -> u64 {
        self.given
    }
}

impl Source for Laps {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.given >= self.end || self.track.packets == 0 {
            return Ok(());
        }
        if self.batch == self.track.batches.len() {
            (self.batch, self.lap) = (0, self.lap + 1);
        }
        let later = self.lap as i64 * self.track.span;
        for (record, bytes) in self.track.batches[self.batch].iter() {
            let time = Timestamp::from_nanos(record.timestamp.as_nanos() + later);
            batch.packets.push(self.given, time, record.wire_len, record.link, bytes);
            self.given += 1;
        }
        self.batch += 1;
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.given, total_bytes: Some(self.end) }
    }
}
