//! Calls over a channel: one after the other, each with a number that its answer repeats.

use crate::channel::{Channel, ChannelError};
use crate::message::{Reply, Request, number, put};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How many leases a call may take that moves state: there can be much of it.
const STATE_LEASES: u32 = 10;

/// The side that asks.
pub(crate) struct Caller {
    channel: Box<dyn Channel>,
    number: u64,
    frame: Vec<u8>,
    lease: Duration,
    /// Processor time of all answers.
    spent: Duration,
    /// Why nothing is asked any more.
    lost: Option<String>,
    loss: Loss,
}

/// Whether another side was lost.
#[derive(Clone, Default)]
pub struct Loss(Arc<AtomicBool>);

impl Loss {
    /// Whether the brick is still there, lost or not.
    pub fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether it was.
    pub fn is_lost(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The other side is lost.
    Lost(String),
    /// It answers that what was asked has failed, or cannot be.
    Fault(String),
}

/// What an answer should not have been.
pub(crate) struct Unexpected;

impl Caller {
    pub fn new(channel: Box<dyn Channel>, lease: Duration) -> Self {
        Self {
            channel,
            number: 0,
            frame: Vec::new(),
            lease,
            spent: Duration::ZERO,
            lost: None,
            loss: Loss::default(),
        }
    }

    /// Tells whether the other side is lost, later on.
    pub fn loss(&self) -> Loss {
        self.loss.clone()
    }

    /// Processor time that the other side has spent on answers.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// Whether the other side is lost.
    pub fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Asks something that needs no columns.
    pub fn ask<T>(
        &mut self,
        question: &Request<'_>,
        take: impl FnOnce(Reply<'_>) -> Result<T, Unexpected>,
    ) -> Result<T, CallError> {
        self.call(question, |_| (), |reply, _| take(reply))
    }

    /// Asks something: `columns` puts what goes along behind the question, `take` reads the answer and what came along.
    ///
    /// # Errors
    /// If it failed there, or there is no answer: from then on the other side is lost.
    pub fn call<T>(
        &mut self,
        question: &Request<'_>,
        columns: impl FnOnce(&mut Vec<u8>),
        take: impl FnOnce(Reply<'_>, &[u8]) -> Result<T, Unexpected>,
    ) -> Result<T, CallError> {
        if let Some(lost) = &self.lost {
            return Err(CallError::Lost(lost.clone()));
        }
        self.number += 1;
        self.frame.clear();
        self.frame.extend_from_slice(&self.number.to_le_bytes());
        put(question, &mut self.frame);
        columns(&mut self.frame);
        let answer = self.exchange(is_of_state(question), take);
        answer.map_err(|error| match error {
            Failure::Fault(reason) => CallError::Fault(reason),
            Failure::Lost(reason) => {
                self.lost = Some(reason.clone());
                self.loss.0.store(true, Relaxed);
                CallError::Lost(reason)
            }
        })
    }

    fn exchange<T>(
        &mut self,
        is_of_state: bool,
        take: impl FnOnce(Reply<'_>, &[u8]) -> Result<T, Unexpected>,
    ) -> Result<T, Failure> {
        let lease = if is_of_state { self.lease * STATE_LEASES } else { self.lease };
        self.channel.set_patience(Some(lease))?;
        self.channel.send(&self.frame)?;
        let frame = self.channel.receive()?;
        let strange = || Failure::Lost("it answered what was not asked".into());
        let (answered, rest) = number(frame).ok_or_else(strange)?;
        // An answer that was lost or came twice shows by its number.
        if answered != self.number {
            return Err(strange());
        }
        let (spent, rest) = number(rest).ok_or_else(strange)?;
        self.spent += Duration::from_nanos(spent);
        let (reply, rest) = postcard::take_from_bytes(rest).map_err(|_| strange())?;
        match reply {
            Reply::Fault(reason) | Reply::Refused(reason) => Err(Failure::Fault(reason.to_owned())),
            Reply::Panic(message) => Err(Failure::Lost(format!("it panicked ({message})"))),
            reply => take(reply, rest).map_err(|Unexpected| strange()),
        }
    }
}

enum Failure {
    Fault(String),
    Lost(String),
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Whether a call moves state, or makes a brick.
fn is_of_state(question: &Request<'_>) -> bool {
    use Request::{Copy, CopyEach, Export, Import, ImportEach, Make};
    matches!(
        question,
        Make(_) | Export { .. } | Copy { .. } | CopyEach { .. } | Import { .. } | ImportEach { .. }
    )
}
