//! Packets that leave a graph: rewritten, dropped, mirrored and forwarded, into files and out of interfaces.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, root, succeed, text, trained};
use legonf_core::{Batch, LinkType};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A packet as it was captured: time in nanoseconds, length on the wire, link type and bytes.
type Captured = (i64, u32, LinkType, Vec<u8>);

fn captured(path: &Path) -> Vec<Captured> {
    let mut source = legonf_io::open(path).unwrap();
    let (mut batch, mut packets) = (Batch::default(), Vec::new());
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.is_empty() {
            return packets;
        }
        let one = |(r, bytes): (&legonf_core::PacketRecord, &[u8])| {
            (r.timestamp.as_nanos(), r.wire_len, r.link, bytes.to_vec())
        };
        packets.extend(batch.packets.iter().map(one));
    }
}

fn capture() -> PathBuf {
    example("synth-mini.pcap.gz")
}

fn graph(name: &str) -> String {
    text(root().join("examples/graphs").join(name))
}

/// Replays a capture through a graph into a folder, and gives what it reports.
fn replay(model: &Path, capture: &Path, nf: &str, out: &Path, more: &[&str]) -> Value {
    let (capture, model, out) = (text(capture), text(model), text(out));
    let mut arguments =
        vec!["replay", "--no-warm-up", &capture, "--model", &model, "--nf", nf, "--out", &out, "--json"];
    arguments.extend(more);
    serde_json::from_str(&succeed(arguments)).unwrap()
}

/// The verdict of every packet of a replay, by the rows of its table.
fn verdicts(out: &Path) -> Vec<(usize, String)> {
    let table = fs::read_to_string(out.join("scores.csv")).unwrap();
    let row = |line: &str| {
        let (seq, rest) = line.split_once(',').unwrap();
        (seq.parse().unwrap(), rest.rsplit_once(',').unwrap().1.to_owned())
    };
    table.lines().skip(1).map(row).collect()
}

/// Those of some packets that have a verdict.
fn of<'a>(packets: &'a [Captured], verdicts: &[(usize, String)], verdict: &str) -> Vec<&'a Captured> {
    verdicts.iter().filter(|(_, found)| found == verdict).map(|(seq, _)| &packets[*seq]).collect()
}

fn is_accounted_for(coverage: &Value) -> bool {
    let sum = |part: &str| coverage[part].as_object().unwrap().values().flat_map(Value::as_u64).sum::<u64>();
    coverage["received"].as_u64().unwrap()
        == coverage["scored"].as_u64().unwrap() + sum("rejected") + sum("dropped")
}

const LAYOUTS: [&str; 4] = [
    "fused",
    "pipeline",
    "source | batching extractor mapping autoencoder decision x3 | ACTS | sink",
    "source | batching extractor mapping autoencoder decision ACTS x2 | sink",
];

/// Replays in every layout, and checks that all write the same bytes.
fn in_every_layout(model: &Path, nf: &str, acts: &str, folder: &Path) -> (PathBuf, Value) {
    let files = |out: &Path| (contents(&out.join("forwarded")), fs::read(out.join("eve.json")).unwrap());
    let runs: Vec<_> = LAYOUTS
        .iter()
        .enumerate()
        .map(|(at, layout)| {
            let (layout, out) = (layout.replace("ACTS", acts), folder.join(format!("layout{at}")));
            let more = ["--threshold", "0.1", "--workers", &layout, "--oversubscribe"];
            let report = replay(model, &capture(), nf, &out, &more);
            (out, report)
        })
        .collect();
    for (out, report) in &runs[1..] {
        assert!(files(out) == files(&runs[0].0), "{}", out.display());
        assert_eq!(report["coverage"], runs[0].1["coverage"]);
        let scores = |out: &Path| fs::read(out.join("scores.csv")).unwrap();
        assert!(scores(out) == scores(&runs[0].0));
    }
    runs.into_iter().next().unwrap()
}

#[test]
fn anomalous_packets_leave_by_a_port_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    let (out, report) = in_every_layout(&model, &graph("quarantine.toml"), "action", folder.path());
    let (packets, verdicts) = (captured(&capture()), verdicts(&out));
    assert_eq!(verdicts.len(), packets.len());
    for (port, verdict) in [("out", "benign"), ("quarantine", "anomalous")] {
        let left = captured(&out.join(format!("forwarded/{port}.pcapng")));
        let expected = of(&packets, &verdicts, verdict);
        assert!(expected.len() > 100 && left.iter().eq(expected.iter().copied()), "{port}: {}", left.len());
    }
    assert!(is_accounted_for(&report["coverage"]));
    assert_eq!(report["coverage"]["scored"], packets.len());
    let outputs = report["outputs"].to_string();
    assert!(outputs.contains("forwarded/out.pcapng") && outputs.contains("forwarded/quarantine.pcapng"));
    // Scores and verdicts are those of the graph that acts on nothing, which forwards nothing either.
    let plain = folder.path().join("plain");
    replay(&model, &capture(), "kitsune", &plain, &["--threshold", "0.1"]);
    let scores = |out: &Path| fs::read(out.join("scores.csv")).unwrap();
    assert!(scores(&plain) == scores(&out) && !plain.join("forwarded").exists());
}

