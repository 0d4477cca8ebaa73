//! The option `--workers` of every command that runs a graph.

use crate::agent::host::cores;
use crate::failure::Failure;
use crate::stuck;
use clap::Args;
use legonf_runtime::{Graph, Layout, Options, Supply};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How bricks are laid out over threads.
#[derive(Clone, Args)]
pub struct Workers {
    /// Layout, which never shows in the results: `fused` (source, bricks and sink in one thread; also `monolithic`),
    /// `pipeline` (a thread each; also `bricks`), or stages between bars, with replicas:
    /// 'source batching | extractor x2 | mapping autoencoder x2 | decision sink'. Replicas of the extractor share its state by
    /// the exact plan of `legonf split`.
    #[arg(long, value_name = "LAYOUT", default_value = "pipeline", value_parser = layout)]
    workers: Layout,
    /// Bind each worker to a core.
    #[arg(long)]
    pin: bool,
    /// Keep checkpoints of the extractor's state, so that a defect that makes it panic does not end the run: one whenever so
    /// many MiB of headers, and as many as the state takes, were processed. Needs three times the memory of the state, and up
    /// to half as much time again in the extractor.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    checkpoint: Option<u32>,
    /// End the run where a brick has been at one batch for so many seconds. Meanwhile the process cannot end, since the thread
    /// that runs the brick does not: what came before is completed, and the brick is named.
    #[arg(long, value_name = "S", default_value_t = stuck::AFTER, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watchdog: u64,
    /// Allow a stage more replicas than this machine has cores.
    #[arg(long)]
    oversubscribe: bool,
}

fn layout(text: &str) -> Result<Layout, String> {
    match text {
        "monolithic" => Ok(Layout::Fused),
        "bricks" => Ok(Layout::Pipeline),
        other => other.parse().map_err(|e| format!("{e}; or one of the words fused and pipeline")),
    }
}

impl Workers {
    /// Refuses a layout that does not fit a graph, or this machine, before anything is read or written.
    pub fn check(&self, graph: &mut Graph) -> Result<(), Failure> {
        self.workers.check(graph)?;
        let (plan, cores) = (self.workers.plan(graph), cores());
        let crowded = plan.stages.iter().find(|stage| stage.replicas > cores && !self.oversubscribe);
        let Some(stage) = crowded else { return Ok(()) };
        Err(Failure::fault(format!(
            "layout \"{plan}\": {} replicas of {}, and this machine has {cores} cores; --oversubscribe runs it all the same",
            stage.replicas,
            stage.bricks.join(" ")
        )))
    }

    /// How to run a graph that has this layout, ends when `stop` is set and takes replicas from `supply`.
    pub fn options<'a>(&'a self, stop: &'a AtomicBool, supply: Option<Supply<'a>>) -> Options<'a> {
        let checkpoint = self.checkpoint.map(|mib| (mib as usize) << 20);
        let watchdog = Some(stuck::watchdog(Duration::from_secs(self.watchdog)));
        Options { supply, pin: self.pin, checkpoint, watchdog, ..Options::new(&self.workers, stop) }
    }
}
