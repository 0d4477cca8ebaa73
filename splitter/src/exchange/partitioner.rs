//! Which replica takes which packets.

use super::copies::Copied;
use super::ways::{KINDS, Packet, Ways};
use super::{CHUNK, Link, PartialEntry, SlotSet, SubBatch};
use crate::{GroupSet, Mode, Plan, SplitError};
use legonf_core::Projector;
use legonf_core::{Division, Headers, PacketKind};
use std::collections::HashSet;
use std::ops::Range;

/// The most routes of a shard: the bits of a packet's mark.
pub const MAX_ROUTES: usize = 8;

/// Packets of a shard for which a sub-batch has room at least: so it seldom grows later.
const LEAST_ROOM: usize = 32;

/// Shards of which slots are found for many packets at a time.
const DIRECT: usize = 4;

/// Who has which slots, and which of them are on the move.
#[derive(Clone, Copy, Debug)]
pub struct Ownership<'a> {
    /// For each shard the replica of each slot.
    pub owners: &'a [Box<[u16]>],
    /// For each shard the slots whose state is on the move; nothing where none is.
    pub moving: &'a [SlotSet],
}

/// Divides the work of one keyed brick by a split plan.
///
/// A packet goes to the replica that has its slot, of each shard and each route that it takes; where one replica has several
/// slots of a shard, once. In steady state nothing is allocated.
#[derive(Clone, Debug)]
pub struct Partitioner {
    pub(super) shards: Vec<Ways>,
    home: usize,
    width: usize,
    is_exact: bool,
    /// The kinds of packets that take the first route of each shard alone, if there are no more shards than [`DIRECT`].
    is_direct: [bool; KINDS],
    /// The cells of a row of the travelling shard, where its rows hold nothing else.
    pub(super) compact: Option<Range<usize>>,
    copied: Option<Copied>,
}

impl Partitioner {
    /// The partitioner of the exact plan: every row is the single instance's, bit for bit.
    ///
    /// # Errors
    /// If the groups cannot be divided, or there is no key by which they can.
    pub fn exact(division: &Division) -> Result<Self, SplitError> {
        Self::new(division, &Plan::exact(&groups(division)?))
    }

    /// The partitioner of a plan.
    ///
    /// # Errors
    /// If the plan is exact and the groups cannot be divided; if it is not for them, leaves them whole, or leaves cells without a
    /// group.
    pub fn new(division: &Division, plan: &Plan) -> Result<Self, SplitError> {
        let is_exact = plan.mode == Mode::Exact;
        let all = || GroupSet::new(&division.name, division.groups.clone());
        plan.check(&if is_exact { groups(division) } else { all() }?)?;
        if plan.is_whole() {
            return Err(SplitError::Whole(division.name.clone()));
        }
        let ways = |shard| Ways::new(shard, &division.cells, division.seed);
        let shards = plan.shards.iter().map(ways).collect::<Result<Vec<_>, _>>()?;
        let most = |(at, shard): &(usize, &Ways)| (shard.cells(), usize::MAX - at);
        let home = shards.iter().enumerate().max_by_key(most).map_or(0, |(at, _)| at);
        let is_direct = |kind| shards.len() <= DIRECT && shards.iter().all(|shard| shard.taken(kind) == 1);
        let is_direct = PacketKind::ALL.map(is_direct);
        let width = division.cells.len();
        let split = Self { shards, home, width, is_exact, is_direct, compact: None, copied: None };
        let whole =
            |kind: &PacketKind| split.cells(*kind) == split.width && split.shards[home].taken(*kind) != 0;
        match PacketKind::ALL.into_iter().find(|kind| !whole(kind)) {
            Some(kind) => Err(SplitError::Cells { schema: division.name.clone(), kind: kind.label() }),
            None => Ok(split),
        }
    }

    /// Sends packets of some pairs of hosts, too, where packets of the opposite direction go: so that a directed key keeps these
    /// pairs whole. The pairs are given by hashes of `pair`. What is computed of such a copy is used for no row.
    #[must_use]
    pub fn copying(self, pair: Projector, hashes: HashSet<u64>) -> Self {
        Self { copied: Some(Copied::new(pair, hashes)), compact: None, ..self }
    }

