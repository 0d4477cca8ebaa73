//! A control that lets half of the slots go from one host to the other and back.

use super::streams::Run;
use legonf_core::{Plan, SlotMove, Snapshot};
use legonf_runtime::{Control, PlanError};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A move: when it was begun and when it had ended, in seconds by the clock, and the slots that were to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub begin: f64,
    pub end: f64,
    pub slots: usize,
}

pub(super) struct Mover {
    run: Arc<Run>,
    /// Moves that are still to come, and the time before, between and after them.
    left: u32,
    pause: f64,
    /// When the next one is due, or the end.
    next: f64,
    /// Whether a plan is being put in force.
    underway: Option<(f64, usize)>,
    pub moves: Vec<Move>,
    /// Why one did not come about.
    pub failed: Option<String>,
}

impl Mover {
    pub fn new(run: Arc<Run>, moves: u32, pause: Duration) -> Self {
        let pause = pause.as_secs_f64();
        Self { run, left: moves, pause, next: 2.0 * pause, underway: None, moves: Vec::new(), failed: None }
    }

    /// All slots to the first replica, or every other one to the second.
    fn plan(&self, snapshot: &Snapshot) -> Plan {
        let is_apart = self.moves.len().is_multiple_of(2);
        let mut moves = Vec::new();
        for shard in snapshot.stages.iter().flat_map(|stage| &stage.shards) {
            for (slot, owner) in shard.owners.iter().enumerate() {
                let to = if is_apart { 0 } else { slot as u16 % 2 };
                if *owner != to {
                    moves.push(SlotMove {
                        brick: shard.brick.clone(),
                        shard: shard.shard,
                        slot: slot as u16,
                        to,
                    });
                }
            }
        }
        Plan { moves, ..snapshot.plan.clone() }
    }
}

impl Control for Mover {
    fn period(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        let now = self.run.now().filter(|now| *now >= self.next)?;
        if self.left == 0 || self.failed.is_some() {
            self.run.over.store(true, Relaxed);
            return None;
        }
        self.left -= 1;
        let plan = self.plan(snapshot);
        self.underway = Some((now, plan.moves.len()));
        Some(plan)
    }

    fn applied(&mut self, _: &Plan, _: Duration, result: Result<(), &PlanError>) {
        let Some((begin, slots)) = self.underway.take() else { return };
        let end = self.run.now().unwrap_or(begin);
        self.moves.push(Move { begin, end, slots });
        self.next = end + self.pause;
        self.failed = result.err().map(ToString::to_string);
    }
}
