//! `legonf top` in a pseudo-terminal, beside a run that goes on.
#![allow(clippy::unwrap_used)]

mod common;

use common::running::Running;
use common::{example, fail, text, trained};
use flate2::read::GzDecoder;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// A run that is seen: its packets come through its standard input.
struct Seen {
    _folder: tempfile::TempDir,
    run: Running,
    input: ChildStdin,
    address: String,
}

impl Seen {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        let words = ["live", "-", "--model", &model, "--no-warm-up", "--threshold", "0.2", "--json"];
        let more = [
            "--http",
            "127.0.0.1:0",
            "--workers",
            "source batching | extractor | mapping autoencoder decision sink",
        ];
        let mut run =
            Running::start(&words.iter().chain(&more).map(|word| (*word).to_owned()).collect::<Vec<_>>());
        run.wait_for("shown at http://");
        let address = run.said().split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        let input = run.child.stdin.take().unwrap();
        Self { _folder: folder, run, input, address }
    }

    /// Sends the packets of the example.
    fn feed(&mut self) {
        self.input.write_all(&capture()).unwrap();
        self.input.flush().unwrap();
    }
}

/// The capture, as it is before it is compressed.
fn capture() -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(example("synth-mini.pcap.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

/// What the program writes to a terminal: all bytes, and the screen that they make.
struct Written {
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

/// The program at work in a terminal of its own.
struct Top {
    child: Child,
    keys: File,
    written: Arc<Mutex<Written>>,
    reader: JoinHandle<()>,
}

impl Top {
    fn start(address: &str, (columns, rows): (u16, u16), colours: bool) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(&size, None).unwrap();
        // The program must not hold this end itself: it ends with the terminal, where a test fails.
        fcntl(&terminal.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        // With a session of its own, so that the terminal that is asked is this one, wherever the test runs.
        let mut command = Command::new("setsid");
        command.args([
            "--ctty",
            "--wait",
            env!("CARGO_BIN_EXE_legonf"),
            "top",
            "--interval",
            "100ms",
            "--http",
            address,
        ]);
        command.env_remove("NO_COLOR").env("TERM", "xterm");
        if !colours {
            command.env("NO_COLOR", "1");
        }
        let end = || Stdio::from(terminal.slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (keys, mut output) =
            (File::from(terminal.master.try_clone().unwrap()), File::from(terminal.master));
        let written =
            Arc::new(Mutex::new(Written { bytes: Vec::new(), screen: vt100::Parser::new(rows, columns, 0) }));
        let heard = written.clone();
        let reader = spawn(move || {
            let mut buffer = [0; 4096];
            // The system says that the terminal is gone by an error.
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let mut heard = heard.lock().unwrap();
                heard.bytes.extend_from_slice(&buffer[..read]);
                heard.screen.process(&buffer[..read]);
            }
        });
        Self { child, keys, written, reader }
    }

    fn screen(&self) -> String {
        self.written.lock().unwrap().screen.screen().contents()
    }

    fn bytes(&self) -> usize {
        self.written.lock().unwrap().bytes.len()
    }

    #[track_caller]
    fn wait_for(&self, words: &str) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(words) {
                return screen;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{words}:\n{screen}");
            sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Ends it, and says all that it has written.
    fn end(mut self) -> Written {
        self.press("q");
        assert!(self.child.wait().unwrap().success());
        drop(self.keys);
        self.reader.join().unwrap();
        Arc::into_inner(self.written).unwrap().into_inner().unwrap()
    }
}

#[test]
fn a_run_is_shown_in_24_lines_of_80_characters() {
    let mut seen = Seen::start();
    let mut top = Top::start(&seen.address, (80, 24), true);
    assert!(top.wait_for("the run is starting").contains("no incidents so far"));
    seen.feed();
    top.wait_for("3,500 received = ");
    let screen = top.wait_for("autoencoder");
    assert!(screen.starts_with("legonf kitsune") && screen.contains("without a controller"), "{screen}");
    for words in ["packets/s", "useful work", "waiting", "\nextractor#", "mapping+autoencoder+dec", "q end"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    // Keys: the other list, and back.
    top.press("\t");
    let screen = top.wait_for("decisions, the latest first");
    assert!(screen.contains("source batching | extractor | mapping autoencoder"), "{screen}");
    top.press("\t");
    top.wait_for("incidents");
    top.press("p");
    top.wait_for("paused");
    // Nothing is written while nothing changes.
    let before = top.bytes();
    sleep(Duration::from_millis(500));
    assert_eq!(top.bytes(), before);
    let written = top.end();
    assert!(!written.screen.screen().alternate_screen() && !written.screen.screen().hide_cursor());
    assert!(colours(&written.bytes), "there are colours");
}

/// Whether a sequence sets a colour: 30 to 37, 38, 40 to 48, 90 and above.
fn colours(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let sequences = text.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m'));
    let codes = sequences.filter(|(codes, _)| codes.chars().all(|code| code.is_ascii_digit() || code == ';'));
    codes
        .flat_map(|(codes, _)| codes.split(';'))
        .filter_map(|code| code.parse::<u32>().ok())
        .any(|code| (30..=38).contains(&code) || (40..=48).contains(&code) || code >= 90)
}

#[test]
fn without_colours_there_are_none_and_a_lost_run_is_said_to_be_lost() {
    let mut seen = Seen::start();
    let top = Top::start(&seen.address, (100, 30), false);
    seen.feed();
    top.wait_for("3,500 received = ");
    let Seen { run, input, .. } = seen;
    drop(input);
    run.end();
    let screen = top.wait_for("no answer; these are the last figures");
    assert!(screen.contains("3,500 received = "), "{screen}");
    assert!(!colours(&top.end().bytes), "there are no colours");
}

#[test]
fn a_small_terminal_and_none_are_said_to_be_so() {
    let seen = Seen::start();
    let top = Top::start(&seen.address, (40, 10), true);
    top.wait_for("are needed; it is 40");
    top.end();
    let line = fail(["top", "--http", &seen.address]);
    assert!(line.contains("must be a terminal; `legonf status` prints once"), "{line}");
    let line = fail(["top", "--http", &seen.address, "--json"]);
    assert!(line.contains("`legonf status` prints once"), "{line}");
}
