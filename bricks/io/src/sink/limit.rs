//! Which alerts are written: people want to know of an incident, and a flood of alerts must not cost the run.

use legonf_core::{Headers, Notice, Origin, Timestamp};
use std::collections::HashMap;
use std::time::Duration;

/// Alerts that are written; the others are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRate {
    /// Of one source.
    pub per_source: PerSource,
    /// Of all sources together, at most so many a second of packet time; 0 for all.
    pub per_second: u32,
}

/// Which alerts of a source are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerSource {
    /// All.
    All,
    /// The first of each incident.
    First,
    /// The first of each incident, and each whose score is at least twice that of those written before.
    Peak,
    /// So many, at most, in each span of this length (of packet time, from the epoch on).
    Rate {
        /// How many.
        alerts: u32,
        /// How long.
        span: Duration,
    },
}

impl Default for AlertRate {
    /// First and peak of a source's incidents, and 10 a second in all.
    fn default() -> Self {
        Self { per_source: PerSource::Peak, per_second: 10 }
    }
}

impl AlertRate {
    /// Every alert.
    pub const ALL: Self = Self { per_source: PerSource::All, per_second: 0 };

    /// Nanoseconds of the spans in which sources are told apart.
    fn span(&self) -> i64 {
        let span = match self.per_source {
            PerSource::Rate { span, .. } => i64::try_from(span.as_nanos()).unwrap_or(i64::MAX),
            _ => SECOND,
        };
        span.max(1)
    }
}

const SECOND: i64 = 1_000_000_000;
/// Sources in a span that are told apart, at most: alerts of further ones are not written, and counted together.
const SOURCES: usize = 4096;
/// Sources that a record of held-back alerts names, at most.
const NAMED: usize = 10;
/// A packet that is earlier than others by less than this many nanoseconds belongs to their span; behind a longer step of the
/// clock a new one begins.
const LATE: i64 = 60 * SECOND;

/// Alerts of one span that were held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldBack {
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
    held_back: u64,
}

/// Says of each alert whether it is written. What it says follows from the packets alone, in their order.
#[derive(Debug)]
pub(super) struct AlertLimit {
    rate: AlertRate,
    /// The span, and the second, by number.
    span: Option<i64>,
    second: Option<i64>,
    /// In the second.
    written: u32,
    sources: HashMap<Origin, Count>,
    /// What was held back in this span: the first and the last time, and how many.
    times: Option<(Timestamp, Timestamp)>,
    in_span: u64,
    /// In all.
    total: u64,
}

impl AlertLimit {
    pub fn new(rate: AlertRate) -> Self {
        let sources = HashMap::with_capacity(SOURCES);
        Self { rate, span: None, second: None, written: 0, sources, times: None, in_span: 0, total: 0 }
    }

    /// Alerts that were held back so far.
    pub fn held_back(&self) -> u64 {
        self.total
    }

    /// Whether an alert is the first of another span; what was held back in the one before is to be [taken](Self::take) first.
    pub fn begins(&self, time: Timestamp) -> bool {
        is_new(self.span, time, self.rate.span())
    }

    /// Whether an alert is written, by what it is to its incident.
    pub fn admit(&mut self, headers: &Headers, time: Timestamp, notice: Notice) -> bool {
        if self.begins(time) {
            self.span = Some(number(time, self.rate.span()));
            self.sources.clear();
        }
        if is_new(self.second, time, SECOND) {
            (self.second, self.written) = (Some(number(time, SECOND)), 0);
        }
        let room = self.rate.per_second == 0 || self.written < self.rate.per_second;
        let origin = Origin::of(headers);
        let known = self.sources.len() < SOURCES || self.sources.contains_key(&origin);
        let Some(count) = known.then(|| self.sources.entry(origin).or_default()) else {
            self.hold_back(time);
            return false;
        };
        let wanted = match self.rate.per_source {
            PerSource::All => true,
            PerSource::First => notice == Notice::First,
            PerSource::Peak => matches!(notice, Notice::First | Notice::Higher),
            PerSource::Rate { alerts, .. } => count.written < alerts,
        };
        if room && wanted {
            count.written += 1;
            self.written += 1;
            return true;
        }
        count.held_back += 1;
        self.hold_back(time);
        false
    }

    fn hold_back(&mut self, time: Timestamp) {
        self.in_span += 1;
        self.total += 1;
        self.times = Some((self.times.map_or(time, |(first, _)| first), time));
    }

    /// What was held back in this span, if anything was; it is told once.
    pub fn take(&mut self) -> Option<HeldBack> {
        let (first, last) = self.times.take()?;
        let alerts = std::mem::take(&mut self.in_span);
        let held_back = self.sources.iter().filter(|(_, count)| count.held_back > 0);
        let mut sources: Vec<_> = held_back.map(|(origin, count)| (*origin, count.held_back)).collect();
        sources.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        sources.truncate(NAMED);
        Some(HeldBack { first, last, alerts, sources })
    }
}

fn number(time: Timestamp, span: i64) -> i64 {
    time.as_nanos().div_euclid(span)
}

