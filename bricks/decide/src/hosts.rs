//! What was seen of each host.

use legonf_core::{Hasher, Headers, Origin, Verdict, slot, source_words};
use serde::Serialize;

/// Sets of hosts by the hash of their address, and hosts of a set, at most.
const SETS: usize = 4096;
const WAYS: usize = 4;
/// Spans of a strip, at most.
const SPANS: usize = 48;
/// Nanoseconds of the first spans, as a power of two.
const SHIFT: u32 = 24;
/// Hosts of a report, at most.
const REPORTED: usize = 4096;

/// Packets that one host sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Host {
    /// The host.
    #[serde(flatten)]
    pub source: Origin,
    /// Packets with a verdict.
    pub packets: u64,
    /// Those above the threshold.
    pub above: u64,
    /// Highest score; none where no packet has one.
    pub peak: Option<f64>,
    /// Packets that the labels call malicious, where there are labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malicious: Option<u64>,
    /// Packets above the threshold in each span of time.
    pub strip: Vec<u32>,
    /// Packets in each span of another division of time, from the one on in which the first was above the threshold.
    #[serde(skip)]
    sent: Vec<u32>,
    /// The latest of these spans, and packets in it.
    #[serde(skip)]
    latest: (usize, u32),
}

impl Host {
    /// Counts a packet in a span; before the first one above the threshold only the latest span matters.
    fn count(&mut self, span: usize, above: bool) {
        if self.latest.0 != span {
            self.latest = (span, 0);
        }
        self.latest.1 = self.latest.1.saturating_add(1);
        match self.sent.is_empty() {
            true if above => add_to(&mut self.sent, span, self.latest.1),
            true => {}
            false => add_to(&mut self.sent, span, 1),
        }
    }

    /// Puts every two spans of the packets together.
    fn halve_sent(&mut self) {
        halve(&mut self.sent);
        self.latest.0 /= 2;
    }
}

/// Adds to the count of a span.
fn add_to(strip: &mut Vec<u32>, span: usize, packets: u32) {
    if strip.len() <= span {
        strip.resize(span + 1, 0);
    }
    strip[span] = strip[span].saturating_add(packets);
}

/// When which part of a host's packets was above the threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// The host.
    pub source: Origin,
    /// The part in each span, from 0 to 1.
    pub shares: Vec<f32>,
}

/// What was seen of all hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HostReport {
    /// Seconds of each span of the strips; the first begins with the first packet.
    pub span_seconds: f64,
    /// The hosts: those with most packets above the threshold first, then those with most packets.
    pub hosts: Vec<Host>,
    /// Packets of hosts that are not listed, for there were more hosts than there is room for.
    pub others: u64,
    /// Those of them that are above the threshold.
    pub others_above: u64,
    /// How many hosts gave their place to others.
    pub evicted: u64,
    /// Stream time of the first packet in nanoseconds.
    #[serde(skip)]
    pub begin: i64,
    /// Nanoseconds of a span of [`shares`](Self::shares), and of one of the strips, as powers of two.
    #[serde(skip)]
    shifts: (u32, u32),
}

impl HostReport {
    /// Nanoseconds of a span of [`shares`](Self::shares).
    pub fn span_nanoseconds(&self) -> i64 {
        1 << self.shifts.0
    }

    /// When which part of their packets was above the threshold, of the first hosts that have such packets.
    pub fn shares(&self, hosts: usize) -> Vec<Shares> {
        self.hosts.iter().filter(|host| host.above > 0).take(hosts).map(|host| self.of(host)).collect()
    }

    fn of(&self, host: &Host) -> Shares {
        let mut strip = host.strip.clone();
        // Spans of all packets are as long as those of the ones above the threshold, or longer.
        (self.shifts.1..self.shifts.0).for_each(|_| halve(&mut strip));
        let share = |(above, sent): (&u32, &u32)| *above as f32 / (*sent).max(*above).max(1) as f32;
        Shares { source: host.source, shares: strip.iter().zip(&host.sent).map(share).collect() }
    }
}

