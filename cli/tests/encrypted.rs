//! A run that is seen from elsewhere: over TLS, by those who have its token.
#![allow(clippy::unwrap_used)]

mod common;

use common::running::{Running, command};
use common::seen::{Bench, PACKETS, TOKEN, capture};
use common::{fail, legonf, succeed};
use legonf_transport::tls;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{ChildStdin, Command};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(86_400);

/// A run that can be reached from elsewhere.
struct Seen {
    bench: Bench,
    run: Running,
    input: ChildStdin,
    port: u16,
}

impl Seen {
    /// With a certificate for names, from a time on for a day.
    fn start(names: &[&str], from: SystemTime) -> Self {
        let bench = Bench::new();
        let others: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        for tls::Pem { file, text } in tls::create("monitor.example", &others, from, DAY).unwrap() {
            fs::write(bench.path(file), text).unwrap();
            fs::set_permissions(bench.path(file), Permissions::from_mode(0o600)).unwrap();
        }
        let given = ["live", "-", "--model", &bench.model, "--no-warm-up", "--threshold", "0.2", "--json"];
        let (token, chain, key) = (bench.path("token"), bench.path("host.pem"), bench.path("host.key"));
        let http = ["--http", "0.0.0.0:0", "--http-token", &token, "--oversubscribe"];
        let tls = ["--http-certificate", &chain, "--http-key", &key];
        let words: Vec<_> = given.iter().chain(&http).chain(&tls).map(|word| (*word).to_owned()).collect();
        let mut run = Running::of(command(&words));
        run.wait_for("shown at https://0.0.0.0:");
        let said = run.said();
        let port = said.split("https://0.0.0.0:").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        let input = run.child.stdin.take().unwrap();
        Self { bench, run, input, port }
    }

    fn feed(&mut self) {
        self.input.write_all(&capture()).unwrap();
        self.input.flush().unwrap();
    }

    /// What a client is given that may read.
    fn client(&self) -> [String; 6] {
        let (ca, token) = (self.bench.path("authority.pem"), self.bench.path("token"));
        let http = format!("127.0.0.1:{}", self.port);
        ["--http".into(), http, "--http-ca".into(), ca, "--http-token".into(), token]
    }

    /// What curl prints of an answer: its head and its body.
    fn curl(&self, path: &str, more: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "60", "--cacert"]);
        curl.arg(self.bench.path("authority.pem")).args(more);
        let output = curl.arg(format!("https://127.0.0.1:{}{path}", self.port)).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap().replace('\r', "")
    }

    fn end(self) -> Value {
        drop(self.input);
        self.run.end().0
    }
}

fn has_curl() -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: curl is not there");
    }
    there
}

