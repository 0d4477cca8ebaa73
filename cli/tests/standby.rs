//! A hot standby: whichever process dies, the other one's results are those of one that never did.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[cfg(feature = "live")]
#[path = "common/veth.rs"]
mod veth;

use common::running::{Running, signal};
use common::{contents, example, fail, succeed, text, trained};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// A model, and what a run in one process gives.
struct Bench {
    folder: TempDir,
    model: String,
    capture: String,
    /// Further options of both sides.
    options: Vec<String>,
    /// Where both settle who goes on, if not in a folder.
    decisions: Option<String>,
}

/// A primary and its standby, amid a capture.
struct Two {
    primary: Running,
    standby: Running,
    /// What the primary still has to read.
    rest: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        fs::create_dir(folder.path().join("decisions")).unwrap();
        Self {
            folder,
            model,
            capture: text(example("synth-mini.pcap.gz")),
            options: Vec::new(),
            decisions: None,
        }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    fn replay(&self, capture: &str, out: &str, options: &[&str]) -> Vec<String> {
        let out = self.path(out);
        let given = ["replay", capture, "--model", &self.model, "--no-warm-up", "--out", &out];
        given.into_iter().chain(options.iter().copied()).map(str::to_owned).collect()
    }

    fn side(&self, capture: &str, out: &str, options: &[&str]) -> Vec<String> {
        let decisions = self.decisions.clone().unwrap_or_else(|| self.path("decisions"));
        let both = [&["--coordination", &decisions, "--lease", "300ms", "--json"], options].concat();
        self.replay(capture, out, &both).into_iter().chain(self.options.iter().cloned()).collect()
    }

    /// Starts both. Half of the capture comes to the primary; the standby has all of it.
    fn start(&self, workers: [&str; 2]) -> Two {
        self.start_with(workers, &[])
    }

    /// The same with further options of the standby.
    fn start_with(&self, workers: [&str; 2], options: &[&str]) -> Two {
        let follow =
            [&["--follow", "127.0.0.1:0", "--workers", workers[1], "--oversubscribe"], options].concat();
        let standby = Running::start(&self.side(&self.capture, "standby", &follow));
        let address = waiting(&standby);
        let lead = ["--standby", &format!("b={address}"), "--workers", workers[0]];
        let mut primary = Running::start(&self.side("-", "primary", &lead));
        let bytes = fs::read(&self.capture).unwrap();
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let input = primary.child.stdin.as_mut().unwrap();
        input.write_all(first).unwrap();
        input.flush().unwrap();
        // That the standby has agreed shows by its outputs, and what comes then is on its way.
        let begun = self.folder.path().join("standby");
        for _ in 0..6000 {
            if begun.exists() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        assert!(begun.exists(), "{} {}", primary.said(), standby.said());
        sleep(Duration::from_millis(500));
        Two { primary, standby, rest: rest.to_vec() }
    }

    #[track_caller]
    fn check(&self, out: &str) {
        if !self.folder.path().join("expected").exists() {
            succeed(self.replay(&self.capture, "expected", &["--workers", "fused", "--quiet"]));
        }
        for file in ["scores.csv", "incidents.json", "eve.json"] {
            let read = |folder: &str| fs::read(self.folder.path().join(folder).join(file)).unwrap();
            assert!(read(out) == read("expected"), "{out}: {file}");
        }
    }

    fn decision(&self) -> Vec<String> {
        let files = contents(&self.folder.path().join("decisions"));
        files.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
    }
}

impl Two {
    /// Gives the primary the rest of its capture.
    fn go_on(primary: &mut Running, rest: &[u8]) {
        // It may be no more.
        let _ = primary.child.stdin.take().unwrap().write_all(rest);
    }