/// Hosts in memory that is bounded by slot: what gives its place is counted.
#[derive(Clone, Debug)]
pub struct Hosts {
    hasher: Hasher,
    sets: Vec<Vec<Host>>,
    /// Stream time of the first packet, and nanoseconds of a span as a power of two.
    begin: Option<i64>,
    shift: u32,
    /// That of all packets, where the shift is of those above the threshold.
    sent_shift: u32,
    others: (u64, u64),
    evicted: u64,
}

impl Hosts {
    /// None yet; hosts are divided into sets by a hash of this seed.
    pub fn new(seed: u64) -> Self {
        let sets = (0..SETS).map(|_| Vec::new()).collect();
        Self {
            hasher: Hasher::new(seed),
            sets,
            begin: None,
            shift: SHIFT,
            sent_shift: SHIFT,
            others: (0, 0),
            evicted: 0,
        }
    }

    /// Adds a packet that has a verdict.
    pub fn add(&mut self, headers: &Headers, score: f64, verdict: Verdict, malicious: Option<bool>) {
        let time = headers.stream_time().as_nanos();
        let begin = *self.begin.get_or_insert(time);
        let above = verdict == Verdict::ANOMALOUS;
        let after = time.saturating_sub(begin).max(0);
        let (span, sent) = (if above { self.span(after) } else { 0 }, self.sent_span(after));
        let source = Origin::of(headers);
        let set = slot(self.hasher.three(source_words(source.address())));
        let host = self.host(set, source);
        host.packets += 1;
        host.count(sent, above);
        if score.is_finite() {
            host.peak = Some(host.peak.map_or(score, |peak| peak.max(score)));
        }
        if let Some(malicious) = malicious {
            *host.malicious.get_or_insert(0) += u64::from(malicious);
        }
        if above {
            host.above += 1;
            add_to(&mut host.strip, span, 1);
        }
    }

    fn host(&mut self, set: usize, source: Origin) -> &mut Host {
        let known = self.sets[set].iter().position(|host| host.source == source);
        let place = known.unwrap_or_else(|| {
            self.make_room(set);
            self.sets[set].push(Host { source, ..Host::default() });
            self.sets[set].len() - 1
        });
        &mut self.sets[set][place]
    }

    /// Takes the least host out of a full set: that with the fewest packets above the threshold, then with the fewest packets.
    fn make_room(&mut self, set: usize) {
        if self.sets[set].len() < WAYS {
            return;
        }
        let hosts = self.sets[set].iter().enumerate();
        let Some((place, _)) = hosts.min_by_key(|(_, host)| (host.above, host.packets, host.source)) else {
            return;
        };
        let host = self.sets[set].swap_remove(place);
        self.others.0 += host.packets;
        self.others.1 += host.above;
        self.evicted += 1;
    }

    /// The span of a time after the first packet. Where there are too many, each becomes twice as long.
    fn span(&mut self, after: i64) -> usize {
        while after >> self.shift >= SPANS as i64 {
            self.shift += 1;
            self.sets.iter_mut().flatten().for_each(|host| halve(&mut host.strip));
        }
        (after >> self.shift) as usize
    }

    /// As [`span`](Self::span), of all packets.
    fn sent_span(&mut self, after: i64) -> usize {
        while after >> self.sent_shift >= SPANS as i64 {
            self.sent_shift += 1;
            self.sets.iter_mut().flatten().for_each(Host::halve_sent);
        }
        (after >> self.sent_shift) as usize
    }

    /// Hosts by the labels and by the threshold: for each host whether it sent a malicious packet, and whether one of its packets
    /// is above the threshold. None without labels.
    pub fn truths(&self) -> impl Iterator<Item = (bool, bool)> {
        let hosts = self.sets.iter().flatten();
        hosts.filter_map(|host| host.malicious.map(|malicious| (malicious > 0, host.above > 0)))
    }

    /// What was seen.
    pub fn report(&self) -> HostReport {
        let mut hosts: Vec<_> = self.sets.iter().flatten().cloned().collect();
        hosts.sort_unstable_by(|a, b| {
            let weight = |host: &Host| (host.above, host.packets);
            weight(b).cmp(&weight(a)).then(a.source.cmp(&b.source))
        });
        let (mut others, mut others_above) = self.others;
        for host in hosts.drain(REPORTED.min(hosts.len())..) {
            others += host.packets;
            others_above += host.above;
        }
        let span_seconds = (1_u64 << self.shift) as f64 / 1e9;
        let (begin, shifts) = (self.begin.unwrap_or_default(), (self.sent_shift, self.shift));
        HostReport { span_seconds, hosts, others, others_above, evicted: self.evicted, begin, shifts }
    }
}

