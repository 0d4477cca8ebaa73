//! A load that rises, holds and falls in steps, from traffic in memory.

use super::lap::Track;
use legonf_core::{BATCH, Batch, Fault, Progress, Source, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the source sleeps where no packet is due.
const NAP: Duration = Duration::from_micros(200);

/// Packets a second, step after step of the same length.
#[derive(Clone, Debug)]
pub struct Load {
    /// Seconds of a step.
    pub seconds: f64,
    /// Packets a second of each step.
    pub rates: Vec<f64>,
}

impl Load {
    /// Packets that have come until `at` seconds.
    pub fn count(&self, at: f64) -> u64 {
        let part = |index: usize| (at - index as f64 * self.seconds).clamp(0.0, self.seconds);
        self.rates.iter().enumerate().map(|(index, rate)| rate * part(index)).sum::<f64>() as u64
    }

    /// Packets a second at `at` seconds.
    pub fn rate(&self, at: f64) -> f64 {
        self.rates.get((at / self.seconds) as usize).copied().unwrap_or(0.0)
    }

    /// Seconds at which packet `number` comes.
    pub fn due(&self, number: u64) -> f64 {
        let mut left = number as f64;
        for (index, rate) in self.rates.iter().enumerate() {
            let packets = rate * self.seconds;
            if left < packets {
                return index as f64 * self.seconds + left / rate;
            }
            left -= packets;
        }
        self.end()
    }

    /// Seconds of all steps.
    pub fn end(&self) -> f64 {
        self.seconds * self.rates.len() as f64
    }
}

/// Packets as they come by the clock, or at once. A batch that is not full is closed when its first packet has waited for some
/// time. What finds a ring full of others is lost, and counted.
pub struct Offer {
    load: Load,
    track: Arc<Track>,
    /// None where packets come as fast as they are taken.
    start: Option<Instant>,
    ring: u64,
    /// Seconds that a packet waits for others, at most.
    hold: f64,
    /// Packets that were given or lost.
    passed: u64,
    given: u64,
    end: u64,
    lost: Arc<AtomicU64>,
}

impl Offer {
    /// Packets by the clock that begins now, with room for `ring` that wait, each for `hold` seconds until its batch is closed.
    pub fn timed(load: Load, track: Arc<Track>, start: Instant, ring: u64, hold: f64) -> Self {
        let end = load.count(load.end());
        let (passed, given, lost) = (0, 0, Arc::default());
        Self { load, track, start: Some(start), ring, hold, passed, given, end, lost }
    }

    /// The same packets at once.
    pub fn at_once(load: Load, track: Arc<Track>) -> Self {
        Self { start: None, ..Self::timed(load, track, Instant::now(), 0, 0.0) }
    }

    /// Packets that were lost so far.
    pub fn lost(&self) -> Arc<AtomicU64> {
        self.lost.clone()
    }

    /// Packets that wait now, at least one, or none at the end.
    fn wait(&mut self) -> u64 {
        let Some(start) = self.start else { return self.end - self.passed };
        loop {
            let now = start.elapsed().as_secs_f64();
            let come = self.load.count(now).min(self.end);
            let waiting = come - self.passed.min(come);
            if waiting > self.ring {
                let lost = waiting - self.ring;
                self.passed += lost;
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
            let full = waiting >= BATCH as u64 || come >= self.end;
            if full || waiting > 0 && now >= self.load.due(self.passed) + self.hold {
                return waiting.min(self.ring);
            }
            std::thread::sleep(NAP);
        }
    }
}

impl Source for Offer {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let packets = self.wait().min(BATCH as u64);
        for _ in 0..packets {
            let (record, bytes) = self.track.packet(self.passed);
            // The time of a packet is when it is due, so that whoever sees it knows how late it is.
            let time = Timestamp::from_nanos((self.load.due(self.passed) * 1e9) as i64);
            batch.packets.push(self.given, time, record.wire_len, record.link, bytes);
            self.passed += 1;
            self.given += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.passed, total_bytes: Some(self.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_due_when_they_have_come() {
        let load = Load { seconds: 2.0, rates: vec![100.0, 50.0, 200.0] };
        assert_eq!((load.count(1.0), load.count(3.0), load.count(9.0), load.end()), (100, 250, 700, 6.0));
        assert_eq!((load.rate(0.5), load.rate(2.5), load.rate(7.0)), (100.0, 50.0, 0.0));
        for number in [0, 99, 200, 299, 300, 699] {
            assert!(
                load.count(load.due(number) + 1e-6) >= number
                    && load.count(load.due(number) - 1e-6) <= number
            );
        }
        assert_eq!(load.due(700), 6.0);
    }
}