/// Whether a time belongs to another span than the last one.
fn is_new(last: Option<i64>, time: Timestamp, span: i64) -> bool {
    let now = number(time, span);
    last.is_none_or(|last| now > last || last.saturating_sub(now).saturating_mul(span) >= LATE.max(span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Layer, Mac};
    use std::net::IpAddr;

    fn from(source: u32) -> Headers {
        let src = Some(IpAddr::from(source.to_be_bytes()));
        Headers { outer: Layer { src, ..Layer::default() }, ..Headers::default() }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_nanos(milliseconds * 1_000_000)
    }

    fn rate(alerts: u32, per_second: u32) -> AlertRate {
        AlertRate { per_source: PerSource::Rate { alerts, span: Duration::from_secs(1) }, per_second }
    }

    #[test]
    fn alerts_are_written_by_what_they_are_to_their_incident() {
        use Notice::{First, Further, Higher};
        let written = |per_source| {
            let mut limit = AlertLimit::new(AlertRate { per_source, per_second: 0 });
            [First, Further, Higher, Further].map(|notice| limit.admit(&from(1), at(0), notice))
        };
        assert_eq!(written(PerSource::First), [true, false, false, false]);
        assert_eq!(written(PerSource::Peak), [true, false, true, false]);
        assert_eq!(written(PerSource::All), [true; 4]);
    }

    #[test]
    fn a_rate_may_be_of_minutes_while_all_sources_are_bounded_by_the_second() {
        let span = Duration::from_secs(600);
        let mut limit =
            AlertLimit::new(AlertRate { per_source: PerSource::Rate { alerts: 2, span }, per_second: 3 });
        assert_eq!(written(&mut limit, (0..600).map(|second| (1, second * 1000))), 2);
        assert!(!limit.begins(at(599_999)) && limit.begins(at(600_000)));
        assert_eq!(limit.take().map(|held_back| held_back.alerts), Some(598));
        assert_eq!(written(&mut limit, (0..50).map(|source| (source, 600_000))), 3);
        assert_eq!(written(&mut limit, (0..50).map(|source| (source, 601_000))), 3);
    }

    /// How many of some alerts, of these sources at these milliseconds, are written.
    fn written(limit: &mut AlertLimit, alerts: impl IntoIterator<Item = (u32, i64)>) -> usize {
        alerts
            .into_iter()
            .filter(|(source, time)| limit.admit(&from(*source), at(*time), Notice::Further))
            .count()
    }

    #[test]
    fn each_source_and_all_have_their_bound_in_each_second() {
        let mut limit = AlertLimit::new(rate(3, 7));
        assert_eq!(written(&mut limit, (0..10).map(|i| (1, i))), 3);
        assert_eq!(written(&mut limit, (0..10).map(|i| (2, 500 + i))), 3);
        assert_eq!(written(&mut limit, (0..10).map(|i| (3, 900 + i))), 1);
        assert_eq!(limit.held_back(), 23);
        assert!(!limit.begins(at(999)) && limit.begins(at(1000)));
        let ip = |source: u32| Origin::Ip(IpAddr::from(source.to_be_bytes()));
        let expected = HeldBack {
            first: at(3),
            last: at(909),
            alerts: 23,
            sources: vec![(ip(3), 9), (ip(1), 7), (ip(2), 7)],
        };
        assert_eq!((limit.take(), limit.take()), (Some(expected), None));
        assert_eq!(written(&mut limit, [(1, 1000), (1, 1001)]), 2);
        assert_eq!((limit.take(), limit.held_back()), (None, 23));
    }

    #[test]
    fn zero_is_no_bound() {
        let mut limit = AlertLimit::new(AlertRate::ALL);
        assert_eq!(written(&mut limit, (0..4000).map(|i| (i % 7, 5))), 4000);
        let mut limit = AlertLimit::new(AlertRate { per_source: PerSource::All, per_second: 0 });
        assert_eq!(written(&mut limit, (0..4000).map(|i| (i, 5))), 4000);
    }

    #[test]
    fn a_clock_that_steps_back_opens_no_gate_and_closes_none() {
        let mut limit = AlertLimit::new(rate(1, 9));
        assert_eq!(written(&mut limit, [(1, 100_000), (1, 99_000), (1, 41_000), (1, 100_500)]), 1);
        // One packet from far ahead, and back: each is another second.
        assert_eq!(written(&mut limit, [(1, 4_000_000_000), (1, 100_900), (1, 100_950), (1, 101_000)]), 3);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost_from_the_count() {
        let mut limit = AlertLimit::new(rate(1, 0));
        let room = limit.sources.capacity();
        assert_eq!(written(&mut limit, (0..100_000).map(|i| (i, 7))), SOURCES);
        assert_eq!((limit.sources.capacity(), limit.held_back()), (room, 100_000 - SOURCES as u64));
        let held_back = limit.take().unwrap();
        assert_eq!((held_back.alerts, held_back.sources.len()), (100_000 - SOURCES as u64, 0));
        assert_eq!(written(&mut limit, (0..100_000).map(|i| (i % 5000, 1007))), SOURCES);
        let held_back = limit.take().unwrap();
        assert_eq!((held_back.alerts, held_back.sources.len()), (100_000 - SOURCES as u64, NAMED));
    }

    #[test]
    fn a_packet_without_an_address_is_known_by_its_link() {
        let mut limit = AlertLimit::new(rate(1, 9));
        let link = |low| Some(legonf_core::Link { src: Mac([2, 0, 0, 0, 0, low]), ..Default::default() });
        for (link, expected) in
            [(link(1), true), (link(2), true), (link(1), false), (None, true), (None, false)]
        {
            assert_eq!(
                limit.admit(&Headers { link, ..Headers::default() }, at(0), Notice::Further),
                expected
            );
        }
    }
}
