//! Sources on captures made byte by byte, at random, damaged and real.
#![allow(clippy::unwrap_used)]

mod any_bytes;
mod build;
mod compressed;
mod faults;
mod pcap;
mod pcapng;
mod real;
mod tsv;

use legonf_core::{BATCH, Batch, Headers, LinkType, Source};
use legonf_io::source::from_reader;
use legonf_io::{SourceError, SourceOptions};
use std::io::Cursor;

/// A packet as a source delivered it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    nanos: i64,
    wire_len: u32,
    link: LinkType,
    bytes: Vec<u8>,
}

/// What a source delivered until its end.
#[derive(Debug, Default)]
struct Run {
    packets: Vec<Seen>,
    headers: Vec<Headers>,
    error: Option<SourceError>,
}

impl Run {
    fn message(&self) -> String {
        self.error.as_ref().map_or_else(String::new, ToString::to_string)
    }
}

fn source(bytes: &[u8], options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    from_reader("x", Box::new(Cursor::new(bytes.to_vec())), Some(bytes.len() as u64), options)
}

fn read(bytes: &[u8]) -> Run {
    read_with(bytes, &SourceOptions::default())
}

fn read_with(bytes: &[u8], options: &SourceOptions) -> Run {
    match source(bytes, options) {
        Ok(source) => drain(source),
        Err(error) => Run { error: Some(error), ..Run::default() },
    }
}

/// Reads to the end and checks what holds of every source: numbering without a gap, full batches, the count of an
/// error, and that the end is final.
fn drain(mut source: Box<dyn Source>) -> Run {
    let (mut run, mut batch, mut short) = (Run::default(), Batch::default(), false);
    loop {
        batch.clear();
        let result = source.fill(&mut batch);
        assert!(batch.len() <= BATCH);
        collect(&batch, &mut run);
        match result {
            Ok(()) if batch.is_empty() => break,
            Ok(()) => {
                assert!(!std::mem::replace(&mut short, batch.len() < BATCH), "a short batch is the last")
            }
            Err(fault) => {
                assert!(batch.is_empty(), "packets and a fault in one call");
                assert!(run.error.is_none(), "two faults");
                let error: &SourceError = fault.get_ref().downcast_ref().unwrap();
                let delivered = (run.packets.len() + run.headers.len()) as u64;
                assert_eq!(error.packets_delivered(), delivered);
                run.error = Some(copy(error));
            }
        }
    }
    run
}

fn collect(batch: &Batch, run: &mut Run) {
    for (record, bytes) in batch.packets.iter() {
        assert_eq!(record.seq, run.packets.len() as u64);
        run.packets.push(Seen {
            nanos: record.timestamp.as_nanos(),
            wire_len: record.wire_len,
            link: record.link,
            bytes: bytes.to_vec(),
        });
    }
    for headers in &batch.headers {
        assert_eq!(headers.seq, run.headers.len() as u64);
        run.headers.push(*headers);
    }
}

/// An error with the same message, which outlives its fault.
fn copy(error: &SourceError) -> SourceError {
    let text = error.kind().to_string();
    let kind = legonf_io::SourceErrorKind::Unsupported(text);
    SourceError::new(error.file(), error.packets_delivered(), kind)
}
