//! `legonf dataset list`, `info`, `fetch` and `verify`, against a local server.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "../../datasets/tests/server/mod.rs"]
mod server;

use common::{shared, text};
use serde_json::Value;
use server::{Server, Step};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TAG: &str = "\"v1\"";
const HAKAI: &str = "2018-07-31-15-15-09-192.168.100.113.pcap";

/// The command, with its data sets below `data`.
fn legonf(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.arg("dataset").args(arguments).env("XDG_DATA_HOME", data);
    command
}

#[track_caller]
fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{error}");
    assert_eq!(error.lines().count(), usize::from(code != 0), "{error}");
    (out, error.trim_end().strip_prefix("legonf: ").unwrap_or_default().to_owned())
}

#[track_caller]
fn succeed(data: &Path, arguments: &[&str]) -> String {
    ended(&legonf(data, arguments).output().unwrap(), 0).0
}

#[track_caller]
fn fail(data: &Path, arguments: &[&str]) -> String {
    ended(&legonf(data, arguments).output().unwrap(), 1).1
}

#[test]
fn the_catalogue_is_listed_and_described() {
    let dir = tempfile::tempdir().unwrap();
    let list = succeed(dir.path(), &["list"]);
    for line in ["kitsune-mirai ", "n-baiot ", "iot-sentinel ", "ustc-tfc2016 ", "iot-23 "] {
        assert!(list.lines().any(|l| l.starts_with(line)), "{list}");
    }
    let names: Value = serde_json::from_str(&succeed(dir.path(), &["list", "--json"])).unwrap();
    assert_eq!(names.as_array().unwrap().len(), list.lines().count() - 1);

    let info = succeed(dir.path(), &["info", "kitsune-mirai"]);
    let folder = text(dir.path().join("legonf/kitsune-mirai"));
    for part in [
        "764137, the attack begins at index 121621",
        "licence   unknown here",
        "SHA-256 unknown",
        "NDSS 2018",
        &format!(
            "  legonf train kitsune {folder}/Mirai_pcap.pcap.gz --schema kitsune-115 --feature-mapping-packets 5000 --training-packets 50000"
        ),
        &format!(
            "  legonf replay {folder}/Mirai_pcap.pcap.gz --model mirai.onnx --labels {folder}/Mirai_labels.csv.gz"
        ),
    ] {
        assert!(info.contains(part), "{part} is not in\n{info}");
    }
    let json = succeed(dir.path(), &["info", "kitsune-mirai", "--dir", "/d", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["folder"], "/d/kitsune-mirai");
    assert_eq!(json["commands"].as_array().unwrap().len(), 3);

    let unknown = "no data set is called mirai; `legonf dataset list` names them (is it kitsune-mirai?)";
    for command in ["info", "fetch", "verify"] {
        assert_eq!(fail(dir.path(), &[command, "mirai"]), unknown);
    }
}

#[test]
fn a_data_set_is_fetched_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let content = vec![7; 200_000];
    let server = Server::start(&content, Some(TAG), &[Step::BreakOff(1000), Step::Serve]);
    let mirror = server.url("m/");
    let arguments = ["fetch", "kitsune-mirai", "--mirror", &mirror, "--json"];
    let report: Value = serde_json::from_str(&succeed(dir.path(), &arguments)).unwrap();
    assert_eq!(report[0]["bytes"], 200_000);
    assert_eq!(report[1]["verified"], false);
    let paths: Vec<_> = server.requests().into_iter().map(|r| (r.path, r.range)).collect();
    assert_eq!(
        paths,
        [
            ("/m/Mirai_pcap.pcap.gz".into(), None),
            ("/m/Mirai_pcap.pcap.gz".into(), Some("bytes=1000-".into())),
            ("/m/Mirai_labels.csv.gz".into(), None)
        ]
    );
    assert!(fs::read(dir.path().join("legonf/kitsune-mirai/Mirai_pcap.pcap.gz")).unwrap() == content);

    let again = succeed(dir.path(), &arguments[..4]);
    assert_eq!(again.lines().filter(|line| line.contains(": was there, 200000 bytes")).count(), 2, "{again}");
    let verified = succeed(dir.path(), &["verify", "kitsune-mirai"]);
    let words: Vec<_> = verified.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["unknown", "unknown", "missing"], "the feature table is optional: {verified}");
    let all = succeed(dir.path(), &["verify"]);
    assert!(all.contains("missing  n-baiot/"), "{all}");
    assert_eq!(fail(dir.path(), &["verify", "n-baiot"]), "1 missing among 1 files");
}

