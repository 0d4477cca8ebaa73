//! Where bricks run does not show in the results, nor does the loss of any of them.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "../../models/tract/tests/common/onnx.rs"]
mod onnx;

use common::agent::Agent;
use common::running::{Running, signal};
use common::{contents, example, fail, root, succeed, text, trained};
use onnx::{FLOAT, Network};
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const REPLICAS: &str = "source batching | extractor x2 | mapping autoencoder decision sink";

/// A model, and what a run in one process gives.
struct Bench {
    folder: TempDir,
    model: String,
    capture: String,
    expected: Vec<(String, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (model, capture) =
            (text(trained(folder.path(), "kitsune-115-clean")), text(example("synth-mini.pcap.gz")));
        let mut bench = Self { folder, model, capture, expected: Vec::new() };
        bench.expected = bench.replay("here", &["--workers", "fused"]);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, out: &str, capture: &str, options: &[&str]) -> Vec<String> {
        let out = text(self.path(out));
        let replay =
            ["replay", capture, "--model", &self.model, "--no-warm-up", "--out", &out, "--oversubscribe"];
        [&replay[..], options].concat().into_iter().map(str::to_owned).collect()
    }

    /// What a replay writes.
    fn replay(&self, out: &str, options: &[&str]) -> Vec<(String, Vec<u8>)> {
        succeed(self.arguments(out, &self.capture, options));
        contents(&self.path(out))
    }

    #[track_caller]
    fn check(&self, out: &str, found: &[(String, Vec<u8>)]) {
        let differs = found.iter().zip(&self.expected).find(|(found, expected)| found != expected);
        assert!(
            differs.is_none() && found.len() == self.expected.len(),
            "{out}: {:?}",
            differs.map(|(found, _)| &found.0)
        );
    }

