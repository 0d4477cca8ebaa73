//! Slots on the move between replicas that go on working.

use crate::PlanError;
use crate::exchange::{Migration, Owners, OwnershipTable, migrations};
use crate::layout::StageSpec;
use crate::supervisor::Supervisor;
use crate::supervisor::handover::Handover;
use crate::supervisor::replica_set::ARRIVALS;
use crate::sync::bounded;
use crate::worker::message::{Event, Message};
use legonf_core::{Plan, SLOTS, balanced};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

/// Slots that move at the first epoch of a change, and at most. The model's runs are short.
const FEWEST: usize = if cfg!(feature = "model") { MOST } else { 1 };
const MOST: usize = if cfg!(feature = "model") { 2 * SLOTS } else { 1024 };
/// Time that a replica shall work for one epoch, at least and at most, beyond what the shortest has taken: meanwhile its packets wait.
/// One slot takes what it takes, and on another host at least the way there and back. Four times the slots of one that took less than the
/// least take no more than the most.
const SHORT: Duration = Duration::from_micros(200);
const LONG: Duration = Duration::from_micros(800);
/// Time between two epochs, by the shortest that one has taken a replica, and at most. Of a replica in this process that is next to
/// nothing, of one on another host some ways there and back, by which packets of many batches have waited. In the model no time passes.
const INTERVAL: u32 = if cfg!(feature = "model") { 0 } else { 3 };
const LONGEST_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes of state that move at one epoch at most, where one slot has less: what a busy machine makes of its time says little.
const LARGE: u64 = 256 << 10;

/// What the moves of an epoch have cost all replicas.
#[derive(Clone, Copy, Default)]
struct Cost {
    /// The time of the slowest.
    spent: Duration,
    bytes: u64,
}

/// How many slots move at an epoch.
struct Steps {
    slots: usize,
    /// The shortest time of an epoch.
    shortest: Duration,
}

impl Steps {
    fn new() -> Self {
        Self { slots: FEWEST, shortest: Duration::MAX }
    }

    /// How long packets go on before further slots move: for those that have waited meanwhile.
    fn interval(&self) -> Duration {
        (self.shortest * INTERVAL).min(LONGEST_INTERVAL)
    }

    /// Takes in what so many slots have cost.
    fn note(&mut self, moved: usize, cost: Cost) {
        self.shortest = self.shortest.min(cost.spent);
        let beyond = cost.spent - self.shortest;
        let each = (cost.bytes / moved.max(1) as u64).max(1);
        let fit = ((LARGE / each) as usize).clamp(1, MOST);
        match beyond {
            _ if beyond > LONG => self.slots = (self.slots / 2).max(1),
            _ if beyond < SHORT => self.slots *= 4,
            _ => {}
        }
        self.slots = self.slots.min(fit);
    }
}

