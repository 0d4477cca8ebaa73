//! Checkpoints of a brick with state, and what it has done since: so that another one can take its place after a panic.

use crate::exchange::Split;
use crate::operator::interface::{Counters, add, west_east};
use crate::operator::replay::Replay;
use legonf_core::{Batch, Brick, BrickError, Columns, Descriptor, SLOTS};
use legonf_splitter::SlotSet;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of state that are saved behind a batch, about: packets wait meanwhile. Of a brick that runs elsewhere more at once, since the way
/// there and back takes longer than the copy.
const STEP: usize = 64 << 10;
const STEP_ELSEWHERE: usize = 256 << 10;
/// Slots of the first such step of a shard, and of one at most; where nothing waits, of each.
const FEWEST: usize = 8;
const MOST: usize = 128;
const AT_ONCE: usize = 1024;
/// Bytes of state that are saved for each byte that the log has grown by: so a round is over before the log has grown much.
const FOR_EACH: usize = 4;
/// Entries of the log, and former states, that are let go behind a batch.
const GONE: usize = 16;
/// Bytes of state that are put into a brick at once, about.
const PIECE: usize = 16 << 20;

/// What a brick did.
enum Entry {
    /// Packets that it processed, of all shards or one: the batch of this number.
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
/// saved: some behind each batch, so that no packet waits for long. Each has its position in the log, from which on entries
/// are not in it. With the last of them the log begins anew where the first position was. So all together take at most four
/// times the state, and what they cost for a packet does not depend on how much state there is.
pub(crate) struct Checkpointer {
    split: Arc<Split>,
    least: usize,
    /// State of each slot of each shard.
    saved: Vec<Vec<Saved>>,
    saved_bytes: usize,
    /// The time by which flows had ended at the checkpoint. Slots that had no packet since are not saved again for that.
    watermark: Option<i64>,
    /// Counters of the brick when the last slot was saved, and that position.
    counters: Counters,
    counted: u64,
    /// What was told since of what that brick had counted and another one has not.
    told: Counters,
    log: VecDeque<Entry>,
    log_bytes: usize,
    /// The position of the first entry, and that from which on entries count; those before go a few at a time.
    first: u64,
    start: u64,
    /// Slots that may have changed since.
    changed: Vec<SlotSet>,
    /// The last entries, so many, which the brick is not done with.
    open: usize,
    /// What is being saved.
    round: Option<Round>,
    /// The packets of the log, so many, and memory for others; and how many batches have gone before.
    packets: VecDeque<Box<Batch>>,
    used: usize,
    gone: usize,
    /// States that others have replaced, and that are still to be let go.
    former: Vec<Vec<u8>>,
    /// The places of a whole batch.
    places: Vec<usize>,
}

/// The state of a slot at a position of the log.
#[derive(Clone, Default)]
struct Saved {
    state: Vec<u8>,
    position: u64,
}

/// Slots that are being saved.
struct Round {
    /// Where the log begins when all are, and the bytes of it that no longer count then.
    start: u64,
    bytes: usize,
    /// Those of each shard that are left, the last one first.
    left: Vec<Vec<u16>>,
    /// Shard, slot, and what was saved.
    done: Vec<(usize, u16, Saved)>,
    /// Bytes of a step, about.
    room: usize,
    /// Slots of the next step and at most, bytes of the last, and what the log has grown by since.
    slots: usize,
    most: usize,
    step: usize,
    grown: usize,
}

impl Round {
    /// How many slots of a shard the next step leaves: what they had at the last checkpoint says about what they have.
    fn rest(&self, part: usize, saved: &[Saved]) -> usize {
        let (mut room, left) = (self.room, &self.left[part]);
        let fits = left.iter().rev().take(self.slots).take_while(|slot| {
            let fits = room > 0;
            room = room.saturating_sub(saved[usize::from(**slot)].state.len());
            fits
        });
        left.len() - fits.count()
    }

