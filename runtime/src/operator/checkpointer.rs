//! Checkpoints of a brick with state, and what it has done since: so that another one can take its place after a panic.

use crate::exchange::Split;
use crate::operator::interface::{Counters, west_east};
use legonf_core::{Batch, Brick, BrickError, Columns, Descriptor, SLOTS, Storage};
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
    /// Flows that were over by this time have ended.
    Expired { part: usize, watermark: i64 },
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
    /// The time by which flows had ended at the checkpoint. Slots that had no packet since are not saved again for that.
    watermark: Option<i64>,
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
        let mut checkpointer = Self {
            split,
            least,
            saved,
            saved_bytes,
            watermark: None,
            counters,
            log,
            log_bytes,
            open,
            packets,
            used,
            places,
        };
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
            let states: Vec<&[u8]> =
                slots.iter().map(Vec::as_slice).filter(|state| !state.is_empty()).collect();
            west_east(fresh)?.import_each(part, &states)?;
        }
        let split = self.split.clone();
        let mut work = Replay { split: &split, batch: Batch::default(), flows: split.empty(), rows: None };
        for (part, watermark) in
            self.watermark.into_iter().flat_map(|time| (0..self.saved.len()).map(move |part| (part, time)))
        {
            work.expire(fresh, part, watermark)?;
        }
        for entry in &self.log {
            match entry {
                Entry::Packets { part, at } => {
                    let packets = &self.packets[*at];
                    work.process(fresh, *part, packets, count_to(packets.len(), &mut self.places))?;
                }
                Entry::Gave { part, slots } => drop(west_east(fresh)?.export(*part, slots)?),
                Entry::Took { part, state } => west_east(fresh)?.import(*part, state)?,
                Entry::Expired { part, watermark } => work.expire(fresh, *part, *watermark)?,
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
        self.split.gather(batch, places, &mut self.packets[at]);
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

    /// Notes that flows which were over by this time have ended.
    pub fn expired(&mut self, part: usize, watermark: i64) {
        self.log.push(Entry::Expired { part, watermark });
    }

    /// The time by which flows have ended: that of the last batch, which the brick was given whole or piece by piece.
    fn latest_watermark(&self) -> Option<i64> {
        let watermark = self.split.flows.as_ref()?.watermark;
        let of = |entry: &Entry| match entry {
            Entry::Expired { watermark, .. } => Some(*watermark),
            Entry::Packets { part: None, at } => self.packets[*at].columns.get(watermark).last().copied(),
            _ => None,
        };
        self.log.iter().rev().find_map(of).or(self.watermark)
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
                // Before state comes, the slots that it is of are given away. Flows of a checkpoint end by its watermark.
                Entry::Took { .. } | Entry::Expired { .. } => {}
            }
        }
        changed
    }

    /// Copies what has changed, all of it before anything of the checkpoint is replaced: where a copy panics that one holds.
    fn save(&mut self, brick: &mut dyn Brick, changed: &[SlotSet]) -> Result<(), BrickError> {
        let mut copies = Vec::new();
        for (part, slots) in changed.iter().enumerate() {
            let slots: Vec<u16> = slots.iter().map(|slot| slot as u16).collect();
            let states = west_east(brick)?.copy_each(part, &slots)?;
            copies
                .extend(slots.into_iter().zip(states).map(|(slot, state)| (part, usize::from(slot), state)));
        }
        self.counters = brick.counters();
        self.watermark = self.latest_watermark();
        for (part, slot, state) in copies {
            self.saved_bytes += state.len();
            self.saved_bytes -= std::mem::replace(&mut self.saved[part][slot], state).len();
        }
        self.log.clear();
        (self.used, self.log_bytes) = (0, 0);
        Ok(())
    }
}

/// What a brick is given again.
struct Replay<'a> {
    split: &'a Split,
    batch: Batch,
    /// The rows of flows that it has told before.
    flows: Batch,
    rows: Option<Box<dyn Storage>>,
}

impl Replay<'_> {
    fn process(
        &mut self,
        brick: &mut dyn Brick,
        part: Option<usize>,
        packets: &Batch,
        places: &[usize],
    ) -> Result<(), BrickError> {
        let Some(part) = part else {
            self.split.gather(packets, places, &mut self.batch);
            return brick.process(&mut self.batch);
        };
        if self.split.flows.is_some() {
            self.flows.clear();
            return west_east(brick)?.process_flows(part, packets, places, &mut self.flows);
        }
        let rows = self.split.rows(&mut self.rows, packets, places.len());
        west_east(brick)?.process_part(part, packets, places, rows)
    }

    fn expire(&mut self, brick: &mut dyn Brick, part: usize, watermark: i64) -> Result<(), BrickError> {
        self.flows.clear();
        west_east(brick)?.expire(part, &[watermark], &mut self.flows)
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
