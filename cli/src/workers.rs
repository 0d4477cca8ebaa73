//! The option `--workers` of every command that runs a graph.

use clap::{Args, ValueEnum};
use legonf_runtime::Layout;

/// How bricks are laid out over threads.
#[derive(Args)]
pub struct Workers {
    /// Layout: everything in one thread, or a worker for each brick. The results are the same.
    #[arg(long, value_enum, default_value_t = Choice::Bricks)]
    workers: Choice,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    Monolithic,
    Bricks,
}

impl Workers {
    /// The layout that was chosen.
    pub fn layout(&self) -> Layout {
        match self.workers {
            Choice::Monolithic => Layout::Monolithic,
            Choice::Bricks => Layout::Bricks,
        }
    }
}
