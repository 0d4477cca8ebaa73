//! Operators: a brick in its place in a running graph. Its panics are contained, what it fills is checked, and its state is
//! checkpointed, if that is asked for.

pub(crate) mod checkpointer;
pub(crate) mod interface;
mod replay;
pub(crate) mod whole;

use crate::RunFault;
use crate::graph::route::Scratch;
use crate::operator::checkpointer::Checkpointer;
use crate::worker::envelope::Envelope;
use crate::worker::shared::{Shared, supplied};
use crate::worker::stats::{At, Stats};
use interface::{Counters, add, west_east};
use legonf_core::{Batch, Brick, BrickError, State, Storage, guarded};
use legonf_splitter::CHUNK;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A brick in its place, with the counters of those that were there before it.
pub(crate) struct Operator {
    pub index: usize,
    /// Which replica of the brick it is, where it has state; the highest for a new one, which has none yet.
    pub replica: usize,
    /// The number by which a supply was asked for it; 0 for the graph's own brick.
    pub number: usize,
    pub id: String,
    pub brick: Box<dyn Brick>,
    pub past: Counters,
    /// Makes it possible that another brick with state takes its place.
    pub checkpointer: Option<Box<Checkpointer>>,
    /// Calls that are begun: what it is asked next.
    pub begun: usize,
}

impl Operator {
    /// How many of so many packets the brick is given at once.
    pub fn at_once(&mut self, packets: usize) -> usize {
        let takes_all = self.brick.west_east().is_some_and(|brick| brick.takes_all_at_once());
        if takes_all { packets.max(CHUNK) } else { CHUNK }
    }

    /// Lets the brick process some packets of a batch for one part of its work.
    pub fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let begun = self.take_begun();
        if let Some(checkpointer) = self.checkpointer.as_mut().filter(|_| !begun) {
            checkpointer.begin(batch, Some((part, places)));
        }
        let (packets, width) = (rows.filled(), rows.cells());
        west_east(&mut *self.brick)?.process_part(part, batch, places, rows)?;
        whole::check_rows(&*self.brick, rows, packets, width)?;
        self.checkpointer.as_mut().map_or(Ok(()), |checkpointer| checkpointer.end(&mut *self.brick))
    }

    /// Begins the next [`process_part`](Self::process_part) behind those begun before, and returns whether that can be.
    pub fn begin_part(&mut self, part: usize, batch: &Batch, places: &[usize], cells: usize) -> bool {
        let begins = self.may_begin()
            && self.brick.west_east().is_some_and(|brick| brick.begin_part(part, batch, places, cells));
        self.note_begun(begins, batch, Some((part, places)))
    }

    /// Begins to process a whole batch, likewise.
    pub fn begin(&mut self, batch: &Batch) -> bool {
        let begins = self.may_begin() && self.brick.begin(batch);
        self.note_begun(begins, batch, None)
    }

    /// Whether calls that were begun for what waits have come to nothing: the brick was lost, and another one has its place. All that waits
    /// goes first then.
    pub fn has_lost(&self, some_wait: bool) -> bool {
        some_wait && self.begun == 0
    }

    /// Whether a call can be begun: not where state is to be saved, which must be that behind the call before.
    fn may_begin(&self) -> bool {
        self.checkpointer.as_ref().is_none_or(|checkpointer| !checkpointer.is_due())
    }

    fn note_begun(&mut self, begins: bool, batch: &Batch, part: Option<(usize, &[usize])>) -> bool {
        if begins {
            self.checkpointer.iter_mut().for_each(|checkpointer| checkpointer.begin(batch, part));
            self.begun += 1;
        }
        begins
    }

    /// Whether the call that is made now was begun before.
    fn take_begun(&mut self) -> bool {
        let begun = self.begun > 0;
        self.begun -= usize::from(begun);
        begun
    }

    /// Lets a brick that fills columns of flows process some packets of a batch for one part of its work.
    pub fn process_flows(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.begin(batch, Some((part, places)));
        }
        west_east(&mut *self.brick)?.process_flows(part, batch, places, flows)?;
        self.checkpointer.as_mut().map_or(Ok(()), |checkpointer| checkpointer.end(&mut *self.brick))
    }

    /// Lets it end the flows of a part that are over by the time of a batch.
    pub fn expire(&mut self, part: usize, watermarks: &[i64], flows: &mut Batch) -> Result<(), BrickError> {
        west_east(&mut *self.brick)?.expire(part, watermarks, flows)?;
        let last = watermarks.last().copied();
        self.checkpointer
            .iter_mut()
            .zip(last)
            .for_each(|(checkpointer, last)| checkpointer.expired(part, last));
        Ok(())
    }

    /// Takes state of some slots out of the brick.
    pub fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let state = west_east(&mut *self.brick)?.export(part, slots)?;
        self.checkpointer.iter_mut().for_each(|checkpointer| checkpointer.gave(part, slots));
        Ok(state)
    }

    /// Puts state of some slots that another replica had into the brick. A packet that came here for one group may have left traces
    /// of others in slots that this replica did not own; they go first.
    pub fn adopt(&mut self, part: usize, slots: &[u16], state: &[u8]) -> Result<(), BrickError> {
        west_east(&mut *self.brick)?.adopt(part, slots, state)?;
        self.checkpointer.iter_mut().for_each(|checkpointer| {
            checkpointer.gave(part, slots);
            checkpointer.took(part, state);
        });
        Ok(())
    }

    /// Puts another brick in the place of one that panicked, as it was before the batch at which that happened.
    fn renew(&mut self, fresh: Box<dyn Brick>) -> Result<(), BrickError> {
        let before = std::mem::replace(&mut self.brick, fresh);
        self.begun = 0;
        match &mut self.checkpointer {
            Some(checkpointer) => {
                let counters = checkpointer.restore(&mut *self.brick)?;
                add(&mut self.past, &counters);
            }
            None => add(&mut self.past, &before.counters()),
        }
        Ok(())
    }
}

