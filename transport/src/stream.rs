//! Frames over a TCP connection: four bytes of length, the least first, then the frame.

use crate::channel::{Channel, ChannelError, MAX_FRAME};
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Bytes that are read at a time: a length that lies takes no more memory than was sent.
const PIECE: usize = 1 << 20;
/// Frames up to so many bytes go out with their length in one piece.
const SMALL: usize = 64 << 10;

/// One side of a connection.
pub struct Stream {
    wire: Wire,
    /// The connection itself, for its time-outs.
    socket: TcpStream,
    frame: Vec<u8>,
    small: Vec<u8>,
    patience: Option<Duration>,
}

enum Wire {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// Over a connection without encryption: one that stays on this host.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn plain(socket: TcpStream) -> io::Result<Self> {
        let other = socket.try_clone()?;
        Self::new(Wire::Plain(socket), other)
    }

    /// As the side that connected, over TLS.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn client(connection: ClientConnection, socket: TcpStream) -> io::Result<Self> {
        let other = socket.try_clone()?;
        Self::new(Wire::Client(Box::new(StreamOwned::new(connection, socket))), other)
    }

    /// As the side that was connected to, over TLS.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn server(connection: ServerConnection, socket: TcpStream) -> io::Result<Self> {
        let other = socket.try_clone()?;
        Self::new(Wire::Server(Box::new(StreamOwned::new(connection, socket))), other)
    }

    fn new(wire: Wire, socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let (frame, small) = Default::default();
        Ok(Self { wire, socket, frame, small, patience: None })
    }

    /// A handle of the connection, by which it can be closed while somebody waits for the other side.
    pub(crate) fn handle(&self) -> io::Result<TcpStream> {
        self.socket.try_clone()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Client(stream) => stream.write_all(bytes),
            Wire::Server(stream) => stream.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Plain(_) => Ok(()),
            Wire::Client(stream) => stream.flush(),
            Wire::Server(stream) => stream.flush(),
        }
    }

    fn send_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = (frame.len() as u32).to_le_bytes();
        if frame.len() <= SMALL {
            let mut small = std::mem::take(&mut self.small);
            small.clear();
            small.extend_from_slice(&length);
            small.extend_from_slice(frame);
            let sent = self.put(&small);
            self.small = small;
            sent?;
        } else {
            self.put(&length)?;
            self.put(frame)?;
        }
        self.flush()
    }
}

/// Reads so many bytes.
fn fill(wire: &mut Wire, bytes: &mut [u8]) -> io::Result<()> {
    match wire {
        Wire::Plain(stream) => stream.read_exact(bytes),
        Wire::Client(stream) => stream.read_exact(bytes),
        Wire::Server(stream) => stream.read_exact(bytes),
    }
}

impl Channel for Stream {
    fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        if frame.len() > MAX_FRAME {
            return Err(ChannelError::TooLarge(frame.len()));
        }
        self.send_frame(frame).map_err(|error| ChannelError::of(error, self.patience))
    }

    fn receive(&mut self) -> Result<&[u8], ChannelError> {
        let Self { wire, frame, patience, .. } = self;
        let failed = |error| ChannelError::of(error, *patience);
        let mut length = [0; 4];
        fill(wire, &mut length).map_err(failed)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_FRAME {
            return Err(ChannelError::TooLarge(length));
        }
        let mut have = 0;
        while have < length {
            let until = length.min(have + PIECE.max(have));
            if frame.len() < until {
                frame.resize(until, 0);
            }
            fill(wire, &mut frame[have..until]).map_err(failed)?;
            have = until;
        }
        Ok(&frame[..length])
    }

    fn set_patience(&mut self, patience: Option<Duration>) -> Result<(), ChannelError> {
        if self.patience != patience {
            self.socket.set_read_timeout(patience)?;
            self.socket.set_write_timeout(patience)?;
            self.patience = patience;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (connected, listener.accept().unwrap().0)
    }

    #[test]
    fn frames_come_whole_and_in_order() {
        let (one, other) = pair();
        let lens = [0, 1, SMALL, SMALL + 1, 5 * PIECE + 3];
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut one = Stream::plain(one).unwrap();
                lens.iter().for_each(|len| one.send(&vec![*len as u8; *len]).unwrap());
            });
            let mut other = Stream::plain(other).unwrap();
            for len in lens {
                assert!(other.receive().unwrap() == vec![len as u8; len]);
            }
            assert!(matches!(other.receive(), Err(ChannelError::Closed)));
        });
    }

    #[test]
    fn a_length_that_is_too_large_is_refused_and_one_that_lies_takes_no_memory() {
        let (mut one, other) = pair();
        let mut other = Stream::plain(other).unwrap();
        one.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(matches!(other.receive(), Err(ChannelError::TooLarge(_))));
        one.write_all(&(MAX_FRAME as u32).to_le_bytes()).unwrap();
        one.write_all(&[1; 10]).unwrap();
        drop(one);
        assert!(matches!(other.receive(), Err(ChannelError::Closed)));
        assert!(other.frame.len() <= PIECE);
    }

    #[test]
    fn who_says_nothing_is_late() {
        let (one, other) = pair();
        let mut other = Stream::plain(other).unwrap();
        other.set_patience(Some(Duration::from_millis(20))).unwrap();
        assert!(matches!(other.receive(), Err(ChannelError::Late(_))));
        drop(one);
        assert!(matches!(other.receive(), Err(ChannelError::Closed)));
    }
}