    /// Replays the capture, half of which comes after `meanwhile`, which is given the process; checks the results, and gives what it said.
    #[track_caller]
    fn interrupted(
        &self,
        out: &str,
        options: &[&str],
        meanwhile: impl FnOnce(&Running),
    ) -> (serde_json::Value, String) {
        self.interrupted_often(out, options, [Box::new(meanwhile) as Step<'_>])
    }

    /// The same with several interruptions.
    #[track_caller]
    fn interrupted_often<const N: usize>(
        &self,
        out: &str,
        options: &[&str],
        steps: [Step<'_>; N],
    ) -> (serde_json::Value, String) {
        let mut running = Running::start(&self.arguments(out, "-", &[options, &["--json"]].concat()));
        let (bytes, mut input) = (fs::read(&self.capture).unwrap(), running.child.stdin.take().unwrap());
        let mut parts = bytes.chunks(bytes.len().div_ceil(N + 1));
        let mut give = || {
            input.write_all(parts.next().unwrap()).unwrap();
            input.flush().unwrap();
        };
        give();
        for step in steps {
            sleep(Duration::from_millis(500));
            step(&running);
            give();
        }
        drop(input);
        let (report, said) = running.end();
        for file in ["scores.csv", "incidents.json", "eve.json"] {
            let expected = self.expected.iter().find(|(name, _)| name == file).unwrap();
            assert!(fs::read(self.path(out).join(file)).unwrap() == expected.1, "{out}: {file}");
        }
        (report, said)
    }
}

/// What happens while a run waits for packets.
type Step<'a> = Box<dyn FnOnce(&Running) + 'a>;

/// The processes that a process has started, once there are so many.
fn children(child: &Child, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let found = children_now(child.id());
        if found.len() >= count {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{found:?}");
        sleep(Duration::from_millis(20));
    }
}

fn children_now(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let of =
        |thread: std::io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("children")).ok();
    threads
        .into_iter()
        .flatten()
        .filter_map(of)
        .flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_replica_whose_processes_die_one_after_the_other_goes_on_here() {
    let bench = Bench::new();
    let killing = |running: &Running| {
        let process = running.child.id();
        children(&running.child, 1);
        // Whatever is started dies, for longer than it takes to give up on processes.
        std::thread::spawn(move || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(20) {
                let found = children_now(process);
                if !found.is_empty() {
                    let _ = std::process::Command::new("kill").arg("-KILL").args(&found).output();
                }
                sleep(Duration::from_millis(1));
            }
        });
    };
    let (report, said) = bench.interrupted("dying", &["--place", "extractor=process"], killing);
    assert!(said.contains("extractor#0 runs in this process from now on"), "{said}");
    assert!(report["runtime"]["losses"].as_u64() >= Some(1), "{report}");
}

#[test]
fn the_place_of_a_brick_does_not_show() {
    let bench = Bench::new();
    let agent = Agent::start(&[]);
    let host = agent.host("b");
    let everything = ["batching", "extractor", "mapping", "autoencoder", "decision"]
        .map(|brick| format!("{brick}=process"));
    let everything: Vec<&str> = everything.iter().flat_map(|place| ["--place", place]).collect();
    let cases: [(&str, &[&str]); 5] = [
        ("one", &["--place", "extractor=process"]),
        ("second", &["--workers", REPLICAS, "--place", "extractor#1=process"]),
        ("all", &everything),
        ("host", &["--workers", REPLICAS, "--place", "extractor#1=b", "--host", &host]),
        (
            "both",
            &[
                "--workers",
                REPLICAS,
                "--place",
                "extractor=b",
                "--place",
                "extractor#0=here",
                "--place",
                "autoencoder=process",
                "--host",
                &host,
            ],
        ),
    ];
    for (out, options) in cases {
        bench.check(out, &bench.replay(out, options));
    }
    // Under the controller, which moves slots and takes replicas in and out.
    let out = text(bench.path("run"));
    let run = [
        "run",
        "kitsune",
        &bench.capture,
        "--model",
        &bench.model,
        "--no-warm-up",
        "--out",
        &out,
        "--oversubscribe",
        "--place",
        "extractor=process",
    ];
    succeed(run);
    let scores = fs::read(bench.path("run").join("scores.csv")).unwrap();
    assert!(bench.expected.iter().any(|(name, bytes)| name == "scores.csv" && *bytes == scores));
}

#[test]
fn bricks_that_rewrite_and_drop_packets_can_run_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut weights = vec![0.0_f32; 115 * 2];
    weights[3] = 0.01;
    let network = Network::new().input("x", FLOAT, &[115]).output("logits", FLOAT);
    let network = network.floats("w", &[115, 2], &weights).floats("b", &[2], &[2.0, 0.0]);
    let network =
        network.node("MatMul", &["x", "w"], "part", &[]).node("Add", &["part", "b"], "logits", &[]).file();
    fs::write(folder.path().join("classes.onnx"), network).unwrap();
    let model = format!("classes={}", text(folder.path().join("classes.onnx")));
    let (capture, graph) =
        (text(example("synth-mini.pcap.gz")), text(root().join("examples/graphs/classifier.toml")));
    let replay = |out: &str, places: &[&str]| {
        let out = folder.path().join(out);
        let path = text(&out);
        let replay = ["replay", &capture, "--nf", &graph, "--model", &model, "--out", &path];
        let places: Vec<&str> = places.iter().flat_map(|place| ["--place", place]).collect();
        succeed([&replay[..], &places].concat());
        (contents(&out.join("forwarded")), fs::read(out.join("verdicts.csv")).unwrap())
    };
    let here = replay("here", &[]);
    let there = replay("there", &["network=process", "class=process", "mark=process", "action=process"]);
    assert!(here == there);
}

#[test]
fn a_process_that_is_killed_or_frozen_is_replaced_and_nothing_shows() {
    let bench = Bench::new();
    let options = ["--workers", REPLICAS, "--place", "extractor=process", "--place", "mapping=process"];
    let killed = |running: &Running| signal("-KILL", &children(&running.child, 3));
    let (report, _) = bench.interrupted("killed", &options, killed);
    assert_eq!(report["runtime"]["losses"], 3, "{}", report["runtime"]);

    let frozen = |running: &Running| signal("-STOP", &children(&running.child, 2)[..1]);
    let options = ["--workers", REPLICAS, "--place", "extractor=process", "--lease", "200ms"];
    let (report, _) = bench.interrupted("frozen", &options, frozen);
    assert!(report["runtime"]["losses"].as_u64() >= Some(1), "{}", report["runtime"]);
}

#[test]
fn what_a_host_that_dies_ran_goes_on_here() {
    let bench = Bench::new();
    let agent = Agent::start(&[]);
    let host = agent.host("b");
    let options = ["--workers", REPLICAS, "--place", "extractor=b", "--host", &host];
    let (report, said) = bench.interrupted("dead", &options, move |_| drop(agent));
    assert_eq!(report["runtime"]["losses"], 2, "{}", report["runtime"]);
    assert!(said.contains("extractor#0 runs in this process from now on"), "{said}");
}

#[test]
fn hosts_are_replaced_one_by_one_under_load() {
    let bench = Bench::new();
    let (b, c) = (Agent::start(&[]), Agent::start(&[]));
    let (address, hosts) = (b.address.clone(), [b.host("b"), c.host("c")]);
    let again = RefCell::new(None);
    let options = ["--workers", REPLICAS, "--place", "extractor=b", "--place", "extractor#1=c"];
    let options = [&options[..], &["--host", &hosts[0], "--host", &hosts[1]]].concat();
    let steps: [Step<'_>; 2] = [
        Box::new(move |_| drop(b)),
        Box::new(|running| {
            running.wait_for("extractor#0 runs on host `c` from now on");
            *again.borrow_mut() = Some(Agent::start_at(&address, &[]));
            running.wait_for("host `b` answers again");
            drop(c);
        }),
    ];
    let (report, said) = bench.interrupted_often("replaced", &options, steps);
    assert_eq!(report["runtime"]["losses"], 3, "{}", report["runtime"]);
    // The first replica is where it was asked for again, and says nothing.
    let moved: Vec<_> = said.lines().filter(|line| line.contains("from now on")).collect();
    assert!(moved.len() == 2 && moved[1].contains("extractor#1 runs on host `b`"), "{said}");
}

#[test]
fn replicas_beyond_the_cores_of_this_machine_go_to_a_host() {
    let bench = Bench::new();
    let agent = Agent::start(&[]);
    let (host, cores) = (agent.host("b"), std::thread::available_parallelism().unwrap().get());
    let workers = format!("source batching | extractor x{} | mapping autoencoder decision sink", cores + 1);
    let options = ["--workers", &workers, "--host", &host];
    let dies = |_: &Running| {
        assert_eq!(bricks(&host), 1);
        drop(agent);
    };
    let (report, said) = bench.interrupted("beyond", &options, dies);
    assert_eq!(report["runtime"]["losses"], 1, "{}", report["runtime"]);
    assert!(said.contains(&format!("extractor#{cores} runs in this process from now on")), "{said}");
}

#[test]
fn a_host_that_comes_later_is_used_once_it_answers() {
    let bench = Bench::new();
    // The port of an agent that is gone, which another one takes again.
    let address = Agent::start(&[]).address.clone();
    let (b, c) = (format!("b={address}"), Agent::start(&[]));
    let (hosts, later) = ([b.clone(), c.host("c")], RefCell::new(None));
    let options =
        ["--workers", REPLICAS, "--host", &hosts[0], "--host", &hosts[1], "--place", "extractor#1=c"];
    let steps: [Step<'_>; 2] = [
        Box::new(|running| {
            running.wait_for("does not answer yet");
            *later.borrow_mut() = Some(Agent::start_at(&address, &[]));
            running.wait_for("host `b` answers\n");
            assert_eq!(bricks(&b), 0);
            drop(c);
        }),
        Box::new(|running| {
            running.wait_for("extractor#1 runs on host `b` from now on");
            assert_eq!(bricks(&b), 1);
        }),
    ];
    let (report, said) = bench.interrupted_often("later", &options, steps);
    assert_eq!(report["runtime"]["losses"], 1, "{}: {said}", report["runtime"]);
    // One that a place names has to be there.
    drop(later);
    let refused = fail(bench.arguments("refused", &bench.capture, &["--host", &b, "--place", "extractor=b"]));
    assert!(refused.starts_with(&format!("host `b` ({address}): ")), "{refused}");
}

/// How many bricks the agent of a host has.
fn bricks(host: &str) -> u64 {
    let hosts = succeed(["cluster", "status", "--host", host, "--json"]);
    let hosts: serde_json::Value = serde_json::from_str(&hosts).unwrap();
    hosts[0]["bricks"].as_u64().expect("a number")
}

#[test]
fn a_host_says_what_it_has() {
    let agent = Agent::start(&[]);
    let hosts = succeed(["cluster", "status", "--host", &agent.host("b"), "--json"]);
    let hosts: serde_json::Value = serde_json::from_str(&hosts).unwrap();
    let positive = |key: &str| assert!(hosts[0][key].as_f64() > Some(0.0), "{key}: {hosts}");
    ["cores", "memory", "round_trip_ms", "bytes_per_second"].into_iter().for_each(positive);
    assert_eq!(hosts[0]["name"], "b");
    assert!(succeed(["cluster", "status", "--host", &agent.host("b")]).contains("MB/s"));
    let nobody = fail(["cluster", "status", "--host", "b=127.0.0.1:9"]);
    assert!(nobody.starts_with("host `b` (127.0.0.1:9): "), "{nobody}");
}

#[test]
fn hosts_of_a_cluster_know_each_other_and_nobody_else() {
    let bench = Bench::new();
    let (a, b) = (text(bench.path("a")), text(bench.path("b")));
    succeed(["cluster", "init", &a, "--name", "a"]);
    succeed(["cluster", "issue", &b, "--name", "b", "--authority", &a]);
    let agent = Agent::start(&["--cluster", &b]);
    let place = |name: &str| {
        ["--place".to_owned(), format!("extractor={name}"), "--host".to_owned(), agent.host(name)]
    };
    let options = |name: &str, more: &[&str]| {
        place(name).into_iter().chain(more.iter().map(|&option| option.to_owned())).collect::<Vec<_>>()
    };
    let known = options("b", &["--cluster", &a]);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    bench.check("known", &bench.replay("known", &known));

    let refused = |name: &str, more: &[&str]| {
        let options = options(name, more);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        fail(bench.arguments("refused", &bench.capture, &options))
    };
    let named = refused("c", &["--cluster", &a]);
    assert!(named.contains("host `c`") && named.contains("not valid for name"), "{named}");
    let stranger = text(bench.path("x"));
    succeed(["cluster", "init", &stranger, "--name", "x"]);
    assert!(refused("b", &["--cluster", &stranger]).contains("host `b`"));
    let plain = refused("b", &[]);
    assert!(plain.contains("host `b`"), "{plain}");
    let error = fail(["cluster", "init", &a, "--name", "a"]);
    assert!(error.contains("authority.key"), "{error}");
    let nothing = fail(["cluster", "issue", &text(bench.path("z")), "--name", "z", "--authority", &b]);
    assert!(nothing.contains("authority.key") && !bench.path("z").exists(), "{nothing}");
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&b), mode(&format!("{b}/host.key"))), (0o700, 0o600));
    assert!(
        fail(["cluster", "init", &text(bench.path("y")), "--name", "no name"]).contains("no name of a host")
    );
}