/// Tells what a worker's bricks have spent elsewhere, and, where that was asked for, how large their state is.
pub(crate) fn measure(operators: &[Operator], stats: &Stats) {
    let elsewhere: Duration = operators.iter().map(|operator| operator.brick.spent_elsewhere()).sum();
    if !elsewhere.is_zero() {
        stats.set_elsewhere(elsewhere);
    }
    stats.measure(|| operators.iter().map(|operator| operator.brick.state_size()).sum());
    stats.count_bricks(|| operators.iter().filter_map(counted).collect());
}

/// The counters of a brick by its number; not of one that runs elsewhere, which would have to be asked.
fn counted(operator: &Operator) -> Option<(usize, Counters)> {
    if operator.begun > 0 || !operator.brick.spent_elsewhere().is_zero() {
        return None;
    }
    let mut counters = operator.past.clone();
    add(&mut counters, &operator.brick.counters());
    Some((operator.index, counters))
}

/// Lets a batch pass bricks that it has not passed yet.
pub(crate) fn pass<'a>(
    operators: impl Iterator<Item = &'a mut Operator>,
    envelope: &mut Envelope,
    shared: &Shared<'_>,
    stats: &Stats,
    scratch: &mut Scratch,
) -> Result<(), RunFault> {
    let passed = envelope.passed;
    for operator in operators.filter(|operator| operator.index >= passed) {
        envelope.passed = operator.index + 1;
        let Envelope { batch, marks, .. } = envelope;
        attempt(operator, shared, Some(stats), &mut |operator| {
            let begun = operator.take_begun();
            let Operator { index, brick, checkpointer, .. } = operator;
            let mut run = |brick: &mut dyn Brick| match &shared.routes {
                Some(routes) => routes.run((*index, brick), &shared.declared, batch, marks, scratch),
                None => {
                    let packets = batch.len();
                    whole::process(brick, *index, &shared.declared, batch, packets)
                }
            };
            match checkpointer {
                Some(checkpointer) => run(&mut checkpointer.watch(&mut **brick, begun)),
                None => run(&mut **brick),
            }
        })?;
        shared.meter.passed(operator.index..operator.index + 1, envelope);
    }
    Ok(())
}

/// Lets a brick do its work. One that panics, or is lost, is made anew and tried once more at the same, unless it changes something in
/// place: it reads of a batch what it has not written, so its answer is the one it would have given. One with state has what it
/// had before, if that was kept.
pub(crate) fn attempt<T>(
    operator: &mut Operator,
    shared: &Shared<'_>,
    stats: Option<&Stats>,
    work: &mut dyn FnMut(&mut Operator) -> Result<T, BrickError>,
) -> Result<T, RunFault> {
    let note = |at| stats.unwrap_or(&shared.own).begin(at);
    note(At::Brick(operator.index));
    let result = match guarded(|| work(operator)) {
        Ok(Err(error)) if operator.brick.is_lost() => again(operator, shared, stats, error.into(), work),
        Ok(result) => result.map_err(Into::into),
        Err(message) => {
            let fault = panicked(&operator.id, message);
            again(operator, shared, stats, fault, work)
        }
    };
    note(At::Nothing);
    result
}