    fn pid(running: &Running) -> [String; 1] {
        [running.child.id().to_string()]
    }
}

/// Where a standby listens, once it does.
fn waiting(standby: &Running) -> String {
    let before = "waiting for the primary, at ";
    standby.wait_for(before);
    let said = standby.said();
    said.lines().find_map(|line| line.split_once(before)).unwrap().1.to_owned()
}

#[track_caller]
fn check_standby(report: &Value, took_over: bool) {
    let standby = &report["standby"];
    assert_eq!((standby["role"].as_str(), standby["takeover_ms"].is_f64()), (Some("standby"), took_over));
    let (accepted, received) =
        (standby["accepted"].as_u64().unwrap(), report["coverage"]["received"].as_u64().unwrap());
    assert!(if took_over { (1..received).contains(&accepted) } else { accepted == received }, "{report}");
}

#[test]
fn both_sides_give_the_same_if_none_dies() {
    let bench = Bench::new();
    let mut two =
        bench.start(["fused", "source batching | extractor x2 | mapping autoencoder decision sink"]);
    Two::go_on(&mut two.primary, &two.rest);
    let (report, _) = two.primary.end();
    assert_eq!(report["standby"], serde_json::json!({"role": "primary", "accepted": 3500, "lost": null}));
    check_standby(&two.standby.end().0, false);
    bench.check("primary");
    bench.check("standby");
    assert!(bench.decision().is_empty());
}

#[test]
fn the_standby_goes_on_where_the_primary_is_killed() {
    let bench = Bench::new();
    let two = bench.start(["pipeline", "fused"]);
    signal("-KILL", &Two::pid(&two.primary));
    let (report, said) = two.standby.end();
    assert!(said.contains("the primary is lost"), "{said}");
    check_standby(&report, true);
    bench.check("standby");
    assert_eq!(bench.decision(), ["the standby goes on"]);
}

#[test]
fn a_primary_that_was_frozen_does_not_go_on_beside_its_standby() {
    let bench = Bench::new();
    let mut two = bench.start(["fused", "pipeline"]);
    let frozen = Two::pid(&two.primary);
    signal("-STOP", &frozen);
    let (report, said) = two.standby.end();
    assert!(said.contains("has not answered for 300 ms"), "{said}");
    check_standby(&report, true);
    bench.check("standby");
    signal("-CONT", &frozen);
    Two::go_on(&mut two.primary, &two.rest);
    let (output, said) = two.primary.output();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standby `b` has gone on in place of this process"), "{said}");
}

#[test]
fn a_primary_that_is_stopped_hands_over_and_settles_nothing() {
    let bench = Bench::new();
    let two = bench.start(["fused", "fused"]);
    signal("-TERM", &Two::pid(&two.primary));
    check_standby(&two.standby.end().0, true);
    bench.check("standby");
    assert!(bench.decision().is_empty());
}

#[test]
fn the_primary_goes_on_where_the_standby_is_killed_or_frozen() {
    for sent in ["-KILL", "-STOP"] {
        let bench = Bench::new();
        let mut two = bench.start(["pipeline", "fused"]);
        let standby = Two::pid(&two.standby);
        signal(sent, &standby);
        sleep(Duration::from_millis(600));
        Two::go_on(&mut two.primary, &two.rest);
        let (report, said) = two.primary.end();
        assert!(said.contains("standby `b` is lost"), "{said}");
        assert!(
            report["standby"]["lost"].is_string() && report["standby"]["accepted"].as_u64() < Some(3500),
            "{report}"
        );
        bench.check("primary");
        assert_eq!(bench.decision(), ["the primary goes on"]);
        signal("-CONT", &standby);
        let (output, said) = two.standby.output();
        if sent == "-STOP" {
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("the primary goes on without this standby"), "{said}");
        }
    }
}

#[test]
fn a_standby_whose_capture_is_shorter_says_so() {
    let bench = Bench::new();
    let two = bench.start_with(["fused", "fused"], &["--limit", "100"]);
    signal("-KILL", &Two::pid(&two.primary));
    let (output, said) = two.standby.output();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("it ends at packet 100, but ") && said.contains("both must read the same"),
        "{said}"
    );
    // What it had of the primary is complete.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["coverage"]["received"], report["standby"]["accepted"]);
}

