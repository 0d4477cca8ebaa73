//! Which replica takes which packets.

use super::copies::Copied;
use super::{Link, PartialEntry, SlotSet, SubBatch};
use crate::{GroupSet, Mode, Plan, Projector, Route, Served, Shard, SplitError};
use legonf_core::{Division, Ends, Headers, PacketKind, PacketKinds};
use std::collections::HashSet;
use std::ops::Range;

/// The most routes of a shard: the bits of a packet's mark.
pub const MAX_ROUTES: usize = 8;

/// Packets of a shard for which a sub-batch has room at least: so it seldom grows later.
const LEAST_ROOM: usize = 32;

/// Kinds of packets.
const KINDS: usize = PacketKind::ALL.len();

/// One way into a shard.
#[derive(Clone, Debug)]
pub(super) struct Way {
    packets: PacketKinds,
    projector: Projector,
}

/// The groups of one shard, and the ways into it.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    groups: Vec<String>,
    ways: Vec<Way>,
    /// The ways that each kind of packet takes, a bit each.
    taken: [u8; KINDS],
    /// For each set of ways and each kind of packet the cells, and how many there are.
    pub(super) spans: Vec<[Vec<Range<usize>>; KINDS]>,
    widths: Vec<[u32; KINDS]>,
}

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
        let split = Self { shards, home, width: division.cells.len(), is_exact, copied: None };
        let whole = |kind: &PacketKind| {
            split.cells(*kind) == split.width && split.shards[home].taken[*kind as usize] != 0
        };
        match PacketKind::ALL.into_iter().find(|kind| !whole(kind)) {
            Some(kind) => Err(SplitError::Cells { schema: division.name.clone(), kind: kind.label() }),
            None => Ok(split),
        }
    }

    /// Sends packets of some pairs of hosts, too, where packets of the opposite direction go: so that a directed key keeps these
    /// pairs whole. The pairs are given by hashes of `pair`. What is computed of such a copy is used for no row.
    #[must_use]
    pub fn copying(self, pair: Projector, hashes: HashSet<u64>) -> Self {
        Self { copied: Some(Copied::new(pair, hashes)), ..self }
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
        let (shards, cells) = (self.shards.len(), self.width - self.shards[self.home].cells() as usize);
        let room = (2 * headers.len() / parts.len().max(1) + LEAST_ROOM).min(headers.len().max(LEAST_ROOM));
        parts.iter_mut().for_each(|part| part.clear(shards, self.home, room, cells));
        for (place, headers) in headers.iter().enumerate().filter(|(place, _)| chosen(*place)) {
            let packet = Packet::new(place, headers);
            let home = self.bring_home(&packet, ownership, parts, count);
            for shard in self.travelling() {
                self.bring(&packet, shard, &home, ownership, parts, count);
            }
            parts[home.replica].selections[self.home][home.lane].close();
            if let Some(copied) = &self.copied {
                copied.bring(&self.shards, &packet, ownership.owners, parts);
            }
        }
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
        let whole = ways.taken[packet.kind as usize];
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
                part.reserved += ways.width(packet.kind, routes);
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
        self.shards.iter().map(|shard| shard.width(kind, shard.taken[kind as usize]) as usize).sum()
    }
}

/// A packet on its way to replicas.
pub(super) struct Packet<'a> {
    pub(super) place: usize,
    pub(super) kind: PacketKind,
    pub(super) headers: &'a Headers,
    ends: Ends,
}

impl<'a> Packet<'a> {
    #[inline]
    pub(super) fn new(place: usize, headers: &'a Headers) -> Self {
        Self { place, kind: PacketKind::of(headers), headers, ends: Ends::of(headers) }
    }
}

/// The replica that completes a packet's row, and whether the packet is among those that may have to wait.
struct Home {
    replica: usize,
    lane: usize,
}

impl Ways {
    pub(super) fn new(shard: &Shard, cells: &[String], seed: u64) -> Result<Self, SplitError> {
        if !(1..=MAX_ROUTES).contains(&shard.routes.len()) {
            return Err(SplitError::Routes(shard.routes.len()));
        }
        let way = |route: &Route| Way { packets: route.packets, projector: Projector::new(&route.key, seed) };
        let ways: Vec<Way> = shard.routes.iter().map(way).collect();
        let takes = |kind| move |(at, way): (usize, &Way)| u8::from(way.packets.holds(kind)) << at;
        let taken = PacketKind::ALL.map(|kind| ways.iter().enumerate().map(takes(kind)).sum());
        let groups = shard.groups().iter().map(|group| (*group).to_owned()).collect();
        let of_routes = |routes: usize| PacketKind::ALL.map(|kind| spans(cells, &shard.routes, routes, kind));
        let spans: Vec<_> = (0..1 << ways.len()).map(of_routes).collect();
        let widths = spans.iter().map(|spans| std::array::from_fn(|kind| width(&spans[kind]))).collect();
        Ok(Self { groups, ways, taken, spans, widths })
    }

