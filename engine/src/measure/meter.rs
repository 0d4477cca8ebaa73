//! How many bytes bricks read from batches and add to them.

use super::processor_time;
use crate::replay::Outputs;
use crate::tally::Tally;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Columns, Descriptor, Fault, Layout, Port, Sink,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Counts the bytes of the columns that each brick reads and fills.
#[derive(Default)]
pub struct Meter {
    counts: Mutex<Vec<Arc<Count>>>,
}

/// Bytes of a brick's columns so far.
#[derive(Default)]
struct Count {
    read: AtomicU64,
    filled: AtomicU64,
}

struct Metered {
    inner: Box<dyn Brick>,
    count: Arc<Count>,
    reads: Columns,
    writes: Columns,
}

impl Meter {
    /// `brick`, counted.
    pub fn watch(&self, inner: Box<dyn Brick>) -> Box<dyn Brick> {
        let count = Arc::<Count>::default();
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).push(count.clone());
        Box::new(Metered { inner, count, reads: Columns::NONE, writes: Columns::NONE })
    }

    /// Bytes that each brick read and that it filled, in the order in which they were given.
    pub fn bytes(&self) -> Vec<(u64, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let load =
            |count: &Arc<Count>| (count.read.load(Ordering::Relaxed), count.filled.load(Ordering::Relaxed));
        counts.iter().map(load).collect()
    }
}

impl Brick for Metered {
    fn descriptor(&self) -> Descriptor {
        self.inner.descriptor()
    }

    fn ports(&self) -> Vec<Port> {
        self.inner.ports()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let Descriptor { reads, writes, .. } = self.inner.descriptor();
        (self.reads, self.writes) = (layout.columns(&*reads), layout.columns(&*writes));
        self.inner.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.inner.process(batch)?;
        self.count.read.fetch_add(batch.size(self.reads) as u64, Ordering::Relaxed);
        self.count.filled.fetch_add(batch.size(self.writes) as u64, Ordering::Relaxed);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.inner.counters()
    }

    fn state_size(&self) -> u64 {
        self.inner.state_size()
    }
}

/// The sink of a replay, measured: counts, files of scores, alerts and their packets, and the plot.
pub(crate) struct Seen {
    pub packets: u64,
    pub batches: u64,
    pub source_bytes: u64,
    tally: Tally<Outputs>,
    spent: Duration,
}

impl Seen {
    /// A measured sink.
    pub fn of(tally: Tally<Outputs>) -> Self {
        Self { packets: 0, batches: 0, source_bytes: 0, tally, spent: Duration::ZERO }
    }

    /// Nanoseconds spent in the sink.
    pub fn ns(&self) -> f64 {
        self.spent.as_nanos() as f64
    }

    /// The part of the packets that were alerts.
    pub fn alert_share(&self) -> f64 {
        self.tally.alerts() as f64 / self.packets.max(1) as f64
    }
}

impl Sink for Seen {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let start = processor_time();
        self.tally.write(batch)?;
        self.spent += processor_time().saturating_sub(start);
        self.packets += batch.len() as u64;
        self.batches += 1;
        self.source_bytes += batch.size(Columns::PACKETS) as u64;
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        let mut columns = self.tally.reads()?;
        columns.push(ColumnSpec::PACKETS);
        Some(columns)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.tally.bind(layout)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
