//! Alerts and incidents of a live run as messages of a real NATS broker.
#![cfg(feature = "nats")]
#![allow(clippy::unwrap_used)]

mod common;

use common::running::{Running, command};
use common::seen::{Bench, PACKETS, capture};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Subscribes, and hears the payloads of messages.
fn subscribed(port: u16, subject: &str) -> BufReader<TcpStream> {
    let start = Instant::now();
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(&stream, "CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "PONG\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    reader
}

fn message(reader: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let length: usize = line.trim().rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"));
    let mut payload = vec![0; length + 2];
    reader.read_exact(&mut payload).unwrap();
    serde_json::from_slice(&payload[..length]).unwrap()
}

#[test]
fn a_broker_gets_the_records_of_eve() {
    if Command::new("nats-server").arg("--version").output().is_err() {
        eprintln!("skipped: nats-server is not there");
        return;
    }
    let (bench, port) =
        (Bench::new(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let (eve, url) = (bench.path("eve.json"), format!("nats://127.0.0.1:{port}/site.legonf"));
    let words = ["live", "-", "--model", &bench.model, "--no-warm-up", "--threshold", "0.2", "--json"];
    let outputs = ["--eve", &eve, "--nats", &url];
    let words: Vec<_> = words.iter().chain(&outputs).map(|word| (*word).to_owned()).collect();
    let mut run = Running::of(command(&words));
    // It comes when the run is there already, which has given up its rights but that to connect.
    let mut broker = Command::new("nats-server");
    broker.args(["-a", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let _broker = Broker(broker.spawn().unwrap());
    let mut reader = subscribed(port, "site.legonf");
    let mut input = run.child.stdin.take().unwrap();
    input.write_all(&capture()).unwrap();
    drop(input);
    let (report, said) = run.end();
    assert_eq!(report["coverage"]["scored"], PACKETS);
    let lost = &report["live"]["lost"]["nats"];
    assert!(*lost == 0, "{report} {said}");
    let written = std::fs::read_to_string(&eve).unwrap();
    let mut kinds = Vec::new();
    for line in written.lines() {
        let (expected, found): (Value, _) = (serde_json::from_str(line).unwrap(), message(&mut reader));
        assert_eq!(found["event_type"], expected["event_type"]);
        assert!(found == expected || expected["event_type"] == "stats", "{found} {expected}");
        kinds.push(expected["event_type"].as_str().unwrap().to_owned());
    }
    assert!(["alert", "incident"].iter().all(|kind| kinds.iter().any(|each| each == kind)), "{kinds:?}");
}
