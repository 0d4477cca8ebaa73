//! The controller at work: snapshots to the policy, plans to the runtime, both to the event log.

pub(crate) mod host;

use crate::Error;
use crate::placement::Hosts;
use crate::swap::Swaps;
pub use host::{Host, cores};
use legonf_controller::{
    Action, Broken, Config, ControllerError, Costs, Event, Policy, Promises, full, patience,
};
use legonf_core::{HostLoad, Pace, Plan, Snapshot, State};
use legonf_runtime::{Control, Graph, PlanError};
use nix::libc;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Part of all costs by which a brick's must differ from that in the log for the costs to be logged again.
const DRIFT: f64 = 0.15;

/// A policy with the host that it looks at and the log that it writes.
pub struct Agent {
    policy: Policy,
    config: Config,
    host: Host,
    /// Other hosts that bricks can run on.
    hosts: Option<Arc<Hosts>>,
    log: Log,
    /// Seconds so far.
    at: f64,
    /// Packets that were lost so far.
    dropped: u64,
    promises: Promises,
    /// The bricks that make batches.
    batching: Vec<String>,
    /// What bricks cost, as the log said last.
    logged: Costs,
    /// Where it hears of models that changed.
    swaps: Option<Swaps>,
}

/// What became of a run under the controller.
#[derive(Clone, Debug, Serialize)]
pub struct Ending {
    /// Plans that were put in force.
    pub actions: usize,
    /// Decisions that nothing can be done.
    pub refusals: usize,
    /// Packets that were lost for want of capacity, as far as it has seen.
    pub dropped: u64,
    /// Ticks in which each promise of the policy's `[sla]` was not kept; those that were always kept are left out.
    pub violations: BTreeMap<String, u64>,
    /// Nanoseconds of processor time a packet of each brick, as it was at the end.
    pub costs_ns: BTreeMap<String, f64>,
}

/// Events, kept, and written to a file as they come where there is one.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    file: Option<(PathBuf, File)>,
    fault: Option<Error>,
}

/// Opens an event log; a named pipe whose reader is away or stalled holds nobody up.
fn open(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).custom_flags(libc::O_NONBLOCK).open(path)
}

impl Log {
    /// A log that what the file holds makes way for with the first event: a run that is refused leaves an older log alone.
    fn create(path: Option<&Path>) -> Result<Self, Error> {
        let named = |path: &Path| match open(path) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) => Err(Error::file(path, error)),
        };
        Ok(Self { file: path.map(named).transpose()?, ..Self::default() })
    }

    fn write(&mut self, event: Event) {
        let first = self.events.is_empty();
        let put = |file: &mut File| {
            if first && file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            writeln!(file, "{}", event.to_line())
        };
        if let Some((path, file)) = &mut self.file
            && let Err(error) = put(file)
        {
            self.fault.get_or_insert(Error::file(path, error));
        }
        self.events.push(event);
    }
}

/// Bricks between their ends, in order, with their state.
pub(crate) fn states(graph: &Graph) -> Vec<(String, State)> {
    let end = |id: &str| [(id.to_owned(), State::Serial)];
    let bricks = graph.nodes().iter().map(|node| (node.id.clone(), node.brick.descriptor().state));
    end(Plan::SOURCE).into_iter().chain(bricks).chain(end(Plan::SINK)).collect()
}

/// [`states`], where bricks whose work cannot be divided among replicas count as serial.
pub(crate) fn facts(graph: &mut Graph) -> Vec<(String, State)> {
    let mut states = states(graph);
    let whole = graph.divisions().into_iter().filter(|(_, division)| division.is_err());
    for (whole, _) in whole {
        states.iter_mut().filter(|(id, _)| *id == whole).for_each(|(_, state)| *state = State::Serial);
    }
    states
}

/// The bricks that make batches: the source, and the one behind it.
pub(crate) fn batching(facts: &[(String, State)]) -> Vec<String> {
    facts.iter().take(2).map(|(id, _)| id.clone()).collect()
}

/// How long a batch may wait to be full, where a latency was promised.
pub(crate) fn hold(config: &Config, costs: &Costs, batching: &[String]) -> Option<Duration> {
    config.sla.latency_ms.map(|latency| patience(costs, batching, latency))
}

impl Agent {
    /// An agent for bricks of which this is known.
    ///
    /// # Errors
    /// If the costs are those of other bricks, no plan can keep what was promised, or the log cannot be written.
    pub fn new(
        facts: Vec<(String, State)>,
        config: Config,
        costs: Option<Costs>,
        log: Option<&Path>,
    ) -> Result<Self, Error> {
        let host = Host::begin();
        if let Some(costs) = &costs {
            facts.iter().try_for_each(|(id, _)| costs.of(id).map(drop))?;
            let cores = if config.cores > 0.0 { config.cores } else { host.cores() };
            config.sla.check_possible(costs, cores)?;
        }
        let ids: Vec<_> = facts.iter().map(|(id, _)| id.as_str()).collect();
        config.check_bricks(&ids)?;
        let (promises, log) = (Promises::new(config.sla, config.high), Log::create(log)?);
        let batching = batching(&facts);
        let policy = Policy::new(config.clone(), facts, costs);
        Ok(Self {
            logged: policy.costs().clone(),
            policy,
            config,
            host,
            hosts: None,
            log,
            at: 0.0,
            dropped: 0,
            promises,
            batching,
            swaps: None,
        })
    }

    /// The agent that also logs changes of models and thresholds.
    pub(crate) fn with_swaps(self, swaps: Option<Swaps>) -> Self {
        Self { swaps, ..self }
    }

