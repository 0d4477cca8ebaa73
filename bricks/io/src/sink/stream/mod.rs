//! Where results go as they come: a file that is appended to, a socket, a pipe.

mod framing;
mod log;
#[cfg(feature = "nats")]
mod nats;
mod number;
mod peer;
mod syslog;

use super::error::reason;
use super::file::display;
use super::{OutputFile, SinkError};
pub use framing::Framing;
use log::Log;
#[cfg(feature = "nats")]
pub use nats::{Nats, NatsTarget};
use peer::{Peer, Target};
use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;
pub use syslog::{Syslog, SyslogTarget};

/// Permission bits of files with packets, and of others, of which the umask takes some away.
pub(super) const PRIVATE: u32 = 0o600;
pub(super) const ORDINARY: u32 = 0o666;

/// Takes whole units: lines, or blocks of a capture.
pub trait Lines: Send + Debug {
    /// Name of the output, for messages.
    fn name(&self) -> String;

    /// Adds to what the output begins with, before any unit. One that is made anew or has a new reader begins with all of it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin_with(&mut self, head: &[u8]) -> Result<(), SinkError> {
        self.put(head)
    }

    /// Appends whole units.
    ///
    /// # Errors
    /// When they cannot be written.
    fn put(&mut self, units: &[u8]) -> Result<(), SinkError>;

    /// Hands units that were gathered to the system.
    ///
    /// # Errors
    /// When they cannot be written.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Does what is due now and then: tries again what failed, looks for readers.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn tend(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Goes on in the file that has the name now, as after a rotation by others.
    fn reopen(&mut self) {}

    /// What was lost so far.
    fn loss(&self) -> Loss {
        Loss::default()
    }

    /// Completes the output.
    ///
    /// # Errors
    /// When it cannot be brought to the disk.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// When a file makes way for the next one, and how many are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Size in bytes that a file does not exceed, but for a longer unit.
    pub size: Option<u64>,
    /// For how long a file is written to, from when this process opened it. One in which there is nothing stays.
    pub time: Option<Duration>,
    /// How many numbered files there are at most; any number without it.
    pub keep: Option<u64>,
}

/// Units that an output did not take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// How many.
    pub units: u64,
    /// Why the first of them was lost, or what else went wrong first.
    pub reason: Option<String>,
}

impl Loss {
    fn add(&mut self, units: u64, why: &io::Error) {
        self.units += units;
        self.note(why);
    }

    fn note(&mut self, why: &io::Error) {
        self.reason.get_or_insert_with(|| reason(why));
    }
}

impl Lines for OutputFile {
    fn name(&self) -> String {
        Self::name(self)
    }

    fn put(&mut self, units: &[u8]) -> Result<(), SinkError> {
        Self::put(self, units)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.drain()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Self::finish(self)
    }
}

/// Units for readers that follow along: nothing is gathered, each call writes what it is given, and none waits.
///
/// A file has its own name while it grows. What the disk does not take is counted as lost, leaves no part of a unit behind, and
/// is tried again with the next units. [`reopen`](Lines::reopen) goes on in a new file where others have renamed this one; one that
/// is truncated in place is gone on with from its start, and one that is removed is made anew. With a [`Rotation`], a file
/// that would outgrow it, or is old enough, is first renamed to `NAME.1`, and what has that name to `NAME.2`, and so on; a unit is
/// never divided.
///
/// A socket, a named pipe or standard output whose reader is slow has a few MiB kept for it; what finds no room is counted as
/// lost. Readers of sockets and named pipes may come late, go and come again.
#[derive(Debug)]
pub struct LineStream {
    name: String,
    output: Output,
}

#[derive(Debug)]
enum Output {
    Log(Box<Log>),
    Peer(Box<Peer>),
}

