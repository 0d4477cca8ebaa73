//! What workers leave when they retire, and new stages are made of.

use crate::floor::Queue;
use crate::layout::Place;
use crate::order::Order;
use crate::worker::{Job, Message, Retired, Unit, Waiting};

/// What retired workers have left: the parts of which new stages are made.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    /// The source and the sink, where they are in these stages.
    pub ends: Job<'a>,
    /// Batches that wait, and the first brick (or the sink) that they wait for is in these stages.
    pub waiting: Option<Waiting>,
    pub units: Vec<Unit>,
}

impl<'a> Parts<'a> {
    /// Takes over what a worker left. Of the batches that wait only those of the first stage that orders them matter: all
    /// that it let pass have gone through the later ones before they retired.
    pub fn add(&mut self, retired: Retired<'a>) {
        let Job { head, units, order, tail } = retired.job;
        self.ends.head = self.ends.head.take().or(head);
        self.ends.tail = self.ends.tail.take().or(tail);
        self.waiting = self.waiting.take().or(order);
        self.units.extend(units);
    }

    pub fn job(&mut self, place: &Place, ordered: bool) -> Job<'a> {
        let head = if place.source { self.ends.head.take() } else { None };
        let tail = if place.sink { self.ends.tail.take() } else { None };
        let next = self.waiting.as_ref().map_or(0, Order::next_number);
        let order = ordered.then(|| Order::from(next));
        let units = place.units.clone().filter_map(|index| self.take_unit(index)).collect();
        Job { head, units, order, tail }
    }

    /// Sends batches that waited on to the new stage of the brick that is their next.
    pub fn send_on(&mut self, places: &[Place], queues: &[Queue]) {
        let Some(waiting) = &mut self.waiting else { return };
        for envelope in waiting.drain() {
            let stage = places.iter().position(|place| place.units.end > envelope.passed);
            let stage = stage.unwrap_or(places.len() - 1);
            // There is room for every batch, and this is both ends of the queue.
            let _ = queues[stage].0.send(Message::Batch(envelope));
        }
    }

    fn take_unit(&mut self, index: usize) -> Option<Unit> {
        let at = self.units.iter().position(|unit| unit.index == index)?;
        Some(self.units.swap_remove(at))
    }
}
