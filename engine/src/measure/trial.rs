//! A model's graph, run to be measured.

use super::process_time;
use crate::agent::{Agent, facts};
use crate::assembly::{Execution, assemble, built_in};
use crate::models::Models;
use crate::network::Network;
use crate::placement::{Order, Placed, Remotes, placed};
use crate::supply::Maker;
use crate::{Error, Placement, Session, stuck};
use legonf_controller::Config;
use legonf_core::{Brick, Progress, Sink, Source};
use legonf_io::Content;
use legonf_runtime::{Control, Graph, GraphSpec, Layout, Options, Outcome, run_under};
use std::path::Path;
use std::time::{Duration, Instant};

/// A model and its graph over packets, in which no score is an alert where no threshold is given.
pub struct Trial<'a> {
    /// How runs are stopped.
    pub session: Session,
    /// The model.
    pub network: &'a Network,
    /// Its graph.
    pub spec: GraphSpec,
    models: Models,
    placement: Placement,
}

/// A run to the end, without what building its bricks took.
pub struct Ran {
    /// What the runtime says of it.
    pub outcome: Outcome,
    /// Seconds on the wall.
    pub seconds: f64,
    /// Processor time of the process.
    pub spent: Duration,
}

impl<'a> Trial<'a> {
    /// The threshold that no score is above.
    const THRESHOLD: Option<f64> = Some(f64::MAX);

    /// A model in the built-in graph.
    ///
    /// # Errors
    /// If the engine does not compute in these numbers.
    pub fn built_in(session: &Session, network: &'a Network, execution: Execution) -> Result<Self, Error> {
        let spec = built_in(network, Content::Packets, execution)?;
        let (models, placement) = (Models::one(network.clone()), Placement::default());
        Ok(Self { session: *session, network, spec, models, placement })
    }

    /// The same; the model is in a file, so that bricks can run elsewhere.
    pub fn of_file(self, file: &Path) -> Self {
        let models = Models::of_file(self.network.clone(), file);
        Self { models, ..self }
    }

    /// The same with bricks elsewhere.
    pub fn placed(&self, placement: Placement) -> Self {
        let Self { session, network, spec, models, .. } = self;
        Self { session: *session, network, spec: spec.clone(), models: models.clone(), placement }
    }

    /// The bricks, with something put around each, which is given with its identifier.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn graph_with(&self, wrap: impl Fn(&str, Box<dyn Brick>) -> Box<dyn Brick>) -> Result<Graph, Error> {
        let wrap = |id: &str, brick| Ok(wrap(id, brick));
        assemble(&self.spec, Content::Packets, (&self.models, None), Self::THRESHOLD, &wrap)
    }

    /// The ports by which packets leave one of its graphs; none where they leave as they came.
    pub fn ports(&self, graph: &Graph) -> Vec<String> {
        if graph.forwards() { self.spec.port_names() } else { Vec::new() }
    }

    /// The bricks.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn graph(&self) -> Result<Graph, Error> {
        self.graph_with(|_, brick| brick)
    }

    /// Runs new bricks, replicas of which may come and go.
    ///
    /// # Errors
    /// If the run does not come to its end.
    pub fn run(
        &self,
        control: Option<&mut dyn Control>,
        layout: &Layout,
        source: &mut dyn Source,
        sink: &mut dyn Sink,
    ) -> Result<Ran, Error> {
        let remotes = Remotes::of(&self.session, &self.placement, (&self.spec, false), || {
            Order::new(&self.spec, Content::Packets, &self.models, Self::THRESHOLD)
        })?;
        let wrap = |id: &str, brick| placed(remotes.as_ref(), id, brick);
        let models = (&self.models, None);
        let mut graph = assemble(&self.spec, Content::Packets, models, Self::THRESHOLD, &wrap)?;
        let maker = Maker { spec: &self.spec, models: &self.models, threshold: Self::THRESHOLD, swaps: None };
        let supply = Placed { maker: &maker, remotes: remotes.as_ref() };
        let checkpoint = supply.checkpoint();
        let options = Options { supply: Some(&supply), checkpoint, ..options(&self.session, layout) };
        let (begin, before) = (Instant::now(), process_time());
        let outcome = run_under(control, &mut graph, source, sink, options, &mut |_, _| {});
        let (seconds, spent) = (begin.elapsed().as_secs_f64(), process_time().saturating_sub(before));
        Ok(Ran { outcome: whole(outcome)?, seconds, spent })
    }

    /// A controller for these bricks, without a log.
    ///
    /// # Errors
    /// If the policy is none.
    pub fn agent(&self, config: Config) -> Result<Agent, Error> {
        config.check()?;
        Agent::new(facts(&mut self.graph()?), config, None, None)
    }

    /// All bricks between source and sink together, in some replicas.
    ///
    /// # Errors
    /// If the graph is no sequence.
    pub fn between(&self, replicas: usize) -> Result<Layout, Error> {
        let ids: Vec<_> = self.spec.sequence()?.iter().map(|brick| brick.id.as_str()).collect();
        format!("source | {} x{replicas} | sink", ids.join(" ")).parse().map_err(Error::refused)
    }
}

/// Runs bricks to the end in the calling thread.
///
/// # Errors
/// If they do not come to it.
pub fn alone(
    session: &Session,
    graph: &mut Graph,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    observe: &mut dyn FnMut(Progress, u64),
) -> Result<Outcome, Error> {
    whole(legonf_runtime::run(graph, source, sink, options(session, &Layout::Fused), observe))
}

/// How to run a graph in a layout, with the usual watchdog.
fn options<'a>(session: &Session, layout: &'a Layout) -> Options<'a> {
    let watchdog = Some(session.watchdog(Duration::from_secs(stuck::AFTER)));
    Options { watchdog, ..Options::new(layout, session.stop) }
}

/// A run, if it came to its end: what part of one took is no measurement.
fn whole(outcome: Outcome) -> Result<Outcome, Error> {
    match outcome.fault {
        Some(fault) => Err(Error::Fault(fault)),
        None if outcome.stopped => Err(Error::Interrupted("nothing was measured to the end".into())),
        None => Ok(outcome),
    }
}

/// The middle one of some numbers, the upper one where two are; 0 of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Clock;
    use legonf_runtime::{Losses, Pauses, RunFault};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0]), 3.0);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn a_run_that_was_stopped_is_none() {
        let outcome = |stopped, fault| Outcome {
            packets: 1,
            counters: Vec::new(),
            restarts: 0,
            losses: Losses::default(),
            pauses: Pauses::default(),
            clock: Clock::default(),
            stopped,
            fault,
        };
        assert!(matches!(whole(outcome(true, None)), Err(Error::Interrupted(_))));
        let fault = Some(RunFault::Panic { id: "sink".into(), message: "broken".into() });
        assert!(matches!(whole(outcome(true, fault)), Err(Error::Fault(_))));
        assert!(whole(outcome(false, None)).is_ok());
    }
}
