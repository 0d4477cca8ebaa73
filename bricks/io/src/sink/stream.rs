//! Where lines go as they come: a file that is appended to, a socket, a pipe.

use super::file::display;
use super::{OutputFile, SinkError};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Takes whole lines.
pub trait Lines: Send {
    /// Name of the output, for messages.
    fn name(&self) -> String;

    /// Appends whole lines.
    ///
    /// # Errors
    /// When they cannot be written.
    fn put(&mut self, lines: &[u8]) -> Result<(), SinkError>;

    /// Hands lines that were gathered to the system.
    ///
    /// # Errors
    /// When they cannot be written.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Completes the output.
    ///
    /// # Errors
    /// When it cannot be brought to the disk.
    fn finish(&mut self) -> Result<(), SinkError>;
}

impl Lines for OutputFile {
    fn name(&self) -> String {
        Self::name(self)
    }

    fn put(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        Self::put(self, lines)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.drain()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Self::finish(self)
    }
}

/// Lines for readers that follow along: nothing is gathered, each call writes what it is given.
///
/// A file keeps what it held before and is appended to under its own name, as log files are. With a size for
/// rotation, a file that would outgrow it is first renamed to `NAME.1`, the next one to `NAME.2`, and so on after
/// the highest number there is; a line is never divided.
#[derive(Debug)]
pub struct LineStream {
    name: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Log(Log),
    Pipe(File),
    Socket(UnixStream),
}

impl LineStream {
    /// Opens an output: `-` is standard output, `unix:PATH` the Unix socket on which a reader listens, everything
    /// else a file or a named pipe. `rotate` is the size in bytes that files do not exceed, but for a longer line.
    ///
    /// # Errors
    /// [`SinkError::Create`] when it cannot be opened, or nobody listens on the socket.
    pub fn open(target: &OsStr, rotate: Option<u64>) -> Result<Self, SinkError> {
        let path = Path::new(target);
        let name = display(path);
        let fail = |source| SinkError::Create { path: name.clone(), source };
        let target = if target == "-" {
            Target::Pipe(File::from(io::stdout().as_fd().try_clone_to_owned().map_err(fail)?))
        } else if let Some(socket) = target.as_bytes().strip_prefix(b"unix:") {
            let connected = UnixStream::connect(Path::new(OsStr::from_bytes(socket)));
            Target::Socket(connected.map_err(|error| fail(unheard(error)))?)
        } else if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            Target::Pipe(File::options().write(true).open(path).map_err(fail)?)
        } else {
            Target::Log(Log::open(path, rotate).map_err(fail)?)
        };
        Ok(Self { name, target })
    }
}

/// Says of a socket what is missing.
fn unheard(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::other("there is no such socket"),
        io::ErrorKind::ConnectionRefused => io::Error::other("nobody listens on it"),
        _ => error,
    }
}

impl Lines for LineStream {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn put(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        let path = self.name.clone();
        match &mut self.target {
            Target::Log(log) => log.put(lines).map_err(|source| {
                let partial = Some(path.clone());
                SinkError::Write { path, partial, source }
            }),
            Target::Pipe(pipe) => pipe.write_all(lines).map_err(|source| match source.kind() {
                io::ErrorKind::BrokenPipe => SinkError::ClosedPipe { path },
                _ => SinkError::Write { path, partial: None, source },
            }),
            Target::Socket(socket) => socket.write_all(lines).map_err(|error| {
                let gone = matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
                let source = if gone { io::Error::other("its reader has gone away") } else { error };
                SinkError::Write { path, partial: None, source }
            }),
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Target::Log(log) = &mut self.target else { return Ok(()) };
        let fail = |source| SinkError::Write { path: self.name.clone(), partial: None, source };
        log.file.sync_all().map_err(fail)
    }
}

/// A file that is appended to.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    rotate: u64,
}

