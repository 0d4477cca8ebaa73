//! An interface as a source.

use crate::losses::Wide;
use crate::open::{is_up, one_line};
use crate::{Bounds, Interface, LiveError, Losses};
use legonf_core::{Arrivals, BATCH, Batch, Fault, Pace, Packets, Progress, Source, Timestamp, gather};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long to wait for packets before looking at the stop flag again, in milliseconds.
const PATIENCE: u8 = 100;

/// How often the kernel's counters are read under load: so that a controller sees losses soon, and before the counters wrap
/// around at 2^32 packets.
const SAMPLING: Duration = Duration::from_millis(100);

/// How long to sleep at most where a batch may wait for less than the kernel's timers can.
const NAP: Duration = Duration::from_micros(200);

/// How often a silent interface is looked at.
const LOOKING: Duration = Duration::from_secs(1);

/// Packets of an interface, as they come.
///
/// A batch has as many packets as there are, and at least one: a verdict does not wait for a batch to be full, unless
/// [`LiveConfig::hold`](crate::LiveConfig::hold) or [`Source::pace`] says for how long it may wait. The source ends at its
/// [`Bounds`] or when the stop flag is set; what the kernel took until then is delivered first. It reads the clock once a
/// batch, for the bounds, and while it waits; packets keep the kernel's time stamps, in nanoseconds.
pub struct LiveSource {
    interface: Interface,
    bounds: Bounds,
    /// Packets that another source has delivered before.
    before: u64,
    stop: &'static AtomicBool,
    deadline: Option<Instant>,
    phase: Phase,
    intake: Intake,
    counters: Counters,
    /// A fault that came behind packets, which are delivered first.
    pending: Option<LiveError>,
    /// How long the first packet of a batch may wait for the batch to be full.
    patience: Option<Duration>,
    /// Packets of a full batch.
    full: usize,
    /// Whether nothing came when it was last asked.
    idle: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Idle,
    Running,
    /// Delivers what came before the end: up to packet `last`, if it comes `before` that time.
    Draining {
        last: u64,
        before: Instant,
    },
    Ended,
}

/// What was delivered.
#[derive(Clone, Copy, Debug, Default)]
struct Intake {
    packets: u64,
    bytes: u64,
}

/// What the kernel counted.
#[derive(Debug)]
struct Counters {
    received: Wide,
    dropped: Wide,
    interface: Wide,
    sampled: Instant,
    /// When the interface was last looked at, and whether it was down.
    seen: Instant,
    down: bool,
    losses: Losses,
}

impl Counters {
    /// Notes whether the interface is down, and counts how often it went down.
    fn note(&mut self, down: bool) {
        if down && !self.down {
            self.losses.add_outage();
        }
        self.down = down;
    }
}

impl LiveSource {
    /// A source over an open interface that ends at `bounds` or when `stop` is set.
    pub fn new(interface: Interface, bounds: Bounds, stop: &'static AtomicBool) -> Self {
        let (received, dropped, interface_losses) = Default::default();
        let (sampled, losses) = (Instant::now(), Losses::default());
        let seen = sampled;
        let down = false;
        let counters =
            Counters { received, dropped, interface: interface_losses, sampled, seen, down, losses };
        let (deadline, phase, intake, pending) = (None, Phase::Idle, Intake::default(), None);
        let patience = interface.hold.map(|hold| hold.min(interface.latency));
        Self {
            interface,
            bounds,
            before: 0,
            stop,
            deadline,
            phase,
            intake,
            counters,
            pending,
            patience,
            full: BATCH,
            idle: false,
        }
    }

    /// What was lost so far, and at the end in all.
    pub fn losses(&self) -> Losses {
        self.counters.losses.clone()
    }

    /// The next packets, at least one unless this is the end or none came for a while.
    fn receive(&mut self, batch: &mut Batch) -> Result<(), LiveError> {
        self.idle = false;
        while !self.idle {
            self.pending.take().map_or(Ok(()), Err)?;
            self.advance()?;
            let room = self.room();
            if room == 0 {
                return self.end();
            }
            self.take(&mut batch.packets, room);
            if !batch.packets.is_empty() {
                self.top_up(&mut batch.packets, room);
                return Ok(());
            }
            if self.pending.is_none() {
                self.idle = !self.wait()?;
            }
        }
        Ok(())
    }

