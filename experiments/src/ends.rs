//! The ends of a run: packets as they are pushed, and their rows in order.

use crate::steering::{Order, Orders};
use legonf_core::{
    BATCH, Batch, BindError, ColumnSpec, Fault, Handle, Headers, Layout, Pace, Progress, Rows, Sink, Source,
};
use legonf_extract::FEATURES;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// Packets of a batch while slots move: some move at each batch, so that a change takes few packets.
const SMALL: usize = 4;

/// What comes into a run.
pub(crate) enum Item {
    Packets(Vec<Headers>),
    Order(Order),
}

/// Takes packets with their rows, in the order of arrival.
pub trait Take: Send + 'static {
    /// Takes a batch.
    fn take(&mut self, packets: &[Headers], rows: &Rows);
}

/// The packets that are pushed.
pub(crate) struct Pushed {
    items: Receiver<Item>,
    orders: Arc<Orders>,
    /// Packets that have come, and how many of them are in batches.
    packets: Vec<Headers>,
    used: usize,
    full: usize,
}

impl Pushed {
    pub fn new(items: Receiver<Item>, orders: Arc<Orders>) -> Self {
        Self { items, orders, packets: Vec::new(), used: 0, full: BATCH }
    }

    fn full(&self) -> usize {
        if self.orders.is_applying() { SMALL } else { self.full }
    }

    /// Waits for packets; `false` at the end.
    fn refill(&mut self) -> bool {
        while self.used == self.packets.len() {
            match self.items.recv() {
                Ok(Item::Packets(packets)) => (self.packets, self.used) = (packets, 0),
                Ok(Item::Order(order)) => self.orders.give(order),
                Err(_) => return false,
            }
        }
        true
    }
}

impl Source for Pushed {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        while batch.headers.len() < self.full() && self.refill() {
            let left = &self.packets[self.used..];
            let some = left.len().min(self.full().saturating_sub(batch.headers.len()));
            batch.headers.extend_from_slice(&left[..some]);
            self.used += some;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }

    fn pace(&mut self, pace: Pace) {
        self.full = pace.full;
    }
}

/// Where rows go.
pub(crate) struct Taker<T> {
    /// Who takes them.
    pub take: T,
    features: Handle<Rows>,
}

impl<T> Taker<T> {
    pub fn new(take: T) -> Self {
        Self { take, features: Handle::default() }
    }
}

impl<T: Take> Sink for Taker<T> {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.take.take(&batch.headers, batch.columns.get(self.features));
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![FEATURES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