    /// Has the rows of the travelling shard hold its cells alone, so that they are written where they are read: for bricks that
    /// [take such rows](legonf_core::WestEast::takes_compact_rows). It needs one such shard, with one route and the same
    /// adjacent cells for every packet; otherwise nothing changes.
    #[must_use]
    pub fn compacted(mut self) -> Self {
        let travelling: Vec<_> = self.travelling().collect();
        self.compact = match travelling[..] {
            [shard] if self.copied.is_none() => self.shards[shard].uniform(),
            _ => None,
        };
        self
    }

    /// The cells of a compact row, if [rows of the travelling shard](Self::compacted) are such.
    pub fn compact(&self) -> Option<Range<usize>> {
        self.compact.clone()
    }

    /// Whether every row is the single instance's, bit for bit. Otherwise streams are divided, and their state cannot move.
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The groups of each shard.
    pub fn groups(&self) -> impl Iterator<Item = &[String]> {
        self.shards.iter().map(|shard| &shard.groups[..])
    }

    /// The shard whose replicas complete rows.
    pub fn home(&self) -> usize {
        self.home
    }

    /// The other shards.
    pub fn travelling(&self) -> impl Iterator<Item = usize> {
        (0..self.shards.len()).filter(|shard| *shard != self.home)
    }

    /// Cells of a row of the travelling shards.
    pub fn row_width(&self) -> usize {
        self.compact.as_ref().map_or(self.width, Range::len)
    }

    /// Cells of a whole row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Divides the `chosen` packets of a batch, given by their places, among replicas, whose sub-batches are made anew. `count`
    /// is told the shard and the slot of each packet.
    ///
    /// # Panics
    /// If an owner has no sub-batch, or shards have no owners.
    pub fn partition(
        &self,
        headers: &[Headers],
        chosen: impl Fn(usize) -> bool,
        ownership: &Ownership<'_>,
        parts: &mut [SubBatch],
        count: &mut impl FnMut(usize, usize),
    ) {
        let even = headers.len() / parts.len().max(1);
        let room = (even + even / 4 + LEAST_ROOM).min(headers.len().max(LEAST_ROOM));
        let cells = self.width - self.shards[self.home].cells() as usize;
        let cells = if self.compact.is_some() { 1 } else { cells };
        parts.iter_mut().for_each(|part| part.clear(self.shards.len(), self.home, room, cells));
        for (at, chunk) in headers.chunks(CHUNK).enumerate() {
            let mut slots = [[0; CHUNK]; DIRECT];
            for (shard, slots) in self.shards.iter().zip(&mut slots) {
                shard.ways[0].projector.slots(chunk, slots);
            }
            for (packet, headers) in chunk.iter().enumerate() {
                let (place, kind) = (at * CHUNK + packet, PacketKind::of(headers));
                if !chosen(place) {
                    continue;
                }
                if ownership.moving.is_empty() && self.is_direct[kind as usize] {
                    let slot = |shard: usize| usize::from(slots[shard % DIRECT][packet]);
                    self.bring_directly((place, kind), slot, ownership.owners, parts, count);
                } else {
                    self.bring_by_routes(&Packet::new(place, kind, headers), ownership, parts, count);
                }
                if let Some(copied) = &self.copied {
                    copied.bring(&self.shards, &Packet::new(place, kind, headers), ownership.owners, parts);
                }
            }
        }
    }

    /// Brings a packet that takes the first route of each shard alone, and waits for no slot, to its replicas.
    #[inline(always)]
    fn bring_directly(
        &self,
        (place, kind): (usize, PacketKind),
        slot: impl Fn(usize) -> usize,
        owners: &[Box<[u16]>],
        parts: &mut [SubBatch],
        count: &mut impl FnMut(usize, usize),
    ) {
        let mut owner = |shard: usize| {
            let slot = slot(shard);
            count(shard, slot);
            owners[shard][slot]
        };
        let home = usize::from(owner(self.home));
        for shard in self.travelling() {
            let replica = owner(shard);
            let part = &mut parts[usize::from(replica)];
            let offset = part.reserved;
            part.reserved += self.taken_by(shard, kind, 1);
            part.selections[shard][0].push(place, kind, 1, offset);
            let link = Link { replica, offset, shard: shard as u8, routes: 1 };
            parts[home].selections[self.home][0].links.push(link);
        }
        let selection = &mut parts[home].selections[self.home][0];
        let links = selection.links.len() as u32;
        selection.push(place, kind, 1, links);
    }

