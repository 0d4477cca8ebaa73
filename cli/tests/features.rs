//! Tables of features in place of captures.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, shared, succeed, text, trained};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Training on the first 2,001 rows of any input that stands for the shipped capture.
fn train(input: &str, model: &Path) {
    let model = text(model);
    let base = [
        "train",
        "kitsune",
        input,
        "-o",
        &model,
        "--schema",
        "kitsune-115",
        "--feature-mapping-packets",
        "500",
    ];
    succeed(base.iter().chain(&["--training-packets", "1500"]));
}

/// The scores of a replay as text, so that equal means equal to the last bit.
fn replayed(input: &str, model: &Path, out: &Path) -> Vec<String> {
    succeed([
        "replay",
        "--no-warm-up",
        input,
        "--model",
        &text(model),
        "--threshold",
        "0.1",
        "--out",
        &text(out),
    ]);
    let table = fs::read_to_string(out.join("scores.csv")).unwrap();
    let column = |line: &str, i: usize| line.split(',').nth(i).unwrap().to_owned();
    table.lines().map(|line| [0, 2, 3].map(|i| column(line, i)).join(",")).collect()
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).unwrap();
        text(self.path(name))
    }

    /// The features of the shipped capture in the format of the ending.
    fn exported(&self, name: &str) -> String {
        let output = text(self.path(name));
        succeed(["features", &text(example("synth-mini.pcap.gz")), "--schema", "kitsune-115", "-o", &output]);
        output
    }
}

/// The same table in the words and the order of N-BaIoT's files.
fn as_nbaiot(csv: &str) -> String {
    let (names, rows) = csv.split_once('\n').unwrap();
    let theirs = names.replace("_var", "_variance").replace("_cov", "_covariance").replace("MI_", "MI_dir_");
    let reversed = |line: &str| line.split(',').rev().collect::<Vec<_>>().join(",");
    [theirs.as_str()].into_iter().chain(rows.lines()).map(|line| reversed(line) + "\n").collect()
}

#[test]
fn features_score_as_the_packets_they_were_made_of() {
    let bench = Bench::new();
    let model = trained(bench.folder.path(), "kitsune-115");
    let reference = replayed(&text(example("synth-mini.pcap.gz")), &model, &bench.path("packets"));
    assert_eq!(reference.len(), 3501);
    let csv = bench.exported("f.csv");
    let table = fs::read_to_string(&csv).unwrap();
    let bare = table.split_once('\n').unwrap().1;
    let numbered = |first: usize| {
        bare.lines().enumerate().map(|(i, row)| format!("{},{row}\n", i + first)).collect::<String>()
    };
    let pandas =
        format!(",{}\n{}", (0..115).map(|i| i.to_string()).collect::<Vec<_>>().join(","), numbered(0));
    let inputs = [
        ("npy", bench.exported("f.npy")),
        ("bare", bench.file("bare.csv", bare)),
        ("numbered", bench.file("numbered.csv", numbered(1))),
        ("pandas", bench.file("pandas.csv", pandas)),
        ("nbaiot", bench.file("nbaiot.csv", as_nbaiot(&table))),
        ("windows", bench.file("windows.csv", table.replace('\n', "\r\n"))),
        ("csv", csv),
    ];
    for (name, input) in inputs {
        let again = bench.path(&format!("{name}.onnx"));
        train(&input, &again);
        let out = bench.path(name);
        assert!(replayed(&input, &again, &out) == reference, "{name}");
        let names: Vec<_> = contents(&out).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["eve.json", "scores.csv", "scores.png", "scores.svg", "summary.json"], "{name}");
    }
}

