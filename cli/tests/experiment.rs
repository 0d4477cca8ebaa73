//! `legonf experiment`: what it says of memory, evictions and detection; never of time.
#![allow(clippy::unwrap_used)]

mod common;

use common::{fail, succeed, text};
use serde_json::Value;
use std::fs;

/// Small tables, so that a small flood fills them.
const SMALL: [&str; 10] = [
    "--sources-per-slot",
    "2",
    "--channels-per-slot",
    "3",
    "--sockets-per-slot",
    "8",
    "--training-packets",
    "10000",
    "--scan-rate",
    "200",
];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_spoofed_flood_is_bounded_counted_and_hides_no_scan() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("out"));
    let mut arguments = vec!["experiment", "flood", "--packets", "200000", "--out", &out, "--json"];
    arguments.extend(SMALL);
    let report = json(&succeed(arguments));
    let run = &report["with_flood"];
    assert_eq!(report["distinct_sources"], 200_000);
    assert!(run["state_bytes"].as_u64() <= run["state_bytes_bound"].as_u64());
    for (name, per_slot) in [("evicted-MI", 2), ("evicted-H", 2), ("evicted-HH", 3), ("evicted-HpHp", 8)] {
        let evicted = run["evicted"][name].as_u64().unwrap();
        assert!((200_000 - 4096 * per_slot..=203_000).contains(&evicted), "{name}: {evicted}");
    }
    // Scanned sockets fill their table without a flood, too.
    for name in ["evicted-MI", "evicted-H", "evicted-HH"] {
        assert_eq!(report["without_flood"]["evicted"][name], 0, "{name}");
    }
    let rate = |run: &Value, class: &str| run[class]["rate"].as_f64().unwrap();
    assert!(run["scan"]["packets"].as_u64() > Some(300), "{}", run["scan"]);
    assert!(rate(run, "scan") > 0.95, "{}", run["scan"]);
    assert!(rate(run, "benign") < 0.1, "{}", run["benign"]);
    assert_eq!(
        json(&fs::read_to_string(folder.path().join("out/report.json")).unwrap())["slowdown"],
        report["slowdown"]
    );
    for plot in ["out/memory.svg", "out/throughput.svg"] {
        assert!(fs::read_to_string(folder.path().join(plot)).unwrap().starts_with("<svg"), "{plot}");
    }
}

#[test]
fn memory_is_flat_over_many_packets() {
    let mut arguments = vec!["experiment", "soak", "--seconds", "300", "--json"];
    arguments.extend(SMALL);
    let report = json(&succeed(arguments));
    let samples = report["run"]["samples"].as_array().unwrap();
    assert!(samples.len() > 150);
    let state = |at: usize| samples[at]["state_bytes"].as_u64().unwrap();
    assert_eq!(state(samples.len() / 2), state(samples.len() - 1), "the state grows no more");
    assert!(report["run"]["scan"]["rate"].as_f64() > Some(0.95));
}

#[test]
fn what_is_out_of_range_is_named() {
    let soak = |key: &str, value: &str| fail(["experiment", "soak", "--seconds", "1", key, value]);
    assert!(soak("--sockets-per-slot", "0").starts_with("sockets_per_slot = 0"));
    assert!(soak("--schema", "nothing").contains("unknown schema 'nothing'"));
    assert!(soak("--scan-rate", "0").starts_with("scan = 0"));
}

#[test]
fn instances_are_threads_processes_and_containers_where_these_can_be_run() {
    let arguments = ["experiment", "deepnfv-figure4", "--instances", "2", "--images", "3", "--json"];
    let report = succeed(arguments.iter().chain(&["--rootfs", "/nowhere"]));
    let report = json(&report);
    let kinds = report["kinds"].as_array().unwrap();
    let names: Vec<_> = kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    assert_eq!(names, ["thread", "process"]);
    let why = report["without_containers"].as_str().unwrap();
    assert!(why.contains("runc") || why.contains("/nowhere/legonf"), "{why}");
    for kind in kinds {
        let median = |key: &str| kind[key]["median"].as_f64().unwrap();
        assert!(median("round_trip_us") >= median("pass_us") && median("pass_us") > 0.0, "{kind}");
    }
}

