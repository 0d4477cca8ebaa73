//! What queues carry, and what workers tell the supervisor.

use crate::RunFault;
use crate::exchange::{Gathered, HomePart, Join, OwnershipTable, Part, Pause, SharedColumns, SlotState};
use crate::order::Order;
use crate::route::Marks;
use crate::sync::{Receiver, Sender};
use crate::worker::Assignment;
use legonf_core::{Batch, Clock, Layout};
use std::sync::Arc;
use std::time::Duration;

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

/// What a queue carries.
pub(crate) enum Message {
    Batch(Box<Envelope>),
    /// A replica's part of a batch: first with all its packets, then with those that have their home there.
    Part(Box<Part>),
    Home(Box<HomePart>),
    /// Who has which slots from an epoch on.
    Ownership(Arc<OwnershipTable>),
    /// State of slots from the replica that had them.
    State(Box<SlotState>),
    /// One replica tells that it has done all that came before.
    Drain,
    /// One worker of the stage hands back what it has; nothing more comes here.
    Retire,
}

/// Both ends of a queue.
pub(crate) type Queue = (Sender<Message>, Receiver<Message>);

/// Batches that wait for those before them.
pub(crate) type Waiting = Order<Box<Envelope>>;

/// What workers tell the supervisor.
pub(crate) enum Event<'a> {
    /// The sink has all there is, or the run ends by a fault.
    Over(Option<RunFault>),
    /// A replica has done all that came before [`Message::Drain`].
    Drained(u64),
    /// A replica has given and taken the slots that move at an epoch.
    Turned(u64, Turned),
    /// A worker is gone.
    Retired(Box<Retired<'a>>),
    /// A worker is gone with all that it had, by a panic.
    Lost(u64, String),
}

/// What the moves of an epoch have cost a replica.
#[derive(Default)]
pub(crate) struct Turned {
    /// Time for the export and the import of state.
    pub spent: Duration,
    pub pauses: Vec<Pause>,
}

/// What is left of a worker.
pub(crate) struct Retired<'a> {
    pub serial: u64,
    pub assignment: Assignment<'a>,
    /// The last epoch of a replica that shared a brick's work.
    pub epoch: Option<u64>,
}
