//! What makes `legonf live` and `legonf record` services: streams, messages, statistics, rotation, a service manager.
#![cfg(feature = "live")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/veth.rs"]
mod veth;

use common::{example, fail, legonf, root, text};
use legonf_core::Batch;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use veth::{Bench, Pair, json, packets, read, until};

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type(text: &str, kind: &str) -> Vec<Value> {
    records(text).into_iter().filter(|record| record["event_type"] == kind).collect()
}

fn records_of(eve: &str, name: &str) -> Vec<Value> {
    records(&read(&format!("{eve}{name}")))
}

/// Bytes of the packets of a capture.
fn recorded(path: &str) -> Vec<Vec<u8>> {
    let mut source = legonf_io::open(Path::new(path)).unwrap();
    let (mut batch, mut packets) = (Batch::default(), Vec::new());
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.is_empty() {
            return packets;
        }
        packets.extend(batch.packets.iter().map(|(_, bytes)| bytes.to_vec()));
    }
}

/// The shipped capture, unpacked: pcapng.
fn pcapng() -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = fs::File::open(example("synth-mini.pcap.gz")).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The first packets of the shipped capture as pcap, as `tcpdump -w -` writes them: the file's header, and a record each.
fn pcap(count: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1].map(u32::to_le_bytes).concat();
    let record = |(number, packet): (usize, &Vec<u8>)| {
        let length = packet.len() as u32;
        let head = [1_700_000_000 + number as u32, 0, length, length].map(u32::to_le_bytes).concat();
        [head, packet.clone()].concat()
    };
    (header, packets()[..count].iter().enumerate().map(record).collect())
}

