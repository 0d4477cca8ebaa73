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
    /// When it was looked at last, and the seconds of cores that a hypervisor had taken by then.
    looked: (Instant, f64),
    /// When memory was looked at last, and how much was left.
    memory: Option<(Instant, u64)>,
}

impl Host {
    /// Looks at the machine for the first time.
    pub fn new() -> Self {
        let mut system = System::new().ok();
        system.iter_mut().for_each(System::refresh_cpu_usage);
        Self { system, cores: cores() as f64, looked: (Instant::now(), stolen()), memory: None }
    }

    /// Cores that this process may use.
    pub fn cores(&self) -> f64 {
        self.cores
    }

    /// Cores, how many of them are in use since the last look or were taken by a hypervisor, and memory.
    pub fn sample(&mut self) -> HostLoad {
        let (cores, now) = (self.cores, (Instant::now(), stolen()));
        let (before, taken) = std::mem::replace(&mut self.looked, now);
        let stolen = (now.1 - taken).max(0.0) / now.0.duration_since(before).as_secs_f64().max(1e-9);
        let Some(system) = &mut self.system else {
            return HostLoad { cores, stolen, ..HostLoad::default() };
        };
        system.refresh_cpu_usage();
        let used = f64::from(system.global_cpu_usage()) / 100.0 * system.cpus().len() as f64;
        let memory = match self.memory.filter(|(at, _)| now.0.duration_since(*at) < MEMORY_EVERY) {
            Some((_, memory)) => memory,
            None => self.memory.insert((now.0, free_memory(system))).1,
        };
        HostLoad { cores, used, stolen, memory }
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

/// Seconds of all cores that a hypervisor has given to others since the system began; 0 where it does not tell.
fn stolen() -> f64 {
    fs::read_to_string("/proc/stat").map_or(0.0, |text| steal(&text))
}

/// Steal time of all cores, in seconds: the eighth number of the first line.
fn steal(stat: &str) -> f64 {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let ticks = all.and_then(|all| all.split_whitespace().nth(7)).and_then(|ticks| ticks.parse::<u64>().ok());
    ticks.unwrap_or(0) as f64 / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_cores_and_memory() {
        let load = Host::new().sample();
        assert!(load.cores >= 1.0 && load.memory > 0 && load.used >= 0.0, "{load:?}");
        assert!(load.stolen >= 0.0 && load.stolen.is_finite(), "{load:?}");
    }

    #[test]
    fn steal_time_is_the_eighth_number_of_all_cores() {
        assert_eq!(steal("cpu  100 2 30 4 5 6 7 1250 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"), 12.5);
        for stat in ["", "cpu  1 2 3", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3 4 5 6 7 x"] {
            assert_eq!(steal(stat), 0.0, "{stat}");
        }
    }
}
