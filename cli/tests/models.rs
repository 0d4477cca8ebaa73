//! Several models in one graph, and networks from columns of any shape to columns of any shape.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "../../models/tract/tests/common/onnx.rs"]
mod onnx;

use common::{contents, example, fail, root, succeed, text, trained};
use onnx::{DOUBLE, FLOAT, Network};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Bench {
    folder: TempDir,
    kitnet: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kitnet = text(trained(folder.path(), "kitsune-115-clean"));
        Self { folder, kitnet }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).unwrap();
        text(self.path(name))
    }

    /// A replay of the example into a folder.
    fn replay(&self, out: &str, options: &[&str]) -> PathBuf {
        let (capture, out) = (text(example("synth-mini.pcap.gz")), self.path(out));
        let replay = [
            "replay",
            "--no-warm-up",
            &capture,
            "--threshold",
            "0.2",
            "--oversubscribe",
            "--out",
            &text(&out),
        ];
        succeed([&replay, options].concat());
        out
    }

    /// The line with which a replay of a graph fails, which begins with the graph's file.
    #[track_caller]
    fn refused(&self, graph: &str, options: &[&str]) -> String {
        let (file, capture) = (self.file("graph.toml", graph), text(example("synth-mini.pcap.gz")));
        let out = text(self.path("refused"));
        let replay = ["replay", "--no-warm-up", &capture, "--nf", &file, "--out", &out];
        let line = fail([&replay, options].concat());
        assert!(!self.path("refused").exists(), "{line}");
        line.strip_prefix(&format!("{file}: ")).unwrap_or_else(|| panic!("{line}")).to_owned()
    }
}

/// A column of a table of scores, or of verdicts where there are no scores, by its heading.
fn column(out: &Path, heading: &str) -> Vec<String> {
    let tables = ["scores.csv", "verdicts.csv"].map(|name| out.join(name));
    let table = fs::read_to_string(tables.iter().find(|table| table.exists()).unwrap()).unwrap();
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let at = lines.next().unwrap().iter().position(|name| *name == heading).unwrap();
    lines.map(|cells| cells[at].to_owned()).collect()
}

/// The sum of each row of features.
fn sum(element: u64) -> Vec<u8> {
    let network = Network::new().input("x", element, &[115]).output("y", element).integers("one", &[1]);
    network.node("ReduceSum", &["x", "one"], "y", &[]).file()
}

/// The example graph with a model for each of its two networks.
fn two_models(bench: &Bench) -> [String; 2] {
    let other = bench.file("sum.onnx", sum(DOUBLE));
    [format!("--model=kitnet={}", bench.kitnet), format!("--model=other={other}")]
}

#[test]
fn two_networks_score_the_features_of_one_extractor() {
    let bench = Bench::new();
    let graph = text(root().join("examples/graphs/two-models.toml"));
    let models = two_models(&bench);
    let replicas =
        "source | batching extractor mapping autoencoder decision network second-decision x3 | sink";
    let outs = ["fused", "pipeline", replicas].map(|workers| {
        bench.replay(
            &format!("out {}", workers.len()),
            &["--nf", &graph, &models[0], &models[1], "--workers", workers],
        )
    });
    let [fused, others @ ..] = &outs;
    for other in others {
        assert!(contents(fused) == contents(other), "{} differs", other.display());
    }
    // Beside another network Kitsune scores as it does alone.
    let alone = bench.replay("alone", &["--model", &bench.kitnet]);
    for heading in ["score", "verdict"] {
        assert_eq!(column(fused, heading), column(&alone, heading));
    }
    // So does the other.
    let (sum, imported) = (text(bench.path("sum.onnx")), text(bench.path("imported.onnx")));
    succeed(["model", "import", &sum, "--schema", "kitsune-115-clean", "-o", &imported]);
    let alone = bench.replay("other alone", &["--nf", "kitsune-onnx", "--model", &imported]);
    for (second, heading) in [("second_scores", "score"), ("second_verdicts", "verdict")] {
        assert_eq!(column(fused, second), column(&alone, heading));
    }
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(fused.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["model"], "kitsune-115-clean.onnx");
    assert_eq!(
        summary["models"],
        serde_json::json!({"kitnet": "kitsune-115-clean.onnx", "other": "sum.onnx"})
    );
}

