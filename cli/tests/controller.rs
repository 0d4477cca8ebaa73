//! What bricks cost, what a rate needs of them, and a run under the controller.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::agent::Agent;
use common::{contents, example, fail, legonf, succeed, testbed, text, trained};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

struct Bench {
    folder: tempfile::TempDir,
    model: String,
    capture: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        Self { folder, model, capture: text(example("synth-mini.pcap.gz")) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        text(self.path(name))
    }

    fn costs(&self) -> String {
        let costs = text(self.path("costs.toml"));
        succeed(["profile", "kitsune", &self.capture, "--model", &self.model, "--runs", "1", "-o", &costs]);
        costs
    }
}

#[test]
fn a_profile_names_every_brick_and_a_plan_follows_from_it() {
    let bench = Bench::new();
    let costs = bench.costs();
    let table: toml::Table = fs::read_to_string(&costs).unwrap().parse().unwrap();
    let ids: Vec<_> =
        table["brick"].as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["source", "batching", "extractor", "mapping", "autoencoder", "decision", "sink"]);
    let extractor = &table["brick"][2];
    assert_eq!((extractor["state"].as_str(), extractor["bytes"].as_float()), (Some("keyed"), Some(920.0)));
    assert!(extractor["state_bytes"].as_integer() > Some(0) && extractor["ns"].as_float() > Some(0.0));

    let svg = text(bench.path("plan.svg"));
    let arguments =
        ["plan", "--costs", &costs, "--rate", "1k", "--cores", "8", "--latency", "1000", "--svg", &svg];
    let report = json(&succeed(arguments.iter().chain(&["--json"])));
    assert_eq!(report["plan"]["stages"].as_array().unwrap().len(), 1);
    assert_eq!((&report["feasible"], &report["throughput"]), (&true.into(), &1000.0.into()));
    let deadlines: f64 =
        report["deadlines"].as_array().unwrap().iter().map(|d| d["ms"].as_f64().unwrap()).sum();
    assert!((deadlines - 1000.0).abs() < 1e-6);
    let curve: Vec<_> =
        report["curve"].as_array().unwrap().iter().map(|p| p["throughput"].as_f64().unwrap()).collect();
    assert!(curve.len() == 8 && curve.windows(2).all(|pair| pair[1] >= pair[0]) && curve[7] > curve[0]);
    assert!(fs::read_to_string(&svg).unwrap().contains("best plan"));
    assert!(succeed(arguments.iter().copied().chain(["--force"])).contains("bottleneck "));
    let shown = json(&succeed(["graph", "show", "--costs", &costs, "--latency", "1000", "--json"]));
    assert!(shown[1]["deadline_ms"].as_f64() > shown[4]["deadline_ms"].as_f64());
}

