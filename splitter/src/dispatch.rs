//! Deals packets' headers out to the replicas of one shard.

use crate::load::Loads;
use crate::owners::{Owners, Switch};
use crate::project::Projector;
use crate::{MAX_ROUTES, Route, Shard, SplitError, reversed};
use legonf_core::{BATCH, Headers, PacketKind, PacketKinds, SLOTS};
use std::collections::HashSet;
use std::sync::Arc;

/// Packets on their way to one replica, in arrival order.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    /// Their headers.
    pub headers: Vec<Headers>,
    /// For each the routes by which it came, a bit each: the replica owns the groups that these serve. 0 marks a copy
    /// that is there for the statistics of the opposite direction, whose own answer comes from elsewhere.
    pub marks: Vec<u8>,
    /// Epoch of the owners by which they came.
    pub epoch: u64,
}

impl Parcel {
    fn push(&mut self, headers: &Headers, mark: u8) {
        self.headers.push(*headers);
        self.marks.push(mark);
    }

    fn clear(&mut self) {
        self.headers.clear();
        self.marks.clear();
    }
}

/// One way into the shard.
#[derive(Clone, Copy, Debug)]
struct Way {
    packets: PacketKinds,
    projector: Projector,
}

/// Deals headers out to replicas by the routes of a shard.
///
/// A packet goes to the owner of its slot, of each route that it takes; where one replica owns several, once. Parcels
/// keep their memory: in steady state nothing is allocated, no lock is taken, and no clock is read.
#[derive(Debug)]
pub struct Dispatcher {
    ways: Vec<Way>,
    /// The ways that each kind of packet takes, a bit each.
    taken: [u8; PacketKind::ALL.len()],
    /// Whether every packet takes the first way and no other.
    single: bool,
    owners: Arc<Owners>,
    parcels: Vec<Parcel>,
    loads: Loads,
    copied: Option<Copied>,
    received: u64,
    sent: u64,
}

/// Pairs of hosts whose packets go to the replicas of both directions.
#[derive(Debug)]
struct Copied {
    pair: Projector,
    hashes: HashSet<u64>,
}

impl Dispatcher {
    /// A dispatcher for a shard. `seed` is that of the hash; an extractor that bounds its state by slot needs the same.
    ///
    /// # Errors
    /// If the shard has no route, or too many.
    pub fn new(shard: &Shard, owners: Owners, seed: u64) -> Result<Self, SplitError> {
        if !(1..=MAX_ROUTES).contains(&shard.routes.len()) {
            return Err(SplitError::Routes(shard.routes.len()));
        }
        let way = |r: &Route| Way { packets: r.packets, projector: Projector::new(&r.key, seed) };
        let ways: Vec<_> = shard.routes.iter().map(way).collect();
        let takes = |kind| move |(at, way): (usize, &Way)| u8::from(way.packets.holds(kind)) << at;
        let taken = PacketKind::ALL.map(|kind| ways.iter().enumerate().map(takes(kind)).sum());
        let single = taken.iter().all(|ways| *ways == 1);
        let parcels = vec![Parcel { epoch: owners.epoch(), ..Parcel::default() }; owners.replicas()];
        let owners = Arc::new(owners);
        Ok(Self {
            ways,
            taken,
            single,
            owners,
            parcels,
            loads: Loads::default(),
            copied: None,
            received: 0,
            sent: 0,
        })
    }

    /// Sends packets of some pairs of hosts, too, where packets of the opposite direction go: so that a directed key
    /// keeps these pairs whole. The pairs are given by hashes of `pair`.
    #[must_use]
    pub fn copying(mut self, pair: Projector, hashes: HashSet<u64>) -> Self {
        self.copied = Some(Copied { pair, hashes });
        self
    }

    /// Deals packets out. `send` gets the parcel of a replica whenever that holds a batch; it is cleared after.
    pub fn dispatch(&mut self, packets: &[Headers], send: &mut impl FnMut(usize, &Parcel)) {
        self.received += packets.len() as u64;
        match self.single {
            _ if self.copied.is_some() => packets.iter().for_each(|headers| self.with_copies(headers, send)),
            true => packets.iter().for_each(|headers| self.one_way(headers, send)),
            false => packets.iter().for_each(|headers| self.every_way(headers, send)),
        }
    }

    /// Sends what parcels hold, in the order of the replicas.
    pub fn flush(&mut self, send: &mut impl FnMut(usize, &Parcel)) {
        for replica in 0..self.parcels.len() {
            self.ship(replica, send);
        }
    }

