//! The option `--workers` of every command that runs a graph.

use crate::invalid::Invalid;
use clap::Args;
use legonf_engine::arguments::time;
use legonf_runtime::Layout;
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
    /// End the run where a brick has been at one batch for so long. Meanwhile the process cannot end, since the thread
    /// that runs the brick does not: what came before is completed, and the brick is named.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = watchdog)]
    watchdog: Duration,
    /// Allow a stage more replicas than this machine has cores.
    #[arg(long)]
    oversubscribe: bool,
}

/// A time from a second to a day.
fn watchdog(text: &str) -> Result<Duration, Invalid> {
    let bounds = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let time = time(text).ok().filter(|time| bounds.contains(time));
    time.ok_or(Invalid::Value("a time from 1s to 24h, such as 60s"))
}

fn layout(text: &str) -> Result<Layout, Invalid> {
    match text {
        "monolithic" => Ok(Layout::Fused),
        "bricks" => Ok(Layout::Pipeline),
        other => Ok(other.parse::<Layout>()?),
    }
}

impl Workers {
    /// What the engine takes.
    pub fn given(&self) -> legonf_engine::Workers {
        legonf_engine::Workers {
            layout: self.workers.clone(),
            pin: self.pin,
            checkpoint: self.checkpoint.map(|mib| (mib as usize) << 20),
            watchdog: self.watchdog,
            oversubscribe: self.oversubscribe,
        }
    }
}
