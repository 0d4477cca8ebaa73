//! The ways into one shard of a plan: which packets take which, and to whose slot it leads.

use super::{MAX_ROUTES, SlotSet, SubBatch};
use crate::{Route, Served, Shard, SplitError};
use legonf_core::Projector;
use legonf_core::{Ends, Headers, PacketKind, PacketKinds};
use std::ops::Range;

/// Kinds of packets.
pub(super) const KINDS: usize = PacketKind::ALL.len();

/// One way into a shard.
#[derive(Clone, Debug)]
pub(super) struct Way {
    packets: PacketKinds,
    pub(super) projector: Projector,
}

/// The groups of one shard, and the ways into it.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    pub(super) groups: Vec<String>,
    pub(super) ways: Vec<Way>,
    /// The ways that each kind of packet takes, a bit each.
    taken: [u8; KINDS],
    /// For each set of ways and each kind of packet the cells, and how many there are.
    pub(super) spans: Vec<[Vec<Range<usize>>; KINDS]>,
    widths: Vec<[u32; KINDS]>,
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
    pub(super) fn new(place: usize, kind: PacketKind, headers: &'a Headers) -> Self {
        Self { place, kind, headers, ends: Ends::of(headers) }
    }
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

    /// The ways that packets of a kind take, a bit each.
    #[inline]
    pub(super) fn taken(&self, kind: PacketKind) -> u8 {
        self.taken[kind as usize]
    }

    /// The cells that every packet gets here, if there is one way, and they are the same for all packets and adjacent.
    pub(super) fn uniform(&self) -> Option<Range<usize>> {
        let [cells] = &self.spans.last()?[0][..] else { return None };
        let is_same = |kind| self.taken(kind) == 1 && self.spans[1][kind as usize] == self.spans[1][0];
        (self.ways.len() == 1 && PacketKind::ALL.into_iter().all(is_same)).then(|| cells.clone())
    }

    /// Cells that packets of a kind get by some routes.
    #[inline]
    pub(super) fn width(&self, kind: PacketKind, routes: u8) -> u32 {
        self.widths[usize::from(routes)][kind as usize]
    }

    /// The most cells that a packet gets here.
    pub(super) fn cells(&self) -> u32 {
        let all = (self.widths.len() - 1) as u8;
        PacketKind::ALL.into_iter().map(|kind| self.width(kind, all)).max().unwrap_or(0)
    }

    /// The projectors of the ways that a kind of packet takes.
    pub(super) fn projectors(&self, kind: PacketKind) -> impl Iterator<Item = &Projector> {
        let taken = self.taken(kind);
        let ways = self.ways.iter().enumerate().filter(move |(way, _)| taken & 1 << way != 0);
        ways.map(|(_, way)| &way.projector)
    }

    #[inline]
    pub(super) fn slot(&self, packet: &Packet<'_>, way: usize) -> usize {
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
        let ways = self.taken(packet.kind);
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
    pub(super) fn lane(
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
