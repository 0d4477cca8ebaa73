//! Hosts that bricks can run on: how they are reached, and what they have left.

use super::{Address, Placement, Site};
use crate::{Error, Session};
use legonf_core::HostLoad;
use legonf_transport::tls::{Identity, TlsError};
use legonf_transport::{Channel, ConnectError, Peer, Stream};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::ops::Add;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How long a host may take to accept a connection.
const CONNECTING: Duration = Duration::from_secs(2);
/// How often a host is asked what it has left, and how often one is tried again that did not answer.
const PERIOD: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_secs(1);

/// What to do where certificates are missing.
pub(crate) const REMEDY: &str = "give their folder as --cluster DIR (`legonf cluster init` makes them)";

/// Who this host is, by the folder of its certificates; nobody without one.
///
/// # Errors
/// Names the folder, if they cannot be read.
pub(crate) fn identity(cluster: Option<&Path>) -> Result<Option<Identity>, Error> {
    let identity = cluster.map(Identity::load).transpose();
    identity.map_err(|error| Error::refused(format!("--cluster: {error}")))
}

/// How hosts are reached.
#[derive(Clone)]
pub(crate) struct Reach {
    pub hosts: Vec<Address>,
    /// Those that a place names.
    pub named: Vec<String>,
    pub identity: Option<Identity>,
    pub lease: Duration,
}

impl Reach {
    /// Those of a placement.
    ///
    /// # Errors
    /// If a name is given twice, or the certificates cannot be read.
    pub fn of(placement: &Placement) -> Result<Self, Error> {
        for (at, host) in placement.hosts.iter().enumerate() {
            let Some(first) = placement.hosts[..at].iter().find(|first| first.name == host.name) else {
                continue;
            };
            let Address { name, address } = host;
            let reason = format!("it is given as {} and as {address}; leave one of both out", first.address);
            return Err(Error::refused(format!("--host {name}: {reason}")));
        }
        let named = placement.places.iter().filter_map(|place| match &place.site {
            Site::Host(name) => Some(name.clone()),
            Site::Here | Site::Process => None,
        });
        let (hosts, named) = (placement.hosts.clone(), named.collect());
        let identity = identity(placement.cluster.as_deref())?;
        Ok(Self { hosts, named, identity, lease: placement.lease })
    }

    /// A channel to the agent of a host.
    ///
    /// # Errors
    /// Names the host, if it cannot be reached or has another name.
    pub fn channel(&self, name: &str) -> Result<Box<dyn Channel>, Error> {
        let known = self.hosts.iter().find(|host| host.name == name);
        let host = known.ok_or_else(|| Error::refused(format!("host `{name}` has no address")))?;
        Ok(Box::new(self.connect(host).map_err(|reason| failed(host, &reason))?))
    }

    /// The agent of a host.
    ///
    /// # Errors
    /// As [`channel`](Self::channel), and if it is of another version.
    pub fn meet(&self, name: &str) -> Result<Peer, Error> {
        self.meet_over(self.channel(name)?, name)
    }

    fn meet_over(&self, channel: Box<dyn Channel>, name: &str) -> Result<Peer, Error> {
        let peer = Peer::meet(channel, &format!("host `{name}`"), self.lease);
        peer.map_err(|error: ConnectError| Error::refused(error.to_string()))
    }

    /// The agent of a host at the start of a run; nothing where nobody listens there yet, and no place names the host.
    fn meet_first(&self, session: &Session, host: &Address) -> Result<Option<Peer>, Error> {
        match self.connect(host) {
            Ok(channel) => Ok(Some(self.meet_over(Box::new(channel), &host.name)?)),
            Err(Unreached::Silent(reason)) if !self.named.contains(&host.name) => {
                let Address { name, address } = host;
                let text = format!(
                    "host `{name}` ({address}) does not answer yet ({reason}); it is used once it does"
                );
                session.observer.note(&text);
                Ok(None)
            }
            Err(reason) => Err(failed(host, &reason)),
        }
    }

    /// A connection to a host.
    ///
    /// # Errors
    /// If it cannot be reached or has another name.
    pub fn connect(&self, host: &Address) -> Result<Stream, Unreached> {
        let address = resolve(&host.address)?;
        if self.identity.is_none() && !address.ip().is_loopback() {
            return Err(Unreached::Unknown);
        }
        let socket = TcpStream::connect_timeout(&address, CONNECTING)?;
        Ok(match &self.identity {
            None => Stream::plain(socket)?,
            Some(identity) => identity.connect(&host.name, socket, CONNECTING)?,
        })
    }
}

