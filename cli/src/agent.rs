//! The controller at work: snapshots to the policy, plans to the runtime, both to the event log.

pub mod host;

use crate::failure::Failure;
use crate::scoring::Function;
use host::Host;
use legonf_controller::{Config, Costs, Event, Policy, State};
use legonf_core::{Descriptor, HostLoad, Plan, Snapshot};
use legonf_runtime::{Control, PlanError};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Ticks in a row in which a promise is not kept before that is an event.
const LATE: u32 = 3;

/// A policy with the host that it looks at and the log that it writes.
pub struct Agent {
    policy: Policy,
    config: Config,
    host: Host,
    log: Log,
    /// Seconds so far, and packets between source and sink.
    at: f64,
    on_their_way: u64,
    late: [u32; 2],
    violations: u64,
}

/// Events, kept, and written to a file as they come where there is one.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    file: Option<(PathBuf, File)>,
    fault: Option<String>,
}

impl Log {
    fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let open = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) => Err(Failure::fault(format!("{}: {error}", path.display()))),
        };
        Ok(Self { file: path.map(open).transpose()?, ..Self::default() })
    }

    fn write(&mut self, event: Event) {
        if let Some((path, file)) = &mut self.file
            && let Err(error) = writeln!(file, "{}", event.to_line())
        {
            self.fault.get_or_insert(format!("{}: {error}", path.display()));
        }
        self.events.push(event);
    }
}

/// What is known of the bricks of a function, and of its ends.
pub fn facts<'a>(bricks: impl Iterator<Item = (&'a str, Descriptor)>) -> Vec<(String, State)> {
    let state = |d: Descriptor| match d.state {
        legonf_core::State::Stateless => State::Stateless,
        legonf_core::State::Stateful => State::Stateful,
    };
    let ends = [Plan::SOURCE, Plan::SINK].map(|id| (id.to_owned(), State::Single));
    bricks.map(|(id, descriptor)| (id.to_owned(), state(descriptor))).chain(ends).collect()
}

/// Reads a file and what it holds; a fault names the file.
pub fn read<T, E: std::fmt::Display>(
    path: &Path,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    let named = |error: &dyn std::fmt::Display| Failure::fault(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| named(&error))?;
    parse(&text).map_err(|error| named(&error))
}

impl Agent {
    /// An agent for a function.
    pub fn new(
        function: &Function,
        config: Config,
        costs: Option<Costs>,
        log: Option<&Path>,
    ) -> Result<Self, Failure> {
        Self::of(facts(function.bricks()), config, costs, log)
    }

    /// An agent for bricks of which this is known.
    pub fn of(
        facts: Vec<(String, State)>,
        config: Config,
        costs: Option<Costs>,
        log: Option<&Path>,
    ) -> Result<Self, Failure> {
        let policy = Policy::new(config.clone(), facts, costs, false);
        let (host, log) = (Host::new(), Log::create(log)?);
        Ok(Self { policy, config, host, log, at: 0.0, on_their_way: 0, late: [0; 2], violations: 0 })
    }

    /// Ends the log, and gives what is in it.
    pub fn finish(&mut self, packets: u64) -> Result<&[Event], Failure> {
        self.log.write(Event::End { at: self.at, packets, violations: self.violations });
        match self.log.fault.take() {
            Some(fault) => Err(Failure::Fault(fault)),
            None => Ok(&self.log.events),
        }
    }

    /// Counts the ticks in which a promise is not kept: the rate, and the latency as Little's law gives it from what is on
    /// its way.
    fn watch(&mut self, snapshot: &Snapshot) {
        let rate = snapshot.done as f64 / snapshot.span.max(1e-9);
        let latency = self.on_their_way as f64 / rate.max(1.0) * 1e3;
        let sla = self.config.sla;
        let broken = [
            ("rate", sla.rate, rate, sla.rate.is_some_and(|promised| rate < promised)),
            ("latency", sla.latency_ms, latency, sla.latency_ms.is_some_and(|promised| latency > promised)),
        ];
        for (index, (promise, promised, measured, broken)) in broken.into_iter().enumerate() {
            self.late[index] = if broken { self.late[index] + 1 } else { 0 };
            self.violations += u64::from(broken);
            if self.late[index] == LATE {
                let (at, promise) = (snapshot.at, promise.to_owned());
                let promised = promised.unwrap_or_default();
                self.log.write(Event::Violation { at, promise, promised, measured });
            }
        }
    }
}

impl Control for Agent {
    fn period(&self) -> Duration {
        Duration::from_secs_f64(self.config.tick)
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        snapshot.host = self.host.sample();
        if self.log.events.is_empty() {
            let (plan, host) = (snapshot.plan.clone(), HostLoad { ..snapshot.host.clone() });
            self.log.write(Event::Start { at: snapshot.at - snapshot.span, plan, host });
        }
        self.at = snapshot.at;
        self.on_their_way = (self.on_their_way + snapshot.offered).saturating_sub(snapshot.done);
        self.watch(snapshot);
        let decision = self.policy.decide(snapshot)?;
        let plan = decision.plan.clone();
        self.log.write(Event::Decision { at: snapshot.at, decision });
        plan
    }

    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
        let (at, took_ms) = (self.at + took.as_secs_f64(), took.as_secs_f64() * 1e3);
        let refused = result.err().map(ToString::to_string);
        self.log.write(Event::Applied { at, plan: plan.clone(), took_ms, refused });
    }
}
