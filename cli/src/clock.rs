//! The one clock of measurements.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Processor time of this thread so far, which other programs on the machine take no part of; none where the system
/// has no such clock.
pub fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
