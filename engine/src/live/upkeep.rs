//! What is due with a live run by the time of the clock, which its packets' path does not read.

use crate::Session;
use legonf_core::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How often what is due with the outputs is done.
const TENDING: Duration = Duration::from_secs(1);

/// What is asked of the outputs, and what they let be seen.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// What is due with the outputs is to be done.
    due: AtomicBool,
    /// Statistics are to be told: of this time, in nanoseconds since 1970, and so many milliseconds after the begin. 0 where none are.
    told: AtomicI64,
    uptime: AtomicU64,
    /// Packets above the threshold so far.
    alerts: AtomicU64,
}

impl Upkeep {
    /// Whether the outputs are to be tended; not again until it is due the next time.
    pub fn take_due(&self) -> bool {
        self.due.load(Ordering::Relaxed) && self.due.swap(false, Ordering::Relaxed)
    }

    /// Whether statistics are to be told, of which time, and how long after the begin.
    pub fn take_stats(&self) -> Option<(Timestamp, Duration)> {
        if self.told.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let at = self.told.swap(0, Ordering::Acquire);
        let uptime = Duration::from_millis(self.uptime.load(Ordering::Relaxed));
        (at != 0).then(|| (Timestamp::from_nanos(at), uptime))
    }

    /// Lets the number of alerts so far be seen.
    pub fn show_alerts(&self, alerts: u64) {
        self.alerts.store(alerts, Ordering::Relaxed);
    }

    /// Alerts so far.
    pub fn alerts(&self) -> u64 {
        self.alerts.load(Ordering::Relaxed)
    }

    fn ask_for_stats(&self, uptime: Duration) {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.uptime.store(uptime.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.told.store(now.as_nanos().try_into().unwrap_or(i64::MAX), Ordering::Release);
    }
}

/// Looks at the clock, in the thread that watches a run.
pub(super) struct Rounds<'a> {
    session: &'a Session,
    upkeep: Arc<Upkeep>,
    begun: Instant,
    tended: Instant,
    /// How often statistics are told, and when the last time was due.
    stats: Option<Duration>,
    told: Instant,
    ending: bool,
}

impl<'a> Rounds<'a> {
    /// Begins now, and says that the run is ready.
    pub fn begin(session: &'a Session, upkeep: Arc<Upkeep>, stats: Option<Duration>) -> Self {
        session.observer.ready();
        let now = Instant::now();
        Self { session, upkeep, begun: now, tended: now, stats, told: now, ending: false }
    }

    /// Asks for what is due; to be called some times a second.
    pub fn look(&mut self) {
        if self.session.is_stopped() {
            self.end();
        }
        let now = Instant::now();
        if now.duration_since(self.tended) < TENDING {
            return;
        }
        self.tended = now;
        self.upkeep.due.store(true, Ordering::Relaxed);
        self.session.observer.alive();
        if let Some(every) = self.stats.filter(|every| now.duration_since(self.told) >= *every) {
            // In step with the begin, however late it is looked at, but never two at once.
            while now.duration_since(self.told) >= every {
                self.told += every;
            }
            self.upkeep.ask_for_stats(now.duration_since(self.begun));
        }
    }

    /// Says, once, that the run ends.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.ending, true) {
            self.session.observer.ending();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_taken_once() {
        let upkeep = Upkeep::default();
        assert!(!upkeep.take_due() && upkeep.take_stats().is_none());
        upkeep.due.store(true, Ordering::Relaxed);
        upkeep.ask_for_stats(Duration::from_secs(90));
        assert!(upkeep.take_due() && !upkeep.take_due());
        let (at, uptime) = upkeep.take_stats().unwrap();
        assert!(at.as_nanos() > 0 && uptime == Duration::from_secs(90));
        assert!(upkeep.take_stats().is_none());
    }
}
