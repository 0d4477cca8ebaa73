//! The records, field by field as in Suricata's `eve.json`.

use super::{RunStats, Tally};
use crate::sink::limit::{LeftOut, Origin};
use crate::sink::scored::Scored;
use crate::sink::time::iso8601;
use legonf_core::{
    Coverage, Encapsulation, Explanation, Headers, Icmp, Inner, Layer, Link, Network, Timestamp, Transport,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// An `alert` record. Of a packet in a tunnel, as in Suricata, it names the inner one, and the outer one under `tunnel`.
#[derive(Debug, Serialize)]
pub(super) struct AlertRecord {
    timestamp: String,
    pcap_cnt: u64,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<[u16; 1]>,
    #[serde(flatten)]
    flow: Flow,
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<Tunnel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    /// None where the input has no packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pkt_src: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ether: Option<Ether>,
    alert: Signature,
    legonf: Detail,
}

/// Addresses, ports and protocol of a network layer. What the packet has not, the record has not.
#[derive(Debug, Serialize)]
struct Flow {
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<String>,
}

/// The packet around the one that the record is of.
#[derive(Debug, Serialize)]
struct Tunnel {
    #[serde(flatten)]
    flow: Flow,
    /// How many packets are around it: one is opened.
    depth: u8,
    pkt_src: &'static str,
}

#[derive(Debug, Serialize)]
struct Ether {
    src_mac: String,
    dest_mac: String,
}

/// The rule that fired. The number is of the range that Suricata leaves to local rules, category and severity
/// are those of its class `bad-unknown`.
#[derive(Debug, Serialize)]
struct Signature {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: &'static str,
    category: &'static str,
    severity: u8,
}

const ALLOWED: &str = "allowed";
const BLOCKED: &str = "blocked";

const KITSUNE: Signature = Signature {
    action: ALLOWED,
    gid: 1,
    signature_id: 1_000_001,
    rev: 1,
    signature: "legonf kitsune: anomalous packet",
    category: "Potentially Bad Traffic",
    severity: 2,
};

/// What Suricata has no field for.
#[derive(Debug, Serialize)]
struct Detail {
    seq: u64,
    score: f64,
    threshold: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    /// Of all packets up to this one.
    coverage: Coverage,
}

impl AlertRecord {
    pub fn new(
        headers: &Headers,
        row: Scored,
        threshold: f64,
        explanation: Option<Explanation>,
        coverage: Coverage,
    ) -> Self {
        let inside = headers.inner.filter(is_tunnelled);
        let layer = inside.map_or(headers.outer, |inner| inner.layer);
        let icmp = icmp(&layer);
        let action = if row.disposition.dropped().is_some() { BLOCKED } else { ALLOWED };
        Self {
            timestamp: iso8601(row.timestamp),
            pcap_cnt: row.seq.saturating_add(1),
            event_type: "alert",
            vlan: headers.link.and_then(|link| link.vlan).map(|id| [id]),
            flow: Flow::new(&layer),
            tunnel: inside.map(|_| Tunnel { flow: Flow::new(&headers.outer), depth: 1, pkt_src: WIRE }),
            icmp_type: icmp.map(|i| i.kind),
            icmp_code: icmp.map(|i| i.code),
            pkt_src: (*headers != row_of_table(headers))
                .then_some(inside.map_or(WIRE, |inner| source(inner.by, &headers.outer))),
            ether: headers.link.as_ref().map(Ether::new),
            alert: Signature { action, ..KITSUNE },
            legonf: Detail { seq: row.seq, score: row.score, threshold, explanation, coverage },
        }
    }
}

impl Flow {
    fn new(layer: &Layer) -> Self {
        Self {
            src_ip: layer.src,
            src_port: layer.ports.map(|(src, _)| src),
            dest_ip: layer.dst,
            dest_port: layer.ports.map(|(_, dst)| dst),
            proto: protocol(layer),
        }
    }
}

impl Ether {
    fn new(link: &Link) -> Self {
        Self { src_mac: link.src.to_string(), dest_mac: link.dst.to_string() }
    }
}

const WIRE: &str = "wire/pcap";

/// Whether a packet is carried, not quoted, and is one that is parsed.
fn is_tunnelled(inner: &Inner) -> bool {
    inner.by != Encapsulation::Quoted && inner.layer.network != Network::None
}

/// Where Suricata says that a packet inside a tunnel comes from.
fn source(by: Encapsulation, outer: &Layer) -> &'static str {
    match by {
        Encapsulation::Quoted => WIRE,
        Encapsulation::IpInIp if outer.network == Network::Ipv6 => "ipv6 tunnel",
        Encapsulation::IpInIp => "ipv4 tunnel",
        Encapsulation::Gre(_) => "gre tunnel",
        Encapsulation::Vxlan(_) | Encapsulation::VxlanGpe(_) => "vxlan encapsulation",
        Encapsulation::Geneve(_) => "geneve encapsulation",
        Encapsulation::Erspan(_) => "erspan tunnel",
        Encapsulation::GtpU(_) => "gtp-u tunnel",
    }
}

