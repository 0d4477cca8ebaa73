//! The network function `classifier` on an interface, in replicas and under the controller.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/sessions.rs"]
mod sessions;

use common::{contents, retimed, succeed, testbed, text};
use serde_json::Value;
use sessions::{TREES, long_captures};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CLASSES: [&str; 3] = ["camera", "hub", "plug"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A classifier of sessions in a folder.
fn trained(folder: &Path) -> String {
    let (data, model) = (long_captures(&folder.join("data"), &CLASSES, 8), text(folder.join("m.onnx")));
    succeed([&["train", "classifier", &data, "-o", &model, "--quiet"][..], &TREES].concat());
    model
}

/// How often each class comes in a table of verdicts.
fn counted(table: &Path) -> BTreeMap<String, u64> {
    let table = fs::read_to_string(table).unwrap();
    let mut lines = table.lines();
    let at = lines.next().unwrap().split(',').position(|heading| heading == "class").unwrap();
    let mut counted = BTreeMap::new();
    lines.for_each(|line| *counted.entry(line.split(',').nth(at).unwrap().to_owned()).or_default() += 1);
    counted
}

/// Every flow that began has a class, or had no payload; those that were open at the end are among them.
#[track_caller]
fn all_flows_are_told(report: &Value) {
    let (flows, counters) = (&report["flows"], &report["counters"]);
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let told: u64 = flows["classes"]["flow-class"].as_object().unwrap().values().map(number).sum();
    assert_eq!(number(&flows["rows"]), told, "{report}");
    assert_eq!(number(&counters["flows"]), told + number(&counters["flows-without-payload"]), "{report}");
    assert!(number(&flows["open_at_end"]) > 0, "{report}");
}

/// Layouts with the flow table, and what follows it, in one to four instances.
const LAYOUTS: [&str; 5] = [
    "pipeline",
    "source batching | flows x2 | statistics network decision class | sink",
    "source batching | flows statistics network decision x3 | class x2 | sink",
    "source | batching flows x4 | statistics network | decision class | sink",
    "source batching | flows statistics x4 | network decision x2 | class x3 | sink",
];

#[test]
fn replicas_of_the_flow_table_give_the_verdicts_of_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (model, capture) = (trained(folder.path()), text(testbed("capture.pcap.zst")));
    let replay = |at: usize, workers: &str| {
        let out = folder.path().join(format!("out{at}"));
        let replay = ["replay", &capture, "--nf", "classifier", "--model", &model, "--out", &text(&out)];
        let report =
            json(&succeed([&replay[..], &["--workers", workers, "--oversubscribe", "--json"]].concat()));
        (report, contents(&out))
    };
    let (report, expected) = replay(0, "fused");
    let of = counted(&folder.path().join("out0/verdicts.csv"));
    assert_eq!(report["coverage"]["scored"], 184_208);
    assert!(of["pending"] > 1000 && of.iter().any(|(class, n)| class != "pending" && *n > 1000), "{of:?}");
    assert_eq!(report["classes"]["class"], serde_json::to_value(&of).unwrap());
    all_flows_are_told(&report);
    for (at, layout) in LAYOUTS.iter().enumerate() {
        let (_, found) = replay(at + 1, layout);
        for ((name, a), (_, b)) in expected.iter().zip(&found) {
            assert!(a == b, "{name} differs with {layout}");
        }
        assert_eq!(expected.len(), found.len());
    }
}

#[test]
fn from_a_packet_on_another_classifier_judges_in_any_layout() {
    let folder = tempfile::tempdir().unwrap();
    let (old, capture) = (trained(folder.path()), text(testbed("capture.pcap.zst")));
    let (data, new) = (text(folder.path().join("data")), text(folder.path().join("new.onnx")));
    let trees = ["--networks", "0", "--trees", "3", "--seed", "77"];
    succeed([&["train", "classifier", &data, "-o", &new, "--quiet"][..], &trees].concat());
    let run = |name: &str, workers: &str, swap: &[&str]| {
        let out = text(folder.path().join(name));
        let run = ["run", "classifier", &capture, "--model", &old, "--out", &out, "--quiet"];
        succeed([&run[..], &["--workers", workers, "--oversubscribe"], swap].concat());
        contents(Path::new(&out))
    };
    let swap = format!("70001={new}");
    let expected = run("fused", "fused", &["--swap", &swap]);
    assert!(expected != run("old", "fused", &[]), "the other model tells other classes");
    let pending = |name: &str| counted(&folder.path().join(name).join("verdicts.csv"))["pending"];
    assert_eq!(pending("fused"), pending("old"), "flows that have a class keep it");
    for layout in &LAYOUTS[3..] {
        for ((name, a), (_, b)) in
            expected.iter().zip(run(&layout.len().to_string(), layout, &["--swap", &swap]))
        {
            assert!(*a == b, "{name} differs with {layout}");
        }
    }
}

