//! The packets of a network interface through a network function, as they come.

mod control;
mod outputs;
mod recording;
mod stream;
mod transmission;
mod upkeep;

pub use legonf_live::{Bounds, LiveConfig};
pub use recording::{Recorded, Recording};
pub use transmission::Forward;

use crate::agent::Agent;
use crate::monitor::{self, Accounting, Monitor, Monitored, Renewing};
use crate::scoring::{Function, Report, Scoring, ending};
use crate::standby::{self, Joined, StandbyReport};
use crate::steering::{Orders, Steering, Work};
use crate::summary::{Disturbances, Service, Timing, with_clock};
use crate::suppression::Suppression;
use crate::tally::Tally;
use crate::watch::{Watch, Watching, changing};
use crate::{Error, Extent, Session, models, nf};
use control::Listener;
use legonf_controller::Event;
use legonf_core::{Coverage, Source};
use legonf_io::Content;
use legonf_io::sink::{AlertRate, Rotation, SyslogTarget};
use legonf_live::{Account, Connections, Interface, LiveSource, Losses};
use legonf_runtime::Outcome;
use outputs::{Outputs, Purpose};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use stream::{STANDARD_INPUT, Stream};
use transmission::Transmission;
use upkeep::Rounds;

/// A run over an interface, until the session is stopped or a bound is met. Packets that the kernel or the interface lost are
/// counted as dropped.
///
/// Once the interface is open, and before the model is read, the process gives up all capabilities.
pub struct Live {
    /// The interface and how it is listened to; `-` is a capture that comes through standard input.
    pub config: LiveConfig,
    /// When it ends.
    pub bounds: Bounds,
    /// Go on as this user (name or number) once the interface is open.
    pub user: Option<String>,
    /// What scores the packets.
    pub scoring: Scoring,
    /// Alerts as they come: a file, `-` or `unix:PATH`.
    pub eve: Option<OsString>,
    /// When a file of alerts is rotated.
    pub rotation: Rotation,
    /// Alerts as syslog messages.
    pub syslog: Option<SyslogTarget>,
    /// Alerts as messages of NATS.
    #[cfg(feature = "nats")]
    pub nats: Option<legonf_io::sink::NatsTarget>,
    /// How often statistics go where the alerts go.
    pub stats: Option<Duration>,
    /// How many alerts are written.
    pub alerts: AlertRate,
    /// How alerts become incidents.
    pub watching: Watching,
    /// Score of every packet (CSV).
    pub scores: Option<PathBuf>,
    /// Every packet that was scored (pcapng).
    pub record: Option<PathBuf>,
    /// Where the packets of each port of the graph go.
    pub forward: Vec<Forward>,
    /// The controller that may change the layout meanwhile; without it the layout stays.
    pub steering: Option<Steering>,
    /// By which others see the run, and change its layout. What it begins has to listen already.
    pub monitor: Option<Arc<Monitor>>,
    /// Whether what the monitor begins makes connections.
    pub connects: bool,
    /// A Unix socket on which it takes orders: to change a model.
    pub control: Option<PathBuf>,
    /// Opens the outputs anew whenever it is set.
    pub reopen: &'static AtomicBool,
}

/// The reason under which packets are dropped that a primary lost before it could read them.
const OF_PRIMARY: &str = "primary";

/// The graph's own stop flag stays unset: the source ends in order, with all that the kernel took before.
static NEVER: AtomicBool = AtomicBool::new(false);

impl Live {
    /// Scores packets as they come, and completes the outputs.
    ///
    /// Where the run ends by a fault, what came before is complete, and the report says why.
    ///
    /// # Errors
    /// If the interface cannot be opened, nothing can be run, or the results cannot be written.
    pub fn run(&self, session: &Session) -> Result<Report, Error> {
        session.check_outputs(self.watching.incidents.as_deref())?;
        let suppression = self.watching.suppression()?;
        self.check_redundancy()?;
        let redundancy = self.scoring.redundancy()?;
        let (orders, mut interface) = self.listen()?;
        if let Some(interface) = interface.as_mut().filter(|_| self.scoring.redundancy.follow.is_some()) {
            interface.pause()?;
        }
        let transmission = self.transmission()?;
        // Before there are other threads, which would keep theirs, and before a file of others' making is parsed.
        let account = self.user.as_deref().map(Account::find).transpose()?;
        // A socket that listens from here on is refused.
        let listener = self.control.as_deref().map(Listener::open).transpose()?;
        let connections = match &listener {
            _ if !self.scoring.placement.is_empty() || redundancy.is_some() => Connections::Hosts,
            _ if self.connects || self.publishes() => Connections::Outgoing,
            None if self.monitor.is_none() => Connections::None,
            _ => Connections::Listening,
        };
        legonf_live::give_up_privileges(account.as_ref(), connections)?;
        monitor::open(self.monitor.as_ref())?;
        let opened = self.scoring.open(session)?;
        let changeable = self.control.is_some() || self.scoring.may_change(self.monitor.as_ref());
        let partner = standby::meet(redundancy, session, self.scoring.placement.lease)?;
        let scoring = self.scoring.seeded(partner.as_ref());
        let mut function = scoring.build_with(session, opened, Content::Packets, changeable)?;
        let controlled = self.steering.as_ref().zip(orders);
        let agent = controlled.map(|(steering, orders)| steering.agent(orders, &mut function)).transpose()?;
        self.check_eve(&function)?;
        let watch = self.watch(&function, suppression)?;
        let (source, losses) = self.source(session, interface)?;
        let (source, joined) = standby::join(partner, session, &function, (Content::Packets, source))?;
        let outputs = Outputs::create(session, &self.purpose(), &function, self.reopen)?;
        let outputs = outputs.over(transmission).without(losses.clone());
        let control = listener.zip(function.swaps().cloned());
        let _control = control.map(|(listener, swaps)| listener.serve(session, swaps)).transpose()?;
        self.score(session, function, agent, (outputs, watch), (source, losses), joined)
    }

