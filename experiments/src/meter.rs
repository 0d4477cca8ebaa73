//! A brick that is measured.

use crate::Clock;
use legonf_core::{Batch, BindError, Brick, BrickError, Descriptor, Division, Layout, Storage, WestEast};
use legonf_extract::FeatureQuantization;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What one replica of a brick has done: packets and nanoseconds of work, by part.
#[derive(Debug)]
pub(crate) struct Meter(Vec<[AtomicU64; 2]>);

impl Meter {
    pub fn new(parts: usize) -> Arc<Self> {
        Arc::new(Self((0..parts).map(|_| Default::default()).collect()))
    }

    pub fn packets(&self, part: usize) -> u64 {
        self.0[part][0].load(Relaxed)
    }

    pub fn spent(&self, part: usize) -> Duration {
        Duration::from_nanos(self.0[part][1].load(Relaxed))
    }

    fn add(&self, part: usize, packets: usize, spent: Duration) {
        self.0[part][0].fetch_add(packets as u64, Relaxed);
        self.0[part][1].fetch_add(spent.as_nanos() as u64, Relaxed);
    }
}

/// An extractor whose work is counted and timed. What it does undivided counts for the first part.
pub(crate) struct Metered {
    pub brick: FeatureQuantization,
    pub meter: Arc<Meter>,
    pub clock: Clock,
}

impl Brick for Metered {
    fn descriptor(&self) -> Descriptor {
        self.brick.descriptor()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.brick.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let start = (self.clock)();
        self.brick.process(batch)?;
        self.meter.add(0, batch.len(), (self.clock)().saturating_sub(start));
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.brick.counters()
    }

    fn state_size(&self) -> u64 {
        self.brick.state_size()
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for Metered {
    fn division(&self) -> Division {
        self.brick.division()
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        self.brick.divide(parts)
    }

    fn takes_compact_rows(&self) -> bool {
        self.brick.takes_compact_rows()
    }

    fn takes_all_at_once(&self) -> bool {
        self.brick.takes_all_at_once()
    }

    fn begin_part(&mut self, part: usize, batch: &Batch, places: &[usize], cells: usize) -> bool {
        self.brick.begin_part(part, batch, places, cells)
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let start = (self.clock)();
        self.brick.process_part(part, batch, places, rows)?;
        self.meter.add(part, places.len(), (self.clock)().saturating_sub(start));
        Ok(())
    }

    fn process_flows(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        let start = (self.clock)();
        self.brick.process_flows(part, batch, places, flows)?;
        self.meter.add(part, places.len(), (self.clock)().saturating_sub(start));
        Ok(())
    }

    fn expire(&mut self, part: usize, watermarks: &[i64], flows: &mut Batch) -> Result<(), BrickError> {
        self.brick.expire(part, watermarks, flows)
    }

    fn end(&mut self, part: usize, slots: &[u16], flows: &mut Batch) -> Result<(), BrickError> {
        self.brick.end(part, slots, flows)
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.brick.export(part, slots)
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.brick.copy(part, slots)
    }

    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError> {
        self.brick.import(part, state)
    }
}