    /// Rows that the cells of a packet take in [`SubBatch::cells`]: one, or one for each.
    #[inline(always)]
    fn taken_by(&self, shard: usize, kind: PacketKind, routes: u8) -> u32 {
        if self.compact.is_some() { 1 } else { self.shards[shard].width(kind, routes) }
    }

    /// Brings a packet to its replicas, by whatever routes it takes.
    #[inline(never)]
    fn bring_by_routes(
        &self,
        packet: &Packet<'_>,
        ownership: &Ownership<'_>,
        parts: &mut [SubBatch],
        count: &mut impl FnMut(usize, usize),
    ) {
        let home = self.bring_home(packet, ownership, parts, count);
        for shard in self.travelling() {
            self.bring(packet, shard, &home, ownership, parts, count);
        }
        parts[home.replica].selections[self.home][home.lane].close();
    }

    /// Brings a packet to its home, and to the replicas that have its other slots of the home shard.
    #[inline]
    fn bring_home(
        &self,
        packet: &Packet<'_>,
        ownership: &Ownership<'_>,
        parts: &mut [SubBatch],
        count: &mut impl FnMut(usize, usize),
    ) -> Home {
        let (shard, ways) = (self.home, &self.shards[self.home]);
        let (mut home, moving) = (None, ownership.moving.get(shard));
        let whole = ways.taken(packet.kind);
        ways.visit(
            packet,
            &ownership.owners[shard],
            &mut |slot| count(shard, slot),
            &mut |replica, routes| {
                let part = &mut parts[replica];
                let lane = ways.lane(packet, routes, shard, moving, part);
                let selection = &mut part.selections[shard][lane];
                let index = selection.places.len() as u32;
                selection.push(packet.place, packet.kind, routes, 0);
                let is_home = home.is_none();
                if routes != whole {
                    selection.partial.push(PartialEntry { index, is_home });
                }
                if is_home {
                    home = Some(Home { replica, lane });
                } else {
                    selection.close();
                }
            },
        );
        home.expect("every kind of packet takes a route of the home shard")
    }

    /// Brings a packet to the replicas that have its slots of another shard, and tells its home where their cells will be.
    #[inline]
    fn bring(
        &self,
        packet: &Packet<'_>,
        shard: usize,
        home: &Home,
        ownership: &Ownership<'_>,
        parts: &mut [SubBatch],
        count: &mut impl FnMut(usize, usize),
    ) {
        let (ways, moving) = (&self.shards[shard], ownership.moving.get(shard));
        ways.visit(
            packet,
            &ownership.owners[shard],
            &mut |slot| count(shard, slot),
            &mut |replica, routes| {
                let part = &mut parts[replica];
                let lane = ways.lane(packet, routes, shard, moving, part);
                let offset = part.reserved;
                part.reserved += self.taken_by(shard, packet.kind, routes);
                let selection = &mut part.selections[shard][lane];
                selection.push(packet.place, packet.kind, routes, offset);
                let link = Link { replica: replica as u16, offset, shard: shard as u8, routes };
                parts[home.replica].selections[self.home][home.lane].links.push(link);
            },
        );
    }

    /// Adds the slots of packets to those of each shard, or of one: also those in which they may leave traces.
    pub fn mark(&self, part: Option<usize>, packets: &[Headers], slots: &mut [SlotSet]) {
        let shards = self.shards.iter().enumerate().filter(|(at, _)| part.is_none_or(|part| part == *at));
        for (at, shard) in shards {
            for (headers, way) in packets.iter().flat_map(|h| shard.ways.iter().map(move |way| (h, way))) {
                slots[at].insert(way.projector.slot(headers));
            }
        }
    }

    fn cells(&self, kind: PacketKind) -> usize {
        self.shards.iter().map(|shard| shard.width(kind, shard.taken(kind)) as usize).sum()
    }
}

/// The replica that completes a packet's row, and whether the packet is among those that may have to wait.
struct Home {
    replica: usize,
    lane: usize,
}

/// The groups of a brick, if they can be divided.
fn groups(division: &Division) -> Result<GroupSet, SplitError> {
    if let Some((group, why)) = division.groups.iter().find_map(|g| Some((&g.name, g.coupled.as_ref()?))) {
        let (schema, group, why) = (division.name.clone(), group.clone(), why.clone());
        return Err(SplitError::Coupled { schema, group, why });
    }
    GroupSet::new(&division.name, division.groups.clone())
}
