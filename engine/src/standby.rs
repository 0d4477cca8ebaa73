//! A hot standby: a second process that runs the same graph over the same packets, and goes on where the first one dies.

mod following;
mod leading;

use crate::hosting::{INTRODUCTION, accepted, listen_for_hosts, secured, wait_for_one};
use crate::placement::{Address, Reach, identity};
use crate::scoring::Function;
use crate::seed::random_bits;
use crate::{Error, Seed, Session};
use following::Following;
use leading::Leading;
use legonf_coordination::Coordination;
use legonf_core::{Columns, Source};
use legonf_io::Content;
use legonf_transport::standby::{Introduced, Introduction, Primary, Replica, Run};
use legonf_transport::tls::Identity;
use serde::Serialize;
use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The columns that sources of packets and headers fill.
const OF_SOURCES: Columns = Columns::PACKETS.union(Columns::HEADERS);
/// How long to wait before whoever settles who goes on is asked once more.
const AGAIN: Duration = Duration::from_millis(100);
/// The decisions that there can be.
const PRIMARY: &str = "the primary goes on";
const STANDBY: &str = "the standby goes on";

/// A second process that runs the same graph over the same packets, for the case that the first one dies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct HotStandby {
    /// Give every packet to a hot standby before it is used here: the same command on another host, with --follow. If this process dies,
    /// that one goes on, and no packet that was taken is lost.
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "NAME=HOST:PORT", requires = "coordination", conflicts_with = "follow")
    )]
    pub standby: Option<Address>,
    /// Be the hot standby of a run that names this address as --standby: use the packets that it takes, and go on with those of the
    /// interface or capture named here when it is lost. Start this one first.
    #[cfg_attr(feature = "clap", arg(long, value_name = "ADDRESS:PORT", requires = "coordination"))]
    pub follow: Option<SocketAddr>,
    /// Where both settle which of them goes on, if they lose sight of each other: etcd, or a folder that both can write to. Both must be given
    /// the same.
    #[cfg_attr(feature = "clap", arg(long, value_name = "DIR|etcd=URL"))]
    pub coordination: Option<String>,
}

/// What became of a run with a hot standby.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub enum StandbyReport {
    /// This was the primary.
    Primary {
        /// Packets of which the standby had each before it was used.
        accepted: u64,
        /// Why the standby was lost, if it was.
        lost: Option<String>,
    },
    /// This was the standby.
    Standby {
        /// Packets that came from the primary.
        accepted: u64,
        /// Packets that were lost before the primary could read them.
        dropped: u64,
        /// Milliseconds from the moment when the primary was known to be lost until packets of its own were read; none where that was not.
        takeover_ms: Option<f64>,
    },
}

/// A report that the source writes while it runs.
#[derive(Clone)]
struct Shared(Arc<Mutex<StandbyReport>>);

impl Shared {
    fn new(report: StandbyReport) -> Self {
        Self(Arc::new(Mutex::new(report)))
    }

    fn get(&self) -> MutexGuard<'_, StandbyReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HotStandby {
    /// Whether there is one.
    pub(crate) fn is_used(&self) -> bool {
        self.standby.is_some() || self.follow.is_some()
    }

    /// Checks what can be known before anything runs, and listens if this is the standby.
    ///
    /// # Errors
    /// Names the option that cannot be as it is.
    pub(crate) fn open(&self, cluster: Option<&Path>) -> Result<Option<Opened>, Error> {
        if !self.is_used() {
            let needless = self.coordination.is_some();
            let reason = "--coordination: neither --standby nor --follow is given, so there is nothing to settle; leave it out";
            return if needless { Err(Error::refused(reason)) } else { Ok(None) };
        }
        let place =
            self.coordination.as_deref().ok_or_else(|| Error::refused("--coordination is missing"))?;
        let coordination = legonf_coordination::open(place).map_err(coordination_error)?;
        let identity = identity(cluster)?;
        let role = match (&self.standby, self.follow) {
            (Some(standby), _) => Role::Primary(standby.clone()),
            (None, Some(address)) => {
                Role::Standby(listen_for_hosts("--follow", address, "a standby", identity.as_ref())?)
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Opened { role, identity, coordination: coordination.into() }))
    }
}

fn coordination_error(error: legonf_coordination::CoordinationError) -> Error {
    Error::refused(format!("--coordination: {error}"))
}

/// What is open for a run with a hot standby.
pub(crate) struct Opened {
    role: Role,
    identity: Option<Identity>,
    coordination: Arc<dyn Coordination>,
}

/// Which of both a process is to be.
enum Role {
    /// The primary of the standby there.
    Primary(Address),
    /// The standby of whoever connects.
    Standby(TcpListener),
}

/// The other side of a run with a hot standby.
pub(crate) enum Partner {
    /// A standby that is still to be connected to.
    Standby {
        address: Address,
        identity: Option<Identity>,
        coordination: Arc<dyn Coordination>,
        lease: Duration,
    },
    /// A primary that has connected.
    Primary { replica: Replica, coordination: Arc<dyn Coordination> },
}

/// Learns of the other side, if there is to be one: where this is the standby, waits for the primary.
///
/// # Errors
/// If the session is stopped meanwhile, or the coordination cannot be reached.
pub(crate) fn meet(
    opened: Option<Opened>,
    session: &Session,
    lease: Duration,
) -> Result<Option<Partner>, Error> {
    let Some(Opened { role, identity, coordination }) = opened else { return Ok(None) };
    coordination.check().map_err(coordination_error)?;
    Ok(Some(match role {
        Role::Primary(address) => Partner::Standby { address, identity, coordination, lease },
        Role::Standby(listener) => {
            let replica = await_primary(session, &listener, identity.as_ref(), lease)?;
            Partner::Primary { replica, coordination }
        }
    }))
}

