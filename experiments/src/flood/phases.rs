//! A flood in two phases: the tables fill with fresh memory, then they are full and forget a stream for each new one.

use super::load::{Outcome, Sample};
use serde::Serialize;

/// Part of its last size from which on a state counts as full.
const FULL: f64 = 0.999;
/// Part of a run that must be left for a state to be full: one that grows to the end is not.
const LEFT: f64 = 0.05;

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Phase {
    pub packets: u64,
    /// From bytes to verdict, for each second of processor time.
    pub packets_per_second: f64,
    /// Through parser and extractor alone.
    pub extraction_packets_per_second: f64,
    /// Bytes by which the extractor's state grew.
    pub grown_bytes: u64,
    /// Pages of memory that were touched for the first time.
    pub page_faults: u64,
    /// Processor time of the system for a packet, which is that of those pages.
    pub system_ns_per_packet: f64,
}

/// The phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Phases {
    /// While the state grows.
    pub filling: Phase,
    /// Afterwards; none where the run ends before.
    pub full: Option<Phase>,
}

impl Phases {
    /// Divides a run; none where it was too short for samples.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        let samples = &outcome.samples;
        let last = samples.last()?;
        let full = samples.iter().position(|s| s.state_bytes as f64 >= FULL * last.state_bytes as f64)?;
        let left = last.packets.saturating_sub(samples[full].packets) as f64;
        // A table that has forgotten nothing was never full: the flood's sources came to an end.
        let forgets = outcome.evicted.values().any(|streams| *streams > 0);
        if !forgets || left < LEFT * last.packets as f64 {
            return Some(Self { filling: phase(outcome.start, samples), full: None });
        }
        let (filling, rest) = samples.split_at(full + 1);
        Some(Self { filling: phase(outcome.start, filling), full: Some(phase(filling[full], rest)) })
    }
}

/// What some samples say, of which the first follows on `before`.
fn phase(before: Sample, samples: &[Sample]) -> Phase {
    let last = samples.last().copied().unwrap_or(before);
    let packets = last.packets - before.packets;
    let rate = |seconds: f64| if seconds > 0.0 { packets as f64 / seconds } else { 0.0 };
    let system = last.system_seconds - before.system_seconds;
    Phase {
        packets,
        packets_per_second: rate(last.busy_seconds - before.busy_seconds),
        extraction_packets_per_second: rate(last.extraction_seconds - before.extraction_seconds),
        grown_bytes: last.state_bytes.saturating_sub(before.state_bytes),
        page_faults: last.page_faults.saturating_sub(before.page_faults),
        system_ns_per_packet: system * 1e9 / packets.max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample after so many packets, at a rate that halves where the state grows.
    fn sample(packets: u64, state_bytes: u64, busy_seconds: f64) -> Sample {
        Sample {
            packets,
            state_bytes,
            busy_seconds,
            extraction_seconds: busy_seconds / 4.0,
            resident_bytes: None,
            packets_per_second: 0.0,
            page_faults: state_bytes / 4096,
            system_seconds: state_bytes as f64 * 1e-9,
        }
    }

    fn phases(samples: Vec<Sample>, evicted: u64) -> Option<Phases> {
        let evicted = std::collections::BTreeMap::from([("evicted-H", evicted)]);
        Phases::of(&Outcome { start: sample(0, 0, 0.0), samples, evicted, ..Outcome::default() })
    }

    #[test]
    fn a_run_fills_and_is_full() {
        let samples = vec![
            sample(100, 4096, 1.0),
            sample(200, 8192, 2.0),
            sample(300, 8192, 2.5),
            sample(400, 8192, 3.0),
        ];
        let Phases { filling, full } = phases(samples, 7).unwrap();
        assert_eq!((filling.packets, filling.packets_per_second, filling.grown_bytes), (200, 100.0, 8192));
        assert_eq!(filling.extraction_packets_per_second, 400.0);
        assert_eq!((filling.page_faults, filling.system_ns_per_packet), (2, 40.96));
        let full = full.unwrap();
        assert_eq!(
            (full.packets, full.packets_per_second, full.grown_bytes, full.page_faults),
            (200, 200.0, 0, 0)
        );
    }

    #[test]
    fn a_run_that_forgets_nothing_was_never_full() {
        let samples = vec![sample(100, 8192, 1.0), sample(200, 8192, 2.0), sample(300, 8192, 2.5)];
        assert_eq!(phases(samples, 0).unwrap().full, None);
    }

    #[test]
    fn a_run_that_grows_to_its_end_is_not_full() {
        let growing = (1..=10).map(|i| sample(i * 10, i * 100_000, i as f64)).collect();
        let phases = phases(growing, 7).unwrap();
        assert_eq!((phases.filling.packets, phases.full), (100, None));
        assert_eq!(self::phases(Vec::new(), 0), None);
    }
}
