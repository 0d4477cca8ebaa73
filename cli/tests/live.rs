//! Live runs over a veth pair between two network namespaces, and against replays of what they recorded.
#![cfg(feature = "live")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/veth.rs"]
mod veth;

use common::{fail, legonf, succeed};
use legonf_core::Batch;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use veth::{Bench, Pair, ip, json, packets, repeated};

#[test]
fn live_equals_replay() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let (scores, record, eve) = (bench.path("live.csv"), bench.path("live.pcapng"), bench.path("eve.json"));
    let count = packets.len().to_string();
    let mut arguments = [&bench.live()[..], &["--threshold", "0.1", "--json"]].concat();
    arguments.extend(["--packets", &count, "--scores", &scores, "--record", &record, "--eve", &eve]);
    let child = pair.start(&arguments);
    Pair::wait_for_listener(&child);
    pair.send(packets.clone());
    let report = json(&child.wait_with_output().unwrap());
    assert_eq!(report["coverage"]["scored"], packets.len());
    assert_eq!(report["coverage"]["received"], packets.len());

    // What was recorded is what was sent, byte for byte.
    let mut source = legonf_io::open(&PathBuf::from(&record)).unwrap();
    let (mut batch, mut seen) = (Batch::default(), 0);
    while {
        batch.clear();
        source.fill(&mut batch).unwrap();
        !batch.is_empty()
    } {
        for (_, bytes) in batch.packets.iter() {
            assert_eq!(bytes, packets[seen], "packet {seen}");
            seen += 1;
        }
    }
    assert_eq!(seen, packets.len());

    // Its replay has the same times, scores, verdicts and alerts, to the last digit.
    let out = bench.path("replay");
    let mut arguments =
        vec!["replay", "--no-warm-up", &record, "--model", &bench.model, "--threshold", "0.1", "--out", &out];
    arguments.extend(["--json"]);
    let replayed: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    let read = |name: &str| fs::read_to_string(name).unwrap();
    assert_eq!(read(&scores), read(&format!("{out}/scores.csv")));
    // A capture has no interface.
    let anywhere = read(&eve).replace("\"in_iface\":\"here\",", "");
    assert!(anywhere.len() < read(&eve).len());
    assert_eq!(anywhere, read(&format!("{out}/eve.json")));
    // All came within a second or two, of which the first alerts are written.
    assert!(report["alerts"].as_u64() > Some(100) && read(&eve).lines().count() > 10, "{report}");
    assert_eq!(report["alerts_held_back"], replayed["alerts_held_back"]);
    for key in ["score", "alerts", "counters", "coverage", "threshold"] {
        assert_eq!(report[key], replayed[key], "{key}");
    }
    let nanoseconds = read(&scores).lines().skip(1).filter(|l| !l.contains("000,")).count();
    assert!(nanoseconds > packets.len() / 2, "times are in microseconds");
}

#[test]
fn a_signal_ends_a_run_in_order_and_the_filter_holds() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let scores = bench.path("live.csv");
    let mut wanted = 0;
    for packet in &packets {
        // IPv4 without a tag, protocol UDP.
        wanted += usize::from(packet[12..14] == [8, 0] && packet[23] == 17);
    }
    for signal in ["-INT", "-TERM"] {
        let mut arguments = [&bench.live()[..], &["--json"]].concat();
        arguments.extend(["--filter", "ip and udp", "--scores", &scores]);
        let child = pair.start(&arguments);
        Pair::wait_for_listener(&child);
        pair.send(packets.clone());
        let output = Pair::stop(child, signal);
        let report = json(&output);
        assert!(wanted > 100 && report["coverage"]["scored"] == wanted, "{wanted}: {report}");
        assert_eq!(fs::read_to_string(&scores).unwrap().lines().count(), wanted + 1);
    }
}