    /// Refuses what cannot be done twice, or at one packet on both sides.
    fn check_redundancy(&self) -> Result<(), Error> {
        if !self.scoring.redundancy.is_used() {
            return Ok(());
        }
        let refused = |option: &str, reason: &str| {
            Err(Error::refused(format!("{option}: with a hot standby {reason}; leave one of both out")))
        };
        match (&self.control, self.scoring.redundancy.follow.is_some() && !self.forward.is_empty()) {
            (Some(_), _) => refused("--control", "the model cannot change"),
            (None, true) => refused("--forward", "packets would leave twice"),
            (None, false) => Ok(()),
        }
    }

    /// Whether one of the outputs is standard output.
    pub fn takes_standard_output(&self) -> bool {
        self.purpose().takes_standard_output()
    }

    fn score(
        &self,
        session: &Session,
        mut function: Function,
        mut agent: Option<Agent>,
        (outputs, watch): (Outputs, Option<Watch>),
        (mut source, losses): (Box<dyn Source>, Losses),
        joined: Option<Joined>,
    ) -> Result<Report, Error> {
        let (upkeep, alerting) = (outputs.upkeep(), function.decides_on_scores());
        let (watch, suppressions) = changing(self.monitor.as_ref(), watch);
        let mut tally = Tally::new(None, Some(outputs))
            .bounded(function.bound())
            .watched(watch)
            .monitored(self.accounting(&losses))
            .following(function.swaps().cloned());
        let renewing = Renewing::new(session, function.swaps().cloned(), suppressions);
        self.monitor.iter().for_each(|monitor| monitor.locate(function.locations()));
        monitor::begin(self.monitor.as_ref(), || (function.monitored(agent.is_some()), renewing));
        let (misfit, mut said) = (tally.misfit(), false);
        let bar = session.begin("live", Extent::Endless);
        let mut rounds = Rounds::begin(session, upkeep.clone(), self.stats);
        let mut show = |progress, packets| {
            bar.update(progress, packets);
            bar.counts(alerting.then(|| upkeep.alerts()), losses.total());
            if let Some(misfit) = misfit.get().filter(|_| !said) {
                said = true;
                session.observer.note(&misfit.to_string());
            }
            rounds.look();
        };
        let mut monitored = Monitored::new(agent.as_mut(), self.monitor.as_ref());
        let ran = function.run(session, monitored.control(), (&mut *source, &mut tally), &NEVER, &mut show);
        drop(monitored);
        rounds.end();
        drop(bar);
        drop(source);
        let (outcome, timing) = ran?;
        let standby = joined.map(|joined| joined.report());
        if let Some(StandbyReport::Standby { dropped, .. }) = &standby {
            tally.lose(OF_PRIMARY, *dropped);
        }
        let report = self.conclude(&mut function, (tally, losses), (outcome, timing), agent)?;
        Ok(Report { standby, ..report })
    }

    /// The packets, and what is known to be lost of them.
    fn source(
        &self,
        session: &Session,
        interface: Option<Interface>,
    ) -> Result<(Box<dyn Source>, Losses), Error> {
        let Some(interface) = interface else {
            return Ok((Box::new(Stream::open(session, self.bounds)?), Losses::default()));
        };
        let source = LiveSource::new(interface, self.bounds, session.stop);
        let losses = source.losses();
        Ok((Box::new(source), losses))
    }

    /// What tells those who look on, with what never came.
    fn accounting(&self, losses: &Losses) -> Option<Accounting> {
        let losses = losses.clone();
        let lose = move |coverage: &mut Coverage| {
            losses.by_reason().into_iter().for_each(|(reason, packets)| coverage.lose(reason, packets));
        };
        self.monitor.as_ref().map(|monitor| Accounting::new(monitor, Box::new(lose)))
    }

    fn is_stream(&self) -> bool {
        self.config.interface == STANDARD_INPUT
    }