impl Log {
    fn open(path: &Path, rotate: Option<u64>) -> io::Result<Self> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut size = file.metadata()?.len();
        if !ends_a_line(&mut file, size)? {
            // What an earlier run left unfinished is not this run's line.
            file.write_all(b"\n")?;
            size += 1;
        }
        Ok(Self { path: path.to_owned(), file, size, rotate: rotate.unwrap_or(u64::MAX) })
    }

    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut rest = lines;
        while !rest.is_empty() {
            let fitting = fitting(rest, self.rotate.saturating_sub(self.size));
            if fitting == 0 && self.size > 0 {
                self.turn()?;
                continue;
            }
            // A line that is longer than a whole file gets one of its own.
            let length = if fitting == 0 { first_line(rest) } else { fitting };
            self.append(&rest[..length])?;
            rest = &rest[length..];
        }
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(lines) {
            // A failure here changes nothing: the run ends with the first one.
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size += lines.len() as u64;
        Ok(())
    }

    /// Gives the file its number and begins the next one.
    fn turn(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        fs::rename(&self.path, numbered(&self.path, highest(&self.path)? + 1))?;
        self.file = File::options().append(true).create_new(true).open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn ends_a_line(file: &mut File, size: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if size > 0 {
        file.seek(SeekFrom::Start(size - 1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last == [b'\n'])
}

/// Length of the whole lines at the start of `lines` that have room.
fn fitting(lines: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(lines.len());
    if room == lines.len() {
        return room;
    }
    lines[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1)
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// The highest number that a file of this name was given, 0 if none was.
fn highest(path: &Path) -> io::Result<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = path.file_name().map_or_else(OsString::new, OsStr::to_owned);
    prefix.push(".");
    let mut highest = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number =
            name.as_bytes().strip_prefix(prefix.as_bytes()).and_then(|n| std::str::from_utf8(n).ok());
        highest = number.and_then(|n| n.parse().ok()).unwrap_or(0).max(highest);
    }
    Ok(highest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn open(path: &Path, rotate: Option<u64>) -> LineStream {
        LineStream::open(path.as_os_str(), rotate).unwrap()
    }

    #[test]
    fn a_file_is_appended_to_and_readable_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        fs::write(&path, "old\ncut").unwrap();
        let mut stream = open(&path, None);
        stream.put(b"new\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old\ncut\nnew\n");
        stream.finish().unwrap();
    }

    #[test]
    fn files_rotate_between_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        fs::write(dir.path().join("eve.json.7"), "of an earlier run\n").unwrap();
        let mut stream = open(&path, Some(8));
        stream.put(b"1\n2\n3\n4\n5\n").unwrap();
        stream.put(b"a line that is too long\n6\n").unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("eve.json.8"), "1\n2\n3\n4\n");
        assert_eq!(read("eve.json.9"), "5\n");
        assert_eq!(read("eve.json.10"), "a line that is too long\n");
        assert_eq!(read("eve.json"), "6\n");
        assert_eq!(read("eve.json.7"), "of an earlier run\n");
    }

    #[test]
    fn a_socket_gets_lines_until_its_reader_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let name = format!("unix:{}", path.display());
        let refused = |name: &str| LineStream::open(OsStr::new(name), None).unwrap_err().to_string();
        assert_eq!(refused(&name), format!("cannot create {name}: there is no such socket"));
        let listener = UnixListener::bind(&path).unwrap();
        let mut stream = LineStream::open(OsStr::new(&name), None).unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        stream.put(b"line\n").unwrap();
        let mut line = [0; 5];
        reader.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"line\n");
        drop((reader, listener));
        let error = stream.put(b"line\n").unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {name}: its reader has gone away"));
        assert!(!error.is_closed_pipe());
        assert_eq!(refused(&name), format!("cannot create {name}: nobody listens on it"));
    }

    #[test]
    fn a_full_disk_is_named() {
        let mut stream = open(Path::new("/dev/full"), None);
        assert_eq!(stream.put(b"x\n").unwrap_err().to_string(), "cannot write /dev/full: the disk is full");
    }

    #[test]
    fn a_folder_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = LineStream::open(dir.path().as_os_str(), None).unwrap_err().to_string();
        assert!(error.ends_with("it is a folder"), "{error}");
    }
}
