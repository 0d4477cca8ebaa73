//! Output files that are either whole or visibly not.

use super::SinkError;
use legonf_output::{Destination, goes_to_file};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes gathered before they go to the system.
const BUFFER: usize = 128 * 1024;

/// A buffered output that appears under its name only when it is complete, by the rules of [`Destination`].
///
/// [`finish`](Self::finish) brings a file to the disk and gives it its name. Without `finish` it keeps the name
/// `NAME.partial`. Pipes and devices are written in place, and `-` is standard output.
///
/// A call of [`put`](Self::put) is one unit: when the disk fills up, the partial file is cut back to the end of
/// the last unit that fitted whole.
#[derive(Debug)]
pub struct OutputFile {
    /// The name given by the caller.
    target: PathBuf,
    out: Destination,
    buffer: Vec<u8>,
    flushed: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Failed,
    Finished,
}

impl OutputFile {
    /// Opens an output; `-` is standard output. An older file is replaced: whoever must not do that asks
    /// [`legonf_output::check`] first.
    ///
    /// # Errors
    /// [`SinkError::Create`] when the file cannot be created or `path` is a folder.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        Self::over(path, Destination::open(path))
    }

    /// As [`create`](Self::create); a file can be read by its owner alone.
    ///
    /// # Errors
    /// As `create`.
    pub fn create_private(path: &Path) -> Result<Self, SinkError> {
        Self::over(path, Destination::open_private(path))
    }

    fn over(path: &Path, out: io::Result<Destination>) -> Result<Self, SinkError> {
        let out = out.map_err(|source| SinkError::Create { path: display(path), source })?;
        let buffer = Vec::with_capacity(2 * BUFFER);
        Ok(Self { target: path.to_owned(), out, buffer, flushed: 0, state: State::Open })
    }

    /// Opens an output whose earlier bytes will be changed.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`SinkError::NotRegular`] for what is written in place.
    pub fn create_regular(path: &Path) -> Result<Self, SinkError> {
        match goes_to_file(path) {
            Ok(false) => Err(SinkError::NotRegular { path: display(path) }),
            _ => Self::create(path),
        }
    }

    /// The name given by the caller, for messages.
    pub fn name(&self) -> String {
        display(&self.target)
    }

    /// Whether the output is a regular file, whose earlier bytes can still be changed.
    pub fn is_regular(&self) -> bool {
        self.out.partial().is_some()
    }

    /// Bytes written so far.
    pub fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Appends `bytes` as one unit.
    ///
    /// # Errors
    /// When the system takes no more; after that every call fails.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.check_open()?;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.drain() }
    }

    /// Overwrites bytes written earlier, at `offset` from the start of the file.
    ///
    /// # Errors
    /// When the bytes cannot be written, always so for pipes.
    pub fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        self.check_open()?;
        self.drain()?;
        self.out.file().write_all_at(bytes, offset).map_err(|e| self.fail(e))
    }

    /// Completes the output: its bytes are on the disk and it has its name. A second call does nothing.
    ///
    /// # Errors
    /// When the bytes cannot be brought to the disk, or an earlier write failed.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        if self.state == State::Finished {
            return Ok(());
        }
        self.check_open()?;
        self.drain()?;
        self.out.finish().map_err(|e| self.fail(e))?;
        self.state = State::Finished;
        Ok(())
    }

    fn check_open(&self) -> Result<(), SinkError> {
        let state = match self.state {
            State::Open => return Ok(()),
            State::Failed => "incomplete after an earlier fault",
            State::Finished => "complete already",
        };
        Err(SinkError::Ended { path: self.name(), state })
    }

    /// Hands what was gathered to the system.
    pub(super) fn drain(&mut self) -> Result<(), SinkError> {
        self.out.file().write_all(&self.buffer).map_err(|e| self.fail(e))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Notes a fault and cuts a regular file back to what it held whole before.
    fn fail(&mut self, source: io::Error) -> SinkError {
        self.state = State::Failed;
        if source.kind() == io::ErrorKind::BrokenPipe {
            return SinkError::ClosedPipe { path: self.name() };
        }
        if self.is_regular() {
            // A failure here changes nothing: the file is marked as partial by its name already.
            let _ = self.out.file().set_len(self.flushed);
        }
        // Where another file has the name, the error says itself where the bytes are.
        let partial =
            self.out.partial().filter(|_| source.kind() != io::ErrorKind::AlreadyExists).map(display);
        SinkError::Write { path: self.name(), partial, source }
    }
}