#[test]
fn live_under_the_controller_equals_replay() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let file = |name: &str| bench.path(name);
    let (scores, record, events, costs) =
        (file("live.csv"), file("live.pcapng"), file("events.json"), file("learnt.toml"));
    // Whatever a machine does with so few packets, one worker after the other is found to be one too many.
    let policy = "tick = 0.005\nhigh = 1.0\nlow = 0.99\nticks_down = 3\ncooldown = 0.0\nsettle = 0\n\
        cores = 64.0\noversubscribe = true\n";
    let workers = "source batching | extractor x2 | mapping autoencoder | decision sink";
    let policy_file = file("policy.toml");
    fs::write(&policy_file, policy).unwrap();
    let mut arguments = [&bench.live()[..], &["--workers", workers, "--json"]].concat();
    arguments.extend(["--oversubscribe", "--scores", &scores, "--record", &record, "--buffer-timeout", "5"]);
    arguments.extend(["--policy", &policy_file, "--events", &events, "--costs-out", &costs]);
    let child = pair.start(&arguments);
    Pair::wait_for_listener(&child);
    let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
    let mut sent = 0;
    while sent < 3 * packets.len() || !read(&events).contains("applied") && sent < 200 * packets.len() {
        pair.send(packets.clone());
        sent += packets.len();
    }
    let report = json(&Pair::stop(child, "-INT"));
    for part in ["received", "scored"] {
        assert_eq!(report["coverage"][part], sent, "{report}");
    }
    // What it looks at, it can look at without any privilege.
    let controller = &report["controller"];
    let decided = succeed(["events", &events]);
    assert!(
        controller["actions"].as_u64() > Some(0) && decided.contains(" merge "),
        "{controller}\n{decided}"
    );
    let cost: f64 = controller["costs_ns"].as_object().unwrap().values().filter_map(|ns| ns.as_f64()).sum();
    assert!(cost > 0.0, "{controller}");
    let runtime = &report["runtime"];
    assert!(runtime["restarts"] == 0 && runtime["moved_slots"].as_u64() > Some(0), "{runtime}\n{decided}");
    let log: serde_json::Value = serde_json::from_str(&succeed(["events", &events, "--json"])).unwrap();
    let log = log.as_array().unwrap();
    let host = &log[0]["host"];
    assert!(host["cores"].as_f64() > Some(0.0) && host["memory"].as_u64() > Some(0), "{host}");
    assert_eq!(log.last().unwrap()["packets"], sent);
    let costs: toml::Table = fs::read_to_string(&costs).unwrap().parse().unwrap();
    assert_eq!((costs["graph"].as_str(), costs["capture"].as_str()), (Some("kitsune"), Some("here")));

    let out = bench.path("replay");
    succeed(["replay", "--no-warm-up", &record, "--model", &bench.model, "--out", &out, "--quiet"]);
    assert_eq!(read(&scores).lines().count(), sent + 1);
    assert!(read(&scores) == read(&format!("{out}/scores.csv")), "scores differ under the controller");
}

#[test]
fn a_promised_latency_closes_batches_that_are_not_full() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let policy = bench.path("policy.toml");
    fs::write(&policy, "[sla]\nlatency_ms = 40.0\n").unwrap();
    // The kernel alone would hold packets back until the run is over.
    let mut arguments = [&bench.live()[..], &["--threshold", "0", "--eve", "-"]].concat();
    arguments.extend(["--buffer-timeout", "10000", "--duration", "9", "--policy", &policy]);
    arguments.extend(["--alerts", "all", "--alerts-per-second", "0"]);
    let mut child = pair.start(&arguments);
    Pair::wait_for_listener(&child);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Each is scored before the next one is sent.
    for packet in &packets[..20] {
        pair.send(vec![packet.clone()]);
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["event_type"], "alert");
    }
    let output = Pair::stop(child, "-INT");
    let summary = String::from_utf8(output.stderr).unwrap();
    assert!(summary.contains("20 received = 20 scored + 0 rejected + 0 dropped"), "{summary}");
}

#[test]
fn the_controller_hears_of_packets_that_the_kernel_dropped() {
    let Some(pair) = Pair::new() else { return };
    let bench = Bench::new();
    let arguments = [&bench.live()[..], &["--controller", "--buffer", "64K", "--json"]].concat();
    let child = pair.start(&arguments);
    Pair::wait_for_workers(&child);
    // The controller has looked before, so that it sees what is lost from now on.
    thread::sleep(Duration::from_millis(500));
    // While it stands still, the ring overflows.
    Pair::signal(&child, "-STOP");
    pair.send(repeated(4));
    Pair::signal(&child, "-CONT");
    pair.send(packets());
    thread::sleep(Duration::from_secs(1));
    let report = json(&Pair::stop(child, "-INT"));
    let coverage = &report["coverage"];
    let part = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
    let (received, scored, dropped) =
        (part(&coverage["received"]), part(&coverage["scored"]), part(&coverage["dropped"]["kernel"]));
    assert!(dropped > 0 && received == packets().len() as u64 * 5, "{coverage}");
    assert_eq!(received, scored + dropped, "{coverage}");
    // Those of the last moments, in which nothing came any more, are counted at the end.
    let seen = part(&report["controller"]["dropped"]);
    assert!(seen > 0 && seen <= dropped, "{report}");
}

#[test]
fn a_run_keeps_no_capability_and_needs_one() {
    let Some(pair) = Pair::new() else { return };
    let bench = Bench::new();
    let child = pair.start(&[&bench.live()[..], &["--duration", "30"]].concat());
    Pair::wait_for_listener(&child);
    let tasks = format!("/proc/{}/task", child.id());
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        let tasks: Vec<_> = fs::read_dir(&tasks).unwrap().map(|t| t.unwrap().path()).collect();
        let read = |task: &PathBuf| fs::read_to_string(task.join("status")).unwrap();
        // The workers are there: the graph runs.
        if tasks.len() > 3 || Instant::now() > end {
            break tasks.iter().map(read).collect::<Vec<_>>();
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert!(status.len() > 3, "{status:?}");
    for status in &status {
        for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(status.contains(&format!("{line}:\t0000000000000000")), "{status}");
        }
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(line), "{status}");
        }
    }
    assert_eq!(Pair::stop(child, "-INT").status.code(), Some(0));

    // With that one capability it runs, without it it says which and how to get it.
    for (capabilities, code) in [("-all,+net_raw", 0), ("-all", 1)] {
        let output = Command::new("ip")
            .args(["netns", "exec", &pair.names[0], "setpriv", "--bounding-set", capabilities])
            .args([
                "--inh-caps=-all",
                env!("CARGO_BIN_EXE_legonf"),
                "live",
                "-i",
                "here",
                "--duration",
                "0.2",
            ])
            .args(["--model", &bench.model])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert_eq!(error.lines().count() as i32, code, "{error}");
        let remedy = "sudo setcap cap_net_raw=ep $(command -v legonf)";
        assert!(code == 0 || error.contains("CAP_NET_RAW") && error.contains(remedy), "{error}");
    }
}

