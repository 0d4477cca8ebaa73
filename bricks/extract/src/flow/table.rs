//! The brick that keeps flows.

mod west_east;

use super::config::{Column, Config, FlowError, Ready, nanos};
use super::identity::{Found, Identifier, Identity};
use super::kept::{Block, Blocks, Kept, Sample};
use super::record::{self, RECORD, RECORD_FIELDS, Reason};
use super::slots::{Item, Known, SlotLists};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Columns, Descriptor, Element, FlowRow, Handle, Headers,
    Layout, PacketRecord, Rows, SLOTS, Shape, State, WestEast, slot,
};
use legonf_wire::{Segment, tcp};
use std::borrow::Cow;

/// The first bytes of payload of each flow.
pub const BYTES: ColumnSpec = ColumnSpec::rows("flow-bytes", Element::U8).in_flows();
/// Length, direction and gap of the first packets of each flow: of each packet the bytes of its IP packet; 1 where it is from the
/// source of the flow, else -1; and seconds since the packet before. Zeros behind the last.
pub const SEQUENCE: ColumnSpec = ColumnSpec::rows("flow-sequence", Element::F32).in_flows();
/// Cells of [`SEQUENCE`] for a packet.
pub const SEQUENCE_CELLS: usize = 3;

/// Packets whose flows are found at once.
const AT_ONCE: usize = 16;

/// Slots of a group: times of a group are looked at together.
const GROUP_SLOTS: usize = 64;

/// The longest gap that is kept.
const LONGEST_GAP: i64 = u32::MAX as i64;

/// Keeps the flows of the traffic (RFC 7011 calls them bidirectional flows) and fills a row for each: its first bytes, its first
/// packets, and its numbers.
///
/// A row leaves with the packet that makes it [ready](Ready), or that ends the flow: the second FIN of TCP, an RST, or the first
/// packet of any flow by whose time the flow was idle for too long. A flow has one row. What comes behind its end, without a SYN, is
/// counted and belongs to no flow. Packets without IP addresses belong to none.
#[derive(Debug)]
pub struct FlowTable {
    config: Config,
    idle: i64,
    active: i64,
    identifier: Identifier,
    flows: SlotLists<Kept>,
    bytes: Blocks<u8>,
    samples: Blocks<Sample>,
    /// For each slot when its oldest flow was seen last; the greatest number where it has none.
    oldest: Vec<i64>,
    /// For each group of slots a time that is not behind that of any of them.
    groups: Vec<i64>,
    counts: Counts,
    columns: Bound,
    /// What a batch gets of flows, and memory to bring it into order.
    told: Batch,
    scratch: Batch,
    order: Vec<usize>,
    places: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bound {
    bytes: Handle<Rows<u8>>,
    sequence: Handle<Rows<f32>>,
    record: Handle<Rows<u64>>,
    watermark: Handle<Vec<i64>>,
    all: Columns,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    begun: u64,
    evicted: u64,
    no_flow: u64,
    behind_end: u64,
    empty: u64,
}

impl Item for Kept {
    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// A packet on its way into its flow.
struct Packet<'a> {
    headers: &'a Headers,
    /// What it carries, where there are bytes of it.
    segment: Segment,
    bytes: &'a [u8],
    place: usize,
    watermark: i64,
}

impl FlowTable {
    /// Name of the kind.
    pub const KIND: &'static str = "flow-table";

    /// What the graph needs to know of the brick; its own descriptor says how wide rows are.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "flow table",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS, ColumnSpec::WATERMARK]),
        writes: Cow::Borrowed(&[BYTES, SEQUENCE, RECORD]),
        state: State::Keyed,
    };

