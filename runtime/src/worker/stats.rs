//! What a worker tells of itself: counters that it alone writes and the supervisor reads.

use crate::operator::interface::Counters;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// What a worker had done when it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Batches that it took, and packets of these.
    pub batches: u64,
    pub received: u64,
    /// Packets that it handed on.
    pub packets: u64,
    /// Processor time of its thread, the time this waited for a core, and about how much of that it had nothing to do.
    pub computed: Duration,
    pub queued: Duration,
    pub idled: Duration,
}

impl Done {
    /// What was done since.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            batches: self.batches - before.batches,
            received: self.received - before.received,
            packets: self.packets - before.packets,
            computed: self.computed.saturating_sub(before.computed),
            queued: self.queued.saturating_sub(before.queued),
            idled: self.idled.saturating_sub(before.idled),
        }
    }

    /// The time in which it could have computed but had no core.
    pub fn starved(&self) -> Duration {
        self.queued.saturating_sub(self.idled)
    }
}

/// Counters of one worker. They have cache lines of their own, so that writing them disturbs no other worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Stats {
    thread: AtomicI32,
    batches: AtomicU64,
    received: AtomicU64,
    packets: AtomicU64,
    restarts: AtomicU64,
    /// What it is at, below the number of things that it was at before.
    position: AtomicU64,
    /// Nanoseconds of processor time that its bricks have spent elsewhere.
    elsewhere: AtomicU64,
    /// Nanoseconds for which others had the core although there was nothing to do.
    idled: AtomicU64,
    /// Whether the supervisor wants to know how large the state is, and how large it was when it last did.
    asked: AtomicBool,
    state_bytes: AtomicU64,
    /// Whether the counters of the bricks were told since it asked for them, and what they were, by the number of the brick.
    are_counters_told: AtomicBool,
    counters: Mutex<Vec<(usize, Counters)>>,
}

impl Stats {
    /// Notes the thread that works; 0 when it is gone.
    pub fn set_thread(&self, thread: i32) {
        self.thread.store(thread, Relaxed);
    }

    /// Counts a batch that was taken. For the worker itself: a plain addition, not an atomic one.
    pub fn take_batch(&self) {
        self.batches.store(self.batches.load(Relaxed) + 1, Relaxed);
    }

    /// Counts packets of a batch that was taken, likewise.
    pub fn receive(&self, packets: usize) {
        self.received.store(self.received.load(Relaxed) + packets as u64, Relaxed);
    }

    /// Counts packets that are handed on, likewise.
    pub fn count(&self, packets: usize) {
        self.packets.store(self.packets.load(Relaxed) + packets as u64, Relaxed);
    }

    /// Counts time for which others had the core although there was nothing to do, likewise.
    pub fn idle(&self, time: Duration) {
        self.idled.store(self.idled.load(Relaxed) + time.as_nanos() as u64, Relaxed);
    }

    /// Notes the processor time that its bricks have spent in other processes so far, likewise. One that was made anew begins at 0, and
    /// that is no step back.
    pub fn set_elsewhere(&self, time: Duration) {
        self.elsewhere.store(time.as_nanos() as u64, Relaxed);
    }

    /// Notes what the worker begins with; for the worker itself, likewise.
    pub fn begin(&self, at: At) {
        self.position.store(((self.position.load(Relaxed) >> 32) + 1) << 32 | at.code(), Relaxed);
    }

    /// A word that differs from step to step, and tells what the worker is [at](At::of).
    pub fn position(&self) -> u64 {
        self.position.load(Relaxed)
    }

    /// Counts a brick that was made anew.
    pub fn restarted(&self) {
        self.restarts.store(self.restarts.load(Relaxed) + 1, Relaxed);
    }

    /// Tells the size of the state where it was asked for: to find it out takes too long for every batch.
    pub fn measure(&self, size: impl FnOnce() -> u64) {
        if self.asked.load(Relaxed) {
            self.asked.store(false, Relaxed);
            self.state_bytes.store(size(), Relaxed);
        }
    }

    /// The size of the state when it was last told; asks for the next.
    pub fn state_bytes(&self) -> u64 {
        self.asked.store(true, Relaxed);
        self.state_bytes.load(Relaxed)
    }

