//! Heartbeats between a primary and its standby.

use super::message::{Message, StandbyError, read, write};
use crate::channel::{Channel, ChannelError};
use crate::stream::Stream;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

/// Heartbeats in the time of a lease, and the longest time between two.
const IN_A_LEASE: u32 = 5;
const SLOWEST: Duration = Duration::from_millis(100);

/// A thread that closes the connection of packets once the other side is silent for a lease, or this side is to stop. It ends when this is
/// dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    over: Arc<AtomicBool>,
    /// Whether the stop flag is not looked at any more.
    unstoppable: Arc<AtomicBool>,
    /// Whether the other side was silent for a lease.
    silent: Arc<AtomicBool>,
    lease: Duration,
    packets: TcpStream,
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        // Whoever waits for the other side finds it closed.
        let _ = self.packets.shutdown(Shutdown::Both);
    }
}

/// Which side beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Says first that it is alive.
    Primary,
    /// Answers.
    Standby,
}

impl Heartbeat {
    /// Begins. `stop` is looked at several times in a lease.
    ///
    /// # Errors
    /// If the system has no further thread.
    pub fn begin(
        side: Side,
        mut heartbeats: Stream,
        packets: TcpStream,
        lease: Duration,
        stop: &'static AtomicBool,
    ) -> Result<Self, StandbyError> {
        let [over, unstoppable, silent] = std::array::from_fn(|_| Arc::new(AtomicBool::new(false)));
        let handle = packets.try_clone()?;
        heartbeats.set_patience(Some(lease))?;
        let flags = [over.clone(), unstoppable.clone(), silent.clone()];
        let beat = move || {
            let [over, unstoppable, silent] = flags;
            let is_stopped = || !unstoppable.load(Relaxed) && stop.load(Relaxed);
            let pause = (lease / IN_A_LEASE).min(SLOWEST);
            let mut beat = Beat { side, heartbeats, frame: Vec::new(), number: 0, pause };
            while !over.load(Relaxed) && !is_stopped() {
                match beat.next() {
                    Ok(()) => {}
                    Err(error) => {
                        silent.store(matches!(error, StandbyError::Channel(ChannelError::Late(_))), Relaxed);
                        break;
                    }
                }
            }
            let _ = packets.shutdown(Shutdown::Both);
        };
        let heartbeat = Self { over, unstoppable, silent, lease, packets: handle };
        thread::Builder::new().name("heartbeat".into()).spawn(beat)?;
        Ok(heartbeat)
    }

    /// What is behind an error of the connection of packets.
    pub fn explain(&self, error: ChannelError) -> StandbyError {
        if self.silent.load(Relaxed) { ChannelError::Late(self.lease).into() } else { error.into() }
    }

    /// From now on this side says itself when it is at its end, whatever the stop flag says.
    pub fn ignore_stop(&self) {
        self.unstoppable.store(true, Relaxed);
    }
}

struct Beat {
    side: Side,
    heartbeats: Stream,
    frame: Vec<u8>,
    number: u64,
    pause: Duration,
}

impl Beat {
    /// One heartbeat of each side.
    fn next(&mut self) -> Result<(), StandbyError> {
        self.number += 1;
        match self.side {
            Side::Primary => {
                self.say()?;
                self.hear()?;
                thread::sleep(self.pause);
            }
            Side::Standby => {
                self.hear()?;
                self.say()?;
            }
        }
        Ok(())
    }

    fn say(&mut self) -> Result<(), StandbyError> {
        write(&Message::Heartbeat(self.number), &mut self.frame);
        Ok(self.heartbeats.send(&self.frame)?)
    }

    fn hear(&mut self) -> Result<(), StandbyError> {
        match read(self.heartbeats.receive()?)? {
            (Message::Heartbeat(number), []) if number == self.number => Ok(()),
            _ => Err(StandbyError::Damaged),
        }
    }
}
