//! Checkpoints of a brick with state, and what it has done since: so that another one can take its place after a panic.

use crate::exchange::Split;
use crate::operator::interface::{Counters, west_east};
use legonf_core::{Batch, Brick, BrickError, Columns, Descriptor, SLOTS};
use legonf_splitter::SlotSet;
use std::sync::Arc;

/// What a brick did.
enum Entry {
    /// Packets that it processed, of all shards or one: those at this place.
    Packets { part: Option<usize>, at: usize },
    /// Slots whose state it gave away.
    Gave { part: usize, slots: Vec<u16> },
    /// State that it got.
    Took { part: usize, state: Vec<u8> },
}

/// The last checkpoint of a brick, slot by slot, and a log of what it did since.
///
/// When the log has grown to the size of the checkpoint, but to a given size at least, the slots that have changed are
/// saved, and the log begins anew. So both together take at most three times the state (while slots are saved), and what they
/// cost for a packet does not depend on how much state there is.
pub(crate) struct Checkpointer {
    split: Arc<Split>,
    least: usize,
    /// State of each slot of each shard.
    saved: Vec<Vec<Vec<u8>>>,
    saved_bytes: usize,
    /// Counters of the brick at the checkpoint; none where it was made anew since.
    pub counters: Counters,
    log: Vec<Entry>,
    log_bytes: usize,
    /// Whether the brick is at the last entry.
    open: bool,
    /// The packets of the log, so many, and memory for others.
    packets: Vec<Batch>,
    used: usize,
    /// The places of a whole batch.
    places: Vec<usize>,
}

impl Checkpointer {
    /// A checkpointer of a brick that was prepared for the parts of `split`, with a first checkpoint.
    ///
    /// # Errors
    /// If the brick cannot copy its state.
    pub fn new(split: Arc<Split>, least: usize, brick: &mut dyn Brick) -> Result<Self, BrickError> {
        let shards = split.shards();
        let saved = (0..shards).map(|_| vec![Vec::new(); SLOTS]).collect();
        let (log, packets, places) = Default::default();
        let counters = Vec::new();
        let (saved_bytes, log_bytes, open, used) = (0, 0, false, 0);
        let mut checkpointer =
            Self { split, least, saved, saved_bytes, counters, log, log_bytes, open, packets, used, places };
        let all: Vec<SlotSet> = (0..shards).map(|_| SlotSet::all()).collect();
        checkpointer.save(brick, &all)?;
        Ok(checkpointer)
    }

    /// The brick, with a record of what it does.
    pub fn watch<'a>(&'a mut self, brick: &'a mut dyn Brick) -> impl Brick + 'a {
        Recorder { brick, checkpointer: self }
    }

    /// Brings a new brick to where the one before was behind the last batch that it finished.
    ///
    /// # Errors
    /// If the new one takes the state not in, or fails where the one before did not.
    pub fn restore(&mut self, fresh: &mut dyn Brick) -> Result<(), BrickError> {
        if std::mem::take(&mut self.open) {
            self.log.pop();
            self.used -= 1;
            self.log_bytes -= size(&self.packets[self.used]);
        }
        self.split.prepare(fresh)?;
        for (part, slots) in self.saved.iter().enumerate() {
            for state in slots.iter().filter(|state| !state.is_empty()) {
                west_east(fresh)?.import(part, state)?;
            }
        }
        let (mut batch, mut rows) = (Batch::default(), None);
        for entry in &self.log {
            match entry {
                Entry::Packets { part, at } => {
                    let packets = &self.packets[*at];
                    let places = count_to(packets.len(), &mut self.places);
                    if let Some(part) = part {
                        let rows = self.split.rows(&mut rows, packets, places.len());
                        west_east(fresh)?.process_part(*part, packets, places, rows)?;
                    } else {
                        packets.gather(places, self.split.reads(), &mut batch);
                        fresh.process(&mut batch)?;
                    }
                }
                Entry::Gave { part, slots } => drop(west_east(fresh)?.export(*part, slots)?),
                Entry::Took { part, state } => west_east(fresh)?.import(*part, state)?,
            }
        }
        Ok(())
    }