    /// What is listened to, for people.
    fn listening(&self) -> String {
        if self.is_stream() { "standard input".into() } else { self.config.interface.clone() }
    }

    /// Opens the interface, if it is one, with what the controller was told that decides how.
    fn listen(&self) -> Result<(Option<Orders>, Option<Interface>), Error> {
        let orders = self.steering.as_ref().map(Steering::orders).transpose()?;
        let spec = nf::open(self.scoring.graph.as_deref())?;
        models::check_files(&spec, self.scoring.graph.as_deref(), &self.scoring.models)?;
        if self.is_stream() {
            let reason = "--filter is for an interface; give the expression to what captures, as in `tcpdump -U -w - EXPRESSION`";
            return if self.config.filter.is_some() {
                Err(Error::refused(reason))
            } else {
                Ok((orders, None))
            };
        }
        // As far as they are known before the model is: that of a foreign network is one for two.
        let bricks = spec.bricks.into_iter().map(|brick| brick.id).collect();
        let hold = orders.as_ref().and_then(|orders| orders.hold(bricks));
        Ok((orders, Some(legonf_live::open(&LiveConfig { hold, ..self.config.clone() })?)))
    }

    /// Opens the interfaces that packets leave by.
    fn transmission(&self) -> Result<Option<Transmission>, Error> {
        let nf = self.scoring.graph.as_deref();
        Transmission::open((nf, &nf::open(nf)?), &self.forward, &self.config.interface)
    }

    /// Completes the outputs, and says how the run ended.
    fn conclude(
        &self,
        function: &mut Function,
        (mut tally, losses): (Tally<Outputs>, Losses),
        (mut outcome, timing): (Outcome, Timing),
        agent: Option<Agent>,
    ) -> Result<Report, Error> {
        losses.by_reason().into_iter().for_each(|(reason, packets)| tally.lose(reason, packets));
        let (found, file) = tally.found()?;
        let listening = self.listening();
        let mut summary = self.scoring.summary(listening, function, (&mut tally, found.as_ref()), &outcome);
        let (disturbances, counters) = (Disturbances::of(&outcome), with_clock(&outcome));
        let whole = outcome.fault.is_none();
        let ended = ending(&mut outcome);
        summary.ended_early = ended.as_ref().map(ToString::to_string);
        let coverage = tally.coverage().clone();
        let (mut outputs, mut service) = (Vec::new(), Service::default());
        if let Some(results) = tally.outputs() {
            outputs = results.finish(&coverage, counters)?;
            service = results.service(losses.outages());
        }
        outputs.extend(file);
        self.scoring.save_state(function, (&outcome.clock, whole), &mut outputs)?;
        let controller = agent.as_ref().map(Agent::ending);
        let decided = self.decided(agent, outcome.packets);
        let service = Some(service);
        Ok(Report {
            summary,
            timing,
            disturbances,
            outputs,
            controller,
            service,
            standby: None,
            ended,
            decided,
        })
    }

    fn decided(&self, agent: Option<Agent>, packets: u64) -> Result<Vec<Event>, Error> {
        let Some((steering, mut agent)) = self.steering.as_ref().zip(agent) else { return Ok(Vec::new()) };
        let (graph, capture) = (self.scoring.graph_name(), self.listening());
        steering.conclude(&mut agent, Work { graph, capture, packets })
    }

    fn watch(&self, function: &Function, suppression: Suppression) -> Result<Option<Watch>, Error> {
        if function.decides_on_scores() {
            return self
                .watching
                .watch(function, suppression, self.eve.is_some() || self.monitor.is_some())
                .map(Some);
        }
        let reason =
            "the graph decides on no score, so there are no incidents; leave --incidents and --suppress out";
        let needless = self.watching.incidents.is_some() || self.watching.suppress.is_some();
        if needless { Err(self.scoring.refused(reason)) } else { Ok(None) }
    }

    fn check_eve(&self, function: &Function) -> Result<(), Error> {
        let given = match (&self.eve, &self.syslog) {
            (Some(_), _) => "--eve",
            (None, Some(_)) => "--syslog",
            (None, None) => "--nats",
        };
        let reason = format!("the graph decides on no score, so there are no alerts; leave {given} out");
        let is_told = self.eve.is_some() || self.syslog.is_some() || self.publishes();
        let needless = is_told && !function.decides_on_scores();
        if needless { Err(self.scoring.refused(&reason)) } else { Ok(()) }
    }

    /// Whether alerts go to a broker.
    fn publishes(&self) -> bool {
        #[cfg(feature = "nats")]
        return self.nats.is_some();
        #[cfg(not(feature = "nats"))]
        return false;
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose {
            eve: self.eve.as_deref(),
            rotation: self.rotation,
            syslog: self.syslog.as_ref(),
            #[cfg(feature = "nats")]
            nats: self.nats.as_ref(),
            rate: self.alerts,
            interface: (!self.is_stream()).then_some(&*self.config.interface),
            scores: self.scores.as_deref(),
            record: self.record.as_deref(),
        }
    }
}
