//! A live run as a service: what others do to its files, its readers, its interface and its process.
#![cfg(feature = "live")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/veth.rs"]
mod veth;

use common::succeed;
use legonf_core::Batch;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};
use veth::{Bench, Pair, ip, json, packets, read, repeated, until};

fn lines(path: &str) -> usize {
    read(path).lines().count()
}

/// Packets of a capture, read by a reader that refuses what is cut short.
fn recorded(path: &str) -> usize {
    let mut source = legonf_io::open(Path::new(path)).unwrap();
    let (mut batch, mut seen) = (Batch::default(), 0);
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.is_empty() {
            return seen;
        }
        seen += batch.len();
    }
}

/// A run in which every packet raises an alert.
fn alarming(pair: &Pair, bench: &Bench, arguments: &[&str]) -> Child {
    let given = bench.alarming();
    let every = ["--alerts", "all", "--alerts-per-second", "0"];
    let child = pair.start(&[&given[..], &every, arguments].concat());
    Pair::wait_for_listener(&child);
    child
}

/// Ends a run that nothing may hold up.
#[track_caller]
fn ended(mut child: Child, signal: Option<&str>) -> Value {
    if let Some(signal) = signal {
        Pair::signal(&child, signal);
    }
    let end = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("the run does not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
    json(&child.wait_with_output().unwrap())
}

#[test]
fn after_a_hang_up_files_go_on_under_their_names_and_nothing_is_lost() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets()[..200].to_vec());
    let files = ["eve.json", "scores.csv", "record.pcapng"].map(|name| bench.path(name));
    let [eve, scores, record] = &files;
    let child = alarming(&pair, &bench, &["--eve", eve, "--scores", scores, "--record", record]);
    let old = files.each_ref().map(|file| format!("{file}-old"));
    pair.send(packets.clone());
    until("the first packets are scored", || lines(scores) == 201 && lines(eve) == 200);
    for (file, old) in files.iter().zip(&old) {
        fs::rename(file, old).unwrap();
    }
    // Until somebody says so, the old files are the run's.
    pair.send(packets.clone());
    until("the old files go on", || lines(&old[1]) == 401);
    Pair::signal(&child, "-HUP");
    // Nothing comes, and yet it is done.
    until("there are new files", || files.iter().all(|file| Path::new(file).exists()));
    pair.send(packets.clone());
    until("the new files go on", || lines(scores) == 201);
    let report = ended(child, Some("-TERM"));
    assert_eq!((&report["coverage"]["scored"], &report["live"]["reopened"]), (&600.into(), &1.into()));
    assert_eq!(report["live"]["lost"], serde_json::json!({"eve": 0, "record": 0, "scores": 0}));
    // A line for each packet, once, and in the end one for each incident and one of statistics.
    let numbers =
        |text: String| text.lines().map(|l| l.split(',').next().unwrap().to_owned()).collect::<Vec<_>>();
    let all = [numbers(read(&old[1])), numbers(read(scores))].concat();
    let expected: Vec<String> =
        ["seq".to_owned()].into_iter().chain((0..400).map(|n| n.to_string())).collect();
    assert_eq!(all[..401], expected);
    assert_eq!((all[401].as_str(), all[402].as_str(), all.len()), ("seq", "400", 602));
    let closed = report["incidents"]["closed"].as_u64().unwrap() as usize;
    assert_eq!((lines(&old[0]), lines(eve)), (400, 201 + closed));
    assert_eq!((recorded(&old[2]), recorded(record)), (400, 200));
    for file in [&old[2], record] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_killed_run_leaves_the_evidence_of_its_alerts() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets()[..50].to_vec());
    let [eve, scores, record] = ["eve.json", "scores.csv", "record.pcapng"].map(|name| bench.path(name));
    let mut child = alarming(&pair, &bench, &["--eve", &eve, "--scores", &scores, "--record", &record]);
    pair.send(packets);
    until("the alerts are there", || lines(&eve) == 50);
    // Each output is written before the next batch is: at most a second later.
    thread::sleep(Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((lines(&scores), recorded(&record)), (51, 50));
    assert!(
        read(&eve).lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["event_type"] == "alert")
    );
}

#[test]
fn a_reader_that_is_stalled_or_away_is_a_counted_loss() {
    let Some(pair) = Pair::new() else { return };
    let (bench, some) = (Bench::new(), repeated(2));
    let total = some.len() as u64;
    let (socket, fifo) = (bench.path("eve.socket"), bench.path("eve.fifo"));
    mkfifo(Path::new(&fifo), Mode::S_IRWXU).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let target = format!("unix:{socket}");
    for eve in ["-", &target, &fifo] {
        let child = alarming(&pair, &bench, &["--eve", eve]);
        pair.send(some.clone());
        // What nobody takes does not keep the signal away, nor the summary.
        thread::sleep(Duration::from_secs(1));
        let mut child = child;
        Pair::signal(&child, "-TERM");
        until("the run ends", || child_is_over(&child));
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{eve}");
        let output = child.wait_with_output().unwrap();
        let text = if eve == "-" { output.stderr } else { output.stdout };
        let report: Value = serde_json::from_slice(&text).unwrap();
        let lost = report["live"]["lost"]["eve"].as_u64().unwrap();
        let records = total + report["incidents"]["closed"].as_u64().unwrap() + 1;
        assert!(lost > 0 && lost <= records, "{eve}: {report}");
        assert_eq!(report["coverage"]["scored"], total, "{eve}");
        assert!(report["live"]["trouble"]["eve"].as_str().unwrap().contains("reader"), "{report}");
    }
    drop(listener);
}

