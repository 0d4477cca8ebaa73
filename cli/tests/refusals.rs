//! What cannot be run under the controller is refused in one line before anything starts: no output folder, no event log.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, legonf, succeed, text, trained};
use std::fs;
use std::path::PathBuf;

struct Bench {
    folder: tempfile::TempDir,
    model: String,
    capture: String,
    graph: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        let (capture, graph) = (text(example("synth-mini.pcap.gz")), succeed(["graph", "show", "--toml"]));
        Self { folder, model, capture, graph }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        text(self.path(name))
    }

    /// Runs a graph, which must be refused without a trace.
    #[track_caller]
    fn refused(&self, graph: &str, more: &[&str]) -> String {
        let (out, events) = (self.path("out"), self.path("events.json"));
        let (results, log) = (text(&out), text(&events));
        let arguments =
            ["run", graph, &self.capture, "--model", &self.model, "--out", &results, "--events", &log];
        let line = fail(arguments.iter().chain(more));
        assert!(!out.exists() && !events.exists(), "something was written before it was refused: {line}");
        line
    }

    /// Costs at which a packet takes 3 µs of one core.
    fn costs(&self) -> String {
        let brick = |(id, state, ns): (&str, &str, f64)| {
            format!("[[brick]]\nid = \"{id}\"\nstate = \"{state}\"\nns = {ns:.1}\n")
        };
        let bricks = [
            ("source", "single", 100.0),
            ("batching", "stateless", 100.0),
            ("extractor", "stateful", 1000.0),
            ("mapping", "stateless", 300.0),
            ("autoencoder", "stateless", 1300.0),
            ("decision", "stateless", 100.0),
            ("sink", "single", 100.0),
        ];
        let bricks = bricks.map(brick).concat();
        self.file("costs.toml", &format!("graph = \"kitsune\"\nbatch = 256.0\nhop_ns = 1000.0\n{bricks}"))
    }
}

#[test]
fn graphs_that_cannot_run_are_refused() {
    let bench = Bench::new();
    let good = &bench.graph;
    let mapping = "[[brick]]\nid = \"mapping\"\nkind = \"feature-mapping\"\nnext = \"autoencoder\"\n\n";
    assert!(good.contains(mapping));
    let last = "kind = \"sample-result-quantization\"\n";
    for (what, toml, words) in [
        ("a cycle", good.replace(last, &format!("{last}next = \"batching\"\n")), "in a circle through"),
        (
            "a missing port",
            good.replace("next = \"decision\"", "next = \"verdict\""),
            "names no brick of this graph",
        ),
        (
            "a brick apart",
            good.replace("next = \"decision\"\n", ""),
            "give its predecessor next = \"decision\"",
        ),
        (
            "mismatched types",
            good.replace(mapping, "").replace("\"mapping\"", "\"autoencoder\""),
            "reads mapped, which nothing",
        ),
        (
            "an unknown brick",
            good.replace("\"packet-batching\"", "\"packet-bathing\""),
            "not in the catalogue",
        ),
        (
            "one id twice",
            good.replace("id = \"decision\"", "id = \"mapping\"")
                .replace("next = \"decision\"", "next = \"mapping\""),
            "defined twice",
        ),
        (
            "two bricks that fill one column",
            good.replace(last, &format!("{last}next = \"again\"\n\n[[brick]]\nid = \"again\"\n{last}")),
            "graph.toml: brick `again` (sample-result-quantization) fills verdicts, which brick `decision` has filled",
        ),
        ("no brick", "name = \"nothing\"\n".into(), "has no [[brick]]"),
        (
            "a brick that does again what another has done",
            good.replace(last, "kind = \"packet-batching\"\n"),
            "brick `decision` (packet-batching) fills headers, which brick `batching` has filled",
        ),
        (
            "another model's schema",
            good.replace("kitsune-115-clean", "kitsune-py-100"),
            "trained on kitsune-115",
        ),
    ] {
        let graph = bench.file("graph.toml", &toml);
        let line = bench.refused(&graph, &[]);
        assert!(line.contains(words) && line.contains("graph.toml: "), "{what}: {line}");
    }
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let bench = Bench::new();
    let layout = |stages: &str| bench.refused("kitsune", &["--workers", stages]);
    for (stages, words) in [
        ("source | extractor | sink", "expected the bricks \"source batching extractor"),
        ("source | batching | extractor | mapping | autoencoder | judgement | sink", "expected the bricks"),
        ("source batching x2 | extractor | mapping autoencoder | decision sink", "`source`"),
        ("source batching | extractor | mapping x200 | autoencoder x200 | decision | sink", "at most 256"),
        (
            "source batching | extractor | mapping autoencoder x200 | decision | sink",
            "200 replicas of mapping autoencoder, and this machine has",
        ),
    ] {
        let line = layout(stages);
        assert!(line.contains(words), "{stages}: {line}");
    }
    let crowd = "source batching | extractor | mapping autoencoder x200 | decision | sink";
    let arguments = ["replay", &bench.capture, "--model", &bench.model, "--workers", crowd, "--limit", "100"];
    assert!(succeed(arguments.iter().chain(&["--oversubscribe"])).contains("100 scored"));
}