#[test]
fn dropped_packets_are_counted_and_the_others_are_tagged_and_mirrored() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    let (out, report) = in_every_layout(&model, &graph("tag.toml"), "action tag", folder.path());
    let (packets, verdicts) = (captured(&capture()), verdicts(&out));
    let tagged = |(time, wire_len, link, bytes): &Captured| {
        let tag = [0x81, 0x00, 0x60, 100];
        (*time, wire_len + 4, *link, [&bytes[..12], &tag, &bytes[12..]].concat())
    };
    let expected: Vec<_> = of(&packets, &verdicts, "benign").into_iter().map(tagged).collect();
    for port in ["out", "copy"] {
        assert!(captured(&out.join(format!("forwarded/{port}.pcapng"))) == expected, "{port}");
    }
    // What was dropped for its verdict has one: it is in the table, and raises an alert that says so.
    let dropped = of(&packets, &verdicts, "anomalous").len();
    let coverage = &report["coverage"];
    assert!(dropped > 100 && is_accounted_for(coverage), "{coverage}");
    assert_eq!((&coverage["dropped"]["verdict"], &report["alerts"]), (&dropped.into(), &dropped.into()));
    assert_eq!((&coverage["scored"], verdicts.len()), (&expected.len().into(), packets.len()));
    let eve = fs::read_to_string(out.join("eve.json")).unwrap();
    let records: Vec<Value> = eve.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let alerts = records.iter().filter(|record| record["event_type"] == "alert");
    assert!(alerts.clone().count() > 0 && alerts.into_iter().all(|r| r["alert"]["action"] == "blocked"));
    let counted = &records.last().unwrap()["metadata"]["flowints"];
    for (name, value) in [
        ("received", &coverage["received"]),
        ("scored", &coverage["scored"]),
        ("dropped.verdict", &dropped.into()),
    ] {
        assert_eq!(counted[format!("legonf.{name}")], *value, "{counted}");
    }
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["coverage"], *coverage);
}

/// A frame with an IPv4 packet without options, of another traffic class and with the right checksum of the header.
fn of_class(bytes: &[u8], class: u8) -> Vec<u8> {
    let mut frame = bytes.to_vec();
    frame[15] = class;
    frame[24..26].fill(0);
    let words = frame[14..34].as_chunks().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn packets_are_rewritten_on_one_way_and_not_on_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    let (out, report) = in_every_layout(&model, &graph("mark.toml"), "mark", folder.path());
    let (packets, verdicts) = (captured(&capture()), verdicts(&out));
    let left = captured(&out.join("forwarded/out.pcapng"));
    assert_eq!((left.len(), &report["coverage"]["scored"]), (packets.len(), &packets.len().into()));
    let mut rewritten = 0;
    for ((seq, verdict), (left, came)) in verdicts.iter().zip(left.iter().zip(&packets)) {
        let bytes = &came.3;
        let is_plain = bytes[12..15] == [0x08, 0x00, 0x45] && of_class(bytes, bytes[15]) == *bytes;
        if verdict == "anomalous" && is_plain {
            rewritten += 1;
            assert_eq!(left.3, of_class(bytes, 8 << 2 | bytes[15] & 3), "{seq}");
            assert_eq!((left.0, left.1, left.2), (came.0, came.1, came.2));
        } else if verdict == "benign" {
            assert_eq!(left, came, "{seq}");
        }
    }
    assert!(rewritten > 100, "{rewritten}");
}

#[test]
fn a_packet_that_was_cut_off_stays_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    // A pcap of the first packets, of which 40 bytes were kept.
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 40, 1].map(u32::to_le_bytes).concat();
    let packets = &captured(&capture())[..50];
    for (time, wire_len, _, bytes) in packets {
        let kept = &bytes[..bytes.len().min(40)];
        let (seconds, micros) = ((time / 1_000_000_000) as u32, (time / 1_000 % 1_000_000) as u32);
        file.extend([seconds, micros, kept.len() as u32, *wire_len].map(u32::to_le_bytes).concat());
        file.extend(kept);
    }
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, file).unwrap();
    let out = folder.path().join("out");
    replay(&model, &cut, &graph("quarantine.toml"), &out, &["--threshold", "1e9"]);
    let left = captured(&out.join("forwarded/out.pcapng"));
    assert!(
        left == captured(&cut) && left.iter().any(|(_, wire_len, _, bytes)| bytes.len() < *wire_len as usize)
    );
    assert!(captured(&out.join("forwarded/quarantine.pcapng")).is_empty());
}

