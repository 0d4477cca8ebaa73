//! Files whose bytes come when they come: pipes, sockets, terminals.

use crate::error::SourceErrorKind;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long to wait for bytes before looking at the flag again, in milliseconds.
const PATIENCE: u8 = 100;

/// A flag that ends the wait for bytes that have not come; by default there is none, and the wait has no end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop(Option<&'static AtomicBool>);

impl Stop {
    /// Waits until `flag` is set.
    pub const fn on(flag: &'static AtomicBool) -> Self {
        Self(Some(flag))
    }

    fn is_set(self) -> bool {
        self.0.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// Equal where the flag is the same.
impl PartialEq for Stop {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(std::ptr::from_ref) == other.0.map(std::ptr::from_ref)
    }
}

impl Eq for Stop {}

/// Reads what has come; [`io::ErrorKind::WouldBlock`] where nothing has.
pub(crate) struct Pipe(Arc<File>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !has_come(&self.0, PollTimeout::ZERO)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        (&*self.0).read(buffer)
    }
}

/// Waits for the bytes of a [`Pipe`].
pub(crate) struct Waiter {
    file: Arc<File>,
    stop: Stop,
}

impl Waiter {
    /// A pipe and what waits for its bytes.
    pub(crate) fn new(file: File, stop: Stop) -> (Pipe, Self) {
        let file = Arc::new(file);
        (Pipe(file.clone()), Self { file, stop })
    }

    /// Waits until there are bytes or the input ends.
    ///
    /// # Errors
    /// [`SourceErrorKind::Stopped`] once the flag is set.
    pub(crate) fn wait(&self) -> Result<(), SourceErrorKind> {
        while !has_come(&self.file, PollTimeout::from(PATIENCE))? {
            if self.stop.is_set() {
                return Err(SourceErrorKind::Stopped);
            }
        }
        Ok(())
    }

    /// Waits for a while; `false` where nothing came. Without a flag nobody looks in between, so it waits on.
    pub(crate) fn pause(&self) -> Result<bool, SourceErrorKind> {
        match self.stop.0 {
            Some(_) => Ok(has_come(&self.file, PollTimeout::from(PATIENCE))?),
            None => self.wait().map(|()| true),
        }
    }
}

/// Whether a read gives bytes, the end or a fault at once. A signal counts as nothing.
fn has_come(file: &File, timeout: PollTimeout) -> io::Result<bool> {
    match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;

    #[test]
    fn a_pipe_gives_what_has_come_and_its_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (mut pipe, waiter) = Waiter::new(File::from(OwnedFd::from(reader)), Stop::default());
        let mut buffer = [0; 16];
        assert_eq!(pipe.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        writer.write_all(b"abc").unwrap();
        waiter.wait().unwrap();
        assert_eq!(pipe.read(&mut buffer).unwrap(), 3);
        drop(writer);
        waiter.wait().unwrap();
        assert_eq!(pipe.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_flag_ends_the_wait() {
        static FLAG: AtomicBool = AtomicBool::new(false);
        let (reader, _writer) = io::pipe().unwrap();
        let (_, waiter) = Waiter::new(File::from(OwnedFd::from(reader)), Stop::on(&FLAG));
        assert!(!waiter.pause().unwrap());
        FLAG.store(true, Ordering::Relaxed);
        assert!(matches!(waiter.wait(), Err(SourceErrorKind::Stopped)));
        assert!(Stop::on(&FLAG) == Stop::on(&FLAG) && Stop::on(&FLAG) != Stop::default());
    }
}