#[test]
fn policies_that_cannot_be_kept_are_refused() {
    let bench = Bench::new();
    let costs = bench.costs();
    for (policy, words) in [
        ("high = 2.0\n", "policy.toml: high = 2: expected a part of the time"),
        ("\nhihg = 0.5\n", "policy.toml: line 2: unknown field `hihg`"),
        ("[sla]\nrate = -5.0\n", "policy.toml: rate = -5: expected packets a second"),
        ("cores = 4096.0\n", "policy.toml: cores = 4096: this host has"),
        (
            "[sla]\nlatency_ms = 0.5\n",
            "impossible: a batch of 256 packets computes for 0.768 ms, and 0.5 ms are allowed",
        ),
        ("[sla]\nrate = 50e6\n", "impossible: there is one `source`, which can take"),
        (
            "cores = 1.0\n[sla]\nrate = 500e3\n",
            "impossible: 500000 packets/s take 1.50 cores, and there are 1.0",
        ),
    ] {
        let policy = bench.file("policy.toml", policy);
        let line = bench.refused("kitsune", &["--policy", &policy, "--costs", &costs]);
        assert!(line.contains(words), "{line}");
    }
    let other = bench.file("graph.toml", &bench.graph.replace("\"mapping\"", "\"gathering\""));
    assert!(bench.refused(&other, &["--costs", &costs]).contains("the costs have no brick `gathering`"));
    assert!(bench.refused("kitsune", &["--costs", &bench.model]).contains("kitsune-115-clean.onnx: "));
    assert!(bench.refused("kitsune", &["--policy", &text(bench.path("missing"))]).contains("missing: "));
}

#[test]
fn event_logs_that_are_none_say_so() {
    let bench = Bench::new();
    let end = "{\"event\":\"end\",\"at\":1.0,\"packets\":1,\"violations\":{}}\n";
    for (log, words) in [
        ("", "events.json: holds no event"),
        ("\n \n", "events.json: holds no event"),
        (&*format!("{end}nonsense\n"), "events.json: line 2: "),
        ("{\"event\":\"party\",\"at\":1.0}", "events.json: line 1: unknown variant `party`"),
    ] {
        let log = bench.file("events.json", log);
        assert!(fail(["events", &log]).contains(words), "{}", fail(["events", &log]));
    }
    let log = text(bench.path("no/where"));
    let arguments = ["run", "kitsune", &bench.capture, "--model", &bench.model, "--events", &log];
    assert!(fail(arguments).contains("no/where: "));
    assert_eq!(legonf(["events", &bench.file("events.json", end)]).status.code(), Some(0));
}
