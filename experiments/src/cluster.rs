//! Replicas of an extractor behind dispatchers and a merge, in one thread.

use crate::ExperimentError;
use legonf_core::{Headers, PacketKind, Rows, Schema};
use legonf_extract::Extractor;
use legonf_splitter::{
    Dispatcher, GroupSet, Loads, Merge, Owners, Parcel, Plan, Projector, Route, Served, Shard, Switch,
    reversed,
};
use serde::Serialize;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

/// Packets whose answers may be under way.
const WINDOW: usize = 4096;
/// Parts that the merge can tell apart.
const PARTS: usize = 16;

/// Makes an extractor with empty state for a shard.
pub type Make<'a> = &'a dyn Fn(&Shard) -> Result<Box<dyn Extractor>, ExperimentError>;

/// A clock that measures work: the processor time of this thread, say.
pub type Clock = fn() -> Duration;

/// How a cluster is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
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
    /// Seconds of the merge.
    pub merge_seconds: f64,
}

struct Replica {
    extractor: Box<dyn Extractor>,
    rows: Rows,
    packets: u64,
    spent: Duration,
}

/// The replicas of one shard.
struct Pool {
    dispatcher: Dispatcher,
    replicas: Vec<Replica>,
    /// For each route and kind of packet the columns of the groups that it serves.
    columns: Vec<Vec<Vec<Range<usize>>>>,
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
        let mut width = 0;
        for shard in &setup.plan.shards {
            let pool = Pool::new(setup, shard, first)?;
            width = pool.replicas[0].extractor.schema().len();
            first += shard.routes.len();
            pools.push(pool);
        }
        if first > PARTS {
            return Err(ExperimentError::Routes(first));
        }
        let answer = Answer { headers: Headers::default(), row: vec![0.0; width] };
        let merge = Merge::new(WINDOW, answer);
        Ok(Self { pools, merge, numbered: Vec::new(), clock: setup.clock, merging: Duration::ZERO })
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
            self.pools.iter_mut().for_each(|pool| pool.dispatch(&self.numbered, merge, clock));
            self.drain(each);
        }
    }

    /// Finishes every packet that was taken.
    pub fn flush(&mut self, each: &mut impl FnMut(&Headers, &[f64])) {
        let (merge, clock) = (&mut self.merge, self.clock);
        self.pools.iter_mut().for_each(|pool| pool.flush(merge, clock));
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
            merge_seconds: self.merging.as_secs_f64(),
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
            let parts = self.pools.iter().flat_map(|pool| pool.parts(headers, kind));
            let (seq, answer) = self.merge.expect(parts).expect("room was made for all packets");
            answer.headers = *headers;
            answer.row.fill(0.0);
            self.numbered.push(Headers { seq, ..*headers });
        }
        self.merging += (self.clock)() - start;
    }

    fn drain(&mut self, each: &mut impl FnMut(&Headers, &[f64])) {
        while let Some((_, answer)) = self.merge.next_complete() {
            each(&answer.headers, &answer.row);
        }
    }
}

impl Pool {
    fn new(setup: &Setup<'_>, shard: &Shard, first: usize) -> Result<Self, ExperimentError> {
        let owners = Owners::even(setup.replicas)?;
        let replica = || {
            let extractor = (setup.make)(shard)?;
            Ok(Replica { extractor, rows: Rows::default(), packets: 0, spent: Duration::ZERO })
        };
        let replicas = (0..setup.replicas).map(|_| replica()).collect::<Result<Vec<_>, ExperimentError>>()?;
        let schema = replicas[0].extractor.schema();
        let columns = |route: &Route| PacketKind::ALL.map(|kind| columns(schema, route, kind)).to_vec();
        Ok(Self {
            dispatcher: Dispatcher::new(shard, owners, setup.seed)?,
            columns: shard.routes.iter().map(columns).collect(),
            replicas,
            first,
            spent: Duration::ZERO,
        })
    }

    /// The parts of a packet's answer that this shard gives, and the replica of each.
    fn parts(&self, headers: &Headers, kind: PacketKind) -> impl Iterator<Item = (usize, u16)> {
        let routes = self.dispatcher.routes(kind);
        let taken = (0..self.columns.len()).filter(move |route| routes & 1 << route != 0);
        taken.map(|route| (self.first + route, self.dispatcher.owner(headers, route)))
    }

    fn dispatch(&mut self, packets: &[Headers], merge: &mut Merge<Answer>, clock: Clock) {
        self.work(clock, merge, |dispatcher, send| dispatcher.dispatch(packets, &mut |r, p| send(r, p)));
    }

    fn flush(&mut self, merge: &mut Merge<Answer>, clock: Clock) {
        self.work(clock, merge, |dispatcher, send| dispatcher.flush(&mut |r, p| send(r, p)));
    }

    /// Lets the dispatcher work, and the replicas on what it sends; each one's time is its own.
    fn work(
        &mut self,
        clock: Clock,
        merge: &mut Merge<Answer>,
        work: impl FnOnce(&mut Dispatcher, &mut dyn FnMut(usize, &Parcel)),
    ) {
        let Self { dispatcher, replicas, columns, first, spent } = self;
        let (start, mut elsewhere) = (clock(), Duration::ZERO);
        work(dispatcher, &mut |replica, parcel| {
            let start = clock();
            let replica = &mut replicas[replica];
            replica.extractor.extract(&parcel.headers, &mut replica.rows);
            replica.packets += parcel.headers.len() as u64;
            replica.spent += clock() - start;
            deliver(parcel, &replica.rows, columns, *first, merge);
            elsewhere += clock() - start;
        });
        *spent += (clock() - start).saturating_sub(elsewhere);
    }
}

/// Gives the merge the columns that a replica owns of each of its packets' rows.
fn deliver(
    parcel: &Parcel,
    rows: &Rows,
    columns: &[Vec<Vec<Range<usize>>>],
    first: usize,
    merge: &mut Merge<Answer>,
) {
    for ((headers, mark), row) in parcel.headers.iter().zip(&parcel.marks).zip(rows.iter()) {
        let Some((new, answer)) = merge.deliver(headers.seq, u16::from(*mark) << first) else { continue };
        let kind = PacketKind::of(headers) as usize;
        for (_, columns) in columns.iter().enumerate().filter(|(route, _)| new & 1 << (first + route) != 0) {
            for range in &columns[kind] {
                answer.row[range.clone()].copy_from_slice(&row[range.clone()]);
            }
        }
    }
}

/// The columns of the groups that a route serves for packets of a kind.
fn columns(schema: &Schema, route: &Route, kind: PacketKind) -> Vec<Range<usize>> {
    let serves = |served: &Served, group: &str| served.group == group && served.packets.holds(kind);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, feature) in schema.features.iter().enumerate() {
        if !route.serves.iter().any(|served| serves(served, &feature.group)) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}