/// For encoders that want a writer; the [`SinkError`] travels inside the [`io::Error`].
impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.state == State::Open {
            // What was gathered is worth keeping; there is nobody left to tell of a failure.
            let _ = self.drain();
        }
    }
}

/// How a path is shown in messages.
pub(super) fn display(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard output".into() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        let mut out = OutputFile::create(&path).unwrap();
        out.put(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        out.finish().unwrap();
        out.finish().unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), names(dir.path())),
            (b"new".to_vec(), vec!["a.csv".to_owned()])
        );
        let late = out.put(b"x").unwrap_err().to_string();
        assert!(late.ends_with("it is complete already"), "{late}");
    }

    #[test]
    fn without_finish_it_stays_partial() {
        let dir = tempfile::tempdir().unwrap();
        let mut out = OutputFile::create(&dir.path().join("a.csv")).unwrap();
        out.put(b"half").unwrap();
        drop(out);
        assert_eq!(names(dir.path()), ["a.csv.partial"]);
        assert_eq!(fs::read(dir.path().join("a.csv.partial")).unwrap(), b"half");
    }

    #[test]
    fn earlier_bytes_can_be_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut out = OutputFile::create(&path).unwrap();
        out.put(b"0000 rows").unwrap();
        out.patch(0, b"0042").unwrap();
        out.put(b".").unwrap();
        assert_eq!(out.position(), 10);
        out.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"0042 rows.");
    }

    #[test]
    fn a_full_disk_is_named() {
        let mut out = OutputFile::create(Path::new("/dev/full")).unwrap();
        out.put(b"x").unwrap();
        let error = out.finish().unwrap_err();
        assert_eq!(error.to_string(), "cannot write /dev/full: the disk is full");
        assert!(matches!(out.finish(), Err(SinkError::Ended { .. })));
    }

    #[test]
    fn a_fault_keeps_whole_units_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut out = OutputFile::create(&path).unwrap();
        out.put(&vec![b'x'; BUFFER]).unwrap();
        out.out.file().write_all(b"part of a unit").unwrap();
        let error = out.fail(io::ErrorKind::StorageFull.into()).to_string();
        assert!(error.contains("a.csv: the disk is full; what was written before is kept in "), "{error}");
        assert!(error.ends_with("a.csv.partial"), "{error}");
        assert!(out.finish().is_err());
        drop(out);
        assert_eq!(names(dir.path()), ["a.csv.partial"]);
        assert_eq!(fs::metadata(dir.path().join("a.csv.partial")).unwrap().len(), BUFFER as u64);
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = OutputFile::create(Path::new(&format!("/dev/fd/{}", writer.as_raw_fd()))).unwrap();
        drop(writer);
        out.target = "-".into();
        out.put(b"seen").unwrap();
        out.drain().unwrap();
        let mut seen = [0; 4];
        reader.read_exact(&mut seen).unwrap();
        drop(reader);
        out.put(b"lost").unwrap();
        let error = out.finish().unwrap_err();
        assert_eq!(&seen, b"seen");
        assert!(error.is_closed_pipe());
        assert_eq!(error.to_string(), "cannot write standard output: the reader of the pipe has gone away");
        assert!(crate::sink::is_closed_pipe(&error.into()));
    }

    #[test]
    fn what_cannot_be_created_says_why() {
        let dir = tempfile::tempdir().unwrap();
        for (path, expected) in [
            (dir.path().to_owned(), "it is a folder"),
            (dir.path().join("none/a.csv"), "its folder does not exist"),
            (PathBuf::from("/dev/null/a.csv"), "its folder is not a folder"),
        ] {
            let error = OutputFile::create(&path).unwrap_err().to_string();
            assert_eq!(error, format!("cannot create {}: {expected}", path.display()));
        }
    }
}
