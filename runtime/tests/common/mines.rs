//! Bricks that panic while their state moves.

use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Division, Headers, Layout as Columns, Storage, WestEast,
};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

/// Moves of state of which each makes one brick panic, once: those whose number, which follows from what they move, is a
/// multiple of `every`.
#[derive(Default)]
pub struct StateMines {
    every: u64,
    /// Whether they panic each time, and not once.
    always: bool,
    raised: Mutex<HashSet<u64>>,
    /// Slots that were copied in one call, at most.
    copied: AtomicUsize,
}

/// Copies of a slot that a brick makes before one panics: more than one checkpoint has, so that its next one succeeds.
const COPIES: u64 = 20_011;

impl StateMines {
    pub fn each(every: u64) -> Self {
        Self { every, ..Self::default() }
    }

    /// Mines that panic each time.
    pub fn always(every: u64) -> Self {
        Self { every, always: true, ..Self::default() }
    }

    pub fn raised(&self) -> u64 {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Slots that were copied in one call, at most.
    pub fn most_copied(&self) -> usize {
        self.copied.load(Relaxed)
    }

    /// Panics behind the work, so that the brick has gone on from where it should be.
    fn step(&self, number: u64) {
        if self.every > 0 && number.is_multiple_of(self.every) {
            let first = self.raised.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
            assert!(!first && !self.always, "a mine");
        }
    }
}

fn number(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish() >> 1
}

/// A brick among such mines.
pub struct MinedState {
    inner: RefCell<Box<dyn Brick>>,
    mines: Arc<StateMines>,
    /// What was taken out last: where that is put in next, state moves. A checkpoint that is put in moves none.
    last: Option<u64>,
    copies: Cell<u64>,
    /// Sees each packet, behind the work on it.
    packets: Box<dyn Fn(&Headers) + Send>,
}

impl MinedState {
    pub fn of(inner: Box<dyn Brick>, mines: &Arc<StateMines>) -> Box<dyn Brick> {
        Self::with_packets(inner, mines, Box::new(|_| {}))
    }

    /// One that may panic at packets, too.
    pub fn with_packets(
        inner: Box<dyn Brick>,
        mines: &Arc<StateMines>,
        packets: Box<dyn Fn(&Headers) + Send>,
    ) -> Box<dyn Brick> {
        let (inner, mines) = (RefCell::new(inner), mines.clone());
        Box::new(Self { inner, mines, last: None, copies: Cell::default(), packets })
    }

    fn with<T>(&self, work: impl FnOnce(&mut dyn WestEast) -> T) -> T {
        work(self.inner.borrow_mut().west_east().unwrap())
    }
}

impl Brick for MinedState {
    fn descriptor(&self) -> Descriptor {
        self.inner.borrow().descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.inner.get_mut().bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.inner.get_mut().process(batch)?;
        batch.headers.iter().for_each(&self.packets);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.inner.borrow().counters()
    }

    fn state_size(&self) -> u64 {
        self.inner.borrow().state_size()
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for MinedState {
    fn division(&self) -> Division {
        self.with(|inner| inner.division())
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        self.with(|inner| inner.divide(parts))
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        self.with(|inner| inner.process_part(part, batch, places, rows))?;
        places.iter().for_each(|place| (self.packets)(&batch.headers[*place]));
        Ok(())
    }

    fn process_flows(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        self.with(|inner| inner.process_flows(part, batch, places, flows))?;
        places.iter().for_each(|place| (self.packets)(&batch.headers[*place]));
        Ok(())
    }

    fn expire(&mut self, part: usize, watermarks: &[i64], flows: &mut Batch) -> Result<(), BrickError> {
        self.with(|inner| inner.expire(part, watermarks, flows))
    }

    fn end(&mut self, part: usize, slots: &[u16], flows: &mut Batch) -> Result<(), BrickError> {
        self.with(|inner| inner.end(part, slots, flows))
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let state = self.with(|inner| inner.export(part, slots))?;
        let number = number((part, slots));
        self.last = Some(number);
        self.mines.step(number);
        Ok(state)
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.copies.set(self.copies.get() + 1);
        assert!(self.mines.every == 0 || !self.copies.get().is_multiple_of(COPIES), "a mine");
        self.with(|inner| inner.copy(part, slots))
    }

    fn copy_each(&self, part: usize, slots: &[u16]) -> Result<Vec<Vec<u8>>, BrickError> {
        self.mines.copied.fetch_max(slots.len(), Relaxed);
        slots.iter().map(|slot| self.copy(part, &[*slot])).collect()
    }

    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError> {
        self.with(|inner| inner.import(part, state))?;
        self.last.take().into_iter().for_each(|taken| self.mines.step(number(("import", taken))));
        Ok(())
    }

    fn replace_each(&mut self, part: usize, slots: &[u16], states: &[&[u8]]) -> Result<(), BrickError> {
        self.with(|inner| inner.replace_each(part, slots, states))
    }
}