impl LineStream {
    /// Opens an output of lines: `-` is standard output, `unix:PATH` the Unix socket on which a reader listens, everything
    /// else a named pipe, or a file, which keeps what it held before.
    ///
    /// # Errors
    /// [`SinkError::Create`] when it cannot be opened.
    pub fn open(target: &OsStr, rotation: Rotation) -> Result<Self, SinkError> {
        let path = Path::new(target);
        let log = |path: &Path| Ok(Log::open(path, Framing::Lines, ORDINARY)?.rotating(rotation));
        match target.as_bytes().strip_prefix(b"unix:") {
            Some(socket) => {
                let socket = Target::Socket(Path::new(OsStr::from_bytes(socket)).to_owned());
                Self::over(path, Peer::open(socket, Framing::Lines).map(Output::from))
            }
            None => Self::at(path, Framing::Lines, log),
        }
    }

    /// Opens a new output of lines, or of packets, whose files only their owner can read. A file of this name that holds
    /// something makes way: it becomes `NAME.1`. `-` is standard output.
    ///
    /// # Errors
    /// [`SinkError::Create`] when it cannot be opened.
    pub fn fresh(path: &Path, framing: Framing, rotation: Rotation) -> Result<Self, SinkError> {
        let mode = if framing == Framing::Blocks { PRIVATE } else { ORDINARY };
        let log = |path: &Path| Log::fresh(path, framing, mode, rotation.keep);
        Self::at(path, framing, |path| Ok(log(path)?.rotating(rotation)))
    }

    /// Whether somebody reads; always so for a file.
    pub fn is_read(&self) -> bool {
        match &self.output {
            Output::Log(_) => true,
            Output::Peer(peer) => peer.is_connected(),
        }
    }

    fn at(path: &Path, framing: Framing, log: impl Fn(&Path) -> io::Result<Log>) -> Result<Self, SinkError> {
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let target = match path.as_os_str() == "-" {
            true => Some(Target::Standard),
            false => special.then(|| Target::Special(path.to_owned())),
        };
        Self::over(
            path,
            match target {
                Some(target) => Peer::open(target, framing).map(Output::from),
                None => log(path).map(Output::from),
            },
        )
    }

    fn over(path: &Path, output: io::Result<Output>) -> Result<Self, SinkError> {
        let name = display(path);
        match output {
            Ok(output) => Ok(Self { name, output }),
            Err(source) => Err(SinkError::Create { path: name, source }),
        }
    }
}

/// Only the reader of standard output cannot come back, so that alone is a fault.
fn closed(name: &str) -> SinkError {
    SinkError::ClosedPipe { path: name.to_owned() }
}

impl From<Log> for Output {
    fn from(log: Log) -> Self {
        Self::Log(Box::new(log))
    }
}

impl From<Peer> for Output {
    fn from(peer: Peer) -> Self {
        Self::Peer(Box::new(peer))
    }
}

impl Lines for LineStream {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn begin_with(&mut self, head: &[u8]) -> Result<(), SinkError> {
        let Self { name, output } = self;
        match output {
            Output::Log(log) => log.begin_with(head),
            Output::Peer(peer) => peer.begin_with(head).map_err(|_| closed(name))?,
        }
        Ok(())
    }

    fn put(&mut self, units: &[u8]) -> Result<(), SinkError> {
        let Self { name, output } = self;
        match output {
            Output::Log(log) => log.put(units),
            Output::Peer(peer) => peer.put(units).map_err(|_| closed(name))?,
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<(), SinkError> {
        let Self { name, output } = self;
        match output {
            Output::Log(log) => log.tend(),
            Output::Peer(peer) => peer.tend().map_err(|_| closed(name))?,
        }
        Ok(())
    }

    fn reopen(&mut self) {
        if let Output::Log(log) = &mut self.output {
            log.reopen();
        }
    }

    fn loss(&self) -> Loss {
        match &self.output {
            Output::Log(log) => log.loss.clone(),
            Output::Peer(peer) => peer.loss.clone(),
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Self { name, output } = self;
        match output {
            Output::Log(log) => {
                log.finish().map_err(|source| SinkError::Write { path: name.clone(), partial: None, source })
            }
            Output::Peer(peer) => peer.finish().map_err(|_| closed(name)),
        }
    }
}

#[cfg(test)]
mod tests;
