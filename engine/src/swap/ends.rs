//! The ends of a graph whose models change: batches are closed where they do, and it is known how far the sink is.

use super::Swaps;
use legonf_core::{Batch, BindError, ColumnSpec, Columns, Fault, Layout, Pace, Progress, Sink, Source};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// A source that closes a batch where a model changes.
pub(crate) struct Stretches<'a> {
    inner: &'a mut dyn Source,
    swaps: Swaps,
    /// Planned changes that are still to come.
    cuts: VecDeque<u64>,
    /// What was read behind one.
    held: Batch,
    /// Number of the next packet.
    next: u64,
    columns: usize,
}

impl<'a> Stretches<'a> {
    pub fn new(inner: &'a mut dyn Source, swaps: &Swaps) -> Self {
        let cuts =
            super::locked(&swaps.0.state).changes.iter().map(|change| change.from.load(Relaxed)).collect();
        Self { inner, swaps: swaps.clone(), cuts, held: Batch::default(), next: 0, columns: 0 }
    }

    /// Divides a batch of packets from `next` on that goes beyond a planned change, and holds the rest.
    fn cut(&mut self, batch: &mut Batch) {
        while self.cuts.pop_front_if(|cut| *cut <= self.next).is_some() {}
        let Some(before) = self.cuts.front().map(|cut| (cut - self.next) as usize) else { return };
        let len = batch.len();
        if before >= len {
            return;
        }
        let filled: Columns = (0..self.columns).filter(|column| batch.filled(*column) == len).collect();
        let places: Vec<usize> = (0..len).collect();
        let mut head = Batch::default();
        batch.gather(&places[..before], filled, &mut head);
        batch.gather(&places[before..], filled, &mut self.held);
        batch.exchange(&mut head, filled);
    }
}

impl Source for Stretches<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.swaps.0.decide(self.next);
        if self.held.is_empty() {
            self.inner.fill(batch)?;
        } else {
            batch.timeless = self.held.timeless;
            batch.exchange(&mut self.held, Columns::ALL);
            self.held.clear();
        }
        self.cut(batch);
        self.next += batch.len() as u64;
        self.swaps.0.read.store(self.next, Release);
        Ok(())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.columns = layout.specs().len();
        self.inner.bind(layout)
    }

    fn is_idle(&self) -> bool {
        self.inner.is_idle()
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }

    fn pace(&mut self, pace: Pace) {
        self.inner.pace(pace)
    }
}

/// A sink of which it is known how far it is.
pub(crate) struct Position<'a> {
    inner: &'a mut dyn Sink,
    swaps: Swaps,
}

impl<'a> Position<'a> {
    pub fn new(inner: &'a mut dyn Sink, swaps: &Swaps) -> Self {
        Self { inner, swaps: swaps.clone() }
    }
}

impl Sink for Position<'_> {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        if let Some(first) = batch.headers.first() {
            self.swaps.0.written.store(first.seq, Relaxed);
        }
        self.inner.write(batch)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        self.inner.reads()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.inner.flush()
    }

    fn tend(&mut self) -> Result<(), Fault> {
        self.inner.tend()
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.inner.finish()
    }
}
