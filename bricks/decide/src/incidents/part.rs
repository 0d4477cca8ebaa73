//! Alerts of a source over some time, summed up.

use super::Seen;
use super::counts::{Distinct, Top};
use legonf_core::{Activity, Hasher, Origin, Timestamp, source_words};

/// Hosts from which on few packets to each are a scan.
const SCANNED_HOSTS: u64 = 16;
/// Packets to each host of a scan, at most: tries and what follows on an answer.
const PROBES_A_HOST: u64 = 10;
/// Ports from which on few packets to each are a scan.
const SCANNED_PORTS: u64 = 16;
/// Packets to each port of a scan, at most.
const PROBES_A_PORT: u64 = 4;
/// Bytes of a probe, on the average, at most: more is a load.
const PROBE_BYTES: u64 = 128;
/// Packets a second of a flood, at least, and how many there must be.
const FLOOD_RATE: f64 = 100.0;
const FLOOD_PACKETS: u64 = 100;
/// Ports that only one side of a conversation takes.
const EPHEMERAL: u16 = 32_768;

/// The packet with the highest score.
#[derive(Clone, Debug, Default)]
pub(super) struct Peak {
    pub score: f64,
    pub seq: u64,
    /// What it was scored by; empty where nobody asks.
    pub features: Vec<f64>,
}

/// Sums over alerts.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub first: Timestamp,
    pub last: Timestamp,
    /// First and last in stream time, in nanoseconds.
    pub begin: i64,
    pub end: i64,
    pub first_seq: u64,
    pub packets: u64,
    pub bytes: u64,
    /// Packets that answer: their source has the service.
    answers: u64,
    pub score: f64,
    pub hosts: Distinct,
    pub top_hosts: Top<Origin>,
    pub ports: Distinct,
    pub top_ports: Top<u16>,
    pub peak: Peak,
    pub malicious: u64,
}

impl Part {
    /// Of the first alert.
    pub fn of(seen: &Seen<'_>, hasher: &Hasher) -> Self {
        let (time, stream) = (seen.headers.timestamp, seen.stream());
        let peak = Peak { score: f64::NEG_INFINITY, ..Peak::default() };
        let mut part = Self {
            first: time,
            begin: stream,
            end: stream,
            first_seq: seen.headers.seq,
            peak,
            ..Self::default()
        };
        part.add(seen, hasher);
        part
    }

    pub fn add(&mut self, seen: &Seen<'_>, hasher: &Hasher) {
        self.last = seen.headers.timestamp;
        self.end = self.end.max(seen.stream());
        self.packets += 1;
        self.bytes += u64::from(seen.headers.wire_len);
        self.score += seen.score;
        self.malicious += u64::from(seen.malicious == Some(true));
        let host = Origin::target(seen.headers);
        self.hosts.add(hasher.three(source_words(host.address())));
        self.top_hosts.add(host, 1);
        if let Some((source, destination)) = seen.headers.outer.ports {
            let answers = source < EPHEMERAL && destination >= EPHEMERAL;
            let port = if answers { source } else { destination };
            self.answers += u64::from(answers);
            self.ports.add(hasher.three([u64::from(port), 0, 1]));
            self.top_ports.add(port, 1);
        }
        if seen.score > self.peak.score {
            (self.peak.score, self.peak.seq) = (seen.score, seen.headers.seq);
            self.peak.features.clear();
            self.peak.features.extend_from_slice(seen.features.unwrap_or_default());
        }
    }

    /// Adds what came later.
    pub fn merge(&mut self, later: &Self) {
        if later.end >= self.end {
            (self.last, self.end) = (later.last, later.end);
        }
        if later.begin < self.begin {
            (self.first, self.begin, self.first_seq) = (later.first, later.begin, later.first_seq);
        }
        self.packets += later.packets;
        self.bytes += later.bytes;
        self.answers += later.answers;
        self.score += later.score;
        self.malicious += later.malicious;
        self.hosts.merge(&later.hosts);
        self.top_hosts.merge(&later.top_hosts);
        self.ports.merge(&later.ports);
        self.top_ports.merge(&later.top_ports);
        if later.peak.score > self.peak.score {
            self.peak.clone_from(&later.peak);
        }
    }

    pub fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.begin) as f64 / 1e9
    }

    /// What the source did, by its peers and ports.
    pub fn activity(&self) -> Activity {
        let (hosts, ports) = (self.hosts.number(), self.ports.number());
        let asks = 2 * self.answers <= self.packets;
        if asks && hosts >= SCANNED_HOSTS && self.packets <= PROBES_A_HOST * hosts {
            return Activity::HostScan;
        }
        let small = self.bytes <= PROBE_BYTES * self.packets;
        if asks && small && ports >= SCANNED_PORTS && self.packets <= PROBES_A_PORT * ports * hosts {
            return Activity::PortScan;
        }
        let fast = self.packets as f64 >= FLOOD_RATE * self.seconds().max(1.0);
        if fast && self.packets >= FLOOD_PACKETS { Activity::Flood } else { Activity::Other }
    }
}
