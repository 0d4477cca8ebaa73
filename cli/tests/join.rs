//! A host joins a cluster by a token, and its key never leaves it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, succeed, text, trained};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A command that goes on, and what it prints.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What follows on these words, in the next line that begins with them.
    #[track_caller]
    fn told(&mut self, words: &str) -> String {
        let mut told = self.lines.by_ref().map(Result::unwrap);
        told.find_map(|line| line.strip_prefix(words).map(str::to_owned)).expect("it says so")
    }

    /// Its exit code, once it has ended, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that admits hosts, the words of the command for a new host, and the token among them.
fn accept(folder: &str, options: &[&str]) -> (Running, Vec<String>) {
    let arguments = [&["cluster", "accept", folder, "--listen", "127.0.0.1:0"][..], options].concat();
    let mut accepting = Running::start(&arguments);
    let command = accepting.told("  legonf ");
    (accepting, command.split(' ').map(str::to_owned).collect())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_host_that_has_joined_serves_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    succeed(["cluster", "init", &path("a"), "--name", "a"]);
    let (mut accepting, mut command) = accept(&path("a"), &["--name", "b"]);
    assert_eq!(command[..3], ["cluster", "join", "cluster-b"]);
    let b = path("b");
    command[2].clone_from(&b);
    assert_eq!(succeed(&command), format!("written     {b} (host b)\n"));
    assert!(accepting.told("joined      b (127.0.0.1:").ends_with(')'));
    // All that were named have joined.
    assert_eq!(accepting.end(), (Some(0), String::new()));
    let files: Vec<_> = contents(Path::new(&b)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(files, ["authority.pem", "host.key", "host.pem"]);
    assert_eq!(mode(Path::new(&b)), 0o700);
    files.iter().for_each(|file| assert_eq!(mode(&Path::new(&b).join(file)), 0o600, "{file}"));

    let mut agent = Running::start(&["agent", "--listen", "127.0.0.1:0", "--cluster", &b]);
    let host = format!("b={}", agent.told("listening on "));
    // What it serves, it serves without a further file.
    let opens = agent.told("opens       ");
    match opens.starts_with("no further files") {
        true => assert!(opens.contains("Landlock"), "{opens}"),
        false => println!("skipped: the agent opens {opens}"),
    }
    let (model, capture) =
        (text(trained(folder.path(), "kitsune-115-clean")), text(example("synth-mini.pcap.gz")));
    let replay = |out: &str, options: &[&str]| {
        let out = path(out);
        let arguments = ["replay", &capture, "--model", &model, "--no-warm-up", "--out", &out];
        succeed([&arguments[..], options].concat());
        contents(Path::new(&out))
    };
    let there = ["--cluster", &path("a"), "--host", &host, "--place", "extractor=b", "--oversubscribe"];
    assert!(replay("here", &["--workers", "fused"]) == replay("there", &there));
}

#[test]
fn who_cannot_join_is_told_why_and_others_still_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    succeed(["cluster", "init", &path("a"), "--name", "a"]);
    succeed(["cluster", "init", &path("x"), "--name", "x"]);
    let (mut accepting, command) = accept(&path("a"), &[]);
    let (at, token) = (command[6].clone(), command[8].clone());
    assert_eq!((command[5].as_str(), command[7].as_str()), ("--at", "--token"));
    let join = |out: &str, name: &str, at: &str, token: &str| {
        let out = path(out);
        ["cluster", "join", &out, "--name", name, "--at", at, "--token", token].map(str::to_owned)
    };
    let refused = |name: &str, at: &str, token: &str| {
        let line = fail(join("none", name, at, token));
        assert!(!Path::new(&path("none")).exists(), "{line}");
        assert!(!line.contains(token), "{line}");
        line
    };
    // One that says nothing holds nobody up.
    let silent = TcpStream::connect(&at).unwrap();
    assert!(refused("b", &at, &token[..token.len() - 1]).contains("--token: this is no whole token"));
    assert!(refused("no name", &at, &token).contains("no name of a host"));
    assert!(refused("A", &at, &token).contains("a host of this name is in the cluster already"));
    // A free port, on which nobody listens any more.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let nobody = refused("b", &free, &token);
    assert!(nobody.starts_with(&format!("{free}: ")) && nobody.contains("does it still run?"), "{nobody}");
    let (stranger, other) = accept(&path("x"), &[]);
    assert!(
        refused("b", &other[6], &token).contains("another one answers than the host that made the token")
    );
    drop(stranger);
    succeed(join("b", "b", &at, &token));
    assert!(refused("b", &at, &token).contains("a host of this name is in the cluster already"));
    let again = fail(join("b", "c", &at, &token));
    assert!(again.contains("--force") && Path::new(&path("b")).join("host.pem").exists(), "{again}");
    // The name was not spent on what could not be written. The token may come over standard input.
    let mut piped = Command::new(env!("CARGO_BIN_EXE_legonf"));
    let piped = piped.args(join("c", "c", &at, "-")).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut piped = piped.spawn().unwrap();
    piped.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    assert!(piped.wait().unwrap().success());
    ["b", "c"].iter().for_each(|name| drop(accepting.told(&format!("joined      {name} "))));
    drop(silent);
}

#[test]
fn a_token_expires() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    succeed(["cluster", "init", &path("a"), "--name", "a"]);
    let (accepting, mut command) = accept(&path("a"), &["--for", "1s", "--name", "b"]);
    let (code, said) = accepting.end();
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(
        said.contains("the time is over, and not joined: b; run `legonf cluster accept` again"),
        "{said}"
    );
    command[2] = path("b");
    assert!(
        fail(&command)
            .ends_with("the token has expired: run `legonf cluster accept` again, and take its new token")
    );
    // Nobody is waited for where nobody is named.
    assert_eq!(accept(&path("a"), &["--for", "1s"]).0.end(), (Some(0), String::new()));
}

#[test]
fn who_cannot_admit_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let accept = |folder: &str, more: &[&str]| {
        fail([&["cluster", "accept", folder, "--listen", "127.0.0.1:0"][..], more].concat())
    };
    assert!(accept(&path("none"), &[]).contains("authority.key"));
    succeed(["cluster", "init", &path("a"), "--name", "a"]);
    assert!(accept(&path("a"), &["--name", "no name"]).contains("no name of a host"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = fail(["cluster", "accept", &path("a"), "--listen", &address]);
    assert!(line.starts_with(&format!("--listen {address}: ")), "{line}");
}
