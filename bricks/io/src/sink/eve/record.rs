//! The records, field by field as in Suricata's `eve.json`.

use super::flow::FlowNames;
use super::{RunStats, Tally};
use crate::sink::limit::HeldBack;
use crate::sink::scored::Scored;
use legonf_core::{
    Activity, Encapsulation, Explanation, Headers, Icmp, Incident, Inner, Layer, Link, Network, Origin,
    Severity, Timestamp, Transport,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// An `alert` record. Of a packet in a tunnel, as in Suricata, it names the inner one, and the outer one under `tunnel`.
#[derive(Debug, Serialize)]
pub(super) struct AlertRecord<'a> {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    community_id: Option<String>,
    alert: Signature<Detail>,
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

/// The rule that fired. Its number is of the range that Suricata leaves to local rules, in which 1940000 to 1940099 are
/// legonf's. The severity follows from the ratio of the score to the threshold.
#[derive(Debug, Serialize)]
struct Signature<D> {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: &'static str,
    category: &'static str,
    severity: u8,
    metadata: Metadata<D>,
}

/// The one part of an alert where Suricata's schema has room.
#[derive(Debug, Serialize)]
struct Metadata<D> {
    legonf: D,
}

const ALLOWED: &str = "allowed";
const BLOCKED: &str = "blocked";
const BAD_UNKNOWN: &str = "Potentially Bad Traffic";
/// The first number of legonf's.
const FIRST: u32 = 1_940_000;

/// Number, words and class of the rule of packets, and of those of incidents.
const PACKET: (u32, &str, &str) = (FIRST, "legonf: anomalous packet", BAD_UNKNOWN);

fn rule_of(activity: Activity) -> (u32, &'static str, &'static str) {
    match activity {
        Activity::HostScan => (FIRST + 1, "legonf: scan of hosts", "Detection of a Network Scan"),
        Activity::PortScan => (FIRST + 2, "legonf: scan of ports", "Detection of a Network Scan"),
        Activity::Flood => (FIRST + 3, "legonf: flood", "Attempted Denial of Service"),
        Activity::Other => (FIRST + 4, "legonf: unusual traffic", BAD_UNKNOWN),
    }
}

impl<D> Signature<D> {
    fn new(
        (signature_id, signature, category): (u32, &'static str, &'static str),
        action: &'static str,
        severity: Severity,
        legonf: D,
    ) -> Self {
        let (severity, metadata) = (severity.number(), Metadata { legonf });
        Self { action, gid: 1, signature_id, rev: 1, signature, category, severity, metadata }
    }
}

/// What Suricata has no field for.
#[derive(Debug, Serialize)]
struct Detail {
    seq: u64,
    score: f64,
    threshold: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

impl<'a> AlertRecord<'a> {
    pub fn new(
        headers: &Headers,
        row: Scored,
        threshold: f64,
        explanation: Option<Explanation>,
        in_iface: Option<&'a str>,
    ) -> Self {
        let inside = headers.inner.filter(is_tunnelled);
        let layer = inside.map_or(headers.outer, |inner| inner.layer);
        let icmp = icmp(&layer);
        let action = if row.disposition.dropped().is_some() { BLOCKED } else { ALLOWED };
        let names = FlowNames::of(&layer);
        let detail = Detail { seq: row.seq, score: row.score, threshold, explanation };
        Self {
            timestamp: row.timestamp.iso8601(),
            flow_id: names.as_ref().map(|names| names.flow_id),
            in_iface,
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
            community_id: names.map(|names| names.community_id),
            alert: Signature::new(PACKET, action, Severity::of(row.score, threshold), detail),
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

/// An `incident` record, of the time at which the incident ended.
#[derive(Debug, Serialize)]
pub(super) struct IncidentRecord<'a> {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ether: Option<SourceMac>,
    alert: Signature<&'a Incident>,
}

#[derive(Debug, Serialize)]
struct SourceMac {
    src_mac: String,
}

impl<'a> IncidentRecord<'a> {
    pub fn new(incident: &'a Incident, in_iface: Option<&'a str>) -> Self {
        let (src_ip, src_mac) = parts(incident.source);
        let rule = rule_of(incident.activity);
        Self {
            timestamp: incident.until.iso8601(),
            in_iface,
            event_type: "incident",
            src_ip,
            ether: src_mac.map(|src_mac| SourceMac { src_mac }),
            alert: Signature::new(rule, ALLOWED, incident.severity, incident),
        }
    }
}

/// The address of a source, of either kind.
fn parts(source: Origin) -> (Option<IpAddr>, Option<String>) {
    match source {
        Origin::Ip(ip) => (Some(ip), None),
        Origin::Mac(mac) => (None, Some(mac.to_string())),
        Origin::Unknown => (None, None),
    }
}

/// A `held_back` record: alerts of one span that were not written.
#[derive(Debug, Serialize)]
pub(super) struct HeldBackRecord<'a> {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    event_type: &'static str,
    alert: Untold,
}

#[derive(Debug, Serialize)]
struct Untold {
    signature: &'static str,
    metadata: Metadata<Alerts>,
}

#[derive(Debug, Serialize)]
struct Alerts {
    /// Time of the first of them; that of the last is the record's.
    since: String,
    alerts: u64,
    sources: Vec<AlertSource>,
    /// Those of other sources.
    others: u64,
}

#[derive(Debug, Serialize)]
struct AlertSource {
    #[serde(flatten)]
    source: Origin,
    alerts: u64,
}

impl<'a> HeldBackRecord<'a> {
    pub fn new(held_back: &HeldBack, in_iface: Option<&'a str>) -> Self {
        let source = |(source, alerts): &(Origin, u64)| AlertSource { source: *source, alerts: *alerts };
        let named: u64 = held_back.sources.iter().map(|(_, alerts)| alerts).sum();
        let legonf = Alerts {
            since: held_back.first.iso8601(),
            alerts: held_back.alerts,
            sources: held_back.sources.iter().map(source).collect(),
            others: held_back.alerts - named,
        };
        Self {
            timestamp: held_back.last.iso8601(),
            in_iface,
            event_type: "held_back",
            alert: Untold { signature: "legonf: alerts held back", metadata: Metadata { legonf } },
        }
    }
}

/// A `stats` record: the closing one, but for its time that of any. Coverage and counters are in `metadata.flowints`, numbers by
/// name.
#[derive(Debug, Serialize)]
pub(super) struct StatsRecord<'a> {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_iface: Option<&'a str>,
    event_type: &'static str,
    stats: Stats,
    metadata: Counters,
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
    /// All alerts, and those of them that were not written: held back, or of suppressed sources.
    alert: u64,
    #[serde(skip_serializing_if = "is_zero")]
    alerts_suppressed: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Debug, Serialize)]
struct Counters {
    flowints: BTreeMap<String, u64>,
}

impl Counters {
    /// `received` and `scored`, `rejected.REASON`, `dropped.REASON`, and the counters of sources and bricks.
    fn of(run: &RunStats) -> Self {
        let RunStats { coverage, counters } = run;
        let plain = [("received".to_owned(), coverage.received), ("scored".to_owned(), coverage.scored)];
        let reasons = [("rejected", &coverage.rejected), ("dropped", &coverage.dropped)].into_iter();
        let reasons = reasons.flat_map(|(what, reasons)| {
            reasons.iter().map(move |(reason, packets)| (format!("{what}.{reason}"), *packets))
        });
        let counters = counters.iter().map(|(name, value)| (name.clone(), *value));
        let all = plain.into_iter().chain(reasons).chain(counters);
        Self { flowints: all.map(|(name, value)| (format!("legonf.{name}"), value)).collect() }
    }
}

impl<'a> StatsRecord<'a> {
    pub fn new(run: &RunStats, tally: &Tally, alerts_suppressed: u64, in_iface: Option<&'a str>) -> Self {
        let capture = Capture { kernel_packets: run.coverage.received, kernel_drops: run.coverage.lost() };
        let decoder = Decoder { pkts: tally.packets, bytes: tally.bytes, invalid: tally.malformed };
        Self {
            timestamp: tally.last.iso8601(),
            in_iface,
            event_type: "stats",
            stats: Stats {
                uptime: tally.seconds(),
                capture,
                decoder,
                detect: Detect { alert: tally.alerts, alerts_suppressed },
            },
            metadata: Counters::of(run),
        }
    }

    /// The same of a run that goes on, at a time of the clock, so long after it began.
    pub fn at(self, time: Timestamp, uptime: Duration) -> Self {
        let stats = Stats { uptime: uptime.as_secs(), ..self.stats };
        Self { timestamp: time.iso8601(), stats, ..self }
    }
}
