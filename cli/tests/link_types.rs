//! Link types, tags and tunnels: whatever stands around a packet, its own addresses and ports are found; a packet of a
//! link type that is not parsed is one rejected packet.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{fail, fault, succeed, text, trained};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The alerts of a replay in which every packet that is scored is one.
fn alerts(folder: &Path, capture: &str) -> Vec<Value> {
    let model = text(trained(folder, "kitsune-115"));
    let out = text(folder.join("out"));
    succeed(["replay", "--no-warm-up", capture, "--model", &model, "--threshold=-1", "--out", &out]);
    let lines = fs::read_to_string(folder.join("out/eve.json")).unwrap();
    let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["event_type"] == "alert").collect()
}

/// A capture of one packet.
fn capture(folder: &Path, link: u32, packet: &[u8]) -> String {
    let len = (packet.len() as u32).to_le_bytes();
    let head =
        [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0, 0, 4, 0], &link.to_le_bytes()].concat();
    let path = folder.join("one.pcap");
    fs::write(&path, [&head[..], &[1, 0, 0, 0, 0, 0, 0, 0], &len, &len, packet].concat()).unwrap();
    text(path)
}

fn ip(protocol: u8, src: [u8; 4], body: &[u8]) -> Vec<u8> {
    let len = (20 + body.len() as u16).to_be_bytes();
    [&[0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, protocol, 0, 0][..], &src, &[198, 51, 100, 2], body].concat()
}

fn udp(src: u16, dst: u16, body: &[u8]) -> Vec<u8> {
    let len = 8 + body.len() as u16;
    [&[src, dst, len, 0].map(u16::to_be_bytes).concat(), body].concat()
}

fn ethernet(ethertype: u16, body: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &ethertype.to_be_bytes(), body].concat()
}

#[test]
fn the_packet_behind_each_header_is_found() {
    for (file, proto, port) in [
        ("bigtcp6-no-hbh.pcap", "TCP", 443),
        ("etag.pcap", "UDP", 53),
        ("nflog.pcap", "UDP", 53),
        ("ppp.pcap", "UDP", 53),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let alerts = alerts(folder.path(), &text(fault(file)));
        assert_eq!(alerts.len(), 1, "{file}");
        assert_eq!((&alerts[0]["proto"], &alerts[0]["src_port"]), (&proto.into(), &4321.into()), "{file}");
        assert_eq!(alerts[0]["dest_port"], port, "{file}");
    }
}

#[test]
fn alerts_name_the_packet_in_a_tunnel_and_the_one_around_it() {
    let inner = ip(17, [10, 0, 0, 1], &udp(4321, 53, b"hello"));
    let frame = ethernet(0x0800, &inner);
    let geneve = [&[0, 0, 0x65, 0x58, 0, 0, 7, 0][..], &frame].concat();
    let gtp = [&[0x30, 255, 0, inner.len() as u8, 0, 0, 0, 7][..], &inner].concat();
    let erspan = [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 9, 0, 0, 0, 7][..], &frame].concat();
    for (protocol, body, source) in [
        (17, udp(40010, 6081, &geneve), "geneve encapsulation"),
        (17, udp(2152, 2152, &gtp), "gtp-u tunnel"),
        (47, erspan, "erspan tunnel"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let packet = ethernet(0x0800, &ip(protocol, [192, 0, 2, 1], &body));
        let alert = alerts(folder.path(), &capture(folder.path(), 1, &packet)).remove(0);
        assert_eq!((&alert["src_ip"], &alert["dest_port"]), (&"10.0.0.1".into(), &53.into()), "{source}");
        assert_eq!((&alert["tunnel"]["src_ip"], &alert["pkt_src"]), (&"192.0.2.1".into(), &source.into()));
    }
}

#[test]
fn a_record_that_cannot_be_read_is_one_rejected_packet() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let (mixed, out) = (text(fault("eth_can.pcapng")), folder.path().join("out"));
    for workers in ["fused", "source batching | extractor x2 | mapping autoencoder | decision sink"] {
        let report = succeed([
            "replay",
            &mixed,
            "--model",
            &model,
            "--out",
            &text(&out),
            "--workers",
            workers,
            "--json",
        ]);
        let report: Value = serde_json::from_str(&report).unwrap();
        let coverage =
            serde_json::json!({"received": 17, "scored": 10, "rejected": {"link-type": 7}, "dropped": {}});
        assert_eq!(report["coverage"], coverage);
        let scores = fs::read_to_string(out.join("scores.csv")).unwrap();
        let rejected: Vec<_> = scores.lines().filter(|line| line.ends_with(",NaN,rejected")).collect();
        assert_eq!((scores.lines().count(), rejected.len()), (18, 7));
        assert!(rejected[0].starts_with("4,"), "{}", rejected[0]);
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn rejected_packets_are_accounted_for_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let json = |arguments: &[&str]| serde_json::from_str::<Value>(&succeed(arguments)).unwrap();
    let (mixed, model) = (text(fault("eth_can.pcapng")), text(trained(folder.path(), "kitsune-115")));
    let (ours, table) = (path("own.onnx"), path("rows.npy"));
    let sizes = ["--feature-mapping-packets", "2", "--training-packets", "6"];
    let train = [&["train", "kitsune", &mixed, "-o", &ours, "--schema", "kitsune-115", "--json"][..], &sizes]
        .concat();
    let report = json(&train);
    assert_eq!((&report["packets"], &report["skipped"]), (&9.into(), &5.into()));
    let report = json(&["features", &mixed, "-o", &table, "--schema", "kitsune-115", "--json"]);
    assert_eq!((&report["rows"], &report["rejected"]), (&17.into(), &7.into()));
    let report = json(&["replay", "--no-warm-up", &table, "--model", &model, "--json"]);
    assert_eq!(
        (&report["coverage"]["scored"], &report["coverage"]["rejected"]["link-type"]),
        (&10.into(), &7.into())
    );
    let calibrate =
        ["calibrate", &model, &mixed, "--method", "alarm-budget", "--alarms-per-day", "1e9", "--json"];
    let report = json(&calibrate);
    let scored = report["samples"].as_u64().unwrap() + report["held_out"]["samples"].as_u64().unwrap();
    assert_eq!((scored, &report["rejected"]), (10, &7.into()));
}

#[test]
fn a_capture_of_a_link_type_that_is_not_parsed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let refused = fail(["replay", "--no-warm-up", &capture(folder.path(), 227, &[0; 16]), "--model", &model]);
    assert!(
        refused.contains("link type 227 (SocketCAN) is not supported; supported: Ethernet (1)"),
        "{refused}"
    );
}
