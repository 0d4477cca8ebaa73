//! A hot standby: a second process that runs the same graph over the same packets, and goes on where the first one dies.

mod following;
mod leading;

use crate::hosting::{accepted, keep_alive, wait_for_one};
use crate::placement::{Address, REMEDY, Reach, identity};
use crate::scoring::Function;
use crate::{Error, Seed, Session};
use following::Following;
use leading::Leading;
use legonf_coordination::Coordination;
use legonf_core::{Columns, Source};
use legonf_io::Content;
use legonf_transport::Stream;
use legonf_transport::standby::{Agreement, Introduced, Introduction, Primary, Replica, Run};
use legonf_transport::tls::Identity;
use serde::Serialize;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The columns that sources of packets and headers fill.
const OF_SOURCES: Columns = Columns::PACKETS.union(Columns::HEADERS);
/// How long whoever connects may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);
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
        let listener = self.follow.map(|address| listen(address, identity.is_some())).transpose()?;
        Ok(Some(Opened {
            standby: self.standby.clone(),
            listener,
            identity,
            cluster: cluster.map(Path::to_owned),
            coordination: coordination.into(),
        }))
    }
}

fn listen(address: SocketAddr, has_identity: bool) -> Result<TcpListener, Error> {
    if !has_identity && !address.ip().is_loopback() {
        return Err(Error::refused(format!(
            "--follow {address}: beyond loopback a standby needs certificates: {REMEDY}"
        )));
    }
    let refused = |error| Error::refused(format!("--follow {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn coordination_error(error: legonf_coordination::CoordinationError) -> Error {
    Error::refused(format!("--coordination: {error}"))
}

/// What is open for a run with a hot standby.
pub(crate) struct Opened {
    standby: Option<Address>,
    listener: Option<TcpListener>,
    identity: Option<Identity>,
    cluster: Option<PathBuf>,
    coordination: Arc<dyn Coordination>,
}

/// A run with a hot standby, whose other side is known.
pub(crate) struct Partner {
    opened: Opened,
    lease: Duration,
    replica: Option<Replica>,
}

impl Opened {
    /// Where this is the standby, waits for the primary.
    ///
    /// # Errors
    /// If the session is stopped meanwhile, or the coordination cannot be reached.
    pub(crate) fn meet(self, session: &Session, lease: Duration) -> Result<Partner, Error> {
        self.coordination.check().map_err(coordination_error)?;
        let replica = self
            .listener
            .as_ref()
            .map(|listener| self.await_primary(session, listener, lease))
            .transpose()?;
        Ok(Partner { opened: self, lease, replica })
    }

    fn await_primary(
        &self,
        session: &Session,
        listener: &TcpListener,
        lease: Duration,
    ) -> Result<Replica, Error> {
        session.observer.note(&format!("waiting for the primary, at {}", listener.local_addr()?));
        let mut first: Option<Introduction> = None;
        while !session.is_stopped() {
            let Some((socket, from)) = accepted(session, listener) else {
                wait_for_one(listener)?;
                continue;
            };
            let introduced = keep_alive(&socket).and_then(|()| self.introduced(socket));
            match (introduced, first.take()) {
                (Err(error), kept) => {
                    session.observer.note(&format!("{from}: {error}"));
                    first = kept;
                }
                (Ok(beats), Some(packets)) if beats.is_of_beats() && beats.is_of_the_same_run(&packets) => {
                    return Replica::new(packets, beats, lease, session.stop)
                        .map_err(|error| Error::refused(error.to_string()));
                }
                // Whoever begins anew has given up before.
                (Ok(packets), _) if !packets.is_of_beats() => first = Some(packets),
                (Ok(_), kept) => first = kept,
            }
        }
        Err(Error::Interrupted("stopped while it waited for its primary".into()))
    }

    fn introduced(&self, socket: std::net::TcpStream) -> Result<Introduction, Error> {
        let stream = match &self.identity {
            None => Stream::plain(socket)?,
            Some(identity) => identity.accept(socket, INTRODUCTION)?,
        };
        Introduction::of(stream, INTRODUCTION).map_err(|error| Error::refused(error.to_string()))
    }
}

impl Partner {
    /// The seed of the primary, where this is the standby.
    pub fn seed(&self) -> Option<Seed> {
        self.replica.as_ref()?.seed().map(Seed::Given)
    }

    /// A source that gives every packet to the standby, or takes those of the primary, once both sides have found that they run the same.
    ///
    /// # Errors
    /// If they do not, or the other side is gone.
    pub(crate) fn join(
        self,
        session: &Session,
        function: &Function,
        (content, source): (Content, Box<dyn Source>),
    ) -> Result<(Box<dyn Source>, Joined), Error> {
        if content == Content::Features {
            return Err(Error::refused(
                "--standby: a table of features needs none; give a capture or an interface",
            ));
        }
        let agreement = function.agreement(content)?;
        let Self { opened, lease, replica } = self;
        let Some(mut replica) = replica else {
            return opened.lead(session, (function, &agreement), lease, source);
        };
        replica.agree(&agreement).map_err(|error| Error::refused(format!("--follow: {error}")))?;
        let report = Shared::new(StandbyReport::Standby { accepted: 0, dropped: 0, takeover_ms: None });
        let following = Following::new(session, source, replica, opened.coordination, report.clone());
        Ok((Box::new(following), Joined(report)))
    }
}

impl Opened {
    fn lead(
        self,
        session: &Session,
        (function, agreement): (&Function, &Agreement),
        lease: Duration,
        source: Box<dyn Source>,
    ) -> Result<(Box<dyn Source>, Joined), Error> {
        let standby = self.standby.ok_or_else(|| Error::refused("--standby is missing"))?;
        let name = run_name()?;
        let reach = Reach {
            hosts: vec![standby.clone()],
            named: Vec::new(),
            identity: identity(self.cluster.as_deref())?,
            lease,
        };
        let Address { name: host, address } = &standby;
        let failed = |error: &dyn std::fmt::Display| {
            let remedy = "start it first, with --follow";
            Error::refused(format!("--standby {host}={address}: {error}; {remedy}"))
        };
        let connect = || reach.connect(&standby).map_err(|error| failed(&error));
        let run = Run { name: &name, seed: function.slot_seed(), agreement };
        let refused = |error| Error::refused(format!("--standby {host}={address}: {error}"));
        let introduced = |is_beats| Introduced::of(connect()?, run, is_beats, INTRODUCTION).map_err(refused);
        let (packets, beats) = (introduced(false)?, introduced(true)?);
        let primary = Primary::meet(packets, beats, run, lease, session.stop).map_err(refused)?;
        let report = Shared::new(StandbyReport::Primary { accepted: 0, lost: None });
        let settling = Settling { session: *session, run: name, coordination: self.coordination };
        let leading = Leading::new(source, primary, standby.name, settling, report.clone());
        Ok((Box::new(leading), Joined(report)))
    }
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

/// A name that no other run has.
fn run_name() -> Result<String, Error> {
    let bits = getrandom::u64().map_err(|error| Error::refused(format!("no random numbers: {error}")))?;
    let mut name = String::from("run-");
    write!(name, "{bits:016x}").expect("writing into memory cannot fail");
    Ok(name)
}