#[test]
fn nothing_goes_on_before_it_is_settled() {
    let bench = Bench::new();
    let two = bench.start(["fused", "fused"]);
    let (decisions, away) = (bench.path("decisions"), bench.path("away"));
    fs::rename(&decisions, &away).unwrap();
    signal("-KILL", &Two::pid(&two.primary));
    two.standby.wait_for("no packet is taken until it is settled who goes on");
    fs::rename(&away, &decisions).unwrap();
    check_standby(&two.standby.end().0, true);
    bench.check("standby");
}

/// A member of etcd that is killed when it is dropped; its data stay.
#[cfg(feature = "etcd")]
struct Etcd(std::process::Child);

#[cfg(feature = "etcd")]
impl Etcd {
    fn start(folder: &str, url: &str) -> Self {
        let mut command = std::process::Command::new("etcd");
        command.args(["--data-dir", folder, "--listen-client-urls", url, "--advertise-client-urls", url]);
        command.args(["--listen-peer-urls", "http://127.0.0.1:0"]);
        Self(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap())
    }
}

#[cfg(feature = "etcd")]
impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(feature = "etcd")]
#[test]
fn etcd_settles_who_goes_on_once_it_answers() {
    if std::process::Command::new("etcd").arg("--version").output().is_err() {
        println!("skipped: etcd is not there (./test.sh brings it)");
        return;
    }
    let mut bench = Bench::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (data, url) = (bench.path("etcd"), format!("http://127.0.0.1:{port}"));
    let etcd = Etcd::start(&data, &url);
    bench.decisions = Some(format!("etcd={url}"));
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    let two = bench.start(["fused", "fused"]);
    drop(etcd);
    signal("-KILL", &Two::pid(&two.primary));
    two.standby.wait_for("no packet is taken until it is settled who goes on");
    let _etcd = Etcd::start(&data, &url);
    check_standby(&two.standby.end().0, true);
    bench.check("standby");
}

#[test]
fn hosts_of_a_cluster_follow_each_other_over_tls() {
    let mut bench = Bench::new();
    let (a, b) = (bench.path("a"), bench.path("b"));
    succeed(["cluster", "init", &a, "--name", "b"]);
    succeed(["cluster", "issue", &b, "--name", "b", "--authority", &a]);
    bench.options = vec!["--cluster".into(), b];
    let two = bench.start(["fused", "fused"]);
    signal("-KILL", &Two::pid(&two.primary));
    check_standby(&two.standby.end().0, true);
    bench.check("standby");
}

