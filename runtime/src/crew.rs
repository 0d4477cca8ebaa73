//! The replicas of a stage whose brick with state is divided, as the supervisor sees them.

use crate::PlanError;
use crate::floor::{Floor, Live, Running};
use crate::layout::Place;
use crate::message::{Message, Queue};
use crate::order::Order;
use crate::parts::Parts;
use crate::replica::{Desk, Replica};
use crate::route::Detour;
use crate::split::{Deal, Split};
use crate::sync::{Sender, bounded};
use std::sync::Arc;

/// What the replicas of a stage share.
pub(crate) struct Crew {
    pub split: Arc<Split>,
    /// The queue of each replica.
    pub own: Vec<Queue>,
    /// Batches whose parcels are joined.
    pub joined: Queue,
    pub deal: Arc<Deal>,
}

impl<'env> Floor<'_, 'env> {
    /// Puts up a stage of replicas that share the work of a brick with state, whose owners are known.
    pub fn build_crew(
        &mut self,
        place: Place,
        parts: &mut Parts<'env>,
        input: Queue,
        output: &Sender<Message>,
    ) -> Result<Live, PlanError> {
        let split = self.shape.split(&place).expect("the caller found the stage to be divided").clone();
        let owners = self.owners.get(&split.unit).map_or_else(|| split.alone(), |(_, owners)| owners.clone());
        let own: Vec<Queue> = (0..place.replicas).map(|_| bounded(self.room())).collect();
        let ports = own.iter().map(|queue| queue.0.clone()).collect();
        let crew = Crew { split, own, joined: bounded(self.room()), deal: Arc::new(Deal { owners, ports }) };
        let mut live = Live { place, input, workers: Vec::new(), crew: None };
        for seat in 0..crew.own.len() {
            let worker = self.seat(&live, &crew, seat, parts, output)?;
            live.workers.push(worker);
        }
        live.crew = Some(crew);
        Ok(live)
    }

    /// Starts one replica.
    fn seat(
        &mut self,
        live: &Live,
        crew: &Crew,
        seat: usize,
        parts: &mut Parts<'env>,
        output: &Sender<Message>,
    ) -> Result<Running, PlanError> {
        let (serial, stats, core) = self.enlist();
        let desk = Desk {
            own: crew.own[seat].1.clone(),
            joined: crew.joined.clone(),
            input: live.input.1.clone(),
            output: output.clone(),
        };
        let replica = Replica {
            serial,
            seat,
            job: parts.job(&live.place, false),
            split: crew.split.clone(),
            deal: crew.deal.clone(),
            order: Order::from(parts.next_number()),
            desk,
            events: self.events(),
            stats: stats.clone(),
            shared: self.shared,
            detour: Detour::default(),
            outbox: Vec::new(),
        };
        self.spawn(serial, stats, core, move || replica.run())
    }
}
