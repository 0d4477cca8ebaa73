//! What frames go over.

use std::io;
use std::time::Duration;

/// Bytes of a frame at most.
pub const MAX_FRAME: usize = 1 << 30;

/// Both directions between two processes, in whole frames.
pub trait Channel: Send {
    /// Sends a frame. Waits while the other side has no room for it, as long as it may.
    ///
    /// # Errors
    /// If the other side is gone or takes nothing, or the frame is too large.
    fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError>;

    /// Waits for the next frame and shows it where it lies.
    ///
    /// # Errors
    /// If the other side is gone, or nothing comes in time.
    fn receive(&mut self) -> Result<&[u8], ChannelError>;

    /// Sets how long the other side may take for a frame; without a bound by default.
    ///
    /// # Errors
    /// If the system refuses.
    fn set_patience(&mut self, patience: Option<Duration>) -> Result<(), ChannelError>;
}

/// Why a frame does not come over.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The other side has closed the channel, or its process has ended.
    #[error("the other side has ended")]
    Closed,
    /// The other side did not answer in time.
    #[error("the other side has not answered for {} ms", .0.as_millis())]
    Late(Duration),
    /// More than [`MAX_FRAME`] bytes.
    #[error("a frame of {0} bytes is too large: {MAX_FRAME} are allowed")]
    TooLarge(usize),
    /// What came is no frame.
    #[error("what came is no frame")]
    Damaged,
    /// The system says so.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl ChannelError {
    /// What an error of a socket means, where frames may take so long.
    pub(crate) fn of(error: io::Error, patience: Option<Duration>) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock,
        };
        match (error.kind(), patience) {
            (WouldBlock | TimedOut, Some(patience)) => Self::Late(patience),
            (BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof, _) => Self::Closed,
            _ => Self::System(error),
        }
    }
}
