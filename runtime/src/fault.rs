//! Why a run ends before the end of its input, and why a plan is refused.

use legonf_core::{BindError, BrickError, Fault};
use std::error::Error;

/// Why a run ended before the end of its input.
#[derive(Debug, thiserror::Error)]
pub enum RunFault {
    /// The input is damaged.
    #[error("{0}")]
    Source(Fault),
    /// A brick failed.
    #[error("brick {0}")]
    Brick(#[from] BrickError),
    /// The results cannot be written.
    #[error("{0}")]
    Sink(Fault),
    /// A brick panicked: a defect of legonf.
    #[error("brick `{id}` panicked ({message}); please report this with the capture")]
    Panic {
        /// The brick, or `source` or `sink`.
        id: String,
        /// The panic's message.
        message: String,
    },
    /// A worker, or the supervisor, panicked outside of a brick: a defect of legonf.
    #[error("{name} panicked ({message}); please report this with the capture")]
    Worker {
        /// What panicked, with the bricks that it had.
        name: String,
        /// The panic's message.
        message: String,
    },
    /// A worker does not come back from a brick, the source or the sink.
    #[error("{name} in {worker} has been at one batch for {seconds} s")]
    Stuck {
        /// The brick, the source or the sink.
        name: String,
        /// The worker, or the supervisor.
        worker: String,
        /// For how long it was watched.
        seconds: u64,
    },
    /// The source or the sink does not fit the graph's columns.
    #[error("{0}: the source or the sink does not fit the graph")]
    Bind(#[from] BindError),
    /// The layout does not fit the graph.
    #[error("{0}")]
    Plan(#[from] PlanError),
}

/// Why there is no further brick for a place of the graph, in one line.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// It cannot be made.
    #[error("{0}")]
    Brick(Box<dyn Error + Send + Sync>),
    /// It does not fit the graph's columns.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// Making it panicked.
    #[error("that panicked ({0})")]
    Panic(String),
    /// Nobody makes bricks in this run.
    #[error("nothing was given that makes one")]
    Nobody,
}

impl SupplyError {
    /// What a supply says that cannot make a brick.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Brick(reason.into())
    }
}

/// A plan that cannot be put into force; the one before stays.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Bricks are missing, unknown, twice there or in another order than the graph's.
    #[error("layout \"{plan}\": expected the bricks \"{expected}\" in this order, each once")]
    Bricks {
        /// The plan.
        plan: String,
        /// The bricks of the graph, with source and sink.
        expected: String,
    },
    /// Replicas of the source or the sink.
    #[error(
        "layout \"{plan}\": `{brick}` is an end of the graph, so its stage has one worker, not {replicas}"
    )]
    End {
        /// The plan.
        plan: String,
        /// The end.
        brick: String,
        /// The replicas asked for.
        replicas: usize,
    },
    /// Replicas of a brick with state that cannot share it.
    #[error("layout \"{plan}\": `{brick}` keeps state that cannot be divided among replicas: {reason}")]
    Undivided {
        /// The plan.
        plan: String,
        /// The brick.
        brick: String,
        /// Why it cannot.
        reason: String,
    },
    /// More workers than the runtime was told to have at most.
    #[error("layout \"{plan}\": {workers} workers, and at most {most} are allowed")]
    Workers {
        /// The plan.
        plan: String,
        /// Workers of it.
        workers: usize,
        /// The limit.
        most: usize,
    },
    /// A further replica cannot be made.
    #[error("a replica of brick `{id}` cannot be made: {reason}")]
    Replica {
        /// The brick.
        id: String,
        /// Why.
        reason: String,
    },
    /// A slot cannot go where the plan wants it.
    #[error("layout \"{plan}\": slot {slot} of `{brick}` cannot go to replica {to}: {reason}")]
    Slot {
        /// The plan.
        plan: String,
        /// The brick.
        brick: String,
        /// The slot.
        slot: u16,
        /// Where it shall go.
        to: u16,
        /// Why it cannot.
        reason: &'static str,
    },
    /// State did not come over from one replica to another: a defect of the brick.
    #[error(
        "brick `{id}`: its state cannot move to another replica: {reason}; please report this with the capture"
    )]
    Move {
        /// The brick.
        id: String,
        /// Why.
        reason: String,
    },
    /// The system has no further thread.
    #[error("a worker cannot be started: {0}")]
    Thread(std::io::Error),
}