/// What there is to take the place of a brick that panicked or was lost.
enum Fresh {
    /// Nothing: another one would not have its state, or nobody makes one.
    Kept,
    Made(Box<dyn Brick>),
    /// Why it could not be made.
    Failed(String),
}

/// A brick that can take the place of one that panicked or was lost, where so many others were lost before.
fn fresh(operator: &Operator, shared: &Shared<'_>, losses: usize) -> Fresh {
    let stateless = operator.brick.descriptor().state == State::Stateless;
    // Where a brick has changed something of a batch in place, another one would change that twice. One that was lost has not.
    let is_untouched = operator.brick.is_lost() || !shared.declared.changes_in_place(operator.index);
    let replaceable = operator.checkpointer.is_some() || stateless && is_untouched;
    match shared
        .supply
        .filter(|_| replaceable)
        .map(|supply| supplied(supply, (&operator.id, operator.number), losses, &shared.declared.layout))
    {
        None => Fresh::Kept,
        Some(Ok(brick)) => Fresh::Made(brick),
        Some(Err(error)) => Fresh::Failed(error.to_string()),
    }
}

/// Instances in turn that may be lost before the run ends: while one takes the place of another, its host can be lost as well.
pub(crate) const MOST_LOSSES: usize = 16;

/// Makes a brick anew that panicked or was lost, and lets it do its work once more. Where that one is lost meanwhile, a further one is made.
#[cold]
fn again<T>(
    operator: &mut Operator,
    shared: &Shared<'_>,
    stats: Option<&Stats>,
    mut fault: RunFault,
    work: &mut dyn FnMut(&mut Operator) -> Result<T, BrickError>,
) -> Result<T, RunFault> {
    let (start, was_lost) = (Instant::now(), operator.brick.is_lost());
    for losses in 0..MOST_LOSSES {
        let fresh = match fresh(operator, shared, losses) {
            Fresh::Made(fresh) => fresh,
            Fresh::Kept => return Err(fault),
            Fresh::Failed(reason) => return Err(unrenewed(fault, &reason)),
        };
        stats.into_iter().for_each(Stats::restarted);
        if operator.brick.is_lost() {
            shared.totals.lost();
        } else {
            shared.totals.restarts.fetch_add(1, Relaxed);
        }
        let result = match guarded(|| operator.renew(fresh).and_then(|()| work(operator))) {
            Ok(result) => result.map_err(RunFault::from),
            Err(message) => return Err(panicked(&operator.id, message)),
        };
        match result {
            Err(lost) if operator.brick.is_lost() => fault = lost,
            result => {
                if was_lost {
                    shared.totals.recovered(start.elapsed());
                }
                return result;
            }
        }
    }
    Err(fault)
}

/// The fault of a brick that could not be made anew.
fn unrenewed(fault: RunFault, reason: &str) -> RunFault {
    let both = |first: String| format!("{first}, and cannot be made anew: {reason}");
    match fault {
        RunFault::Panic { id, message } => RunFault::Panic { id, message: both(message) },
        RunFault::Brick(error) => {
            RunFault::Brick(BrickError { brick: error.brick, reason: both(error.reason) })
        }
        other => other,
    }
}

/// [`attempt`] of what takes state out of a brick or puts it in; in one line why that cannot be, if so. A brick that panics
/// at it has the state it had before, and is asked once more, if that was kept.
pub(crate) fn attempt_move<T>(
    operator: &mut Operator,
    shared: &Shared<'_>,
    stats: Option<&Stats>,
    work: &mut dyn FnMut(&mut Operator) -> Result<T, BrickError>,
) -> Result<T, String> {
    attempt(operator, shared, stats, work).map_err(|fault| match fault {
        RunFault::Panic { message, .. } => format!("it panicked ({message})"),
        RunFault::Brick(error) => error.reason,
        other => other.to_string(),
    })
}

pub(crate) fn panicked(id: &str, message: String) -> RunFault {
    RunFault::Panic { id: id.to_owned(), message }
}