    /// Takes in how large a step was, and whether it was the last of its shard: slots of another one have other sizes.
    fn adapt(&mut self, bytes: usize, is_last: bool) {
        (self.step, self.grown) = (bytes, 0);
        match bytes {
            _ if is_last => self.slots = FEWEST,
            _ if bytes > self.room => self.slots = (self.slots / 2).max(1),
            _ if bytes < self.room / 2 => self.slots = (self.slots * 2).min(self.most),
            _ => {}
        }
    }
}

impl Checkpointer {
    /// A checkpointer of a brick that was prepared for the parts of `split`, with a first checkpoint.
    ///
    /// # Errors
    /// If the brick cannot copy its state.
    pub fn new(split: Arc<Split>, least: usize, brick: &mut dyn Brick) -> Result<Self, BrickError> {
        let shards = split.shards();
        let saved = (0..shards).map(|_| vec![Saved::default(); SLOTS]).collect();
        let (log, packets, places) = Default::default();
        let counters = Vec::new();
        let (saved_bytes, log_bytes, open, used, gone) = (0, 0, 0, 0, 0);
        let (first, start, counted, round, former) = (0, 0, 0, None, Vec::new());
        let changed = (0..shards).map(|_| SlotSet::all()).collect();
        let mut checkpointer = Self {
            split,
            least,
            saved,
            saved_bytes,
            watermark: None,
            counters,
            counted,
            told: Vec::new(),
            log,
            log_bytes,
            first,
            start,
            changed,
            open,
            round,
            packets,
            used,
            gone,
            former,
            places,
        };
        checkpointer.begin_round(AT_ONCE, STEP);
        while checkpointer.round.is_some() {
            checkpointer.save_some(brick)?;
        }
        Ok(checkpointer)
    }

    /// The brick, with a record of what it does, if its next call is not [begun](Self::begin) already.
    pub fn watch<'a>(&'a mut self, brick: &'a mut dyn Brick, begun: bool) -> impl Brick + 'a {
        Recorder { brick, checkpointer: self, begun }
    }

    /// Brings a new brick to where the one before was behind the last batch that it finished, and tells what is to be added to its counters: what
    /// the one before had counted, and this one has not. That can be less than nothing, as this one also counts what it does to slots
    /// that their saved state then replaces; so it is added modulo 2^64. It is told once, also where this one panics before the next checkpoint.
    ///
    /// # Errors
    /// If the new one takes the state not in, or fails where the one before did not.
    pub fn restore(&mut self, fresh: &mut dyn Brick) -> Result<Counters, BrickError> {
        // A round goes on with the new brick: what it has copied is the state at its position, whichever brick had it. Were it given up, a
        // brick that is lost again and again would never get a new checkpoint, and the log would grow.
        for _ in 0..std::mem::take(&mut self.open) {
            self.log.pop_back();
            self.used -= 1;
            self.log_bytes -= size(&self.packets[self.used]);
        }
        self.split.prepare(fresh)?;
        // Until its position, what entries do to a slot is of no account: then its state replaces all that.
        let mut slots = self.by_position();
        let first = slots.partition_point(|(position, ..)| *position <= self.start);
        self.put(fresh, &slots.drain(..first).collect::<Vec<_>>(), false)?;
        let split = self.split.clone();
        let mut work = Replay::new(&split);
        for (part, watermark) in
            self.watermark.into_iter().flat_map(|time| (0..self.saved.len()).map(move |part| (part, time)))
        {
            work.expire(fresh, part, watermark)?;
        }
        let mut recounted = Counters::new();
        let (mut position, end) = (self.start, self.position());
        loop {
            let due = slots.partition_point(|(saved_at, ..)| *saved_at <= position);
            self.put(fresh, &slots.drain(..due).collect::<Vec<_>>(), true)?;
            if position == self.counted {
                recounted = fresh.counters();
            }
            if position == end {
                break;
            }
            let saved = slots.first().map_or(end, |(saved_at, ..)| *saved_at);
            let counted = if position < self.counted { self.counted } else { end };
            position = self.replay(fresh, position..saved.min(counted).min(end), &mut work)?;
        }
        if fresh.is_lost() {
            return Err(BrickError { brick: fresh.descriptor().kind, reason: "it is lost again".into() });
        }
        let missing = less(self.counters.clone(), &recounted);
        let told = std::mem::replace(&mut self.told, missing.clone());
        Ok(less(missing, &told))
    }

    /// Slots with state at a position behind the first entry, or any: by their position, then by shard.
    fn by_position(&self) -> Vec<(u64, usize, u16)> {
        let all = self.saved.iter().enumerate();
        let all = all.flat_map(|(part, slots)| slots.iter().enumerate().map(move |of| (part, of)));
        let known = all.filter(|(_, (_, saved))| saved.position > self.start || !saved.state.is_empty());
        let mut known: Vec<_> =
            known.map(|(part, (slot, saved))| (saved.position.max(self.start), part, slot as u16)).collect();
        known.sort_unstable();
        known
    }

