//! Several captures, or tables, as one stream.

use super::open::{Content, SourceOptions, open_any, open_with};
use crate::error::SourceError;
use legonf_core::{Batch, BindError, Fault, Layout, Pace, Progress, Schema, Source};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// Files that are read one after the other as if they were one: packets are numbered from the first file's on, and a file is opened
/// when the one before it has ended. One file at a time is open.
pub struct Sequence {
    files: IntoIter<PathBuf>,
    current: Box<dyn Source>,
    options: SourceOptions,
    /// That of tables; without it files are captures.
    schema: Option<Schema>,
    layout: Option<Layout>,
    pace: Option<Pace>,
    delivered: u64,
    /// Bytes of the files that have ended, as stored.
    ended_bytes: u64,
    /// Bytes of all files, where they are known.
    total_bytes: Option<u64>,
}

/// Opens captures as [`open_with`] does, to be read as one in the order given; with a schema also tables of its features, as
/// [`open_any`] does. `options.limit` is that of all together. The caller sees to it that they are all of one content.
///
/// # Errors
/// As for [`open_any`] of the first file; what is wrong with a later one is the source's fault, and names that file. Without a
/// file there is [nothing](crate::SourceErrorKind::NotFound) to open.
pub fn open_all(
    files: Vec<PathBuf>,
    options: &SourceOptions,
    schema: Option<&Schema>,
) -> Result<(Content, Box<dyn Source>), SourceError> {
    let total_bytes = files.iter().map(|file| Some(std::fs::metadata(file).ok()?.len())).sum();
    let mut files = files.into_iter();
    let first = files.next().unwrap_or_default();
    let (content, current) = one(&first, options, schema)?;
    if files.len() == 0 {
        return Ok((content, current));
    }
    let sequence = Sequence {
        files,
        current,
        options: options.clone(),
        schema: schema.cloned(),
        layout: None,
        pace: None,
        delivered: 0,
        ended_bytes: 0,
        total_bytes,
    };
    Ok((content, Box::new(sequence)))
}

fn one(
    file: &Path,
    options: &SourceOptions,
    schema: Option<&Schema>,
) -> Result<(Content, Box<dyn Source>), SourceError> {
    match schema {
        Some(schema) => open_any(file, options, schema),
        None => Ok((Content::Packets, open_with(file, options)?)),
    }
}

impl Sequence {
    /// Goes on to the next file; `false` where there is none, or enough has been read.
    fn advance(&mut self) -> Result<bool, Fault> {
        let limit = self.options.limit.map(|limit| limit.saturating_sub(self.delivered));
        let Some(file) = self.files.next().filter(|_| limit != Some(0)) else { return Ok(false) };
        self.ended_bytes += self.current.progress().read_bytes;
        let options = SourceOptions { limit, ..self.options.clone() };
        let (_, mut next) = one(&file, &options, self.schema.as_ref()).map_err(Fault::new)?;
        if let Some(layout) = &self.layout {
            next.bind(layout).map_err(Fault::new)?;
        }
        self.pace.into_iter().for_each(|pace| next.pace(pace));
        self.current = next;
        Ok(true)
    }

    fn fill_next(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        loop {
            self.current.fill(batch)?;
            if !batch.is_empty() {
                batch.renumber(self.delivered);
                self.delivered += batch.len() as u64;
                return Ok(());
            }
            if self.current.is_idle() || !self.advance()? {
                return Ok(());
            }
        }
    }
}