#[test]
fn of_a_table_of_headers_nothing_is_forwarded_and_everything_counted() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    let (out, nf) = (folder.path().join("out"), graph("tag.toml"));
    let report = replay(&model, &example("synth-mini.pcap.tsv"), &nf, &out, &["--threshold", "0.1"]);
    assert!(is_accounted_for(&report["coverage"]));
    assert_eq!(report["coverage"]["dropped"]["verdict"], report["alerts"]);
    assert!(report["alerts"].as_u64() > Some(100), "{report}");
    for port in ["out", "copy"] {
        assert!(captured(&out.join(format!("forwarded/{port}.pcapng"))).is_empty());
    }
}

#[test]
fn packets_are_not_led_elsewhere_by_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    let (out, elsewhere) = (folder.path().join("out"), folder.path().join("elsewhere"));
    fs::create_dir(&out).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("forwarded")).unwrap();
    let (capture, nf, out) = (text(capture()), text(graph("quarantine.toml")), text(out));
    let line =
        fail(["replay", "--no-warm-up", &capture, "--model", &model, "--nf", &nf, "--out", &out, "--force"]);
    assert!(
        line.contains("forwarded: it is a link") && fs::read_dir(&elsewhere).unwrap().next().is_none(),
        "{line}"
    );
}

#[test]
fn ports_that_do_not_fit_are_refused_by_file_brick_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    let (capture, nf) = (text(capture()), text(folder.path().join("graph.toml")));
    let shipped = fs::read_to_string(graph("quarantine.toml")).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(shipped.contains(from));
        fs::write(&nf, shipped.replace(from, to)).unwrap();
        let out = text(folder.path().join("out"));
        let line = fail(["replay", "--no-warm-up", &capture, "--model", &model, "--nf", &nf, "--out", &out]);
        assert!(!Path::new(&out).exists() && line.starts_with(&nf), "{line}");
        line[nf.len() + 2..].to_owned()
    };
    assert_eq!(
        refused("forward:quarantine", "mirror:quarantin"),
        "brick `action`: [brick.config] of disposition: anomalous = \"mirror:quarantin\": the graph has no port \
         `quarantin`; add it to its ports = [\"out\", \"quarantine\"]"
    );
    assert_eq!(
        refused("forward:quarantine", "drop"),
        "ports: `quarantine` is a port that no brick sends packets to; take it out, or name it in a brick's configuration"
    );
    let twice = refused("\"out\", \"quarantine\"", "\"out\", \"out\"");
    assert_eq!(twice, "ports: `out` is there twice; every name must be unique");
    let odd = refused("rejected = \"drop\"", "odd = \"drop\"");
    assert!(odd.contains("brick `action`: the column verdicts has no verdict named `odd`"), "{odd}");
    let number = refused("rejected = \"drop\"", "rejected = 5");
    assert!(number.contains("[brick.config] of disposition: invalid type"), "{number}");
    assert!(number.ends_with(" in `actions.rejected`"), "{number}");
    let copy = refused("forward:quarantine", "mirror:out");
    assert!(
        copy.contains("anomalous = \"mirror:out\": packets leave by the first port themselves"),
        "{copy}"
    );
    let path = refused("\"out\", \"quarantine\"", "\"../out\", \"quarantine\"");
    assert!(path.starts_with("ports: `../out` is no name of a port"), "{path}");
    // A table of results cannot have two columns of one name.
    let decision = "kind = \"sample-result-quantization\"";
    let heading = refused(decision, &format!("{decision}\nconfig = {{ verdicts = \"seq\" }}"));
    assert!(
        heading.starts_with("brick `decision` (sample-result-quantization) fills `seq`: expected"),
        "{heading}"
    );
    let count = refused("\"action\"", "\"x2\"");
    assert!(count.starts_with("id = \"x2\": expected"), "{count}");
}

#[cfg(feature = "live")]
#[path = "common/veth.rs"]
mod veth;

#[cfg(feature = "live")]
mod live {
    use super::veth::{Bench, Pair, ip, json, listen, outlet, packets};
    use super::{fail, graph};
    use serde_json::Value;

    /// Runs a graph over the packets of the shipped capture, with more arguments.
    fn run(pair: &Pair, bench: &Bench, nf: &str, more: &[&str]) -> Value {
        let (packets, nf) = (packets(), graph(nf));
        let count = packets.len().to_string();
        let mut arguments = [&bench.live()[..], &["--nf", &nf, "--json"]].concat();
        arguments.extend(["--threshold", "0.1", "--packets", &count]);
        arguments.extend(more);
        let child = pair.start(&arguments);
        Pair::wait_for_listener(&child);
        pair.send(packets);
        let report = json(&child.wait_with_output().unwrap());
        assert!(super::is_accounted_for(&report["coverage"]), "{report}");
        assert_eq!(report["coverage"]["received"].to_string(), count);
        report
    }

