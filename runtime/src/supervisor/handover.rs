//! What workers leave when they retire, and new stages are made of.

use crate::layout::StageSpec;
use crate::operator::Operator;
use crate::worker::assignment::Assignment;
use crate::worker::message::{Message, Queue, Retired};
use crate::worker::order::Order;
use crate::worker::order::Waiting;

/// What retired workers have left: the parts of which new stages are made.
#[derive(Default)]
pub(crate) struct Handover<'a> {
    /// The source and the sink, where they are in these stages.
    pub ends: Assignment<'a>,
    /// Batches that wait, and the first brick (or the sink) that they wait for is in these stages.
    pub waiting: Option<Waiting>,
    pub operators: Vec<Operator>,
    /// The last epoch of replicas that shared a brick's work.
    pub epoch: Option<u64>,
}

impl<'a> Handover<'a> {
    /// Takes over what a worker left. Of the batches that wait only those of the first stage that orders them matter: all
    /// that it let pass have gone through the later ones before they retired.
    pub fn add(&mut self, retired: Retired<'a>) {
        let Assignment { head, operators, order, tail } = retired.assignment;
        self.epoch = self.epoch.max(retired.epoch);
        self.ends.head = self.ends.head.take().or(head);
        self.ends.tail = self.ends.tail.take().or(tail);
        self.waiting = self.waiting.take().or(order);
        self.operators.extend(operators);
    }

    pub fn assignment(&mut self, place: &StageSpec, ordered: bool) -> Assignment<'a> {
        let head = if place.source { self.ends.head.take() } else { None };
        let tail = if place.sink { self.ends.tail.take() } else { None };
        let order = ordered.then(|| Order::from(self.next_number()));
        let operators = place.operators.clone().filter_map(|index| self.take_operator(index)).collect();
        Assignment { head, operators, order, tail }
    }

    /// Sends batches that waited on to the new stage of the brick that is their next.
    pub fn send_on(&mut self, places: &[StageSpec], queues: &[Queue]) {
        let Some(waiting) = &mut self.waiting else { return };
        for envelope in waiting.drain() {
            let stage = places.iter().position(|place| place.operators.end > envelope.passed);
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
    pub fn replicas(&mut self, index: usize) -> Vec<&mut Operator> {
        let mut operators: Vec<_> =
            self.operators.iter_mut().filter(|operator| operator.index == index).collect();
        operators.sort_by_key(|operator| (operator.replica, operator.number));
        operators
    }

    /// Replicas of a brick that have state.
    pub fn with_state(&self, index: usize) -> usize {
        self.operators
            .iter()
            .filter(|operator| operator.index == index && operator.replica != usize::MAX)
            .count()
    }

    fn take_operator(&mut self, index: usize) -> Option<Operator> {
        let bricks = self.operators.iter().enumerate().filter(|(_, operator)| operator.index == index);
        let at = bricks.min_by_key(|(_, operator)| (operator.replica, operator.number))?.0;
        Some(self.operators.swap_remove(at))
    }
}
