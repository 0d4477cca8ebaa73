//! Truth: one label for each packet of a capture, from a table.

use crate::error::SourceErrorKind;
use crate::source::{Input, Line, Positions, Stop, display_name, open_input};
use legonf_core::{Fault, count};
use std::path::Path;

/// What is wrong with a label file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The file cannot be opened, read or decompressed.
    #[error("{file}: {kind}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        kind: LabelFileError,
    },
    /// A line is not a label.
    #[error("{file}: line {line}: {reason}")]
    Line {
        /// The file.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// What is wrong.
        reason: LabelFault,
    },
    /// The captures could not be read a second time, for which of their packets there are.
    #[error("{0}")]
    Captures(Fault),
    /// The labels end before the packets, of which the rest is not known yet.
    #[error("{file}: {}, but the capture has at least {}", count(*.labels, "label"), count(.labels + 1, "packet"))]
    RanOut {
        /// The file.
        file: String,
        /// Number of labels in it.
        labels: u64,
    },
    /// The capture has another number of packets.
    #[error("{file}: {}, but the capture has {}", count(*.labels, "label"), count(*.packets, "packet"))]
    Length {
        /// The file.
        file: String,
        /// Number of labels in it.
        labels: u64,
        /// Number of packets in the capture.
        packets: u64,
    },
}

/// Why a line is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelFault {
    /// It has more bytes than any label.
    #[error("it is longer than any label")]
    TooLong,
    /// It has none, and others follow.
    #[error("it is empty, expected a label")]
    Empty,
    /// It is not UTF-8.
    #[error("it is not text, expected a label")]
    NotText,
    /// It has another word.
    #[error("{0:?} is not a label, expected 0, 1, benign, malicious, false or true")]
    NotLabel(String),
    /// What should be an index is no number.
    #[error("{0:?} is not the index of a packet")]
    NotIndex(String),
    /// It alone has an index.
    #[error("it has an index, the lines before it have none")]
    Indexed,
    /// It alone has no index.
    #[error("it has no index, the lines before it have one")]
    NotIndexed,
    /// Its index is not the next one.
    #[error("index {found} is out of order, expected {expected}")]
    Order {
        /// Its index.
        found: u64,
        /// The next one.
        expected: u64,
    },
}

/// Why a label file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelFileError {
    /// It holds nothing.
    #[error("this file is empty, expected a label for each packet")]
    Empty,
    /// It is a directory.
    #[error("this is a directory, expected a label file")]
    Directory,
    /// As for a capture.
    #[error(transparent)]
    Read(SourceErrorKind),
}

/// A streaming reader of labels, `true` for malicious.
///
/// Reads `index,label` lines, the index counting from 0 or 1, or lines of a label only, with or without quotation
/// marks and a line of column names; gzip and zstd are decompressed. A label is `0`, `1`, `benign`, `malicious`,
/// `false` or `true`, in capitals or not.
pub struct Labels {
    file: String,
    input: Input,
    lines: u64,
    labels: u64,
    layout: Option<Layout>,
    /// Which of the packets are there, where a filter leaves some out.
    positions: Option<Positions>,
}

/// The columns of a label file, found by its first row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Bare,
    Indexed { first: u64 },
}

/// A line's use.
enum Row {
    Label(bool),
    Names,
}

impl Labels {
    /// Opens a label file; `-` is standard input.
    ///
    /// # Errors
    /// If it cannot be read or is empty.
    pub fn open(path: &Path) -> Result<Self, LabelError> {
        Self::open_until(path, Stop::default())
    }

    /// [`open`](Self::open), where `stop` ends every wait for labels that come through a pipe.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and with [`SourceErrorKind::Stopped`] where it was stopped.
    pub fn open_until(path: &Path, stop: Stop) -> Result<Self, LabelError> {
        let file = display_name(path);
        match open_input(path, stop) {
            Ok(input) => Self::new(file, input),
            Err(kind) => Err(file_error(&file, kind)),
        }
    }