    /// The agent that also counts with the cores of other hosts.
    pub(crate) fn with_hosts(self, hosts: Option<Arc<Hosts>>) -> Self {
        Self { hosts, ..self }
    }

    /// What is left, here and on other hosts. Memory is that of this machine.
    fn sample(&mut self) -> HostLoad {
        let here = self.host.sample();
        let others = self.hosts.as_ref().map_or_else(HostLoad::default, |hosts| hosts.sum());
        HostLoad { memory: here.memory, ..here + others }
    }

    fn log_swaps(&mut self) {
        let at = self.at;
        for renewal in self.swaps.iter().flat_map(Swaps::news) {
            self.log.write(renewal.event(at));
        }
    }

    /// The log so far.
    pub(crate) fn events(&self) -> &[Event] {
        &self.log.events
    }

    /// Leaves the layout as it is, until it is told to go on.
    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.policy.pause(is_paused);
    }

    /// Decides by another policy from now on.
    ///
    /// # Errors
    /// If no plan can keep what it promises.
    pub(crate) fn set_policy(&mut self, config: Config) -> Result<(), ControllerError> {
        let cores = if config.cores > 0.0 { config.cores } else { self.host.cores() };
        config.sla.check_possible(self.policy.costs(), cores)?;
        let ids: Vec<_> = self.policy.costs().bricks.iter().map(|cost| cost.id.as_str()).collect();
        config.check_bricks(&ids)?;
        self.promises.set(config.sla, config.high);
        self.policy.set_config(config.clone());
        self.config = config;
        Ok(())
    }

    /// Leaves a brick's stage alone, or no more.
    ///
    /// # Errors
    /// If there is no such brick.
    pub(crate) fn pin(&mut self, brick: &str, is_pinned: bool) -> Result<(), ControllerError> {
        let mut config = self.config.clone();
        config.pinned.retain(|id| id != brick);
        if is_pinned {
            config.pinned.push(brick.to_owned());
        }
        self.set_policy(config)
    }

    /// The policy in force (TOML).
    pub(crate) fn policy_text(&self) -> String {
        // A policy was read from TOML, or is the default.
        toml::to_string(&self.config).unwrap_or_default()
    }

    /// Adds to the log what somebody else did.
    pub(crate) fn note(&mut self, event: Event) {
        self.log.write(event);
    }

    /// What became of the run so far.
    pub fn ending(&self) -> Ending {
        let count = |wanted: fn(&Event) -> bool| self.log.events.iter().filter(|event| wanted(event)).count();
        let refusal = |event: &Event| matches!(event, Event::Decision { decision, .. } if decision.action == Action::Refuse);
        Ending {
            actions: count(|event| matches!(event, Event::Applied { refused: None, .. })),
            refusals: count(refusal),
            dropped: self.dropped,
            violations: self.promises.violations().clone(),
            costs_ns: nanoseconds(self.policy.costs()),
        }
    }

    /// Whether a layout has its turn that was never seen before.
    pub fn is_trying(&self) -> bool {
        self.policy.is_trying()
    }

    /// The layout that is held, where another one has turns beside it at present.
    pub fn held(&self) -> Option<&Plan> {
        self.policy.held()
    }

    /// What the bricks cost, as far as is known by now.
    pub fn costs(&self) -> &Costs {
        self.policy.costs()
    }

    /// Ends the log, and gives what is in it.
    ///
    /// # Errors
    /// If a line of the log could not be written.
    pub fn finish(&mut self, packets: u64) -> Result<&[Event], Error> {
        let (at, violations) = (self.at, self.promises.violations().clone());
        self.log_swaps();
        self.log.write(Event::Costs { at, ns: nanoseconds(self.policy.costs()) });
        self.log.write(Event::End { at, packets, violations });
        match self.log.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(&self.log.events),
        }
    }

    /// Logs promises that are not kept, and costs that are not those of the log any more.
    fn watch(&mut self, snapshot: &Snapshot) {
        let at = snapshot.at;
        for Broken { promise, promised, measured } in self.promises.watch(snapshot, self.policy.costs()) {
            self.log.write(Event::Violation { at, promise, promised, measured });
        }
        let costs = self.policy.costs();
        if costs.drift(&self.logged) > DRIFT {
            self.logged = costs.clone();
            self.log.write(Event::Costs { at, ns: nanoseconds(costs) });
        }
    }
}

/// Nanoseconds a packet, by brick.
fn nanoseconds(costs: &Costs) -> BTreeMap<String, f64> {
    costs.bricks.iter().map(|cost| (cost.id.clone(), cost.ns)).collect()
}

impl Control for Agent {
    fn period(&self) -> Duration {
        Duration::from_secs_f64(self.config.tick)
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        snapshot.host = self.sample();
        if self.log.events.is_empty() {
            let (plan, host) = (snapshot.plan.clone(), HostLoad { ..snapshot.host.clone() });
            self.log.write(Event::Start { at: snapshot.at - snapshot.span, plan, host });
        }
        self.at = snapshot.at;
        self.dropped += snapshot.dropped;
        self.log_swaps();
        let decision = self.policy.decide(snapshot);
        self.watch(snapshot);
        let decision = decision?;
        let plan = decision.plan.clone();
        self.log.write(Event::Decision { at: snapshot.at, decision });
        plan
    }

    fn pace(&self) -> Pace {
        let costs = self.policy.costs();
        Pace { full: full(costs), patience: hold(&self.config, costs, &self.batching) }
    }

    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
        let (at, took_ms) = (self.at + took.as_secs_f64(), took.as_secs_f64() * 1e3);
        let refused = result.err().map(ToString::to_string);
        self.host.forget_memory();
        self.log.write(Event::Applied { at, plan: plan.clone(), took_ms, refused });
    }
}
