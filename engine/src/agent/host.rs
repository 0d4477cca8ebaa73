//! What the machine has left.

use legonf_core::HostLoad;
use std::fs;
use std::time::{Duration, Instant};
use sysinfo::System;

/// Ticks of a second in which Linux counts the time of cores for programs (USER_HZ), on every architecture that legonf runs on.
const TICKS: f64 = 100.0;

/// How old the figure for memory may be, which takes six files to find.
const MEMORY_EVERY: Duration = Duration::from_secs(1);

/// The machine, within the limits that this process runs under.
pub struct Host {
    /// None where the system does not tell.
    system: Option<System>,
    cores: f64,
    /// When it was looked at last, and what its cores had done by then, where the system tells.
    looked: (Instant, Option<Times>),
    /// When memory was looked at last, and how much was left.
    memory: Option<(Instant, u64)>,
}

impl Host {
    /// Looks at the machine for the first time.
    pub fn begin() -> Self {
        let looked = (Instant::now(), Times::now());
        Self { system: System::new().ok(), cores: cores() as f64, looked, memory: None }
    }

    /// Cores that this process may use.
    pub fn cores(&self) -> f64 {
        self.cores
    }

    /// Cores, how many of them were in use or taken by a hypervisor since the last look, and memory.
    pub fn sample(&mut self) -> HostLoad {
        let now = (Instant::now(), Times::now());
        let (before, times) = std::mem::replace(&mut self.looked, now);
        let seconds = now.0.duration_since(before).as_secs_f64().max(1e-9);
        let both = times.zip(now.1);
        let spent = |of: fn(&Times) -> f64| {
            both.map_or(0.0, |(before, now)| (of(&now) - of(&before)).max(0.0) / seconds)
        };
        let (used, stolen) = (spent(|times| times.used), spent(|times| times.stolen));
        let memory = match (&mut self.system, self.memory) {
            (_, Some((at, memory))) if now.0.duration_since(at) < MEMORY_EVERY => memory,
            (Some(system), _) => self.memory.insert((now.0, free_memory(system))).1,
            (None, _) => 0,
        };
        HostLoad { cores: self.cores, used, stolen, memory }
    }

    /// Whether the system tells what the cores have done.
    #[cfg(test)]
    pub(crate) fn tells_times(&self) -> bool {
        self.looked.1.is_some()
    }

    /// Looks at memory anew with the next sample: replicas have come or gone.
    pub fn forget_memory(&mut self) {
        self.memory = None;
    }
}

/// Cores that this process may use: its affinity, and the quota of its cgroup (v1 or v2).
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Bytes that are left, of the machine and within the limit of the cgroup.
fn free_memory(system: &mut System) -> u64 {
    system.refresh_memory();
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(limit)
}

/// What all cores have done since the system began, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    /// For programs and for the system.
    used: f64,
    /// For other machines: a hypervisor gave them cores that this one would have used.
    stolen: f64,
}

impl Times {
    fn now() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line has the ticks for programs (at two priorities), the system, idling, waiting for disks, interrupts of both
    /// kinds, and other machines.
    fn of(stat: &str) -> Option<Self> {
        let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = all.split_whitespace().map_while(|ticks| ticks.parse().ok()).collect();
        let &[user, nice, system, _, _, hard, soft, stolen, ..] = ticks.as_slice() else { return None };
        let seconds = |ticks: u64| ticks as f64 / TICKS;
        Some(Self { used: seconds(user + nice + system + hard + soft), stolen: seconds(stolen) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_cores_and_memory() {
        let load = Host::begin().sample();
        assert!(load.cores >= 1.0 && load.memory > 0 && load.used >= 0.0, "{load:?}");
        assert!(load.stolen >= 0.0 && load.stolen.is_finite(), "{load:?}");
    }

    #[test]
    fn times_of_all_cores_are_on_the_first_line() {
        let times = Times::of("cpu  100 2 30 4 5 6 7 1250 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
        assert_eq!(times, Some(Times { used: 1.45, stolen: 12.5 }));
        for stat in ["", "cpu  1 2 3", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3 4 5 6 7 x"] {
            assert_eq!(Times::of(stat), None, "{stat}");
        }
    }
}