#[test]
fn whatever_takes_a_graph_takes_its_models() {
    let bench = Bench::new();
    let graph = text(root().join("examples/graphs/two-models.toml"));
    let (models, capture) = (two_models(&bench), text(example("synth-mini.pcap.gz")));
    let costs =
        succeed(["profile", &graph, &capture, &models[0], &models[1], "--runs", "1", "--limit", "500"]);
    assert!(costs.contains("second-decision"), "{costs}");
    let ran = succeed(["run", &graph, &capture, &models[0], &models[1], "--limit", "500", "--json"]);
    assert!(ran.contains("\"received\": 500"), "{ran}");
    let shown = succeed(["graph", "show", "--nf", &graph]);
    assert!(
        shown.contains("model kitnet: --model kitnet=FILE, of mapping, autoencoder, decision"),
        "{shown}"
    );
    // What is printed is a graph again, with its models.
    let printed = bench.file("printed.toml", succeed(["graph", "show", "--toml", "--nf", &graph]));
    assert_eq!(succeed(["graph", "show", "--nf", &printed]), shown);
}

/// Networks one behind the other: features, three classes, a score.
const CHAIN: &str = r#"
name = "chain"
[models]
classes = "classes.onnx"
score = "score.onnx"
[[brick]]
id = "batching"
kind = "packet-batching"
next = "extractor"
[[brick]]
id = "extractor"
kind = "feature-quantization"
next = "classifier"
[[brick]]
id = "classifier"
kind = "onnx"
model = "classes"
next = "scorer"
[brick.config.inputs]
x = "features"
[brick.config.outputs]
probabilities = "classes"
[[brick]]
id = "scorer"
kind = "onnx"
model = "score"
next = "decision"
[brick.config.inputs]
c = "classes"
[[brick]]
id = "decision"
kind = "sample-result-quantization"
[brick.config]
threshold = 0.5
"#;

/// The probabilities of three classes of a row.
fn classes() -> Vec<u8> {
    let weights: Vec<f32> = (0..115 * 3).map(|at| ((at * 7 % 11) as f32 - 5.0) / 1e6).collect();
    let network = Network::new().input("x", FLOAT, &[115]).output("probabilities", FLOAT);
    let network = network.floats("w", &[115, 3], &weights).node("MatMul", &["x", "w"], "logits", &[]);
    network.node("Softmax", &["logits"], "probabilities", &[("axis", 1)]).file()
}

/// A score of some classes: the sum of their probabilities, less than zero.
fn score(classes: u64) -> Vec<u8> {
    let network = Network::new().input("c", FLOAT, &[classes]).output("s", FLOAT);
    let network = network.integers("one", &[1]).node("ReduceSum", &["c", "one"], "sum", &[]);
    network.node("Neg", &["sum"], "s", &[]).file()
}

#[test]
fn what_one_network_fills_another_reads() {
    let bench = Bench::new();
    bench.file("classes.onnx", classes());
    bench.file("score.onnx", score(3));
    let graph = bench.file("chain.toml", CHAIN);
    let replicas = "source | batching extractor classifier scorer decision x2 | sink";
    let outs = ["fused", "pipeline", replicas].map(|workers| {
        bench.replay(&format!("out {}", workers.len()), &["--nf", &graph, "--workers", workers])
    });
    assert!(outs[1..].iter().all(|out| contents(out) == contents(&outs[0])));
    // Probabilities of classes add up to one.
    let scores = column(&outs[0], "score");
    assert!(scores.len() > 1000);
    for score in scores {
        assert!((score.parse::<f64>().unwrap() + 1.0).abs() < 1e-5, "{score}");
    }
    let json = succeed(["graph", "show", "--nf", &graph, "--json"]);
    let bricks: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&bricks[2]["model"], &bricks[2]["fills"][0], &bricks[3]["reads"][0]),
        (&"classes".into(), &"classes".into(), &"classes".into())
    );
}

