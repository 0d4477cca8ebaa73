//! Replicas of an extractor behind dispatchers and a merge, in one thread.

use crate::ExperimentError;
use legonf_core::{Headers, PacketKind, Rows, Schema};
use legonf_extract::{Extractor, Shard as Part, shards_of as parts_of};
use legonf_splitter::{
    Dispatcher, GroupSet, Loads, Merge, Owners, Parcel, Plan, Projector, Route, Served, Shard, SplitError,
    Switch, reversed,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::time::Duration;

/// Packets whose answers may be under way: so many that their rows stay near the processor.
const WINDOW: usize = 1024;
/// Parts that the merge can tell apart.
const PARTS: usize = 16;

/// Makes an extractor with empty state for a shard.
pub type Make<'a> = &'a dyn Fn(&Shard) -> Result<Box<dyn Extractor>, ExperimentError>;

/// A clock that measures work: the processor time of this thread, say.
pub type Clock = fn() -> Duration;

/// How a cluster is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The columns of whole rows.
    pub schema: &'a Schema,
    /// The groups of the extractor.
    pub set: &'a GroupSet,
    /// How they are split.
    pub plan: &'a Plan,
    /// Replicas of each shard.
    pub replicas: usize,
    /// Seed of the slots' hash.
    pub seed: u64,
    /// Makes the replicas.
    pub make: Make<'a>,
    /// Measures their work.
    pub clock: Clock,
}

/// What the parts of a cluster have cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Costs {
    /// Packets that came to each replica, by shard.
    pub packets: Vec<Vec<u64>>,
    /// Seconds of work of each replica, by shard.
    pub replica_seconds: Vec<Vec<f64>>,
    /// Seconds of each shard's dispatcher.
    pub dispatcher_seconds: Vec<f64>,
    /// Seconds of telling the merge what will come from where.
    pub announcement_seconds: f64,
    /// Seconds of joining the parts of answers.
    pub merge_seconds: f64,
}

struct Replica {
    extractor: Box<dyn Extractor>,
    rows: Rows,
    packets: u64,
    spent: Duration,
}

/// Columns of a replica's row, and the first of the whole row's that they are.
type Columns = (Range<usize>, usize);

/// The replicas of one shard.
struct Pool {
    shard: Shard,
    /// The extractor's parts that it computes.
    parts: Vec<Part>,
    dispatcher: Dispatcher,
    replicas: Vec<Replica>,
    /// For each route and kind of packet the columns of the groups that it serves.
    columns: Vec<Vec<Vec<Columns>>>,
    /// Number of the first route among the parts of an answer.
    first: usize,
    spent: Duration,
}

#[derive(Clone)]
struct Answer {
    headers: Headers,
    row: Vec<f64>,
}

/// An extractor as a plan splits it: each packet goes to the replicas that own it, and the parts of its row are joined
/// by arrival number.
pub struct Cluster {
    pools: Vec<Pool>,
    merge: Merge<Answer>,
    numbered: Vec<Headers>,
    clock: Clock,
    /// Whether every packet gets every column.
    covered: bool,
    announcing: Duration,
    merging: Duration,
}

impl Cluster {
    /// A cluster with empty state.
    ///
    /// # Errors
    /// If the plan is not for the groups, or has too many routes; if the replicas are none or too many, or cannot be
    /// made.
    pub fn new(setup: &Setup<'_>) -> Result<Self, ExperimentError> {
        setup.plan.check(setup.set)?;
        let (mut pools, mut first) = (Vec::new(), 0);
        for shard in &setup.plan.shards {
            let pool = Pool::new(setup, shard, first)?;
            first += shard.routes.len();
            pools.push(pool);
        }
        if first > PARTS {
            return Err(ExperimentError::Routes(first));
        }
        let answer = Answer { headers: Headers::default(), row: vec![0.0; setup.schema.len()] };
        let (merge, none) = (Merge::new(WINDOW, answer), Duration::ZERO);
        let columns = |kind: PacketKind| pools.iter().map(|pool| pool.columns_of(kind)).sum::<usize>();
        let covered = PacketKind::ALL.into_iter().all(|kind| columns(kind) == setup.schema.len());
        let (numbered, clock) = (Vec::new(), setup.clock);
        Ok(Self { pools, merge, numbered, clock, covered, announcing: none, merging: none })
    }

