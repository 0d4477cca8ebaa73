//! What queues carry, and what workers tell the supervisor.

use crate::RunFault;
use crate::exchange::{HomePart, OwnershipTable, Part, Pause, SlotState};
use crate::sync::{Receiver, Sender};
use crate::worker::assignment::Assignment;
use crate::worker::envelope::Envelope;
use std::sync::Arc;
use std::time::Duration;

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
    /// Bytes of the state that was given away.
    pub bytes: u64,
    pub pauses: Vec<Pause>,
}

/// What is left of a worker.
pub(crate) struct Retired<'a> {
    pub serial: u64,
    pub assignment: Assignment<'a>,
    /// The last epoch of a replica that shared a brick's work.
    pub epoch: Option<u64>,
}
