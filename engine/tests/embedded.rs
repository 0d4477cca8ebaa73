//! The engine called by a program, without a command line.
#![allow(clippy::unwrap_used)]

use legonf_core::Progress;
use legonf_decide::calibrate::Check;
use legonf_engine::{
    Calibrating, Error, Extent, Gauge, Observer, Replay, Report, Scoring, Session, Span, Steering, Training,
};
use legonf_models::kitnet::TrainConfig;
use legonf_output::Existing;
use legonf_runtime::Layout;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Packets of the capture.
const PACKETS: u64 = 3500;

fn capture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/synth-mini/synth-mini.pcap.gz")
}

/// A model in a folder, trained on the first packets and calibrated on those behind them.
fn model(folder: &Path, session: &Session) -> PathBuf {
    let path = folder.join("kitsune.onnx");
    let config =
        TrainConfig { feature_mapping_packets: 500, training_packets: 1500, ..TrainConfig::default() };
    let span = Span::Packets;
    let trained = Training { config, span, ..Training::new([capture()], &path) }.run(session).unwrap();
    assert_eq!((trained.packets, trained.features), (2001, 115));
    let check = Check { force: true, ..Check::default() };
    let calibrating = Calibrating { skip: 2001, check, ..Calibrating::new(&path, capture()) };
    let calibrated = calibrating.run(session).unwrap();
    assert!(calibrated.calibration.threshold > 0.0);
    path
}

fn is_accounted_for(report: &Report) -> bool {
    let coverage = &report.summary.coverage;
    let rejected: u64 = coverage.rejected.values().sum();
    let dropped: u64 = coverage.dropped.values().sum();
    coverage.received == coverage.scored + rejected + dropped
}

#[test]
fn a_capture_is_scored_and_every_packet_accounted_for() {
    let (folder, session) = (tempfile::tempdir().unwrap(), Session::default());
    let scoring = Scoring::new(model(folder.path(), &session));
    let out = folder.path().join("out");
    let replay = Replay { out: Some(out.clone()), ..Replay::new(capture(), scoring) };
    let report = replay.run(&session).unwrap();
    assert!(is_accounted_for(&report) && report.ended.is_none() && report.controller.is_none());
    assert_eq!((report.summary.coverage.received, report.outputs.len()), (PACKETS, 9));
    assert!(report.outputs.iter().all(|file| Path::new(file).exists()), "{:?}", report.outputs);
    // What is there is replaced only where the session says so.
    assert!(matches!(replay.run(&session), Err(Error::File { .. })));
    let replacing = Session { existing: Existing::Replace, ..session };
    let before = fs::read(out.join("scores.csv")).unwrap();
    replay.run(&replacing).unwrap();
    assert_eq!(fs::read(out.join("scores.csv")).unwrap(), before);
}

#[test]
fn a_controller_changes_no_score_and_its_log_is_given_back() {
    let (folder, session) = (tempfile::tempdir().unwrap(), Session::default());
    let mut scoring = Scoring::new(model(folder.path(), &session));
    scoring.workers.layout = Layout::Fused;
    let outs = ["alone", "steered"].map(|name| folder.path().join(name));
    let alone = Replay { out: Some(outs[0].clone()), ..Replay::new(capture(), scoring) };
    let steering = Some(Steering { events: Some(folder.path().join("events")), ..Steering::default() });
    let steered = Replay { out: Some(outs[1].clone()), steering, ..alone.clone() };
    assert!(alone.run(&session).unwrap().decided.unwrap().is_empty());
    let report = steered.run(&session).unwrap();
    let lines = fs::read_to_string(folder.path().join("events")).unwrap();
    let events = report.decided.as_ref().unwrap();
    assert_eq!((events.len(), report.controller.is_some()), (lines.lines().count(), true));
    assert!(!events.is_empty() && is_accounted_for(&report));
    let [alone, steered] = outs.map(|out| fs::read(out.join("scores.csv")).unwrap());
    assert_eq!(alone, steered);
}

#[test]
fn a_stopped_session_ends_in_order_and_says_so() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let (folder, session) = (tempfile::tempdir().unwrap(), Session { stop: &STOP, ..Session::default() });
    let scoring = Scoring::new(model(folder.path(), &session));
    STOP.store(true, Ordering::Relaxed);
    let report = Replay::new(capture(), scoring).run(&session).unwrap();
    assert!(matches!(report.ended, Some(Error::Interrupted(_))), "{:?}", report.ended);
    assert!(report.summary.coverage.received < PACKETS && is_accounted_for(&report));
    assert_eq!(report.summary.ended_early, report.ended.map(|ended| ended.to_string()));
}

/// What was begun, and how many of that is over.
#[derive(Default)]
struct Seen {
    begun: Mutex<Vec<(&'static str, Extent)>>,
    over: AtomicU64,
}

struct Over(&'static Seen);

impl Observer for Seen {
    fn begin(&self, task: &'static str, extent: Extent) -> Box<dyn Gauge> {
        self.begun.lock().unwrap().push((task, extent));
        Box::new(Over(&SEEN))
    }

    fn note(&self, _: &str) {}
}

impl Gauge for Over {
    fn update(&self, _: Progress, packets: u64) {
        assert!(packets <= PACKETS);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Relaxed);
    }
}

static SEEN: Seen = Seen { begun: Mutex::new(Vec::new()), over: AtomicU64::new(0) };

#[test]
fn an_observer_sees_each_task_begin_and_end() {
    let (folder, session) = (tempfile::tempdir().unwrap(), Session { observer: &SEEN, ..Session::default() });
    let scoring = Scoring::new(model(folder.path(), &session));
    Replay::new(capture(), scoring).run(&session).unwrap();
    let begun = SEEN.begun.lock().unwrap().clone();
    let expected =
        [("training", Extent::Packets(2001)), ("calibration", Extent::Bytes), ("replay", Extent::Bytes)];
    assert_eq!(begun, expected);
    assert_eq!(SEEN.over.load(Ordering::Relaxed), 3);
}

#[test]
fn what_is_wrong_is_named_in_a_line() {
    let (folder, session) = (tempfile::tempdir().unwrap(), Session::default());
    let missing = folder.path().join("missing.onnx");
    let error = Replay::new(capture(), Scoring::new(&missing)).run(&session).err().unwrap();
    assert!(matches!(error, Error::Model(_)) && error.to_string().lines().count() == 1, "{error}");
    assert!(error.to_string().contains("missing.onnx"), "{error}");
}