    /// Notes packets that the brick is about to process: those of a batch at some places for a part, or all.
    pub fn begin(&mut self, batch: &Batch, part: Option<(usize, &[usize])>) {
        let at = self.used;
        let (part, places) = part.unzip();
        let places = places.unwrap_or_else(|| count_to(batch.len(), &mut self.places));
        self.packets.resize_with(self.packets.len().max(at + 1), Batch::default);
        batch.gather(places, self.split.reads(), &mut self.packets[at]);
        self.log_bytes += size(&self.packets[at]);
        self.log.push(Entry::Packets { part, at });
        (self.used, self.open) = (at + 1, true);
    }

    /// Notes that the brick has processed them; saves its state if it is time.
    pub fn end(&mut self, brick: &mut dyn Brick) -> Result<(), BrickError> {
        if self.log_bytes >= self.least.max(self.saved_bytes) {
            let changed = self.changed();
            self.save(brick, &changed)?;
        }
        // Last: where a copy panics the packets are processed anew, by another brick, which must not have them yet.
        self.open = false;
        Ok(())
    }

    /// Notes slots whose state the brick has given away.
    pub fn gave(&mut self, part: usize, slots: &[u16]) {
        self.log.push(Entry::Gave { part, slots: slots.to_vec() });
    }

    /// Notes state that the brick has got, in place of such that it has given away.
    pub fn took(&mut self, part: usize, state: &[u8]) {
        self.log_bytes += state.len();
        self.log.push(Entry::Took { part, state: state.to_vec() });
    }

    /// Slots that may have changed since the checkpoint.
    fn changed(&self) -> Vec<SlotSet> {
        let mut changed: Vec<SlotSet> = self.saved.iter().map(|_| SlotSet::none()).collect();
        for entry in &self.log {
            match entry {
                Entry::Packets { part, at } => {
                    self.split.partitioner.mark(*part, &self.packets[*at].headers, &mut changed)
                }
                Entry::Gave { part, slots } => {
                    slots.iter().for_each(|slot| changed[*part].insert((*slot).into()))
                }
                // Before state comes, the slots that it is of are given away.
                Entry::Took { .. } => {}
            }
        }
        changed
    }

    /// Copies what has changed, all of it before anything of the checkpoint is replaced: where a copy panics that one holds.
    fn save(&mut self, brick: &mut dyn Brick, changed: &[SlotSet]) -> Result<(), BrickError> {
        let mut copies = Vec::new();
        for (part, slots) in changed.iter().enumerate() {
            for slot in slots.iter() {
                copies.push((part, slot, west_east(brick)?.copy(part, &[slot as u16])?));
            }
        }
        self.counters = brick.counters();
        for (part, slot, state) in copies {
            self.saved_bytes += state.len();
            self.saved_bytes -= std::mem::replace(&mut self.saved[part][slot], state).len();
        }
        self.log.clear();
        (self.used, self.log_bytes) = (0, 0);
        Ok(())
    }
}

/// Makes `places` those of a batch of so many packets.
fn count_to(packets: usize, places: &mut Vec<usize>) -> &[usize] {
    places.clear();
    places.extend(0..packets);
    places
}

/// Bytes of packets in a log.
fn size(batch: &Batch) -> usize {
    batch.size(Columns::ALL)
}

/// A brick whose checkpointer looks on.
struct Recorder<'a> {
    brick: &'a mut dyn Brick,
    checkpointer: &'a mut Checkpointer,
}

impl Brick for Recorder<'_> {
    fn descriptor(&self) -> Descriptor {
        self.brick.descriptor()
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.checkpointer.begin(batch, None);
        self.brick.process(batch)?;
        self.checkpointer.end(self.brick)
    }
}