    /// An empty table.
    ///
    /// # Errors
    /// If a number of the configuration is out of its range.
    pub fn new(config: Config) -> Result<Self, FlowError> {
        config.check()?;
        Ok(Self {
            idle: nanos("idle", config.idle)?,
            active: nanos("active", config.active)?,
            identifier: Identifier::new(config.vlan, config.tunnel, config.seed),
            flows: SlotLists::of(config.flows_per_slot as usize),
            bytes: Blocks::of(config.bytes as usize),
            samples: Blocks::of(config.packets as usize),
            oldest: vec![i64::MAX; SLOTS],
            groups: vec![i64::MAX; SLOTS / GROUP_SLOTS],
            counts: Counts::default(),
            columns: Bound::default(),
            told: Batch::default(),
            scratch: Batch::default(),
            order: Vec::new(),
            places: Vec::new(),
            config,
        })
    }

    fn spec(&self, column: Column) -> ColumnSpec {
        let shape = || match &self.config.shape[..] {
            [] => Shape::row(self.config.bytes as usize),
            shape => Shape::Of(shape.to_vec().into()),
        };
        match column {
            Column::Bytes => ColumnSpec { shape: shape(), ..BYTES },
            Column::Sequence => SEQUENCE.of_width(SEQUENCE_CELLS * self.config.packets as usize),
            Column::Record => RECORD.of_width(RECORD_FIELDS.len()),
        }
    }

    fn fills(&self, column: Column) -> bool {
        self.config.columns.contains(&column)
    }

    fn specs(&self) -> Vec<ColumnSpec> {
        self.config.columns.iter().map(|column| self.spec(*column)).collect()
    }

    /// Finds the flows of some packets, and asks for what is kept of them: cache misses overlap.
    fn anticipate(&self, headers: &[Headers], places: &[usize]) -> [Option<Found>; AT_ONCE] {
        let mut found = [None; AT_ONCE];
        for (found, place) in found.iter_mut().zip(places) {
            *found = self.identifier.find(&headers[*place]);
        }
        let slots = || found.iter().flatten().map(|found| slot(found.hash));
        slots().for_each(|slot| self.flows.prefetch_list(slot));
        slots().for_each(|slot| self.flows.prefetch_tags(slot));
        slots().for_each(|slot| self.flows.prefetch_oldest(slot));
        found
    }

    /// Takes in the packet at a place of a batch.
    fn take(
        &mut self,
        found: Option<Found>,
        batch: &Batch,
        place: usize,
        watermarks: &[i64],
        told: &mut Batch,
    ) {
        let Some(found) = found else {
            self.counts.no_flow += 1;
            return;
        };
        let packet = Packet::of(batch, place, watermarks[place]);
        let number = match self.flows.find(found.hash, &found.identity, packet.watermark) {
            Some(known) => self.go_on(known, found.swapped, &packet, watermarks, told),
            None => self.begin(&found, &packet, told),
        };
        self.see(slot(found.hash), number, &packet, found.swapped);
        self.fill(number, &packet);
        if let Some(reason) = self.row_of(number) {
            self.tell(number, reason, place, told);
        }
    }

    /// Lets a flow go on with a packet, or begin anew where it is over.
    fn go_on(
        &mut self,
        known: Known,
        swapped: bool,
        packet: &Packet<'_>,
        watermarks: &[i64],
        told: &mut Batch,
    ) -> u32 {
        let Known { number, seen } = known;
        let kept = self.flows.item(number);
        let deadline = seen.saturating_add(self.idle);
        if deadline <= packet.watermark {
            let since = watermarks[..packet.place].partition_point(|time| *time < deadline);
            self.tell(number, Reason::Idle, since, told);
            self.renew(number, packet, swapped);
        } else if kept.opened.saturating_add(self.active) <= packet.watermark {
            self.tell(number, Reason::Active, packet.place, told);
            self.renew(number, packet, swapped);
        } else if kept.over && packet.begins() {
            self.renew(number, packet, swapped);
        }
        number
    }

    /// Begins another flow with the memory of one that is over.
    fn renew(&mut self, number: u32, packet: &Packet<'_>, swapped: bool) {
        let before = *self.flows.item(number);
        self.take_back(&before);
        *self.flows.item_mut(number) = packet.first(before.identity, swapped);
        self.counts.begun += 1;
    }

