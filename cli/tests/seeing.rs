//! A run is seen and changed over HTTP while it goes on, and its results are those of a run that nobody sees.
#![allow(clippy::unwrap_used)]

mod common;

use common::agent::Agent;
use common::seen::{Bench, PACKETS, Seen, TOKEN, capture};
use common::{example, fail, legonf, succeed, text};
use serde_json::{Value, json};
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

fn scores(path: &str) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn a_run_is_seen_and_writes_what_it_writes_unseen() {
    let bench = Bench::new();
    let (seen_scores, unseen_scores) = (bench.path("seen.csv"), bench.path("unseen.csv"));
    let mut seen = bench.live(&["--scores", &seen_scores]);
    seen.send(&capture());
    let counters = seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    assert_eq!(counters["scored"], PACKETS);
    assert_eq!((&counters["rejected"], &counters["dropped"]), (&json!([]), &json!([])));

    let graph = seen.wait_for("/api/v1/graph", |graph| graph["bricks"][6]["packets"] == PACKETS);
    let ids: Vec<_> = graph["bricks"].as_array().unwrap().iter().map(|brick| &brick["id"]).collect();
    assert_eq!(ids, ["source", "batching", "extractor", "mapping", "autoencoder", "decision", "sink"]);
    assert_eq!(graph["edges"].as_array().unwrap().len(), 6);
    assert_eq!((&graph["name"], &graph["threshold"]), (&json!("kitsune"), &json!(0.2)));
    assert_eq!(
        (&graph["bricks"][2]["state"], &graph["bricks"][2]["kind"]),
        (&json!("keyed"), &json!("feature-quantization"))
    );
    // The data size of the capture, as capinfos says.
    let bytes = 3_393_969;
    for brick in &graph["bricks"].as_array().unwrap()[1..] {
        assert_eq!((&brick["packets"], &brick["bytes"]), (&json!(PACKETS), &json!(bytes)), "{brick}");
    }
    let replica = &graph["stages"][2]["replicas"][0];
    assert_eq!(replica["name"], "kitsune/extractor#2");
    assert!(replica["useful_work_ratio"].is_number());

    // Alerts that were counted are in incidents, each with its words and what deviated.
    let list = seen.wait_for("/api/v1/incidents", |list| {
        list["ended"].as_u64().unwrap() > 0 && list["incidents"][0]["is_open"] == true
    });
    let first = &list["incidents"][0];
    assert!(first["text"].as_str().unwrap().starts_with(first["source"].as_str().unwrap()));
    assert!(!first["features"].as_array().unwrap().is_empty(), "{first}");
    let one = seen.get(&format!("/api/v1/incidents/{}", first["id"]));
    assert_eq!((&one["source"], &one["text"]), (&first["source"], &first["text"]));
    seen.ask("GET", "/api/v1/incidents/999999", "", "").refused(404, "no incident");
    seen.ask("GET", "/api/v1/incidents/-1", "", "").refused(400, "number");

    let events = seen.get("/api/v1/events");
    assert_eq!((&events["events"][0]["event"], &events["next"]), (&json!("start"), &json!(1)));
    seen.ask("GET", "/api/v1/events?from=x", "", "").refused(400, "from");
    seen.wait_for("/api/v1/history", |history| !history["points"].as_array().unwrap().is_empty());
    assert_eq!(seen.ask("GET", "/healthz", "", "").body, "ok\n");
    assert_eq!(seen.ask("GET", "/readyz", "", "").body, "ok\n");
    let document = seen.get("/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");

    // What the page is made of, an update at once and then others.
    let mut stream = seen.connect();
    write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: {}\r\n\r\n", seen.address).unwrap();
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    while heard.matches("event: update\ndata: {\"graph\":").count() < 3 {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "{heard}");
        heard += &String::from_utf8_lossy(&buffer[..read]);
    }
    assert!(heard.contains("text/event-stream"), "{heard}");
    drop(stream);

    let report = seen.end();
    assert_eq!(report["coverage"]["scored"], PACKETS);
    let alone =
        ["--scores", &unseen_scores, "--json", "--threshold", "0.2", "--no-warm-up", "--model", &bench.model];
    let mut unseen = Command::new(env!("CARGO_BIN_EXE_legonf"));
    let mut unseen =
        unseen.args(["live", "-"]).args(alone).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    unseen.stdin.take().unwrap().write_all(&capture()).unwrap();
    assert!(unseen.wait().unwrap().success());
    assert_eq!(scores(&seen_scores), scores(&unseen_scores));
}

