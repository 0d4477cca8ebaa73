//! What workers leave when they retire, and new stages are made of.

use crate::layout::StageSpec;
use crate::message::{Message, Queue, Retired, Waiting};
use crate::order::Order;
use crate::unit::Unit;
use crate::worker::Job;

/// What retired workers have left: the parts of which new stages are made.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    /// The source and the sink, where they are in these stages.
    pub ends: Job<'a>,
    /// Batches that wait, and the first brick (or the sink) that they wait for is in these stages.
    pub waiting: Option<Waiting>,
    pub units: Vec<Unit>,
    /// The last epoch of replicas that shared a brick's work.
    pub epoch: Option<u64>,
}

impl<'a> Parts<'a> {
    /// Takes over what a worker left. Of the batches that wait only those of the first stage that orders them matter: all
    /// that it let pass have gone through the later ones before they retired.
    pub fn add(&mut self, retired: Retired<'a>) {
        let Job { head, units, order, tail } = retired.job;
        self.epoch = self.epoch.max(retired.epoch);
        self.ends.head = self.ends.head.take().or(head);
        self.ends.tail = self.ends.tail.take().or(tail);
        self.waiting = self.waiting.take().or(order);
        self.units.extend(units);
    }

    pub fn job(&mut self, place: &StageSpec, ordered: bool) -> Job<'a> {
        let head = if place.source { self.ends.head.take() } else { None };
        let tail = if place.sink { self.ends.tail.take() } else { None };
        let order = ordered.then(|| Order::from(self.next_number()));
        let units = place.units.clone().filter_map(|index| self.take_unit(index)).collect();
        Job { head, units, order, tail }
    }

    /// Sends batches that waited on to the new stage of the brick that is their next.
    pub fn send_on(&mut self, places: &[StageSpec], queues: &[Queue]) {
        let Some(waiting) = &mut self.waiting else { return };
        for envelope in waiting.drain() {
            let stage = places.iter().position(|place| place.units.end > envelope.passed);
            let stage = stage.unwrap_or(places.len() - 1);
            // There is room for every batch, and this is both ends of the queue.
            let _ = queues[stage].0.send(Message::Batch(envelope));
        }
    }

    /// Number of the first batch that has not passed these stages yet.
    pub fn next_number(&self) -> u64 {
        self.waiting.as_ref().map_or(0, Order::next_number)
    }

    /// The replicas of a brick, those with state first.
    pub fn replicas(&mut self, index: usize) -> Vec<&mut Unit> {
        let mut units: Vec<_> = self.units.iter_mut().filter(|unit| unit.index == index).collect();
        units.sort_by_key(|unit| unit.seat);
        units
    }

    /// Replicas of a brick that have state.
    pub fn seated(&self, index: usize) -> usize {
        self.units.iter().filter(|unit| unit.index == index && unit.seat != usize::MAX).count()
    }

    fn take_unit(&mut self, index: usize) -> Option<Unit> {
        let bricks = self.units.iter().enumerate().filter(|(_, unit)| unit.index == index);
        let at = bricks.min_by_key(|(_, unit)| unit.seat)?.0;
        Some(self.units.swap_remove(at))
    }
}
