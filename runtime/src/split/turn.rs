//! A replica at the beginning of an epoch: slots that it gives and gets, and packets that wait for them.

use super::{Arrival, Deal, Parcel, Pause, Split};
use crate::message::{Message, Turned};
use crate::stats::Stats;
use crate::unit::{Unit, attempt_move};
use crate::worker::Shared;
use std::collections::VecDeque;
use std::time::Instant;

/// Where bricks come from that take the place of others, and where that is counted.
type Aid<'a> = (&'a Shared<'a>, &'a Stats);

/// Where a replica is between two epochs.
#[derive(Default)]
pub(crate) struct Turning {
    /// State that is still to come.
    awaited: usize,
    /// State that came before its epoch.
    early: Vec<Arrival>,
    /// Parcels with packets that wait, and since when.
    held: VecDeque<(Parcel, Instant)>,
    /// Shards whose packets all wait behind the last one held, a bit each.
    stalled: u64,
    /// Whether the supervisor does not know yet that the turn is done.
    pub untold: bool,
    cost: Turned,
    /// Why state could not move.
    pub broken: Option<String>,
}

impl Turning {
    /// Begins an epoch: everything before it is processed. Gives the slots away that move, and takes in what has come.
    /// So many packets are `behind`.
    pub fn begin(&mut self, unit: &mut Unit, aid: Aid<'_>, seat: usize, deal: &Deal, behind: u64) {
        let start = Instant::now();
        for shift in deal.shifts.iter().filter(|shift| usize::from(shift.from) == seat) {
            let give = &mut |unit: &mut Unit| unit.export(shift.shard, &shift.slots);
            let state = attempt_move(unit, aid.0, Some(aid.1), give);
            let arrival = Arrival { shard: shift.shard, slots: shift.slots.clone(), state };
            // A queue has room for it, and the replica is there as long as slots move to it.
            let _ = deal.ports[usize::from(shift.to)].send(Message::State(Box::new(arrival)));
        }
        self.awaited = deal.shifts.iter().filter(|shift| usize::from(shift.to) == seat).count();
        self.untold = true;
        self.cost.spent += start.elapsed();
        if deal.shifts.iter().any(|shift| usize::from(shift.from) == seat) {
            self.cost.pauses.push(Pause { time: start.elapsed(), packets: behind });
        }
        for arrival in std::mem::take(&mut self.early) {
            self.take_in(unit, aid, arrival);
        }
    }

    /// Takes state that came from another replica, or keeps it until its epoch begins.
    pub fn arrive(&mut self, unit: &mut Unit, aid: Aid<'_>, arrival: Arrival) {
        if self.awaited == 0 {
            self.early.push(arrival);
        } else {
            self.take_in(unit, aid, arrival);
        }
    }

    fn take_in(&mut self, unit: &mut Unit, aid: Aid<'_>, arrival: Arrival) {
        let start = Instant::now();
        let taken = import(unit, aid, &arrival);
        self.broken = self.broken.take().or(taken.err());
        self.awaited -= 1;
        self.cost.spent += start.elapsed();
    }

    /// Whether state is still to come.
    pub fn is_open(&self) -> bool {
        self.awaited > 0
    }

    /// Which lanes of a parcel can be processed while state is still to come: not those of slots on the move.
    pub fn may_process(&self, split: &Split, lane: usize) -> bool {
        let shard = lane % split.shards();
        self.awaited == 0 || lane < split.shards() && self.stalled & 1 << shard == 0
    }

    /// Keeps a parcel, some packets of which wait.
    pub fn hold(&mut self, parcel: Parcel) {
        self.stalled |= parcel.stalls;
        self.held.push_back((parcel, Instant::now()));
    }

    /// The next parcel that need not wait any more.
    pub fn release(&mut self) -> Option<Parcel> {
        if self.awaited > 0 {
            return None;
        }
        self.stalled = 0;
        let (parcel, since) = self.held.pop_front()?;
        let packets =
            parcel.lanes.iter().filter(|lane| !lane.done).map(|lane| lane.places.len() as u64).sum();
        self.cost.pauses.push(Pause { time: since.elapsed(), packets });
        Some(parcel)
    }

    /// What the turn has cost, once it is done and nobody was told.
    pub fn report(&mut self) -> Option<Turned> {
        let done = self.untold && self.awaited == 0 && self.held.is_empty();
        done.then(|| {
            self.untold = false;
            std::mem::take(&mut self.cost)
        })
    }
}

fn import(unit: &mut Unit, aid: Aid<'_>, arrival: &Arrival) -> Result<(), String> {
    let state = arrival.state.as_ref().map_err(Clone::clone)?;
    attempt_move(unit, aid.0, Some(aid.1), &mut |unit| unit.adopt(arrival.shard, &arrival.slots, state))
}
