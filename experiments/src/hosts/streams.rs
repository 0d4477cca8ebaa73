//! Packets of many streams: first one of each, then some of all of them by the clock.

use legonf_core::{Arrivals, BATCH, Batch, Fault, LinkType, Pace, Progress, Source, Timestamp, gather};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the source sleeps where no packet is due.
const NAP: Duration = Duration::from_micros(200);
/// How long a packet waits for others in its batch.
const HOLD: Duration = Duration::from_millis(1);
/// Packet time between two packets that come at once, in nanoseconds.
const APART: i64 = 1000;
/// A prime above any number of streams, by which they come in an order that is none of their addresses.
const STRIDE: u64 = 4_294_967_291;
/// Sockets of a pair of hosts, and pairs of a source.
pub(super) const SOCKETS: u64 = 16;
pub(super) const PAIRS: u64 = 8;

/// How many packets come, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Streams, each of which begins with a packet; these come at once.
    pub streams: u64,
    /// Packets behind these that come at once, too: they show what is carried.
    pub at_once: u64,
    /// Packets a second from then on.
    pub rate: f64,
}

impl Load {
    /// The first packet that comes by the clock.
    pub fn first_timed(&self) -> u64 {
        self.streams + self.at_once
    }

    /// Seconds by the clock at which such a packet is due.
    pub fn due(&self, number: u64) -> f64 {
        (number - self.first_timed()) as f64 / self.rate
    }

    fn time(&self, number: u64) -> Timestamp {
        let at_once = number.min(self.first_timed()) as i64 * APART;
        let by_clock = if number > self.first_timed() { self.due(number) * 1e9 } else { 0.0 };
        Timestamp::from_nanos(at_once + by_clock as i64)
    }
}

/// What the source, the sink and the control of a run know together.
#[derive(Default)]
pub(super) struct Run {
    /// When the clock began to run.
    pub start: OnceLock<Instant>,
    /// Packets that the sink has taken.
    pub done: AtomicU64,
    /// Whether no further packet comes.
    pub over: AtomicBool,
    /// Nanoseconds that the packets took which came at once behind the first of each stream.
    pub at_once: AtomicU64,
}

impl Run {
    /// Seconds by the clock; nothing before it runs.
    pub fn now(&self) -> Option<f64> {
        self.start.get().map(|start| start.elapsed().as_secs_f64())
    }
}

/// The source.
pub(super) struct Streams {
    load: Load,
    run: Arc<Run>,
    /// The number of packets, where no clock runs.
    end: Option<u64>,
    given: u64,
    full: usize,
    /// When packets began to come that show what is carried.
    began: Option<Instant>,
    frame: [u8; FRAME.len()],
}

/// Ethernet, IPv4, UDP, and 18 bytes: the shortest frame.
const FRAME: [u8; 60] = {
    let mut frame = [0; 60];
    frame[5] = 1;
    frame[11] = 2;
    // IPv4 of 46 bytes, with a time to live of 64.
    frame[12] = 8;
    frame[14] = 0x45;
    frame[17] = 46;
    frame[22] = 64;
    frame[23] = 17;
    // To port 53; UDP of 26 bytes.
    frame[37] = 53;
    frame[39] = 26;
    frame
};

impl Streams {
    /// Packets until the run is over.
    pub fn timed(load: Load, run: Arc<Run>) -> Self {
        Self { load, run, end: None, given: 0, full: BATCH, began: None, frame: FRAME }
    }

    /// The first so many packets, as fast as they are taken.
    pub fn at_once(load: Load, packets: u64) -> Self {
        Self { end: Some(packets), ..Self::timed(load, Arc::default()) }
    }