    /// Begins the flow of a packet. Where its slot is full, the flow that was not seen for the longest time makes room.
    fn begin(&mut self, found: &Found, packet: &Packet<'_>, told: &mut Batch) -> u32 {
        let slot = slot(found.hash);
        if self.flows.is_full(found.hash)
            && let Some(oldest) = self.flows.oldest(slot)
        {
            self.tell(oldest.number, Reason::Resources, packet.place, told);
            self.counts.evicted += 1;
            self.forget_oldest(slot);
        }
        self.counts.begun += 1;
        self.flows.add(found.hash, packet.first(found.identity, found.swapped), packet.watermark)
    }

    fn forget_oldest(&mut self, slot: usize) {
        if let Some(kept) = self.flows.remove_oldest(slot) {
            self.take_back(&kept);
        }
        self.note_oldest(slot);
    }

    /// Takes the blocks of a flow back.
    fn take_back(&mut self, kept: &Kept) {
        self.bytes.take_back(kept.bytes_at);
        self.samples.take_back(kept.samples_at);
    }

    fn note_oldest(&mut self, slot: usize) {
        let seen = self.flows.oldest(slot).map_or(i64::MAX, |oldest| oldest.seen);
        self.oldest[slot] = seen;
        let group = &mut self.groups[slot / GROUP_SLOTS];
        *group = seen.min(*group);
    }

    /// Counts a packet in.
    fn see(&mut self, slot: usize, number: u32, packet: &Packet<'_>, swapped: bool) {
        let kept = self.flows.item_mut(number);
        if kept.over {
            self.counts.behind_end += 1;
            return self.note_oldest(slot);
        }
        let from = usize::from(kept.swapped != swapped);
        let time = packet.headers.stream_time().as_nanos();
        let gap =
            if kept.packets == [0; 2] { 0 } else { time.saturating_sub(kept.latest).clamp(0, LONGEST_GAP) };
        let length = packet.length();
        kept.end = packet.headers.timestamp.as_nanos();
        kept.latest = time;
        kept.packets[from] += 1;
        kept.octets[from] += u64::from(length);
        kept.payload[from] += u64::from(packet.payload(length));
        kept.flags[from] |= packet.segment.tcp_flags;
        let signed = length.min(i32::MAX as u32).cast_signed() * if from == 0 { 1 } else { -1 };
        let sample = Sample { length: signed, gap: gap as u32 };
        self.sample(number, sample);
        self.note_oldest(slot);
    }

    /// Adds a packet to the sequence of its flow. One packet takes no memory of its own: most flows of a flood have no more.
    fn sample(&mut self, number: u32, sample: Sample) {
        let wanted = self.fills(Column::Sequence);
        let kept = self.flows.item_mut(number);
        let at = usize::from(kept.samples);
        if kept.told || at >= self.samples.size() {
            return;
        }
        kept.samples += 1;
        if at == 0 {
            kept.first_sample = sample;
            return;
        }
        if !wanted {
            return;
        }
        if kept.samples_at == Block::NONE {
            kept.samples_at = self.samples.give();
        }
        self.samples.of_block_mut(kept.samples_at)[at] = sample;
    }

    /// Adds the payload of a packet to the bytes of its flow.
    fn fill(&mut self, number: u32, packet: &Packet<'_>) {
        let (payload, wanted) = (&packet.bytes[packet.segment.payload.clone()], self.fills(Column::Bytes));
        let kept = self.flows.item_mut(number);
        let at = usize::from(kept.bytes);
        let fits = payload.len().min(self.bytes.size() - at);
        if fits == 0 || kept.told || kept.over {
            return;
        }
        kept.bytes += fits as u16;
        if !wanted {
            return;
        }
        if kept.bytes_at == Block::NONE {
            kept.bytes_at = self.bytes.give();
        }
        self.bytes.of_block_mut(kept.bytes_at)[at..at + fits].copy_from_slice(&payload[..fits]);
    }

