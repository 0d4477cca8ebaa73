//! Captures as they come: of other systems, through pipes that halt, and those that are none.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, fault, scores, succeed, text, trained};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Only what hangs takes so long.
const HANG: Duration = Duration::from_secs(120);

/// The command at work, with a pipe for its standard input.
struct Piped {
    child: Child,
    /// The command's end, to see what is left in the pipe.
    reader: PipeReader,
    writer: PipeWriter,
}

impl Piped {
    fn start(arguments: &[&str]) -> Self {
        let (reader, writer) = io::pipe().unwrap();
        let child = command(arguments).stdin(reader.try_clone().unwrap()).spawn().unwrap();
        Self { child, reader, writer }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
    }

    /// Waits until all that was sent is read and the command waits for more.
    fn wait_until_it_waits(&mut self) {
        let (id, reader) = (self.child.id(), &self.reader);
        let is_empty =
            || poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0);
        wait_until(&mut self.child, "it waits", || is_empty() && sleeps(id));
    }

    /// Closes the pipe.
    fn end(self) -> Output {
        drop(self.writer);
        end(self.child)
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until something is so; the command must not end or hang before.
fn wait_until(child: &mut Child, what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {what}");
        assert!(begin.elapsed() < HANG, "it hangs before {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether no thread of a process has had work for a while.
fn sleeps(id: u32) -> bool {
    let is_idle = || {
        let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let mut states =
            threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        states.all(|state| state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')))
    };
    (0..10).all(|_| {
        thread::sleep(Duration::from_millis(15));
        is_idle()
    })
}

/// The end of a command that does not hang.
fn end(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > HANG {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Sends a signal; the command must end with 130 and one line, which is given.
fn interrupted(child: Child, signal: &str) -> String {
    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    let output = end(child);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error.strip_prefix("legonf: interrupted: ").expect("the line says so").trim_end().to_owned()
}

/// The type of a packet's block in pcapng.
const ENHANCED_PACKET: u32 = 6;

/// The shipped capture as it is, and the length of what comes up to the end of packet `packets`.
fn capture(packets: usize) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(File::open(example("synth-mini.pcap.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut seen) = (0, 0);
    while seen < packets {
        seen += usize::from(word(at) == ENHANCED_PACKET);
        at += word(at + 4) as usize;
    }
    (bytes, at)
}

struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115"));
        Self { folder, model }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    fn fifo(&self) -> String {
        let path = self.path("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }
}

/// Lines of a table that is still being written, without the names.
fn rows(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |table| table.lines().count().saturating_sub(1))
}

#[test]
fn modified_pcap_reads_as_usual_also_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = text(folder.path().join("x.csv"));
    let report = succeed(["features", &text(fault("modified.pcap")), "-o", &matrix, "--json"]);
    assert!(report.contains("\"rows\": 3,"), "{report}");
    let whole = fs::read(&matrix).unwrap();
    let mut piped = Piped::start(&["features", "-", "-o", &matrix, "--force"]);
    piped.send(&fs::read(fault("modified.pcap")).unwrap());
    assert_eq!(piped.end().status.code(), Some(0));
    assert!(fs::read(&matrix).unwrap() == whole, "the pipe gives other features");
}

#[test]
fn a_long_window_of_zstd_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = text(folder.path().join("x.csv"));
    let report = succeed(["features", &text(fault("long-window.pcap.zst")), "-o", &matrix, "--json"]);
    assert!(report.contains("\"rows\": 10"), "{report}");
}

#[test]
fn packets_of_a_pipe_are_scored_and_written_as_they_come() {
    let bench = Bench::new();
    let (whole, out) = (PathBuf::from(bench.path("whole")), PathBuf::from(bench.path("out")));
    let replay = |capture: &str, out: &Path, limit: &str| {
        [
            "replay",
            "--no-warm-up",
            capture,
            "--model",
            &bench.model,
            "--alerts",
            "all",
            "--alerts-per-second",
            "0",
            "--threshold",
            "0",
            "--limit",
            limit,
            "--out",
            &text(out),
        ]
        .map(str::to_owned)
    };
    let (bytes, first) = capture(3);
    let second = capture(300).1;
    let arguments = replay("-", &out, "3500");
    let mut piped = Piped::start(&arguments.each_ref().map(String::as_str));
    for (piece, packets) in [(&bytes[..first], 3), (&bytes[first..second + 10], 300)] {
        piped.send(piece);
        wait_until(&mut piped.child, "what came is written", || {
            rows(&out.join("scores.csv.partial")) == packets
                && fs::read_to_string(out.join("eve.json.partial")).unwrap().lines().count() == packets
        });
    }
    let line = interrupted(piped.child, "-TERM");
    assert_eq!(line, "stopped after 300 packets, whose results are complete");
    succeed(replay(&text(example("synth-mini.pcap.gz")), &whole, "300"));
    assert_eq!(scores(&out.join("scores.csv")), scores(&whole.join("scores.csv")));
    let same = ["alerts.pcapng", "scores.csv"];
    for ((name, left), (_, right)) in contents(&out).into_iter().zip(contents(&whole)) {
        assert!(!name.ends_with(".partial") && (left == right || !same.contains(&&*name)), "{name}");
    }
}

#[test]
fn a_signal_ends_what_waits_for_a_pipe() {
    let bench = Bench::new();
    let (bytes, some) = capture(400);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&bytes[..some + 7]).unwrap();
    gzip.flush().unwrap();
    let (plain, packed) = (&bytes[..some + 7], gzip.get_ref().as_slice());
    let (new, matrix) = (bench.path("new.onnx"), bench.path("x.csv"));
    let model = ["--model", bench.model.as_str()];
    let replay: &[&str] = &[&["replay", "-"][..], &model].concat();
    let run: &[&str] = &[&["run", "kitsune", "-"][..], &model].concat();
    let workers: &[&str] = &[replay, &["--workers", "pipeline"]].concat();
    for (arguments, sent, signal, words) in [
        (replay, plain, "-TERM", "stopped after 400 packets, whose results are complete"),
        (replay, packed, "-INT", "stopped after 400 packets, whose results are complete"),
        (workers, plain, "-INT", "stopped after 400 packets, whose results are complete"),
        (run, plain, "-INT", "stopped after 400 packets, whose results are complete"),
        (&["features", "-", "-o", &matrix], packed, "-TERM", "x.csv holds the 400 packets before it"),
        (&["calibrate", &bench.model, "-"], plain, "-TERM", "the model is unchanged"),
        (
            &["train", "kitsune", "-", "-o", &new],
            plain,
            "-TERM",
            "holds 400 of 55001 packets or more; go on with",
        ),
        (&["split", "kitsune-115", "--capture", "-"], plain, "-TERM", "stopped after 400 packets; nothing"),
        (replay, &[], "-INT", "standard input: nothing had come before it was stopped"),
        (replay, &plain[..2], "-TERM", "standard input: nothing had come before it was stopped"),
        (replay, &packed[..2], "-TERM", "standard input: nothing had come before it was stopped"),
    ] {
        let mut piped = Piped::start(arguments);
        piped.send(sent);
        piped.wait_until_it_waits();
        let line = interrupted(piped.child, signal);
        assert!(line.contains(words), "{arguments:?}: {line}");
    }
    assert_eq!(rows(Path::new(&matrix)), 400);
}

#[test]
fn a_named_pipe_is_waited_for_and_read() {
    let bench = Bench::new();
    let (fifo, matrix) = (bench.fifo(), bench.path("x.csv"));
    let (bytes, some) = capture(400);
    for arguments in [
        &["features", &fifo, "-o", &matrix][..],
        &["replay", &fifo, "--model", &bench.model],
        &["train", "kitsune", &fifo, "-o", &bench.path("new.onnx")],
        &["calibrate", &bench.model, &fifo],
        &["replay", &text(example("synth-mini.pcap.gz")), "--model", &bench.model, "--labels", &fifo],
    ] {
        let mut child = command(arguments).spawn().unwrap();
        let id = child.id();
        wait_until(&mut child, "it waits", || sleeps(id));
        let line = interrupted(child, "-INT");
        assert_eq!(line, format!("{fifo}: nothing had come before it was stopped"), "{arguments:?}");
    }
    let child = command(&["features", &fifo, "-o", &matrix]).spawn().unwrap();
    File::options().write(true).open(&fifo).unwrap().write_all(&bytes[..some]).unwrap();
    assert_eq!(end(child).status.code(), Some(0));
    assert_eq!(rows(Path::new(&matrix)), 400);
}

#[test]
fn training_goes_on_after_a_pipe_that_halted() {
    let bench = Bench::new();
    let (bytes, some) = capture(1000);
    let (new, checkpoint) = (bench.path("new.onnx"), bench.path("new.onnx.checkpoint"));
    let sizes = ["--feature-mapping-packets", "500", "--training-packets", "1500", "--schema", "kitsune-115"];
    let arguments = [&["train", "kitsune", "-", "-o", &new][..], &sizes].concat();
    let mut piped = Piped::start(&arguments);
    piped.send(&bytes[..some]);
    piped.wait_until_it_waits();
    let line = interrupted(piped.child, "-TERM");
    assert!(line.contains("holds 1000 of 2001 packets"), "{line}");
    let mut piped = Piped::start(&[&arguments[..], &["--resume"]].concat());
    piped.send(&bytes[..capture(2500).1]);
    assert_eq!(piped.end().status.code(), Some(0));
    assert!(Path::new(&new).exists() && !Path::new(&checkpoint).exists());
}

#[test]
fn tables_of_tshark_are_read_or_say_what_mends_them() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = text(folder.path().join("x.csv"));
    let names = "frame.len\tframe.time_epoch\teth.src\teth.dst\tip.src\tip.dst\ttcp.srcport\ttcp.dstport\t\
        udp.srcport\tudp.dstport\ticmp.type\ticmp.code\tarp.opcode\tarp.src.hw_mac\tarp.src.proto_ipv4\t\
        arp.dst.hw_mac\tarp.dst.proto_ipv4\tipv6.src\tipv6.dst\n";
    let row = |time: &str| format!("60\t{time}{}\n", "\t".repeat(17));
    let features = |table: String| {
        let path = folder.path().join("table.tsv");
        fs::write(&path, table).unwrap();
        ["features".to_owned(), text(path), "-o".into(), matrix.clone(), "--force".into()]
    };
    succeed(features(names.to_owned() + &row("1.5") + &row("2018-10-25T07:46:22.9Z")));
    assert_eq!(rows(Path::new(&matrix)), 2);
    for (table, words) in [
        (
            names.to_owned() + &row("Nov 28, 2026 03:13:31.5 UTC"),
            "but a date; export frame.time_epoch with `tshark -t e",
        ),
        (
            names.replace("eth.src\t", "") + &row("1.5"),
            "1 column is missing; export the table with -e eth.src",
        ),
        (
            names.replace('\t', ","),
            "a table of headers with commas between its cells (export it with `-E separator=/t`)",
        ),
    ] {
        let line = fail(features(table));
        assert!(line.contains(words) && line.contains("table.tsv: "), "{line}");
    }
}

#[test]
fn a_folder_without_captures_is_called_one() {
    let bench = Bench::new();
    let folder = bench.path("empty");
    fs::create_dir(&folder).unwrap();
    let called = |line: String| {
        assert!(
            line.starts_with(&format!("{folder}: this folder holds no capture: no file named *.pcap")),
            "{line}"
        );
    };
    let new = bench.path("new.onnx");
    called(fail(["train", "kitsune", &folder, "-o", &new]));
    called(fail(["calibrate", &bench.model, &folder]));
    called(fail(["replay", &folder, "--model", &bench.model]));
    called(fail(["features", &folder, "-o", &bench.path("x.csv")]));
    let missing = bench.path("none.pcap");
    assert_eq!(fail(["train", "kitsune", &missing, "-o", &new]), format!("{missing}: no such file"));
}

#[test]
fn a_training_that_cannot_go_on_leaves_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let (bytes, some) = capture(1000);
    fs::write(path("short.pcap"), &bytes[..some]).unwrap();
    fs::write(path("cut.pcap"), &bytes[..some + 5]).unwrap();
    for (captures, words) in [
        (&["short.pcap"][..], "short.pcap: too short: training needs 55001 packets"),
        (&["cut.pcap"], "cut off inside a block"),
        (&["short.pcap", "note.txt"], "note.txt: this is a text file"),
    ] {
        fs::write(path("note.txt"), "a note\n").unwrap();
        let captures: Vec<_> = captures.iter().map(|name| path(name)).collect();
        let model = path("new.onnx");
        let options = ["-o", &model, "--checkpoint-every", "100"].map(str::to_owned);
        let line = fail(["train".to_owned(), "kitsune".into()].into_iter().chain(captures).chain(options));
        assert!(line.contains(words) && !line.contains("--resume"), "{line}");
        assert!(contents(folder.path()).iter().all(|(name, _)| !name.starts_with("new.onnx")), "{line}");
    }
}

#[test]
fn one_packet_is_singular() {
    let folder = tempfile::tempdir().unwrap();
    let (cut, matrix) = (text(folder.path().join("cut.pcap")), text(folder.path().join("x.csv")));
    let (bytes, one) = capture(1);
    fs::write(&cut, &bytes[..one + 5]).unwrap();
    let line = fail(["features", &cut, "-o", &matrix]);
    let words = format!("; the 1 packet before it was read; {matrix} holds the 1 packet before it");
    assert!(line.ends_with(&words), "{line}");
}

#[test]
fn labels_of_another_length_are_named_before_anything_is_said() {
    let bench = Bench::new();
    let labels = fs::read_to_string(example("labels.csv")).unwrap();
    let fewer: Vec<_> = labels.lines().take(3000).collect();
    for (content, words) in [
        (fewer.join("\n"), "labels.csv: 2999 labels, but the capture has at least 3000 packets"),
        (labels.clone() + "3500,0\n", "labels.csv: 3501 labels, but the capture has 3500 packets"),
    ] {
        fs::write(bench.path("labels.csv"), content).unwrap();
        for first in [&["replay"][..], &["run", "kitsune"]] {
            let capture = text(example("synth-mini.pcap.gz"));
            let labels = bench.path("labels.csv");
            let out = bench.path("out");
            let more = [&*capture, "--model", &bench.model, "--labels", &labels, "--out", &out, "--force"];
            let output = end(command(&[first, &more].concat()).spawn().unwrap());
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.contains(words) && error.lines().count() == 1, "{error}");
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
            assert!(!Path::new(&out).join("summary.json").exists());
        }
    }
}
