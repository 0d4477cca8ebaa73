//! A reader at the other end of a pipe or a socket, who may be slow, stalled or away.

use super::{Framing, Loss};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes that wait for a reader, beside those of one call, before units are lost.
const WAITING: usize = 4 << 20;

/// Bytes that a pipe takes without a wait where it says that it takes any.
const PAGE: usize = 4096;

/// How long the end of a run waits for a reader that is there.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is at the other end.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Standard output, whose reader cannot come back.
    Standard,
    /// A named pipe or a device.
    Special(PathBuf),
    /// A Unix socket.
    Socket(PathBuf),
}

/// An output that never waits: what its reader does not take at once is kept, up to a bound, and what finds no room is lost and
/// counted. A reader that comes late or again gets what was kept, from a whole unit on.
#[derive(Debug)]
pub(super) struct Peer {
    target: Target,
    framing: Framing,
    link: Option<File>,
    /// What each connection begins with.
    head: Vec<u8>,
    queue: Vec<u8>,
    /// Where the first unit begins that was not sent whole, and how much of it was.
    start: usize,
    sent: usize,
    /// Whether part of a unit was sent whose rest is lost.
    torn: bool,
    pub loss: Loss,
}

impl Peer {
    /// An output whose reader need not be there.
    ///
    /// # Errors
    /// When the target cannot be opened for another reason than that nobody reads.
    pub fn open(target: Target, framing: Framing) -> io::Result<Self> {
        let (link, loss) = (None, Loss::default());
        let (head, queue) = (Vec::new(), Vec::new());
        let mut this = Self { target, framing, link, head, queue, start: 0, sent: 0, torn: false, loss };
        this.connect()?;
        Ok(this)
    }

    /// Whether somebody reads.
    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Adds to what each connection begins with.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn begin_with(&mut self, head: &[u8]) -> io::Result<()> {
        self.head.extend(head);
        if self.link.is_some() {
            self.queue.extend(head);
        }
        self.flush()
    }

    /// Sends units, or keeps or loses them.
    ///
    /// # Errors
    /// When the reader of standard output has gone away.
    pub fn put(&mut self, units: &[u8]) -> io::Result<()> {
        self.flush()?;
        if self.queue.len() - self.start > WAITING {
            let full = io::Error::other("its reader does not take what there is");
            self.loss.add(self.framing.count(units), &full);
            return Ok(());
        }
        if std::mem::take(&mut self.torn) && self.framing == Framing::Lines {
            self.queue.push(b'\n');
        }
        self.queue.extend(units);
        self.flush()
    }

