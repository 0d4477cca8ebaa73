//! Kitsune's table.

use crate::read;
use legonf_core::{
    Encapsulation, Fragment, Headers, Icmp, Inner, Layer, Link, Mac, Malformed, Network, Timestamp, Transport,
};
use proptest::prelude::*;
use std::net::IpAddr;

const NAMES: &str = "frame.time_epoch\tframe.len\teth.src\teth.dst\tip.src\tip.dst\ttcp.srcport\ttcp.dstport\t\
                     udp.srcport\tudp.dstport\ticmp.type\ticmp.code\tarp.opcode\tarp.src.hw_mac\t\
                     arp.src.proto_ipv4\tarp.dst.hw_mac\tarp.dst.proto_ipv4\tipv6.src\tipv6.dst\n";

/// A row with the given cells, by column, besides time, length and the Ethernet addresses.
fn row(cells: &[(usize, &str)]) -> String {
    let mut row = [""; 19];
    row[..4].copy_from_slice(&["1.5", "60", "02:00:00:00:00:01", "02:00:00:00:00:02"]);
    for (column, cell) in cells {
        row[*column] = cell;
    }
    row.join("\t") + "\n"
}

fn only(text: &str) -> Headers {
    let run = read(text.as_bytes());
    assert_eq!((run.message(), run.headers.len()), (String::new(), 1), "{text}");
    run.headers[0]
}

fn expected(ethertype: u16, outer: Layer, inner: Option<Inner>) -> Headers {
    let mac = |last| Mac([2, 0, 0, 0, 0, last]);
    Headers {
        seq: 0,
        timestamp: Timestamp::from_nanos(1_500_000_000),
        shift: 0,
        wire_len: 60,
        link: Some(Link { src: mac(1), dst: mac(2), ethertype, vlan: None }),
        outer,
        inner,
        malformed: None,
    }
}

fn layer(network: Network, src: &str, dst: &str) -> Layer {
    let address = |text: &str| text.parse::<IpAddr>().ok();
    Layer { network, src: address(src), dst: address(dst), fragment: Fragment::Whole, ..Layer::default() }
}

const IP: [(usize, &str); 2] = [(4, "10.0.0.1"), (5, "10.0.0.2")];
const TCP: [(usize, &str); 2] = [(6, "1000"), (7, "80")];
const UDP: [(usize, &str); 2] = [(8, "2000"), (9, "53")];
const ICMP: [(usize, &str); 2] = [(10, "3"), (11, "1")];
const IP6: [(usize, &str); 2] = [(17, "fe80::1"), (18, "ff02::1")];

fn v4() -> Layer {
    layer(Network::Ipv4, "10.0.0.1", "10.0.0.2")
}

fn v6() -> Layer {
    layer(Network::Ipv6, "fe80::1", "ff02::1")
}

fn tcp(layer: Layer) -> Layer {
    Layer { transport: Transport::Tcp, ports: Some((1000, 80)), ..layer }
}

fn udp(layer: Layer) -> Layer {
    Layer { transport: Transport::Udp, ports: Some((2000, 53)), ..layer }
}

fn icmp(layer: Layer) -> Layer {
    Layer { transport: Transport::Icmp(Icmp { kind: 3, code: 1 }), ..layer }
}

fn inner(by: Encapsulation, layer: Layer) -> Option<Inner> {
    Some(Inner { by, layer })
}

#[test]
fn plain_packets() {
    let none = Layer::default();
    let arp = [(12, "1"), (14, "10.0.0.1"), (16, "10.0.0.2")];
    let arp_layer = layer(Network::Arp, "10.0.0.1", "10.0.0.2");
    assert_eq!(only(&row(&[])), expected(0, none, None));
    assert_eq!(only(&row(&IP)), expected(0x0800, v4(), None));
    assert_eq!(only(&row(&[IP, TCP].concat())), expected(0x0800, tcp(v4()), None));
    assert_eq!(only(&row(&[IP, UDP].concat())), expected(0x0800, udp(v4()), None));
    assert_eq!(only(&row(&[IP, ICMP].concat())), expected(0x0800, icmp(v4()), None));
    assert_eq!(only(&row(&[IP6, UDP].concat())), expected(0x86dd, udp(v6()), None));
    assert_eq!(only(&row(&arp)), expected(0x0806, arp_layer, None));
    let reverse = [(12, "3"), (14, "10.0.0.1"), (16, "10.0.0.2")];
    assert_eq!(only(&row(&reverse)), expected(0x8035, arp_layer, None));
}