#[test]
fn the_controller_scales_the_flow_table_and_no_verdict_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (model, capture) = (trained(folder.path()), text(testbed("capture.pcap.zst")));
    let path = |name: &str| text(folder.path().join(name));
    let (policy, events, fused) = (path("policy.toml"), path("events.json"), path("fused"));
    succeed([
        "replay",
        &capture,
        "--nf",
        "classifier",
        "--model",
        &model,
        "--out",
        &fused,
        "--workers",
        "fused",
        "--quiet",
    ]);
    // Marks so low that it acts all the time, and so high that one worker after the other is one too many.
    let growing = "high = 0.02\nlow = 0.01\nspare = 0.0\nmax_workers = 12\n";
    let shrinking = "high = 1.0\nlow = 0.99\n";
    for (marks, workers) in [(growing, "fused"), (shrinking, LAYOUTS[4]), (shrinking, LAYOUTS[2])] {
        let common = "tick = 0.005\nticks_up = 1\nticks_down = 1\ncooldown = 0.0\nsettle = 0\ncores = 64.0\noversubscribe = true\n";
        fs::write(&policy, format!("{common}{marks}")).unwrap();
        let out = path(&format!("out{}", workers.len()));
        let run = ["run", "classifier", &capture, "--model", &model, "--out", &out, "--force"];
        let options = ["--workers", workers, "--oversubscribe", "--policy", &policy, "--events", &events];
        let report = json(&succeed([&run[..], &options, &["--json"]].concat()));
        assert_eq!(report["coverage"]["scored"], 184_208);
        assert_eq!(report["runtime"]["restarts"], 0);
        let decided = succeed(["events", &events]);
        assert!(report["controller"]["actions"].as_u64() > Some(0), "{decided}");
        if workers != "fused" {
            assert!(report["runtime"]["moved_slots"].as_u64() > Some(0), "{}\n{decided}", report["runtime"]);
        }
        for ((name, a), (_, b)) in contents(Path::new(&fused)).iter().zip(contents(Path::new(&out))) {
            assert!(*a == b, "{name} differs under the controller\n{decided}");
        }
    }
}

#[test]
fn the_graph_is_shown_without_a_model() {
    let shown = succeed(["graph", "show", "--nf", "classifier"]);
    assert!(shown.contains("flow-outputs") && shown.contains("flow-class"), "{shown}");
    let file = succeed(["graph", "show", "--nf", "classifier", "--toml"]);
    assert!(file.contains("kind = \"flow-table\""), "{file}");
    assert!(succeed(["graph", "check", "classifier"]).starts_with("ok: 6 bricks"));
}

#[test]
fn flows_that_are_open_at_the_end_get_their_class_once() {
    let folder = tempfile::tempdir().unwrap();
    let (model, capture) = (trained(folder.path()), text(testbed("capture.pcap.zst")));
    let path = |name: &str| text(folder.path().join(name));
    let replay = |capture: &str, more: &[&str]| {
        succeed([&["replay", capture, "--nf", "classifier", "--model", &model][..], more].concat())
    };
    let whole = json(&replay(&capture, &["--json"]));
    all_flows_are_told(&whole);
    let open = &whole["flows"]["open_at_end"];
    let line =
        format!("flows       {}, {open} of them open at the end\nflow-class  ", whole["flows"]["rows"]);
    let shown = replay(&capture, &[]);
    assert!(shown.contains(&line), "{shown}");

    // Of a capture in two parts those that are open behind the first go on in the second, and are told once.
    let [all, one, two] =
        [("all", 0..u64::MAX), ("one", 0..2_000), ("two", 2_000..u64::MAX)].map(|(name, part)| {
            retimed(&folder.path().join(name), part, |time| time);
            path(name)
        });
    let (state, whole) = (path("state"), json(&replay(&all, &["--json"])));
    let before = json(&replay(&one, &["--state-out", &state, "--json"]));
    assert_eq!(before["flows"]["open_at_end"], 0);
    let after = json(&replay(&two, &["--state", &state, "--json"]));
    let sum = |key: &str| before["flows"][key].as_u64().unwrap() + after["flows"][key].as_u64().unwrap();
    for key in ["rows", "open_at_end"] {
        assert_eq!(whole["flows"][key], sum(key), "{key}");
    }
    // Alone the first part ends with its flows.
    all_flows_are_told(&json(&replay(&one, &["--json"])));
}

#[cfg(feature = "live")]
#[path = "common/veth.rs"]
mod veth;

