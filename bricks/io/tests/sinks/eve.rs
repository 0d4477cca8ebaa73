use super::{batch, bound, features, on_a_full_disk, scores, verdicts, written, written_twice};
use legonf_core::{
    Activity, Batch, Coverage, Encapsulation, Explain, Explanation, FeatureShare, Findings, GroupShare,
    Headers, Icmp, Incident, Inner, Layer, Link, Mac, Malformed, Network, Notice, Origin, Sink, Timestamp,
    Transport, Verdict,
};
use legonf_io::sink::{AlertRate, Eve, RunStats};
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
            r#"{"timestamp":"2023-11-14T22:13:21.123456+0000","flow_id":1282384777616453,"pcap_cnt":2,"event_type":"alert","vlan":[7],"#,
            r#""src_ip":"10.0.0.1","src_port":1443,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP","#,
            r#""pkt_src":"wire/pcap","ether":{"src_mac":"02:00:00:00:00:01","dest_mac":"02:00:00:00:00:02"},"#,
            r#""community_id":"1:kcpPJFOIthrvff1OdXKHpC3T7q8=","#,
            r#""alert":{"action":"allowed","gid":1,"signature_id":1940000,"rev":1,"#,
            r#""signature":"legonf: anomalous packet","category":"Potentially Bad Traffic","severity":3,"#,
            r#""metadata":{"legonf":{"seq":1,"score":12.5,"threshold":10.0}}}}"#
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
    let coverage = concat!(
        r#""flowints":{"legonf.received":5,"legonf.rejected.link-type":1,"#,
        r#""legonf.rejected.non-finite-score":1,"legonf.scored":3}"#
    );
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
            r#""detect":{"alert":1}},"metadata":{"flowints":{"legonf.received":4,"#,
            r#""legonf.rejected.non-finite-score":1,"legonf.scored":3}}}"#
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
            r#""detect":{"alert":0}},"metadata":{"flowints":{"legonf.dropped.queue-full":5,"#,
            r#""legonf.evictions":3,"legonf.received":9,"legonf.scored":4}}}"#
        )]
    );
}

fn field(line: &str, name: &str) -> serde_json::Value {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record.get(name).cloned().unwrap_or_default()
}

/// What Suricata has no field for.
fn detail(line: &str) -> serde_json::Value {
    field(line, "alert")["metadata"]["legonf"].clone()
}

fn incident() -> Incident {
    let source = Origin::Ip("10.0.0.1".parse().unwrap());
    let (since, until) = (Timestamp::new(1_700_000_000, 0), Timestamp::new(1_700_000_009, 0));
    let activity = Activity::PortScan;
    Incident { source, sources: 1, activity, since, until, packets: 7, ..Incident::default() }
}

#[test]
fn incidents_come_before_the_packet_at_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let mut eve = bound(plain(&path)).on_interface("eth7".into()).limited(AlertRate::default());
    let mut two = alert(Some(LINK), tcp());
    let second = Headers { seq: 5, ..two.headers[0] };
    two.headers.push(second);
    scores(&mut two).push(30.0);
    verdicts(&mut two).push(Verdict::ANOMALOUS);
    let closed = vec![(1, incident()), (2, Incident { activity: Activity::Flood, ..incident() })];
    eve.write_found(&two, &Findings { notices: vec![Notice::First, Notice::Higher], closed }).unwrap();
    eve.write_found(
        &two,
        &Findings { notices: vec![Notice::Further, Notice::Suppressed], closed: Vec::new() },
    )
    .unwrap();
    eve.write_incidents(&Findings { notices: Vec::new(), closed: vec![(0, incident())] }).unwrap();
    assert_eq!((eve.alerts(), eve.held_back()), (4, 1));
    eve.finish().unwrap();
    let lines = lines(fs::read(&path).unwrap());
    let kinds: Vec<_> = lines.iter().map(|line| field(line, "event_type")).collect();
    assert_eq!(kinds, ["alert", "incident", "alert", "incident", "incident", "held_back", "stats"]);
    assert!(lines.iter().all(|line| field(line, "in_iface") == "eth7"));
    let signatures = [0, 1, 3].map(|place| field(&lines[place], "alert")["signature_id"].clone());
    assert_eq!(signatures, [1_940_000, 1_940_002, 1_940_003]);
    assert_eq!(
        (detail(&lines[1])["packets"].clone(), field(&lines[1], "src_ip")),
        (7.into(), "10.0.0.1".into())
    );
    assert_eq!(detail(&lines[5])["sources"][0].to_string(), r#"{"src_ip":"10.0.0.1","alerts":1}"#);
    let untold = &field(&lines[6], "stats")["detect"]["alerts_suppressed"];
    assert_eq!(untold, 2);
}

#[test]
fn both_directions_are_one_flow() {
    let back = Layer { src: tcp().dst, dst: tcp().src, ports: Some((80, 1443)), ..tcp() };
    let names = [tcp(), back].map(|layer| {
        let line = lines(written("eve.json", plain, &[alert(None, layer)])).remove(0);
        (field(&line, "flow_id"), field(&line, "community_id"))
    });
    assert!(names[0] == names[1] && names[0].0.is_u64());
    let arp = Layer { network: Network::Arp, transport: Transport::None, ports: None, ..tcp() };
    let line = lines(written("eve.json", plain, &[alert(None, arp)])).remove(0);
    assert!(field(&line, "flow_id").is_null() && field(&line, "community_id").is_null());
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
            words: "packets a second".into(),
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
    let groups = detail(&lines[0])["explanation"]["groups"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 3);
    assert_eq!(groups[2]["features"].as_array().unwrap().len(), 3);
    assert_eq!(
        groups[0]["features"][1].to_string(),
        r#"{"feature":"f1","words":"packets a second","group":"MI","decay":0.1,"expected":0.5,"observed":2.0}"#
    );
}

#[test]
fn a_table_of_headers_or_bare_packets_will_do() {
    for strip in [|b: &mut Batch| b.packets.clear(), |b: &mut Batch| b.headers.clear()] {
        let mut stripped = batch(8);
        strip(&mut stripped);
        let lines = lines(written("eve.json", plain, &[stripped]));
        assert_eq!(detail(&lines[0])["seq"], 9);
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
