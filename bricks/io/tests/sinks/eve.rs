use super::{batch, bound, features, on_a_full_disk, scores, verdicts, written, written_twice};
use legonf_core::{
    Batch, Coverage, Encapsulation, Explain, Explanation, FeatureShare, GroupShare, Headers, Icmp, Inner,
    Layer, Link, Mac, Malformed, Network, Sink, Transport, Verdict,
};
use legonf_io::sink::{Eve, RunStats};
use std::fs;
use std::path::Path;

fn plain(path: &Path) -> Eve {
    Eve::create(path, 10.0, None).unwrap()
}

fn lines(bytes: Vec<u8>) -> Vec<String> {
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// One anomalous packet with the given link and network layers.
fn alert(link: Option<Link>, outer: Layer) -> Batch {
    let mut one = batch(0);
    let headers = Headers { link, outer, ..one.headers[1] };
    one.packets.clear();
    one.headers = vec![headers];
    *scores(&mut one) = vec![12.5];
    *verdicts(&mut one) = vec![Verdict::ANOMALOUS];
    one
}

const LINK: Link =
    Link { src: Mac([2, 0, 0, 0, 0, 1]), dst: Mac([2, 0, 0, 0, 0, 2]), ethertype: 0x0800, vlan: Some(7) };

fn tcp() -> Layer {
    Layer {
        network: Network::Ipv4,
        src: Some("10.0.0.1".parse().unwrap()),
        dst: Some("10.0.0.2".parse().unwrap()),
        transport: Transport::Tcp,
        ports: Some((1443, 80)),
        ..Layer::default()
    }
}

#[test]
fn an_alert_is_literal() {
    let lines = lines(written_twice("eve.json", plain, &[alert(Some(LINK), tcp())]));
    assert_eq!(
        lines[0],
        concat!(
            r#"{"timestamp":"2023-11-14T22:13:21.123456+0000","pcap_cnt":2,"event_type":"alert","vlan":[7],"#,
            r#""src_ip":"10.0.0.1","src_port":1443,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","#,
            r#""pkt_src":"wire/pcap","ether":{"src_mac":"02:00:00:00:00:01","dest_mac":"02:00:00:00:00:02"},"#,
            r#""alert":{"action":"allowed","gid":1,"signature_id":1000001,"rev":1,"#,
            r#""signature":"legonf kitsune: anomalous packet","category":"Potentially Bad Traffic","severity":2},"#,
            r#""legonf":{"seq":1,"score":12.5,"threshold":10.0,"coverage":{"received":1,"scored":1,"rejected":{},"dropped":{}}}}"#
        )
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_packet_in_a_tunnel_is_named_with_the_one_around_it() {
    let outer = Layer { transport: Transport::Udp, ports: Some((40010, 6081)), ..tcp() };
    let layer = Layer { src: Some("192.168.0.7".parse().unwrap()), ..tcp() };
    let of = |by| {
        let mut batch = alert(Some(LINK), outer);
        batch.headers[0].inner = Some(Inner { by, layer });
        lines(written("eve.json", plain, &[batch])).remove(0)
    };
    let line = of(Encapsulation::Geneve(7));
    assert_eq!((field(&line, "src_ip"), field(&line, "src_port")), ("192.168.0.7".into(), 1443.into()));
    assert_eq!(
        (field(&line, "proto"), field(&line, "pkt_src")),
        ("TCP".into(), "geneve encapsulation".into())
    );
    assert!(
        line.contains(concat!(
            r#""tunnel":{"src_ip":"10.0.0.1","src_port":40010,"dest_ip":"10.0.0.2","dest_port":6081,"#,
            r#""proto":"UDP","depth":1,"pkt_src":"wire/pcap"}"#
        )),
        "{line}"
    );
    assert_eq!(field(&of(Encapsulation::IpInIp), "pkt_src"), "ipv4 tunnel");
    let quoted = of(Encapsulation::Quoted);
    assert_eq!(
        (field(&quoted, "src_ip"), field(&quoted, "tunnel")),
        ("10.0.0.1".into(), serde_json::Value::Null)
    );
}

#[test]
fn packets_that_are_not_parsed_are_rejected_by_link_type() {
    let mut unread = batch(0);
    let (header, score, verdict) = (unread.headers[0], f64::NAN, Verdict::REJECTED);
    unread.headers.push(Headers { malformed: Some(Malformed::LinkType), ..header });
    scores(&mut unread).push(score);
    verdicts(&mut unread).push(verdict);
    unread.packets.clear();
    let lines = lines(written("eve.json", plain, &[unread]));
    let coverage = r#""coverage":{"received":5,"scored":3,"rejected":{"link-type":1,"non-finite-score":1},"dropped":{}}"#;
    assert!(lines[1].contains(coverage), "{}", lines[1]);
}

#[test]
fn the_closing_record_counts_what_was_seen() {
    let lines = lines(written_twice("eve.json", plain, &[batch(0)]));
    assert_eq!(
        lines[1],
        concat!(
            r#"{"timestamp":"2023-11-14T22:13:23.123456+0000","event_type":"stats","stats":{"uptime":3,"#,
            r#""capture":{"kernel_packets":4,"kernel_drops":0},"decoder":{"pkts":4,"bytes":240,"invalid":0},"#,
            r#""detect":{"alert":1}},"legonf":{"coverage":{"received":4,"scored":3,"#,
            r#""rejected":{"non-finite-score":1},"dropped":{}},"counters":{}}}"#
        )
    );
}

#[test]
fn the_run_may_say_more() {
    let mut coverage = Coverage { received: 9, scored: 4, ..Coverage::default() };
    coverage.dropped.insert("queue-full".into(), 5);
    let stats = RunStats { coverage, counters: [("evictions".to_owned(), 3)].into() };
    let create = |path: &Path| {
        let eve = plain(path);
        eve.stats().set(stats.clone());
        eve
    };
    let lines = lines(written("eve.json", create, &[]));
    assert_eq!(
        lines,
        [concat!(
            r#"{"timestamp":"1970-01-01T00:00:00.000000+0000","event_type":"stats","stats":{"uptime":0,"#,
            r#""capture":{"kernel_packets":9,"kernel_drops":5},"decoder":{"pkts":0,"bytes":0,"invalid":0},"#,
            r#""detect":{"alert":0}},"legonf":{"coverage":{"received":9,"scored":4,"rejected":{},"#,
            r#""dropped":{"queue-full":5}},"counters":{"evictions":3}}}"#
        )]
    );
}

fn field(line: &str, name: &str) -> serde_json::Value {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record.get(name).cloned().unwrap_or_default()
}

#[test]
fn protocols_have_their_names() {
    let icmp = Icmp { kind: 3, code: 1 };
    for (network, transport, expected) in [
        (Network::Ipv4, Transport::Udp, "UDP"),
        (Network::Ipv4, Transport::Icmp(icmp), "ICMP"),
        (Network::Ipv6, Transport::Icmpv6(icmp), "IPv6-ICMP"),
        (Network::Arp, Transport::None, "ARP"),
        (Network::Ipv4, Transport::Other(47), "GRE"),
        (Network::Ipv4, Transport::Other(200), "200"),
    ] {
        let layer = Layer { network, transport, ..Layer::default() };
        let lines = lines(written("eve.json", plain, &[alert(None, layer)]));
        assert_eq!(field(&lines[0], "proto"), expected);
        assert_eq!(field(&lines[0], "icmp_type").as_u64(), expected.contains("ICMP").then_some(3));
    }
}

#[test]
fn what_a_packet_has_not_is_left_out() {
    let lines = lines(written("eve.json", plain, &[alert(None, Layer::default())]));
    for absent in ["src_ip", "dest_ip", "src_port", "dest_port", "proto", "ether", "vlan", "icmp_type"] {
        assert!(field(&lines[0], absent).is_null(), "{absent}");
    }
    assert_eq!(field(&lines[0], "pcap_cnt"), 2);
}

/// Explains more than was asked for.
struct Chatty;

impl Explain for Chatty {
    fn explain(&self, features: &[f64], top: usize) -> Explanation {
        let feature = |i: usize| FeatureShare {
            feature: format!("f{i}"),
            group: "MI".into(),
            decay: Some(0.1),
            expected: 0.5,
            observed: features[i],
        };
        let group = |autoencoder| GroupShare {
            autoencoder,
            rmse: 2.5,
            share: 0.25,
            features: (0..features.len()).map(feature).collect(),
        };
        Explanation { groups: (0..top + 2).map(group).collect() }
    }
}

#[test]
fn alerts_say_why() {
    let mut one = alert(None, tcp());
    features(&mut one).reset(1, 5);
    features(&mut one).row_mut(0).copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    let create = |path: &Path| Eve::create(path, 10.0, Some(Box::new(Chatty))).unwrap();
    let lines = lines(written("eve.json", create, &[one]));
    let groups = field(&lines[0], "legonf")["explanation"]["groups"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 3);
    assert_eq!(groups[2]["features"].as_array().unwrap().len(), 3);
    assert_eq!(
        groups[0]["features"][1].to_string(),
        r#"{"feature":"f1","group":"MI","decay":0.1,"expected":0.5,"observed":2.0}"#
    );
}

#[test]
fn a_table_of_headers_or_bare_packets_will_do() {
    for strip in [|b: &mut Batch| b.packets.clear(), |b: &mut Batch| b.headers.clear()] {
        let mut stripped = batch(8);
        strip(&mut stripped);
        let lines = lines(written("eve.json", plain, &[stripped]));
        assert_eq!(field(&lines[0], "legonf")["seq"], 9);
        assert_eq!(field(&lines[1], "stats")["decoder"]["bytes"], 240);
    }
}

#[test]
fn faults_name_the_file() {
    assert_eq!(on_a_full_disk(plain), "cannot write /dev/full: the disk is full");
}

#[test]
fn without_finish_the_file_stays_partial() {
    let dir = tempfile::tempdir().unwrap();
    let mut eve = bound(plain(&dir.path().join("eve.json")));
    eve.write(&alert(None, tcp())).unwrap();
    assert_eq!(eve.alerts(), 1);
    drop(eve);
    let partial = fs::read_to_string(dir.path().join("eve.json.partial")).unwrap();
    assert!(partial.ends_with("}\n") && !dir.path().join("eve.json").exists());
}
