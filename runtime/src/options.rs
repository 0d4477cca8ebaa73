//! How a graph is run.

use crate::SupplyError;
use crate::exchange::{EXACT, Partition};
use crate::layout::Layout;
use crate::watchdog::Watchdog;
use legonf_core::{Brick, Clock};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Makes further bricks for the places of a graph. A function of the brick's identifier is one that makes no difference between
/// replicas.
pub trait Supplier: Sync {
    /// Makes a brick by its identifier and the number of the replica (the graph's own brick is replica 0), ready to work at full
    /// speed: its model is loaded (and shared with the others), its memory is there. It is asked for the same replica again where
    /// that panicked or was lost.
    ///
    /// # Errors
    /// Why there is none.
    fn supply(&self, id: &str, replica: usize) -> Result<Box<dyn Brick>, SupplyError>;

    /// The same for a replica that has been lost so often in turn, while one instance took the place of another. After some losses it
    /// should be one that cannot be lost. By default there is no difference.
    ///
    /// # Errors
    /// As [`supply`](Self::supply).
    fn supply_again(&self, id: &str, replica: usize, _losses: usize) -> Result<Box<dyn Brick>, SupplyError> {
        self.supply(id, replica)
    }
}

impl<F: Fn(&str) -> Result<Box<dyn Brick>, SupplyError> + Sync> Supplier for F {
    fn supply(&self, id: &str, _: usize) -> Result<Box<dyn Brick>, SupplyError> {
        self(id)
    }
}

/// Where a run gets bricks from.
pub type Supply<'a> = &'a dyn Supplier;

/// Tells the time since some moment.
pub type Time<'a> = &'a (dyn Fn() -> Duration + Sync);

/// How a graph is run.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Layout over workers.
    pub layout: &'a Layout,
    /// Batches that each queue between two stages holds, on average: when all are full the source waits.
    pub queue: usize,
    /// Set from outside to end the run: packets already read are still processed and written.
    pub stop: &'a AtomicBool,
    /// Makes replicas, and bricks anew that panicked. Without it there are no replicas, and a panic ends the run.
    pub supply: Option<Supply<'a>>,
    /// Whether each worker is bound to a core.
    pub pin: bool,
    /// Keeps checkpoints of bricks with state that can be divided, so that one that panics, at a batch or while its state
    /// moves, is made anew with the state it had, and the run goes on: a checkpoint of the slots that have changed whenever so
    /// many bytes of packets, and as many as the checkpoint has, were processed. That takes the memory of the state twice
    /// again, and a copy of every packet's headers. Without it such a panic ends the run.
    pub checkpoint: Option<usize>,
    /// How the work of keyed bricks is divided among replicas. By a plan that is not exact state does not move: replicas neither come
    /// nor go, and after the run the graph's brick has that of the first alone.
    pub partition: Partition<'a>,
    /// Where stream time begins: as the first packet says, or after other captures ([`Clock::next_capture`]).
    pub clock: Clock,
    /// Ends a run of which a worker does not come back from a brick. Without it such a run never ends.
    pub watchdog: Option<Watchdog<'a>>,
    /// A clock by which the latency of each brick is measured: it is read once for each batch and brick. Without it snapshots have no
    /// [passages](legonf_core::Snapshot::passages), and workers read no clock.
    pub time: Option<Time<'a>>,
}

impl<'a> Options<'a> {
    /// A layout with queues of four batches, and exact plans.
    pub fn new(layout: &'a Layout, stop: &'a AtomicBool) -> Self {
        Self {
            layout,
            queue: 4,
            stop,
            supply: None,
            pin: false,
            checkpoint: None,
            partition: EXACT,
            clock: Clock::default(),
            watchdog: None,
            time: None,
        }
    }
}
