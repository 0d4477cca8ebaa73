//! Habits of a command line: one meaning a flag, help that fits a screen, files in the wrong place, completions and manual pages, a
//! configuration file, and text that fits 80 and 40 columns.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, legonf, succeed, text, trained};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the command in a folder with so many columns.
fn narrow(columns: &str, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    command.current_dir(folder).env("COLUMNS", columns).args(arguments).output().unwrap()
}

/// Runs the command, which must refuse its command line in one line, and gives that line.
#[track_caller]
fn meant(arguments: &[&str]) -> String {
    let output = legonf(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
    error.trim_end().to_owned()
}

#[test]
fn help_fits_a_screen_and_the_rest_is_a_level_down() {
    let short = succeed(["help"]);
    assert!(short.lines().count() <= 24 && short.lines().all(|line| line.chars().count() <= 80), "{short}");
    assert_eq!(succeed(["-h"]), short);
    assert!(short.contains("legonf help all"), "{short}");
    for (arguments, expected) in [
        (&["help", "all"][..], "Exit codes:"),
        (&["--help"], "Exit codes:"),
        (&["help", "replay"], "--scores-format"),
        (&["help", "train", "kitsune"], "--training-time"),
    ] {
        assert!(succeed(arguments).contains(expected), "{arguments:?}");
    }
    let unknown = legonf(["help", "repaly"]);
    assert_eq!(unknown.status.code(), Some(2));
    let nothing = legonf::<&str>([]);
    assert_eq!(nothing.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&nothing.stderr), short);
}

#[test]
fn a_file_in_the_wrong_place_is_told_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    let capture = text(folder.path().join("benign"));
    fs::copy(example("synth-mini.pcap.gz"), folder.path().join("benign.pcap.gz")).unwrap();
    let packed = text(folder.path().join("benign.pcap.gz"));
    // The name says nothing here, the first bytes do.
    fs::write(&capture, [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]).unwrap();
    for (arguments, expected) in [
        (vec!["train", &packed], format!("did you mean: legonf train kitsune {packed} -o MODEL")),
        (vec![&packed], format!("did you mean: legonf replay {packed} --model MODEL")),
        (vec![&model], format!("did you mean: legonf model show {model}")),
        (vec!["replay", &model], format!("did you mean: legonf replay CAPTURE --model {model}")),
        (vec!["replay", &model, "--model", &capture], format!("legonf replay {capture} --model {model}")),
        (vec!["calibrate", &packed], format!("did you mean: legonf calibrate MODEL {packed}")),
        (vec!["calibrate", &packed, &model], format!("did you mean: legonf calibrate {model} {packed}")),
        (vec!["live", "-i", &packed, "--model", &model], format!("legonf replay {packed} --model MODEL")),
        (vec!["replay", &packed, "--scores", "parquet"], "--scores-format".to_owned()),
    ] {
        let line = meant(&arguments);
        assert!(line.contains(&expected), "{arguments:?}: {line}");
    }
}

#[test]
fn shells_get_completions() {
    for (shell, expected) in
        [("bash", "complete -F _legonf"), ("zsh", "#compdef legonf"), ("fish", "complete -c legonf")]
    {
        let script = succeed(["completions", shell]);
        assert!(script.contains(expected) && script.contains("scores-format"), "{shell}");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), script).unwrap();
        let Ok(output) = Command::new(shell).arg("-n").arg(file.path()).output() else { continue };
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_command_has_a_manual_page_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let pages = text(folder.path().join("man1"));
    assert!(succeed(["man", &pages]).ends_with(&format!("pages in {pages}\n")));
    for name in
        ["legonf", "legonf-train-kitsune", "legonf-dataset-compose", "legonf-live", "legonf-completions"]
    {
        let page = fs::read_to_string(format!("{pages}/{name}.1")).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    assert!(fail(["man", &pages]).contains("--force"));
    assert!(succeed(["man"]).contains(".TH legonf 1"));
    for page in fs::read_dir(&pages).unwrap() {
        let page = page.unwrap().path();
        let mut man = Command::new("man");
        man.args(["--warnings=mac,w", "-E", "UTF-8", "-l"])
            .arg(&page)
            .env("MANWIDTH", "80")
            .stdin(Stdio::null());
        let Ok(output) = man.output() else { return };
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{}: {error}", page.display());
    }
}

