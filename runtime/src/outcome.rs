//! What a run did.

use crate::RunFault;
use crate::graph::{Graph, Node};
use crate::options::Options;
use legonf_core::Clock;
use std::time::Duration;

/// Counters of one brick at the end of a run, its replicas' added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickCounters {
    /// Identifier of the brick.
    pub id: String,
    /// Name and value of each counter.
    pub counters: Vec<(&'static str, u64)>,
}

/// Slots that moved from replica to replica, and what packets waited for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Slots that moved.
    pub slots: u64,
    /// Bytes of their state.
    pub bytes: u64,
    /// Packets that waited.
    pub packets: u64,
    /// The time that 99% of these waited at most, to an eighth.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
}

/// Bricks that were lost with the process or the host that they ran in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many, each of which was made anew.
    pub count: u64,
    /// From when that was seen until the new one had answered: of half of them, to an eighth.
    pub median: Duration,
    /// Of 99 of 100.
    pub p99: Duration,
    /// The longest.
    pub longest: Duration,
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// Packets whose results the sink took.
    pub packets: u64,
    /// Counters of every brick, in order.
    pub counters: Vec<BrickCounters>,
    /// Bricks that panicked and were made anew.
    pub restarts: u64,
    /// Bricks that ran elsewhere and were lost.
    pub losses: Losses,
    /// What moving slots cost.
    pub pauses: Pauses,
    /// How long these packets took by their own clock, and what was wrong with it.
    pub clock: Clock,
    /// Whether the run was ended by [`Options::stop`].
    pub stopped: bool,
    /// Why the run ended early, if it did. What the sink took before is complete and in order.
    pub fault: Option<RunFault>,
}

impl Outcome {
    /// A run that did not begin.
    pub(crate) fn refused(graph: &Graph, options: &Options<'_>, fault: RunFault) -> Self {
        let counters = |node: &Node| BrickCounters { id: node.id.clone(), counters: node.brick.counters() };
        Self {
            packets: 0,
            counters: graph.nodes().iter().map(counters).collect(),
            restarts: 0,
            losses: Losses::default(),
            pauses: Pauses::default(),
            clock: options.clock,
            stopped: false,
            fault: Some(fault),
        }
    }
}