/// Waits for the two connections of a primary.
fn await_primary(
    session: &Session,
    listener: &TcpListener,
    identity: Option<&Identity>,
    lease: Duration,
) -> Result<Replica, Error> {
    session.observer.note(&format!("waiting for the primary, at {}", listener.local_addr()?));
    let introduced = |socket| {
        let introduced = Introduction::of(secured(identity, socket)?, INTRODUCTION);
        introduced.map_err(|error| Error::refused(error.to_string()))
    };
    let mut first: Option<Introduction> = None;
    while !session.is_stopped() {
        let Some((socket, from)) = accepted(session, listener) else {
            wait_for_one(listener)?;
            continue;
        };
        match (introduced(socket), first.take()) {
            (Err(error), kept) => {
                session.observer.note(&format!("{from}: {error}"));
                first = kept;
            }
            (Ok(second), Some(packets))
                if second.is_of_heartbeats() && second.is_of_the_same_run(&packets) =>
            {
                let replica = Replica::new(packets, second, lease, session.stop);
                return replica.map_err(|error| Error::refused(error.to_string()));
            }
            // Whoever begins anew has given up before.
            (Ok(packets), _) if !packets.is_of_heartbeats() => first = Some(packets),
            (Ok(_), kept) => first = kept,
        }
    }
    Err(Error::Interrupted("stopped while it waited for its primary".into()))
}

impl Partner {
    /// The seed of the primary, where this is the standby.
    pub fn seed(&self) -> Option<Seed> {
        match self {
            Self::Standby { .. } => None,
            Self::Primary { replica, .. } => replica.seed().map(Seed::Given),
        }
    }

    fn join(
        self,
        session: &Session,
        function: &Function,
        (content, source): (Content, Box<dyn Source>),
    ) -> Result<(Box<dyn Source>, Joined), Error> {
        if content == Content::Features {
            let reason = "a table of features needs none; give a capture or an interface";
            return Err(Error::refused(format!("--standby: {reason}")));
        }
        let agreement = function.agreement(content)?;
        match self {
            Self::Primary { mut replica, coordination } => {
                replica.agree(&agreement).map_err(|error| Error::refused(format!("--follow: {error}")))?;
                let report =
                    Shared::new(StandbyReport::Standby { accepted: 0, dropped: 0, takeover_ms: None });
                let following = Following::new(session, source, replica, coordination, report.clone());
                Ok((Box::new(following), Joined(report)))
            }
            Self::Standby { address, identity, coordination, lease } => {
                let name = format!("run-{:016x}", random_bits()?);
                let run = Run { name: &name, seed: function.slot_seed(), agreement: &agreement };
                let primary = connect(session, (&address, identity), run, lease)?;
                let report = Shared::new(StandbyReport::Primary { accepted: 0, lost: None });
                let settling = Settling { session: *session, run: name, coordination };
                let leading = Leading::new(source, primary, address.name, settling, report.clone());
                Ok((Box::new(leading), Joined(report)))
            }
        }
    }
}

/// A source that gives every packet to the standby, or takes those of the primary, once both sides have found that they run the same; and what
/// becomes of that. Without a partner it is the source as it was.
///
/// # Errors
/// If both do not run the same, or the other side is gone.
pub(crate) fn join(
    partner: Option<Partner>,
    session: &Session,
    function: &Function,
    (content, source): (Content, Box<dyn Source>),
) -> Result<(Box<dyn Source>, Option<Joined>), Error> {
    let Some(partner) = partner else { return Ok((source, None)) };
    let (source, joined) = partner.join(session, function, (content, source))?;
    Ok((source, Some(joined)))
}

/// Connects to a standby, and waits until it is ready.
fn connect(
    session: &Session,
    (standby, identity): (&Address, Option<Identity>),
    run: Run<'_>,
    lease: Duration,
) -> Result<Primary, Error> {
    let reach = Reach { hosts: Vec::new(), named: Vec::new(), identity, lease };
    let Address { name, address } = standby;
    let refused = |error: &dyn Display| Error::refused(format!("--standby {name}={address}: {error}"));
    let introduced = |of_heartbeats| {
        let stream = reach.connect(standby);
        let stream = stream.map_err(|error| refused(&format!("{error}; start it first, with --follow")))?;
        Introduced::of(stream, run, of_heartbeats, INTRODUCTION).map_err(|error| refused(&error))
    };
    let (packets, heartbeats) = (introduced(false)?, introduced(true)?);
    let primary = Primary::meet(packets, heartbeats, run, lease, session.stop);
    primary.map_err(|error| refused(&error))
}

/// What becomes of a run with a hot standby.
pub(crate) struct Joined(Shared);

impl Joined {
    /// What did so far.
    pub fn report(&self) -> StandbyReport {
        self.0.get().clone()
    }
}

/// How it is settled which side goes on.
struct Settling {
    session: Session,
    run: String,
    coordination: Arc<dyn Coordination>,
}

impl Settling {
    /// Whether this side goes on: its proposal is the first. Asks until there is an answer.
    ///
    /// # Errors
    /// If the session is stopped before there is one.
    fn settle(&self, proposal: &'static str) -> Result<bool, Error> {
        let mut told = false;
        loop {
            let error = match self.coordination.decide(&self.run, proposal) {
                Ok(decision) => return Ok(decision == proposal),
                Err(error) => coordination_error(error),
            };
            if self.session.is_stopped() {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                self.session
                    .observer
                    .note(&format!("{error}; no packet is taken until it is settled who goes on"));
            }
            thread::sleep(AGAIN);
        }
    }
}
