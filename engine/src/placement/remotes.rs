//! Instances of bricks elsewhere.

use super::process::Process;
use super::{Address, Order, Placement, Site};
use crate::supply::Maker;
use crate::{Error, Session};
use legonf_core::{Brick, State};
use legonf_runtime::{GraphSpec, Supplier, SupplyError};
use legonf_transport::tls::Identity;
use legonf_transport::{Channel, Loss, Remote, Stream};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a host may take to accept a connection.
const CONNECTING: Duration = Duration::from_secs(2);

/// Makes instances of bricks where a placement wants them.
pub(crate) struct Remotes {
    session: Session,
    placement: Placement,
    identity: Option<Identity>,
    order: Order,
    /// Of each instance on a host whether it was lost.
    instances: Mutex<Vec<(String, Loss)>>,
}

impl Remotes {
    /// Instances as a placement wants them, of bricks of a graph that are ordered like this; nothing where it wants none.
    ///
    /// # Errors
    /// If a place names no brick of the graph, a host has no address, or a model or the certificates cannot be read.
    pub fn of(
        session: &Session,
        placement: &Placement,
        spec: &GraphSpec,
        order: impl FnOnce() -> Result<Order, Error>,
    ) -> Result<Option<Self>, Error> {
        if placement.places.is_empty() {
            return Ok(None);
        }
        let bricks: Vec<_> = spec.bricks.iter().map(|brick| &*brick.id).collect();
        for place in &placement.places {
            let replica = place.replica.map_or_else(String::new, |replica| format!("#{replica}"));
            let option = format!("--place {}{replica}", place.brick);
            if !bricks.contains(&&*place.brick) {
                return Err(Error::refused(format!(
                    "{option}: the graph has no such brick (there are: {})",
                    bricks.join(", ")
                )));
            }
            if let Site::Host(name) = &place.site
                && !placement.hosts.iter().any(|host| host.name == *name)
            {
                let known: Vec<_> = placement.hosts.iter().map(|host| &*host.name).collect();
                let known = if known.is_empty() { "none is given".to_owned() } else { known.join(", ") };
                return Err(Error::refused(format!(
                    "{option}={name}: no --host has this name ({known}); give its address as --host {name}=HOST:PORT"
                )));
            }
        }
        let identity = placement.cluster.as_deref().map(Identity::load).transpose();
        let identity = identity.map_err(|error| Error::refused(format!("--cluster: {error}")))?;
        let (session, placement, instances) = (*session, placement.clone(), Mutex::default());
        Ok(Some(Self { session, placement, identity, order: order()?, instances }))
    }

    /// The brick where it is to be; `brick` is one that was made here.
    ///
    /// # Errors
    /// If it cannot be made there.
    pub fn place(
        &self,
        id: &str,
        replica: usize,
        mut brick: Box<dyn Brick>,
    ) -> Result<Box<dyn Brick>, Error> {
        let site = self.placement.of(id, replica);
        if *site == Site::Here {
            return Ok(brick);
        }
        check(id, &mut *brick)?;
        let (place, channel, host): (String, Box<dyn Channel>, _) = match site {
            Site::Here => return Ok(brick),
            Site::Process => ("a process of its own".into(), self.start()?, None),
            Site::Host(name) => (format!("host `{name}`"), self.reach(name)?, Some(name)),
        };
        let order = self.order.of(id);
        let remote = Remote::connect(&mut *brick, channel, &place, self.placement.lease, &order);
        let remote = remote.map_err(|error| Error::refused(error.to_string()))?;
        if let Some(name) = host {
            self.instances().push((name.clone(), remote.loss()));
        }
        Ok(Box::new(remote))
    }

    /// As [`place`](Self::place) while a graph runs: where the brick cannot be made there, or the host has lost one before, it runs here.
    pub fn place_running(
        &self,
        id: &str,
        replica: usize,
        brick: impl Fn() -> Result<Box<dyn Brick>, Error>,
    ) -> Result<Box<dyn Brick>, Error> {
        let site = self.placement.of(id, replica);
        let reason = match site {
            Site::Host(name) if self.has_lost(name) => format!("host `{name}` has lost an instance"),
            _ => match self.place(id, replica, brick()?) {
                Ok(placed) => return Ok(placed),
                Err(error) => error.to_string(),
            },
        };
        self.session.observer.note(&format!("{id}#{replica} runs in this process from now on: {reason}"));
        brick()
    }

    fn has_lost(&self, host: &str) -> bool {
        self.instances().iter().any(|(name, loss)| name == host && loss.is_lost())
    }

    fn instances(&self) -> std::sync::MutexGuard<'_, Vec<(String, Loss)>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Box<dyn Channel>, Error> {
        let Some(arguments) = self.session.host else {
            return Err(Error::refused("this program hosts no bricks in processes of their own"));
        };
        let started = Process::start(arguments);
        let failed = |error| Error::refused(format!("a process for a brick cannot be started: {error}"));
        Ok(Box::new(started.map_err(failed)?))
    }

    fn reach(&self, name: &str) -> Result<Box<dyn Channel>, Error> {
        let known = self.placement.hosts.iter().find(|host| host.name == name);
        let host = known.ok_or_else(|| Error::refused(format!("host `{name}` has no address")))?;
        let failed = |error: &dyn std::fmt::Display| {
            Error::refused(format!("host `{name}` ({}): {error}", host.address))
        };
        self.connect(host).map_err(|error| failed(&error))
    }

    fn connect(&self, host: &Address) -> Result<Box<dyn Channel>, Error> {
        let address = host.resolve()?;
        if self.identity.is_none() && !address.ip().is_loopback() {
            let reason = "a host beyond loopback is reached with certificates alone: give their folder as --cluster DIR (`legonf cluster init` makes them)";
            return Err(Error::refused(reason));
        }
        let socket = TcpStream::connect_timeout(&address, CONNECTING)?;
        Ok(Box::new(match &self.identity {
            None => Stream::plain(socket)?,
            Some(identity) => identity.connect(&host.name, socket, CONNECTING)?,
        }))
    }
}

/// The graph's own brick where it is to be.
///
/// # Errors
/// As [`Remotes::place`].
pub(crate) fn placed(
    remotes: Option<&Remotes>,
    id: &str,
    brick: Box<dyn Brick>,
) -> Result<Box<dyn Brick>, Error> {
    match remotes {
        Some(remotes) => remotes.place(id, 0, brick),
        None => Ok(brick),
    }
}

/// Makes bricks for a graph that runs, each where it is to be.
pub(crate) struct Placed<'a> {
    pub maker: &'a Maker<'a>,
    pub remotes: &'a Remotes,
}

impl Supplier for Placed<'_> {
    fn supply(&self, id: &str, replica: usize) -> Result<Box<dyn Brick>, SupplyError> {
        let make = || self.maker.make(id);
        self.remotes.place_running(id, replica, make).map_err(SupplyError::new)
    }
}

/// Refuses a brick whose state could not be brought back: after the loss of its process the run would have to end.
fn check(id: &str, brick: &mut dyn Brick) -> Result<(), Error> {
    let descriptor = brick.descriptor();
    if descriptor.state == State::Stateless || brick.west_east().is_some() {
        return Ok(());
    }
    let reason = "keeps state that cannot be divided, so that no checkpoint of it can be kept; it runs in this process";
    Err(Error::refused(format!("--place {id}: {} {reason}", descriptor.kind)))
}