#[test]
fn packets_inside_packets() {
    use Encapsulation::{IpInIp, Quoted, Vxlan};
    let bare = Layer { network: Network::Ipv4, ..Layer::default() };
    let six = Layer { transport: Transport::Other(41), ..v4() };
    for (cells, outer, inside) in [
        ([&IP[..], &TCP, &ICMP].concat(), icmp(v4()), inner(Quoted, tcp(bare))),
        ([&IP[..], &UDP, &ICMP].concat(), icmp(v4()), inner(Quoted, udp(bare))),
        ([&IP[..], &IP6, &ICMP].concat(), icmp(v4()), inner(Quoted, v6())),
        ([&IP[..], &TCP, &UDP].concat(), udp(v4()), inner(Vxlan(0), tcp(Layer::default()))),
        ([&IP[..], &IP6, &TCP, &UDP].concat(), udp(v4()), inner(Vxlan(0), tcp(v6()))),
        ([&IP[..], &IP6, &TCP].concat(), six, inner(IpInIp, tcp(v6()))),
        ([&IP[..], &IP6].concat(), six, inner(IpInIp, v6())),
    ] {
        assert_eq!(only(&row(&cells)), expected(0x0800, outer, inside), "{cells:?}");
    }
}

#[test]
fn gaps_are_malformed_packets() {
    let reason = |cells: &[(usize, &str)]| only(&row(cells)).malformed;
    assert_eq!(reason(&[(4, "10.0.0.1")]), Some(Malformed::BadIpv4));
    assert_eq!(reason(&[(17, "fe80::1")]), Some(Malformed::BadIpv6));
    assert_eq!(reason(&[(12, "1")]), Some(Malformed::BadArp));
    assert_eq!(reason(&[IP[0], IP[1], TCP[0]]), Some(Malformed::TransportTooShort));
    assert_eq!(reason(&[(2, ""), (3, "")]), Some(Malformed::LinkTooShort));
    let raw = only(&row(&[IP[0], IP[1], (2, ""), (3, "")]));
    assert_eq!((raw.link, raw.malformed, raw.outer), (None, None, v4()));
}

#[test]
fn names_quotes_and_line_ends_make_no_difference() {
    let plain = row(&[IP, TCP].concat());
    let headers = only(&plain);
    let quote = |text: &str| {
        let cells: Vec<_> = text.trim_end().split('\t').map(|c| format!("\"{c}\"")).collect();
        cells.join("\t") + "\n"
    };
    // Trailing tabs are empty cells, so the row is cut at its line break only.
    let quoted =
        plain.strip_suffix('\n').map(|r| r.split('\t').map(|c| format!("\"{c}\"")).collect::<Vec<_>>());
    let quoted = quoted.unwrap().join("\t") + "\n";
    for text in [
        NAMES.to_owned() + &plain,
        quote(NAMES) + &quoted,
        NAMES.replace('\n', "\r\n") + &plain.replace('\n', "\r\n"),
        format!("\u{feff}{NAMES}{plain}"),
        plain.strip_suffix('\n').unwrap().to_owned(),
    ] {
        assert_eq!(only(&text), headers, "{text}");
    }
    assert!(read(NAMES.as_bytes()).headers.is_empty());
}

#[test]
fn wrong_rows_name_line_and_column() {
    let good = row(&IP);
    let fault = |second: String| read(format!("{good}{second}").as_bytes()).message();
    let read_before = "; the 1 packet before it was read";
    for (cell, reason) in [
        ((0, "1e9"), "column frame.time_epoch: \"1e9\" is not a time in decimal seconds"),
        ((0, ""), "column frame.time_epoch: \"\" is not a time in decimal seconds"),
        ((1, "-60"), "column frame.len: \"-60\" is not a length in bytes"),
        ((2, "02:00"), "column eth.src: \"02:00\" is not an Ethernet address"),
        ((4, "10.0.0"), "column ip.src: \"10.0.0\" is not an IPv4 address"),
        ((7, "99999"), "column tcp.dstport: \"99999\" is not a port number (0 to 65535)"),
        ((10, "300"), "column icmp.type: \"300\" is not an ICMP type (0 to 255)"),
        ((18, "fe80"), "column ipv6.dst: \"fe80\" is not an IPv6 address"),
    ] {
        assert_eq!(fault(row(&[cell])), format!("x: line 2: {reason}{read_before}"));
    }
    let list = fault(row(&[(4, "10.0.0.1,10.0.0.2")]));
    assert!(list.contains("export with `-E occurrence=f`"), "{list}");
    let narrow = fault("1.5\t60\n".into());
    assert_eq!(narrow, format!("x: line 2: expected 19 columns, found 2{read_before}"));
    assert!(fault("\n".into()).contains("expected 19 columns, found 1"));
    let cut = fault("1.5\t60\t02:0".into());
    assert_eq!(cut, format!("x: cut off inside packet 1 (byte {}){read_before}", good.len()));
    let endless = fault("9".repeat(100_000));
    assert_eq!(endless, format!("x: line 2: it is longer than any row{read_before}"));
    let renamed = read(NAMES.replace("tcp.srcport", "sport").as_bytes()).message();
    assert_eq!(renamed, "x: line 1: column 7 is named \"sport\", expected tcp.srcport");
}

