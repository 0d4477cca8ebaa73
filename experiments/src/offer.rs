//! A load that rises, holds and falls in steps, from traffic in memory.

use crate::lap::Track;
use legonf_core::{Arrivals, BATCH, Batch, Fault, Pace, Progress, Source, Timestamp, gather};
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
    /// How long a packet waits for others, at most.
    hold: Duration,
    /// Packets of a full batch.
    full: usize,
    /// Packets that were given or lost.
    passed: u64,
    given: u64,
    end: u64,
    lost: Arc<AtomicU64>,
}

impl Offer {
    /// Packets by the clock that begins now, with room for `ring` that wait, each for `hold` until its batch is closed.
    pub fn timed(load: Load, track: Arc<Track>, start: Instant, ring: u64, hold: Duration) -> Self {
        let end = load.count(load.end());
        let (passed, given, lost) = (0, 0, Arc::default());
        Self { load, track, start: Some(start), ring, hold, full: BATCH, passed, given, end, lost }
    }

    /// The same packets at once.
    pub fn at_once(load: Load, track: Arc<Track>) -> Self {
        Self { start: None, ..Self::timed(load, track, Instant::now(), 0, Duration::ZERO) }
    }

    /// Packets that were lost so far.
    pub fn lost(&self) -> Arc<AtomicU64> {
        self.lost.clone()
    }

    /// Packets for the next batch, at least one, or none at the end.
    fn wait(&mut self) -> u64 {
        let (all, full, hold) = (self.end - self.passed, self.full, self.hold);
        if self.start.is_some() { gather(self, full, hold) as u64 } else { all.min(full as u64) }
    }

    /// Seconds by the clock of the load.
    fn now(&self) -> f64 {
        self.start.map_or(0.0, |start| start.elapsed().as_secs_f64())
    }
}

impl Arrivals for Offer {
    fn present(&mut self) -> usize {
        let come = self.load.count(self.now()).min(self.end);
        let waiting = come.saturating_sub(self.passed);
        let lost = waiting.saturating_sub(self.ring);
        self.passed += lost;
        self.lost.fetch_add(lost, Ordering::Relaxed);
        (waiting - lost).min(self.full as u64) as usize
    }

    fn waited(&mut self) -> Duration {
        Duration::try_from_secs_f64(self.now() - self.load.due(self.passed)).unwrap_or_default()
    }

    fn rest(&mut self, _: Duration) -> bool {
        let goes_on = self.load.count(self.now()) < self.end;
        if goes_on {
            std::thread::sleep(NAP);
        }
        goes_on
    }
}

impl Source for Offer {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        for _ in 0..self.wait() {
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

    fn pace(&mut self, pace: Pace) {
        (self.full, self.hold) = (pace.full, pace.patience.unwrap_or(self.hold));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_datasets::generate;

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

    #[test]
    fn a_batch_is_closed_when_it_is_full_or_by_the_deadline_told_last() {
        let config = generate::Config { packets: 1000, ..generate::Config::default() };
        let track = Arc::new(Track::generate(config).unwrap());
        // A packet every 25 ms. Without a deadline they would come out together, when the load is over.
        let load = Load { seconds: 0.5, rates: vec![40.0] };
        let sizes = |patience: Duration, full: usize| {
            let mut source =
                Offer::timed(load.clone(), track.clone(), Instant::now(), 1000, Duration::from_secs(3600));
            source.pace(Pace { full, patience: Some(patience) });
            let (mut sizes, mut batch) = (Vec::new(), Batch::default());
            while sizes.last() != Some(&0) {
                batch.clear();
                source.fill(&mut batch).unwrap();
                sizes.push(batch.packets.len());
            }
            assert_eq!(sizes.iter().sum::<usize>(), 20);
            sizes
        };
        let hour = Duration::from_secs(3600);
        assert_eq!(sizes(hour, BATCH), [20, 0]);
        assert_eq!(sizes(hour, 8), [8, 8, 4, 0]);
        assert!(sizes(Duration::ZERO, BATCH).len() > 2);
    }
}
