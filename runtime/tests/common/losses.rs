//! A brick elsewhere that can be lost at any call.
#![allow(dead_code, missing_docs)]

use super::streams::Streams;
use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Division, Layout as Columns, Rows, Storage, WestEast,
    typed,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// At which calls, counted over all instances from the first that brings packets, one is lost.
pub struct Losses {
    at: Vec<u64>,
    has_begun: AtomicBool,
    calls: AtomicU64,
    pub count: AtomicU64,
    /// Calls that were begun before those before them were answered.
    pub ahead: AtomicU64,
}

/// Calls that are begun at most.
const MOST_BEGUN: usize = 3;

impl Losses {
    pub fn at(at: Vec<u64>) -> Arc<Self> {
        Arc::new(Self {
            at,
            has_begun: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            count: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
        })
    }
}

/// [`Streams`] elsewhere. What a lost call asked for is done there, but nothing is heard of it: neither then nor later.
pub struct Elsewhere {
    brick: Streams,
    /// What was found there for calls that are begun.
    begun: VecDeque<Rows>,
    lost: AtomicBool,
    losses: Arc<Losses>,
}

impl Elsewhere {
    pub fn new(losses: &Arc<Losses>) -> Self {
        let (brick, begun) = Default::default();
        Self { brick, begun, lost: AtomicBool::new(false), losses: losses.clone() }
    }

    /// Does there what a call asks for, if it can be begun.
    fn start(&mut self, work: impl FnOnce(&mut Streams) -> Rows) -> bool {
        self.losses.has_begun.store(true, Ordering::Relaxed);
        let begins = self.begun.len() < MOST_BEGUN && self.hears().is_ok();
        if begins {
            self.losses.ahead.fetch_add(u64::from(!self.begun.is_empty()), Ordering::Relaxed);
            let found = work(&mut self.brick);
            self.begun.push_back(found);
        }
        begins
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
        match self.begun.pop_front() {
            Some(found) => *batch.columns.get_mut(self.brick.at.features) = found,
            None => self.brick.process(batch)?,
        }
        Ok(())
    }

    fn begin(&mut self, batch: &Batch) -> bool {
        self.start(|brick| {
            let mut batch = batch.clone();
            brick.process(&mut batch).expect("it fails at nothing");
            std::mem::take(batch.columns.get_mut(brick.at.features))
        })
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
        match self.begun.pop_front() {
            Some(found) => *typed::<Rows>(rows).expect("rows of this type") = found,
            None => self.brick.process_part(part, batch, places, rows)?,
        }
        Ok(())
    }

    fn takes_all_at_once(&self) -> bool {
        true
    }

    fn begin_part(&mut self, part: usize, batch: &Batch, places: &[usize], cells: usize) -> bool {
        self.start(|brick| {
            let mut rows = Rows::default();
            rows.reset(places.len(), cells);
            brick.process_part(part, batch, places, &mut rows).expect("it fails at nothing");
            rows
        })
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