impl Source for Sequence {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        // Behind a fault nothing follows, no other file either.
        self.fill_next(batch).inspect_err(|_| self.files = Vec::new().into_iter())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.layout = Some(layout.clone());
        self.current.bind(layout)
    }

    fn is_idle(&self) -> bool {
        self.current.is_idle()
    }

    fn progress(&self) -> Progress {
        let read_bytes = self.ended_bytes + self.current.progress().read_bytes;
        Progress { read_bytes, total_bytes: self.total_bytes }
    }

    fn pace(&mut self, pace: Pace) {
        self.pace = Some(pace);
        self.current.pace(pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FEATURES;
    use legonf_core::{Feature, Rows, Unit};
    use std::fs;

    /// A capture of packets with one byte each.
    fn pcap(bytes: std::ops::Range<u8>) -> Vec<u8> {
        let mut file = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 12], &[1, 0, 0, 0]].concat();
        bytes.for_each(|byte| {
            file.extend([u32::from(byte), 0, 1, 1].map(u32::to_le_bytes).concat());
            file.push(byte);
        });
        file
    }

    fn files(contents: &[Vec<u8>]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let name = |number| folder.path().join(format!("{number}.pcap"));
        contents.iter().enumerate().for_each(|(number, bytes)| fs::write(name(number), bytes).unwrap());
        let names = (0..contents.len()).map(name).collect();
        (folder, names)
    }

    /// Numbers and bytes of all packets, and the fault at the end.
    fn drain(source: &mut dyn Source) -> (Vec<(u64, u8)>, String) {
        let (mut packets, mut batch) = (Vec::new(), Batch::default());
        loop {
            batch.clear();
            match source.fill(&mut batch) {
                Err(fault) => return (packets, fault.to_string()),
                Ok(()) if batch.is_empty() => return (packets, String::new()),
                Ok(()) => packets.extend(batch.packets.iter().map(|(record, bytes)| (record.seq, bytes[0]))),
            }
        }
    }

    fn limited(limit: Option<u64>) -> SourceOptions {
        SourceOptions { limit, ..SourceOptions::default() }
    }

    #[test]
    fn packets_run_on_over_the_files() {
        let (_folder, names) = files(&[pcap(0..3), pcap(3..3), pcap(3..7)]);
        for (limit, expected) in [(None, 7), (Some(3), 3), (Some(5), 5)] {
            let mut source = open_all(names.clone(), &limited(limit), None).unwrap().1;
            let all: Vec<_> = (0..expected).map(|number: u8| (u64::from(number), number)).collect();
            assert_eq!(drain(&mut *source), (all, String::new()), "{limit:?}");
        }
        let mut source = open_all(names, &limited(None), None).unwrap().1;
        drain(&mut *source);
        let progress = source.progress();
        assert_eq!((progress.read_bytes, progress.total_bytes), (191, Some(191)));
    }

    #[test]
    fn a_fault_names_its_file_and_ends_the_stream() {
        let mut cut = pcap(3..7);
        cut.truncate(24 + 17 + 5);
        let (_folder, names) = files(&[pcap(0..3), cut, pcap(7..9)]);
        let mut source = open_all(names.clone(), &limited(None), None).unwrap().1;
        let (packets, fault) = drain(&mut *source);
        let line = format!(
            "{}: cut off inside packet 1 (byte 41); the 1 packet before it was read",
            names[1].display()
        );
        assert_eq!((packets.len(), fault), (4, line));
        assert_eq!(drain(&mut *source), (Vec::new(), String::new()));
        fs::remove_file(&names[1]).unwrap();
        let mut source = open_all(names.clone(), &limited(None), None).unwrap().1;
        assert_eq!(drain(&mut *source).1, format!("{}: no such file", names[1].display()));
        assert!(open_all(Vec::new(), &limited(None), None).is_err());
    }

    #[test]
    fn tables_are_bound_when_they_are_opened() {
        let feature = |number: u32| Feature {
            name: format!("f{number}"),
            group: "MI".into(),
            statistic: "mean".into(),
            unit: Unit::Bytes,
            decay: None,
        };
        let schema = Schema { name: "nine".into(), features: (0..9).map(feature).collect() };
        let row = |first: u32| format!("{first},0,0,0,0,0,0,0,0\n");
        let (_folder, names) = files(&[(row(1) + &row(2)).into(), row(3).into()]);
        let (content, mut source) = open_all(names, &limited(None), Some(&schema)).unwrap();
        let layout = Layout::of([&FEATURES.of_width(9)]).unwrap();
        let features = layout.handle::<Rows>(&FEATURES.of_width(9)).unwrap();
        source.bind(&layout).unwrap();
        let (mut rows, mut batch) = (Vec::new(), Batch::new(&layout));
        loop {
            batch.clear();
            source.fill(&mut batch).unwrap();
            if batch.is_empty() {
                break;
            }
            let cells = batch.columns.get(features).iter().map(|row| row[0]);
            rows.extend(batch.headers.iter().map(|headers| headers.seq).zip(cells));
        }
        assert_eq!((content, rows), (Content::Features, vec![(0, 1.0), (1, 2.0), (2, 3.0)]));
    }
}
