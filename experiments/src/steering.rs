//! Slots that go where an experiment wants them, while packets come.

use legonf_core::{Plan, SlotMove, Snapshot};
use legonf_runtime::{Control, PlanError};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The brick whose replicas are steered.
pub(crate) const EXTRACTOR: &str = "extractor";
/// Time between two looks at orders.
const PERIOD: Duration = Duration::from_millis(1);
/// How long packets are held back at most until an order is taken: for ever they would be where a run ends early.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many replicas there shall be from now on, and the owner of each slot of some shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Replicas.
    pub replicas: usize,
    /// Shards and the owners of their slots. Of one replica there are none.
    pub owners: Vec<(usize, Vec<u16>)>,
}

/// Orders on their way to the control.
#[derive(Default)]
pub(crate) struct Orders {
    desk: Mutex<Desk>,
    taken: Condvar,
}

#[derive(Default)]
struct Desk {
    waiting: VecDeque<Order>,
    is_applying: bool,
    refused: Option<String>,
}

impl Orders {
    /// Gives an order and waits until it is being carried out, or one before it still is: that needs further packets.
    pub fn give(&self, order: Order) {
        let mut desk = self.desk();
        desk.waiting.push_back(order);
        let waits = |desk: &mut Desk| !desk.waiting.is_empty() && !desk.is_applying;
        drop(self.taken.wait_timeout_while(desk, PATIENCE, waits));
    }

    /// Whether one is being carried out.
    pub fn is_applying(&self) -> bool {
        self.desk().is_applying
    }

    /// Why an order was not carried out, if one was not.
    pub fn refused(&self) -> Option<String> {
        self.desk().refused.clone()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries orders out.
pub(crate) struct Steering(pub Arc<Orders>);

impl Control for Steering {
    fn period(&self) -> Duration {
        PERIOD
    }

    fn tick(&mut self, _: &mut Snapshot) -> Option<Plan> {
        let mut desk = self.0.desk();
        let plan = desk.waiting.pop_front().map(|order| order.plan());
        desk.is_applying = plan.is_some();
        self.0.taken.notify_all();
        plan
    }

    fn applied(&mut self, _: &Plan, _: Duration, result: Result<(), &PlanError>) {
        let mut desk = self.0.desk();
        desk.is_applying = false;
        if let Err(error) = result {
            desk.refused.get_or_insert(error.to_string());
        }
    }
}

impl Order {
    fn plan(&self) -> Plan {
        let moves = self.owners.iter().flat_map(|(shard, owners)| {
            let to = |(slot, to): (usize, &u16)| SlotMove {
                brick: EXTRACTOR.into(),
                shard: *shard,
                slot: slot as u16,
                to: *to,
            };
            owners.iter().enumerate().map(to)
        });
        Plan { moves: moves.collect(), ..layout(self.replicas) }
    }
}

/// The source, so many replicas, and the sink.
pub(crate) fn layout(replicas: usize) -> Plan {
    let mut plan = Plan::pipeline([EXTRACTOR]);
    plan.stages[1].replicas = replicas;
    plan
}