/// A run over standard input in which every packet raises an alert.
fn alarming(bench: &Bench, stream: &[&str], more: &[&str]) -> Child {
    let given = ["live", "--no-warm-up", "--model", &bench.model, "--threshold", "0", "--json"];
    let every = ["--alerts", "all", "--alerts-per-second", "0"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    command.args([&given[..], stream, &every, more].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn ended(child: Child) -> Value {
    json(&within_a_minute(child))
}

#[track_caller]
fn within_a_minute(mut child: Child) -> Output {
    let end = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("the run does not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn alerts_of_a_stream_come_with_their_packets_and_not_at_the_end() {
    let bench = Bench::new();
    let (header, records) = pcap(30);
    for stream in [&["-"][..], &["--interface", "-"]] {
        let eve = bench.path(&format!("eve{}.json", stream.len()));
        let mut child = alarming(&bench, stream, &["--eve", &eve]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&header).unwrap();
        for (number, record) in records.iter().enumerate() {
            // Half a packet more than the ones whose alerts are waited for.
            let (begin, rest) = record.split_at(record.len() / 2);
            stdin.write_all(begin).unwrap();
            until("the alerts of whole packets are there", || read(&eve).lines().count() == number);
            stdin.write_all(rest).unwrap();
        }
        until("the last alert is there", || read(&eve).lines().count() == 30);
        drop(stdin);
        let report = ended(child);
        assert_eq!(
            (&report["coverage"]["scored"], &report["capture"]),
            (&30.into(), &"standard input".into())
        );
    }
}

#[test]
fn a_stream_of_pcapng_has_the_scores_of_a_replay_and_ends_by_its_bounds_or_a_signal() {
    let (bench, bytes) = (Bench::new(), pcapng());
    let [scores, out] = ["scores.csv", "replay"].map(|name| bench.path(name));
    let mut child = alarming(&bench, &["-"], &["--scores", &scores]);
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let report = ended(child);
    let seed = report["slot_seed"].to_string();
    let capture = text(example("synth-mini.pcap.gz"));
    common::succeed([
        "replay",
        &capture,
        "--model",
        &bench.model,
        "--threshold",
        "0",
        "--no-warm-up",
        "--slot-seed",
        &seed,
        "--out",
        &out,
        "--quiet",
    ]);
    assert_eq!(read(&scores), read(&format!("{out}/scores.csv")));

    let mut child = alarming(&bench, &["-"], &["--packets", "40"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&bytes[..60_000]).unwrap();
    assert_eq!(ended(child)["coverage"]["scored"], 40);

    // Nothing more comes, and it ends by time, and by a signal with the usual exit code.
    let (header, records) = pcap(1);
    for signal in [None, Some("-TERM")] {
        let eve = bench.path(&format!("{signal:?}.json"));
        let bound = if signal.is_none() { "2s" } else { "1h30m" };
        let mut child = alarming(&bench, &["-"], &["--eve", &eve, "--duration", bound]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&[&header[..], &records[0]].concat()).unwrap();
        until("the alert is there", || !read(&eve).is_empty());
        signal.into_iter().for_each(|signal| Pair::signal(&child, signal));
        assert_eq!(ended(child)["coverage"]["scored"], 1);
        drop(stdin);
    }
}

#[test]
fn what_cannot_be_is_said_in_a_line() {
    let bench = Bench::new();
    let model = ["--model", &bench.model];
    let line = fail([&["live", "-", "--filter", "tcp"], &model[..]].concat());
    assert!(line.starts_with("--filter is for an interface"), "{line}");
    let mut child = alarming(&bench, &["-"], &["--eve", &bench.path("none.json")]);
    child.stdin.take().unwrap().write_all(b"\x89PNG\r\n\x1a\n0000").unwrap();
    let output = within_a_minute(child);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains("standard input") && error.contains("PNG"), "{error}");
    assert!(!Path::new(&bench.path("none.json")).exists());
    let line = fail(["record", "-i", "nonesuch0", "-o", &bench.path("a.pcapng")]);
    assert!(line.contains("no such interface; there are: "), "{line}");
    assert!(!Path::new(&bench.path("a.pcapng")).exists());
    for (arguments, words) in [
        (&["-", "-i", "lo"][..], "cannot be used with"),
        (&["eth0"], "[possible values: -]"),
        (&[], "required"),
        (&["-", "--duration", "5 parsecs"], "a time above 0 such as 30s, 5m or 1h30m"),
        (&["-", "--stats", "10s"], "--eve"),
        (&["-", "--syslog", "loghost"], "unix:PATH or udp://HOST:PORT"),
        (&["-", "--eve", "e", "--rotate", "soon"], "a size such as"),
        (&["-", "--eve", "e", "--rotate", "1M", "--keep", "0"], "1.."),
        (&["-", "--eve", "e", "--keep", "3"], "--rotate"),
    ] {
        let output = legonf([&["live"], &model[..], arguments].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn a_recording_needs_no_model_and_accounts_for_every_packet() {
    let Some(pair) = Pair::new() else { return };
    let (folder, packets) = (tempfile::tempdir().unwrap(), packets()[..300].to_vec());
    let file = text(folder.path().join("capture.pcapng"));
    fs::write(&file, "of before").unwrap();
    let child = pair.start(&[
        "record",
        "-i",
        "here",
        "-o",
        &file,
        "--json",
        "--rotate",
        "16K",
        "--buffer-timeout",
        "5",
    ]);
    Pair::wait_for_listener(&child);
    let status = read(&format!("/proc/{}/status", child.id()));
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    pair.send(packets.clone());
    let files = || {
        let mut files: Vec<_> =
            (1..).map(|n| format!("{file}.{n}")).take_while(|f| Path::new(f).exists()).collect();
        // That of before is the oldest.
        assert_eq!(read(&files.pop().unwrap_or_default()), if files.is_empty() { "" } else { "of before" });
        files.reverse();
        [files, vec![file.clone()]].concat()
    };
    thread::sleep(Duration::from_secs(1));
    let report = json(&Pair::stop(child, "-INT"));
    let files = files();
    let all: Vec<_> = files.iter().flat_map(|file| recorded(file)).collect();
    assert!(all == packets && files.len() > 2, "{} packets in {} files", all.len(), files.len());
    assert!(files[..files.len() - 1].iter().all(|file| fs::metadata(file).unwrap().len() <= 16 << 10));
    assert_eq!((&report["received"], &report["written"]), (&300.into(), &300.into()), "{report}");
    assert_eq!(report["dropped"], serde_json::json!({}));

    // Bounds, a filter, and what a full disk does not take.
    let child = pair.start(&["record", "-i", "here", "-o", "/dev/full", "--packets", "20", "--filter", "ip"]);
    Pair::wait_for_listener(&child);
    pair.send(packets.clone());
    let output = within_a_minute(child);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let line = "20 received = 0 written + 20 dropped (output 20)";
    assert!(told.contains(line) && told.contains("disk is full"), "{told}");
    let mut child = pair.start(&["record", "-i", "here", "-o", "-"]);
    Pair::wait_for_listener(&child);
    drop(child.stdout.take());
    pair.send(packets.clone());
    assert_eq!(within_a_minute(child).status.code(), Some(141));
    let child = pair.start(&["record", "-i", "here", "-o", &file, "--json", "--duration", "1s"]);
    let report = json(&within_a_minute(child));
    assert_eq!((&report["received"], recorded(&file).len()), (&0.into(), 0));
}

#[test]
fn statistics_come_now_and_then_and_account_for_every_packet() {
    let Some(pair) = Pair::new() else { return };
    let (bench, some) = (Bench::new(), packets()[..50].to_vec());
    let eve = bench.path("eve.json");
    let given = bench.alarming();
    let child = pair.start(&[&given[..], &["--eve", &eve, "--stats", "1s"]].concat());
    Pair::wait_for_listener(&child);
    until("statistics come where no packet does", || of_type(&read(&eve), "stats").len() > 1);
    pair.send(some);
    let told = || of_type(&read(&eve), "stats");
    until("the packets are told", || told().last().unwrap()["metadata"]["flowints"]["legonf.scored"] == 50);
    // Whole before it ends.
    let stats = told();
    let report = json(&Pair::stop(child, "-INT"));
    let (first, last) = (&stats[0], stats.last().unwrap());
    assert_eq!(first["stats"]["capture"]["kernel_packets"], 0);
    assert!(
        first["timestamp"].as_str().unwrap() > "2020"
            && first["timestamp"].as_str() < last["timestamp"].as_str()
    );
    assert!(last["stats"]["uptime"].as_u64() >= Some(1), "{last}");
    let counters = &last["metadata"]["flowints"];
    let coverage = (&counters["legonf.received"], &counters["legonf.scored"]);
    assert_eq!(coverage, (&report["coverage"]["received"], &report["coverage"]["scored"]));
    let capture = &last["stats"]["capture"];
    assert_eq!((&capture["kernel_packets"], &capture["kernel_drops"]), (&50.into(), &0.into()));
    assert_eq!(last["stats"]["detect"]["alert"], 50);
    assert_eq!(last["stats"]["decoder"]["pkts"], 50);
}

#[test]
fn alerts_are_messages_of_syslog() {
    let bench = Bench::new();
    let (header, records) = pcap(3);
    let (remote, local) = (UdpSocket::bind("127.0.0.1:0").unwrap(), bench.path("log"));
    let receiver = UnixDatagram::bind(&local).unwrap();
    let patience = Some(Duration::from_secs(60));
    remote.set_read_timeout(patience).unwrap();
    receiver.set_read_timeout(patience).unwrap();
    let address = format!("udp://{}", remote.local_addr().unwrap());
    let mut sent = Vec::new();
    for target in [address, format!("unix:{local}")] {
        let mut child = alarming(&bench, &["-"], &["--syslog", &target]);
        let process = child.id();
        let bytes = [header.clone(), records.concat()].concat();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        sent.clear();
        while sent.last().is_none_or(|kind| kind != "stats") {
            let mut buffer = [0; 1 << 16];
            let receive =
                if target.starts_with("udp") { remote.recv(&mut buffer) } else { receiver.recv(&mut buffer) };
            let message = std::str::from_utf8(&buffer[..receive.unwrap()]).unwrap();
            let (head, record) = message.split_once(" - ").unwrap();
            let fields: Vec<_> = head.split(' ').collect();
            let [priority, time, _, "legonf", sender, kind] = fields[..] else { panic!("{head}") };
            assert_eq!(priority, if kind == "stats" { "<30>1" } else { "<28>1" });
            assert_eq!(sender, process.to_string());
            assert!(time.starts_with("2023-11-14T22:13:2") && time.ends_with('Z'), "{time}");
            let record: Value = serde_json::from_str(record).unwrap();
            assert_eq!(record["event_type"], kind);
            assert!(kind != "alert" || record["pcap_cnt"] == sent.len() + 1, "{record}");
            sent.push(kind.to_owned());
        }
        assert!(sent.len() > 4 && sent[..3] == ["alert"; 3] && sent[3] == "incident", "{sent:?}");
        let report = ended(child);
        assert_eq!(report["live"]["lost"], serde_json::json!({"syslog": 0}), "{target}");
    }
    drop(receiver);
    let mut child = alarming(&bench, &["-"], &["--syslog", &format!("unix:{local}")]);
    child.stdin.take().unwrap().write_all(&[header, records.concat()].concat()).unwrap();
    let report = ended(child);
    assert_eq!(
        (&report["live"]["lost"]["syslog"], &report["coverage"]["scored"]),
        (&sent.len().into(), &3.into())
    );
    assert_eq!(report["live"]["trouble"]["syslog"], "nobody receives there");
}

#[test]
fn the_newest_full_file_is_the_first_and_the_oldest_go() {
    let bench = Bench::new();
    let (header, records) = pcap(60);
    let eve = bench.path("eve.json");
    let run = |keep: &str| {
        let mut child = alarming(&bench, &["-"], &["--eve", &eve, "--rotate", "8K", "--keep", keep]);
        child.stdin.take().unwrap().write_all(&[&header[..], &records.concat()].concat()).unwrap();
        ended(child);
    };
    run("99");
    let numbered = (1..100).rev().map(|number| format!("{eve}.{number}"));
    let files: Vec<_> = numbered.filter(|file| Path::new(file).exists()).chain([eve.clone()]).collect();
    let alerts = files.iter().flat_map(|file| of_type(&read(file), "alert"));
    let numbers: Vec<_> = alerts.map(|alert| alert["pcap_cnt"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
    assert!(files.len() > 3, "{files:?}");
    files.iter().for_each(|file| fs::remove_file(file).unwrap());

    run("2");
    assert!(!records_of(&eve, ".2").is_empty() && !records_of(&eve, ".1").is_empty());
    assert!(!Path::new(&format!("{eve}.3")).exists());
}

#[test]
fn a_service_manager_is_told_what_happens() {
    let bench = Bench::new();
    let socket = bench.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    command.args(["live", "-", "--model", &bench.model]).env("NOTIFY_SOCKET", &socket);
    command.env("WATCHDOG_USEC", "30000000").env_remove("WATCHDOG_PID");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (&stdin).write_all(&pcap(0).0).unwrap();
    let heard = || {
        let mut buffer = [0; 64];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!([heard(), heard(), heard()], ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    Pair::signal(&child, "-TERM");
    let mut last = heard();
    while last == "WATCHDOG=1" {
        last = heard();
    }
    assert_eq!(last, "STOPPING=1");
    assert_eq!(within_a_minute(child).status.code(), Some(0));
}

#[test]
fn the_unit_is_sound_and_exposes_little() {
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(root().join("packaging/legonf@.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/legonf live "));
    let here = unit.replace("/usr/bin/legonf", env!("CARGO_BIN_EXE_legonf"));
    let path = text(folder.path().join("legonf@.service"));
    fs::write(&path, here).unwrap();
    let instance = text(folder.path().join("legonf@eth0.service"));
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).output();
    let Ok(verified) = analyze(&["verify", &instance]) else {
        eprintln!("skipped: systemd-analyze is not there");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("legonf@"), "{said}");
    // Tenths: 2.0 of 10, on which most services of a system have 9.
    let secured = analyze(&["security", "--offline=true", "--threshold=20", &path]).unwrap();
    assert!(secured.status.success(), "{}", String::from_utf8_lossy(&secured.stdout));
}
