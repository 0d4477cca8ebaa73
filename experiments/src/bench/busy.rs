//! Whether the machine had other things to do while something was measured.

use legonf_engine::agent::Host;
use legonf_engine::measure::process_time;
use std::time::{Duration, Instant};

/// Cores that other programs, or a hypervisor, may have used before it is said.
const CORES: f64 = 0.1;
/// How many times as long as the fastest the median sample may take before it is said.
const SPREAD: f64 = 1.2;

/// The machine when a measurement began.
pub struct Watch {
    host: Host,
    start: (Instant, Duration),
}

impl Watch {
    /// Begins.
    pub fn begin() -> Self {
        Self { host: Host::begin(), start: (Instant::now(), process_time()) }
    }

    /// What kept the machine busy since the begin, in words, if anything did: other programs and a hypervisor, and how
    /// unlike samples of one rate are where there are some.
    pub fn busy(&mut self, spread: Option<f64>) -> Option<String> {
        let seconds = self.start.0.elapsed().as_secs_f64().max(1e-9);
        let own = process_time().saturating_sub(self.start.1).as_secs_f64() / seconds;
        let load = self.host.sample();
        words(load.cores, (load.used - own).max(0.0), load.stolen, spread)
    }
}

/// The words for so many cores used by others, cores taken, and the spread of samples.
fn words(cores: f64, others: f64, stolen: f64, spread: Option<f64>) -> Option<String> {
    let mut reasons = Vec::new();
    if others > CORES {
        reasons.push(format!("other programs used {others:.1} of {cores:.0} cores"));
    }
    if stolen > CORES {
        reasons.push(format!("a hypervisor took {stolen:.1}"));
    }
    if let Some(spread) = spread.filter(|spread| *spread > SPREAD) {
        reasons.push(format!(
            "half of the samples of the core's peak rate were {spread:.1} times slower than the fastest"
        ));
    }
    let reasons = reasons.join(", ");
    (!reasons.is_empty())
        .then(|| format!("the machine is busy: {reasons}; it may be faster than is said here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keeps_a_machine_busy_is_said() {
        assert_eq!(words(2.0, 0.05, 0.0, Some(1.05)), None);
        let all = words(2.0, 1.25, 0.2, Some(1.5)).unwrap();
        assert!(
            all.starts_with(
                "the machine is busy: other programs used 1.2 of 2 cores, a hypervisor took 0.2, half of"
            ),
            "{all}"
        );
        assert!(words(2.0, 0.0, 0.0, Some(3.0)).unwrap().contains("3.0 times slower"));
        assert!(words(2.0, 0.0, 0.5, None).unwrap().contains("a hypervisor took 0.5"));
    }
}
