//! Workers that do not move any more.

use crate::RunFault;
use crate::supervisor::Supervisor;
use crate::supervisor::handover::Handover;
use crate::sync::{self, Receiver};
use crate::watchdog::Watchdog;
use crate::worker::message::Event;
use crate::worker::shared::Shared;
use crate::worker::stats::At;
use legonf_core::{Plan, Sink};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long a worker was seen at the same step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Still {
    position: u64,
    time: Duration,
}

impl Still {
    /// Notes where a worker is, some time after the last look.
    fn look(&mut self, position: u64, passed: Duration) {
        let time = if position == self.position { self.time + passed } else { Duration::ZERO };
        *self = Self { position, time };
    }
}

/// A look that comes later than this counts as one that came then: the supervisor, too, can be without a core, or stopped.
const LOOK: Duration = Duration::from_millis(200);

/// How long stages behind the one that is stuck may take to finish what they have.
const DRAIN: Duration = Duration::from_secs(5);

/// Which worker does not move.
pub(crate) struct Stuck {
    stage: usize,
    /// Until when others are waited for; none before that has begun.
    until: Option<Instant>,
}

impl<'env> Supervisor<'_, 'env> {
    /// Looks where every worker is; one that has been at the same for too long ends the run.
    pub fn watch(&mut self) {
        let Some(watchdog) = self.watch.watchdog else { return };
        let passed = self.watch.last.elapsed().min(LOOK);
        self.watch.last = Instant::now();
        let mut found = None;
        for (stage, live) in self.stages.iter_mut().enumerate() {
            for worker in &mut live.workers {
                let position = worker.stats.position();
                worker.still.look(position, passed);
                let bound = watchdog.bound(At::of(position));
                if bound.is_some_and(|bound| worker.still.time >= bound) {
                    found = found.or(Some((stage, worker.serial, At::of(position), worker.still.time)));
                }
            }
        }
        if let (Some((stage, worker, at, time)), None) = (found, &self.watch.stuck) {
            self.watch.stuck = Some(Stuck { stage, until: None });
            let fault = stuck(at, &self.shape.ids(), format!("worker {worker}"), time);
            if !matches!(self.over, Some(Some(_))) {
                self.over = Some(Some(fault));
            }
        }
    }

    /// What the next worker tells; nothing where one does not move any more and the others were waited for.
    pub fn next_event(&mut self) -> Option<Event<'env>> {
        loop {
            if let Ok(event) = self.events.1.recv_timeout(LOOK / 4) {
                return Some(event);
            }
            self.watch();
            if self
                .watch
                .stuck
                .as_ref()
                .is_some_and(|stuck| stuck.until.is_none_or(|until| Instant::now() >= until))
            {
                return None;
            }
        }
    }

    /// Hears what workers tell for some time.
    pub fn hear_for(&mut self, time: Duration, handover: &mut Handover<'env>) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if let Ok(event) = self.events.1.recv_timeout(left) {
                self.hear(event, handover);
            }
        }
    }

    /// Gives up a run of which one worker does not move: the stages behind it finish what they have, then the watchdog has the
    /// last word. Where that returns, everybody is waited for again.
    pub fn abandon(&mut self, handover: &mut Handover<'env>) {
        let (Some(stuck), Some(watchdog)) = (&mut self.watch.stuck, self.watch.watchdog) else { return };
        stuck.until = Some(Instant::now() + DRAIN);
        for stage in stuck.stage + 1..self.stages.len() {
            self.retire(stage, self.stages[stage].workers.len(), handover);
        }
        let done = self.shared.totals.done.load(Relaxed);
        if let Some(Some(fault)) = &self.over {
            let sink: Option<&mut dyn Sink> = match &mut handover.ends.tail {
                Some(tail) => Some(&mut *tail.sink),
                None => None,
            };
            (watchdog.end)(fault, done, sink);
        }
        (self.watch.stuck, self.watch.watchdog) = (None, None);
    }
}

/// Watches the supervisor, until that has ended: where a brick that it runs itself does not come back, nobody else can tell.
pub(crate) fn watch_supervisor(
    watchdog: Watchdog<'_>,
    shared: &Shared<'_>,
    ids: &[String],
    ended: &Receiver<()>,
) {
    let mut still = Still::default();
    while !sync::ended(ended, LOOK) {
        still.look(shared.own.position(), LOOK);
        let at = At::of(still.position);
        if watchdog.bound(at).is_some_and(|bound| still.time >= bound) {
            let fault = stuck(at, ids, "the supervisor".into(), still.time);
            return (watchdog.end)(&fault, shared.totals.done.load(Relaxed), None);
        }
    }
}

/// The fault of somebody who has been at the same for too long.
fn stuck(at: At, ids: &[String], worker: String, time: Duration) -> RunFault {
    let name = match at {
        At::Brick(index) => ids.get(index).map_or("a brick".into(), |id| format!("brick `{id}`")),
        At::Sink => format!("`{}`", Plan::SINK),
        At::Source | At::Nothing => format!("`{}`", Plan::SOURCE),
    };
    RunFault::Stuck { name, worker, seconds: time.as_secs() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_at_one_step_adds_up() {
        let mut still = Still::default();
        for (position, milliseconds) in [(5, 0), (5, 200), (5, 400), (6, 0), (6, 200), (5, 0)] {
            still.look(position, LOOK);
            assert_eq!(still.time, Duration::from_millis(milliseconds));
        }
    }
}