    /// Labels from any stream of bytes; `name` stands for it in messages.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_reader(
        name: impl Into<String>,
        bytes: Box<dyn std::io::Read + Send>,
    ) -> Result<Self, LabelError> {
        let name = name.into();
        match Input::new(bytes, None) {
            Ok(input) => Self::new(name, input),
            Err(kind) => Err(file_error(&name, kind)),
        }
    }

    fn new(file: String, mut input: Input) -> Result<Self, LabelError> {
        match input.window(1) {
            Err(kind) => Err(file_error(&file, kind)),
            Ok([]) => Err(LabelError::File { file, kind: LabelFileError::Empty }),
            Ok(_) => Ok(Self { file, input, lines: 0, labels: 0, layout: None, positions: None }),
        }
    }

    /// The same labels, of which only those at some positions are asked for by [`require`](Self::require): those of packets that
    /// pass a filter.
    #[must_use]
    pub fn at(self, positions: Positions) -> Self {
        Self { positions: Some(positions), ..self }
    }

    /// Number of labels read so far.
    pub fn labels_read(&self) -> u64 {
        self.labels
    }

    /// The next packet's label, `None` at the end.
    ///
    /// # Errors
    /// If a line is not a label or is out of order.
    pub fn next_label(&mut self) -> Result<Option<bool>, LabelError> {
        loop {
            self.lines += 1;
            let line = match self.input.line() {
                Err(kind) => return Err(file_error(&self.file, kind)),
                Ok(line) => line,
            };
            let parsed = match line {
                Line::End => return Ok(None),
                Line::TooLong => Err(LabelFault::TooLong),
                Line::Text { text, .. } if text.trim_ascii().is_empty() => break,
                Line::Text { text, .. } => parse(text, self.labels, self.lines, &mut self.layout),
            };
            match parsed {
                Ok(Row::Names) => {}
                Ok(Row::Label(label)) => {
                    self.labels += 1;
                    return Ok(Some(label));
                }
                Err(reason) => return Err(self.line_error(self.lines, reason)),
            }
        }
        self.only_blank_lines_follow().map(|()| None)
    }

    /// The label of a packet that is there.
    ///
    /// # Errors
    /// As for [`next_label`](Self::next_label), and if the labels have ended.
    pub fn require(&mut self) -> Result<bool, LabelError> {
        let position = self.positions.as_mut().map(Positions::next_position).transpose();
        if let Some(Some(position)) = position.map_err(LabelError::Captures)? {
            while self.labels < position && self.next_label()?.is_some() {}
        }
        self.next_label()?.ok_or_else(|| LabelError::RanOut { file: self.file.clone(), labels: self.labels })
    }

    /// Checks at the end of a capture of `packets` packets that there were as many labels; with positions there are as many packets
    /// as these are of.
    ///
    /// # Errors
    /// If there are fewer or more, or one of the rest is not a label.
    pub fn finish(&mut self, packets: u64) -> Result<(), LabelError> {
        while self.next_label()?.is_some() {}
        let packets = self.positions.as_mut().map_or(Ok(packets), whole).map_err(LabelError::Captures)?;
        if self.labels == packets {
            return Ok(());
        }
        Err(LabelError::Length { file: self.file.clone(), labels: self.labels, packets })
    }

    /// Empty lines are accepted only at the end.
    fn only_blank_lines_follow(&mut self) -> Result<(), LabelError> {
        let blank = self.lines;
        loop {
            self.lines += 1;
            match self.input.line() {
                Err(kind) => return Err(file_error(&self.file, kind)),
                Ok(Line::End) => return Ok(()),
                Ok(Line::Text { text, .. }) if text.trim_ascii().is_empty() => {}
                Ok(_) => return Err(self.line_error(blank, LabelFault::Empty)),
            }
        }
    }

    fn line_error(&self, line: u64, reason: LabelFault) -> LabelError {
        LabelError::Line { file: self.file.clone(), line, reason }
    }
}

/// Packets of the captures that positions are of.
fn whole(positions: &mut Positions) -> Result<u64, Fault> {
    while positions.next_position()?.is_some() {}
    Ok(positions.packets())
}

fn file_error(file: &str, kind: SourceErrorKind) -> LabelError {
    let kind = match kind {
        SourceErrorKind::Directory => LabelFileError::Directory,
        kind => LabelFileError::Read(kind),
    };
    LabelError::File { file: file.to_owned(), kind }
}

/// Reads line number `line`, which is not empty, after `labels` labels. The first label sets the layout.
fn parse(text: &[u8], labels: u64, line: u64, layout: &mut Option<Layout>) -> Result<Row, LabelFault> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| LabelFault::NotText)?;
    let (index, label) = match text.split_once(',') {
        Some((index, label)) => (Some(unquoted(index)), unquoted(label)),
        None => (None, unquoted(text)),
    };
    let Some(label) = truth(label) else {
        return no_label(index, label, line);
    };
    let index = index.map(number).transpose()?;
    let expected = *layout.get_or_insert(match index {
        Some(first) => Layout::Indexed { first: first.min(1) },
        None => Layout::Bare,
    });
    check(expected, index, labels).map(|()| Row::Label(label))
}

/// A first line that is neither a label nor numbered holds the names of the columns.
fn no_label(index: Option<&str>, label: &str, line: u64) -> Result<Row, LabelFault> {
    let named = label.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if line == 1 && named && index.is_none_or(|index| number(index).is_err()) {
        return Ok(Row::Names);
    }
    Err(LabelFault::NotLabel(label.chars().take(40).collect()))
}

fn check(layout: Layout, index: Option<u64>, labels: u64) -> Result<(), LabelFault> {
    match (layout, index) {
        (Layout::Bare, None) => Ok(()),
        (Layout::Bare, Some(_)) => Err(LabelFault::Indexed),
        (Layout::Indexed { .. }, None) => Err(LabelFault::NotIndexed),
        (Layout::Indexed { first }, Some(index)) if index == first + labels => Ok(()),
        (Layout::Indexed { first }, Some(index)) => {
            Err(LabelFault::Order { found: index, expected: first + labels })
        }
    }
}