#[test]
fn what_a_network_fills_is_classified() {
    let bench = Bench::new();
    bench.file("classes.onnx", classes());
    let (head, _) = CHAIN.split_once("[[brick]]\nid = \"scorer\"").unwrap();
    let decision = "[[brick]]\nid = \"class\"\nkind = \"classification\"\n[brick.config]\ninput = \"classes\"\n\
        classes = [\"mail\", \"web\", \"other\"]\nlogits = false\n";
    let graph = head.replace("score = \"score.onnx\"\n", "").replace("\"scorer\"", "\"class\"") + decision;
    let file = bench.file("classifier.toml", &graph);
    let capture = text(example("synth-mini.pcap.gz"));
    let outs = ["fused", "pipeline"].map(|workers| {
        let out = bench.path(workers);
        succeed([
            "replay",
            "--no-warm-up",
            &capture,
            "--nf",
            &file,
            "--workers",
            workers,
            "--out",
            &text(&out),
        ]);
        out
    });
    assert!(contents(&outs[0]) == contents(&outs[1]));
    let found = column(&outs[0], "class");
    assert!(
        found.len() > 1000 && found.iter().all(|class| ["mail", "web", "other"].contains(&class.as_str()))
    );
    let line = bench.refused(&graph.replace("\"mail\", ", ""), &[]);
    let expected = "brick `class` (classification) reads classes as f32[2], but brick `classifier` (onnx) fills it as f32[3]";
    assert_eq!(line, expected);
    assert!(succeed(["graph", "show", "--nf", &file]).contains("model classes: classes.onnx, of classifier"));
}

#[test]
fn columns_that_do_not_fit_name_both_bricks() {
    let bench = Bench::new();
    bench.file("classes.onnx", classes());
    bench.file("score.onnx", score(4));
    let line = bench.refused(CHAIN, &[]);
    let expected =
        "brick `scorer` (onnx) reads classes as f32[4], but brick `classifier` (onnx) fills it as f32[3]";
    assert_eq!(line, expected);
    bench.file("score.onnx", score(3));
    let twice =
        CHAIN.replace("[brick.config.inputs]\nc = \"classes\"\n", "[brick.config]\nscores = \"classes\"\n");
    let line = bench.refused(
        &twice.replace("\"score.onnx\"", "\"sum.onnx\""),
        &[&format!("--model=score={}", bench.file("sum.onnx", sum(DOUBLE)))],
    );
    let expected =
        "brick `scorer` (onnx) fills classes as f64, but brick `classifier` (onnx) fills it as f32[3]";
    assert_eq!(line, expected);
    let same = CHAIN.replace("probabilities = \"classes\"", "probabilities = \"scores\"");
    assert!(bench.refused(&same, &[]).contains("brick `scorer` (onnx)"));
    // The same column in the same type and shape.
    let both = format!("--model=classes={}", text(bench.path("sum.onnx")));
    let again = CHAIN
        .replace(
            "[brick.config.inputs]\nx = \"features\"\n[brick.config.outputs]\nprobabilities = \"classes\"\n",
            "",
        )
        .replace("[brick.config.inputs]\nc = \"classes\"\n", "");
    let line = bench.refused(&again, &[&both, &format!("--model=score={}", text(bench.path("sum.onnx")))]);
    let expected = "brick `scorer` (onnx) fills scores, which brick `classifier` has filled before it and `scorer` does not read";
    assert_eq!(line, expected);
}