/// The headers of a row without a packet: its number alone.
fn row_of_table(headers: &Headers) -> Headers {
    Headers { seq: headers.seq, ..Headers::default() }
}

fn icmp(layer: &Layer) -> Option<Icmp> {
    match layer.transport {
        Transport::Icmp(icmp) | Transport::Icmpv6(icmp) => Some(icmp),
        _ => None,
    }
}

/// The protocol's name in Suricata's table, or its number where it is less known.
fn protocol(layer: &Layer) -> Option<String> {
    let name = match layer.transport {
        Transport::None => return (layer.network == Network::Arp).then(|| "ARP".into()),
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::Icmp(_) => "ICMP",
        Transport::Icmpv6(_) => "IPv6-ICMP",
        Transport::Other(2) => "IGMP",
        Transport::Other(4) => "IP-in-IP",
        Transport::Other(41) => "IPv6",
        Transport::Other(47) => "GRE",
        Transport::Other(50) => "ESP",
        Transport::Other(51) => "AH",
        Transport::Other(89) => "OSPF",
        Transport::Other(132) => "SCTP",
        Transport::Other(number) => return Some(number.to_string()),
    };
    Some(name.into())
}

/// A `suppressed` record: alerts of one second that were left out.
#[derive(Debug, Serialize)]
pub(super) struct LeftOutRecord {
    timestamp: String,
    event_type: &'static str,
    legonf: Suppressed,
}

#[derive(Debug, Serialize)]
struct Suppressed {
    /// Time of the first of them; that of the last is the record's.
    since: String,
    alerts: u64,
    sources: Vec<SuppressedSource>,
    /// Those of other sources.
    others: u64,
}

#[derive(Debug, Serialize)]
struct SuppressedSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_mac: Option<String>,
    alerts: u64,
}

impl LeftOutRecord {
    pub fn new(left_out: &LeftOut) -> Self {
        let source = |(origin, alerts): &(Origin, u64)| {
            let (src_ip, src_mac) = match origin {
                Origin::Ip(ip) => (Some(*ip), None),
                Origin::Mac(mac) => (None, Some(mac.to_string())),
                Origin::Unknown => (None, None),
            };
            SuppressedSource { src_ip, src_mac, alerts: *alerts }
        };
        let named: u64 = left_out.sources.iter().map(|(_, alerts)| alerts).sum();
        Self {
            timestamp: iso8601(left_out.last),
            event_type: "suppressed",
            legonf: Suppressed {
                since: iso8601(left_out.first),
                alerts: left_out.alerts,
                sources: left_out.sources.iter().map(source).collect(),
                others: left_out.alerts - named,
            },
        }
    }
}

/// A `stats` record: the closing one, but for its time that of any.
#[derive(Debug, Serialize)]
pub(super) struct StatsRecord<'a> {
    timestamp: String,
    event_type: &'static str,
    stats: Stats,
    legonf: Run<'a>,
}

#[derive(Debug, Serialize)]
struct Stats {
    uptime: u64,
    capture: Capture,
    decoder: Decoder,
    detect: Detect,
}

#[derive(Debug, Serialize)]
struct Capture {
    kernel_packets: u64,
    kernel_drops: u64,
}

#[derive(Debug, Serialize)]
struct Decoder {
    pkts: u64,
    bytes: u64,
    invalid: u64,
}

#[derive(Debug, Serialize)]
struct Detect {
    /// All alerts, and those of them that were left out.
    alert: u64,
    #[serde(skip_serializing_if = "is_zero")]
    alerts_suppressed: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Debug, Serialize)]
struct Run<'a> {
    coverage: &'a Coverage,
    counters: &'a BTreeMap<String, u64>,
}

impl<'a> StatsRecord<'a> {
    pub fn new(run: &'a RunStats, tally: &Tally, alerts_suppressed: u64) -> Self {
        let capture = Capture { kernel_packets: run.coverage.received, kernel_drops: run.coverage.lost() };
        let decoder = Decoder { pkts: tally.packets, bytes: tally.bytes, invalid: tally.malformed };
        Self {
            timestamp: iso8601(tally.last),
            event_type: "stats",
            stats: Stats {
                uptime: tally.seconds(),
                capture,
                decoder,
                detect: Detect { alert: tally.alerts, alerts_suppressed },
            },
            legonf: Run { coverage: &run.coverage, counters: &run.counters },
        }
    }

    /// The same of a run that goes on, at a time of the clock, so long after it began.
    pub fn at(self, time: Timestamp, uptime: Duration) -> Self {
        let stats = Stats { uptime: uptime.as_secs(), ..self.stats };
        Self { timestamp: iso8601(time), stats, ..self }
    }
}