/// Of what `plan --hosts` says, every option is taken by a replay, which has the bytes of one thread.
#[test]
fn a_plan_over_hosts_says_what_runs_where_and_a_replay_takes_it() {
    let bench = Bench::new();
    let costs = bench.costs();
    let brick = |id: &str| {
        let table: toml::Table = fs::read_to_string(&costs).unwrap().parse().unwrap();
        let bricks = table["brick"].as_array().unwrap();
        bricks.iter().find(|brick| brick["id"].as_str() == Some(id)).unwrap().clone()
    };
    assert!(brick("extractor")["moved"].as_float() > brick("extractor")["bytes"].as_float());
    let agent = Agent::start(&[]);
    let status = succeed(["cluster", "status", "--host", &agent.host("b"), "--json"]);
    let mut hosts = json(&status);
    // As if it had more cores, and a link that is worth it whatever this machine's is.
    (hosts[0]["cores"], hosts[0]["used"]) = (8.into(), 0.into());
    (hosts[0]["bytes_per_second"], hosts[0]["round_trip_ms"]) = (1e12.into(), 1e-3.into());
    let file = bench.file("hosts.json", &hosts.to_string());
    let plan = ["plan", "--costs", &costs, "--cores", "1", "--hosts", &file];
    let report = json(&succeed(plan.iter().chain(&["--json"])));
    let moved = report["hosts"][0]["bricks"].as_array().unwrap();
    assert!(!moved.is_empty() && report["hosts"][0]["bytes_per_second"].as_f64() > Some(0.0), "{report}");
    let alone = json(&succeed(["plan", "--costs", &costs, "--cores", "1", "--json"]));
    assert!(report["throughput"].as_f64() > alone["throughput"].as_f64(), "{report}");
    let none = json(&succeed(plan.iter().chain(&["--rate", "1k", "--json"])));
    assert_eq!(none["hosts"].as_array().unwrap().len(), 0, "{none}");
    assert!(succeed(plan.iter().chain(&["--rate", "1k"])).contains("no other host is needed"));

    let options = report["options"].as_array().unwrap();
    let options = options.iter().flat_map(|option| {
        let (name, value) = option.as_str().unwrap().split_once(' ').unwrap();
        [name.to_owned(), value.trim_matches('\'').to_owned()]
    });
    let replay = |out: &str, options: &[String]| {
        let out = text(bench.path(out));
        let replay = ["replay", &bench.capture, "--model", &bench.model, "--no-warm-up", "--out", &out];
        succeed(replay.into_iter().chain(options.iter().map(String::as_str)).chain(["--oversubscribe"]));
        fs::read(bench.path(&out).join("scores.csv")).unwrap()
    };
    assert!(replay("here", &[]) == replay("there", &options.collect::<Vec<_>>()));

    let refused = |more: &[&str]| fail(plan[..5].iter().chain(more));
    assert!(refused(&["--hosts", &costs]).contains("expected what `legonf cluster status --json` prints"));
    let line = refused(&["--hosts", &file, "--rate", "400Mpps"]);
    assert!(line.contains("need more than 1 cores here and these hosts"), "{line}");
    hosts[0]["bytes_per_second"] = 0.into();
    let slow = bench.file("slow.json", &hosts.to_string());
    assert!(refused(&["--hosts", &slow]).contains("host `b`: bytes_per_second is above 0"));
    let older = fs::read_to_string(&costs).unwrap();
    let older: String =
        older.lines().filter(|line| !line.starts_with("moved")).map(|line| format!("{line}\n")).collect();
    let older = bench.file("older.toml", &older);
    let line = fail(["plan", "--costs", &older, "--cores", "1", "--hosts", &file]);
    assert!(line.contains("measure it again with legonf profile"), "{line}");
}

#[test]
fn plans_that_cannot_be_say_why() {
    let bench = Bench::new();
    let costs = bench.costs();
    let plan = |more: &[&str]| fail(["plan", "--costs", &costs, "--quiet"].iter().chain(more));
    assert!(plan(&["--cores", "1", "--rate", "500Mpps"]).contains("there is one `source`"));
    assert!(plan(&["--cores", "4", "--latency", "1e-9"]).contains("impossible: a batch of"));
    let other = succeed(["graph", "show", "--toml"]).replace("\"mapping\"", "\"gathering\"");
    let other = bench.file("graph.toml", &other);
    assert!(
        plan(&["--cores", "4", "--graph", &other])
            .contains("no brick `gathering`; measure them with legonf profile")
    );
    let broken = bench.file("broken.toml", "graph = \"k\"\nbatch = 0.0\nhop_ns = 1.0\nbrick = []\n");
    let line = fail(["plan", "--costs", &broken, "--cores", "4"]);
    assert!(line.contains("broken.toml: batch = 0: expected packets"), "{line}");
    assert_eq!(legonf(["plan", "--costs", &costs, "--cores", "4", "--rate", "fast"]).status.code(), Some(2));
}

