//! Processes of this program that host a brick each.

use crate::session::program;
use legonf_transport::{Channel, ChannelError, OtherSide, SharedMemory};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A channel to a process that was started for it, and ends with it.
pub(super) struct Process {
    channel: SharedMemory,
    child: Child,
}

impl Process {
    /// Starts this program with some arguments, by which it [hosts](crate::hosting::host_here) a brick. The socket is its standard input and the
    /// shared memory its standard output.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn start(arguments: &[&str]) -> Result<Self, ChannelError> {
        let (channel, OtherSide { socket, memory }) = SharedMemory::pair()?;
        let child = Command::new(program()?)
            .args(arguments)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::from(memory))
            // An interrupt from the terminal is for this process, which ends the others when it is done with them.
            .process_group(0)
            .spawn()?;
        Ok(Self { channel, child })
    }
}

impl Process {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Channel for Process {
    fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        self.channel.send(frame)
    }

    fn receive(&mut self) -> Result<&[u8], ChannelError> {
        self.channel.receive()
    }

    fn set_patience(&mut self, patience: Option<Duration>) -> Result<(), ChannelError> {
        self.channel.set_patience(patience)
    }
}

/// Whatever the process is at, it is of no use any more: so one that was stopped, and would go on later, does not.
impl Drop for Process {
    fn drop(&mut self) {
        let ended: io::Result<_> = self.child.kill().and_then(|()| self.child.wait());
        drop(ended);
    }
}
