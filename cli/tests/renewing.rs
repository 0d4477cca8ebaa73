//! What a run judges by changes over HTTP while packets flow: from a packet on, and by nothing else.
#![allow(clippy::unwrap_used)]

mod common;

use common::seen::{Bench, PACKETS, Seen, capture};
use common::{example, fail, legonf, succeed, text};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Output};

/// Verdicts of a table of scores, in order.
fn verdicts(path: &str) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "verdict").unwrap();
    lines.map(|line| line.split(',').nth(column).unwrap().to_owned()).collect()
}

/// Runs a command that waits for packets, and sends some until it is done.
fn while_packets_come(seen: &mut Seen, packets: &mut &[u8], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    let mut child = command
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() && !packets.is_empty() {
        let (now, later) = packets.split_at(packets.len().min(2000));
        seen.input.write_all(now).unwrap();
        *packets = later;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// The same of one that must succeed with JSON.
fn done(seen: &mut Seen, packets: &mut &[u8], arguments: &[&str]) -> Value {
    let output = while_packets_come(seen, packets, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_threshold_and_a_model_change_from_a_packet_on() {
    let bench = Bench::new();
    let (out, eve) = (bench.path("renewed.csv"), bench.path("eve.json"));
    let mut seen =
        bench.live(&["--scores", &out, "--eve", &eve, "--alerts", "all", "--alerts-per-second", "0"]);
    let bytes = capture();
    let mut packets = &bytes[..];
    let (address, token) = (seen.address.to_string(), bench.path("token"));
    let run = ["--http", &address, "--http-token", &token];
    seen.send(&packets[..bytes.len() / 4]);
    packets = &packets[bytes.len() / 4..];
    seen.wait_for("/api/v1/counters", |counters| counters["received"].as_u64() > Some(100));
    let lower = done(&mut seen, &mut packets, &[&["threshold", "0.05"], &run[..]].concat());
    assert_eq!(lower["change"], "threshold 0.05");
    let first = lower["from_packet"].as_u64().unwrap();
    // The same model under another name: it brings the threshold that the run was given.
    let other = bench.path("other.onnx");
    fs::copy(&bench.model, &other).unwrap();
    let swapped = done(&mut seen, &mut packets, &[&["model", "swap", &other], &run[..]].concat());
    assert_eq!(swapped["change"], "model other.onnx");
    let second = swapped["from_packet"].as_u64().unwrap();
    assert!(0 < first && first < second && second < PACKETS, "{first} {second}");
    seen.send(packets);
    seen.wait_for("/api/v1/graph", |graph| graph["threshold"] == 0.2);
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let kinds = |events: &Value| {
        let events = events["events"].as_array().unwrap().iter();
        let wanted = events.filter(|event| ["threshold", "swap"].contains(&event["event"].as_str().unwrap()));
        wanted.map(|event| (event["event"].clone(), event["details"]["seq"].clone())).collect::<Vec<_>>()
    };
    let expected = [(json!("threshold"), json!(first)), (json!("swap"), json!(second))];
    seen.wait_for("/api/v1/events", |events| kinds(events) == expected);
    let report = seen.end();
    assert_eq!(report["thresholds"], json!([{"seq": first, "threshold": 0.05}]));
    assert_eq!(report["swaps"][0]["seq"], second);

    // Verdicts are those of two runs with one threshold each, and no packet is missing.
    let capture = text(example("synth-mini.pcap.gz"));
    let with = |threshold: &str, folder: &str| {
        let folder = bench.path(folder);
        let fixed =
            ["replay", &capture, "--model", &bench.model, "--no-warm-up", "--quiet", "--out", &folder];
        succeed(fixed.iter().chain(&["--threshold", threshold]));
        verdicts(&format!("{folder}/scores.csv"))
    };
    let (given, lower, renewed) = (with("0.2", "given"), with("0.05", "lower"), verdicts(&out));
    assert_eq!(renewed.len() as u64, PACKETS);
    let (first, second) = (first as usize, second as usize);
    assert_eq!(renewed[..first], given[..first]);
    assert_eq!(renewed[first..second], lower[first..second]);
    assert_eq!(renewed[second..], given[second..]);
    assert!(given[first..second] != lower[first..second], "the threshold made a difference");
    // What is told of an alert is the threshold that it was above.
    let alerts = fs::read_to_string(&eve).unwrap();
    let mut told = [0; 3];
    for alert in alerts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let detail = &alert["alert"]["metadata"]["legonf"];
        let (Some(seq), Some(threshold)) = (detail["seq"].as_u64(), detail["threshold"].as_f64()) else {
            continue;
        };
        let part = usize::from(seq >= first as u64) + usize::from(seq >= second as u64);
        assert_eq!(threshold, [0.2, 0.05, 0.2][part], "{alert}");
        told[part] += 1;
    }
    assert!(told[0] > 0 && told[2] > 0, "{told:?}");
}

#[test]
fn alerts_of_a_host_are_suppressed_and_its_packets_saved() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    let bytes = capture();
    let (address, token) = (seen.address.to_string(), bench.path("token"));
    let run = ["--http", &address, "--http-token", &token];
    let mut packets = &bytes[bytes.len() / 2..];
    seen.send(&bytes[..bytes.len() / 2]);
    let list = seen.wait_for("/api/v1/incidents", |list| !list["incidents"].as_array().unwrap().is_empty());
    let incident = &list["incidents"][0];
    let (id, source) = (incident["id"].to_string(), incident["source"].as_str().unwrap().to_owned());

    // Its packets, as a capture that legonf itself reads.
    let file = bench.path("incident.pcapng");
    seen.ask("GET", &format!("/api/v1/incidents/{id}/packets"), "", "").refused(401, "token");
    seen.wait_for("/api/v1/counters", |counters| counters["alerts"].as_u64() > Some(0));
    succeed(["incidents", "--packets-of", &id, "-o", &file].iter().chain(&run));
    let features = bench.path("incident.csv");
    succeed(["features", &file, "-o", &features]);
    let rows = fs::read_to_string(&features).unwrap().lines().count() as u64 - 1;
    assert!(rows > 0 && rows <= incident["packets"].as_u64().unwrap().max(rows), "{rows} {incident}");
    let said = fail(["incidents", "--packets-of", "999999", "-o", &file, "--force"].iter().chain(&run));
    assert!(said.contains("no incident begins with packet 999999"), "{said}");

    let arguments = [&["suppress", &source, "--comment", "a scanner of ours"], &run[..]].concat();
    let renewed = done(&mut seen, &mut packets, &arguments);
    assert_eq!(renewed["change"], format!("number 0: {source}"));
    seen.send(packets);
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let listed = succeed(["suppress", "--http", &address]);
    assert!(listed.contains(&source) && listed.contains("(a scanner of ours)"), "{listed}");
    let suppressed =
        seen.wait_for("/api/v1/suppressions", |list| list["suppressions"][0]["alerts"].as_u64() > Some(0));
    assert_eq!(suppressed["suppressions"][0]["of"], source);
    let ended = succeed(["suppress", "--end", "0"].iter().chain(&run));
    assert!(ended.contains("number 0 ends") && ended.contains("is in force from packet"), "{ended}");
    let report = seen.end();
    assert_eq!(report["coverage"]["scored"], PACKETS);
    assert_eq!(report["alerts_suppressed"], suppressed["suppressions"][0]["alerts"]);
    assert_eq!(report["suppressions"][0]["is_ended"], true);
}

#[test]
fn a_policy_changes_and_what_cannot_be_is_refused() {
    let bench = Bench::new();
    let mut seen = bench.live(&["--controller"]);
    seen.send(&capture());
    let (address, token) = (seen.address.to_string(), bench.path("token"));
    let run = ["--http", &address, "--http-token", &token];
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let policy = seen.get("/api/v1/policy")["policy"].as_str().unwrap().to_owned();
    assert!(policy.contains("tick = 0.1") && policy.contains("scaling = \"brick\""), "{policy}");
    let file = bench.path("policy.toml");
    fs::write(&file, "tick = 0.05\nscaling = \"fixed\"\n").unwrap();
    succeed(["controller", "apply", "--policy", &file].iter().chain(&run));
    let policy = seen.get("/api/v1/policy")["policy"].as_str().unwrap().to_owned();
    assert!(policy.contains("tick = 0.05") && policy.contains("scaling = \"fixed\""), "{policy}");
    seen.wait_for("/api/v1/events", |events| events.to_string().contains("\"policy\""));
    seen.wait_for("/api/v1/graph", |graph| graph["span"].as_f64() < Some(0.09));
    succeed(["controller", "pin", "extractor"].iter().chain(&run));
    let policy = seen.get("/api/v1/policy")["policy"].as_str().unwrap().to_owned();
    assert!(policy.contains("pinned = [\"extractor\"]"), "{policy}");
    let said = fail(["controller", "pin", "extractors"].iter().chain(&run));
    assert!(said.contains("no brick `extractors`; there are: source, batching, extractor"), "{said}");
    succeed(["controller", "unpin", "extractor"].iter().chain(&run));
    let policy = seen.get("/api/v1/policy")["policy"].as_str().unwrap().to_owned();
    assert!(policy.contains("pinned = []"), "{policy}");
    seen.wait_for("/api/v1/events", |events| events.to_string().contains("unpin extractor"));
    fs::write(&file, "pinned = [\"x\"]\n").unwrap();
    let said = fail(["controller", "apply", "--policy", &file].iter().chain(&run));
    assert!(said.contains("pinned: there is no brick `x`; there are: source"), "{said}");
    fs::write(&file, "tack = 0.05\n").unwrap();
    let said = fail(["controller", "apply", "--policy", &file].iter().chain(&run));
    assert!(said.contains("unknown field `tack`"), "{said}");
    let refused = legonf(["controller", "apply"].iter().chain(&run));
    assert_eq!(refused.status.code(), Some(2));

    for (path, body, status, words) in [
        ("threshold", r#"{"threshold": "high"}"#, 422, "f64"),
        ("threshold", r#"{"threshold": 1e999}"#, 400, ""),
        ("suppressions", "{}", 409, "give an address, a prefix or a port"),
        ("suppressions", r#"{"address": "10.0.0"}"#, 409, "expected an IP address"),
        ("suppressions", r#"{"port": 70000}"#, 422, "port"),
        ("suppressions/end", r#"{"number": 3}"#, 409, "no suppression 3"),
        ("model?file=x.onnx", "no model at all", 409, "x.onnx"),
        ("model?file=../../etc/passwd", "no model at all", 409, "passwd"),
        ("model", "", 400, "file"),
    ] {
        seen.post(&format!("/api/v1/{path}"), body).refused(status, words);
    }
    let said = fail(["model", "swap", &file].iter().chain(&run));
    assert!(said.contains("policy.toml"), "{said}");
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn without_a_token_nothing_changes() {
    let bench = Bench::new();
    let mut seen = bench.live_without_token();
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    for path in ["threshold", "suppressions", "suppressions/end", "policy", "model?file=x"] {
        seen.post(&format!("/api/v1/{path}"), "{}").refused(403, "--http-token");
    }
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn what_is_planned_comes_before_what_is_asked_for() {
    let bench = Bench::new();
    let (token, out) = (bench.path("token"), bench.path("planned"));
    let planned = format!("3000={}", bench.model);
    let fixed = ["run", "kitsune", "-", "--model", &bench.model, "--no-warm-up", "--json", "--out", &out];
    let more = ["--swap", &planned, "--http", "127.0.0.1:0", "--http-token", &token];
    let arguments: Vec<_> = fixed.iter().chain(&more).map(|word| (*word).to_owned()).collect();
    let mut seen = Seen::start(&arguments);
    let bytes = capture();
    seen.send(&bytes[..bytes.len() / 2]);
    seen.wait_for("/api/v1/counters", |counters| counters["received"].as_u64() > Some(0));
    let asked = r#"{"threshold": 0.05}"#;
    seen.post("/api/v1/threshold", asked).refused(409, "a change is planned for packet 3000 (--swap)");
    seen.send(&bytes[bytes.len() / 2..]);
    let report = seen.end();
    assert_eq!((&report["swaps"][0]["seq"], &report["thresholds"]), (&json!(3000), &Value::Null));
}
