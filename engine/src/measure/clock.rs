//! The clocks of measurements: processor time, which other programs on the machine take no part of.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Processor time of this thread so far; none where the system has no such clock.
pub fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Processor time of all threads of this process so far; none where the system has no such clock.
pub fn process_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