    /// Why the row of a flow leaves with its last packet, if it does; notes that the flow has ended, if so.
    fn row_of(&mut self, number: u32) -> Option<Reason> {
        let kept = self.flows.item_mut(number);
        if kept.over {
            return None;
        }
        let [ours, theirs] = kept.flags;
        kept.over = (ours | theirs) & tcp::RST != 0 || ours & theirs & tcp::FIN != 0;
        let bytes = usize::from(kept.bytes) == self.bytes.size();
        let packets = usize::from(kept.samples) == self.samples.size();
        let ready = match self.config.ready {
            Ready::Bytes => bytes,
            Ready::Packets => packets,
            Ready::Either => bytes || packets,
            Ready::Both => bytes && packets,
            Ready::End => false,
        };
        match (kept.over, ready) {
            (true, _) => Some(Reason::Ended),
            (false, true) => Some(Reason::Ready),
            _ => None,
        }
    }

    /// Appends the row of a flow, if it has not left, and gives its memory back.
    fn tell(&mut self, number: u32, reason: Reason, origin: usize, told: &mut Batch) {
        let kept = *self.flows.item(number);
        if kept.told {
            return;
        }
        let (bytes_at, samples_at) = (Block::NONE, Block::NONE);
        let left = Kept { told: true, bytes: 0, samples: 0, bytes_at, samples_at, ..kept };
        *self.flows.item_mut(number) = left;
        if kept.payload == [0; 2] && !self.config.empty {
            self.counts.empty += 1;
        } else {
            self.write(&kept, reason, origin, told);
        }
        self.take_back(&kept);
    }

    fn write(&mut self, kept: &Kept, reason: Reason, origin: usize, told: &mut Batch) {
        told.flows.push(FlowRow { origin: origin as u32, first: kept.first });
        if self.fills(Column::Bytes) {
            let bytes = told.columns.get_mut(self.columns.bytes).append(self.bytes.size());
            let (there, behind) = bytes.split_at_mut(kept.bytes.into());
            there.copy_from_slice(&self.bytes.of_block(kept.bytes_at)[..there.len()]);
            behind.fill(0);
        }
        if self.fills(Column::Sequence) {
            let cells = self.samples.size() * SEQUENCE_CELLS;
            let sequence = told.columns.get_mut(self.columns.sequence).append(cells);
            write_sequence(kept, self.samples.of_block(kept.samples_at), sequence);
        }
        if self.fills(Column::Record) {
            record::write(
                kept,
                reason,
                told.columns.get_mut(self.columns.record).append(RECORD_FIELDS.len()),
            );
        }
    }

    /// Ends the flows that are over by the time of a batch.
    fn end_idle(&mut self, watermarks: &[i64], told: &mut Batch) {
        let Some(last) = watermarks.last() else { return };
        for group in 0..self.groups.len() {
            if self.is_due(self.groups[group], *last) {
                let slots = group * GROUP_SLOTS..(group + 1) * GROUP_SLOTS;
                slots.clone().for_each(|slot| self.end_idle_of(slot, *last, watermarks, told));
                self.groups[group] = self.oldest[slots].iter().copied().min().unwrap_or(i64::MAX);
            }
        }
    }

    /// Whether a flow that was seen last at a time is over at another.
    fn is_due(&self, seen: i64, now: i64) -> bool {
        seen != i64::MAX && seen.saturating_add(self.idle) <= now
    }

    fn end_idle_of(&mut self, slot: usize, now: i64, watermarks: &[i64], told: &mut Batch) {
        while self.is_due(self.oldest[slot], now)
            && let Some(oldest) = self.flows.oldest(slot)
        {
            let deadline = self.oldest[slot].saturating_add(self.idle);
            let since = watermarks.partition_point(|time| *time < deadline);
            self.tell(oldest.number, Reason::Idle, since, told);
            self.forget_oldest(slot);
        }
    }
}