    /// Waits for a batch to be full, as long as its first packet may wait.
    fn top_up(&mut self, packets: &mut Packets, room: usize) {
        let Some(patience) = self.patience else { return };
        let since = Instant::now();
        gather(&mut Intaking { source: self, packets, room, since }, room, patience);
    }

    /// Goes on to the next phase when it is time.
    fn advance(&mut self) -> Result<(), LiveError> {
        let now = Instant::now();
        match self.phase {
            Phase::Idle => {
                self.deadline = self.bounds.duration.and_then(|duration| now.checked_add(duration));
                self.phase = Phase::Running;
            }
            Phase::Running if self.is_over(now) => {
                let last = self.sample(now)?;
                let patience = Duration::from_millis(PATIENCE.into());
                // The kernel closes its last block within the latency.
                self.phase = Phase::Draining { last, before: now + 2 * self.interface.latency + patience };
            }
            Phase::Running if now.duration_since(self.counters.sampled) > SAMPLING => {
                self.sample(now)?;
            }
            Phase::Draining { before, .. } if now > before => self.phase = Phase::Ended,
            Phase::Running | Phase::Draining { .. } | Phase::Ended => {}
        }
        Ok(())
    }

    fn is_over(&self, now: Instant) -> bool {
        self.stop.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// How many packets the batch may still take.
    fn room(&self) -> usize {
        let last = match self.phase {
            Phase::Ended => 0,
            Phase::Draining { last, .. } => last,
            Phase::Idle | Phase::Running => u64::MAX,
        };
        let bound = self.bounds.packets.map_or(u64::MAX, |packets| packets.saturating_sub(self.before));
        let last = last.min(bound);
        last.saturating_sub(self.intake.packets).min(self.full as u64) as usize
    }

    /// Takes packets from the ring, none if there are none.
    fn take(&mut self, packets: &mut Packets, room: usize) {
        let (link, intake, before) = (self.interface.link, &mut self.intake, self.before);
        while packets.len() < room {
            let left = room - packets.len();
            let taken = self.interface.capture.dispatch(Some(left), |packet| {
                let header = packet.header;
                // With nanoseconds asked for, they are what the field of microseconds holds.
                let timestamp = Timestamp::new(header.ts.tv_sec, header.ts.tv_usec as u32);
                packets.push(before + intake.packets, timestamp, header.len, link, packet.data);
                intake.packets += 1;
                intake.bytes += u64::from(header.caplen);
            });
            match taken {
                Ok(0) => break,
                Ok(_) => self.counters.down = false,
                // It may come up again.
                Err(error) if one_line(&error).contains("went down") => {
                    self.counters.note(true);
                    break;
                }
                Err(error) => {
                    self.pending = Some(lost(&self.interface.name, &error));
                    break;
                }
            }
        }
    }

    /// Waits until there may be packets, for a while at most; `false` where there are none even then.
    fn wait(&mut self) -> Result<bool, LiveError> {
        self.look()?;
        let begin = Instant::now();
        let ready = self.poll(PollTimeout::from(PATIENCE))?;
        if ready.intersects(PollFlags::POLLERR) {
            self.counters.note(true);
            // Whatever is wrong, the core is others' until it is looked at again.
            std::thread::sleep(Duration::from_millis(PATIENCE.into()).saturating_sub(begin.elapsed()));
            return Ok(false);
        }
        Ok(!ready.is_empty())
    }

    /// What there is to say of the interface's socket, after so long at most; a signal counts as packets, since the caller then
    /// looks at the stop flag.
    fn poll(&self, timeout: PollTimeout) -> Result<PollFlags, LiveError> {
        let mut interface = [PollFd::new(self.interface.capture.as_fd(), PollFlags::POLLIN)];
        match poll(&mut interface, timeout) {
            Ok(_) => Ok(interface[0].revents().unwrap_or(PollFlags::empty())),
            Err(Errno::EINTR) => Ok(PollFlags::POLLIN),
            Err(error) => {
                Err(LiveError::Lost { interface: self.interface.name.clone(), reason: error.to_string() })
            }
        }
    }

    /// Sees about once a second, when there are no packets, whether the interface is still there. One that was taken down may
    /// come up again: its socket goes on then.
    fn look(&mut self) -> Result<(), LiveError> {
        if self.counters.seen.elapsed() < LOOKING {
            return Ok(());
        }
        self.counters.seen = Instant::now();
        match is_up(&self.interface.name) {
            Some(up) => self.counters.note(!up),
            None => return Err(gone(&self.interface.name)),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), LiveError> {
        if self.phase != Phase::Ended {
            self.sample(Instant::now())?;
            self.phase = Phase::Ended;
        }
        Ok(())
    }

    /// Reads the kernel's counters; gives the packets that it put into the ring so far.
    fn sample(&mut self, now: Instant) -> Result<u64, LiveError> {
        let stat = self.interface.capture.stats().map_err(|error| lost(&self.interface.name, &error))?;
        let Counters { received, dropped, interface, sampled, losses, .. } = &mut self.counters;
        let (received, dropped) = (received.read(stat.received), dropped.read(stat.dropped));
        losses.set(dropped, interface.read(stat.if_dropped));
        *sampled = now;
        Ok(received.saturating_sub(dropped))
    }
}

/// A batch that is being filled.
struct Intaking<'a> {
    source: &'a mut LiveSource,
    packets: &'a mut Packets,
    /// Packets that it may hold.
    room: usize,
    /// When the first one was taken from the ring.
    since: Instant,
}

impl Arrivals for Intaking<'_> {
    fn present(&mut self) -> usize {
        self.source.take(self.packets, self.room);
        self.packets.len()
    }