#[test]
fn compressed_tables_both_engines_and_both_precisions() {
    let bench = Bench::new();
    let model = trained(bench.folder.path(), "kitsune-115");
    let csv = bench.exported("f.csv");
    let reference = replayed(&csv, &model, &bench.path("plain"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&fs::read(&csv).unwrap()).unwrap();
    let packed = bench.file("f.csv.gz", packed.finish().unwrap());
    assert!(replayed(&packed, &model, &bench.path("packed")) == reference);
    let scores = |option: &str, value: &str| {
        let out = bench.path(value);
        succeed([
            "replay",
            "--no-warm-up",
            &packed,
            "--model",
            &text(&model),
            option,
            value,
            "--out",
            &text(&out),
        ]);
        let summary = fs::read_to_string(out.join("summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        (common::scores(&out.join("scores.csv")), summary["precision"].clone())
    };
    let (own, precision) = scores("--engine", "kitnet");
    assert_eq!((own.len(), precision), (3500, "f64".into()));
    for (option, value, tolerance, stated) in
        [("--engine", "onnx", 1e-9, serde_json::Value::Null), ("--precision", "f32", 1e-5, "f32".into())]
    {
        let (other, precision) = scores(option, value);
        assert_eq!((other.len(), precision), (3500, stated));
        assert!(other != own && own.iter().zip(&other).all(|(a, b)| (a - b).abs() <= tolerance * b.abs()));
    }
    let line = fail([
        "replay",
        "--no-warm-up",
        &packed,
        "--model",
        &text(&model),
        "--engine",
        "onnx",
        "--precision",
        "f32",
    ]);
    assert!(line.contains("--precision f32: only KitNET's own engine has a choice"), "{line}");
}

#[test]
fn rows_have_no_time_and_no_packets() {
    let bench = Bench::new();
    let model = trained(bench.folder.path(), "kitsune-115");
    let (npy, out) = (bench.exported("f.npy"), bench.path("out"));
    replayed(&npy, &model, &out);
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(read("scores.csv").lines().skip(1).all(|line| line.split(',').nth(1) == Some("0.000000000")));
    let svg = read("scores.svg");
    assert!(svg.contains("anomaly score of every row") && svg.contains("3,500 rows"), "{svg}");
    assert!(!svg.contains("1970") && !svg.contains("time since"));
    let first: serde_json::Value = serde_json::from_str(read("eve.json").lines().next().unwrap()).unwrap();
    assert_eq!((first.get("src_ip"), first.get("pkt_src"), first.get("ether")), (None, None, None));
    assert!(
        first["alert"]["metadata"]["legonf"]["explanation"].is_object() && first["pcap_cnt"].is_u64(),
        "{first}"
    );
    let line = fail(["calibrate", &text(&model), &npy, "--method", "alarm-budget", "--skip", "2001"]);
    assert!(line.contains("alarms a day cannot be counted"), "{line}");
    let rate = ["--false-positive-rate", "0.01"];
    let report = succeed(["calibrate", &text(&model), &npy, "--skip", "2001", "--json"].iter().chain(&rate));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["samples"], &report["alarms_per_day"]), (&1124.into(), &serde_json::Value::Null));
}

#[test]
fn damaged_tables_say_where() {
    let bench = Bench::new();
    let model = text(trained(bench.folder.path(), "kitsune-115"));
    let table = fs::read_to_string(bench.exported("f.csv")).unwrap();
    let lines: Vec<_> = table.lines().take(5).collect();
    let whole = lines.join("\n") + "\n";
    let with = |line: usize, column: usize, cell: &str| {
        let mut cells: Vec<_> = lines[line].split(',').collect();
        cells[column] = cell;
        whole.replace(lines[line], &cells.join(","))
    };
    let bare = |cells: usize| vec!["1.5"; cells].join(",") + "\n";
    let finite = "is not a finite number";
    for (name, bytes, words) in [
        ("nan.csv", with(3, 16, "NaN"), format!("line 4: column 17 (H_L5_mean): \"NaN\" {finite}")),
        ("inf.csv", with(2, 0, "inf"), format!("line 3: column 1 (MI_L5_weight): \"inf\" {finite}")),
        ("huge.csv", with(2, 0, "1e999"), format!("line 3: column 1 (MI_L5_weight): \"1e999\" {finite}")),
        ("text.csv", with(1, 114, "abc"), format!("line 2: column 115 (HpHp_L0.01_pcc): \"abc\" {finite}")),
        ("gap.csv", with(1, 5, ""), format!("line 2: column 6 (MI_L3_var): \"\" {finite}")),
        ("ragged.csv", whole.clone() + "1,2,3\n", "line 6: expected 115 columns, found 3".into()),
        ("wide.csv", whole.clone() + &bare(116), "line 6: expected 115 columns, found 116".into()),
        ("cut.csv", whole[..whole.len() - 300].into(), "cut off inside row 3".into()),
        ("narrow.csv", bare(100), "line 1: expected the 115 features of kitsune-115".into()),
        (
            "index.csv",
            format!("7,{}9,{}", bare(115), bare(115)),
            "row number 9 is out of order, expected 8".into(),
        ),
        (
            "name.csv",
            whole.replace("HH_L1_std", "HH_L1_dev"),
            "\"HH_L1_dev\", which kitsune-115 has not".into(),
        ),
        ("double.csv", whole.replace("HH_L1_std", "HH_L1_mean"), "\"HH_L1_mean\" is there twice".into()),
        ("empty.csv", String::new(), "this file is empty".into()),
        ("labels.csv", "index,label\n0,1\n".into(), "this is a text file".into()),
    ] {
        let input = bench.file(name, bytes);
        let line = fail(["replay", "--no-warm-up", &input, "--model", &model]);
        assert!(line.contains(&words) && line.contains(name), "{name}: {line}");
    }
}

#[test]
fn damaged_arrays_say_where() {
    let bench = Bench::new();
    let model = text(trained(bench.folder.path(), "kitsune-115"));
    let whole = fs::read(bench.exported("f.npy")).unwrap();
    let mut nan = whole.clone();
    nan[128 + 115 * 8 + 16..][..8].copy_from_slice(&f64::NAN.to_le_bytes());
    let text_of = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..][..to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let mut longer = whole.clone();
    longer.push(0);
    for (name, bytes, words) in [
        ("nan.npy", nan, "row 1 is corrupt (byte 1048): column 3 (MI_L5_var): NaN is not a finite number"),
        ("cut.npy", whole[..whole.len() - 1].to_vec(), "cut off inside row 3499 of 3500"),
        ("head.npy", whole[..100].to_vec(), "cut off inside the header"),
        ("longer.npy", longer, "more than the 3500 rows of the header"),
        ("int.npy", text_of("<f8", "<i8"), "elements of type '<i8', expected '<f8' or '<f4'"),
        ("order.npy", text_of("False", "True "), "not in C order"),
        ("shape.npy", text_of("115", "114"), "the shape (3500, 114), expected (rows, 115)"),
    ] {
        let input = bench.file(name, bytes);
        let line = fail(["replay", "--no-warm-up", &input, "--model", &model]);
        assert!(line.contains(words) && line.contains(name), "{name}: {line}");
    }
}

#[test]
fn single_precision_and_labels() {
    let bench = Bench::new();
    let model = text(trained(bench.folder.path(), "kitsune-115"));
    let whole: Array2<f64> = ndarray_npy::read_npy(bench.exported("f.npy")).unwrap();
    let single = bench.path("single.npy");
    ndarray_npy::write_npy(&single, &whole.mapv(|value| value as f32)).unwrap();
    let labels = text(example("labels.csv"));
    let arguments = [
        "replay",
        "--no-warm-up",
        &text(&single),
        "--model",
        &model,
        "--labels",
        &labels,
        "--threshold",
        "0.1",
        "--json",
    ];
    let report: serde_json::Value = serde_json::from_str(&succeed(arguments)).unwrap();
    assert_eq!(
        (&report["coverage"]["received"], &report["coverage"]["scored"]),
        (&3500.into(), &3500.into())
    );
    assert!(report["evaluation"]["fpr"].is_f64(), "{report}");
}

#[test]
fn a_graph_that_wants_packets_is_refused() {
    let bench = Bench::new();
    let model = text(trained(bench.folder.path(), "kitsune-115"));
    let toml = succeed(["graph", "show", "--toml"]).replace("kitsune-115-clean", "kitsune-115");
    let graph = bench.file("graph.toml", toml);
    let line =
        fail(["replay", "--no-warm-up", &bench.exported("f.npy"), "--model", &model, "--graph", &graph]);
    assert!(line.contains("packet-batching") && line.contains("packets"), "{line}");
}

/// 907 rows as the authors published them, without names.
#[test]
fn the_published_rows_score_as_the_packets() {
    let Some(capture) = shared("data/kitsune-mirai/mirai-first20000.pcap") else { return };
    let Some(vectors) = shared("golden/official-115/features-rmse.npz") else { return };
    let bench = Bench::new();
    let mut npz = NpzReader::new(File::open(vectors).unwrap()).unwrap();
    let (index, rows): (Array1<i64>, Array2<f64>) =
        (npz.by_name("official_index").unwrap(), npz.by_name("official").unwrap());
    let line =
        |row: ndarray::ArrayView1<'_, f64>| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let table = rows.rows().into_iter().map(|row| line(row) + "\n").collect::<String>();
    let published = bench.file("Mirai_dataset.csv", table);
    let model = bench.path("model.onnx");
    let options =
        ["--schema", "kitsune-115", "--feature-mapping-packets", "2000", "--training-packets", "10000"];
    succeed(["train", "kitsune", &text(&capture), "-o", &text(&model)].iter().chain(&options));
    let scores = |input: &str, out: &str| {
        succeed(["replay", "--no-warm-up", input, "--model", &text(&model), "--out", &text(bench.path(out))]);
        common::scores(&bench.path(out).join("scores.csv"))
    };
    let (theirs, ours) = (scores(&published, "published"), scores(&text(&capture), "packets"));
    assert_eq!(theirs.len(), 907);
    for (score, packet) in theirs.iter().zip(&index) {
        let reference = ours[*packet as usize];
        assert!((score - reference).abs() <= 1e-8 * reference, "packet {packet}: {score} is not {reference}");
    }
}