    /// Places the slots of each shard by loads that were measured before; of shards without them evenly.
    ///
    /// # Errors
    /// None for the replicas that the cluster has.
    pub fn placed(mut self, loads: &[Loads]) -> Result<Self, ExperimentError> {
        for (pool, loads) in self.pools.iter_mut().zip(loads) {
            let switch = Switch::new(loads.place(1, pool.replicas.len())?);
            pool.dispatcher.follow(&switch, &mut |_, _| {});
        }
        Ok(self)
    }

    /// Lets `owners` hold for a shard from the next packet on: every packet taken is finished, replicas that there are not
    /// yet are made, and the state of each slot that changes hands goes from its old owner to its new one. Returns how many
    /// slots moved.
    ///
    /// # Errors
    /// If the owners are not newer than the present ones, a replica cannot be made, or the extractor cannot move state.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn rebalance(
        &mut self,
        shard: usize,
        owners: Owners,
        make: Make<'_>,
        each: &mut impl FnMut(&Headers, &[f64]),
    ) -> Result<usize, ExperimentError> {
        self.flush(each);
        self.pools[shard].rebalance(owners, make)
    }

    /// Places every shard's slots by the loads so far, the heaviest first, and moves the state of those that change
    /// hands. Returns how many slots moved.
    ///
    /// # Errors
    /// If the extractor cannot move state.
    pub fn place_by_load(
        &mut self,
        make: Make<'_>,
        each: &mut impl FnMut(&Headers, &[f64]),
    ) -> Result<usize, ExperimentError> {
        let mut moved = 0;
        for shard in 0..self.pools.len() {
            let dispatcher = &self.pools[shard].dispatcher;
            let present = dispatcher.owners();
            let owners = dispatcher.loads().place(present.epoch() + 1, present.replicas())?;
            moved += self.rebalance(shard, owners, make, each)?;
        }
        Ok(moved)
    }

    /// Sends packets of some pairs of hosts to the replicas of both directions.
    #[must_use]
    pub fn copying(mut self, pair: Projector, hashes: &HashSet<u64>) -> Self {
        let copy = |mut pool: Pool| {
            pool.dispatcher = pool.dispatcher.copying(pair, hashes.clone());
            pool
        };
        self.pools = self.pools.into_iter().map(copy).collect();
        self
    }

    /// Takes packets; `each` gets those whose rows are complete, in arrival order.
    pub fn push(&mut self, packets: &[Headers], each: &mut impl FnMut(&Headers, &[f64])) {
        for packets in packets.chunks(WINDOW / 2) {
            if self.merge.pending() + packets.len() as u64 > WINDOW as u64 {
                self.flush(each);
            }
            self.expect(packets);
            let (merge, clock) = (&mut self.merge, self.clock);
            for pool in &mut self.pools {
                self.merging += pool.dispatch(&self.numbered, merge, clock);
            }
            self.drain(each);
        }
    }

    /// Finishes every packet that was taken.
    pub fn flush(&mut self, each: &mut impl FnMut(&Headers, &[f64])) {
        let (merge, clock) = (&mut self.merge, self.clock);
        for pool in &mut self.pools {
            self.merging += pool.flush(merge, clock);
        }
        self.drain(each);
    }

    /// What the cluster has cost so far.
    pub fn costs(&self) -> Costs {
        let by_replica = |value: fn(&Replica) -> f64| {
            self.pools.iter().map(|pool| pool.replicas.iter().map(value).collect()).collect()
        };
        let packets = |pool: &Pool| pool.replicas.iter().map(|r| r.packets).collect();
        Costs {
            packets: self.pools.iter().map(packets).collect(),
            replica_seconds: by_replica(|r| r.spent.as_secs_f64()),
            dispatcher_seconds: self.pools.iter().map(|pool| pool.spent.as_secs_f64()).collect(),
            announcement_seconds: self.announcing.as_secs_f64(),
            merge_seconds: self.merging.as_secs_f64(),
        }
    }

    /// Forgets what the cluster has cost so far.
    pub fn reset_costs(&mut self) {
        (self.announcing, self.merging) = (Duration::ZERO, Duration::ZERO);
        for pool in &mut self.pools {
            pool.spent = Duration::ZERO;
            pool.replicas
                .iter_mut()
                .for_each(|replica| (replica.packets, replica.spent) = (0, Duration::ZERO));
        }
    }

    /// Loads of each shard's slots, and their owners.
    pub fn loads(&self) -> impl Iterator<Item = (&Loads, &Owners)> {
        self.pools.iter().map(|pool| (pool.dispatcher.loads(), pool.dispatcher.owners()))
    }

    /// Whether the packet's answer and those of the opposite direction come from different replicas.
    pub fn divides(&self, headers: &Headers) -> bool {
        let other = reversed(headers);
        self.pools.iter().any(|p| p.dispatcher.owner(headers, 0) != p.dispatcher.owner(&other, 0))
    }

    /// Announces packets to the merge and numbers them as it does.
    fn expect(&mut self, packets: &[Headers]) {
        let start = (self.clock)();
        self.numbered.clear();
        for headers in packets {
            let kind = PacketKind::of(headers);
            let parts = self.pools.iter().flat_map(|pool| pool.answers(headers, kind));
            let (seq, answer) = self.merge.expect(parts).expect("room was made for all packets");
            answer.headers = *headers;
            if !self.covered {
                answer.row.fill(0.0);
            }
            self.numbered.push(Headers { seq, ..*headers });
        }
        self.announcing += (self.clock)() - start;
    }

    /// Gives out what is complete. What the taker does with it is not the merge's work.
    fn drain(&mut self, each: &mut impl FnMut(&Headers, &[f64])) {
        while let Some((_, answer)) = self.merge.next_complete() {
            each(&answer.headers, &answer.row);
        }
    }
}