    /// Puts the saved state of slots into a brick, in place of what is there.
    fn put(
        &self,
        fresh: &mut dyn Brick,
        slots: &[(u64, usize, u16)],
        replaces: bool,
    ) -> Result<(), BrickError> {
        let keyed = west_east(fresh)?;
        for of_part in slots.chunk_by(|(_, one, _), (_, other, _)| one == other) {
            let part = of_part[0].1;
            let numbers: Vec<u16> = of_part.iter().map(|(_, _, slot)| *slot).collect();
            let state = |slot: &u16| self.saved[part][usize::from(*slot)].state.as_slice();
            let states: Vec<&[u8]> = numbers.iter().map(state).filter(|state| !state.is_empty()).collect();
            if replaces {
                keyed.replace_each(part, &numbers, &states)?;
                continue;
            }
            for piece in pieces(&states) {
                keyed.import_each(part, &states[piece])?;
            }
        }
        Ok(())
    }

    /// Does once more what entries from one position on say: what follows it up to the other, where that are packets; or it alone.
    /// Returns where the next one is.
    fn replay(
        &mut self,
        fresh: &mut dyn Brick,
        positions: Range<u64>,
        work: &mut Replay<'_>,
    ) -> Result<u64, BrickError> {
        let at = (positions.start - self.first) as usize;
        match &self.log[at] {
            Entry::Packets { .. } => {
                let until = (positions.end - self.first) as usize;
                let entries = self.log.range(at..until);
                let some = entries.map_while(|entry| match entry {
                    Entry::Packets { part, at } => Some((*part, &*self.packets[*at - self.gone])),
                    _ => None,
                });
                return Ok(positions.start + work.process(fresh, some)? as u64);
            }
            Entry::Gave { part, slots } => west_east(fresh)?.export(*part, slots).map(drop)?,
            Entry::Took { part, state } => west_east(fresh)?.import(*part, state)?,
            Entry::Expired { part, watermark } => work.expire(fresh, *part, *watermark)?,
        }
        Ok(positions.start + 1)
    }

    /// Notes packets that the brick is about to process: those of a batch at some places for a part, or all.
    pub fn begin(&mut self, batch: &Batch, part: Option<(usize, &[usize])>) {
        let (part, places) = part.unzip();
        let places = places.unwrap_or_else(|| count_to(batch.len(), &mut self.places));
        if self.used == self.packets.len() {
            self.packets.push_back(Box::default());
        }
        let packets = &mut *self.packets[self.used];
        self.split.gather(batch, places, packets);
        let bytes = size(packets);
        self.split.partitioner.mark(part, &packets.headers, &mut self.changed);
        self.log.push_back(Entry::Packets { part, at: self.gone + self.used });
        self.grow(bytes);
        (self.used, self.open) = (self.used + 1, self.open + 1);
    }

    fn grow(&mut self, bytes: usize) {
        self.log_bytes += bytes;
        self.round.iter_mut().for_each(|round| round.grown += bytes);
    }

    /// Notes that the brick has processed them; saves some of its state if it is time.
    pub fn end(&mut self, brick: &mut dyn Brick) -> Result<(), BrickError> {
        // A copy has in it what is begun behind these packets, which is then not to be done again.
        if self.open == 1 && self.is_due() {
            if self.round.is_none() {
                let is_elsewhere = west_east(brick)?.takes_all_at_once();
                self.begin_round(MOST, if is_elsewhere { STEP_ELSEWHERE } else { STEP });
            }
            self.save_some(brick)?;
        }
        self.let_go();
        // Last: where a copy panics the packets are processed anew, by another brick, which must not have them yet.
        self.open -= 1;
        Ok(())
    }

    /// Whether state is to be saved now.
    pub fn is_due(&self) -> bool {
        let begins = || self.log_bytes >= self.least.max(self.saved_bytes);
        self.round.as_ref().map_or_else(begins, |round| round.step <= FOR_EACH * round.grown)
    }

    /// Notes slots whose state the brick has given away.
    pub fn gave(&mut self, part: usize, slots: &[u16]) {
        slots.iter().for_each(|slot| self.changed[part].insert((*slot).into()));
        self.log.push_back(Entry::Gave { part, slots: slots.to_vec() });
    }

    /// Notes state that the brick has got, in place of such that it has given away: so the slots have changed already.
    pub fn took(&mut self, part: usize, state: &[u8]) {
        self.log.push_back(Entry::Took { part, state: state.to_vec() });
        self.grow(state.len());
    }

    /// Notes that flows which were over by this time have ended.
    pub fn expired(&mut self, part: usize, watermark: i64) {
        self.log.push_back(Entry::Expired { part, watermark });
    }