/// Why there is no channel to a host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreached {
    /// The name has no address, or nobody listens there.
    #[error("{0}")]
    Silent(#[from] io::Error),
    #[error("a host beyond loopback is reached with certificates alone: {REMEDY}")]
    Unknown,
    #[error("{0}")]
    Certificates(#[from] TlsError),
}

fn failed(host: &Address, reason: &Unreached) -> Error {
    Error::refused(format!("host `{}` ({}): {reason}", host.name, host.address))
}

/// What hosts have left, as each said last.
pub(crate) struct Hosts(Vec<Arc<Watched>>);

struct Watched {
    name: String,
    /// None where it does not answer.
    load: Mutex<Option<HostLoad>>,
    /// How often its agent has answered anew after it had not.
    incarnation: AtomicU64,
}

impl Watched {
    fn load(&self) -> MutexGuard<'_, Option<HostLoad>> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosts {
    /// Begins to watch hosts, each by a thread that ends when nobody asks any more. A host that no place names may come later.
    ///
    /// # Errors
    /// If one that a place names cannot be reached now, one that answers is none of the cluster or of another version, or the system has
    /// no further thread.
    pub fn watch(session: &Session, reach: &Reach) -> Result<Self, Error> {
        let mut all = Vec::new();
        for host in &reach.hosts {
            let mut peer = reach.meet_first(session, host)?;
            let load = peer.as_mut().map(Peer::load).transpose();
            let load = load.map_err(|error| Error::refused(error.to_string()))?.map(|load| load.host);
            let (load, incarnation) = (Mutex::new(load), AtomicU64::new(0));
            let watched = Arc::new(Watched { name: host.name.clone(), load, incarnation });
            let (weak, reach, session) = (Arc::downgrade(&watched), reach.clone(), *session);
            let watch = move || look_again_and_again(&session, &reach, &weak, peer);
            thread::Builder::new().name(format!("host {}", host.name)).spawn(watch)?;
            all.push(watched);
        }
        Ok(Self(all))
    }

    /// What the hosts that answer have together.
    pub fn sum(&self) -> HostLoad {
        self.0.iter().filter_map(|host| host.load().clone()).fold(HostLoad::default(), Add::add)
    }

    /// How often the agent of a host has answered anew: what was lost before that says nothing of the agent that is there now.
    pub fn incarnation(&self, name: &str) -> u64 {
        let found = self.0.iter().find(|host| host.name == name);
        found.map_or(0, |host| host.incarnation.load(Relaxed))
    }

    /// The host with the most free cores for its instances, of which it has so many already.
    pub fn freest(&self, instances: impl Fn(&str) -> Option<usize>) -> Option<String> {
        let left = |host: &Arc<Watched>| {
            let cores = host.load().as_ref()?.cores;
            Some((cores - instances(&host.name)? as f64, host.name.clone()))
        };
        let all = self.0.iter().filter_map(left);
        all.filter(|(left, _)| *left > 0.0).reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|(_, name)| name)
    }
}

fn look_again_and_again(session: &Session, reach: &Reach, watched: &Weak<Watched>, mut peer: Option<Peer>) {
    let (mut was_silent, mut is_new) = (peer.is_none(), peer.is_none());
    loop {
        let answered = peer.as_mut().and_then(|peer| peer.load().ok()).map(|load| load.host);
        let silent = answered.is_none();
        // What it hangs on is dropped before the pause, so that it can go meanwhile.
        let Some(host) = watched.upgrade().filter(|_| !session.is_stopped()) else { return };
        *host.load() = answered;
        let name = host.name.clone();
        drop(host);
        if silent != was_silent {
            let change = match (silent, is_new) {
                (true, _) => "does not answer any more",
                (false, true) => "answers",
                (false, false) => "answers again",
            };
            is_new = false;
            session.observer.note(&format!("host `{name}` {change}"));
        }
        was_silent = silent;
        thread::sleep(if silent { AGAIN } else { PERIOD });
        if silent && let Ok(again) = reach.meet(&name) {
            peer = Some(again);
            if let Some(host) = watched.upgrade() {
                host.incarnation.fetch_add(1, Relaxed);
            }
        }
    }
}

/// The address that a host and a port have.
pub(crate) fn resolve(address: &str) -> io::Result<SocketAddr> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    address.to_socket_addrs()?.next().ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(loads: &[(&str, Option<f64>)]) -> Hosts {
        let watched = |(name, cores): &(&str, Option<f64>)| {
            let load = cores.map(|cores| HostLoad { cores, used: 0.5, stolen: 0.0, memory: 7 });
            let (load, incarnation) = (Mutex::new(load), AtomicU64::new(0));
            Arc::new(Watched { name: (*name).to_owned(), load, incarnation })
        };
        Hosts(loads.iter().map(watched).collect())
    }

    #[test]
    fn a_host_with_a_free_core_that_answers_is_taken() {
        let all = hosts(&[("a", Some(2.0)), ("b", Some(4.0)), ("c", None)]);
        assert_eq!((all.sum().cores, all.sum().used, all.sum().memory), (6.0, 1.0, 14));
        assert_eq!(all.freest(|_| Some(0)), Some("b".into()));
        assert_eq!(all.freest(|name| Some(if name == "b" { 3 } else { 0 })), Some("a".into()));
        // One that has lost an instance gets none.
        assert_eq!(all.freest(|name| (name != "b").then_some(1)), Some("a".into()));
        assert_eq!(all.freest(|_| Some(4)), None);
    }
}
