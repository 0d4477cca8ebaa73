//! What all workers see.

use crate::SupplyError;
use crate::graph::declared::Declared;
use crate::graph::route::Routes;
use crate::options::{Options, Supply};
use crate::worker::meter::Meter;
use crate::worker::pacing::Pacing;
use crate::worker::stats::{At, Stats};
use crate::worker::totals::Totals;
use legonf_core::{Batch, Brick, Fault, Layout, Source, guarded};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What all workers see.
pub(crate) struct Shared<'a> {
    /// Set from outside: nothing more is read.
    pub stop: &'a AtomicBool,
    /// Set at the end: what is still on its way is of no use.
    pub over: AtomicBool,
    pub supply: Option<Supply<'a>>,
    /// How many bytes of packets bricks with state process between two checkpoints, at least; none where there are none.
    pub checkpoint: Option<usize>,
    /// The columns of the graph.
    pub declared: Arc<Declared>,
    /// Where packets go, if not all go everywhere.
    pub routes: Option<Routes>,
    /// What was done so far.
    pub totals: Totals,
    /// What is measured, if anything is.
    pub meter: Meter<'a>,
    /// When batches are closed.
    pub pacing: Pacing,
    /// The epoch of the next batch that is read: who owns which slots is known to all who deal batches out.
    pub epoch: AtomicU64,
    /// What the supervisor is at: where state moves between replicas that stand still, it runs bricks itself.
    pub own: Stats,
    /// Whether the worker that has the source shall leave with its next batch: to do so behind all free ones, it would have to
    /// fill these first.
    leave: AtomicBool,
}

impl<'a> Shared<'a> {
    pub fn new(
        options: &Options<'a>,
        (declared, bricks): (Arc<Declared>, usize),
        routes: Option<Routes>,
    ) -> Self {
        let Options { stop, supply, checkpoint, time, .. } = *options;
        Self {
            stop,
            over: AtomicBool::new(false),
            supply,
            checkpoint,
            declared,
            routes,
            totals: Totals::default(),
            meter: Meter::new(time, bricks),
            pacing: Pacing::default(),
            epoch: AtomicU64::new(0),
            own: Stats::default(),
            leave: AtomicBool::new(false),
        }
    }

    /// Says whether the worker that has the source shall leave.
    pub fn set_leave(&self, leave: bool) {
        self.leave.store(leave, Relaxed);
    }

    /// Whether it shall.
    pub fn leaves(&self) -> bool {
        self.leave.load(Relaxed)
    }

    /// Whether an epoch has begun behind the one of which the source's last batch was.
    pub fn turns(&self, epoch: u64) -> bool {
        self.epoch.load(Acquire) != epoch
    }

    /// Fills a batch from a source; it stays empty at the end, or where nothing comes and the worker shall leave, or another epoch than that
    /// of the last batch has begun. `tended` says whether the caller has something to do where nothing comes for a while.
    pub fn fill(
        &self,
        source: &mut dyn Source,
        batch: &mut Batch,
        (epoch, tended): (u64, bool),
    ) -> Result<(), Fault> {
        if let Some(pace) = self.pacing.get() {
            source.pace(pace);
        }
        loop {
            source.fill(batch)?;
            if !source.is_idle() || self.is_over() || self.leaves() || tended || self.turns(epoch) {
                return Ok(());
            }
        }
    }

    /// Whether nothing more is read.
    pub fn is_over(&self) -> bool {
        self.stop.load(Relaxed) || self.over.load(Relaxed)
    }

    /// Lets the supervisor do something with a brick.
    pub fn at<T>(&self, brick: usize, work: impl FnOnce() -> T) -> T {
        self.own.begin(At::Brick(brick));
        let result = work();
        self.own.begin(At::Nothing);
        result
    }
}

/// A brick of a supply for a place in which so many were lost in turn, bound to the columns of the graph, or in one line why there is none,
/// also where making it panics.
pub(crate) fn supplied(
    supply: Supply<'_>,
    (id, number): (&str, usize),
    losses: usize,
    layout: &Layout,
) -> Result<Box<dyn Brick>, SupplyError> {
    let made = || {
        let mut brick = supply.supply_again(id, number, losses)?;
        brick.bind(layout)?;
        Ok(brick)
    };
    guarded(made).unwrap_or_else(|message| Err(SupplyError::Panic(message)))
}
