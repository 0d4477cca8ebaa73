//! A brick elsewhere that can be lost at any call.
#![allow(dead_code, missing_docs)]

use super::streams::Streams;
use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Division, Layout as Columns, Storage, WestEast,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// At which calls, counted over all instances from the first that brings packets, one is lost.
pub struct Losses {
    at: Vec<u64>,
    has_begun: AtomicBool,
    calls: AtomicU64,
    pub count: AtomicU64,
}

impl Losses {
    pub fn at(at: Vec<u64>) -> Arc<Self> {
        Arc::new(Self {
            at,
            has_begun: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            count: AtomicU64::new(0),
        })
    }
}

/// [`Streams`] elsewhere. What a lost call asked for is done there, but nothing is heard of it: neither then nor later.
pub struct Elsewhere {
    brick: Streams,
    lost: AtomicBool,
    losses: Arc<Losses>,
}

impl Elsewhere {
    pub fn new(losses: &Arc<Losses>) -> Self {
        Self { brick: Streams::default(), lost: AtomicBool::new(false), losses: losses.clone() }
    }

    /// Whether the answer to a further call comes.
    fn hears(&self) -> Result<(), BrickError> {
        let lost = || BrickError { brick: "streams", reason: "its instance is lost".into() };
        if self.lost.load(Ordering::Relaxed) {
            return Err(lost());
        }
        if !self.losses.has_begun.load(Ordering::Relaxed) {
            return Ok(());
        }
        let call = self.losses.calls.fetch_add(1, Ordering::Relaxed);
        if !self.losses.at.contains(&call) {
            return Ok(());
        }
        self.losses.count.fetch_add(1, Ordering::Relaxed);
        self.lost.store(true, Ordering::Relaxed);
        Err(lost())
    }
}

impl Brick for Elsewhere {
    fn descriptor(&self) -> Descriptor {
        self.brick.descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.brick.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.losses.has_begun.store(true, Ordering::Relaxed);
        self.hears()?;
        self.brick.process(batch)
    }

    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for Elsewhere {
    fn division(&self) -> Division {
        self.brick.division()
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        self.hears()?;
        self.brick.divide(parts)
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        self.losses.has_begun.store(true, Ordering::Relaxed);
        self.hears()?;
        self.brick.process_part(part, batch, places, rows)
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        // The state is gone there, and does not arrive here.
        let state = self.brick.export(part, slots);
        self.hears()?;
        state
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.hears()?;
        self.brick.copy(part, slots)
    }

    fn copy_each(&self, part: usize, slots: &[u16]) -> Result<Vec<Vec<u8>>, BrickError> {
        self.hears()?;
        self.brick.copy_each(part, slots)
    }

    fn import_each(&mut self, part: usize, states: &[&[u8]]) -> Result<(), BrickError> {
        self.hears()?;
        self.brick.import_each(part, states)
    }

    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError> {
        // The state has arrived there, and nobody knows it here.
        let done = self.brick.import(part, state);
        self.hears()?;
        done
    }
}