    /// Tells the counters of its bricks, at first and where that was asked for. Who reads them meanwhile is not waited for.
    pub fn count_bricks(&self, counters: impl FnOnce() -> Vec<(usize, Counters)>) {
        if !self.are_counters_told.load(Relaxed)
            && let Ok(mut told) = self.counters.try_lock()
        {
            *told = counters();
            self.are_counters_told.store(true, Relaxed);
        }
    }

    /// The counters of its bricks when they were last told; asks for the next.
    pub fn counters(&self) -> Vec<(usize, Counters)> {
        let told = self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.are_counters_told.store(false, Relaxed);
        told
    }

    /// What it has done so far.
    pub fn done(&self, scheduling: &mut Scheduling) -> Done {
        let (here, queued) = self.times(scheduling);
        let computed = here + Duration::from_nanos(self.elsewhere.load(Relaxed));
        let [packets, received, batches, idled] =
            [&self.packets, &self.received, &self.batches, &self.idled].map(|count| count.load(Relaxed));
        Done { batches, received, packets, computed, queued, idled: Duration::from_nanos(idled) }
    }

    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Processor time of the thread, and the time it waited for a core; nothing where it is gone or the system does not
    /// tell.
    fn times(&self, scheduling: &mut Scheduling) -> (Duration, Duration) {
        match self.thread.load(Relaxed) {
            0 => Default::default(),
            thread => (processor_time(thread), scheduling.queued_time(thread)),
        }
    }
}

/// Where the scheduler tells of one thread, kept open: to open it takes longer than to read it.
#[derive(Debug, Default)]
pub(crate) struct Scheduling(Option<File>);

impl Scheduling {
    /// How long a thread that could run waited for a core, as the scheduler counts it.
    fn queued_time(&mut self, thread: i32) -> Duration {
        if self.0.is_none() {
            self.0 = File::open(format!("/proc/self/task/{thread}/schedstat")).ok();
        }
        let mut text = [0; 64];
        let length = self.0.as_ref().map_or(0, |file| file.read_at(&mut text, 0).unwrap_or(0));
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        let wait = text.split_whitespace().nth(1).and_then(|field| field.parse().ok());
        Duration::from_nanos(wait.unwrap_or(0))
    }
}

/// The clock of a thread's processor time has a number made of the thread's, in Linux and the C libraries on it.
fn processor_time(thread: i32) -> Duration {
    let clock = ClockId::from_raw((!thread << 3) | 6);
    let time = clock_gettime(clock).map_or(0, |time| time.num_nanoseconds());
    Duration::from_nanos(time.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_a_thread_grows_with_its_work() {
        let (stats, scheduling) = (Stats::default(), &mut Scheduling::default());
        assert_eq!(stats.times(scheduling), Default::default());
        stats.set_thread(nix::unistd::gettid().as_raw());
        let before = stats.times(scheduling).0;
        let sum: u64 = (0..20_000_000_u64).fold(0, |a, b| std::hint::black_box(a ^ b));
        std::hint::black_box(sum);
        assert!(stats.times(scheduling).0 > before);
        let early = stats.done(scheduling);
        stats.count(3);
        stats.count(4);
        stats.receive(9);
        stats.take_batch();
        stats.restarted();
        assert_eq!(stats.restarts(), 1);
        let since = stats.done(scheduling).since(&early);
        assert_eq!((since.batches, since.received, since.packets), (1, 9, 7));
        let times = |queued, idled| Done {
            queued: Duration::from_millis(queued),
            idled: Duration::from_millis(idled),
            ..Done::default()
        };
        stats.idle(Duration::from_millis(30));
        stats.idle(Duration::from_millis(10));
        assert_eq!(stats.done(scheduling).idled, Duration::from_millis(40));
        assert_eq!(times(70, 50).since(&times(20, 10)).starved(), Duration::from_millis(10));
        assert_eq!(times(70, 80).since(&times(20, 10)).starved(), Duration::ZERO);
        assert_eq!(At::of(stats.position()), At::Nothing);
        stats.begin(At::Brick(2));
        let first = stats.position();
        stats.begin(At::Brick(2));
        assert!(first != stats.position() && At::of(first) == At::of(stats.position()));
        stats.measure(|| 9);
        assert_eq!(stats.state_bytes(), 0);
        stats.measure(|| 9);
        stats.measure(|| 11);
        assert_eq!(stats.state_bytes(), 9);
    }
}
