//! What the machine has left.

use legonf_core::HostLoad;
use sysinfo::System;

/// The machine, within the limits that this process runs under.
pub struct Host {
    /// None where the system does not tell.
    system: Option<System>,
    cores: f64,
}

impl Host {
    /// Looks at the machine for the first time.
    pub fn new() -> Self {
        let mut system = System::new().ok();
        system.iter_mut().for_each(System::refresh_cpu_usage);
        Self { system, cores: cores() as f64 }
    }

    /// Cores that this process may use.
    pub fn cores(&self) -> f64 {
        self.cores
    }

    /// Cores, how many of them are in use since the last look, and memory.
    pub fn sample(&mut self) -> HostLoad {
        let cores = self.cores;
        let Some(system) = &mut self.system else { return HostLoad { cores, ..HostLoad::default() } };
        system.refresh_cpu_usage();
        system.refresh_memory();
        let used = f64::from(system.global_cpu_usage()) / 100.0 * system.cpus().len() as f64;
        let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
        HostLoad { cores, used, memory: system.available_memory().min(limit) }
    }
}

/// Cores that this process may use: its affinity, and the quota of its cgroup (v1 or v2).
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_cores_and_memory() {
        let load = Host::new().sample();
        assert!(load.cores >= 1.0 && load.memory > 0 && load.used >= 0.0, "{load:?}");
    }
}
