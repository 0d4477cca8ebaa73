//! Seeded synthetic traffic.
//!
//! Benign packets belong to a fixed set of flows, of which a few carry most packets; both directions occur. A scan
//! (one host, a new target and source port each packet, port 23 or 2323) and a flood (UDP at one host, from its own
//! or from spoofed sources) run on top of them from a given time on. Gaps between packets are uniform around
//! their mean. Only headers are captured; the length on the wire is that of the whole frame.

mod config;
mod frame;

pub use config::{Attack, Config, MAX_HOSTS, Mix};

use crate::DatasetError;
use frame::{Frame, Host, ICMP, TCP, UDP};
use legonf_core::{BATCH, Batch, Fault, LinkType, Pace, Packets, Progress, Source, Timestamp};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Synthetic traffic, packet by packet or as a [`Source`].
#[derive(Clone, Debug)]
pub struct Generator {
    config: Config,
    random: Xoshiro256PlusPlus,
    benign: Benign,
    scan: Option<Stream>,
    flood: Option<Stream>,
    seq: u64,
    /// Packets of a full batch.
    full: usize,
}

/// The benign flows.
#[derive(Clone, Debug)]
struct Benign {
    flows: Vec<[Frame; 2]>,
    /// Shortest frame, and how many lengths there are.
    sizes: (u16, u64),
    /// Mean gap between two packets, and when the next one comes, in nanoseconds after the epoch.
    gap: f64,
    at: f64,
}

/// An attack under way.
#[derive(Clone, Debug)]
struct Stream {
    frame: Frame,
    gap: f64,
    at: f64,
    sent: u32,
}

/// One generated packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    timestamp: Timestamp,
    wire_len: u16,
    malicious: bool,
}

const NANOS: f64 = 1e9;
/// Length on the wire of a scan's or a flood's packet.
const ATTACK_LEN: u16 = 60;

impl Generator {
    /// A generator at its first packet.
    ///
    /// # Errors
    /// If a number of the configuration is out of range.
    pub fn new(config: Config) -> Result<Self, DatasetError> {
        config.validate()?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(config.seed);
        let benign = Benign {
            flows: (0..config.flows).map(|_| flow(&config, &mut random)).collect(),
            sizes: (config.min_size, u64::from(config.max_size - config.min_size) + 1),
            gap: NANOS / config.rate,
            at: 0.0,
        };
        let attacker = Host::new(0);
        let victim = Host::new(config.hosts - 1);
        let stream = |attack: Option<Attack>, frame: Frame| {
            attack.map(|a| Stream { frame, gap: NANOS / a.rate, at: a.start * NANOS, sent: 0 })
        };
        let scan = stream(config.scan, Frame::ipv4(attacker, victim, TCP, (40_000, 23)));
        let flood = stream(config.flood, Frame::ipv4(attacker, victim, UDP, (40_000, 80)));
        Ok(Self { config, random, benign, scan, flood, seq: 0, full: BATCH })
    }

    /// Appends up to `max` packets to `packets` and whether each is part of an attack to `labels`.
    pub fn append(&mut self, packets: &mut Packets, labels: &mut Vec<bool>, max: usize) {
        let left = usize::try_from(self.config.packets - self.seq).unwrap_or(usize::MAX);
        for _ in 0..max.min(left) {
            let seq = self.seq;
            let (packet, bytes) = self.step();
            packets.push(seq, packet.timestamp, packet.wire_len.into(), LinkType::Ethernet, bytes);
            labels.push(packet.malicious);
        }
    }

    /// What is generated.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Packets generated so far.
    pub fn position(&self) -> u64 {
        self.seq
    }

    /// The next packet in time: that of the flows or of the attack whose turn comes first.
    fn step(&mut self) -> (Packet, &[u8]) {
        self.seq += 1;
        let random = self.random.next_u64();
        let hosts = self.config.hosts;
        let scan_at = self.scan.as_ref().map_or(f64::INFINITY, |s| s.at);
        let flood_at = self.flood.as_ref().map_or(f64::INFINITY, |s| s.at);
        let at = self.benign.at.min(scan_at).min(flood_at);
        let timestamp = Timestamp::from_nanos(self.config.epoch * 1_000_000_000 + at as i64);
        let attack = Packet { timestamp, wire_len: ATTACK_LEN, malicious: true };
        match (&mut self.scan, &mut self.flood) {
            (Some(scan), _) if at == scan_at => (attack, scan.probe(hosts, random)),
            (_, Some(flood)) if at == flood_at => (attack, flood.pour(self.config.spoofed_sources, random)),
            _ => {
                let (wire_len, bytes) = self.benign.send(random);
                (Packet { timestamp, wire_len, malicious: false }, bytes)
            }
        }
    }
}

