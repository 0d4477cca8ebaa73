//! The replicas of a stage whose brick with state is divided, as the supervisor sees them.

use crate::PlanError;
use crate::floor::{Floor, Live, MAX_WORKERS, Running, retire_from};
use crate::layout::Place;
use crate::locker::Locker;
use crate::message::{Event, Message, Queue};
use crate::order::Order;
use crate::parts::Parts;
use crate::replica::{Desk, Replica};
use crate::route::Detour;
use crate::split::{Deal, Split, Tally, Turning, prepare};
use crate::sync::{Sender, bounded};
use legonf_core::SLOTS;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// State that may be on its way to one replica at a time, in pieces: one of each shard from each of the others.
pub(crate) const ARRIVALS: usize = 2 * MAX_WORKERS;

/// What the replicas of a stage share.
pub(crate) struct Crew {
    pub split: Arc<Split>,
    /// The queue of each replica.
    pub own: Vec<Queue>,
    /// Batches whose parcels are joined.
    pub joined: Queue,
    /// Who owns which slots, and who will.
    pub deal: Arc<Deal>,
    pub next: Option<Arc<Deal>>,
    /// Packets of each slot: those that replicas have counted, those of replicas that are gone, and those when they were
    /// last looked at.
    pub tallies: Vec<Arc<Tally>>,
    pub base: Vec<Vec<u32>>,
    pub seen: Vec<Vec<u32>>,
}

impl Crew {
    /// Packets of each slot of a shard since this was last asked.
    pub fn packets(&mut self, shard: usize) -> Vec<u64> {
        let mut now = self.base[shard].clone();
        self.tallies.iter().for_each(|tally| tally.add_to(shard, &mut now));
        let before = std::mem::replace(&mut self.seen[shard], now);
        self.seen[shard].iter().zip(before).map(|(now, before)| now.wrapping_sub(before).into()).collect()
    }

    /// Forgets the replicas behind the first so many.
    pub fn truncate(&mut self, replicas: usize) {
        self.own.truncate(replicas);
        for tally in self.tallies.drain(replicas..) {
            self.base.iter_mut().enumerate().for_each(|(shard, base)| tally.add_to(shard, base));
        }
    }
}

impl<'env> Floor<'_, 'env> {
    /// Puts up a stage of replicas that share the work of a brick with state: of those that have any.
    pub fn build_crew(
        &mut self,
        mut place: Place,
        parts: &mut Parts<'env>,
        input: Queue,
        output: &Sender<Message>,
    ) -> Result<Live, PlanError> {
        let split = self.shape.split(&place).expect("the caller found the stage to be divided").clone();
        place.replicas = parts.seated(split.unit);
        let owners = self.owners.entry(split.unit).or_insert_with(|| split.alone()).clone();
        let own: Vec<Queue> = (0..place.replicas).map(|_| bounded(self.room() + ARRIVALS)).collect();
        let ports = own.iter().map(|queue| queue.0.clone()).collect();
        let epoch = self.shared.epoch.load(Relaxed);
        let none = vec![vec![0; SLOTS]; split.shards()];
        let crew = Crew {
            split,
            own,
            joined: bounded(self.room()),
            deal: Arc::new(Deal::new(epoch, owners, ports, Vec::new())),
            next: None,
            tallies: Vec::new(),
            base: none.clone(),
            seen: none,
        };
        let (seats, first) = (place.replicas, parts.next_number());
        let mut live = Live { place, input, workers: Vec::new(), crew: Some(crew), area: 0.0 };
        for seat in 0..seats {
            self.seat(&mut live, seat, Some(first), parts, output)?;
        }
        Ok(live)
    }

    /// Starts one replica, whose first batch is known or will be the first of an epoch.
    pub fn seat(
        &mut self,
        live: &mut Live,
        seat: usize,
        first: Option<u64>,
        parts: &mut Parts<'env>,
        output: &Sender<Message>,
    ) -> Result<(), PlanError> {
        let Some(crew) = &mut live.crew else { return Ok(()) };
        let (serial, stats, core) = self.enlist();
        let (split, tally) = (crew.split.clone(), Arc::new(Tally::new(crew.split.shards())));
        let desk = Desk {
            own: crew.own[seat].1.clone(),
            joined: crew.joined.clone(),
            input: live.input.1.clone(),
            output: output.clone(),
        };
        let mut job = parts.job(&live.place, false);
        for unit in job.units.iter_mut().filter(|unit| unit.index == split.unit) {
            unit.seat = seat;
            prepare(&split, unit, self.shared)?;
        }
        let locker = Locker::of(self.shape.kept(false, split.unit..live.place.units.end, false));
        crew.tallies.push(tally.clone());
        let replica = Replica {
            serial,
            seat,
            job,
            locker,
            split,
            deals: [crew.deal.clone()].into(),
            epoch: crew.deal.epoch,
            order: Order::from(first.unwrap_or(0)),
            born: first.is_some(),
            turning: Turning::default(),
            desk,
            events: self.events(),
            stats: stats.clone(),
            tally,
            shared: self.shared,
            detour: Detour::default(),
            outbox: Vec::new(),
            early: Vec::new(),
            failed: false,
        };
        let running: Running = self.spawn(serial, stats, core, move || replica.run())?;
        live.workers.push(running);
        Ok(())
    }

    /// Takes a stage of replicas down: first nothing more is dealt out, then every parcel is processed, then every batch
    /// finished.
    pub fn retire_crew(&mut self, stage: usize, parts: &mut Parts<'env>) {
        let live = &self.stages[stage];
        let Some(crew) = &live.crew else { return };
        let (workers, own, joined) = (live.workers.len(), crew.own.clone(), crew.joined.0.clone());
        retire_from(&live.input.0, workers);
        self.await_quiet(stage, parts);
        own.iter().for_each(|queue| retire_from(&queue.0, 1));
        self.await_quiet(stage, parts);
        retire_from(&joined, workers);
        while !self.stages[stage].workers.is_empty() {
            let Some(event) = self.next_event() else { return };
            self.hear(event, parts);
        }
        self.keep_owners(stage, parts);
    }

    /// Waits until all replicas of a stage that are still there have come to a word to retire.
    fn await_quiet(&mut self, stage: usize, parts: &mut Parts<'env>) {
        let mut quiet = Vec::new();
        while self.stages[stage].workers.iter().any(|worker| !quiet.contains(&worker.serial)) {
            let Some(event) = self.next_event() else { return };
            if let Event::Quiet(serial) = event {
                quiet.push(serial);
            }
            self.hear(event, parts);
        }
    }

    /// Notes who owned which slots at the end: where the input has ended before an epoch began, those before it.
    fn keep_owners(&mut self, stage: usize, parts: &Parts<'env>) {
        let Some(crew) = &self.stages[stage].crew else { return };
        let begun = crew.next.as_ref().filter(|next| parts.epoch >= Some(next.epoch));
        let deal = begun.unwrap_or(&crew.deal);
        self.owners.insert(crew.split.unit, deal.owners.clone());
    }
}
