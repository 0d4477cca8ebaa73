//! Runs that are seen over HTTP.

use super::running::Running;
use super::{example, text, trained};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

pub const TOKEN: &str = "0123456789abcdef-of-a-test";
/// Packets of the capture.
pub const PACKETS: u64 = 3_500;

/// A folder with a model and a token.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub model: String,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        fs::write(folder.path().join("token"), TOKEN).unwrap();
        fs::set_permissions(folder.path().join("token"), Permissions::from_mode(0o600)).unwrap();
        Self { folder, model }
    }

    pub fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    /// A run that is seen, whose capture comes through its standard input.
    pub fn live(&self, more: &[&str]) -> Seen {
        let token = self.path("token");
        let given = ["live", "-", "--model", &self.model, "--no-warm-up", "--threshold", "0.2", "--json"];
        let http = ["--oversubscribe", "--http", "127.0.0.1:0", "--http-token", &token];
        let arguments = given.iter().chain(&http).chain(more).map(|word| (*word).to_owned());
        Seen::start(&arguments.collect::<Vec<_>>())
    }

    /// The same of a run that takes no changes.
    pub fn live_without_token(&self) -> Seen {
        let given = ["live", "-", "--model", &self.model, "--no-warm-up", "--threshold", "0.2", "--json"];
        let arguments = given.iter().chain(&["--http", "127.0.0.1:0"]).map(|word| (*word).to_owned());
        Seen::start(&arguments.collect::<Vec<_>>())
    }
}

/// The capture, as it is before it is compressed.
pub fn capture() -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(example("synth-mini.pcap.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Who listens somewhere.
pub struct Server(pub SocketAddr);

impl Server {
    /// The body of what is answered; nothing where nobody listens yet.
    pub fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.0) else { return String::new() };
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.0).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())
    }
}

/// A run that is seen.
pub struct Seen {
    pub run: Running,
    pub input: ChildStdin,
    pub address: SocketAddr,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    #[track_caller]
    pub fn refused(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        let json = self.json();
        assert_eq!(json["status"], status);
        assert!(json["error"].as_str().unwrap().contains(words), "{json}");
    }
}

impl Seen {
    pub fn start(arguments: &[String]) -> Self {
        let mut run = Running::start(arguments);
        run.wait_for("shown at http://");
        let said = run.said();
        let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        let input = run.child.stdin.take().unwrap();
        Self { run, input, address }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.input.write_all(bytes).unwrap();
        self.input.flush().unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends a request as it is, and reads until the connection is closed.
    pub fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // What is refused early is not read to its end.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        self.raw(format!("{head}Content-Length: {length}\r\n{headers}\r\n{body}").as_bytes())
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        self.ask("POST", path, &headers, body)
    }

    /// Waits until something is so, and gives it.
    #[track_caller]
    pub fn wait_for(&self, path: &str, what: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let found = self.ask("GET", path, "", "");
            if found.status == 200 && what(&found.json()) {
                return found.json();
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{path}: {}", found.body);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the input, and gives the report.
    pub fn end(self) -> Value {
        drop(self.input);
        self.run.end().0
    }
}
