//! Workers that do not move any more.

use crate::RunFault;
use crate::handover::Handover;
use crate::message::Event;
use crate::supervisor::Supervisor;
use crate::sync::{self, Receiver};
use crate::worker::Shared;
use legonf_core::{Plan, Sink};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// What a watchdog does with a run that cannot go on: it hears why, how many packets the sink has taken, and, where its worker
/// could be retired, gets the sink, which has all that came before in order.
pub type End<'a> = &'a (dyn Fn(&RunFault, u64, Option<&mut dyn Sink>) + Sync);

/// Ends a run of which a worker does not come back from a brick.
///
/// A thread cannot be ended from outside, so it is [`end`](Self::end) that must: it completes the results and exits the process.
/// Where it returns, the run ends when the brick does. Without a watchdog the run waits for ever.
///
/// The source and the sink may wait: for packets, or for whoever reads the results. They are waited for, but not any more where
/// the run is to end.
#[derive(Clone, Copy)]
pub struct Watchdog<'a> {
    /// How long a brick may be at one batch.
    pub after: Duration,
    /// Set from outside where the run is to end: then brick, source or sink are given [`GRACE`](Self::GRACE), if that is less.
    pub hurry: Option<&'a AtomicBool>,
    /// Ends the process.
    pub end: End<'a>,
}

impl Watchdog<'_> {
    /// How long a worker may be at one thing where the run is to end.
    pub const GRACE: Duration = Duration::from_secs(5);

    /// How long a worker may be at something.
    fn bound(&self, at: At) -> Option<Duration> {
        let hurry = self.hurry.is_some_and(|hurry| hurry.load(Relaxed));
        match at {
            At::Nothing => None,
            _ if hurry => Some(self.after.min(Self::GRACE)),
            At::Source | At::Sink => None,
            At::Brick(_) => Some(self.after),
        }
    }
}

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Nothing,
    Source,
    Sink,
    /// A brick, by its number.
    Brick(usize),
}

impl At {
    /// As the lower half of a word.
    pub fn code(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Source => 1,
            Self::Sink => 2,
            Self::Brick(index) => index as u64 + 3,
        }
    }

    /// From the lower half of a word.
    pub fn of(word: u64) -> Self {
        match word & u64::from(u32::MAX) {
            0 => Self::Nothing,
            1 => Self::Source,
            2 => Self::Sink,
            code => Self::Brick(code as usize - 3),
        }
    }
}

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
    fn only_bricks_are_bounded_until_the_run_is_to_end() {
        let (hurry, ignore) = (AtomicBool::new(false), |_: &RunFault, _: u64, _: Option<&mut dyn Sink>| {});
        let after = Duration::from_secs(60);
        let watchdog = Watchdog { after, hurry: Some(&hurry), end: &ignore };
        let all = [At::Nothing, At::Source, At::Sink, At::Brick(0), At::Brick(7)];
        assert_eq!(all.map(|at| At::of(at.code() | 9 << 32)), all);
        assert_eq!(all.map(|at| watchdog.bound(at)), [None, None, None, Some(after), Some(after)]);
        hurry.store(true, Relaxed);
        let grace = Some(Watchdog::GRACE);
        assert_eq!(all.map(|at| watchdog.bound(at)), [None, grace, grace, grace, grace]);
    }

    #[test]
    fn only_time_at_one_step_adds_up() {
        let mut still = Still::default();
        for (position, milliseconds) in [(5, 0), (5, 200), (5, 400), (6, 0), (6, 200), (5, 0)] {
            still.look(position, LOOK);
            assert_eq!(still.time, Duration::from_millis(milliseconds));
        }
    }
}