impl Pool {
    fn new(setup: &Setup<'_>, shard: &Shard, first: usize) -> Result<Self, ExperimentError> {
        let owners = Owners::even(setup.replicas)?;
        let replicas = (0..setup.replicas).map(|_| Replica::new(setup.make, shard));
        let replicas = replicas.collect::<Result<Vec<_>, ExperimentError>>()?;
        let (part, whole) = (replicas[0].extractor.schema(), setup.schema);
        let columns = |route: &Route| PacketKind::ALL.map(|kind| columns(part, whole, route, kind)).to_vec();
        Ok(Self {
            shard: shard.clone(),
            parts: parts_of(&shard.groups()),
            dispatcher: Dispatcher::new(shard, owners, setup.seed)?,
            columns: shard.routes.iter().map(columns).collect(),
            replicas,
            first,
            spent: Duration::ZERO,
        })
    }

    /// Columns that packets of a kind get from this shard.
    fn columns_of(&self, kind: PacketKind) -> usize {
        self.columns.iter().flat_map(|route| &route[kind as usize]).map(|(from, _)| from.len()).sum()
    }

    fn rebalance(&mut self, owners: Owners, make: Make<'_>) -> Result<usize, ExperimentError> {
        let present = self.dispatcher.owners();
        if owners.epoch() <= present.epoch() {
            return Err(SplitError::Epoch { found: owners.epoch(), present: present.epoch() }.into());
        }
        let moves = present.moves_to(&owners);
        while self.replicas.len() < owners.replicas() {
            self.replicas.push(Replica::new(make, &self.shard)?);
        }
        let mut between: BTreeMap<(u16, u16), Vec<u16>> = BTreeMap::new();
        moves.iter().for_each(|m| between.entry((m.from, m.to)).or_default().push(m.slot as u16));
        // Some packets come to a replica for one group and leave traces of others in slots that it does not own: they go
        // before anything comes.
        for ((_, to), slots) in &between {
            self.export(*to, slots)?;
        }
        for ((from, to), slots) in &between {
            for state in self.export(*from, slots)? {
                self.replicas[usize::from(*to)].extractor.import(&state)?;
            }
        }
        self.dispatcher.follow(&Switch::new(owners), &mut |_, _| {});
        Ok(moves.len())
    }