#[test]
fn both_ways_through_a_chain_are_measured_and_come_to_the_same() {
    for (figure, chains) in [("figure4", 3), ("table3", 1), ("figure8", 9), ("figure9", 1)] {
        let name = format!("speedybox-{figure}");
        let small = ["--packets", "10000", "--flows", "40", "--rules", "3", "--json"];
        // A difference in packets, drops or counters is an error.
        let report = json(&succeed(["experiment", &name].iter().chain(&small)));
        let measured = report["chains"].as_array().unwrap();
        assert_eq!(measured.len(), chains, "{name}");
        for chain in measured {
            let spent = |key: &str| chain[key].as_f64().unwrap();
            assert!(spent("one_after_the_other_ns") > 0.0 && spent("fast_path_ns") > 0.0, "{chain}");
        }
    }
}

#[test]
fn what_dies_while_packets_flow_loses_and_changes_nothing() {
    let arguments = ["experiment", "failover", "--rate", "20k", "--time", "1s", "--faults", "4", "--json"];
    let report = json(&succeed(arguments));
    let whole = |of: &Value| of["lost"] == 0 && of["repeated"] == 0 && of["deviation"] == 0.0;
    assert!(whole(&report), "{report}");
    let cases = report["cases"].as_array().unwrap();
    for name in [
        "process killed",
        "process frozen",
        "agent killed",
        "agent frozen",
        "at random",
        "graph killed",
        "graph frozen",
        "standby killed",
    ] {
        let case =
            cases.iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"));
        assert!(whole(case) && case["losses"].as_u64() >= case["faults"].as_u64(), "{case}");
        assert!(case["faults"].as_u64() > Some(0) && case["packets"].as_u64() >= Some(20_000), "{case}");
    }
    for skipped in report["skipped"].as_array().unwrap() {
        println!("skipped: {}", skipped.as_str().unwrap());
    }
}

#[test]
fn slots_that_move_between_hosts_lose_and_change_nothing() {
    let arguments = ["experiment", "hosts", "--streams", "20k,4k", "--rate", "5k", "--moves", "2"];
    let report = json(&succeed(arguments.iter().chain(&["--pause", "200ms", "--json"])));
    if report["hosts"] != "namespaces, with TLS" {
        println!("skipped: hosts in network namespaces, which cannot be made here");
    }
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for (case, streams) in cases.iter().zip([20_000, 4_000]) {
        for (key, none) in [("lost", 0), ("strays", 0), ("evicted", 0), ("losses", 0)] {
            assert_eq!(case[key], none, "{key}: {case}");
        }
        assert!(case["deviation"] == 0.0 && case["streams"] == streams, "{case}");
        assert!(case["packets"].as_u64() > Some(2 * streams), "{case}");
        assert_eq!(case["moved_slots"], 2 * 4096, "{case}");
        assert!(case["moved_bytes"].as_u64() > Some(streams * 100), "{case}");
        assert!(case["still"]["packets"].as_u64() > Some(0) && case["moving"]["packets"].as_u64() > Some(0));
        assert_eq!(case["moves"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn goodput_is_what_is_offered_while_a_replica_comes_and_goes_on_another_host() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("out"));
    // All packets of so short a run find room, however slow the machine is.
    let arguments = ["experiment", "statelessnf-figure4-8", "--step", "200ms", "--out", &out, "--json"];
    let report = json(&succeed(arguments));
    if report["host"] != "a namespace, with TLS" {
        println!("skipped: a host in a network namespace, which cannot be made here");
    }
    assert!(report["lost"] == 0 && report["deviation"] == 0.0 && report["losses"] == 0, "{report}");
    assert!(report["top"].as_f64() < report["of_one"].as_f64() && report["of_two"].as_f64() > Some(0.0));
    assert!(report["other_host_s"].as_f64() > Some(0.0), "no replica ran on the host: {report}");
    let steps = report["steps"].as_array().unwrap();
    let sum = |key: &str| steps.iter().map(|step| step[key].as_f64().unwrap()).sum::<f64>() * 0.2;
    let packets = report["packets"].as_f64().unwrap();
    assert!(steps.len() == 20 && (sum("offered") - packets).abs() <= 1.0, "{report}");
    assert!(sum("goodput") <= packets * 1.01, "{report}");
    let plot = fs::read_to_string(folder.path().join("out/goodput.svg")).unwrap();
    assert!(plot.contains("offered") && plot.contains("goodput"));
}