    /// Packets that were given.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Packets for the next batch; none at the end.
    fn wait(&mut self) -> u64 {
        let (full, Load { streams, .. }) = (self.full as u64, self.load);
        if let Some(end) = self.end {
            return full.min(end - self.given);
        }
        if self.given < streams {
            return full.min(streams - self.given);
        }
        let first_timed = self.load.first_timed();
        if self.given < first_timed {
            let waited = self.began.is_some() || self.drain();
            self.began = self.began.or_else(|| Some(Instant::now()));
            return if waited { full.min(first_timed - self.given) } else { 0 };
        }
        if self.run.start.get().is_none() {
            if !self.drain() {
                return 0;
            }
            let took = self.began.map_or(Duration::ZERO, |began| began.elapsed());
            self.run.at_once.store(took.as_nanos() as u64, Relaxed);
            self.run.start.get_or_init(Instant::now);
        }
        gather(self, full as usize, HOLD) as u64
    }

    /// Waits until the sink has all packets so far; `false` if the run is over before.
    fn drain(&self) -> bool {
        while self.run.done.load(Acquire) < self.given && !self.run.over.load(Relaxed) {
            sleep(NAP);
        }
        !self.run.over.load(Relaxed)
    }

    fn push(&mut self, batch: &mut Batch) {
        let stream = (u128::from(self.given) * u128::from(STRIDE) % u128::from(self.load.streams)) as u64;
        let [socket, pair, source] =
            [stream % SOCKETS, stream / SOCKETS % PAIRS, stream / (SOCKETS * PAIRS)].map(|part| part as u32);
        self.frame[26..30].copy_from_slice(&(0x0a00_0000 + source).to_be_bytes());
        self.frame[30..34].copy_from_slice(&(0xc0a8_0000 + pair).to_be_bytes());
        self.frame[34..36].copy_from_slice(&(1024 + socket as u16).to_be_bytes());
        let time = self.load.time(self.given);
        batch.packets.push(self.given, time, FRAME.len() as u32, LinkType::Ethernet, &self.frame);
        self.given += 1;
    }
}

impl Arrivals for Streams {
    fn present(&mut self) -> usize {
        let come = self.load.first_timed() + (self.run.now().unwrap_or(0.0) * self.load.rate) as u64;
        come.saturating_sub(self.given).min(self.full as u64) as usize
    }

    fn waited(&mut self) -> Duration {
        let late = self.run.now().unwrap_or(0.0) - self.load.due(self.given);
        Duration::try_from_secs_f64(late).unwrap_or_default()
    }

    fn rest(&mut self, _: Duration) -> bool {
        let goes_on = !self.run.over.load(Relaxed);
        if goes_on {
            sleep(NAP);
        }
        goes_on
    }
}

impl Source for Streams {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let packets = if self.run.over.load(Relaxed) { 0 } else { self.wait() };
        (0..packets).for_each(|_| self.push(batch));
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.given, total_bytes: self.end }
    }

    fn pace(&mut self, pace: Pace) {
        self.full = pace.full;
    }
}

impl Run {
    /// Counts packets that the sink has taken.
    pub fn took(&self, packets: u64) {
        self.done.fetch_add(packets, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_stream_comes_once_and_then_again() {
        let load = Load { streams: 1000, at_once: 24, rate: 100.0 };
        let mut source = Streams::at_once(load, 1100);
        let (mut frames, mut times) = (Vec::new(), Vec::new());
        loop {
            let mut batch = Batch::default();
            source.fill(&mut batch).unwrap();
            if batch.packets.is_empty() {
                break;
            }
            frames.extend(batch.packets.iter().map(|(_, bytes)| bytes.to_vec()));
            times.extend(batch.packets.iter().map(|(record, _)| record.timestamp.as_nanos()));
        }
        assert_eq!((source.given(), frames.len()), (1100, 1100));
        assert_eq!(frames[..1000].iter().collect::<BTreeSet<_>>().len(), 1000);
        assert_eq!(frames[..100], frames[1000..]);
        assert_eq!((times[1023], times[1024], times[1025]), (1_023_000, 1_024_000, 11_024_000));
    }
}