#[cfg(feature = "live")]
mod live {
    use super::common::root;
    use super::sessions::{long, packet};
    use super::veth::{Pair, json, listen, outlet};
    use super::{counted, succeed, text, trained};
    use legonf_core::Batch;
    use std::fs;
    use std::path::Path;

    /// Sessions of all classes, of which some are short, as frames.
    fn frames() -> Vec<Vec<u8>> {
        let frame = |packet: Vec<u8>| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], &packet].concat();
        let session = |number: usize| {
            let class = number % 3;
            let parts = long(class, number).into_iter().take(if number.is_multiple_of(4) { 2 } else { 6 });
            parts.map(move |part| frame(packet(class, number, &part)))
        };
        (0..90).flat_map(session).collect()
    }

    fn captured(path: &Path) -> Vec<Vec<u8>> {
        let (mut source, mut batch) = (legonf_io::open(path).unwrap(), Batch::default());
        let mut packets = Vec::new();
        loop {
            batch.clear();
            source.fill(&mut batch).unwrap();
            if batch.packets.is_empty() {
                return packets;
            }
            packets.extend(batch.packets.iter().map(|(_, bytes)| bytes.to_vec()));
        }
    }

    const POINTS: [(&str, u8); 4] = [("camera", 34), ("hub", 8), ("plug", 26), ("pending", 46)];
    /// Packets of the limited class that pass.
    const BURST: u64 = 20;

    /// The graph with bricks behind it that act on classes.
    fn graph(folder: &Path) -> String {
        let shipped = fs::read_to_string(root().join("bricks/catalog/nf/classifier.toml")).unwrap();
        let values: String = POINTS.iter().map(|(class, point)| format!("{class} = {point}\n")).collect();
        let acting = format!(
            "next = \"mark\"\n\n[[brick]]\nid = \"mark\"\nkind = \"dscp\"\nnext = \"limit\"\n\n[brick.config.values]\n{values}\n\
             [[brick]]\nid = \"limit\"\nkind = \"rate-limit\"\n\n[brick.config.limits]\nhub = {{ packets_per_second = 0, burst = {BURST} }}\n"
        );
        let path = folder.join("graph.toml");
        fs::write(&path, format!("{}\n{acting}", shipped.trim_end())).unwrap();
        text(path)
    }

    #[test]
    fn classes_are_marked_limited_and_forwarded_as_packets_come() {
        let Some(pair) = Pair::new() else { return };
        outlet(&pair);
        let folder = tempfile::tempdir().unwrap();
        let (model, nf, frames) = (trained(folder.path()), graph(folder.path()), frames());
        let path = |name: &str| text(folder.path().join(name));
        let (scores, record, out) = (path("live.csv"), path("live.pcapng"), path("replay"));
        let count = frames.len().to_string();
        let right = listen(&pair.names[0], "right");
        let live = ["live", "-i", "here", "--model", &model, "--nf", &nf, "--json", "--limit", &count];
        let outputs = ["--scores", &scores, "--record", &record, "--forward", "out=left"];
        let child = pair.start(&[&live[..], &outputs].concat());
        Pair::wait_for_listener(&child);
        pair.send(frames);
        let report = json(&child.wait_with_output().unwrap());

        // Every packet is accounted for: it left, or was beyond the rate of its class.
        let coverage = &report["coverage"];
        let (received, scored) = (coverage["received"].as_u64(), coverage["scored"].as_u64().unwrap());
        let dropped = coverage["dropped"]["rate-limit"].as_u64().unwrap();
        assert_eq!((received, received), (Some(scored + dropped), count.parse().ok()), "{coverage}");
        let sent = right.join().unwrap();
        assert_eq!((&report["live"]["sent"]["out"], scored), (&scored.into(), sent.len() as u64));

        // Each has the code point of its class, of which the limited one has what the burst lets pass.
        let of = counted(Path::new(&scores));
        for (class, point) in POINTS {
            let marked = sent.iter().filter(|frame| frame[15] >> 2 == point).count() as u64;
            assert!(marked > 10 && of[class] == marked, "{class}: {marked} of {of:?}");
        }
        assert_eq!((of["hub"], dropped > 5), (BURST, true), "{dropped} {of:?}");

        super::all_flows_are_told(&report);

        // A replay of what came says the same, packet by packet.
        let replay = ["replay", &record, "--model", &model, "--nf", &nf, "--out", &out, "--json"];
        let replayed: serde_json::Value = serde_json::from_str(&succeed(replay)).unwrap();
        for key in ["coverage", "classes", "flows", "counters"] {
            assert_eq!(report[key], replayed[key], "{key}");
        }
        assert_eq!(fs::read(&scores).unwrap(), fs::read(format!("{out}/verdicts.csv")).unwrap());
        assert!(captured(&Path::new(&out).join("forwarded/out.pcapng")) == sent);
    }
}
