//! Decisions in a real etcd that dies and comes back.
#![allow(clippy::unwrap_used)]

mod common;
mod members;

use legonf_coordination::{Coordination, Etcd, Timeouts, open};
use members::{Cluster, etcd_is_there};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn two_sides_agree_in_etcd() {
    if !etcd_is_there() {
        return;
    }
    let cluster = Cluster::start(1);
    (0..50).for_each(|number| {
        common::contest(&cluster.place(), &format!("run-{number}"));
    });
}

#[test]
fn a_decision_outlives_etcd_and_goes_after_a_week() {
    if !etcd_is_there() {
        return;
    }
    let mut cluster = Cluster::start(1);
    let place = open(&cluster.place()).unwrap();
    assert_eq!(place.decide("before", "primary").unwrap(), "primary");
    cluster.kill(0);
    let impatient = Timeouts { total: Duration::from_millis(300), ..Timeouts::default() };
    let impatient = Etcd::open(cluster.place().strip_prefix("etcd=").unwrap(), impatient).unwrap();
    let text = impatient.decide("before", "standby").unwrap_err().to_string();
    assert!(text.contains(&cluster.url(0)) && text.ends_with("connection refused"), "{text}");
    cluster.restart(0);
    assert_eq!(place.decide("before", "standby").unwrap(), "primary");
    assert_eq!(place.decision("before").unwrap().as_deref(), Some("primary"));
    assert_eq!(place.decision("other").unwrap(), None);
    let left = cluster.seconds_left("legonf/decisions/before");
    assert!((600_000..=604_800).contains(&left), "{left}");
}

#[test]
fn two_sides_agree_while_etcd_is_killed_and_comes_back() {
    if !etcd_is_there() {
        return;
    }
    let mut cluster = Cluster::start(1);
    let place = cluster.place();
    let stood = thread::scope(|scope| {
        let contests = scope.spawn(|| -> Vec<_> {
            (0..50).map(|number| common::contest(&place, &format!("run-{number}"))).collect()
        });
        while !contests.is_finished() {
            cluster.kill(0);
            cluster.restart(0);
            thread::sleep(Duration::from_millis(50));
        }
        contests.join().unwrap()
    });
    let place = open(&place).unwrap();
    for (number, decision) in stood.into_iter().enumerate() {
        assert_eq!(place.decision(&format!("run-{number}")).unwrap(), Some(decision));
    }
}

#[test]
fn three_members_go_on_without_their_leader() {
    if !etcd_is_there() {
        return;
    }
    let mut cluster = Cluster::start(3);
    assert_eq!(open(&cluster.place()).unwrap().decide("before", "primary").unwrap(), "primary");
    cluster.kill(cluster.leader());
    let start = Instant::now();
    common::contest(&cluster.place(), "after");
    println!("decided {} ms after the leader was killed", start.elapsed().as_millis());
    assert_eq!(open(&cluster.place()).unwrap().decision("before").unwrap().as_deref(), Some("primary"));
}

#[test]
fn hosts_know_each_other_by_certificates() {
    if !etcd_is_there() {
        return;
    }
    let cluster = Cluster::start_secure();
    let folder = cluster.certificates().display().to_string();
    let place = |files: &str| format!("{},{}", cluster.place(), files.replace("DIR", &folder));
    let whole = place("ca=DIR/ca.pem,cert=DIR/host.pem,key=DIR/host.key");
    assert_eq!(open(&whole).unwrap().decide("run", "primary").unwrap(), "primary");
    let short = Timeouts { total: Duration::from_secs(1), ..Timeouts::default() };
    for files in ["ca=DIR/ca.pem", "ca=DIR/host.pem,cert=DIR/host.pem,key=DIR/host.key"] {
        let stranger = Etcd::open(place(files).strip_prefix("etcd=").unwrap(), short).unwrap();
        let text = stranger.decision("run").unwrap_err().to_string();
        assert!(text.to_lowercase().contains("certificate") && text.lines().count() == 1, "{text}");
    }
}

/// A server that answers every request with some bytes, or never.
fn server(answer: Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if let Some(answer) = &answer {
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    let mut piece = [0; 4096];
                    let bytes = stream.read(&mut piece).unwrap();
                    request.extend(&piece[..bytes]);
                }
                // A client that finds it too long goes before its end.
                let _ = stream.write_all(answer);
            }
            held.push(stream);
        }
    });
    url
}

#[test]
fn what_is_not_there_or_is_no_etcd_is_said() {
    let answer = |status: &str, body: &str| {
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    let denied = r#"{"error":"etcdserver: permission denied","code":7}Grpc-Trailer"#;
    for (answer, expected) in [
        (None, "no answer within 200 ms"),
        (answer("200 OK", &" ".repeat(70_000)), "an answer of more than 65536 bytes"),
        (answer("200 OK", "<html>"), "what answers is not etcd 3.4 or newer"),
        (answer("404 Not Found", "404"), "HTTP 404 Not Found"),
        (answer("403 Forbidden", denied), "etcdserver: permission denied"),
        (answer("200 OK", r#"{"kvs":[{"value":"%%"}]}"#), "a key holds no decision"),
    ] {
        let attempt = Duration::from_millis(if answer.is_some() { 2000 } else { 200 });
        let times = Timeouts { attempt, total: 2 * attempt };
        let place = Etcd::open(&server(answer), times).unwrap();
        let text = place.decision("run").unwrap_err().to_string();
        assert!(text.starts_with("etcd: ") && text.contains(expected) && text.lines().count() == 1, "{text}");
    }
    let missing = open("etcd=https://127.0.0.1:2379,ca=/none.pem").err().unwrap().to_string();
    assert!(missing.starts_with("/none.pem: "), "{missing}");
    assert!(fs::exists("/none.pem").is_ok_and(|there| !there));
}

#[test]
fn the_next_endpoint_is_asked() {
    if !etcd_is_there() {
        return;
    }
    let cluster = Cluster::start(1);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = format!("etcd=http://{free},{},{}", server(None), cluster.url(0));
    assert_eq!(open(&place).unwrap().decide("run", "standby").unwrap(), "standby");
}
