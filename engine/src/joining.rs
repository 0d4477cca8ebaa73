//! Hosts that join a cluster by a token: the side that admits them, and the side of the new host.

use crate::certificates::{self, write};
use crate::hosting::{accepted, listen};
use crate::placement::resolve;
use crate::{Error, Session};
use legonf_transport::join::{Admission, JoinError, Terms, Token};
use legonf_transport::tls::{OF_A_HOST, Pem};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long whoever connects may take to join.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the new host waits, which may find that others join before it.
const WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether somebody connects.
const LOOK: Duration = Duration::from_millis(50);
/// Connections at the same time at most; further ones wait.
const MOST: usize = 8;

/// Admits hosts to a cluster for some time.
#[derive(Clone, Debug)]
pub struct Accepting {
    /// The folder with the authority's key.
    pub authority: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How long.
    pub time: Duration,
    /// The names of the hosts that may join; any that is free where this is empty.
    pub names: Vec<String>,
    /// How long the certificates hold.
    pub valid: Duration,
}

/// What happens while hosts are admitted.
#[derive(Clone, Copy, Debug)]
pub enum Admitted<'a> {
    /// It listens, and admits hosts by a token.
    Listening {
        /// Where.
        address: SocketAddr,
        /// The token as text, which goes to the new hosts and to nobody else.
        token: &'a str,
    },
    /// A host has joined.
    Joined {
        /// Its name.
        name: &'a str,
        /// Where it connected from.
        from: SocketAddr,
    },
}

impl Accepting {
    /// Admits hosts until all that are named have joined, or the time is over. `tell` is told of what happens.
    /// Before that this thread gives up all rights that it does not need, where this program is built with `live`.
    ///
    /// # Errors
    /// If there is no authority, or it cannot listen; if the time is over and a host that is named has not joined, or the session is
    /// stopped before.
    pub fn run<E: From<Error>>(
        &self,
        session: &Session,
        mut tell: impl FnMut(Admitted<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (admission, listener) = self.begin()?;
        let (end, token) = (Instant::now() + self.time, admission.token().text());
        let address = listener.local_addr().map_err(Error::from)?;
        tell(Admitted::Listening { address, token: &token })?;
        let (outcomes, finished) = mpsc::channel();
        let (mut open, mut missing) = (0, self.names.clone());
        loop {
            if self.is_done(&missing) {
                return Ok(());
            }
            if session.is_stopped() {
                return Err(Error::Interrupted(left(&missing)).into());
            }
            if Instant::now() >= end {
                return if missing.is_empty() { Ok(()) } else { Err(late(&missing).into()) };
            }
            while open < MOST && admit(session, &admission, &listener, &outcomes)? {
                open += 1;
            }
            let Ok((from, outcome)) = finished.recv_timeout(LOOK) else { continue };
            open -= 1;
            match outcome {
                Ok(name) => {
                    missing.retain(|other| !other.eq_ignore_ascii_case(&name));
                    tell(Admitted::Joined { name: &name, from })?;
                }
                Err(error) => session.observer.note(&format!("{from}: not admitted: {error}")),
            }
        }
    }

    fn begin(&self) -> Result<(Arc<Admission>, TcpListener), Error> {
        let terms =
            Terms { until: SystemTime::now() + self.time, names: self.names.clone(), valid: self.valid };
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| Error::refused(format!("no random numbers: {error}")))?;
        let admission = Admission::new(&self.authority, terms, secret)?;
        let listener = listen("--listen", self.listen)?;
        // The authority is read and the socket listens: nothing else is needed before what others send is read.
        #[cfg(feature = "live")]
        crate::hosting::give_up(None, true)?;
        Ok((Arc::new(admission), listener))
    }

    fn is_done(&self, missing: &[String]) -> bool {
        !self.names.is_empty() && missing.is_empty()
    }
}

type Outcome = (SocketAddr, Result<String, JoinError>);

/// Takes a connection, if there is one, and lets a thread answer it.
fn admit(
    session: &Session,
    admission: &Arc<Admission>,
    listener: &TcpListener,
    outcomes: &Sender<Outcome>,
) -> Result<bool, Error> {
    let Some((socket, from)) = accepted(session, listener) else { return Ok(false) };
    let (admission, outcomes) = (admission.clone(), outcomes.clone());
    let work = move || {
        let outcome = admission.admit(socket, PATIENCE, SystemTime::now());
        // Nobody waits any more where the time is over.
        let _ = outcomes.send((from, outcome));
    };
    thread::Builder::new().name(format!("for {from}")).spawn(work)?;
    Ok(true)
}

fn left(missing: &[String]) -> String {
    let names =
        if missing.is_empty() { String::new() } else { format!("; not joined: {}", missing.join(", ")) };
    format!("the token holds no more{names}")
}

fn late(missing: &[String]) -> Error {
    let remedy = "run `legonf cluster accept` again, for longer";
    Error::refused(format!("the time is over, and not joined: {}; {remedy}", missing.join(", ")))
}

/// A host that joins a cluster: this one.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The folder to make, with this host's certificate and key.
    pub folder: PathBuf,
    /// The name of this host.
    pub name: String,
    /// Where the other side listens: host and port.
    pub address: String,
    /// The token.
    pub token: Token,
}

impl Joining {
    /// Joins, and writes the folder.
    ///
    /// # Errors
    /// If there are such files already, unless the session replaces them; if the other side does not answer or does not admit this host, or the
    /// files cannot be written. Then there is no folder that was not there before.
    pub fn run(&self, session: &Session) -> Result<(), Error> {
        let host = legonf_transport::join::Joining::new(&self.name, self.token.clone())?;
        let was_there = self.folder.exists();
        // Before the name is taken: what is asked for can be written.
        let joined = certificates::prepare(session, &self.folder, &OF_A_HOST)
            .and_then(|_| self.ask(&host))
            .and_then(|files| write(session, &self.folder, &files));
        if joined.is_err() && !was_there {
            remove(&self.folder);
        }
        joined
    }

    fn ask(&self, host: &legonf_transport::join::Joining) -> Result<[Pem; 3], Error> {
        let at = |reason: &dyn std::fmt::Display| {
            let now = SystemTime::now();
            let expired = "the token has expired: run `legonf cluster accept` again, and take its new token";
            let reason = if self.token.is_expired(now) { expired.to_owned() } else { reason.to_string() };
            Error::refused(format!("{}: {reason}", self.address))
        };
        let address = resolve(&self.address).map_err(|error| at(&error))?;
        let socket = TcpStream::connect_timeout(&address, PATIENCE);
        let remedy = "is this where `legonf cluster accept` listens, and does it still run?";
        let socket = socket.map_err(|error| at(&format!("{error}: {remedy}")))?;
        host.join(socket, WAIT, SystemTime::now()).map_err(|error| at(&error))
    }
}

/// Removes a folder that was made for nothing.
fn remove(folder: &Path) {
    // What cannot be removed, or is not empty, was told of by the fault itself.
    let _ = fs::remove_dir(folder);
}