    /// By the kernel's time stamp, so that its latency counts; at least the time since then, in case its clock was set.
    fn waited(&mut self) -> Duration {
        let first = self.packets.iter().next().map(|(packet, _)| packet.timestamp.as_nanos());
        let came = Duration::from_nanos(first.unwrap_or(0).try_into().unwrap_or(0));
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        now.saturating_sub(came).max(self.since.elapsed())
    }

    fn rest(&mut self, most: Duration) -> bool {
        if self.source.pending.is_some() || self.source.is_over(Instant::now()) {
            return false;
        }
        match PollTimeout::try_from(most.min(Duration::from_millis(PATIENCE.into()))) {
            Ok(timeout) if timeout != PollTimeout::ZERO => self.source.poll(timeout).is_ok(),
            _ => {
                std::thread::sleep(most.min(NAP));
                true
            }
        }
    }
}

impl Source for LiveSource {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.receive(batch).map_err(|error| {
            // Counted on the way out where that is still possible; the fault itself is what matters.
            let _ = self.sample(Instant::now());
            self.phase = Phase::Ended;
            Fault::new(error)
        })
    }

    fn is_idle(&self) -> bool {
        self.idle
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.intake.bytes, total_bytes: None }
    }

    fn dropped(&self) -> u64 {
        self.counters.losses.total()
    }

    /// Has the kernel keep packets from now on, if the interface was [paused](Interface::pause), and numbers them behind those.
    fn skip(&mut self, packets: u64) -> Result<(), Fault> {
        self.before = packets;
        self.interface.resume().map_err(Fault::new)
    }

    fn pace(&mut self, pace: Pace) {
        self.full = pace.full;
        if let Some(patience) = pace.patience {
            self.patience = Some(patience.min(self.interface.latency));
        }
    }
}

fn lost(interface: &str, error: &pcap::Error) -> LiveError {
    let reason = one_line(error);
    if reason.contains("disappeared") {
        return gone(interface);
    }
    LiveError::Lost { interface: interface.to_owned(), reason }
}

/// An interface that was removed; a new one of its name is another.
fn gone(interface: &str) -> LiveError {
    let reason = "the interface disappeared; to listen to a new one of that name needs CAP_NET_RAW, which was given up: start again";
    LiveError::Lost { interface: interface.to_owned(), reason: reason.into() }
}
