//! What was seen of each host.

use legonf_core::{Hasher, Headers, Origin, Verdict, slot, source_words};
use serde::Serialize;

/// Sets of hosts by the hash of their address, and hosts of a set, at most.
const SETS: usize = 4096;
const WAYS: usize = 4;
/// Spans of a strip, at most.
const SPANS: usize = 48;
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
}

/// Hosts in memory that is bounded by slot: what gives its place is counted.
#[derive(Clone, Debug)]
pub struct Hosts {
    hasher: Hasher,
    sets: Vec<Vec<Host>>,
    /// Stream time of the first packet, and nanoseconds of a span as a power of two.
    begin: Option<i64>,
    shift: u32,
    others: (u64, u64),
    evicted: u64,
}

impl Hosts {
    /// None yet; hosts are divided into sets by a hash of this seed.
    pub fn new(seed: u64) -> Self {
        let sets = (0..SETS).map(|_| Vec::new()).collect();
        Self { hasher: Hasher::new(seed), sets, begin: None, shift: 24, others: (0, 0), evicted: 0 }
    }

    /// Adds a packet that has a verdict.
    pub fn add(&mut self, headers: &Headers, score: f64, verdict: Verdict, malicious: Option<bool>) {
        let time = headers.stream_time().as_nanos();
        let begin = *self.begin.get_or_insert(time);
        let above = verdict == Verdict::ANOMALOUS;
        let span = if above { self.span(time.saturating_sub(begin).max(0)) } else { 0 };
        let source = Origin::of(headers);
        let set = slot(self.hasher.three(source_words(source.address())));
        let host = self.host(set, source);
        host.packets += 1;
        if score.is_finite() {
            host.peak = Some(host.peak.map_or(score, |peak| peak.max(score)));
        }
        if let Some(malicious) = malicious {
            *host.malicious.get_or_insert(0) += u64::from(malicious);
        }
        if above {
            host.above += 1;
            if host.strip.len() <= span {
                host.strip.resize(span + 1, 0);
            }
            host.strip[span] += 1;
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
        HostReport { span_seconds, hosts, others, others_above, evicted: self.evicted }
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