#[test]
fn a_run_to_which_nothing_has_come_yet_says_that_it_starts() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    // Nobody waits for a packet: the process answers as soon as it listens.
    let graph = seen.wait_for("/api/v1/graph", |_| true);
    assert_eq!((&graph["state"], &graph["bricks"]), (&json!("starting"), &json!([])));
    assert_eq!(seen.ask("GET", "/healthz", "", "").body, "ok\n");
    seen.ask("GET", "/readyz", "", "").refused(503, "starting");
    let page = seen.ask("GET", "/", "", "");
    assert!(page.status == 200 && page.body.contains("a run that starts"), "{}", page.body);
    for path in ["counters", "history", "events", "incidents"] {
        assert_eq!(seen.ask("GET", &format!("/api/v1/{path}"), "", "").status, 200, "{path}");
    }
    assert!(seen.ask("GET", "/metrics", "", "").body.contains("legonf_packets_received_total 0"));
    seen.post("/api/v1/scale", r#"{"brick": "mapping", "replicas": 2}"#).refused(503, "not begun");
    let address = seen.address.to_string();
    assert!(succeed(["status", "--http", &address]).starts_with("state       starting"));
    assert!(succeed(["incidents", "--http", &address]).starts_with("no incidents"));
    // Who follows hears when it begins.
    let mut stream = seen.connect();
    write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: {}\r\n\r\n", seen.address).unwrap();
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    let mut hear = |words: &str| {
        while !heard.contains(words) {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "{heard}");
            heard += &String::from_utf8_lossy(&buffer[..read]);
        }
    };
    hear("\"state\":\"starting\"");
    seen.send(&capture());
    hear("\"state\":\"running\"");
    assert_eq!(seen.ask("GET", "/readyz", "", "").body, "ok\n");
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn a_layout_is_changed_while_packets_flow() {
    let bench = Bench::new();
    let (out, token) = (bench.path("changed.csv"), bench.path("token"));
    let seen = bench.live(&["--scores", &out]);
    let bytes = capture();
    let address = seen.address.to_string();
    let run = ["--http", &address, "--http-token", &token];
    // State moves with packets, so these come all the time.
    let mut input = File::from(seen.input.as_fd().try_clone_to_owned().unwrap());
    let feeder = std::thread::spawn(move || {
        for part in bytes.chunks(bytes.len() / 600) {
            input.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    seen.wait_for("/api/v1/counters", |counters| counters["received"].as_u64() > Some(0));
    let scaled = seen.post("/api/v1/scale", r#"{"brick": "mapping", "replicas": 2}"#);
    assert_eq!(
        (scaled.status, &scaled.json()["plan"]),
        (200, &json!("source | batching | extractor | mapping x2 | autoencoder | decision | sink"))
    );
    let said = succeed(["scale", "extractor", "2"].iter().chain(&run));
    assert!(said.contains("extractor x2 | mapping x2"), "{said}");
    let shards = |graph: &Value| graph["stages"][2]["shards"].as_array().map_or(0, Vec::len);
    let graph = seen.wait_for("/api/v1/graph", |graph| {
        shards(graph) == 2 && graph["stages"][2]["state_bytes"].as_u64() > Some(0)
    });
    let moved = seen.post("/api/v1/move", r#"{"brick": "extractor", "shard": 1, "slot": 7, "to": 1}"#);
    assert_eq!(moved.status, 200, "{}", moved.body);
    // The first replica gives its slots away and stays, the last one goes.
    let replica = |place: usize| graph["stages"][2]["replicas"][place]["name"].as_str().unwrap().to_owned();
    let drained: Value =
        serde_json::from_str(&succeed(["drain", &replica(0), "--json"].iter().copied().chain(run))).unwrap();
    assert!(drained["moved_slots"].as_u64().unwrap() > 1000, "{drained}");
    let graph =
        seen.wait_for("/api/v1/graph", |graph| graph["stages"][2]["shards"][0]["slots"] == json!([0, 4096]));
    assert_eq!(graph["stages"][2]["shards"][1]["slots"], json!([0, 4096]));
    let said = succeed(["drain", &replica(1)].iter().copied().chain(run));
    assert!(said.contains("| extractor | mapping x2 |"), "{said}");
    let status: Value = serde_json::from_str(&succeed(["status", "--http", &address, "--json"])).unwrap();
    assert_eq!(
        status["graph"]["plan"],
        "source | batching | extractor | mapping x2 | autoencoder | decision | sink"
    );

    // Each order is told of, before the plan that it led to.
    let events: Value = serde_json::from_str(&succeed(["events", "--http", &address, "--json"])).unwrap();
    let kinds: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    let orders = kinds.iter().filter(|kind| **kind == "order").count();
    assert_eq!(kinds, [&["start"][..], &["order", "applied"].repeat(orders)].concat(), "{events}");
    // The slot that was named was there before, or not.
    assert!((4..=5).contains(&orders), "{events}");
    assert_eq!(events[1]["change"], "scale mapping to 2");

    feeder.join().unwrap();
    let report = seen.end();
    assert_eq!(report["coverage"]["scored"], PACKETS);
    assert!(report["runtime"]["moved_slots"].as_u64().unwrap() > 4096, "{report}");
    let unseen = bench.path("unseen");
    let capture = text(example("synth-mini.pcap.gz"));
    succeed([
        "replay",
        &capture,
        "--model",
        &bench.model,
        "--no-warm-up",
        "--threshold",
        "0.2",
        "--out",
        &unseen,
        "--quiet",
    ]);
    assert_eq!(scores(&out), scores(&format!("{unseen}/scores.csv")));
}

#[test]
fn it_is_said_which_host_and_which_process_runs_what() {
    let (bench, agent) = (Bench::new(), Agent::start(&[]));
    let cores = std::thread::available_parallelism().unwrap().get();
    let (out, host) = (bench.path("elsewhere.csv"), agent.host("b"));
    let mut seen = bench.live(&[
        "--scores",
        &out,
        "--host",
        &host,
        "--place",
        "autoencoder=process",
        "--place",
        "decision=b",
    ]);
    seen.send(&capture());
    let graph = seen.wait_for("/api/v1/graph", |graph| graph["bricks"][6]["packets"] == PACKETS);
    let elsewhere = |graph: &Value, stage: usize, replica: usize| {
        let all = graph["stages"][stage]["replicas"][replica]["elsewhere"].as_array().unwrap().clone();
        assert!(all.len() <= 1, "{all:?}");
        all.first().map(|one| (one["brick"].clone(), one["host"].clone(), one["process"].clone()))
    };
    assert_eq!(elsewhere(&graph, 3, 0), None);
    let (brick, host, process) = elsewhere(&graph, 4, 0).unwrap();
    assert_eq!((brick, host), (json!("autoencoder"), Value::Null));
    let command = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
    assert!(command.contains("--for-parent"), "{command}");
    assert_eq!(elsewhere(&graph, 5, 0), Some((json!("decision"), json!("b"), Value::Null)));
    // Nobody said so of these: replicas beyond the cores of this machine go to another by themselves.
    let body = format!(r#"{{"brick": "mapping", "replicas": {}}}"#, cores + 1);
    assert_eq!(seen.post("/api/v1/scale", &body).status, 200);
    let graph = seen.wait_for("/api/v1/graph", |graph| {
        graph["stages"][3]["replicas"].as_array().map_or(0, Vec::len) == cores + 1
    });
    assert_eq!(elsewhere(&graph, 3, 0), None);
    assert_eq!(elsewhere(&graph, 3, cores), Some((json!("mapping"), json!("b"), Value::Null)));
    let status = succeed(["status", "--http", &seen.address.to_string()]);
    assert!(status.contains(", mapping on host b\n"), "{status}");
    assert!(status.contains(&format!(", autoencoder in process {process}\n")), "{status}");
    let page = seen.ask("GET", "/", "", "").body;
    assert!(page.contains("<td>mapping on host b</td>"), "{page}");
    assert_eq!(seen.post("/api/v1/scale", r#"{"brick": "mapping", "replicas": 1}"#).status, 200);
    let graph = seen.wait_for("/api/v1/graph", |graph| {
        graph["stages"][3]["replicas"].as_array().map_or(0, Vec::len) == 1
    });
    assert_eq!(elsewhere(&graph, 3, 0), None);
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn state_moves_while_no_packets_come() {
    let bench = Bench::new();
    let (out, unseen) = (bench.path("idle.csv"), bench.path("unseen"));
    let mut seen = bench.live(&["--scores", &out]);
    let bytes = capture();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    seen.send(first);
    seen.wait_for("/api/v1/counters", |counters| counters["received"].as_u64() > Some(1000));
    let scaled = seen.post("/api/v1/scale", r#"{"brick": "extractor", "replicas": 2}"#);
    assert_eq!(scaled.status, 200, "{}", scaled.body);
    let halves = json!([2048, 2048]);
    let graph = seen.wait_for("/api/v1/graph", |graph| graph["stages"][2]["shards"][0]["slots"] == halves);
    assert_eq!(graph["stages"][2]["replicas"].as_array().unwrap().len(), 2);
    let again = seen.post("/api/v1/scale", r#"{"brick": "extractor", "replicas": 1}"#);
    assert_eq!(again.status, 200, "{}", again.body);
    let thrice = seen.post("/api/v1/scale", r#"{"brick": "extractor", "replicas": 3}"#);
    assert_eq!(thrice.status, 200, "{}", thrice.body);
    seen.send(second);
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let report = seen.end();
    assert_eq!(report["coverage"]["scored"], PACKETS);
    let capture = text(example("synth-mini.pcap.gz"));
    let fixed =
        ["replay", &capture, "--model", &bench.model, "--no-warm-up", "--threshold", "0.2", "--quiet"];
    succeed(fixed.iter().chain(&["--out", &*unseen]));
    assert_eq!(scores(&out), scores(&format!("{unseen}/scores.csv")));
}

#[test]
fn a_controller_is_paused_and_a_layout_stays() {
    let bench = Bench::new();
    let policy = bench.path("policy.toml");
    // What is idle is merged and fused at once.
    fs::write(&policy, "tick = 0.05\nticks_down = 2\ncooldown = 0.1\nsettle = 1\n").unwrap();
    let mut seen = bench.live(&["--policy", &policy]);
    seen.send(&capture());
    let (address, token) = (seen.address.to_string(), bench.path("token"));
    let run = ["--http", &address, "--http-token", &token];
    seen.wait_for("/api/v1/graph", |graph| {
        graph["plan"] == "source batching extractor mapping autoencoder decision sink"
    });
    succeed(["controller", "pause"].iter().chain(&run));
    let scaled = "source batching extractor | mapping x2 | autoencoder decision sink";
    let said = succeed(["scale", "mapping", "2"].iter().chain(&run));
    assert!(said.contains(scaled), "{said}");
    let paused = seen.wait_for("/api/v1/graph", |graph| graph["plan"] == scaled);
    assert_eq!((&paused["is_paused"], &paused["is_controlled"]), (&json!(true), &json!(true)));
    // Many times as long as the controller took before.
    let at = paused["at"].as_f64().unwrap();
    let later = seen.wait_for("/api/v1/graph", |graph| graph["at"].as_f64().unwrap() > at + 3.0);
    assert_eq!(later["plan"], scaled);
    succeed(["controller", "resume"].iter().chain(&run));
    seen.wait_for("/api/v1/graph", |graph| {
        graph["plan"] == "source batching extractor mapping autoencoder decision sink"
    });
    let events = seen.get("/api/v1/events");
    let orders = events["events"].as_array().unwrap().iter().filter(|event| event["event"] == "order");
    let orders: Vec<_> = orders.map(|event| event["details"]["change"].as_str().unwrap()).collect();
    assert_eq!(orders, ["pause the controller", "scale mapping to 2", "resume the controller"]);
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn who_asks_for_what_cannot_be_is_told_why_and_the_run_goes_on() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let scale = r#"{"brick": "mapping", "replicas": 2}"#;
    let json = "Content-Type: application/json\r\n";
    for (headers, status, words) in [
        (json.to_owned(), 401, "changes need the token"),
        (format!("{json}Authorization: Bearer {}\r\n", &TOKEN[1..]), 401, "another one"),
        (format!("{json}Authorization: Basic {TOKEN}\r\n"), 401, "changes need the token"),
        (format!("Authorization: Bearer {TOKEN}\r\n"), 415, "application/json"),
    ] {
        seen.ask("POST", "/api/v1/scale", &headers, scale).refused(status, words);
    }
    for (path, body, status, words) in [
        ("scale", "{\"brick\": ", 400, "EOF"),
        ("scale", "[]", 422, "struct Scale"),
        ("scale", r#"{"brick": "mapping", "replicas": -1}"#, 422, "replicas"),
        ("scale", r#"{"brick": "mapping", "replicas": 2, "now": 1}"#, 422, "unknown field `now`"),
        ("scale", r#"{"brick": "<b>", "replicas": 2}"#, 404, "no brick `<b>`; there are: source, batching"),
        ("scale", r#"{"brick": "mapping", "replicas": 0}"#, 409, "needs a replica"),
        ("scale", r#"{"brick": "sink", "replicas": 2}"#, 409, "cannot be divided"),
        ("scale", r#"{"brick": "mapping", "replicas": 300}"#, 409, "256"),
        ("drain", r#"{"replica": "kitsune/mapping#99"}"#, 404, "no replica"),
        ("drain", r#"{"replica": "kitsune/mapping#3"}"#, 409, "only replica"),
        ("controller", r#"{"is_paused": true}"#, 409, "no controller"),
        ("move", r#"{"brick": "extractor", "slot": 1, "to": 0}"#, 404, "no replicas that share"),
        ("move", r#"{"brick": "extractor", "slot": 70000, "to": 0}"#, 422, "slot"),
    ] {
        seen.post(&format!("/api/v1/{path}"), body).refused(status, words);
    }
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/../../../../etc/passwd", 404),
        ("GET", "/page/..%2f..%2fetc%2fpasswd", 404),
        ("DELETE", "/api/v1/graph", 405),
        ("GET", "/api/v1/scale", 405),
    ] {
        seen.ask(method, path, "", "").refused(status, "");
    }
    let raw = |request: &str| seen.raw(request.as_bytes());
    raw("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").refused(403, "Host");
    assert_eq!(raw("no request at all\r\n\r\n").status, 400);
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(raw(&long).status, 431);
    // A body of a gigabyte is refused by what its head says, and one without a length by what comes of it.
    let head =
        format!("POST /api/v1/scale HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{json}");
    raw(&format!("{head}Content-Length: 1000000000\r\n\r\n{{")).refused(413, "");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}");
    let refused = raw(&chunked);
    assert!([0, 413].contains(&refused.status), "{}", refused.body);

    let report = seen.end();
    assert_eq!(
        (&report["coverage"]["scored"], &report["runtime"]["moved_slots"]),
        (&json!(PACKETS), &json!(0))
    );
}

#[test]
fn a_thousand_idle_connections_and_a_hundred_readers_change_nothing() {
    let bench = Bench::new();
    let out = bench.path("crowded.csv");
    let mut seen = bench.live(&["--scores", &out]);
    let bytes = capture();
    seen.send(&bytes[..bytes.len() / 2]);
    let follow = |seen: &Seen| {
        let mut stream = seen.connect();
        write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: {}\r\n\r\n", seen.address).unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        stream
    };
    let mut readers: Vec<_> = (0..100).map(|_| follow(&seen)).collect();
    // Browsers that vanish amid an update: what they have not read resets the connection.
    drop((0..50).map(|_| follow(&seen)).collect::<Vec<_>>());
    let idle: Vec<_> = (0..1_000).map(|_| seen.connect()).collect();
    std::thread::scope(|scope| {
        let asks = (0..100).map(|_| scope.spawn(|| seen.ask("GET", "/api/v1/incidents", "", "").status));
        let asks: Vec<_> = asks.collect();
        let answers = asks.into_iter().map(|ask| ask.join().unwrap());
        assert!(answers.filter(|status| *status == 200).count() > 0);
    });
    seen.send(&bytes[bytes.len() / 2..]);
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    // Those who wait without asking made room; those who follow are still told.
    let closed = idle.iter().filter(|stream| {
        stream.set_nonblocking(true).unwrap();
        !matches!((&**stream).read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    });
    assert!(closed.count() >= 800);
    for reader in &mut readers {
        let (mut heard, mut buffer) = (String::new(), [0; 1 << 14]);
        while !heard.contains(&format!("\"received\":{PACKETS}")) {
            let read = reader.read(&mut buffer).unwrap();
            assert!(read > 0, "{heard}");
            heard += &String::from_utf8_lossy(&buffer[..read]);
        }
    }
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
    let (capture, unseen) = (text(example("synth-mini.pcap.gz")), bench.path("unseen"));
    let fixed = ["replay", &capture, "--model", &bench.model, "--no-warm-up", "--threshold", "0.2"];
    succeed(fixed.iter().chain(&["--quiet", "--out", &*unseen]));
    assert_eq!(scores(&out), scores(&format!("{unseen}/scores.csv")));
}

#[test]
fn what_cannot_be_served_is_refused_before_anything_is_read() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let replay = |http: &[&str]| {
        let arguments = [&["replay", &capture, "--model", &bench.model, "--threshold", "1"], http].concat();
        legonf(arguments)
    };
    let line = |output: &std::process::Output| String::from_utf8(output.stderr.clone()).unwrap();
    for address in ["0.0.0.0:8080", "[::]:0", "192.0.2.1:1"] {
        let output = replay(&["--http", address]);
        assert_eq!(output.status.code(), Some(1));
        assert!(line(&output).contains("is reached from elsewhere"), "{}", line(&output));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = replay(&["--http", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(line(&output), format!("legonf: --http {address}: Address already in use (os error 98)\n"));
    let open = bench.path("open-token");
    fs::write(&open, TOKEN).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let output = replay(&["--http", "127.0.0.1:0", "--http-token", &open]);
    assert!(line(&output).contains("chmod 600") && output.status.code() == Some(1), "{}", line(&output));
    assert_eq!(replay(&["--http-token", &open]).status.code(), Some(2));
    // Without a token nothing can be changed.
    let arguments =
        ["live", "-", "--model", &bench.model, "--threshold", "1", "--http", "127.0.0.1:0", "--json"];
    let mut seen = Seen::start(&arguments.map(str::to_owned));
    seen.send(&common::seen::capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    seen.post("/api/v1/scale", r#"{"brick": "mapping", "replicas": 2}"#).refused(403, "--http-token");
    seen.end();
    drop(taken);
    let silent = fail(["status", "--http", &address]);
    assert!(silent.contains("Connection refused") && silent.contains(&address), "{silent}");
}

#[test]
fn a_hostile_name_of_a_graph_is_text_on_the_page() {
    let bench = Bench::new();
    let graph = bench.path("hostile.toml");
    let toml = succeed(["graph", "show", "--toml"]);
    let name = r#"<script>alert("1")</script>&"#;
    let hostile: String = toml
        .lines()
        .map(
            |line| {
                if line.starts_with("name = ") { format!("name = '{name}'\n") } else { format!("{line}\n") }
            },
        )
        .collect();
    fs::write(&graph, hostile).unwrap();
    let mut seen = bench.live(&["--nf", &graph]);
    seen.send(&capture());
    let graph = seen.wait_for("/api/v1/graph", |graph| graph["bricks"][6]["packets"] == PACKETS);
    assert_eq!(graph["name"], name);
    let page = seen.ask("GET", "/", "", "");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    assert!(page.body.contains("<h1 id=\"name\">legonf: &lt;script&gt;alert"), "{}", page.body);
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    for file in page.body.split("=\"/page/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert_eq!(seen.ask("GET", &format!("/page/{file}"), "", "").status, 200, "{file}");
    }
    let metrics = seen.ask("GET", "/metrics", "", "").body;
    assert!(metrics.contains(r#"graph="<script>alert(\"1\")</script>&""#), "{metrics}");
    seen.end();
}