#[test]
fn sides_that_differ_are_refused_by_what_differs() {
    let bench = Bench::new();
    let other = bench.path("other.onnx");
    succeed([
        "train",
        "kitsune",
        &bench.capture,
        "--schema",
        "kitsune-115-clean",
        "--feature-mapping-packets",
        "500",
        "--training-packets",
        "1400",
        "-o",
        &other,
        "--quiet",
    ]);
    let given = [
        (vec!["--threshold", "0.5"], "--threshold"),
        (vec!["--precision", "f32"], "the graph"),
        (vec!["--slot-seed", "5"], ""),
        (vec![], "the model"),
    ];
    for (number, (options, differs)) in given.into_iter().enumerate() {
        let standby =
            Running::start(&bench.side(&bench.capture, &format!("s{number}"), &["--follow", "127.0.0.1:0"]));
        let address = format!("b={}", waiting(&standby));
        let mut arguments = bench.side(
            &bench.capture,
            &format!("p{number}"),
            &[&["--standby", &address], &options[..]].concat(),
        );
        if differs == "the model" {
            let model = arguments.iter().position(|argument| *argument == bench.model).unwrap();
            arguments[model] = other.clone();
        }
        if differs.is_empty() {
            // It comes from the primary.
            succeed(&arguments);
            assert!(standby.output().0.status.success());
            continue;
        }
        let reason = format!("primary and standby differ in this: {differs}");
        let said = fail(&arguments);
        assert!(said.contains(&reason), "{said}");
        let (output, said) = standby.output();
        assert!(output.status.code() == Some(1) && said.contains(&reason), "{said}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_a_line() {
    let bench = Bench::new();
    let (folder, none) = (bench.path("decisions"), bench.path("none"));
    let refused = |options: &[&str], expected: &str| {
        let said = fail(bench.replay(&bench.capture, "refused", options));
        assert!(said.contains(expected), "{said}");
    };
    refused(&["--standby", "b=127.0.0.1:9", "--coordination", &folder], "start it first, with --follow");
    refused(&["--standby", "b=192.0.2.7:9", "--coordination", &folder], "reached with certificates alone");
    refused(
        &["--follow", "0.0.0.0:0", "--coordination", &folder],
        "beyond loopback a standby needs certificates",
    );
    refused(&["--follow", "127.0.0.1:0", "--coordination", &none], "none: not a folder");
    refused(&["--coordination", &folder], "leave it out");
    // What cannot be read is said before anybody is waited for.
    let empty = bench.path("empty.pcap");
    fs::write(&empty, []).unwrap();
    let said = fail(bench.replay(&empty, "refused", &["--follow", "127.0.0.1:0", "--coordination", &folder]));
    assert!(said.contains("empty.pcap"), "{said}");
    // A file system that nobody can write to.
    refused(&["--follow", "127.0.0.1:0", "--coordination", "/proc/self"], "--coordination: /proc/self");
    #[cfg(feature = "etcd")]
    refused(&["--follow", "127.0.0.1:0", "--coordination", "etcd=http://127.0.0.1:9"], "connection refused");
}

#[cfg(feature = "live")]
#[test]
fn a_live_standby_goes_on_with_its_own_interface() {
    use veth::{Pair, packets};
    let Some(pair) = Pair::new() else { return };
    let (bench, sent) = (veth::Bench::new(), packets());
    let decisions = bench.path("decisions");
    fs::create_dir(&decisions).unwrap();
    // Loopback of the namespace joins both.
    veth::ip(&format!("-n {} link set lo up", pair.names[0])).unwrap();
    let side = |more: &[&str]| {
        let all =
            [&bench.live()[..], &["--coordination", &decisions, "--lease", "1s", "--json"], more].concat();
        Running::of(pair.command(&all))
    };
    let (scores, record) = (bench.path("scores.csv"), bench.path("record.pcapng"));
    let standby = side(&["--follow", "127.0.0.1:0", "--scores", &scores, "--record", &record]);
    let address = waiting(&standby);
    let primary = side(&["--standby", &format!("b={address}")]);
    Pair::wait_for_workers(&primary.child);
    Pair::wait_for_workers(&standby.child);
    let (before, after) = sent.split_at(sent.len() / 2);
    pair.send(before.to_vec());
    let lines = |count: usize| fs::read_to_string(&scores).unwrap_or_default().lines().count() > count;
    sleep(Duration::from_millis(500));
    signal("-KILL", &Two::pid(&primary));
    standby.wait_for("the primary is lost");
    pair.send(after.to_vec());
    sleep(Duration::from_millis(500));
    signal("-INT", &Two::pid(&standby));
    let (report, said) = standby.end();
    assert!(lines(sent.len() - 1), "{said}");
    check_standby(&report, true);
    assert_eq!(
        (&report["coverage"]["received"], &report["standby"]["accepted"]),
        (&sent.len().into(), &before.len().into())
    );
    // What it has recorded, in one process, has the same scores.
    let out = bench.path("replay");
    succeed(["replay", "--no-warm-up", &record, "--model", &bench.model, "--out", &out, "--quiet"]);
    assert!(fs::read(&scores).unwrap() == fs::read(format!("{out}/scores.csv")).unwrap());
}