#[test]
fn a_configuration_file_gives_options_and_the_command_line_wins() {
    let folder = tempfile::tempdir().unwrap();
    let (model, capture) =
        (text(trained(folder.path(), "kitsune-115-clean")), text(example("synth-mini.pcap.gz")));
    let config = text(folder.path().join("legonf.toml"));
    let write = |text: &str| fs::write(&config, text).unwrap();
    write(&format!(
        "json = true\n[replay]\nmodel = \"{model}\"\nlimit = 700\nthreshold = 0.5\nno-warm-up = true\n[hosts]\nrows = 3\n"
    ));
    let received = |more: &[&str]| {
        let report = succeed(["replay", &capture, "--config", &config].iter().chain(more));
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        (report["coverage"]["received"].as_u64().unwrap(), report["threshold"].as_f64().unwrap())
    };
    assert_eq!(received(&[]), (700, 0.5));
    assert_eq!(received(&["--limit", "50", "--threshold=0.25"]), (50, 0.25));
    assert_eq!(succeed(["config", "check", &config]), format!("{config}: in order, 6 options\n"));
    for (text, expected) in [
        ("[replay]\nlimt = 5", "[replay] limt: there is no such option; did you mean 'limit'?"),
        (
            "[train.kitsun]\nseed = 5",
            "[train.kitsun]: there is no command 'train kitsun'; did you mean 'kitsune'?",
        ),
        ("[live]\nstats = true", "[live] stats = true: expected a number or a string in quotes"),
    ] {
        write(text);
        // Whatever command is run: the file is checked whole, and nothing is done.
        let out = folder.path().join("features.npy");
        let line = fail(["features", &capture, "-o", out.to_str().unwrap(), "--config", &config]);
        assert_eq!(line, format!("{config}: {expected}"));
        assert_eq!(fail(["config", "check", &config]), line);
        assert!(!out.exists());
    }
    write(&succeed(["config", "show"]));
    assert_eq!(succeed(["config", "check", &config]), format!("{config}: in order, 0 options\n"));
}

/// Lines that are wider than so many columns, but for those that are one word, such as a file's name.
fn too_wide(shown: &str, columns: usize) -> Vec<&str> {
    let fits = |line: &&str| line.chars().count() <= columns || !line.trim().contains(' ');
    shown.lines().filter(|line| !fits(line)).collect()
}

#[test]
fn what_is_printed_fits_the_columns_and_cuts_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    trained(at, "kitsune-115-clean");
    fs::rename(at.join("kitsune-115-clean.onnx"), at.join("m.onnx")).unwrap();
    fs::copy(example("synth-mini.pcap.gz"), at.join("c.pcap.gz")).unwrap();
    fs::copy(example("labels.csv"), at.join("l.csv")).unwrap();
    let replay =
        ["replay", "c.pcap.gz", "--model", "m.onnx", "--no-warm-up", "--threshold=0.3", "--labels", "l.csv"];
    let replay = [&replay[..], &["--out", "r", "--force"]].concat();
    let profile = [
        "profile",
        "kitsune",
        "c.pcap.gz",
        "--model",
        "m.onnx",
        "--runs",
        "1",
        "-o",
        "costs.toml",
        "--force",
    ];
    let commands: [&[&str]; 14] = [
        &replay,
        &["hosts", "r"],
        &profile,
        &["plan", "--costs", "costs.toml", "--cores", "4", "--latency", "1000"],
        &["graph", "show"],
        &["graph", "kinds"],
        &["model", "show", "m.onnx"],
        &["model", "explain", "m.onnx"],
        &["split", "kitsune-115-clean", "--capture", "c.pcap.gz"],
        &["dataset", "list"],
        &["features", "c.pcap.gz", "-o", "f.npy", "--force"],
        &["help"],
        &["help", "all"],
        &["run", "kitsune", "c.pcap.gz", "--model", "m.onnx", "--threshold=0.3", "--no-warm-up"],
    ];
    for command in commands {
        for columns in ["80", "40"] {
            let output = narrow(columns, at, command);
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            let shown = String::from_utf8(output.stdout).unwrap();
            let wide = too_wide(&shown, columns.parse().unwrap());
            assert!(wide.is_empty(), "{command:?} at {columns}: {wide:#?}");
        }
    }
    let hosts = |columns| String::from_utf8(narrow(columns, at, &["hosts", "r"]).stdout).unwrap();
    let numbers = |shown: &str| {
        let mut words: Vec<_> = shown
            .split_whitespace()
            .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect();
        words.sort();
        words.dedup();
        words
    };
    assert_eq!(numbers(&hosts("40")), numbers(&hosts("80")));
}