#[test]
fn a_run_under_the_controller_gives_the_bytes_of_a_replay() {
    let bench = Bench::new();
    let capture = text(testbed("capture.pcap.zst"));
    // Marks so low that it acts all the time: it un-fuses, replicates, merges and fuses on any machine.
    let policy = "tick = 0.005\nhigh = 0.02\nlow = 0.01\nticks_up = 1\nticks_down = 1\ncooldown = 0.0\nsettle = 0\nspare = 0.0\n\
        cores = 64.0\noversubscribe = true\nmax_workers = 12\n";
    let policy = bench.file("policy.toml", policy);
    let (replayed, ran, events) =
        (bench.path("replayed"), bench.path("ran"), text(bench.path("events.json")));
    succeed(["replay", &capture, "--model", &bench.model, "--out", &text(&replayed), "--workers", "fused"]);
    let arguments =
        ["run", "kitsune", &capture, "--model", &bench.model, "--out", &text(&ran), "--workers", "fused"];
    let more = ["--engine", "kitnet", "--policy", &policy, "--events", &events, "--json"];
    let summary = json(&succeed(arguments.iter().chain(&more)));
    assert_eq!(
        (&summary["coverage"]["received"], &summary["coverage"]["scored"]),
        (&184_208.into(), &184_208.into())
    );
    assert!(summary["runtime"]["restarts"] == 0 && summary["runtime"]["pause_ms_p99"].is_f64(), "{summary}");
    for ((name, a), (_, b)) in contents(&replayed).iter().zip(contents(&ran)) {
        assert!(*a == b, "{name} differs under the controller");
    }
    let log = json(&succeed(["events", &events, "--json"]));
    let kinds: Vec<_> =
        log.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("start", "end"));
    assert_eq!(log.as_array().unwrap().last().unwrap()["packets"], 184_208);
    let actions = log.as_array().unwrap().iter().filter(|event| event["event"] == "applied").count();
    assert!(actions > 0, "{kinds:?}");
    assert!(succeed(["events", &events]).contains("unfuse"));
}

#[test]
fn replicas_of_the_extractor_give_the_bytes_of_one() {
    let bench = Bench::new();
    let replay = |out: &str, workers: &str| {
        let out = bench.path(out);
        let arguments = ["run", "kitsune", &bench.capture, "--model", &bench.model, "--out", &text(&out)];
        succeed(arguments.iter().chain(&["--workers", workers, "--oversubscribe", "--quiet"]));
        contents(&out)
    };
    let one = replay("one", "fused");
    for (out, workers) in [
        ("extractors", "source batching | extractor x3 | mapping autoencoder decision sink"),
        ("graphs", "source | batching extractor mapping autoencoder decision x2 | sink"),
    ] {
        for ((name, a), (_, b)) in one.iter().zip(replay(out, workers)) {
            assert!(*a == b, "{name} differs with {workers}");
        }
    }
    let coupled = text(trained(bench.folder.path(), "kitsune-py-100"));
    let workers = "source batching | extractor x2 | mapping autoencoder decision sink";
    let line = fail(["run", "kitsune", &bench.capture, "--model", &coupled, "--workers", workers]);
    assert!(line.contains("`extractor` keeps state") && line.contains("kitsune-py-100"), "{line}");
}

#[test]
fn a_run_learns_what_bricks_cost_and_counts_broken_promises() {
    let bench = Bench::new();
    let capture = text(testbed("capture.pcap.zst"));
    // No machine scores a packet in a nanosecond: the rate is not kept, nor the latency, nor a deadline.
    let policy = "tick = 0.01\nhigh = 0.1\nlow = 0.01\nsettle = 0\nscaling = \"fixed\"\n[sla]\nrate = 1e9\nlatency_ms = 1e-6\n";
    let policy = bench.file("policy.toml", policy);
    let (costs, events) = (text(bench.path("learnt.toml")), text(bench.path("events.json")));
    let arguments =
        ["run", "kitsune", &capture, "--model", &bench.model, "--policy", &policy, "--engine", "kitnet"];
    let more = ["--costs-out", &costs, "--events", &events, "--json"];
    let report = json(&succeed(arguments.iter().chain(&more)));
    let controller = &report["controller"];
    for promise in ["rate", "latency", "deadline of extractor"] {
        assert!(controller["violations"][promise].as_u64() > Some(2), "{promise}: {controller}");
    }
    assert_eq!((&controller["actions"], &controller["refusals"]), (&0.into(), &0.into()));
    let log = succeed(["events", &events]);
    assert!(
        log.contains("violation  latency") && log.contains("costs ") && log.contains("ticks of violation:"),
        "{log}"
    );

    let learnt: toml::Table = fs::read_to_string(&costs).unwrap().parse().unwrap();
    let extractor = &learnt["brick"][2];
    assert_eq!((extractor["id"].as_str(), extractor["state"].as_str()), (Some("extractor"), Some("keyed")));
    assert!((10.0..1e6).contains(&extractor["ns"].as_float().unwrap()), "{learnt}");
    assert_eq!(controller["costs_ns"]["extractor"].as_f64(), extractor["ns"].as_float());
    assert_eq!(
        (learnt["packets"].as_integer(), learnt["capture"].as_str()),
        (Some(184_208), Some("capture.pcap.zst"))
    );
    // They do for a plan, and for a run, which now knows that the promise cannot be kept.
    assert!(succeed(["plan", "--costs", &costs, "--cores", "4"]).contains("bottleneck"));
    let line = fail(arguments.iter().chain(&["--costs", &costs]));
    assert!(line.contains("impossible: a batch of 256 packets computes for"), "{line}");
}

