//! What a worker has in its hands.

use crate::RunFault;
use crate::operator::Operator;
use crate::worker::envelope::Envelope;
use crate::worker::order::Waiting;
use legonf_core::{Clock, Plan, Sink, Source};

/// The source, and the number of its next batch.
pub(crate) struct Head<'a> {
    pub source: &'a mut dyn Source,
    pub next: u64,
    pub ended: bool,
    /// Stream time: all packets pass here, once and in order, whatever the layout.
    pub clock: Clock,
    /// The epoch of the last batch.
    pub epoch: u64,
    /// A free batch for which nothing came.
    pub spare: Option<Box<Envelope>>,
}

/// The sink.
pub(crate) struct Tail<'a> {
    pub sink: &'a mut dyn Sink,
    pub over: bool,
    /// Stream time behind the last batch that it took.
    pub clock: Clock,
}

/// What a worker has in its hands, which can move to another.
#[derive(Default)]
pub(crate) struct Assignment<'a> {
    pub head: Option<Head<'a>>,
    pub operators: Vec<Operator>,
    /// Where batches must come in order.
    pub order: Option<Waiting>,
    pub tail: Option<Tail<'a>>,
}

impl Assignment<'_> {
    /// The fault of a worker with this assignment that has panicked outside of a brick.
    pub fn fault(&self, message: String) -> RunFault {
        let source = self.head.iter().map(|_| Plan::SOURCE);
        let sink = self.tail.iter().map(|_| Plan::SINK);
        let bricks: Vec<_> =
            source.chain(self.operators.iter().map(|operator| operator.id.as_str())).chain(sink).collect();
        RunFault::Worker { name: format!("the worker of `{}`", bricks.join(" ")), message }
    }
}
