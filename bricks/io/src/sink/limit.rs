//! How many alerts are written: a flood of them must not cost the run, nor hide in its own noise.

use legonf_core::{Headers, Mac, Timestamp};
use std::collections::HashMap;
use std::net::IpAddr;

/// Alerts a second of packet time that are written; the others are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRate {
    /// Of one source address, at most; 0 for all.
    pub per_source: u32,
    /// Of all sources together, at most; 0 for all.
    pub per_second: u32,
}

impl Default for AlertRate {
    /// 5 of a source and 10 in all.
    fn default() -> Self {
        Self { per_source: 5, per_second: 10 }
    }
}

impl AlertRate {
    /// Every alert.
    pub const ALL: Self = Self { per_source: 0, per_second: 0 };
}

/// Sources a second that are told apart, at most: alerts of further ones are not written, and counted together.
const SOURCES: usize = 4096;
/// Sources that a record of left-out alerts names, at most.
const NAMED: usize = 10;
/// A packet that is earlier than others by less than this many seconds belongs to their second; behind a longer step of the
/// clock a new one begins.
const LATE: i64 = 60;

/// Whom an alert is about: the source of the outermost network layer, or of the link where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Origin {
    Ip(IpAddr),
    Mac(Mac),
    Unknown,
}

impl Origin {
    fn of(headers: &Headers) -> Self {
        let mac = headers.link.map_or(Self::Unknown, |link| Self::Mac(link.src));
        headers.outer.src.map_or(mac, Self::Ip)
    }
}

/// Alerts of one second that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Times of the first and the last of them.
    pub first: Timestamp,
    pub last: Timestamp,
    pub alerts: u64,
    /// Those with most, the most first; of equal ones by address.
    pub sources: Vec<(Origin, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    written: u32,
    left_out: u64,
}

/// Says of each alert whether it is written. What it says follows from the packets alone, in their order.
#[derive(Debug)]
pub(super) struct AlertLimit {
    rate: AlertRate,
    second: i64,
    written: u32,
    sources: HashMap<Origin, Count>,
    /// What was left out in this second: the first and the last time, and how many.
    span: Option<(Timestamp, Timestamp)>,
    left_out: u64,
    /// In all.
    suppressed: u64,
}

impl AlertLimit {
    pub fn new(rate: AlertRate) -> Self {
        let sources = HashMap::with_capacity(SOURCES);
        Self { rate, second: i64::MIN, written: 0, sources, span: None, left_out: 0, suppressed: 0 }
    }

    /// Alerts that were left out so far.
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Whether an alert is the first of another second; what was left out in the one before is to be [taken](Self::take) first.
    pub fn begins(&self, time: Timestamp) -> bool {
        let second = second(time);
        second > self.second || self.second.saturating_sub(second) >= LATE
    }

    /// Whether an alert is written.
    pub fn admit(&mut self, headers: &Headers, time: Timestamp) -> bool {
        if self.begins(time) {
            (self.second, self.written) = (second(time), 0);
            self.sources.clear();
        }
        let room = self.rate.per_second == 0 || self.written < self.rate.per_second;
        let origin = Origin::of(headers);
        let known = self.sources.len() < SOURCES || self.sources.contains_key(&origin);
        let Some(count) = known.then(|| self.sources.entry(origin).or_default()) else {
            self.leave_out(time);
            return false;
        };
        if room && (self.rate.per_source == 0 || count.written < self.rate.per_source) {
            count.written += 1;
            self.written += 1;
            return true;
        }
        count.left_out += 1;
        self.leave_out(time);
        false
    }

    fn leave_out(&mut self, time: Timestamp) {
        self.left_out += 1;
        self.suppressed += 1;
        self.span = Some((self.span.map_or(time, |(first, _)| first), time));
    }

    /// What was left out in this second, if anything was; it is told once.
    pub fn take(&mut self) -> Option<LeftOut> {
        let (first, last) = self.span.take()?;
        let alerts = std::mem::take(&mut self.left_out);
        let left_out = self.sources.iter().filter(|(_, count)| count.left_out > 0);
        let mut sources: Vec<_> = left_out.map(|(origin, count)| (*origin, count.left_out)).collect();
        sources.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        sources.truncate(NAMED);
        Some(LeftOut { first, last, alerts, sources })
    }
}

