//! The extractor's state, saved by one run and loaded by the next.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, legonf, retimed, succeed, text, trained};
use std::fs;
use std::path::Path;

const CLEAN: &str = "kitsune-115-clean";
/// Packets of the shipped capture before its long gap, and where they are cut.
const PACKETS: u64 = 3_000;
const CUT: u64 = 1_700;
/// Nanoseconds at which it begins.
const BEGIN: i64 = 1_700_000_001_000_000_000;

/// Layouts of the two runs of a capture that was cut.
const LAYOUTS: [[&str; 2]; 4] = [
    ["fused", "pipeline"],
    ["source batching | extractor x2 | mapping autoencoder decision sink", "fused"],
    ["pipeline", "source | batching extractor mapping autoencoder decision x3 | sink"],
    [
        "source | batching extractor mapping autoencoder decision x8 | sink",
        "source batching | extractor x5 | mapping | autoencoder | decision | sink",
    ],
];

/// A folder with a model, a capture and its two parts.
struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), CLEAN));
        // So slow that statistics settle behind the cut.
        let slow = |time: i64| BEGIN + (time - BEGIN) * 5;
        for (name, packets) in [("whole", 0..PACKETS), ("one", 0..CUT), ("two", CUT..PACKETS)] {
            retimed(&folder.path().join(name), packets, slow);
        }
        Self { folder, model }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    /// Replays a capture of the folder, and gives the lines of its scores without the packets' numbers.
    fn replay(&self, capture: &str, more: &[&str]) -> Vec<String> {
        let (out, capture) = (self.path("out"), self.path(capture));
        let base =
            ["replay", &capture, "--model", &self.model, "--threshold", "0.2", "--out", &out, "--quiet"];
        succeed(base.iter().chain(more).chain(&["--force", "--oversubscribe"]));
        let table = fs::read_to_string(Path::new(&out).join("scores.csv")).unwrap();
        let without_number = |line: &str| line.split_once(',').unwrap().1.to_owned();
        table.lines().skip(1).map(without_number).collect()
    }

    fn refused(&self, capture: &str, more: &[&str]) -> String {
        let (out, capture) = (self.path("refused"), self.path(capture));
        let base = ["replay", &capture, "--model", &self.model, "--out", &out];
        let line = fail(base.iter().chain(more));
        assert!(!Path::new(&out).exists(), "{line}");
        line
    }
}

#[test]
fn a_replay_cut_in_two_is_one_replay_in_any_layout() {
    let bench = Bench::new();
    let (whole, state) = (bench.replay("whole", &[]), bench.path("state"));
    for verdict in ["warming_up", "benign", "anomalous"] {
        assert!(whole.iter().any(|line| line.ends_with(verdict)), "{verdict}");
    }
    assert!(whole[CUT as usize].ends_with("warming_up"));
    let alone = bench.replay("two", &["--no-warm-up"]);
    assert_ne!(alone, whole[CUT as usize..]);
    let mut states = Vec::new();
    for [first, second] in LAYOUTS {
        let one = bench.replay("one", &["--state-out", &state, "--workers", first]);
        let two = bench.replay("two", &["--state", &state, "--workers", second]);
        assert!([one, two].concat() == whole, "{first}, then {second}");
        states.push(fs::read(&state).unwrap());
    }
    assert!(states.windows(2).all(|two| two[0] == two[1]), "the layout shows in the file");
}