impl Benign {
    /// The next packet: its length on the wire and its bytes.
    fn send(&mut self, random: u64) -> (u16, &[u8]) {
        self.at += 2.0 * unit(random) * self.gap;
        // The square gives few flows most of the packets.
        let pick = unit(random.rotate_left(21));
        let index = (pick * pick * self.flows.len() as f64) as usize;
        let (shortest, lengths) = self.sizes;
        let low_bits = random & 0xffff;
        // One half of the packets is short, as acknowledgements and requests are.
        let extra = if low_bits & 1 == 0 { 0 } else { ((low_bits * lengths) >> 16) as u16 };
        let direction = (random >> 17) as usize & 1;
        let last = self.flows.len() - 1;
        let wire_len = shortest + extra;
        (wire_len, self.flows[index.min(last)][direction].stamp(wire_len, (random >> 32) as u16))
    }
}

impl Stream {
    fn advance(&mut self) {
        self.at += self.gap;
        self.sent = self.sent.wrapping_add(1);
    }

    /// A telnet probe of a random host.
    fn probe(&mut self, hosts: u32, random: u64) -> &[u8] {
        self.advance();
        let target = 1 + (((random >> 32) * u64::from(hosts - 1)) >> 32) as u32;
        self.frame.set_destination(Host::new(target));
        self.frame.set_source_port(1024 + (random as u16 & 0x7fff));
        self.frame.stamp(ATTACK_LEN, random as u16)
    }

    /// A packet of a flood, from the next of the spoofed sources.
    fn pour(&mut self, spoofed: u32, random: u64) -> &[u8] {
        self.advance();
        if spoofed > 0 {
            self.frame.set_source(spoofed_source(self.sent % spoofed));
        }
        self.frame.stamp(ATTACK_LEN, random as u16)
    }
}

/// A number in 0 <= x < 1 from the upper bits.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Spoofed source `index`: a bijection of 32-bit numbers, so that distinct indices are distinct addresses.
fn spoofed_source(index: u32) -> [u8; 4] {
    index.wrapping_mul(0x9e37_79b1).to_be_bytes()
}

fn flow(config: &Config, random: &mut Xoshiro256PlusPlus) -> [Frame; 2] {
    let mut below = |n: u32| ((u64::from(random.next_u32()) * u64::from(n)) >> 32) as u32;
    let first = below(config.hosts);
    let second = (first + 1 + below(config.hosts - 1)) % config.hosts;
    let (a, b) = (Host::new(first), Host::new(second));
    let client = 32_768 + below(28_000) as u16;
    let share = f64::from(below(1 << 20)) / f64::from(1 << 20) * config.mix.sum();
    let pair = |protocol, server: u16| {
        [Frame::ipv4(a, b, protocol, (client, server)), Frame::ipv4(b, a, protocol, (server, client))]
    };
    if share < config.mix.tcp {
        pair(TCP, [80, 443, 1883, 22, 8080][below(5) as usize])
    } else if share < config.mix.tcp + config.mix.udp {
        pair(UDP, [53, 123, 5353, 1900, 5683][below(5) as usize])
    } else if share < config.mix.tcp + config.mix.udp + config.mix.icmp {
        pair(ICMP, 1)
    } else {
        [Frame::arp(a, b), Frame::arp(b, a)]
    }
}

/// Straight into memory, without labels: for benchmarks and tests.
impl Source for Generator {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        while batch.packets.len() < self.full && self.seq < self.config.packets {
            let seq = self.seq;
            let (packet, bytes) = self.step();
            batch.packets.push(seq, packet.timestamp, packet.wire_len.into(), LinkType::Ethernet, bytes);
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.seq, total_bytes: Some(self.config.packets) }
    }

    fn pace(&mut self, pace: Pace) {
        self.full = pace.full;
    }
}

#[cfg(test)]
mod tests;
