//! Every sink against literal bytes or an independent reader.
#![allow(clippy::unwrap_used, missing_docs)]

mod alerts;
mod dropped;
mod eve;
mod matrix;
mod plot;
mod scores;

use legonf_core::{Batch, Headers, Layout, LinkType, Rows, Sink, Timestamp, Verdict};
use legonf_io::{FEATURES, SCORES, VERDICTS};
use parquet::file::reader::SerializedFileReader;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const CASES: [(f64, Verdict); 4] = [
    (0.1, Verdict::BENIGN),
    (12.5, Verdict::ANOMALOUS),
    (f64::NAN, Verdict::REJECTED),
    (1e-7, Verdict::BENIGN),
];

/// The columns of all batches here.
fn layout() -> Layout {
    Layout::of([&SCORES, &VERDICTS, &FEATURES]).unwrap()
}

fn scores(batch: &mut Batch) -> &mut Vec<f64> {
    batch.columns.get_mut(layout().handle(&SCORES).unwrap())
}

fn verdicts(batch: &mut Batch) -> &mut Vec<Verdict> {
    batch.columns.get_mut(layout().handle(&VERDICTS).unwrap())
}

fn features(batch: &mut Batch) -> &mut Rows {
    batch.columns.get_mut(layout().handle(&FEATURES).unwrap())
}

/// A sink that finds these columns.
fn bound<S: Sink>(mut sink: S) -> S {
    sink.bind(&layout()).unwrap();
    sink
}

/// Four packets with all verdicts, from `seq` on, as a capture (`packets`) and its headers.
fn batch(seq: u64) -> Batch {
    let mut batch = Batch::new(&layout());
    for (i, (score, verdict)) in (0..).zip(CASES) {
        let (seq, timestamp) = (seq + i, Timestamp::new(1_700_000_000 + i as i64, 123_456_789));
        batch.packets.push(seq, timestamp, 60, LinkType::Ethernet, &[i as u8; 5]);
        batch.headers.push(Headers { seq, timestamp, wire_len: 60, ..Headers::default() });
        scores(&mut batch).push(score);
        verdicts(&mut batch).push(verdict);
    }
    batch
}

/// What a sink writes for the given batches, whole.
fn written<S: Sink>(name: &str, create: impl Fn(&Path) -> S, batches: &[Batch]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    let mut sink = bound(create(&path));
    for batch in batches {
        sink.write(batch).unwrap();
    }
    sink.finish().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but {name} is left");
    bytes
}

/// The same twice, with the check that both times the bytes are equal.
fn written_twice<S: Sink>(name: &str, create: impl Fn(&Path) -> S, batches: &[Batch]) -> Vec<u8> {
    let first = written(name, &create, batches);
    assert_eq!(first, written(name, &create, batches), "{name} differs between two runs");
    first
}

/// The message of a sink that meets a full disk.
fn on_a_full_disk<S: Sink>(create: impl Fn(&Path) -> S) -> String {
    let mut sink = bound(create(Path::new("/dev/full")));
    let written = sink.write(&batch(0)).and_then(|()| sink.finish());
    written.unwrap_err().to_string()
}

/// A reader of a Parquet file's bytes.
fn parquet_of(bytes: &[u8]) -> SerializedFileReader<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    SerializedFileReader::new(file).unwrap()
}