    /// Cells that packets of a kind get by some routes.
    fn width(&self, kind: PacketKind, routes: u8) -> u32 {
        self.widths[usize::from(routes)][kind as usize]
    }

    /// The most cells that a packet gets here.
    fn cells(&self) -> u32 {
        let all = (self.widths.len() - 1) as u8;
        PacketKind::ALL.into_iter().map(|kind| self.width(kind, all)).max().unwrap_or(0)
    }

    /// The projectors of the ways that a kind of packet takes.
    pub(super) fn projectors(&self, kind: PacketKind) -> impl Iterator<Item = &Projector> {
        let taken = self.taken[kind as usize];
        let ways = self.ways.iter().enumerate().filter(move |(way, _)| taken & 1 << way != 0);
        ways.map(|(_, way)| &way.projector)
    }

    #[inline]
    fn slot(&self, packet: &Packet<'_>, way: usize) -> usize {
        self.ways[way].projector.slot_of(packet.headers, &packet.ends)
    }

    /// Finds the replicas that have a packet's slots, that of the first route first, and the routes by which it comes to each.
    #[inline]
    pub(super) fn visit(
        &self,
        packet: &Packet<'_>,
        owners: &[u16],
        count: &mut impl FnMut(usize),
        to: &mut impl FnMut(usize, u8),
    ) {
        let ways = self.taken[packet.kind as usize];
        if ways.is_power_of_two() {
            let slot = self.slot(packet, ways.trailing_zeros() as usize);
            count(slot);
            return to(owners[slot].into(), ways);
        }
        let owner = |way: usize| owners[self.slot(packet, way)];
        let mut left = ways;
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let replica = owner(first);
            let taken = |way: &usize| left & 1 << way != 0 && owner(*way) == replica;
            let routes = (0..self.ways.len()).filter(taken).fold(0, |routes, way| routes | 1 << way);
            count(self.slot(packet, first));
            to(replica.into(), routes);
            left &= !routes;
        }
    }

    /// 1 where a packet must wait for state that is on the move, else 0.
    #[inline]
    fn lane(
        &self,
        packet: &Packet<'_>,
        routes: u8,
        shard: usize,
        moving: Option<&SlotSet>,
        part: &mut SubBatch,
    ) -> usize {
        moving.map_or(0, |moving| usize::from(self.waits(packet, routes, shard, moving, part)))
    }

    /// Whether a packet must wait for state that is on the move. Where it is in a slot that moves and in another one that
    /// does not, all packets behind it wait, too: they might be of that slot.
    #[inline(never)]
    fn waits(
        &self,
        packet: &Packet<'_>,
        routes: u8,
        shard: usize,
        moving: &SlotSet,
        part: &mut SubBatch,
    ) -> bool {
        let taken = (0..self.ways.len()).filter(|way| routes & 1 << way != 0);
        let (mut some, mut all) = (false, true);
        for slot in taken.map(|way| self.slot(packet, way)) {
            let moves = moving.holds(slot);
            (some, all) = (some || moves, all && moves);
        }
        if some && !all {
            part.stalls |= 1 << shard;
        }
        some || part.stalls & 1 << shard != 0
    }
}

/// The groups of a brick, if they can be divided.
fn groups(division: &Division) -> Result<GroupSet, SplitError> {
    if let Some((group, why)) = division.groups.iter().find_map(|g| Some((&g.name, g.coupled.as_ref()?))) {
        let (schema, group, why) = (division.name.clone(), group.clone(), why.clone());
        return Err(SplitError::Coupled { schema, group, why });
    }
    GroupSet::new(&division.name, division.groups.clone())
}

fn width(spans: &[Range<usize>]) -> u32 {
    spans.iter().map(|span| span.len() as u32).sum()
}

/// The cells that packets of a kind get by some routes, of which `taken` has a bit each.
fn spans(cells: &[String], routes: &[Route], taken: usize, kind: PacketKind) -> Vec<Range<usize>> {
    let taken = routes.iter().enumerate().filter(|(route, _)| taken & 1 << route != 0);
    taken.flat_map(|(_, route)| spans_of(cells, route, kind)).collect()
}

/// The cells of the groups that a route serves for packets of a kind.
fn spans_of(cells: &[String], route: &Route, kind: PacketKind) -> Vec<Range<usize>> {
    let serves = |served: &Served, group: &str| served.group == group && served.packets.holds(kind);
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in (0..cells.len()).filter(|at| route.serves.iter().any(|served| serves(served, &cells[*at]))) {
        match spans.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => spans.push(at..at + 1),
        }
    }
    spans
}