#[test]
fn a_load_in_steps_changes_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("out"));
    let arguments = [
        "experiment",
        "elasticity",
        "--seconds",
        "0.3",
        "--unit",
        "20000",
        "--top",
        "1.1",
        "--tick",
        "0.02",
        "--out",
        &out,
    ];
    let report = json(&succeed(arguments.iter().chain(&["--ring", "1000000", "--json"])));
    assert_eq!(report["packets"], 27_600);
    assert!(report["pause_ms_p99"].is_number() && report["moved_slots"].is_number());
    assert_eq!(
        (&report["lost"], &report["identical"], &report["deviation"]),
        (&0.into(), &true.into(), &0.0.into())
    );
    let events = succeed(["events", &text(folder.path().join("out/events.json"))]);
    assert!(events.contains("end        27600 packets"), "{events}");
    assert!(fs::read_to_string(folder.path().join("out/elasticity.svg")).unwrap().contains("achieved"));
}

#[test]
fn figure_4_loses_nothing_and_changes_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(folder.path().join("out"));
    let arguments = ["experiment", "lego-figure4", "--rounds", "1", "--seconds", "1", "--tick", "0.01"];
    let more = ["--turns", "2", "--look", "0.02", "--packets", "20000", "--out", &out, "--json"];
    let report = json(&succeed(arguments.iter().chain(&more)));
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(
        runs.iter().map(|run| run["engine"].as_str().unwrap()).collect::<Vec<_>>(),
        ["generic", "fused", "fused-f32"]
    );
    for run in runs {
        assert_eq!((&run["lost"], &run["identical"]), (&0.into(), &true.into()));
        assert!(run["speedup"].as_f64() > Some(0.0) && run["independent"]["speedup"].as_f64() > Some(0.0));
        assert!(
            run["plans"].as_array().is_some_and(|plans| plans.len() == 1)
                && run["layouts"].as_u64() >= Some(32),
            "{run}"
        );
        let events = text(folder.path().join(format!("out/events-{}.json", run["engine"].as_str().unwrap())));
        assert!(succeed(["events", &events]).contains("start "));
    }
    assert!(fs::read_to_string(folder.path().join("out/throughput.svg")).unwrap().contains("generic engine"));
    assert!(fail(["experiment", "lego-figure4", "--seconds", "0.1"]).contains("ten ticks"));
}

#[test]
fn bricks_and_plain_functions_give_the_same_scores() {
    let report = json(&succeed(["bench", "graph", "--packets", "20000", "--rounds", "1", "--json"]));
    assert_eq!(report["identical"], true);
    assert!(report["bricks_percent"].is_number() && report["sampling_percent"].is_number());
    let sizes: Vec<_> =
        report["hops"].as_array().unwrap().iter().map(|hop| hop["packets"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [1, 32, 256]);
    assert!(report["hops"].as_array().unwrap().iter().all(|hop| hop["loaded_ns_per_batch"].is_number()));
    let crowds = report["crowds"].as_array().unwrap();
    assert!(crowds.iter().all(|crowd| crowd["pps"].as_f64() > Some(0.0)));
    assert!(crowds.last().unwrap()["replicas"].as_u64() > report["cores"].as_u64());
}