/// Whether a file does not grow for a while.
fn is_quiet(path: &str) -> bool {
    let size = || fs::metadata(path).map_or(0, |file| file.len());
    let before = size();
    thread::sleep(Duration::from_secs(1));
    size() == before
}

/// Whether a process is over, without taking its status away.
fn child_is_over(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

#[test]
fn a_duration_ends_a_run_whose_reader_is_stalled() {
    let Some(pair) = Pair::new() else { return };
    let (bench, some) = (Bench::new(), repeated(2));
    let fifo = bench.path("scores.fifo");
    mkfifo(Path::new(&fifo), Mode::S_IRWXU).unwrap();
    // It is open for reading, and nobody reads.
    let held = File::options().read(true).write(true).open(&fifo).unwrap();
    let child = alarming(&pair, &bench, &["--scores", &fifo, "--workers", "fused", "--duration", "4"]);
    pair.send(some);
    let report = ended(child, None);
    assert!(report["live"]["lost"]["scores"].as_u64() > Some(0), "{report}");
    drop(held);
}

#[test]
fn a_reader_that_comes_late_gets_what_was_kept() {
    let Some(pair) = Pair::new() else { return };
    let (bench, some) = (Bench::new(), packets()[..20].to_vec());
    let socket = bench.path("eve.socket");
    let child = alarming(&pair, &bench, &["--eve", &format!("unix:{socket}")]);
    pair.send(some.clone());
    let listener = UnixListener::bind(&socket).unwrap();
    for _ in 0..2 {
        let (reader, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(reader).lines();
        for number in 0..20 {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_eq!(line["pcap_cnt"].as_u64().unwrap() % 20, (number + 1) % 20);
        }
        drop(lines);
        // A line that finds its reader gone is kept for the next one.
        pair.send(some.clone());
    }
    drop(listener);
    let report = ended(child, Some("-INT"));
    assert_eq!(report["coverage"]["scored"], 60);
}

#[test]
fn a_full_disk_costs_lines_and_not_the_run() {
    let Some(pair) = Pair::new() else { return };
    let (bench, some) = (Bench::new(), packets()[..200].to_vec());
    let disk = bench.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none", &disk]).status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small disk needs the right to mount one");
        return;
    }
    let (eve, scores, record) =
        (format!("{disk}/eve.json"), format!("{disk}/scores.csv"), format!("{disk}/record.pcapng"));
    let child = alarming(&pair, &bench, &["--eve", &eve, "--scores", &scores, "--record", &record]);
    // More than there is room for.
    let mut sent = 0;
    while sent < 4000 {
        pair.send(some.clone());
        sent += some.len() as u64;
    }
    until("all are scored", || is_quiet(&eve));
    // As copytruncate makes room.
    let before = read(&eve);
    for file in [&eve, &scores, &record] {
        File::options().write(true).open(file).unwrap().set_len(0).unwrap();
    }
    pair.send(some.clone());
    sent += some.len() as u64;
    until("there is room again", || lines(&scores) > 200);
    let report = ended(child, Some("-INT"));
    let after = read(&eve);
    let parts = [before.clone(), after.clone(), read(&scores)];
    let recorded = recorded(&record);
    Command::new("umount").arg(&disk).status().unwrap();
    assert_eq!(report["coverage"]["scored"], sent);
    assert!(parts.iter().all(|text| !text.contains('\0') && text.ends_with('\n')), "a hole or half a line");
    assert!(before.lines().chain(after.lines()).all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let lost = report["live"]["lost"]["eve"].as_u64().unwrap();
    let written = before.lines().count() + after.lines().count() - 1;
    let closed = report["incidents"]["closed"].as_u64().unwrap();
    assert_eq!((lost > 0, written as u64 + lost), (true, sent + closed), "{report}");
    assert_eq!(report["live"]["trouble"]["eve"], "the disk is full");
    assert!(parts[2].starts_with("seq,timestamp,score,verdict\n") && recorded >= 200, "{recorded}");
}

#[test]
fn an_interface_that_comes_up_again_goes_on_with_its_state() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    let [scores, record, out] = ["scores.csv", "record.pcapng", "replay"].map(|name| bench.path(name));
    let child = alarming(&pair, &bench, &["--scores", &scores, "--record", &record]);
    pair.send(packets[..500].to_vec());
    until("the first packets are scored", || lines(&scores) == 501);
    let link = |state: &str| ip(&format!("-n {} link set here {state}", pair.names[0])).unwrap();
    link("down");
    // Longer than it takes to find out.
    thread::sleep(Duration::from_millis(2500));
    link("up");
    until("the pair has a carrier again", || carrier(&pair));
    pair.send(packets[500..1000].to_vec());
    until("the others are scored", || lines(&scores) == 1001);
    let report = ended(child, Some("-INT"));
    assert_eq!((&report["coverage"]["scored"], &report["live"]["interface_down"]), (&1000.into(), &1.into()));
    succeed([
        "replay",
        "--no-warm-up",
        &record,
        "--model",
        &bench.model,
        "--threshold",
        "0",
        "--out",
        &out,
        "--quiet",
    ]);
    assert_eq!(read(&scores), read(&format!("{out}/scores.csv")));
}