    /// The time by which flows have ended: that of the last batch, which the brick was given whole or piece by piece.
    fn latest_watermark(&self) -> Option<i64> {
        let watermark = self.split.flows.as_ref()?.watermark;
        let of = |entry: &Entry| match entry {
            Entry::Expired { watermark, .. } => Some(*watermark),
            Entry::Packets { part: None, at } => {
                self.packets[*at - self.gone].columns.get(watermark).last().copied()
            }
            _ => None,
        };
        self.log.iter().rev().find_map(of).or(self.watermark)
    }

    /// The position behind the last entry.
    fn position(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    fn begin_round(&mut self, most: usize, room: usize) {
        let changed = self.changed.iter_mut().map(|slots| std::mem::replace(slots, SlotSet::none()));
        let left = changed.map(|slots| slots.iter().map(|slot| slot as u16).collect()).collect();
        let (start, bytes, done) = (self.position(), self.log_bytes, Vec::new());
        self.round = Some(Round { start, bytes, left, done, room, slots: FEWEST, most, step: 0, grown: 0 });
    }

    /// Copies some slots that have changed, all of them before anything of the checkpoint is replaced: where a copy panics that one
    /// holds. Flows end by the time of the checkpoint, so what is of them is saved at once.
    fn save_some(&mut self, brick: &mut dyn Brick) -> Result<(), BrickError> {
        let (position, at_once) = (self.position(), self.split.flows.is_some());
        let Some(round) = &mut self.round else { return Ok(()) };
        loop {
            let part = round.left.iter().position(|slots| !slots.is_empty()).unwrap_or(0);
            let rest = round.rest(part, &self.saved[part]);
            let slots = round.left[part][rest..].to_vec();
            // Before the last copy: of a brick that is lost now there is none.
            let is_last = round.left.iter().map(Vec::len).sum::<usize>() == slots.len();
            let counters = is_last.then(|| brick.counters());
            let states = west_east(brick)?.copy_each(part, &slots)?;
            round.left[part].truncate(rest);
            let bytes: usize = states.iter().map(Vec::len).sum();
            round.adapt(bytes, rest == 0);
            let saved = slots.into_iter().zip(states);
            round.done.extend(saved.map(|(slot, state)| (part, slot, Saved { state, position })));
            if let Some(counters) = counters {
                (self.counters, self.counted) = (counters, position);
                self.told.clear();
                self.replace();
                return Ok(());
            }
            if !at_once {
                return Ok(());
            }
        }
    }

    /// Ends a round: what it has saved is the checkpoint.
    fn replace(&mut self) {
        let Some(round) = self.round.take() else { return };
        self.watermark = self.latest_watermark();
        for (part, slot, saved) in round.done {
            self.saved_bytes += saved.state.len();
            let former = std::mem::replace(&mut self.saved[part][usize::from(slot)], saved).state;
            self.saved_bytes -= former.len();
            self.former.push(former);
        }
        self.start = round.start;
        self.log_bytes -= round.bytes;
    }

    /// Lets go some of what counts no more.
    fn let_go(&mut self) {
        self.former.truncate(self.former.len().saturating_sub(GONE));
        for _ in 0..GONE {
            if self.first == self.start {
                return;
            }
            if let Some(Entry::Packets { .. }) = self.log.pop_front() {
                self.packets.rotate_left(1);
                (self.used, self.gone) = (self.used - 1, self.gone + 1);
            }
            self.first += 1;
        }
    }
}

/// Counters less others, modulo 2^64.
fn less(mut counters: Counters, others: &Counters) -> Counters {
    let negative: Vec<_> = others.iter().map(|(name, count)| (*name, count.wrapping_neg())).collect();
    add(&mut counters, &negative);
    counters
}

/// Pieces of some states, each about as large as may be put in at once.
fn pieces(states: &[&[u8]]) -> Vec<Range<usize>> {
    let (mut pieces, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (at, state) in states.iter().enumerate() {
        bytes += state.len();
        if bytes > PIECE {
            pieces.push(begin..at + 1);
            (begin, bytes) = (at + 1, 0);
        }
    }
    pieces.push(begin..states.len());
    pieces
}

/// Makes `places` those of a batch of so many packets.
pub(super) fn count_to(packets: usize, places: &mut Vec<usize>) -> &[usize] {
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
    begun: bool,
}

impl Brick for Recorder<'_> {
    fn descriptor(&self) -> Descriptor {
        self.brick.descriptor()
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if !self.begun {
            self.checkpointer.begin(batch, None);
        }
        self.brick.process(batch)?;
        self.checkpointer.end(self.brick)
    }
}
