//! The fields of a packet as the published Kitsune's tshark export has them.

use legonf_core::{Headers, Icmp, Layer, Network, Transport};
use std::net::IpAddr;

/// The column of each field; hardware addresses of ARP (13, 15) are not kept by the parser.
pub const COLUMNS: [&str; 17] = [
    "frame.time_epoch",
    "frame.len",
    "eth.src",
    "eth.dst",
    "ip.src",
    "ip.dst",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "icmp.type",
    "icmp.code",
    "arp.opcode",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
    "ipv6.src",
    "ipv6.dst",
];

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

/// The first layer of a kind, from the outside.
fn first<T>(headers: &Headers, of: impl Fn(&Layer) -> Option<T>) -> Option<T> {
    of(&headers.outer).or_else(|| headers.inner.as_ref().and_then(|i| of(&i.layer)))
}

fn addresses(headers: &Headers, network: Network) -> [String; 2] {
    let pair = first(headers, |l| (l.network == network).then_some((l.src, l.dst)));
    let (src, dst): (Option<IpAddr>, Option<IpAddr>) = pair.unwrap_or_default();
    [text(src), text(dst)]
}

fn ports(headers: &Headers, transport: Transport) -> [String; 2] {
    let pair = first(headers, |l| if l.transport == transport { l.ports } else { None });
    [text(pair.map(|p| p.0)), text(pair.map(|p| p.1))]
}

fn icmp(headers: &Headers) -> Option<Icmp> {
    first(headers, |l| if let Transport::Icmp(icmp) = l.transport { Some(icmp) } else { None })
}

/// The fields of one packet in the order of [`COLUMNS`]; the operation of ARP is only `1` or nothing.
pub fn columns(headers: &Headers) -> Vec<String> {
    let mut out = vec![headers.timestamp.to_string(), headers.wire_len.to_string()];
    out.push(text(headers.link.map(|l| l.src)));
    out.push(text(headers.link.map(|l| l.dst)));
    out.extend(addresses(headers, Network::Ipv4));
    out.extend(ports(headers, Transport::Tcp));
    out.extend(ports(headers, Transport::Udp));
    out.extend([text(icmp(headers).map(|i| i.kind)), text(icmp(headers).map(|i| i.code))]);
    out.push(text(first(headers, |l| (l.network == Network::Arp).then_some(1))));
    out.extend(addresses(headers, Network::Arp));
    out.extend(addresses(headers, Network::Ipv6));
    out
}

/// The same fields of one row of the 19-column export.
pub fn of_row(row: &str) -> Vec<String> {
    let mut cells: Vec<String> = row.split('\t').map(str::to_owned).collect();
    cells.remove(15);
    cells.remove(13);
    if !cells[12].is_empty() {
        cells[12] = "1".to_owned();
    }
    cells
}