fn carrier(pair: &Pair) -> bool {
    let shown = Command::new("ip").args(["-n", &pair.names[1], "link", "show", "there"]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().contains("LOWER_UP")
}

#[test]
fn rights_are_gone_before_the_model_is_read_and_a_user_can_be_taken() {
    let Some(pair) = Pair::new() else { return };
    let bench = Bench::new();
    let scores = bench.path("scores.csv");
    // Whoever can read a folder of root's alone is root or has rights that a run must not have by then.
    fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let refused = pair
        .command(&[&bench.live()[..], &["--duration", "1", "--user", "nobody"]].concat())
        .output()
        .unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.to_lowercase().contains("permission denied") && error.contains(&bench.model), "{error}");

    fs::set_permissions(bench.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let child = alarming(&pair, &bench, &["--scores", &scores, "--user", "nobody"]);
    until("the outputs are open", || Path::new(&scores).exists());
    let status = read(&format!("/proc/{}/status", child.id()));
    let nobody = Command::new("id").args(["-u", "nobody"]).output().unwrap();
    let uid = String::from_utf8(nobody.stdout).unwrap().trim().to_owned();
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}")), "{status}");
    let groups = status.lines().find(|line| line.starts_with("Groups:")).unwrap();
    assert!(!groups.split_whitespace().any(|group| group == "0"), "{groups}");
    pair.send(packets()[..100].to_vec());
    until("packets are scored", || lines(&scores) == 101);
    Pair::signal(&child, "-HUP");
    assert_eq!(ended(child, Some("-INT"))["live"]["lost"]["scores"], 0);
}

#[test]
fn the_slot_seed_is_random_and_written_down_and_a_replay_with_it_is_the_same_run() {
    let Some(pair) = Pair::new() else { return };
    let (bench, packets) = (Bench::new(), packets());
    // So small that streams are evicted: which ones depends on the seed.
    let graph = bench.path("graph.toml");
    let shown = succeed(["graph", "show", "--toml"]);
    let mut spec: toml::Table = shown.parse().unwrap();
    let bricks = spec["brick"].as_array_mut().unwrap();
    let extractor = bricks.iter_mut().find(|brick| brick["id"].as_str() == Some("extractor")).unwrap();
    let limits =
        ["sources_per_slot", "channels_per_slot", "sockets_per_slot"].map(|key| (key.into(), 1.into()));
    let config = extractor["config"].as_table_mut().unwrap();
    config.insert("schema".into(), "kitsune-115".into());
    config.insert("limits".into(), toml::Table::from_iter(limits).into());
    fs::write(&graph, spec.to_string()).unwrap();
    let mut seeds = Vec::new();
    for run in 0..2 {
        let [scores, record, out] =
            ["scores.csv", "record.pcapng", "replay"].map(|n| bench.path(&format!("{run}{n}")));
        let child = alarming(&pair, &bench, &["--graph", &graph, "--scores", &scores, "--record", &record]);
        pair.send(packets.clone());
        until("all packets are scored", || lines(&scores) == packets.len() + 1);
        let report = ended(child, Some("-INT"));
        let seed = report["slot_seed"].as_u64().unwrap();
        let comment = format!("slot seed {seed}");
        let bytes = fs::read(&record).unwrap();
        assert!(bytes.windows(comment.len()).any(|bytes| bytes == comment.as_bytes()), "{seed}");
        let seed_given = seed.to_string();
        let mut replay = vec![
            "replay",
            "--no-warm-up",
            &record,
            "--model",
            &bench.model,
            "--graph",
            &graph,
            "--threshold",
            "0",
        ];
        replay.extend(["--slot-seed", &seed_given, "--out", &out, "--json"]);
        let replayed: Value = serde_json::from_str(&succeed(&replay)).unwrap();
        assert_eq!(report["counters"], replayed["counters"]);
        assert!(report["counters"].as_object().unwrap().values().any(|n| n.as_u64() > Some(0)), "{report}");
        assert_eq!(read(&scores), read(&format!("{out}/scores.csv")));
        seeds.push(seed);
    }
    assert_ne!(seeds[0], seeds[1]);
}
