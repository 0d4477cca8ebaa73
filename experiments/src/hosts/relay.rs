//! A link that takes time: a relay of TCP connections that passes every byte on a fixed time after it came.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are read at once, and pieces that are on their way at most: what a link of 10 Gb/s holds in 50 ms.
const PIECE: usize = 64 << 10;
const PIECES: usize = 1024;

/// A relay, which takes connections until the process ends.
pub(super) struct Relay {
    /// Where it listens.
    pub address: String,
}

/// Bytes, and when they came.
struct Piece {
    bytes: Vec<u8>,
    came: Instant,
}

impl Relay {
    /// Begins to relay connections to an address, each direction with a delay.
    ///
    /// # Errors
    /// If it cannot listen on loopback.
    pub fn start(to: &str, delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let to = to.to_owned();
        thread::Builder::new().name("relay".into()).spawn(move || {
            for near in listener.incoming().flatten() {
                // A connection that cannot be made is closed, which its other side sees.
                let _ = TcpStream::connect(&to).and_then(|far| join(near, far, delay));
            }
        })?;
        Ok(Self { address })
    }
}

/// Passes on what comes from either side.
fn join(near: TcpStream, far: TcpStream, delay: Duration) -> io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        let (sender, receiver) = sync_channel(PIECES);
        thread::Builder::new().spawn(move || read(from, &sender))?;
        thread::Builder::new().spawn(move || write(to, &receiver, delay))?;
    }
    Ok(())
}

fn read(mut from: TcpStream, pieces: &SyncSender<Piece>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        let piece = Piece { bytes: buffer[..bytes].to_vec(), came: Instant::now() };
        if pieces.send(piece).is_err() {
            break;
        }
    }
}

fn write(mut to: TcpStream, pieces: &Receiver<Piece>, delay: Duration) {
    while let Ok(Piece { bytes, came }) = pieces.recv() {
        thread::sleep((came + delay).saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_in_both_directions_and_take_time() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let delay = Duration::from_millis(20);
        let relay = Relay::start(&server.local_addr().unwrap().to_string(), delay).unwrap();
        let echo = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut all = vec![0; 1 << 20];
            stream.read_exact(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        });
        let mut stream = TcpStream::connect(&relay.address).unwrap();
        let sent: Vec<u8> = (0..1 << 20).map(|byte| (byte % 251) as u8).collect();
        let start = Instant::now();
        stream.write_all(&sent).unwrap();
        let mut came = vec![0; sent.len()];
        stream.read_exact(&mut came).unwrap();
        assert!(came == sent && start.elapsed() >= 2 * delay);
        echo.join().unwrap();
        assert_eq!(stream.read(&mut came).unwrap(), 0, "the other side has closed");
    }
}