#[test]
fn an_interface_that_is_removed_ends_the_run_with_what_was_scored() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let scores = bench.path("live.csv");
    let child = pair.start(&[&bench.live()[..], &["--scores", &scores]].concat());
    Pair::wait_for_listener(&child);
    pair.send(packets.clone());
    thread::sleep(Duration::from_millis(500));
    ip(&format!("-n {} link del here", pair.names[0])).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    let complete = format!("complete for the {} packets before it", packets.len());
    assert!(
        error.starts_with("legonf: here: the interface disappeared; ") && error.contains(&complete),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&scores).unwrap().lines().count(), packets.len() + 1);
}

#[test]
fn alerts_come_over_standard_output_and_sockets() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let mut arguments = [&bench.live()[..], &["--threshold", "0"]].concat();
    arguments.extend(["--alerts", "all", "--eve", "-"]);
    let mut child = pair.start(&arguments);
    Pair::wait_for_listener(&child);
    pair.send(packets[..10].to_vec());
    // Each alert is there although the run goes on.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..10 {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["event_type"], "alert");
    }
    let output = Pair::stop(child, "-INT");
    let summary = String::from_utf8(output.stderr).unwrap();
    assert!(summary.contains("10 received = 10 scored + 0 rejected + 0 dropped"), "{summary}");
    // The incidents that the end closes, and the closing record.
    let kind = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event_type"].clone();
    let mut kinds: Vec<_> = lines.map(|line| kind(&line.unwrap())).collect();
    assert_eq!(kinds.pop().unwrap(), "stats");
    assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind == "incident"), "{kinds:?}");

    let socket = bench.path("eve.socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let target = format!("unix:{socket}");
    *arguments.last_mut().unwrap() = &target;
    arguments.extend(["--packets", "10"]);
    let child = pair.start(&arguments);
    let (mut reader, _) = listener.accept().unwrap();
    Pair::wait_for_listener(&child);
    pair.send(packets[..10].to_vec());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().filter(|line| kind(line) == "alert").count(), 10);
    assert_eq!(kind(text.lines().last().unwrap()), "stats");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn what_cannot_be_listened_to_says_why() {
    let bench = Bench::new();
    let refused = |arguments: &[&str]| {
        let given = [&["live", "--model", &bench.model, "--duration", "0.1"], arguments].concat();
        fail(given)
    };
    let line = refused(&["-i", "nonesuch0"]);
    assert!(line.contains("no such interface; there are: ") && line.contains("lo"), "{line}");
    let line = fail(["live", "-i", "lo", "--model", "missing.onnx"]);
    assert!(line.contains("missing.onnx"), "{line}");
    for (arguments, words) in [
        (["--buffer", "1K"], "64K to 1G"),
        (["--duration", "0"], "a time above 0"),
        (["--rotate", "1M"], "--eve"),
        (["--snaplen", "0"], "64..=262144"),
    ] {
        let given = [["live", "-i", "lo", "--model", &bench.model].as_slice(), &arguments].concat();
        let output = legonf(given);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(words), "{error}");
    }
    let line = refused(&["-i", "lo", "--policy", &bench.path("missing.toml")]);
    assert!(line.contains("missing.toml: "), "{line}");
    let policy = bench.path("policy.toml");
    fs::write(&policy, "cores = 4096.0\n").unwrap();
    let Some(pair) = Pair::new() else { return };
    for (arguments, words) in [
        (vec!["-i", "here", "--policy", &policy], "cores = 4096: this host has"),
        (vec!["-i", "here", "--filter", "tcp and and"], "filter `tcp and and`: "),
        (vec!["-i", "lo"], "not up"),
        (vec!["-i", "here", "--eve", "unix:/nonesuch/s"], "its folder is not a folder"),
        (vec!["-i", "here", "--user", "nonesuch"], "--user nonesuch: no such user"),
        (vec!["-i", "here", "--scores", "/nonesuch/scores.csv"], "its folder does not exist"),
    ] {
        let output = pair
            .command(&[&["live", "--model", &bench.model, "--duration", "0.1"], &arguments[..]].concat())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.contains(words), "{error}");
    }
}
