//! How bricks are laid out over threads.

use crate::agent::host::cores;
use crate::{Error, Session, stuck};
use legonf_runtime::{Graph, Layout, Options, Supply};
use std::time::Duration;

/// How a graph is laid out over threads, and how they are looked after. The layout never shows in the results.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The layout to begin with.
    pub layout: Layout,
    /// Bind each worker to a core.
    pub pin: bool,
    /// Keep checkpoints of bricks with state: one whenever so many bytes of headers, and as many as the state takes, were
    /// processed.
    pub checkpoint: Option<usize>,
    /// How long a brick may be at one batch.
    pub watchdog: Duration,
    /// Allow a stage more replicas than this machine has cores.
    pub oversubscribe: bool,
}

impl Default for Workers {
    fn default() -> Self {
        let watchdog = Duration::from_secs(stuck::AFTER);
        Self { layout: Layout::Pipeline, pin: false, checkpoint: None, watchdog, oversubscribe: false }
    }
}

impl Workers {
    /// Refuses a layout that does not fit a graph, or this machine, before anything is read or written.
    pub(crate) fn check(&self, graph: &mut Graph) -> Result<(), Error> {
        self.layout.check(graph)?;
        let (plan, cores) = (self.layout.plan(graph), cores());
        let crowded = plan.stages.iter().find(|stage| stage.replicas > cores && !self.oversubscribe);
        let Some(stage) = crowded else { return Ok(()) };
        Err(Error::refused(format!(
            "layout \"{plan}\": {} replicas of {}, and this machine has {cores} cores; --oversubscribe runs it all the same",
            stage.replicas,
            stage.bricks.join(" ")
        )))
    }

    /// How to run a graph that has this layout and takes replicas from `supply`.
    pub(crate) fn options<'a>(&'a self, session: &Session, supply: Option<Supply<'a>>) -> Options<'a> {
        let (pin, checkpoint, watchdog) = (self.pin, self.checkpoint, Some(session.watchdog(self.watchdog)));
        Options { supply, pin, checkpoint, watchdog, ..Options::new(&self.layout, session.stop) }
    }
}