    /// Takes all state of some slots out of a replica.
    fn export(&mut self, replica: u16, slots: &[u16]) -> Result<Vec<Vec<u8>>, ExperimentError> {
        let extractor = &mut self.replicas[usize::from(replica)].extractor;
        self.parts.iter().map(|part| Ok(extractor.export(*part, slots)?)).collect()
    }

    /// The parts of a packet's answer that this shard gives, and the replica of each.
    fn answers(&self, headers: &Headers, kind: PacketKind) -> impl Iterator<Item = (usize, u16)> {
        let routes = self.dispatcher.routes(kind);
        let taken = (0..self.columns.len()).filter(move |route| routes & 1 << route != 0);
        taken.map(|route| (self.first + route, self.dispatcher.owner(headers, route)))
    }

    /// Deals packets out; returns what joining the answers took.
    fn dispatch(&mut self, packets: &[Headers], merge: &mut Merge<Answer>, clock: Clock) -> Duration {
        self.work(clock, merge, |dispatcher, send| dispatcher.dispatch(packets, &mut |r, p| send(r, p)))
    }

    fn flush(&mut self, merge: &mut Merge<Answer>, clock: Clock) -> Duration {
        self.work(clock, merge, |dispatcher, send| dispatcher.flush(&mut |r, p| send(r, p)))
    }

    /// Lets the dispatcher work, and the replicas on what it sends; each one's time is its own. Returns what joining the
    /// answers took.
    fn work(
        &mut self,
        clock: Clock,
        merge: &mut Merge<Answer>,
        work: impl FnOnce(&mut Dispatcher, &mut dyn FnMut(usize, &Parcel)),
    ) -> Duration {
        let Self { dispatcher, replicas, columns, first, spent, .. } = self;
        let (start, mut extracting, mut joining) = (clock(), Duration::ZERO, Duration::ZERO);
        work(dispatcher, &mut |replica, parcel| {
            let start = clock();
            let replica = &mut replicas[replica];
            replica.extractor.extract(&parcel.headers, &mut replica.rows);
            replica.packets += parcel.headers.len() as u64;
            let extracted = clock();
            deliver(parcel, &replica.rows, columns, *first, merge);
            replica.spent += extracted - start;
            extracting += extracted - start;
            joining += clock() - extracted;
        });
        *spent += (clock() - start).saturating_sub(extracting + joining);
        joining
    }
}

impl Replica {
    fn new(make: Make<'_>, shard: &Shard) -> Result<Self, ExperimentError> {
        let (extractor, rows) = (make(shard)?, Rows::default());
        Ok(Self { extractor, rows, packets: 0, spent: Duration::ZERO })
    }
}

/// Gives the merge the columns that a replica owns of each of its packets' rows.
fn deliver(
    parcel: &Parcel,
    rows: &Rows,
    columns: &[Vec<Vec<Columns>>],
    first: usize,
    merge: &mut Merge<Answer>,
) {
    for ((headers, mark), row) in parcel.headers.iter().zip(&parcel.marks).zip(rows.iter()) {
        let Some((new, answer)) = merge.deliver(headers.seq, u16::from(*mark) << first) else { continue };
        let kind = PacketKind::of(headers) as usize;
        for (_, columns) in columns.iter().enumerate().filter(|(route, _)| new & 1 << (first + route) != 0) {
            for (from, to) in &columns[kind] {
                answer.row[*to..][..from.len()].copy_from_slice(&row[from.clone()]);
            }
        }
    }
}

/// The columns of the groups that a route serves for packets of a kind, in a replica's row and in the whole one.
fn columns(part: &Schema, whole: &Schema, route: &Route, kind: PacketKind) -> Vec<Columns> {
    let serves = |served: &Served, group: &str| served.group == group && served.packets.holds(kind);
    let mut ranges: Vec<Columns> = Vec::new();
    for (to, feature) in whole.features.iter().enumerate() {
        let from = part.features.iter().position(|f| f.name == feature.name);
        let Some(from) = from.filter(|_| route.serves.iter().any(|s| serves(s, &feature.group))) else {
            continue;
        };
        match ranges.last_mut() {
            Some((last, start)) if last.end == from && *start + last.len() == to => last.end += 1,
            _ => ranges.push((from..from + 1, to)),
        }
    }
    ranges
}
