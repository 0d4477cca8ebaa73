//! A replay that has ended is looked at again: at any second it is what it was.
#![allow(clippy::unwrap_used)]

mod common;

use common::running::{Running, command, signal};
use common::seen::{Bench, PACKETS, Seen};
use common::{example, fail, succeed, text};
use serde_json::{Value, json};
use std::fs;

/// A folder of results.
fn replayed(bench: &Bench, name: &str, more: &[&str]) -> String {
    let (capture, out) = (text(example("synth-mini.pcap.gz")), bench.path(name));
    let fixed = ["replay", &capture, "--model", &bench.model, "--no-warm-up", "--threshold", "0.2"];
    succeed(fixed.iter().chain(&["--quiet", "--out", &*out]).chain(more));
    out
}

fn serve(folder: &str, more: &[&str]) -> Seen {
    let fixed = ["serve", "--open", folder, "--http", "127.0.0.1:0"];
    let words: Vec<_> = fixed.iter().chain(more).map(|word| (*word).to_owned()).collect();
    let mut run = Running::of(command(&words));
    run.wait_for("the replay is shown at http://");
    let said = run.said();
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let input = run.child.stdin.take().unwrap();
    Seen { run, input, address }
}

fn read(folder: &str, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(format!("{folder}/{name}")).unwrap()).unwrap()
}

#[test]
fn a_replay_is_there_again_second_by_second() {
    let bench = Bench::new();
    let out = replayed(&bench, "out", &[]);
    let seen = serve(&out, &["--http-token", &bench.path("token")]);
    let (summary, incidents) = (read(&out, "summary.json"), read(&out, "incidents.json"));
    let counters = seen.get("/api/v1/counters");
    assert_eq!(
        (&counters["received"], &counters["alerts"]),
        (&summary["coverage"]["received"], &summary["alerts"])
    );
    assert_eq!((&counters["received"], &counters["scored"]), (&json!(PACKETS), &json!(PACKETS)));
    let graph = seen.get("/api/v1/graph");
    assert_eq!((&graph["name"], &graph["state"]), (&json!("kitsune"), &json!("over")));
    let ids: Vec<_> = graph["bricks"].as_array().unwrap().iter().map(|brick| &brick["id"]).collect();
    assert_eq!(ids, ["source", "batching", "extractor", "mapping", "autoencoder", "decision", "sink"]);
    let list = seen.get("/api/v1/incidents");
    assert_eq!(list["ended"].as_u64().unwrap(), incidents.as_array().unwrap().len() as u64);
    assert!(list["incidents"].as_array().unwrap().iter().all(|incident| incident["is_open"] == false));
    let features: Vec<_> = list["incidents"].as_array().unwrap().iter().map(|one| &one["features"]).collect();
    assert!(features.iter().any(|features| !features.as_array().unwrap().is_empty()));

    // Second by second packets come, and each incident begins and ends.
    let end = graph["at"].as_f64().unwrap();
    let (mut received, mut went_on) = (0, false);
    for second in 0..=end as u64 {
        let counters = seen.get(&format!("/api/v1/counters?at={second}"));
        let now = counters["received"].as_u64().unwrap();
        assert!(now >= received, "{second}: {now} after {received}");
        received = now;
        let list = seen.get(&format!("/api/v1/incidents?at={second}"));
        went_on |= list["incidents"].as_array().unwrap().iter().any(|incident| incident["is_open"] == true);
    }
    assert_eq!((received, went_on), (PACKETS, true));
    let begin = seen.get("/api/v1/graph?at=0");
    assert_eq!((&begin["at"], &begin["state"]), (&json!(0.0), &json!("running")));
    let history = seen.get("/api/v1/history");
    let points = history["points"].as_array().unwrap();
    let highest = points.iter().filter_map(|point| point["peak_score"].as_f64()).fold(0.0, f64::max);
    assert_eq!(highest, summary["score"]["max"].as_f64().unwrap());

    for wrong in ["x", "-1", "NaN", "1e999"] {
        seen.ask("GET", &format!("/api/v1/graph?at={wrong}"), "", "").refused(400, "expected seconds");
    }
    seen.ask("GET", "/api/v1/nothing", "", "").refused(404, "");
    seen.post("/api/v1/scale", r#"{"brick": "mapping", "replicas": 2}"#).refused(409, "played again");
    let page = seen.ask("GET", "/", "", "");
    assert!(page.status == 200 && page.body.contains("id=\"position\""), "{}", page.body);
    assert_eq!(seen.ask("GET", "/page/player.js", "", "").status, 200);
    let address = seen.address.to_string();
    assert!(succeed(["status", "--http", &address]).starts_with("graph       kitsune, over"));
    assert!(succeed(["incidents", "--http", &address]).contains("ended"));

    signal("-INT", &[seen.run.child.id().to_string()]);
    let (output, said) = seen.run.output();
    assert!(output.status.success(), "{said}");
}

#[test]
fn it_is_the_same_bytes_whatever_the_layout() {
    let bench = Bench::new();
    let replicated = "source | batching x2 | extractor | mapping autoencoder x3 | decision sink";
    let read = |out: String| fs::read(format!("{out}/playback.jsonl")).unwrap();
    let fused = read(replayed(&bench, "a", &["--workers", "fused"]));
    assert_eq!(read(replayed(&bench, "b", &["--workers", replicated, "--oversubscribe"])), fused);
    let placed = ["--place", "mapping=process", "--workers", "pipeline", "--oversubscribe"];
    assert_eq!(read(replayed(&bench, "c", &placed)), fused);
    assert_eq!(read(replayed(&bench, "d", &["--http", "127.0.0.1:0"])), fused);
}

#[test]
fn what_cannot_be_played_is_refused_in_a_line() {
    let bench = Bench::new();
    let out = replayed(&bench, "out", &[]);
    let open = |folder: &str| fail(["serve", "--open", folder, "--http", "127.0.0.1:0"]);
    assert!(open(&bench.path("none")).contains("holds no playback.jsonl"));
    assert!(open(bench.folder.path().to_str().unwrap()).contains("`legonf replay --out` writes it"));
    let file = format!("{out}/playback.jsonl");
    let whole = fs::read(&file).unwrap();
    for (bytes, words) in [
        (&whole[..whole.len() / 2], "it is not whole"),
        (&whole[..0], "it is not whole"),
        (&[0x80; 99], "UTF-8"),
        (b"{\"entry\": \"begin\"}\n", "line 1"),
        (&[&b"[".repeat(1 << 20)[..], b"\n"].concat(), "line 1"),
    ] {
        fs::write(&file, bytes).unwrap();
        let line = open(&out);
        assert!(line.contains(words) && line.len() < 400, "{line}");
    }
    fs::write(&file, String::from_utf8(whole).unwrap().replace("kitsune", "<b>\\u001b[2J")).unwrap();
    let seen = serve(&out, &[]);
    let page = seen.ask("GET", "/", "", "").body;
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "{page}");
    signal("-TERM", &[seen.run.child.id().to_string()]);
    assert!(seen.run.output().0.status.success());
}