impl<'env> Supervisor<'_, 'env> {
    /// Takes replicas out of stages that share a brick's work, where a plan has fewer of that brick: their slots go to
    /// the others first.
    pub fn shrink_replicas(
        &mut self,
        places: &[StageSpec],
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        for stage in 0..self.stages.len() {
            let Some(set) = &self.stages[stage].replicas else { continue };
            let (operator, present) = (set.split.operator, set.own.len());
            let place = places.iter().find(|place| place.operators.contains(&operator));
            let wanted = place.map_or(1, |place| place.replicas);
            if wanted < present {
                self.spread(stage, wanted, handover)?;
                self.dismiss(stage, wanted, handover);
            }
        }
        Ok(())
    }

    /// Gives a stage more replicas, and slots to them.
    pub fn grow_replicas(
        &mut self,
        stage: usize,
        replicas: usize,
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        let output = self.after(stage + 1);
        let room = self.room() + ARRIVALS;
        for index in self.stages[stage].workers.len()..replicas {
            let mut live = self.stages.remove(stage);
            if let Some(set) = &mut live.replicas {
                set.own.push(bounded(room));
            }
            let added = self.add_replica(&mut live, index, None, handover, &output);
            self.stages.insert(stage, live);
            added?;
        }
        let grown = replicas > std::mem::replace(&mut self.stages[stage].place.replicas, replicas);
        if grown { self.spread(stage, replicas, handover) } else { Ok(()) }
    }

    /// Lets slots go where a plan wants them.
    pub fn shift_as_told(&mut self, plan: &Plan) -> Result<(), PlanError> {
        for stage in 0..self.stages.len() {
            let Some(set) = &self.stages[stage].replicas else { continue };
            let brick = &self.shape.bricks[set.split.operator].0;
            let mut owners = set.table.owners.clone();
            for slot in plan.moves.iter().filter(|slot| slot.brick == *brick) {
                owners[slot.shard][usize::from(slot.slot)] = slot.to;
            }
            self.move_slots(stage, &owners, &mut Handover::default())?;
        }
        Ok(())
    }

    /// Evens slots out among the first so many replicas of a stage, by the packets that they got lately.
    fn spread(
        &mut self,
        stage: usize,
        replicas: usize,
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        let Some(set) = &self.stages[stage].replicas else { return Ok(()) };
        let none = vec![vec![0; SLOTS]; set.split.shards()];
        let loads = self.slots.loads.get(&set.split.operator).unwrap_or(&none);
        let owners = set.table.owners.iter().zip(loads);
        let owners = owners.map(|(owners, loads)| balanced(owners, loads, replicas).into()).collect();
        self.move_slots(stage, &owners, handover)
    }

    /// Moves slots until these owners hold: some at each epoch, so that no packet waits for long.
    fn move_slots(
        &mut self,
        stage: usize,
        owners: &Owners,
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        let Some(set) = &self.stages[stage].replicas else { return Ok(()) };
        let (mut left, mut steps) = (migrations(&set.table.owners, owners), Steps::new());
        while !left.is_empty() && self.over.is_none() {
            let some = take(&mut left, steps.slots);
            let moved: usize = some.iter().map(|migration| migration.slots.len()).sum();
            self.slots.moved += moved as u64;
            let cost = self.epoch_transition(stage, some, self.stages[stage].workers.len(), handover);
            steps.note(moved, cost);
            if !left.is_empty() {
                self.hear_for(steps.interval(), handover);
            }
        }
        Ok(())
    }

    /// Lets replicas behind the first so many, which have no slot any more, leave at the next epoch.
    fn dismiss(&mut self, stage: usize, replicas: usize, handover: &mut Handover<'env>) {
        if self.over.is_some() {
            return;
        }
        let before = handover.operators.len();
        self.epoch_transition(stage, Vec::new(), replicas, handover);
        // What they have left is no state any more.
        handover.operators[before..].iter_mut().for_each(|operator| operator.replica = usize::MAX);
        if self.over.is_none() {
            let live = &mut self.stages[stage];
            live.place.replicas = replicas;
            live.replicas.iter_mut().for_each(|set| set.truncate(replicas));
        }
    }

    /// Begins an epoch, at which some slots move and the first so many replicas of a stage stay, and waits until all have
    /// done their part, or the run is over. Returns what it has cost.
    fn epoch_transition(
        &mut self,
        stage: usize,
        shifts: Vec<Migration>,
        replicas: usize,
        handover: &mut Handover<'env>,
    ) -> Cost {
        let epoch = self.shared.epoch.load(Relaxed) + 1;
        let mut waiting = Vec::new();
        let mut shifts = Some(shifts);
        for (at, live) in self.stages.iter_mut().enumerate() {
            let Some(set) = &mut live.replicas else { continue };
            let stay = if at == stage { replicas } else { set.own.len() };
            let shifts = shifts.take_if(|_| at == stage).unwrap_or_default();
            let mut ports: Vec<_> = set.own.iter().map(|queue| queue.0.clone()).collect();
            let leaving = ports.split_off(stay);
            let mut table = OwnershipTable::new(epoch, set.table.owners.clone(), ports, shifts);
            table.leaving = leaving;
            let table = Arc::new(table);
            // A queue has room for it, and this supervisor holds the other end.
            set.own.iter().for_each(|queue| _ = queue.0.send(Message::Ownership(table.clone())));
            set.next = Some(table);
            waiting.extend(live.workers.iter().map(|worker| worker.serial));
        }
        self.shared.epoch.store(epoch, Release);
        let cost = self.await_transition(waiting, handover);
        if self.over.is_none() {
            self.stages.iter_mut().filter_map(|live| live.replicas.as_mut()).for_each(|set| {
                set.table = set.next.take().unwrap_or_else(|| set.table.clone());
            });
        }
        cost
    }

    fn await_transition(&mut self, mut waiting: Vec<u64>, handover: &mut Handover<'env>) -> Cost {
        let mut cost = Cost::default();
        while !waiting.is_empty() && self.over.is_none() {
            let Some(event) = self.next_event() else { break };
            match &event {
                Event::Turned(serial, turned) => {
                    cost.spent = cost.spent.max(turned.spent);
                    cost.bytes += turned.bytes;
                    waiting.retain(|one| one != serial);
                }
                Event::Retired(retired) => waiting.retain(|one| *one != retired.serial),
                _ => {}
            }
            self.hear(event, handover);
        }
        cost
    }
}

/// Takes at most so many slots out of what is left to move.
fn take(left: &mut Vec<Migration>, most: usize) -> Vec<Migration> {
    let (mut some, mut room) = (Vec::new(), most);
    while room > 0
        && let Some(mut last) = left.pop()
    {
        let rest = last.slots.split_off(last.slots.len().min(room));
        room -= last.slots.len();
        if !rest.is_empty() {
            left.push(Migration { slots: rest, ..last.clone() });
        }
        some.push(last);
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots of each step, where a step takes some time and each of its slots has some state, by which it takes longer.
    fn steps(micros: u64, bytes: u64) -> Vec<usize> {
        let mut steps = Steps::new();
        let next = |_| {
            let moved = steps.slots;
            let size = moved as u64 * bytes;
            steps.note(moved, Cost { spent: Duration::from_micros(micros + size / 1000), bytes: size });
            steps.slots
        };
        (0..8).map(next).collect()
    }

    #[test]
    fn a_way_there_and_back_makes_no_step_smaller() {
        assert!(steps(0, 100).ends_with(&[1024, 1024]) || cfg!(feature = "model"));
        assert_eq!(steps(0, 100), steps(5000, 100));
    }

    #[test]
    fn large_slots_move_few_at_a_time() {
        assert!(steps(300, 64 << 10).iter().all(|slots| *slots <= 4));
        assert!(steps(300, 1 << 20).iter().all(|slots| *slots == 1));
    }
}