#[test]
fn models_and_bricks_that_do_not_name_each_other_are_refused() {
    let bench = Bench::new();
    bench.file("classes.onnx", classes());
    bench.file("score.onnx", score(3));
    let third = CHAIN.replace("score = \"score.onnx\"", "score = \"score.onnx\"\nthird = \"score.onnx\"");
    let without = |line: &str| CHAIN.replace(line, "");
    for (graph, words) in [
        (third, "[models]: no brick names the model `third`"),
        (
            without("model = \"score\"\n"),
            "brick `scorer` (onnx): model names none of the models of [models] (there are: classes, score)",
        ),
        (
            CHAIN.replace("model = \"score\"", "model = \"scores\""),
            "brick `scorer`: model = \"scores\" is not in [models]",
        ),
        (CHAIN.replace("score = \"score.onnx\"", "classes = \"score.onnx\""), "line 5: duplicate key"),
        (
            CHAIN.replace("\"score.onnx\"", "\"\""),
            "model `score` has no file in [models]: give it as --model score=FILE",
        ),
        (CHAIN.replace("\"score.onnx\"", "\"no.onnx\""), "no.onnx: cannot be read: No such file"),
        (CHAIN.replace("\"score.onnx\"", "\"graph.toml\""), "graph.toml: not an ONNX model"),
        (
            CHAIN.replace("c = \"classes\"", "d = \"classes\""),
            "brick `scorer`: inputs: the network has no \"d\" (there are: c)",
        ),
        (without("threshold = 0.5\n"), "brick `decision` (sample-result-quantization): model names none"),
    ] {
        let line = bench.refused(&graph, &[]);
        assert!(line.contains(words), "{line}");
    }
    for (options, words) in [
        (
            &["--model", "other=x.onnx"][..],
            "--model other=x.onnx: none of [models] (there are: classes, score)",
        ),
        (&["--model", "x.onnx"], "--model x.onnx: none of [models]"),
    ] {
        let line = bench.refused(CHAIN, options);
        assert!(line.contains(words), "{line}");
    }
    let capture = text(example("synth-mini.pcap.gz"));
    let line = fail(["replay", "--no-warm-up", &capture]);
    assert_eq!(line, "brick `mapping` (feature-mapping) needs a model: give it as --model FILE");
    let twice = ["--model", &*bench.kitnet, "--model", &*bench.kitnet];
    let line = fail([&["replay", "--no-warm-up", &*capture], &twice[..]].concat());
    assert!(line.contains("a model is given twice"), "{line}");
    let line = fail(["replay", "--no-warm-up", &capture, "--model", &format!("kitnet={}", bench.kitnet)]);
    assert!(line.contains("the graph has no [models]"), "{line}");
}

#[test]
fn a_model_is_for_the_features_that_its_bricks_read() {
    let bench = Bench::new();
    let graph = fs::read_to_string(root().join("examples/graphs/two-models.toml")).unwrap();
    let models = two_models(&bench);
    let line = bench.refused(&graph.replace("kitsune-115-clean", "kitsune-115"), &[&models[0], &models[1]]);
    assert!(
        line.contains("brick `extractor`")
            && line.contains("the model `kitnet` was trained on kitsune-115-clean"),
        "{line}"
    );
    let narrow = Network::new().input("x", DOUBLE, &[100]).output("y", DOUBLE).integers("one", &[1]);
    let narrow = bench.file("narrow.onnx", narrow.node("ReduceSum", &["x", "one"], "y", &[]).file());
    let line = bench.refused(&graph, &[&models[0], &format!("--model=other={narrow}")]);
    let expected = "brick `network` (onnx) reads features as f64[100], but brick `extractor` (feature-quantization) fills it as f64[115]";
    assert_eq!(line, expected);
}

/// A constant of a few bytes that stands for a tensor of 8 TB ends no run but its own.
#[test]
fn a_network_of_a_graph_is_tried_within_bounds() {
    let bench = Bench::new();
    let network = Network::new().input("x", FLOAT, &[115]).output("probabilities", FLOAT);
    let network = network.integers("dims", &[1 << 20, 1 << 20]).integers("one", &[1]);
    let network =
        network.node("ConstantOfShape", &["dims"], "zeros", &[]).node("ReduceMax", &["zeros"], "most", &[]);
    let network = network.node("ReduceSum", &["x", "one"], "sums", &[]);
    bench.file("classes.onnx", network.node("Add", &["sums", "most"], "probabilities", &[]).file());
    bench.file("score.onnx", score(3));
    let line = bench.refused(CHAIN, &[]);
    assert!(line.starts_with("model `classes`: ") && line.contains("classes.onnx"), "{line}");
    assert!(line.contains("of memory") || line.contains("failed to allocate"), "{line}");
    let mixed = Network::new().input("x", FLOAT, &[115]).output("probabilities", FLOAT);
    bench.file("classes.onnx", mixed.node("Softmax", &["x"], "probabilities", &[("axis", 0)]).file());
    let line = bench.refused(CHAIN, &[]);
    assert!(line.contains("the network mixes rows"), "{line}");
}
