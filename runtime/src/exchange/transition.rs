//! A replica at the beginning of an epoch: slots that it gives and gets, and packets that wait for them.

use super::part::Labelled;
use super::{OwnershipTable, Pause, SlotState};
use crate::PlanError;
use crate::operator::{Operator, attempt_move};
use crate::worker::message::{Message, Turned};
use crate::worker::shared::Shared;
use crate::worker::stats::Stats;
use std::collections::VecDeque;
use std::time::Instant;

/// Where bricks come from that take the place of others, and where that is counted.
pub(crate) type Aid<'a> = (&'a Shared<'a>, &'a Stats);

/// Where a replica is between two epochs, in one phase of its work.
pub(crate) struct Transition<T> {
    /// State that is still to come.
    awaited: usize,
    /// State that came before its epoch.
    early: Vec<SlotState>,
    /// Parts with packets that wait, and since when.
    held: VecDeque<(T, Instant)>,
    /// Shards whose packets all wait behind the last part held, a bit each.
    stalled: u64,
    /// Whether nobody knows yet that the transition is done.
    is_untold: bool,
    cost: Turned,
    /// Why state could not move.
    broken: Option<String>,
}

impl<T> Default for Transition<T> {
    fn default() -> Self {
        let (early, held, cost) = Default::default();
        Self { awaited: 0, early, held, stalled: 0, is_untold: false, cost, broken: None }
    }
}

impl<T: Labelled> Transition<T> {
    /// Begins an epoch: everything before it is processed. Gives the slots of some shards away that move, and takes in what has
    /// come. So many packets are `behind`.
    pub fn begin(
        &mut self,
        operator: &mut Operator,
        aid: Aid<'_>,
        replica: usize,
        (table, has): (&OwnershipTable, &dyn Fn(usize) -> bool),
        behind: u64,
    ) {
        let start = Instant::now();
        let ours = || table.migrations.iter().filter(|migration| has(migration.shard));
        for migration in ours().filter(|migration| usize::from(migration.from) == replica) {
            let give = &mut |operator: &mut Operator| operator.export(migration.shard, &migration.slots);
            let state = attempt_move(operator, aid.0, Some(aid.1), give);
            self.cost.bytes += state.as_ref().map_or(0, Vec::len) as u64;
            let state = SlotState { shard: migration.shard, slots: migration.slots.clone(), state };
            // A queue has room for it, and the replica is there as long as slots move to it.
            let _ = table.ports[usize::from(migration.to)].send(Message::State(Box::new(state)));
        }
        self.awaited = ours().filter(|migration| usize::from(migration.to) == replica).count();
        self.is_untold = true;
        self.cost.spent += start.elapsed();
        if ours().any(|migration| usize::from(migration.from) == replica) {
            self.cost.pauses.push(Pause { time: start.elapsed(), packets: behind });
        }
        for state in std::mem::take(&mut self.early) {
            self.take_in(operator, aid, state);
        }
    }

    /// Takes state that came from another replica, or keeps it until its epoch begins.
    pub fn arrive(&mut self, operator: &mut Operator, aid: Aid<'_>, state: SlotState) {
        if self.awaited == 0 {
            self.early.push(state);
        } else {
            self.take_in(operator, aid, state);
        }
    }

    fn take_in(&mut self, operator: &mut Operator, aid: Aid<'_>, state: SlotState) {
        let start = Instant::now();
        let taken = import(operator, aid, &state);
        self.broken = self.broken.take().or(taken.err());
        self.awaited -= 1;
        self.cost.spent += start.elapsed();
    }

    /// Says once why state could not move, if so.
    pub fn check(&mut self, operator: &Operator) -> Result<(), PlanError> {
        let error = |reason| PlanError::Move { id: operator.id.clone(), reason };
        self.broken.take().map_or(Ok(()), |reason| Err(error(reason)))
    }

    /// Whether no state is still to come, and no part waits.
    pub fn is_done(&self) -> bool {
        self.awaited == 0 && self.held.is_empty()
    }

    /// Whether state is still to come.
    pub fn is_open(&self) -> bool {
        self.awaited > 0
    }

    /// Whether packets of a shard can be processed while state is still to come: not those of slots on the move.
    pub fn may_process(&self, shard: usize, is_moving: bool) -> bool {
        self.awaited == 0 || !is_moving && self.stalled & 1 << shard == 0
    }

    /// Keeps a part, some packets of which wait.
    pub fn hold(&mut self, part: T) {
        self.stalled |= part.stalls();
        self.held.push_back((part, Instant::now()));
    }

    /// The next part that need not wait any more.
    pub fn release(&mut self) -> Option<T> {
        if self.awaited > 0 {
            return None;
        }
        self.stalled = 0;
        let (part, since) = self.held.pop_front()?;
        self.cost.pauses.push(Pause { time: since.elapsed(), packets: part.waiting() });
        Some(part)
    }

    /// What the transition has cost, once it is done and nobody was told.
    pub fn report(&mut self) -> Option<Turned> {
        let is_done = self.is_untold && self.awaited == 0 && self.held.is_empty();
        is_done.then(|| {
            self.is_untold = false;
            std::mem::take(&mut self.cost)
        })
    }
}

fn import(operator: &mut Operator, aid: Aid<'_>, state: &SlotState) -> Result<(), String> {
    let bytes = state.state.as_ref().map_err(Clone::clone)?;
    attempt_move(operator, aid.0, Some(aid.1), &mut |operator| {
        operator.adopt(state.shard, &state.slots, bytes)
    })
}
