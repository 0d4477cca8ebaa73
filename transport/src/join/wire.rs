//! Messages of a join over TLS: two bytes of length, the least first, then the message. All of it together has a time.

use super::JoinError;
use rustls::{ConnectionCommon, SideData, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

/// Bytes of a message at most.
const LONGEST: usize = 8 << 10;

/// A connection that lasts until some time, whatever comes over it.
pub(super) struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    pub fn new(socket: TcpStream, patience: Duration) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, until: Instant::now() + patience })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(bytes)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Messages over a connection whose handshake is done: the other side has shown its certificate.
pub(super) struct Wire<C, S>(StreamOwned<C, Timed>)
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData;

impl<C, S> Wire<C, S>
where
    C: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    pub fn new(mut connection: C, mut socket: Timed) -> Result<Self, JoinError> {
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Self(StreamOwned::new(connection, socket)))
    }

    /// What TLS knows of the connection.
    pub fn connection(&self) -> &C {
        &self.0.conn
    }

    pub fn send(&mut self, message: &[u8]) -> Result<(), JoinError> {
        let length = u16::try_from(message.len()).map_err(|_| JoinError::Damaged)?;
        self.0.write_all(&[&length.to_le_bytes(), message].concat())?;
        Ok(self.0.flush()?)
    }

    pub fn receive(&mut self) -> Result<Vec<u8>, JoinError> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length)?;
        let length = usize::from(u16::from_le_bytes(length));
        if length > LONGEST {
            return Err(JoinError::Damaged);
        }
        let mut message = vec![0; length];
        self.0.read_exact(&mut message)?;
        Ok(message)
    }

    /// Says that nothing follows.
    pub fn end(mut self) -> Result<(), JoinError> {
        self.0.conn.send_close_notify();
        Ok(self.0.flush()?)
    }
}