#[test]
fn the_state_behind_the_training_packets_is_that_of_a_replay() {
    let bench = Bench::new();
    let [trained, replayed] = ["trained", "replayed"].map(|name| bench.path(name));
    for (number, (capture, workers)) in
        [("one", "fused"), ("two", "source batching | extractor x2 | sink")].iter().enumerate()
    {
        let model = bench.path(&format!("{capture}.onnx"));
        let from = |state: &str| if number == 0 { vec![] } else { vec!["--state".to_owned(), state.into()] };
        let (before, after) = (format!("{trained}{}", number), format!("{trained}{}", number + 1));
        let capture = bench.path(capture);
        let base = ["train", "kitsune", &capture, "-o", &model, "--oversubscribe", "--workers", workers];
        let few = ["--feature-mapping-packets", "300", "--training-packets", "699", "--state-out", &after];
        let said = succeed(base.iter().chain(&few).map(ToString::to_string).chain(from(&before)));
        assert!(said.contains("state behind the last of them: "), "{said}");
        let (before, again) = (format!("{replayed}{}", number), format!("{replayed}{}", number + 1));
        let base = ["replay", &capture, "--model", &bench.model, "--limit", "1000", "--state-out", &again];
        succeed(base.iter().map(ToString::to_string).chain(from(&before)));
        assert!(fs::read(&after).unwrap() == fs::read(&again).unwrap(), "{capture}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_nothing_is_written() {
    let bench = Bench::new();
    let (state, other) = (bench.path("state"), text(trained(bench.folder.path(), "kitsune-115")));
    bench.replay("one", &["--state-out", &state]);
    let two = bench.path("two");
    let line = fail(["replay", &two, "--model", &other, "--state", &state]);
    assert!(
        line.starts_with(&state)
            && line.contains("had the schema kitsune-115-clean, and has kitsune-115 here"),
        "{line}"
    );
    let line = bench.refused("two", &["--state", &state, "--slot-seed", "7"]);
    assert!(line.contains("had the slot seed 1234, and has 7 here"), "{line}");
    let good = fs::read(&state).unwrap();
    for (name, bytes, words) in [
        ("cut", good[..good.len() / 2].to_vec(), "its checksum differs"),
        (
            "changed",
            {
                let mut bad = good.clone();
                bad[good.len() / 3] ^= 4;
                bad
            },
            "its checksum differs",
        ),
        ("none.pcap", fs::read(&two).unwrap(), "not a state of legonf"),
    ] {
        let path = bench.path(name);
        fs::write(&path, bytes).unwrap();
        let line = bench.refused("two", &["--state", &path, "--state-out", &bench.path("never")]);
        assert!(line.starts_with(&path) && line.contains(words), "{line}");
    }
    assert!(bench.refused("two", &["--state", &bench.path("absent")]).contains("absent: No such file"));
    let line = bench.refused("two", &["--state-out", &state]);
    assert!(line.contains("--force"), "{line}");
    assert!(!contents_of(&bench).contains(&"never".to_owned()));
}

fn contents_of(bench: &Bench) -> Vec<String> {
    fs::read_dir(bench.folder.path()).unwrap().map(|entry| text(entry.unwrap().file_name())).collect()
}

#[test]
fn where_there_is_no_state_to_save_it_is_said_before_there_is_work() {
    let bench = Bench::new();
    let (state, table) = (bench.path("state"), bench.path("table.npy"));
    let coupled = text(trained(bench.folder.path(), "kitsune-py-100"));
    let line = fail(["replay", &bench.path("one"), "--model", &coupled, "--state-out", &state]);
    assert!(line.contains("brick `extractor`: its state cannot be taken out"), "{line}");
    succeed(["features", &bench.path("one"), "--output", &table]);
    for option in ["--state-out", "--state"] {
        if option == "--state" {
            bench.replay("one", &["--state-out", &state]);
        }
        let line = fail(["replay", &table, "--model", &bench.model, option, &state]);
        assert!(
            line.contains(if option == "--state" {
                "those with state are none here"
            } else {
                "no brick of the graph keeps state"
            }),
            "{line}"
        );
    }
    let capture = text(example("synth-mini.pcap.gz"));
    let train = [
        "train",
        "kitsune",
        &capture,
        "-",
        "-o",
        &bench.path("never.onnx"),
        "--state-out",
        &bench.path("never"),
    ];
    assert!(fail(train).contains("-: can be read only once"));
    let both = legonf(["replay", &capture, "--model", &bench.model, "--state", &state, "--warm-up", "10s"]);
    assert_eq!(both.status.code(), Some(2));
    assert!(
        contents(bench.folder.path().join("out").as_path())
            .iter()
            .all(|(name, _)| !name.ends_with(".partial"))
    );
}