    /// Takes newer owners from `switch`, if there are any, after all that came by the old ones was sent. Returns what
    /// they were.
    pub fn follow(&mut self, switch: &Switch, send: &mut impl FnMut(usize, &Parcel)) -> Option<Arc<Owners>> {
        let next = switch.newer_than(self.owners.epoch())?;
        self.flush(send);
        self.parcels.resize_with(next.replicas().max(self.parcels.len()), Parcel::default);
        self.parcels.iter_mut().for_each(|parcel| parcel.epoch = next.epoch());
        Some(std::mem::replace(&mut self.owners, next))
    }

    /// The owners of the slots.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Packets by slot and route so far.
    pub fn loads(&self) -> &Loads {
        &self.loads
    }

    /// Forgets the loads, to measure anew.
    pub fn reset_loads(&mut self) {
        self.loads.clear();
    }

    /// Packets received, and packets sent: more where one goes to several replicas.
    pub fn counts(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// The routes that packets of a kind take, a bit each.
    pub fn routes(&self, kind: PacketKind) -> u8 {
        self.taken[kind as usize]
    }

    /// The owner of a packet's slot on a route.
    ///
    /// # Panics
    /// If there is no such route.
    pub fn owner(&self, headers: &Headers, route: usize) -> u16 {
        self.owners.owner(self.ways[route].projector.slot(headers))
    }

    /// The slot of a packet on a route.
    ///
    /// # Panics
    /// If there is no such route.
    pub fn slot(&self, headers: &Headers, route: usize) -> usize {
        self.ways[route].projector.slot(headers)
    }

    #[inline]
    fn one_way(&mut self, headers: &Headers, send: &mut impl FnMut(usize, &Parcel)) {
        let hash = self.ways[0].projector.hash(headers);
        self.put(headers, hash, 1, send);
    }

    #[inline]
    fn every_way(&mut self, headers: &Headers, send: &mut impl FnMut(usize, &Parcel)) {
        let ways = self.taken[PacketKind::of(headers) as usize];
        if ways.is_power_of_two() {
            let hash = self.ways[ways.trailing_zeros() as usize].projector.hash(headers);
            self.put(headers, hash, ways, send);
        } else if ways != 0 {
            self.several_ways(headers, ways, send);
        }
    }

    fn with_copies(&mut self, headers: &Headers, send: &mut impl FnMut(usize, &Parcel)) {
        self.every_way(headers, send);
        let chosen = |copied: &Copied| copied.hashes.contains(&copied.pair.hash(headers));
        if self.copied.as_ref().is_some_and(chosen) {
            let (own, other) = (self.owner(headers, 0), self.owner(&reversed(headers), 0));
            if own != other {
                self.push(other.into(), headers, 0, send);
            }
        }
    }

    /// Sends a packet over each of its ways; those to one replica share a copy, which the first of them brings.
    #[inline(never)]
    fn several_ways(&mut self, headers: &Headers, ways: u8, send: &mut impl FnMut(usize, &Parcel)) {
        let mut taken: [(u64, u16, u8); MAX_ROUTES] = [(0, 0, 0); MAX_ROUTES];
        for (at, way) in self.ways.iter().enumerate().filter(|(at, _)| ways & 1 << at != 0) {
            let hash = way.projector.hash(headers);
            let owner = self.owners.owner(legonf_core::slot(hash));
            let first = taken[..at].iter().position(|(_, other, mark)| *mark != 0 && *other == owner);
            taken[first.unwrap_or(at)].2 |= 1 << at;
            (taken[at].0, taken[at].1) = (hash, owner);
        }
        for at in (0..MAX_ROUTES).filter(|at| ways & 1 << at != 0) {
            let (hash, _, mark) = taken[at];
            match mark {
                0 => self.loads.count(hash, headers),
                _ => self.put(headers, hash, mark, send),
            }
        }
    }

    #[inline]
    fn put(&mut self, headers: &Headers, hash: u64, mark: u8, send: &mut impl FnMut(usize, &Parcel)) {
        self.loads.count(hash, headers);
        let replica = usize::from(self.owners.owner(legonf_core::slot(hash)));
        self.push(replica, headers, mark, send);
    }

    #[inline]
    fn push(&mut self, replica: usize, headers: &Headers, mark: u8, send: &mut impl FnMut(usize, &Parcel)) {
        let parcel = &mut self.parcels[replica];
        parcel.push(headers, mark);
        if parcel.headers.len() >= BATCH {
            self.ship(replica, send);
        }
    }

    fn ship(&mut self, replica: usize, send: &mut impl FnMut(usize, &Parcel)) {
        let parcel = &mut self.parcels[replica];
        if !parcel.headers.is_empty() {
            self.sent += parcel.headers.len() as u64;
            send(replica, parcel);
            parcel.clear();
        }
    }
}

/// Every replica number fits its type.
const _: () = assert!(SLOTS <= u16::MAX as usize);