fn number(index: &str) -> Result<u64, LabelFault> {
    index.parse().map_err(|_| LabelFault::NotIndex(index.chars().take(40).collect()))
}

fn truth(label: &str) -> Option<bool> {
    let is = |words: [&str; 3]| words.iter().any(|word| label.eq_ignore_ascii_case(word));
    if is(["1", "malicious", "true"]) {
        Some(true)
    } else if is(["0", "benign", "false"]) {
        Some(false)
    } else {
        None
    }
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn labels(text: &[u8]) -> Result<Labels, LabelError> {
        Labels::new("l.csv".into(), Input::new(Box::new(Cursor::new(text.to_vec())), None).unwrap())
    }

    fn read(text: &str) -> Result<Vec<bool>, String> {
        let mut labels = labels(text.as_bytes()).map_err(|e| e.to_string())?;
        let mut all = Vec::new();
        while let Some(label) = labels.next_label().map_err(|e| e.to_string())? {
            all.push(label);
        }
        Ok(all)
    }

    #[test]
    fn every_layout_reads_the_same() {
        for text in [
            "index,label\n0,0\n1,1\n2,0\n",
            "0,0\n1,1\n2,0",
            "1,benign\r\n2,malicious\r\n3,benign\r\n\r\n",
            "\"\",\"x\"\n\"1\",0\n\"2\",1\n\"3\",0\n",
            "x\n\"0\"\n\"1\"\n\"0\"\n\n\n",
            "False\nTrue\nFalse\n",
            "\u{feff}label\nBenign\nMalicious\nBenign\n",
        ] {
            assert_eq!(read(text), Ok(vec![false, true, false]), "{text}");
        }
        assert_eq!(read("index,label\n"), Ok(vec![]));
    }

    #[test]
    fn faults_name_the_line() {
        let not = "is not a label, expected 0, 1, benign, malicious, false or true";
        for (text, message) in [
            ("", "l.csv: this file is empty, expected a label for each packet".to_owned()),
            ("0\n2\n", format!("l.csv: line 2: \"2\" {not}")),
            ("2\n", format!("l.csv: line 1: \"2\" {not}")),
            ("0,maybe\n", format!("l.csv: line 1: \"maybe\" {not}")),
            ("hello\nworld\n", format!("l.csv: line 2: \"world\" {not}")),
            ("0,0\n2,0\n", "l.csv: line 2: index 2 is out of order, expected 1".to_owned()),
            ("7,0\n", "l.csv: line 1: index 7 is out of order, expected 1".to_owned()),
            ("x,0\n", "l.csv: line 1: \"x\" is not the index of a packet".to_owned()),
            ("0\n1,0\n", "l.csv: line 2: it has an index, the lines before it have none".to_owned()),
            ("0,0\n1\n", "l.csv: line 2: it has no index, the lines before it have one".to_owned()),
            ("0\n\n1\n", "l.csv: line 2: it is empty, expected a label".to_owned()),
            ("18446744073709551615,0\n", {
                "l.csv: line 1: index 18446744073709551615 is out of order, expected 1".to_owned()
            }),
        ] {
            assert_eq!(read(text), Err(message), "{text:?}");
        }
        let binary = labels(b"\x7fELF\xff\xfe\n").unwrap().next_label().unwrap_err();
        assert_eq!(binary.to_string(), "l.csv: line 1: it is not text, expected a label");
    }

    #[test]
    fn lengths_must_agree() {
        let mut short = labels(b"0\n1\n").unwrap();
        assert_eq!((short.require().unwrap(), short.require().unwrap()), (false, true));
        let error = short.require().unwrap_err().to_string();
        assert_eq!(error, "l.csv: 2 labels, but the capture has at least 3 packets");
        assert!(short.finish(2).is_ok());
        let mut long = labels(b"0\n1\n0\n").unwrap();
        long.require().unwrap();
        let error = long.finish(1).unwrap_err().to_string();
        assert_eq!(error, "l.csv: 3 labels, but the capture has 1 packet");
    }

    #[test]
    fn compressed_labels_are_read() {
        let packed = zstd::encode_all(&b"0\n1\n"[..], 1).unwrap();
        let mut labels = labels(&packed).unwrap();
        assert_eq!((labels.require().unwrap(), labels.require().unwrap()), (false, true));
        assert_eq!(labels.labels_read(), 2);
    }

    #[test]
    fn open_names_what_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = Labels::open(dir.path()).err().unwrap().to_string();
        assert!(error.ends_with(": this is a directory, expected a label file"), "{error}");
        let error = Labels::open(&dir.path().join("none.csv")).err().unwrap().to_string();
        assert!(error.ends_with("none.csv: no such file"), "{error}");
    }
}