    #[test]
    fn packets_leave_by_the_interfaces_of_their_ports() {
        let Some(pair) = Pair::new() else { return };
        outlet(&pair);
        let bench = Bench::of("kitsune-115-clean");
        let right = listen(&pair.names[0], "right");
        let more = ["--forward", "out=left", "--forward", "quarantine=none"];
        let report = run(&pair, &bench, "quarantine.toml", &more);
        let left = right.join().unwrap();
        let sent = report["live"]["sent"]["out"].as_u64().unwrap();
        let alerts = report["alerts"].as_u64().unwrap();
        assert!(alerts > 100 && sent > 100 && report["coverage"]["scored"] == sent + alerts, "{report}");
        // They are the captured ones, in their order.
        let packets = packets();
        let mut all = packets.iter();
        assert_eq!(left.len() as u64, sent);
        assert!(left.iter().all(|packet| all.any(|captured| captured == packet)));

        // Every packet with its tag, once by `out` and once more by `copy`.
        let right = listen(&pair.names[0], "right");
        let more = ["--forward", "out=none", "--forward", "copy=left"];
        let report = run(&pair, &bench, "tag.toml", &more);
        let left = right.join().unwrap();
        assert_eq!(left.len() as u64, report["live"]["sent"]["copy"].as_u64().unwrap());
        assert_eq!(report["coverage"]["scored"], left.len());
        assert_eq!(report["coverage"]["dropped"]["verdict"], report["alerts"]);
        let mut all = packets.iter();
        let untagged = |packet: &Vec<u8>| [&packet[..12], &packet[16..]].concat();
        assert!(left.iter().all(|packet| packet[12..16] == [0x81, 0x00, 0x60, 100]));
        assert!(left.iter().map(untagged).all(|packet| all.any(|captured| *captured == packet)));
    }

    #[test]
    fn what_cannot_be_sent_is_counted_and_ends_nothing() {
        let Some(pair) = Pair::new() else { return };
        outlet(&pair);
        let bench = Bench::of("kitsune-115-clean");
        ip(&format!("-n {} link set left mtu 200", pair.names[0])).unwrap();
        let more = ["--forward", "out=left", "--forward", "quarantine=none"];
        let report = run(&pair, &bench, "quarantine.toml", &more);
        assert!(report["coverage"]["dropped"]["too-long"].as_u64() > Some(10), "{report}");
        let more = [&more[..], &["--snaplen", "64"]].concat();
        let report = run(&pair, &bench, "quarantine.toml", &more);
        assert!(report["coverage"]["dropped"]["truncated"].as_u64() > Some(100), "{report}");
        ip(&format!("-n {} link set left down", pair.names[0])).unwrap();
        let output = pair.command(&[&bench.live()[..], &["--forward", "out=left"]].concat());
        let output = { output }.output().unwrap();
        let line = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && line.starts_with("legonf: left: "), "{line}");
    }

    #[test]
    fn a_port_without_an_interface_is_refused_before_anything_starts() {
        let Some(pair) = Pair::new() else { return };
        let (bench, nf) = (Bench::of("kitsune-115-clean"), graph("quarantine.toml"));
        let refused = |more: &[&str]| {
            let given = [&bench.live()[..], &["--nf", &nf, "--duration", "1"]].concat();
            let output = pair.command(&[&given[..], more].concat()).output().unwrap();
            let line = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{line}");
            line
        };
        let line = refused(&["--forward", "out=none"]);
        assert!(line.contains("quarantine.toml: nothing says where packets of the port `quarantine` go"));
        assert!(line.contains("--forward quarantine=none"), "{line}");
        let line = refused(&["--forward", "x=none"]);
        assert!(line.contains("the graph has no such port (there are: out, quarantine)"), "{line}");
        let line = refused(&["--forward", "out=here", "--forward", "quarantine=none"]);
        assert!(line.contains("captured again"), "{line}");
        let line = refused(&["--forward", "out=nonesuch0", "--forward", "quarantine=none"]);
        assert!(line.contains("nonesuch0: no such interface"), "{line}");
        let usage =
            super::common::legonf(["live", "--no-warm-up", "-i", "here", "--model", "m", "--forward", "out"]);
        let usage = String::from_utf8(usage.stderr).unwrap();
        assert!(usage.contains("PORT=INTERFACE or PORT=none"), "{usage}");
        let line = fail(["live", "-i", "lo", "--model", "missing.onnx", "--forward", "out=none"]);
        assert!(line.contains("missing.onnx"), "{line}");
    }
}