#[test]
fn a_lie_is_refused_and_seen_by_verify() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&[7; 1000], Some(TAG), &[Step::Serve]);
    let mirror = server.url("m");
    let fetch = |file: &str| fail(dir.path(), &["fetch", "iot-23-8-1", "--file", file, "--mirror", &mirror]);
    assert_eq!(fetch(HAKAI), format!("{mirror}/{HAKAI}: the server's file has 1000 bytes, expected 2098362"));
    let wrong = fetch("conn.log.labeled");
    assert!(
        wrong.contains(", expected 4877ca8f0f01902fbd18d28b7d06cb3d0be082355b7f2c8862c9deef1782eb8a; "),
        "{wrong}"
    );
    assert_eq!(fail(dir.path(), &["verify", "iot-23-8-1"]), "2 partial among 2 files");
    let folder = dir.path().join("legonf/iot-23-8-1");
    fs::write(folder.join(HAKAI), b"short").unwrap();
    assert_eq!(fail(dir.path(), &["verify"]).split(" among").next(), Some("1 different, 1 partial"));
    assert!(fetch("other").starts_with("iot-23-8-1 has no file other; it has "));
}

#[test]
fn the_real_file_is_fetched_through_a_break_and_verified() {
    let Some(path) = shared("data/iot23-hakai/iot23-8-1-hakai.pcap") else { return };
    let dir = tempfile::tempdir().unwrap();
    let steps = [Step::BreakOff(1_000_000), Step::Status(503), Step::Serve];
    let server = Server::start(&fs::read(path).unwrap(), Some(TAG), &steps);
    let arguments = ["fetch", "iot-23-8-1", "--file", HAKAI, "--mirror", &server.url("m")];
    let said = succeed(dir.path(), &arguments);
    assert!(said.ends_with(", as it should be\n"), "{said}");
    let verified = ended(&legonf(dir.path(), &["verify", "iot-23-8-1"]).output().unwrap(), 1);
    assert!(verified.0.starts_with(&format!("ok       iot-23-8-1/{HAKAI}\n")), "{}", verified.0);
    assert_eq!(verified.1, "1 missing among 2 files");
}

#[test]
fn what_a_person_has_to_fetch_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("legonf/iot-sentinel/captures_IoT_Sentinel.zip");
    let expected = format!(
        "captures_IoT_Sentinel.zip: the site lets only browsers in: see https://research.aalto.fi/en/datasets/iot-devices-captures and put the file here: {}",
        text(&file)
    );
    assert_eq!(fail(dir.path(), &["fetch", "iot-sentinel"]), expected);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, b"zip").unwrap();
    assert!(succeed(dir.path(), &["fetch", "iot-sentinel"]).contains(": was there, 3 bytes"));
    let choose =
        "iot-23: choose with --file one of iot_23_datasets_full.tar.gz, iot_23_datasets_small.tar.gz";
    assert_eq!(fail(dir.path(), &["fetch", "iot-23"]), choose);
}

#[test]
fn a_folder_that_is_not_known_is_asked_for() {
    let output = legonf(Path::new("relative"), &["verify"]).env_remove("HOME").output().unwrap();
    let expected = "neither HOME nor XDG_DATA_HOME names a folder for data sets: give one with --dir";
    assert_eq!(ended(&output, 1).1, expected);
}

#[test]
fn an_interrupt_leaves_what_the_next_run_goes_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let content = vec![7; 200_000];
    let server = Server::start(&content, Some(TAG), &[Step::Stall(5000), Step::Serve]);
    let mirror = server.url("m");
    let arguments = ["fetch", "kitsune-mirai", "--file", "Mirai_pcap.pcap.gz", "--mirror", &mirror];
    let child = legonf(dir.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let file = dir.path().join("legonf/kitsune-mirai/Mirai_pcap.pcap.gz");
    let partial = text(&file) + ".partial";
    while fs::metadata(&partial).map_or(0, |found| found.len()) < 5000 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let (_, said) = ended(&child.wait_with_output().unwrap(), 130);
    assert_eq!(
        said,
        format!("interrupted: {partial} has the first 5000 bytes: run the same command again to go on")
    );
    assert!(!file.exists());
    assert!(succeed(dir.path(), &arguments).contains("resumed from 5000, 200000 bytes"));
    assert!(fs::read(&file).unwrap() == content);
}
