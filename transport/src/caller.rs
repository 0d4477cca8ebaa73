//! Calls over a channel: one after the other, each with a number that its answer repeats. Some can be begun before those before them
//! are answered.

use crate::channel::{Channel, ChannelError};
use crate::message::{Reply, Request, number, put};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// How many leases a call may take that moves state: there can be much of it.
const STATE_LEASES: u32 = 10;

/// Calls that are begun before the first of them is answered, at most: no more than shared memory has slots. Their questions have so
/// many bytes together at most: what buffers of the system take where the other side reads nothing, since it waits until an answer
/// of its own is read.
const MOST_BEGUN: usize = 3;
const MOST_BEGUN_BYTES: usize = 64 << 10;

/// The side that asks.
pub(crate) struct Caller {
    channel: Box<dyn Channel>,
    number: u64,
    frame: Vec<u8>,
    /// Calls that are begun and whose answers nobody has taken, the oldest first.
    begun: VecDeque<Begun>,
    /// Memory for answers that nobody has taken yet.
    free: Vec<Vec<u8>>,
    lease: Duration,
    /// Processor time of all answers.
    spent: Duration,
    /// Why nothing is asked any more.
    lost: Option<String>,
    loss: Loss,
}

/// A call that is begun.
struct Begun {
    number: u64,
    /// Bytes of the question.
    bytes: usize,
    /// The answer, if it had to be read before it was asked for.
    answer: Option<Vec<u8>>,
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
            begun: VecDeque::new(),
            free: Vec::new(),
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
        self.check()?;
        let answer = self.await_begun().and_then(|()| {
            self.send(question, columns)?;
            self.receive(self.number, is_of_state(question), take)
        });
        answer.map_err(|error| self.failed(error))
    }

    /// Begins a call, whose answer is [taken](Self::finish) later: after those of calls that were begun before. Returns whether it was
    /// begun: not where too many are.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn begin(
        &mut self,
        question: &Request<'_>,
        columns: impl FnOnce(&mut Vec<u8>),
    ) -> Result<bool, CallError> {
        self.check()?;
        if self.begun.len() == MOST_BEGUN {
            return Ok(false);
        }
        self.write(question, columns);
        let bytes = self.frame.len();
        if self.begun.iter().map(|begun| begun.bytes).sum::<usize>() + bytes > MOST_BEGUN_BYTES {
            // The next call has this number.
            self.number -= 1;
            return Ok(false);
        }
        let sent = self.send_frame(false);
        sent.map_err(|error| self.failed(error))?;
        self.begun.push_back(Begun { number: self.number, bytes, answer: None });
        Ok(true)
    }

    /// Whether a call is begun.
    pub fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Takes the answer of the oldest call that was begun.
    ///
    /// # Errors
    /// As [`call`](Self::call), and if none was begun.
    pub fn finish<T>(
        &mut self,
        take: impl FnOnce(Reply<'_>, &[u8]) -> Result<T, Unexpected>,
    ) -> Result<T, CallError> {
        self.check()?;
        let Some(Begun { number, answer, .. }) = self.begun.pop_front() else {
            return Err(CallError::Fault("no call was begun".into()));
        };
        let taken = match answer {
            None => self.receive(number, false, take),
            Some(frame) => {
                let taken = read(&frame, number).and_then(|(spent, rest)| {
                    self.spent += spent;
                    answer_of(rest, take)
                });
                self.free.push(frame);
                taken
            }
        };
        taken.map_err(|error| self.failed(error))
    }

    fn check(&self) -> Result<(), CallError> {
        self.lost.as_ref().map_or(Ok(()), |lost| Err(CallError::Lost(lost.clone())))
    }

    fn failed(&mut self, error: Failure) -> CallError {
        match error {
            Failure::Fault(reason) => CallError::Fault(reason),
            Failure::Lost(reason) => {
                self.lost = Some(reason.clone());
                self.loss.0.store(true, Relaxed);
                CallError::Lost(reason)
            }
        }
    }

    /// Reads the answers of all calls that are begun, so that the next frame is that of another one.
    fn await_begun(&mut self) -> Result<(), Failure> {
        let Self { begun, free, channel, .. } = self;
        for begun in begun.iter_mut().filter(|begun| begun.answer.is_none()) {
            let mut answer = free.pop().unwrap_or_default();
            answer.clear();
            answer.extend_from_slice(channel.receive()?);
            begun.answer = Some(answer);
        }
        Ok(())
    }

    fn write(&mut self, question: &Request<'_>, columns: impl FnOnce(&mut Vec<u8>)) {
        self.number += 1;
        self.frame.clear();
        self.frame.extend_from_slice(&self.number.to_le_bytes());
        put(question, &mut self.frame);
        columns(&mut self.frame);
    }

    fn send(&mut self, question: &Request<'_>, columns: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
        self.write(question, columns);
        self.send_frame(is_of_state(question))
    }

    fn send_frame(&mut self, is_of_state: bool) -> Result<(), Failure> {
        self.channel.set_patience(Some(lease(self.lease, is_of_state)))?;
        Ok(self.channel.send(&self.frame)?)
    }

    fn receive<T>(
        &mut self,
        number: u64,
        is_of_state: bool,
        take: impl FnOnce(Reply<'_>, &[u8]) -> Result<T, Unexpected>,
    ) -> Result<T, Failure> {
        self.channel.set_patience(Some(lease(self.lease, is_of_state)))?;
        let (spent, rest) = read(self.channel.receive()?, number)?;
        self.spent += spent;
        answer_of(rest, take)
    }
}

/// How long a call may take.
fn lease(lease: Duration, is_of_state: bool) -> Duration {
    if is_of_state { lease * STATE_LEASES } else { lease }
}

fn strange() -> Failure {
    Failure::Lost("it answered what was not asked".into())
}

/// The processor time of an answer, and the answer itself, if it is that of the call with this number. One that was lost or came
/// twice shows by its number.
fn read(frame: &[u8], expected: u64) -> Result<(Duration, &[u8]), Failure> {
    let (answered, rest) = number(frame).ok_or_else(strange)?;
    let (spent, rest) = number(rest).filter(|_| answered == expected).ok_or_else(strange)?;
    Ok((Duration::from_nanos(spent), rest))
}

fn answer_of<T>(
    answer: &[u8],
    take: impl FnOnce(Reply<'_>, &[u8]) -> Result<T, Unexpected>,
) -> Result<T, Failure> {
    let (reply, rest) = postcard::take_from_bytes(answer).map_err(|_| strange())?;
    match reply {
        Reply::Fault(reason) | Reply::Refused(reason) => Err(Failure::Fault(reason.to_owned())),
        Reply::Panic(message) => Err(Failure::Lost(format!("it panicked ({message})"))),
        reply => take(reply, rest).map_err(|Unexpected| strange()),
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
    use Request::{Adopt, Copy, CopyEach, Export, Import, ImportEach, Make};
    matches!(
        question,
        Make(_)
            | Export { .. }
            | Copy { .. }
            | CopyEach { .. }
            | Import { .. }
            | ImportEach { .. }
            | Adopt { .. }
    )
}
