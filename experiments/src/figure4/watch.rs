//! What a run did in each plan that was in force, and what came out.

use crate::ExperimentError;
use legonf_controller::{Costs, Event};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Pace, Plan, Rows, Sink, Snapshot};
use legonf_engine::agent::Agent;
use legonf_extract::FEATURES;
use legonf_infer::SCORES;
use legonf_models::kitnet::Trainer;
use legonf_runtime::{Control, PlanError};
use std::time::Duration;

/// Sums over the ticks in which one plan was in force.
#[derive(Clone, Debug)]
pub struct Digest {
    /// The plan.
    pub plan: Plan,
    /// Seconds of a tick.
    pub tick: f64,
    /// Ticks that are in the sums.
    pub ticks: u32,
    /// Whether it had but a turn beside the layout that the controller held.
    pub is_turn: bool,
    seconds: f64,
    done: u64,
}

impl Digest {
    fn new(snapshot: &Snapshot, is_turn: bool) -> Self {
        Self { plan: snapshot.plan.clone(), tick: snapshot.span, ticks: 0, is_turn, seconds: 0.0, done: 0 }
    }

    fn is_of(&self, plan: &Plan, is_turn: bool) -> bool {
        self.plan == *plan && self.is_turn == is_turn
    }

    fn add(&mut self, snapshot: &Snapshot) {
        self.ticks += 1;
        self.seconds += snapshot.span;
        self.done += snapshot.done;
    }

    /// Packets a second on the wall.
    pub fn pps(&self) -> f64 {
        self.done as f64 / self.seconds.max(1e-9)
    }
}

/// An agent that is looked over the shoulder.
pub struct Watch {
    agent: Agent,
    digests: Vec<Digest>,
    /// Ticks of the present plan; the first is still half of the one before.
    ticks: u32,
}

impl Watch {
    pub fn new(agent: Agent) -> Self {
        Self { agent, digests: Vec::new(), ticks: 0 }
    }

    /// What the bricks cost, as far as is known by now.
    pub fn costs(&self) -> &Costs {
        self.agent.costs()
    }

    /// Whether layouts are still being compared.
    pub fn is_undecided(&self) -> bool {
        self.agent.is_trying()
    }

    /// Ends the log and gives the sums, plan after plan, and the events.
    pub fn finish(mut self, packets: u64) -> Result<(Vec<Digest>, Vec<Event>), ExperimentError> {
        let events = self.agent.finish(packets)?.to_vec();
        Ok((self.digests, events))
    }
}

impl Control for Watch {
    fn period(&self) -> Duration {
        self.agent.period()
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        let is_turn = self.agent.held().is_some_and(|held| held.stages != snapshot.plan.stages);
        let plan = self.agent.tick(snapshot);
        if self.digests.last().is_none_or(|digest| !digest.is_of(&snapshot.plan, is_turn)) {
            self.digests.push(Digest::new(snapshot, is_turn));
            self.ticks = 0;
        }
        self.ticks += 1;
        if let Some(digest) = self.digests.last_mut()
            && (self.ticks > 1 || digest.seconds == 0.0)
        {
            if self.ticks == 2 {
                *digest = Digest::new(snapshot, is_turn);
            }
            digest.add(snapshot);
        }
        plan
    }

    fn pace(&self) -> Pace {
        self.agent.pace()
    }

    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
        self.agent.applied(plan, took, result);
    }
}

/// A number that changes with every bit of the first scores.
#[derive(Default)]
pub struct Checksum {
    sum: u64,
    /// Scores to come that count; all, where there is no such number.
    left: Option<u64>,
    scores: Handle<Vec<f64>>,
}

impl Checksum {
    /// A checksum of the first scores only.
    pub fn of_first(packets: u64) -> Self {
        Self { left: Some(packets), ..Self::default() }
    }

    pub fn value(&self) -> u64 {
        self.sum
    }
}

impl Sink for Checksum {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let scores = batch.columns.get(self.scores);
        let counted = self.left.unwrap_or(u64::MAX).min(scores.len() as u64);
        self.left = self.left.map(|left| left - counted);
        for score in &scores[..counted as usize] {
            self.sum = (self.sum.rotate_left(5) ^ score.to_bits()).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![SCORES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.scores = layout.handle(&SCORES)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Gives features to a trainer.
pub struct Learn<'a> {
    trainer: &'a mut Trainer,
    features: Handle<Rows>,
}

impl<'a> Learn<'a> {
    pub fn new(trainer: &'a mut Trainer) -> Self {
        Self { trainer, features: Handle::default() }
    }
}

impl Sink for Learn<'_> {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        batch.columns.get(self.features).iter().for_each(|row| _ = self.trainer.train(row));
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![FEATURES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
