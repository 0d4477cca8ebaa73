//! Instances of bricks elsewhere.

use super::process::Process;
use super::{CHECKPOINT, EVERY, Hosts, Location, Locations, Order, Placement, Reach, Site};
use crate::agent::cores;
use crate::supply::Maker;
use crate::{Error, Session};
use legonf_catalog::Takes;
use legonf_core::{Brick, State};
use legonf_runtime::{BrickSpec, GraphSpec, Supplier, SupplyError};
use legonf_transport::{Channel, Loss, Remote};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes instances of bricks where a placement wants them.
pub(crate) struct Remotes {
    session: Session,
    placement: Placement,
    reach: Reach,
    hosts: Arc<Hosts>,
    order: Order,
    /// Bricks whose model may change while they run.
    changing: Vec<String>,
    /// Those on hosts: all that are there, and those that were lost.
    instances: Mutex<Vec<Instance>>,
    locations: Arc<Locations>,
}

/// An instance elsewhere, and where that is.
type Elsewhere = (Box<dyn Brick>, Location);

/// An instance of a brick on a host.
struct Instance {
    host: String,
    /// Of the host, when it was made.
    incarnation: u64,
    loss: Loss,
}

impl Instance {
    fn is_held_by(&self, host: &str) -> bool {
        self.host == host && self.loss.is_held()
    }
}

/// Instances elsewhere that may be lost one after the other before a replica runs in this process.
const LOSSES: usize = 4;

/// How often a process is started for a brick while a graph runs.
const STARTS: usize = 4;

/// Where an instance in the process of the graph runs, in a sentence.
const HERE: &str = "in this process";