#[test]
fn who_has_the_token_and_knows_the_authority_reads_and_changes() {
    let mut seen = Seen::start(&["127.0.0.1"], SystemTime::now());
    seen.feed();
    let [http, address, ca, authority, token, file] = &seen.client();
    let status = |more: &[&str]| {
        let output = legonf(["status", "--json"].iter().copied().chain(more.iter().copied()));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout) + &text(output.stderr))
    };
    let start = std::time::Instant::now();
    loop {
        let (is_read, said) = status(&[http, address, ca, authority, token, file]);
        assert!(is_read, "{said}");
        let status: Value = serde_json::from_str(&said).unwrap();
        if status["counters"]["received"] == PACKETS {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let https = format!("https://{address}");
    assert!(status(&[http, &https, ca, authority, token, file]).0);
    let (is_read, said) = status(&[http, address, ca, authority]);
    assert!(!is_read && said.contains("reading needs the token"), "{said}");
    // Another authority's certificate is not taken, and neither is one for another name.
    let (is_read, said) = status(&[http, &https, token, file]);
    assert!(!is_read && said.contains("UnknownIssuer") && said.contains("--http-ca"), "{said}");
    let named = format!("localhost:{}", seen.port);
    let (is_read, said) = status(&[http, &named, ca, authority, token, file]);
    assert!(!is_read && said.contains("not valid for name") && said.lines().count() == 1, "{said}");
    // Nobody is asked where anybody could read along.
    let (is_read, said) = status(&[http, "192.0.2.7:8080", token, file]);
    assert!(!is_read && said.contains("take https://192.0.2.7:8080"), "{said}");
    // Without TLS.
    let (is_read, said) = status(&[http, address, token, file]);
    assert!(!is_read && said.contains("this port speaks TLS; ask for https://"), "{said}");

    let said = succeed(["scale", "mapping", "2", http, address, ca, authority, token, file]);
    assert!(said.contains("mapping x2"), "{said}");
    let events = succeed(["events", http, address, ca, authority, token, file]);
    assert!(events.contains("scale mapping to 2"), "{events}");
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn a_browser_logs_in_and_out() {
    if !has_curl() {
        return;
    }
    let mut seen = Seen::start(&["127.0.0.1"], SystemTime::now());
    seen.feed();
    assert!(seen.curl("/healthz", &[]).starts_with("HTTP/1.1 200 OK"), "{}", seen.curl("/healthz", &[]));
    for path in ["/api/v1/graph", "/api/v1/stream", "/metrics", "/openapi.json", "/page/page.js", "/nothing"]
    {
        let refused = seen.curl(path, &[]);
        assert!(
            refused.starts_with("HTTP/1.1 401") && refused.contains("reading needs the token"),
            "{refused}"
        );
        let wrong = seen.curl(path, &["--header", "Authorization: Bearer 0123456789abcdef"]);
        assert!(wrong.starts_with("HTTP/1.1 401"), "{wrong}");
    }
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert!(seen.curl("/metrics", &["--header", &bearer]).contains("legonf_packets_received_total"));
    let form = seen.curl("/", &[]);
    assert!(form.starts_with("HTTP/1.1 401") && form.contains("action=\"/login\""), "{form}");
    let refused = seen.curl("/login", &["--data-urlencode", "token=0123456789abcdef"]);
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("another one"), "{refused}");
    assert!(!refused.to_ascii_lowercase().contains("set-cookie"), "{refused}");

    let jar = seen.bench.path("jar");
    let entered = seen.curl("/login", &["--data-urlencode", &format!("token={TOKEN}"), "--cookie-jar", &jar]);
    assert!(entered.starts_with("HTTP/1.1 303") && entered.contains("location: /\n"), "{entered}");
    let cookie = entered.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("set-cookie: __Host-legonf="), "{cookie}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{attribute}: {cookie}");
    }
    assert!(!entered.contains(TOKEN), "{entered}");
    let page = seen.curl("/", &["--cookie", &jar]);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("action=\"/logout\""), "{page}");
    assert!(seen.curl("/api/v1/graph", &["--cookie", &jar]).contains("\"bricks\""));
    // A browser that was left open changes nothing.
    let asked = [
        "--cookie",
        &jar,
        "--header",
        "content-type: application/json",
        "--data",
        r#"{"brick": "mapping", "replicas": 2}"#,
    ];
    let refused = seen.curl("/api/v1/scale", &asked);
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("changes need the token"), "{refused}");
    let left = seen.curl("/logout", &["--cookie", &jar, "--data", ""]);
    assert!(left.starts_with("HTTP/1.1 303") && left.contains("Max-Age=0"), "{left}");
    assert!(seen.curl("/", &["--cookie", &jar]).starts_with("HTTP/1.1 401"));
    // Another name than that of the certificate.
    let elsewhere = format!("monitor.invalid:{0}:127.0.0.1:{0}", seen.port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--cacert"]).arg(seen.bench.path("authority.pem"));
    curl.args(["--connect-to", &elsewhere, &format!("https://monitor.invalid:{}/", seen.port)]);
    let output = curl.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn a_certificate_that_has_expired_is_not_taken() {
    let seen = Seen::start(&["127.0.0.1"], SystemTime::now() - 3 * DAY);
    let line = fail(["status"].iter().map(|word| (*word).to_owned()).chain(seen.client()));
    assert!(line.contains("expired"), "{line}");
    let mut input = seen.input;
    input.write_all(&capture()).unwrap();
    drop(input);
    assert_eq!(seen.run.end().0["coverage"]["scored"], PACKETS);
}

#[test]
fn who_begins_a_handshake_and_goes_no_further_is_let_go() {
    let mut seen = Seen::start(&["127.0.0.1"], SystemTime::now());
    let connect = |first: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", seen.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(first).unwrap();
        stream
    };
    // Nothing, the begin of a handshake, and what is none.
    let others = [&b""[..], &[22, 3, 1, 2, 0, 1, 0], &[22; 3], &[0xff; 64], b"GET / HTTP/1.1\r\n\r\n"];
    for mut stream in others.map(connect) {
        let mut answer = Vec::new();
        // The connection is closed, or reset where there was more than was read.
        let _ = stream.read_to_end(&mut answer);
        assert!(stream.read(&mut [0]).map_or(true, |read| read == 0));
        assert!(answer.is_empty() || answer[0] == 21 || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    }
    seen.feed();
    assert_eq!(seen.end()["coverage"]["scored"], PACKETS);
}

#[test]
fn what_would_be_read_by_others_is_refused_at_the_start() {
    let bench = Bench::new();
    let path = |name: &str| bench.path(name);
    succeed(["cluster", "init", &path("a"), "--name", "a", "--also", "192.0.2.7", "--also", "a.example"]);
    succeed(["cluster", "init", &path("b"), "--name", "b"]);
    let live = ["live", "-", "--model", &bench.model, "--threshold", "1"];
    let refused = |more: &[&str]| {
        let output = legonf(live.iter().copied().chain(more.iter().copied()));
        let line = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), line)
    };
    let (token, chain, key) = (path("token"), path("a/host.pem"), path("a/host.key"));
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1", "https://127.0.0.1:0"] {
        let (code, line) = refused(&["--http", address, "--http-token", &token]);
        assert!(code == 1 && line.contains("--http-certificate, --http-key and --http-token"), "{line}");
        assert!(line.contains("ssh -L") && line.lines().count() == 1, "{line}");
    }
    let with = |chain: &str, key: &str| {
        let given = ["--http", "0.0.0.0:0", "--http-token", &token, "--http-certificate", chain];
        refused(&[&given[..], &["--http-key", key]].concat())
    };
    for (chain, key, words) in [
        (&*chain, &*path("b/host.key"), "b/host.key: "),
        (&path("token"), &key, "--http-certificate"),
        (&path("none"), &key, "No such file"),
        (&chain, &chain, "there is no key in it"),
    ] {
        let (code, line) = with(chain, key);
        assert!(code == 1 && line.contains(words) && line.lines().count() == 1, "{line}");
    }
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let (code, line) = with(&chain, &key);
    assert!(code == 1 && line.contains("chmod 600"), "{line}");
    // A certificate without a token, or without its key.
    let (code, _) = refused(&["--http", "127.0.0.1:0", "--http-certificate", &chain, "--http-key", &key]);
    assert_eq!(code, 2);
    let (code, _) = refused(&["--http", "127.0.0.1:0", "--http-token", &token, "--http-certificate", &chain]);
    assert_eq!(code, 2);
    let line = fail(["cluster", "init", &path("c"), "--name", "c", "--also", "no name"]);
    assert!(line.contains("`no name` is no name of a host"), "{line}");
}