#[test]
fn a_place_that_cannot_be_is_one_line() {
    let bench = Bench::new();
    let refused = |options: &[&str]| fail(bench.arguments("refused", &bench.capture, options));
    let unknown = refused(&["--place", "x=process"]);
    assert!(
        unknown.starts_with("--place x: the graph has no such brick (there are: batching, extractor"),
        "{unknown}"
    );
    let unknown = refused(&["--place", "extractor#1=b", "--host", "c=127.0.0.1:9"]);
    assert!(
        unknown
            .starts_with("--place extractor#1=b: no --host has this name (c); give its address as --host b="),
        "{unknown}"
    );
    let nobody = refused(&["--place", "extractor=b", "--host", "b=127.0.0.1:9"]);
    assert!(nobody.starts_with("host `b` (127.0.0.1:9): ") && nobody.contains("refused"), "{nobody}");
    let beyond = refused(&["--place", "extractor=b", "--host", "b=192.0.2.1:9"]);
    assert!(beyond.contains("give their folder as --cluster DIR"), "{beyond}");
    let twice = refused(&["--place", "extractor=b", "--host", "b=127.0.0.1:9", "--host", "b=127.0.0.1:8"]);
    assert!(twice.starts_with("--host b: it is given as 127.0.0.1:9 and as 127.0.0.1:8"), "{twice}");
    let missing = refused(&[
        "--place",
        "extractor=b",
        "--host",
        "b=127.0.0.1:9",
        "--cluster",
        &text(bench.path("none")),
    ]);
    assert!(missing.starts_with("--cluster: ") && missing.contains("authority.pem"), "{missing}");
    let run = ["run", "kitsune", &bench.capture, "--model", &bench.model, "--place", "mapping=process"];
    let swap = format!("1000={}", bench.model);
    let changing = fail([&run[..], &["--swap", &swap]].concat());
    assert!(changing.contains("--place mapping: its model may change while it runs"), "{changing}");
    let beyond = fail(["agent", "--listen", "192.0.2.1:7077"]);
    assert!(beyond.contains("give their folder as --cluster DIR"), "{beyond}");
    let parent = fail(["agent", "--for-parent"]);
    assert!(parent.contains("legonf starts this process itself"), "{parent}");
    assert!(!Path::new(&bench.path("refused")).exists());
}