fn write_sequence(kept: &Kept, others: &[Sample], row: &mut [f32]) {
    row.fill(0.0);
    let samples =
        (0..usize::from(kept.samples)).map(|at| if at == 0 { kept.first_sample } else { others[at] });
    for (cells, sample) in row.chunks_exact_mut(SEQUENCE_CELLS).zip(samples) {
        cells[0] = sample.length.unsigned_abs() as f32;
        cells[1] = if sample.length < 0 { -1.0 } else { 1.0 };
        cells[2] = (f64::from(sample.gap) / 1e9) as f32;
    }
}

impl<'a> Packet<'a> {
    fn of(batch: &'a Batch, place: usize, watermark: i64) -> Self {
        let headers = &batch.headers[place];
        // An input without bytes has headers alone.
        let bytes = if batch.packets.is_empty() { &[] } else { batch.packets.bytes(place) };
        let record: Option<&PacketRecord> = (!batch.packets.is_empty()).then(|| batch.packets.record(place));
        let segment = record.and_then(|record| Segment::of(record, bytes)).unwrap_or_default();
        Self { headers, segment, bytes, place, watermark }
    }

    /// Whether it can be the first of a connection behind another one of the same ends.
    fn begins(&self) -> bool {
        self.segment.tcp_flags & tcp::SYN != 0 || self.segment.protocol != 6
    }

    /// Bytes of the IP packet; where these are not known, of the packet.
    fn length(&self) -> u32 {
        let wire = self.headers.wire_len;
        match self.segment.ip_len(self.bytes) {
            0 => wire.saturating_sub(self.segment.ip.start as u32),
            length => length,
        }
    }

    /// Bytes of payload in an IP packet of this length, captured or not.
    fn payload(&self, length: u32) -> u32 {
        length.saturating_sub((self.segment.payload.start - self.segment.ip.start) as u32)
    }

    /// A flow that begins with this packet, which is still to be counted in.
    fn first(&self, identity: Identity, swapped: bool) -> Kept {
        let start = self.headers.timestamp.as_nanos();
        let (opened, first) = (self.watermark, self.headers.seq);
        Kept { identity, first, start, opened, swapped, ..Kept::default() }
    }
}

impl Brick for FlowTable {
    fn descriptor(&self) -> Descriptor {
        Descriptor { writes: self.specs().into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.columns = Bound {
            watermark: layout.handle(&ColumnSpec::WATERMARK)?,
            all: layout.columns(&self.specs()),
            ..Bound::default()
        };
        for column in &self.config.columns {
            let spec = self.spec(*column);
            match column {
                Column::Bytes => self.columns.bytes = layout.handle(&spec)?,
                Column::Sequence => self.columns.sequence = layout.handle(&spec)?,
                Column::Record => self.columns.record = layout.handle(&spec)?,
            }
        }
        self.told = Batch::new(layout);
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (mut told, mut places) = (std::mem::take(&mut self.told), std::mem::take(&mut self.places));
        told.clear();
        places.clear();
        places.extend(0..batch.len());
        let done = self.process_flows(0, batch, &places, &mut told);
        let watermarks = std::mem::take(batch.columns.get_mut(self.columns.watermark));
        self.end_idle(&watermarks, &mut told);
        *batch.columns.get_mut(self.columns.watermark) = watermarks;
        batch.exchange(&mut told, self.columns.all);
        std::mem::swap(&mut batch.flows, &mut told.flows);
        batch.sort_flows(self.columns.all, &mut self.scratch, &mut self.order);
        (self.told, self.places) = (told, places);
        done
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counts { begun, evicted, no_flow, behind_end, empty } = self.counts;
        vec![
            ("flows", begun),
            ("evicted-flows", evicted),
            ("packets-without-flow", no_flow),
            ("packets-behind-end-of-flow", behind_end),
            ("flows-without-payload", empty),
        ]
    }

    fn state_size(&self) -> u64 {
        (self.flows.used() + self.bytes.used() + self.samples.used()) as u64
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}