#[test]
fn columns_in_any_order_and_more_of_them_read_the_same() {
    let (names, plain) = (NAMES.trim_end(), row(&[IP, TCP].concat()));
    let headers = only(&plain);
    let cells: Vec<_> = plain.strip_suffix('\n').unwrap().split('\t').zip(names.split('\t')).collect();
    let mut turned: Vec<_> = cells.iter().rev().copied().collect();
    turned.insert(4, ("64", "ip.ttl"));
    let line =
        |part: fn(&(&str, &str)) -> String| turned.iter().map(part).collect::<Vec<_>>().join("\t") + "\n";
    let table = line(|(_, name)| (*name).into()) + &line(|(cell, _)| (*cell).into());
    assert_eq!(only(&table), headers, "{table}");
    let missing = read(table.replace("ip.src", "ip.source").as_bytes()).message();
    assert_eq!(missing, "x: line 1: 1 column is missing; export the table with -e ip.src as well");
    let narrow = read((line(|(_, name)| (*name).into()) + &plain).as_bytes()).message();
    assert_eq!(narrow, "x: line 2: expected 20 columns, found 19");
}

#[test]
fn dates_are_read_where_they_are_clear_and_named_where_not() {
    let dated = |date: &str| row(&[(0, date)]);
    assert_eq!(only(&dated("1970-01-01T00:00:01.5Z")), only(&row(&[])));
    for date in ["Nov 28, 2026 03:13:31.123456789 UTC", "2026-11-28 03:13:31.5"] {
        for text in [dated(date), NAMES.to_owned() + &dated(date)] {
            let message = read(text.as_bytes()).message();
            let named =
                format!("column frame.time_epoch: {date:?} is not a time in decimal seconds, but a date; ");
            assert!(message.contains(&named) && message.contains("tshark -t e"), "{message}");
            assert!(!message.contains("occurrence"), "{message}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        packets in prop::collection::vec(
            (0..i64::MAX, any::<u32>(), any::<[u8; 4]>(), any::<[u8; 16]>(), any::<(u16, u16)>(), any::<[u8; 6]>()),
            1..300),
    ) {
        let (mut text, mut expected) = (String::new(), Vec::new());
        for (nanos, wire_len, v4, v6, ports, mac) in &packets {
            let (time, mac) = (Timestamp::from_nanos(*nanos).to_string(), Mac(*mac));
            let (a, b) = (IpAddr::from(*v4), IpAddr::from(*v6));
            let six = wire_len % 2 == 1;
            let address = if six { b } else { a };
            let (left, right) = if six { (String::new(), b.to_string()) } else { (a.to_string(), String::new()) };
            text += &format!(
                "{time}\t{wire_len}\t{mac}\t{mac}\t{left}\t{left}\t{}\t{}{}{right}\t{right}\n",
                ports.0, ports.1, "\t".repeat(10));
            expected.push((*nanos, *wire_len, mac, address, *ports));
        }
        let run = read(text.as_bytes());
        prop_assert_eq!(run.message(), "");
        let seen: Vec<_> = run.headers.iter().map(|h| {
            let link = h.link.unwrap();
            assert_eq!((link.src, h.outer.src, h.outer.transport), (link.dst, h.outer.dst, Transport::Tcp));
            (h.timestamp.as_nanos(), h.wire_len, link.src, h.outer.src.unwrap(), h.outer.ports.unwrap())
        }).collect();
        prop_assert_eq!(seen, expected);
    }
}