impl Remotes {
    /// Instances as a placement wants them, of bricks of a graph that are ordered like this; nothing where it wants none. Where models may
    /// change while the graph runs, bricks that take one stay.
    ///
    /// # Errors
    /// If a place names no brick of the graph, a host has no address, or a model or the certificates cannot be read.
    pub fn of(
        session: &Session,
        placement: &Placement,
        (spec, models_change): (&GraphSpec, bool),
        order: impl FnOnce() -> Result<Order, Error>,
    ) -> Result<Option<Self>, Error> {
        if placement.is_empty() {
            return Ok(None);
        }
        let bricks: Vec<_> = spec.bricks.iter().map(|brick| &*brick.id).collect();
        for place in &placement.places {
            let replica = place.replica.map_or_else(String::new, |replica| format!("#{replica}"));
            let option = format!("--place {}{replica}", place.brick);
            if place.brick != EVERY && !bricks.contains(&&*place.brick) {
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
        let reach = Reach::of(placement)?;
        let hosts = Arc::new(Hosts::watch(session, &reach)?);
        let (session, placement, instances) = (*session, placement.clone(), Mutex::default());
        let takes = |brick: &&BrickSpec| {
            !matches!(legonf_catalog::takes(&brick.kind, &brick.config), Takes::Nothing | Takes::Configured)
        };
        let changing = spec.bricks.iter().filter(|_| models_change).filter(takes);
        let changing = changing.map(|brick| brick.id.clone()).collect();
        let (order, locations) = (order()?, Arc::default());
        Ok(Some(Self { session, placement, reach, hosts, order, changing, instances, locations }))
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
        let placed = match self.site(id, replica) {
            Some(site) => self.place_at(site, id, &mut *brick)?,
            None => None,
        };
        Ok(self.note(id, replica, placed, brick))
    }

    /// The instance that runs from now on, elsewhere or here, once it is noted where.
    fn note(
        &self,
        id: &str,
        replica: usize,
        placed: Option<Elsewhere>,
        here: Box<dyn Brick>,
    ) -> Box<dyn Brick> {
        let (brick, location) = placed.map_or((here, None), |(brick, location)| (brick, Some(location)));
        self.locations.set(id, replica, location);
        brick
    }

    /// Where instances run at any moment.
    pub fn locations(&self) -> Arc<Locations> {
        self.locations.clone()
    }

    /// Where a replica of a brick is to run; nothing where that is not said.
    fn site(&self, id: &str, replica: usize) -> Option<&Site> {
        let stays = self.changing.iter().any(|brick| brick == id) && !self.placement.names(id);
        self.placement.of(id, replica).filter(|_| !stays)
    }

    /// An instance at a place; nothing where that is this process.
    fn place_at(&self, site: &Site, id: &str, brick: &mut dyn Brick) -> Result<Option<Elsewhere>, Error> {
        let mut location = Location { host: None, process: None };
        let (place, channel): (String, Box<dyn Channel>) = match site {
            Site::Here => return Ok(None),
            _ if self.changing.iter().any(|brick| brick == id) => {
                let reason = "its model may change while it runs, so it runs in this process; leave --place out for it";
                return Err(Error::refused(format!("--place {id}: {reason}")));
            }
            _ if !is_restorable(brick) => {
                let kind = brick.descriptor().kind;
                let reason = "keeps state that cannot be divided, so that no checkpoint of it can be kept; it runs in this process";
                return Err(Error::refused(format!("--place {id}: {kind} {reason}")));
            }
            Site::Process => {
                let process = self.start()?;
                location.process = Some(process.id());
                ("a process of its own".into(), Box::new(process))
            }
            Site::Host(name) => {
                location.host = Some(name.clone());
                (format!("host `{name}`"), self.reach.channel(name)?)
            }
        };
        let order = self.order.of(id);
        let remote = Remote::connect(brick, channel, &place, self.placement.lease, &order);
        let remote = remote.map_err(|error| Error::refused(error.to_string()))?;
        if let Site::Host(name) = site {
            let (host, loss, incarnation) = (name.clone(), remote.loss(), self.hosts.incarnation(name));
            let mut instances = self.instances();
            instances.retain(|instance| instance.loss.is_held() || instance.loss.is_lost());
            instances.push(Instance { host, incarnation, loss });
        }
        Ok(Some((Box::new(remote), location)))
    }

    /// The same. A process of its own that dies before it has its brick is started anew a few times.
    fn place_with_retries(
        &self,
        site: &Site,
        id: &str,
        brick: &mut dyn Brick,
    ) -> Result<Option<Elsewhere>, Error> {
        let starts = if *site == Site::Process { STARTS } else { 1 };
        let early = (1..starts).find_map(|_| self.place_at(site, id, brick).ok());
        early.map_or_else(|| self.place_at(site, id, brick), Ok)
    }

    /// As [`place`](Self::place) while a graph runs. Where nothing is said of a replica, a free core here goes first: those beyond the
    /// cores of this machine go to the host with the most free ones. What cannot be made on its host, or was lost there, goes to the
    /// one with the most free cores of the others, and runs here if there is none.
    pub fn place_running(
        &self,
        id: &str,
        replica: usize,
        make: impl Fn() -> Result<Box<dyn Brick>, Error>,
    ) -> Result<Box<dyn Brick>, Error> {
        let mut brick = make()?;
        let moves = !self.changing.iter().any(|brick| brick == id) && is_restorable(&mut *brick);
        let site = match self.site(id, replica) {
            Some(site) => Some(site.clone()),
            None if !moves || replica < cores() => return Ok(self.note(id, replica, None, brick)),
            None => self.freest(None),
        };
        let reason = match &site {
            None if !self.any_lost() => return Ok(self.note(id, replica, None, brick)),
            None => "no other host is left".to_owned(),
            Some(Site::Host(name)) if self.has_lost(name) => format!("host `{name}` has lost an instance"),
            Some(site) => match self.place_with_retries(site, id, &mut *brick) {
                Ok(placed) => return Ok(self.note(id, replica, placed, brick)),
                Err(error) => error.to_string(),
            },
        };
        let instead = match site {
            Some(Site::Host(name)) if moves => self.place_instead(&name, id, &mut *brick),
            _ => None,
        };
        let host = instead.as_ref().and_then(|(_, location)| location.host.as_ref());
        let place = host.map_or_else(|| HERE.to_owned(), |host| format!("on host `{host}`"));
        self.session.observer.note(&format!("{id}#{replica} runs {place} from now on: {reason}"));
        Ok(self.note(id, replica, instead, brick))
    }

    /// An instance on the freest host but one; none if there is none that makes it.
    fn place_instead(&self, lost: &str, id: &str, brick: &mut dyn Brick) -> Option<Elsewhere> {
        self.place_at(&self.freest(Some(lost))?, id, brick).ok()?
    }

    /// The host with the most free cores that has lost nothing, where one but this has any.
    fn freest(&self, but: Option<&str>) -> Option<Site> {
        let instances = |name: &str| {
            let held = self.instances().iter().filter(|instance| instance.is_held_by(name)).count();
            (but != Some(name) && !self.has_lost(name)).then_some(held)
        };
        self.hosts.freest(instances).map(Site::Host)
    }

    /// What the hosts have left.
    pub fn hosts(&self) -> Arc<Hosts> {
        self.hosts.clone()
    }

    fn any_lost(&self) -> bool {
        self.instances().iter().any(|instance| instance.loss.is_lost())
    }

    /// Whether the agent that is on a host now has lost an instance.
    fn has_lost(&self, host: &str) -> bool {
        let incarnation = self.hosts.incarnation(host);
        let is_lost = |instance: &Instance| instance.incarnation == incarnation && instance.loss.is_lost();
        self.instances().iter().any(|instance| instance.host == host && is_lost(instance))
    }

    fn instances(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Process, Error> {
        let Some(arguments) = self.session.host else {
            return Err(Error::refused("this program hosts no bricks in processes of their own"));
        };
        let started = Process::start(arguments);
        let failed = |error| Error::refused(format!("a process for a brick cannot be started: {error}"));
        started.map_err(failed)
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

/// Makes bricks for a graph that runs, each where it is to be: all here, if there is nowhere else.
pub(crate) struct Placed<'a> {
    pub maker: &'a Maker<'a>,
    pub remotes: Option<&'a Remotes>,
}

impl Placed<'_> {
    /// How often bricks are checkpointed where nothing else is said: what is lost elsewhere must have been kept here.
    pub fn checkpoint(&self) -> Option<usize> {
        self.remotes.map(|_| CHECKPOINT)
    }
}

impl Supplier for Placed<'_> {
    fn supply(&self, id: &str, replica: usize) -> Result<Box<dyn Brick>, SupplyError> {
        let Some(remotes) = self.remotes else { return self.maker.supply(id, replica) };
        remotes.place_running(id, replica, || self.maker.make(id)).map_err(SupplyError::new)
    }

    fn supply_again(&self, id: &str, replica: usize, losses: usize) -> Result<Box<dyn Brick>, SupplyError> {
        let remotes = self.remotes.filter(|_| losses >= LOSSES);
        let Some(remotes) = remotes else { return self.supply(id, replica) };
        let note = format!(
            "{id}#{replica} runs {HERE} from now on: {losses} instances were lost one after the other"
        );
        remotes.session.observer.note(&note);
        let brick = self.maker.make(id).map_err(SupplyError::new)?;
        Ok(remotes.note(id, replica, None, brick))
    }
}

/// Whether a brick can run elsewhere: one whose state could not be brought back would end the run with its process.
fn is_restorable(brick: &mut dyn Brick) -> bool {
    brick.descriptor().state == State::Stateless || brick.west_east().is_some()
}
