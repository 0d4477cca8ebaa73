//! What other tools make of a run that is seen: Prometheus, the dashboard for Grafana, and schemathesis.
#![allow(clippy::unwrap_used)]

mod common;

use common::root;
use common::seen::{Bench, PACKETS, Server, TOKEN, capture};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn prometheus_takes_the_metrics() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let metrics = seen.ask("GET", "/metrics", "", "").body;
    let value =
        |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    assert_eq!(value("legonf_packets_received_total "), Some(PACKETS as f64));
    assert_eq!(value("legonf_packets_scored_total "), Some(PACKETS as f64));
    assert!(value("legonf_alerts_total ") > Some(0.0) && value("legonf_run_seconds ") > Some(0.0));
    assert_eq!(value(r#"legonf_stage_replicas{stage="extractor"} "#), Some(1.0));
    for (series, packets) in [
        ("legonf_brick_latency_seconds_count{brick=\"extractor\"}", PACKETS),
        ("legonf_brick_latency_seconds_bucket{brick=\"extractor\",le=\"+Inf\"}", PACKETS),
        ("legonf_brick_events_total{brick=\"extractor\",event=\"evicted-HH\"}", 0),
        ("legonf_packet_latency_seconds_count", PACKETS),
        ("legonf_brick_packets_total{brick=\"sink\"}", PACKETS),
    ] {
        assert_eq!(value(series), Some(packets as f64), "{series}: {metrics}");
    }
    let open = seen.ask("GET", "/metrics", "Accept: application/openmetrics-text\r\n", "");
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
    check_by_promtool(&metrics);
    seen.end();
}

#[test]
fn prometheus_scrapes_a_run() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = json!([{ "targets": [seen.address.to_string()] }]);
    let config = json!({ "scrape_configs": [
        { "job_name": "legonf", "scrape_interval": "1s", "static_configs": target },
    ] });
    // JSON is YAML.
    fs::write(bench.path("prometheus.yml"), config.to_string()).unwrap();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", bench.path("prometheus.yml")));
    command
        .arg(format!("--storage.tsdb.path={}", bench.path("data")))
        .arg(format!("--web.listen-address={listen}"));
    let Ok(mut child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        eprintln!("skipped: prometheus is not there; ./test.sh brings it");
        return;
    };
    let prometheus = Server(listen);
    let start = Instant::now();
    let path = "/api/v1/query?query=legonf_packets_scored_total";
    let value = loop {
        let answer = prometheus.get(path);
        let value =
            serde_json::from_str(&answer).map(|json: Value| json["data"]["result"][0]["value"][1].clone());
        if let Some(value) = value.ok().filter(Value::is_string) {
            break value;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{answer}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(value, PACKETS.to_string());
    for expression in dashboard() {
        let answer: Value = serde_json::from_str(&prometheus.get(&query(&expression))).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    seen.end();
}

#[test]
fn the_api_is_as_its_document_says() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let document = bench.path("openapi.json");
    fs::write(&document, seen.ask("GET", "/openapi.json", "", "").body).unwrap();
    let mut command = Command::new("schemathesis");
    command.args(["run", &document, "--url", &format!("http://{}", seen.address), "--no-color"]);
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}"), "--exclude-path", "/api/v1/stream"]);
    // A whole number may be written with a point, which is not taken.
    command.args(["--phases", "fuzzing", "--max-examples", "10", "--seed", "1", "--rate-limit", "100/s"]);
    command.args(["--exclude-checks", "positive_data_acceptance"]).current_dir(bench.folder.path());
    match command.output() {
        Err(_) => eprintln!("skipped: schemathesis is not there; ./test.sh brings it"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
    }
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

/// Every expression of the dashboard that ships, as Grafana fills it in.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(root().join("packaging/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let filled = |target: &Value| {
        let expression = target["expr"].as_str().unwrap();
        expression.replace("$__rate_interval", "1m").replace("$job", ".*")
    };
    targets.map(filled).collect()
}

/// The path of a query, with what may not stand in one encoded.
fn query(expression: &str) -> String {
    let encoded = expression.bytes().map(|byte| format!("%{byte:02x}"));
    format!("/api/v1/query?query={}", encoded.collect::<String>())
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let bench = Bench::new();
    let mut seen = bench.live(&[]);
    seen.send(&capture());
    seen.wait_for("/api/v1/counters", |counters| counters["received"] == PACKETS);
    let metrics = seen.ask("GET", "/metrics", "", "").body;
    let served: Vec<_> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // Of what has not happened there is no series yet.
    let not_yet = ["legonf_packets_dropped_total", "legonf_packets_rejected_total", "legonf_decisions_total"];
    let expressions = dashboard();
    assert!(expressions.len() > 10);
    for expression in &expressions {
        let names = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names.filter(|name| name.starts_with("legonf_") && !not_yet.contains(name)) {
            // A histogram is declared without the ending of its series.
            let is_served = served.contains(&name.strip_suffix("_bucket").unwrap_or(name));
            assert!(is_served, "{expression}: {name}");
        }
    }
    seen.end();
}

/// Debian's `promtool` finds nothing wrong, where it is.
fn check_by_promtool(metrics: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: promtool is not there; ./test.sh brings it");
        return;
    };
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
