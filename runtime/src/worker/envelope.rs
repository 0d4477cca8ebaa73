//! A batch and all that goes with it.

use crate::RunFault;
use crate::exchange::{Gathered, Join, Part, SharedColumns};
use crate::graph::route::Marks;
use crate::worker::meter::Stamp;
use legonf_core::{Batch, Clock, Layout};
use std::sync::Arc;

/// A batch on its way, or a free one in the pool.
#[derive(Default)]
pub(crate) struct Envelope {
    /// Its place in the order of arrival.
    pub number: u64,
    /// Bricks that it has passed: a batch that waits for its turn while bricks move passes none twice.
    pub passed: usize,
    /// Who owned which slots when it was read, and whether it is the first of that epoch.
    pub epoch: u64,
    pub turn: bool,
    /// Set where the stream ends here.
    pub ending: Option<Ending>,
    pub batch: Batch,
    /// Stream time behind it.
    pub clock: Clock,
    /// What is measured of it.
    pub stamp: Stamp,
    /// Where the graph branches: the bricks that each packet has still to pass.
    pub marks: Marks,
    /// What replicas of a keyed brick read together, memory for their parts of the batch, and where these come together.
    pub shared: SharedColumns,
    pub parts: Vec<Box<Part>>,
    pub gathered: Arc<Gathered>,
    pub join: Option<Arc<Join>>,
}

impl Envelope {
    /// A free one, with a batch of these columns.
    pub fn of(layout: &Layout) -> Self {
        Self { batch: Batch::new(layout), ..Self::default() }
    }
}

/// How the stream ends.
pub(crate) enum Ending {
    Input,
    Fault(RunFault),
}