    /// Looks for a reader where there is none, and sends what was kept.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn tend(&mut self) -> io::Result<()> {
        if self.link.is_none() {
            // What is wrong with the target now may be right again later.
            let _ = self.connect();
        }
        self.flush()
    }

    /// Sends what was kept, for a second at most; what is left then is lost.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn finish(&mut self) -> io::Result<()> {
        self.tend()?;
        let end = Instant::now() + FAREWELL;
        while self.start < self.queue.len() && Instant::now() < end {
            let Some(link) = &self.link else { break };
            let _ = wait(link, 100_u8.into());
            self.flush()?;
        }
        self.drop_all(&io::Error::other("its reader did not take it before the end"));
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        self.link = match &self.target {
            Target::Standard => Some(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            Target::Special(path) => present(open(path))?,
            Target::Socket(path) => present(dial(path))?,
        };
        if self.link.is_some() {
            (self.sent, self.torn) = (0, false);
            self.queue.splice(self.start..self.start, self.head.iter().copied());
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.start < self.queue.len() {
            let Some(link) = &mut self.link else { break };
            match send(link, &self.queue[self.start + self.sent..], &self.target) {
                Ok(length) => self.advance(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.fail(error)?,
            }
        }
        if self.start == self.queue.len() || self.start > WAITING {
            self.queue.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }

    /// Notes that so many bytes more were sent.
    fn advance(&mut self, length: usize) {
        self.sent += length;
        while self.start < self.queue.len() {
            let unit = self.framing.first(&self.queue[self.start..]);
            if self.sent < unit {
                break;
            }
            self.start += unit;
            self.sent -= unit;
        }
    }

    fn fail(&mut self, error: io::Error) -> io::Result<()> {
        use io::ErrorKind as K;
        let gone = matches!(error.kind(), K::BrokenPipe | K::ConnectionReset | K::NotConnected);
        match &self.target {
            Target::Standard if gone => return Err(error),
            Target::Special(_) | Target::Socket(_) if gone => (self.link, self.sent) = (None, 0),
            _ => self.drop_all(&error),
        }
        Ok(())
    }

    /// Counts what was kept as lost.
    fn drop_all(&mut self, why: &io::Error) {
        let units = self.framing.count(&self.queue[self.start..]);
        if units > 0 {
            self.loss.add(units, why);
        }
        self.queue.clear();
        self.torn |= self.sent > 0;
        (self.start, self.sent) = (0, 0);
    }
}

/// A connection; none where the error says that nobody reads.
fn present(opened: io::Result<File>) -> io::Result<Option<File>> {
    const NOBODY: [Errno; 4] = [Errno::ENXIO, Errno::ENOENT, Errno::ECONNREFUSED, Errno::EAGAIN];
    match opened {
        Err(error) if NOBODY.iter().any(|errno| error.raw_os_error() == Some(*errno as i32)) => Ok(None),
        opened => opened.map(Some),
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().write(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY).open(path)
}

fn dial(path: &Path) -> io::Result<File> {
    if !path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir()) {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let link = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(link.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(File::from(link))
}

/// Writes what is taken without a wait. Standard output is shared with others, so it is asked first instead of being changed.
fn send(link: &mut File, bytes: &[u8], target: &Target) -> io::Result<usize> {
    if !matches!(target, Target::Standard) {
        return link.write(bytes);
    }
    if !wait(link, PollTimeout::ZERO)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    link.write(&bytes[..bytes.len().min(PAGE)])
}

/// Waits until something can be written; `false` where nothing can.
fn wait(link: &File, most: PollTimeout) -> io::Result<bool> {
    let mut link = [PollFd::new(link.as_fd(), PollFlags::POLLOUT)];
    Ok(poll(&mut link, most)? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::net::UnixListener;

    fn lines(range: std::ops::Range<u64>) -> Vec<u8> {
        range.flat_map(|n| format!("{n:0>99}\n").into_bytes()).collect()
    }

    fn number(line: &str) -> u64 {
        line.parse().unwrap()
    }

    #[test]
    fn a_stalled_reader_loses_whole_lines_that_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let mut peer = Peer::open(Target::Socket(path), Framing::Lines).unwrap();
        let (reader, _) = listener.accept().unwrap();
        for round in 0..1000 {
            peer.put(&lines(100 * round..100 * (round + 1))).unwrap();
        }
        assert!(peer.loss.units > 10_000 && peer.queue.len() < 2 * WAITING, "{:?}", peer.loss);
        let reading = std::thread::spawn(move || {
            BufReader::new(reader).lines().map(Result::unwrap).collect::<Vec<_>>()
        });
        while peer.start < peer.queue.len() {
            peer.tend().unwrap();
        }
        peer.put(&lines(100_000..100_001)).unwrap();
        while peer.start < peer.queue.len() {
            peer.tend().unwrap();
        }
        let lost = peer.loss.units;
        drop(peer);
        let read = reading.join().unwrap();
        assert_eq!(read.len() as u64 + lost, 100_001);
        assert!(read.iter().enumerate().take(read.len() - 1).all(|(i, line)| number(line) == i as u64));
        assert_eq!(number(read.last().unwrap()), 100_000);
    }

    #[test]
    fn a_reader_that_comes_again_gets_the_head_and_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut peer = Peer::open(Target::Socket(path.clone()), Framing::Lines).unwrap();
        peer.begin_with(b"head\n").unwrap();
        peer.put(b"1\n").unwrap();
        assert!(!peer.is_connected());
        let listener = UnixListener::bind(&path).unwrap();
        for (more, expected) in [("", "head\n1\n"), ("2\n", "head\n2\n")] {
            peer.put(more.as_bytes()).unwrap();
            peer.tend().unwrap();
            let (mut reader, _) = listener.accept().unwrap();
            let mut text = vec![0; expected.len()];
            reader.read_exact(&mut text).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
            drop(reader);
            // The first write after it went away finds out.
            while peer.is_connected() {
                peer.put(b"").unwrap();
                peer.queue.extend(b"x\n");
                peer.flush().unwrap();
            }
            peer.queue.clear();
            (peer.start, peer.sent) = (0, 0);
        }
        peer.put(b"3\n").unwrap();
        drop(listener);
        peer.finish().unwrap();
        assert_eq!(peer.loss.units, 1);
    }

    #[test]
    fn a_named_pipe_without_a_reader_is_no_reason_to_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let mut peer = Peer::open(Target::Special(path.clone()), Framing::Lines).unwrap();
        peer.put(b"1\n").unwrap();
        let mut reader = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).unwrap();
        peer.tend().unwrap();
        let mut line = [0; 2];
        reader.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"1\n");
        // Who reads no more than the pipe holds does not hold anybody up.
        peer.put(&lines(0..2000)).unwrap();
        drop(reader);
        peer.put(b"2\n").unwrap();
        let waiting = peer.framing.count(&peer.queue[peer.start..]);
        assert!(!peer.is_connected() && waiting > 1000, "{waiting}");
        peer.finish().unwrap();
        assert_eq!(peer.loss.units, waiting);
    }

    #[test]
    fn what_is_no_reader_is_refused() {
        let refused = |target| Peer::open(target, Framing::Lines).unwrap_err().kind();
        assert_eq!(refused(Target::Socket("/nonesuch/s".into())), io::ErrorKind::NotADirectory);
        assert_eq!(refused(Target::Special("/dev/null/p".into())), io::ErrorKind::NotADirectory);
        let mut full = Peer::open(Target::Special("/dev/full".into()), Framing::Lines).unwrap();
        full.put(b"1\n2\n").unwrap();
        assert_eq!((full.loss.units, full.loss.reason.as_deref()), (2, Some("the disk is full")));
    }
}