/// Puts every two spans together.
fn halve(strip: &mut Vec<u32>) {
    for place in 0..strip.len().div_ceil(2) {
        strip[place] = strip[2 * place].saturating_add(strip.get(2 * place + 1).copied().unwrap_or(0));
    }
    strip.truncate(strip.len().div_ceil(2));
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Layer, Timestamp};
    use std::net::IpAddr;

    fn add(hosts: &mut Hosts, source: u32, second: i64, score: f64) {
        let src = Some(IpAddr::from(source.to_be_bytes()));
        let outer = Layer { src, ..Layer::default() };
        let headers = Headers { timestamp: Timestamp::new(second, 0), outer, ..Headers::default() };
        let verdict = if score > 1.0 { Verdict::ANOMALOUS } else { Verdict::BENIGN };
        hosts.add(&headers, score, verdict, Some(source == 1));
    }

    #[test]
    fn hosts_have_their_packets_peak_and_strip() {
        let mut hosts = Hosts::new(1);
        for second in 0..100 {
            add(&mut hosts, 2, second, 0.5);
            add(&mut hosts, 1, second, if second >= 50 { 3.0 } else { 0.1 });
        }
        add(&mut hosts, 2, 99, 2.0);
        let report = hosts.report();
        let [one, two] = &report.hosts[..] else { panic!() };
        assert_eq!((one.packets, one.above, one.peak, one.malicious), (100, 50, Some(3.0), Some(100)));
        assert_eq!((two.packets, two.above, two.peak), (101, 1, Some(2.0)));
        assert_eq!(one.strip.iter().sum::<u32>(), 50);
        assert!(one.strip.len() <= SPANS && report.span_seconds * one.strip.len() as f64 >= 99.0);
        assert!(one.strip.iter().take(one.strip.len() / 2 - 1).all(|packets| *packets == 0));
        let mut truths: Vec<_> = hosts.truths().collect();
        truths.sort_unstable();
        assert_eq!(truths, [(false, true), (true, true)]);
    }

    #[test]
    fn shares_are_of_the_packets_of_each_span() {
        let mut hosts = Hosts::new(1);
        for second in 0..200 {
            (0..4).for_each(|nth| {
                add(&mut hosts, 1, second, if second >= 100 && nth == 0 { 3.0 } else { 0.1 })
            });
            add(&mut hosts, 2, second, if second == 20 { 9.0 } else { 0.5 });
        }
        let report = hosts.report();
        let shares = report.shares(10);
        let names: Vec<_> = shares.iter().map(|one| one.source.to_string()).collect();
        assert_eq!((names, report.begin), (vec!["0.0.0.1".to_owned(), "0.0.0.2".to_owned()], 0));
        let span = report.span_nanoseconds() as f64 / 1e9;
        let first = (100.0 / span) as usize;
        assert!(shares[0].shares.len() <= SPANS && shares[0].shares.len() as f64 * span > 199.0);
        assert!(shares[0].shares[..first].iter().all(|share| *share == 0.0));
        assert!(shares[0].shares[first + 1..].iter().all(|share| (share - 0.25).abs() < 0.01), "{shares:?}");
        assert_eq!(report.shares(1).len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_every_packet_counted() {
        let mut hosts = Hosts::new(3);
        for packet in 0..100_000 {
            add(&mut hosts, packet, 0, 2.0);
        }
        (0..50).for_each(|second| add(&mut hosts, 7, second, 2.0));
        let report = hosts.report();
        let listed: u64 = report.hosts.iter().map(|host| host.packets).sum();
        assert_eq!((report.hosts.len(), listed + report.others), (REPORTED, 100_050));
        assert!(report.evicted >= 100_000 - (SETS * WAYS) as u64);
        assert_eq!(report.hosts[0].packets / 50, 1);
    }
}
