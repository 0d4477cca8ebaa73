//! What a composite was made of, to be kept beside it.

use serde::Serialize;
use std::collections::BTreeMap;

/// The rule by which attack packets are rewritten, in words.
pub(super) const RULE: &str = "Attack packets take the place of traffic of the benign network. Of each attack capture, \
addresses in order of their packets (busiest first) become hosts of the benign capture in an order drawn from the \
seed, one to one, as far as there are hosts of the same scope (IPv4, IPv6, IPv6 link-local); every other address goes \
by a seeded permutation that keeps public, private and link-local addresses what they are, and becomes no host. \
Multicast, broadcast, loopback, 0.0.0.0/8 and 169.254.0.0/16 stay. Ethernet addresses are the hosts' own, or the \
gateway's for other addresses. ARP, neighbour discovery and packets quoted by ICMP errors are rewritten alike, and \
IPv4, TCP, UDP, ICMP and ICMPv6 checksums follow (RFC 1624). Addresses in tunnels and in application data stay. \
Times: the first attack packet comes `start_seconds` after the first benign packet, intervals are divided by `speed`; \
where a capture's clock is set, or nothing comes for more than 1,000 s, no time passes. \
Benign packets are unchanged.";

/// The manifest of a composite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Manifest {
    /// Always `composite`: whoever reports on the capture must say so.
    pub kind: &'static str,
    /// What made it.
    pub made_by: &'static str,
    /// Seed of the rule.
    pub seed: u64,
    /// The rule in words.
    pub rule: &'static str,
    /// The composite itself.
    pub output: Output,
    /// Where the benign packets come from.
    pub benign: Part,
    /// Where the attacks come from.
    pub attacks: Vec<AttackPart>,
}

/// The composite's capture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// File name, without folders.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Packets in all.
    pub packets: u64,
    /// Packets of attacks.
    pub malicious: u64,
    /// Index of the first packet of an attack.
    pub first_malicious_index: Option<u64>,
}

/// Packets of one source: `received = written + left_out`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// File name, without folders.
    pub file: String,
    /// SHA-256 of the file as it is stored, in hexadecimal digits.
    pub sha256: String,
    /// Label file, without folders, if there was one.
    pub labels: Option<String>,
    /// Packets in the file.
    pub received: u64,
    /// Packets in the composite.
    pub written: u64,
    /// Packets that are not, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// An attack's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackPart {
    /// The packets.
    #[serde(flatten)]
    pub part: Part,
    /// Seconds after the first benign packet at which the first of them comes.
    pub start_seconds: f64,
    /// How many times faster than recorded they come.
    pub speed: f64,
    /// One of so many of its packets is there.
    pub thin: u32,
    /// The addresses that became hosts of the benign network, busiest first.
    pub hosts: Vec<Became>,
}

/// An address and the host that it became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Became {
    /// Address in the attack's capture.
    pub from: String,
    /// Address in the composite.
    pub to: String,
}