fn second(time: Timestamp) -> i64 {
    time.as_nanos().div_euclid(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Layer;

    fn from(source: u32) -> Headers {
        let src = Some(IpAddr::from(source.to_be_bytes()));
        Headers { outer: Layer { src, ..Layer::default() }, ..Headers::default() }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_nanos(milliseconds * 1_000_000)
    }

    /// How many of some alerts, of these sources at these milliseconds, are written.
    fn written(limit: &mut AlertLimit, alerts: impl IntoIterator<Item = (u32, i64)>) -> usize {
        alerts.into_iter().filter(|(source, time)| limit.admit(&from(*source), at(*time))).count()
    }

    #[test]
    fn each_source_and_all_have_their_bound_in_each_second() {
        let mut limit = AlertLimit::new(AlertRate { per_source: 3, per_second: 7 });
        assert_eq!(written(&mut limit, (0..10).map(|i| (1, i))), 3);
        assert_eq!(written(&mut limit, (0..10).map(|i| (2, 500 + i))), 3);
        assert_eq!(written(&mut limit, (0..10).map(|i| (3, 900 + i))), 1);
        assert_eq!(limit.suppressed(), 23);
        assert!(!limit.begins(at(999)) && limit.begins(at(1000)));
        let ip = |source: u32| Origin::Ip(IpAddr::from(source.to_be_bytes()));
        let expected = LeftOut {
            first: at(3),
            last: at(909),
            alerts: 23,
            sources: vec![(ip(3), 9), (ip(1), 7), (ip(2), 7)],
        };
        assert_eq!((limit.take(), limit.take()), (Some(expected), None));
        assert_eq!(written(&mut limit, [(1, 1000), (1, 1001)]), 2);
        assert_eq!((limit.take(), limit.suppressed()), (None, 23));
    }

    #[test]
    fn zero_is_no_bound() {
        let mut limit = AlertLimit::new(AlertRate::ALL);
        assert_eq!(written(&mut limit, (0..4000).map(|i| (i % 7, 5))), 4000);
        let mut limit = AlertLimit::new(AlertRate { per_second: 0, ..AlertRate::default() });
        assert_eq!(written(&mut limit, (0..4000).map(|i| (i, 5))), 4000);
    }

    #[test]
    fn a_clock_that_steps_back_opens_no_gate_and_closes_none() {
        let mut limit = AlertLimit::new(AlertRate { per_source: 1, per_second: 9 });
        assert_eq!(written(&mut limit, [(1, 100_000), (1, 99_000), (1, 41_000), (1, 100_500)]), 1);
        // One packet from far ahead, and back: each is another second.
        assert_eq!(written(&mut limit, [(1, 4_000_000_000), (1, 100_900), (1, 100_950), (1, 101_000)]), 3);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost_from_the_count() {
        let mut limit = AlertLimit::new(AlertRate { per_source: 1, per_second: 0 });
        let room = limit.sources.capacity();
        assert_eq!(written(&mut limit, (0..100_000).map(|i| (i, 7))), SOURCES);
        assert_eq!((limit.sources.capacity(), limit.suppressed()), (room, 100_000 - SOURCES as u64));
        let left_out = limit.take().unwrap();
        assert_eq!((left_out.alerts, left_out.sources.len()), (100_000 - SOURCES as u64, 0));
        assert_eq!(written(&mut limit, (0..100_000).map(|i| (i % 5000, 1007))), SOURCES);
        let left_out = limit.take().unwrap();
        assert_eq!((left_out.alerts, left_out.sources.len()), (100_000 - SOURCES as u64, NAMED));
    }

    #[test]
    fn a_packet_without_an_address_is_known_by_its_link() {
        let mut limit = AlertLimit::new(AlertRate { per_source: 1, per_second: 9 });
        let link = |low| Some(legonf_core::Link { src: Mac([2, 0, 0, 0, 0, low]), ..Default::default() });
        for (link, expected) in
            [(link(1), true), (link(2), true), (link(1), false), (None, true), (None, false)]
        {
            assert_eq!(limit.admit(&Headers { link, ..Headers::default() }, at(0)), expected);
        }
    }
}
