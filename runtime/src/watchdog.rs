//! What ends a run of which a worker does not move any more.

use crate::RunFault;
use crate::worker::stats::At;
use legonf_core::Sink;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

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
    pub(crate) fn bound(&self, at: At) -> Option<Duration> {
        let hurry = self.hurry.is_some_and(|hurry| hurry.load(Relaxed));
        match at {
            At::Nothing => None,
            _ if hurry => Some(self.after.min(Self::GRACE)),
            At::Source | At::Sink => None,
            At::Brick(_) => Some(self.after),
        }
    }
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
}
