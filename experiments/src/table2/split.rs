//! One split of the traffic, compared with the single instance packet by packet.

use super::compare::{Compare, Expected, Tally};
use super::{Options, Pairs};
use crate::{Costs, ExperimentError, Finished, Loads, Order, Replicas, Setup};
use legonf_core::Projector;
use legonf_core::{Field, Headers, Key, SLOTS, balanced};
use legonf_extract::{Config, StateError};
use legonf_models::kitnet::KitNet;
use legonf_splitter::{Plan, Router, reversed};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// What a split is.
#[derive(Clone, Debug, Default)]
pub(super) struct Kind {
    pub name: &'static str,
    /// LEGO's average.
    pub paper: Option<f64>,
    /// Whether every score must be the single instance's.
    pub exact: bool,
    /// Whether it is found out which pairs of hosts deviate.
    pub counts_pairs: bool,
    /// Pairs of hosts whose packets go to the replicas of both directions, by hashes.
    pub copies: Option<HashSet<u64>>,
}

/// A split that runs.
pub(super) struct Split {
    kind: Kind,
    schema: String,
    is_whole: bool,
    router: Router,
    loads: Vec<Loads>,
    /// The replica of each slot, by shard.
    owners: Vec<Box<[u16]>>,
    count: usize,
    pair: Projector,
    replicas: Replicas<Compare>,
    expected: Sender<Expected>,
}

/// What a split did to the scores.
pub(super) struct Done {
    pub kind: Kind,
    pub tally: Tally,
    pub pairs: Option<Pairs>,
    pub loads: Vec<Loads>,
    pub costs: Costs,
    /// Slots whose state went from one replica to another.
    pub moved: u64,
}

impl Split {
    pub fn start(
        kind: Kind,
        plan: &Plan,
        config: &Config,
        network: Arc<KitNet>,
        options: &Options,
    ) -> Result<Self, ExperimentError> {
        let Options { replicas: count, clock, rebalanced, .. } = *options;
        let seed = config.limits.seed;
        let (expected, to_come) = channel();
        let compare = Compare::new(network, to_come, kind.counts_pairs, options);
        let copies = kind.copies.clone().map(|pairs| (pair(seed), pairs));
        let steered = rebalanced && kind.exact;
        let replicas =
            Replicas::start(&Setup { config, plan, replicas: count, copies, steered, clock }, compare)?;
        let shards = plan.shards.len();
        Ok(Self {
            kind,
            schema: plan.schema.clone(),
            is_whole: plan.is_whole(),
            router: Router::new(plan, seed)?,
            loads: Loads::of_shards(shards),
            // As the runtime places slots of which it knows nothing.
            owners: vec![balanced(&[0; SLOTS], &[0; SLOTS], count).into(); shards],
            count,
            pair: pair(seed),
            replicas,
            expected,
        })
    }

    pub fn is_exact(&self) -> bool {
        self.kind.exact
    }

    /// Takes packets and their scores at the single instance.
    pub fn push(&mut self, packets: &[Headers], scores: &[f64]) {
        Loads::count_all(&mut self.loads, &self.router, packets);
        let pairs = packets.iter().filter(|_| self.kind.counts_pairs);
        let pairs = pairs.map(|headers| (self.pair.hash(headers), self.divides(headers))).collect();
        // Where nobody listens the run has ended, and that is told when it is finished.
        let _ = self.expected.send(Expected { scores: scores.to_vec(), pairs });
        self.replicas.push(packets);
    }

    /// Whether the rows of a packet and of those of the opposite direction come from different replicas.
    fn divides(&self, headers: &Headers) -> bool {
        let other = reversed(headers);
        let owner = |shard, headers| self.router.owner(shard, headers, &self.owners);
        (0..self.owners.len()).any(|shard| owner(shard, headers) != owner(shard, &other))
    }

    /// Places slots by the loads so far, and moves their state while packets come.
    pub fn place_by_load(&mut self) -> Result<(), ExperimentError> {
        if self.is_whole {
            return Err(StateError::Undivided(self.schema.clone()).into());
        }
        for (owners, loads) in self.owners.iter_mut().zip(&self.loads) {
            *owners = balanced(owners, &loads.by_slot(), self.count).into();
        }
        if self.count > 1 {
            let owners = self.owners.iter().map(|owners| owners.to_vec()).enumerate().collect();
            self.replicas.order(Order { replicas: self.count, owners });
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Done, ExperimentError> {
        let Self { kind, loads, replicas, expected, .. } = self;
        let Finished { taker, costs, moved } = replicas.finish()?;
        drop(expected);
        let (tally, pairs) = taker.finish();
        Ok(Done { kind, tally, pairs, loads, costs, moved })
    }
}

/// The unordered pair of hosts.
fn pair(seed: u64) -> Projector {
    Projector::new(&Key::new(&[Field::SrcIp, Field::DstIp], true).expect("two distinct fields"), seed)
}
