//! The option `--workers` of every command that runs a graph.

use clap::Args;
use legonf_runtime::{Layout, Options, Supply};
use std::sync::atomic::AtomicBool;

/// How bricks are laid out over threads.
#[derive(Clone, Args)]
pub struct Workers {
    /// Layout, which never shows in the results: `fused` (source, bricks and sink in one thread; also `monolithic`),
    /// `pipeline` (a thread each; also `bricks`), or stages between bars, with replicas of those without state:
    /// 'source batching | extractor | mapping autoencoder x2 | decision sink'.
    #[arg(long, value_name = "LAYOUT", default_value = "pipeline", value_parser = layout)]
    workers: Layout,
    /// Bind each worker to a core.
    #[arg(long)]
    pin: bool,
}

fn layout(text: &str) -> Result<Layout, String> {
    match text {
        "monolithic" => Ok(Layout::Fused),
        "bricks" => Ok(Layout::Pipeline),
        other => other.parse().map_err(|e| format!("{e}; or one of the words fused and pipeline")),
    }
}

impl Workers {
    /// How to run a graph that has this layout, ends when `stop` is set and takes replicas from `supply`.
    pub fn options<'a>(&'a self, stop: &'a AtomicBool, supply: Option<Supply<'a>>) -> Options<'a> {
        Options { supply, pin: self.pin, ..Options::new(&self.workers, stop) }
    }
}
