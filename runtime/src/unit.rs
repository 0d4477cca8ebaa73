//! A brick in its place, and batches through it.

use crate::RunFault;
use crate::message::Envelope;
use crate::route::Detour;
use crate::stats::Stats;
use crate::worker::Shared;
use legonf_core::{Brick, BrickError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

/// Counters by name.
pub(crate) type Counters = Vec<(&'static str, u64)>;

/// A brick in its place, with the counters of those that were there before it.
pub(crate) struct Unit {
    pub index: usize,
    /// Which replica of the brick it is, where it has state; the highest for a new one, which has none yet.
    pub seat: usize,
    pub id: String,
    pub brick: Box<dyn Brick>,
    pub past: Counters,
}

/// Lets a batch pass bricks that it has not passed yet.
pub(crate) fn pass<'a>(
    units: impl Iterator<Item = &'a mut Unit>,
    envelope: &mut Envelope,
    shared: &Shared<'_>,
    stats: &Stats,
    detour: &mut Detour,
) -> Result<(), RunFault> {
    let passed = envelope.passed;
    for unit in units.filter(|unit| unit.index >= passed) {
        envelope.passed = unit.index + 1;
        let Envelope { batch, marks, .. } = envelope;
        run_unit(unit, shared, stats, &mut |brick, index| match &shared.routes {
            Some(routes) => routes.run(index, brick, batch, marks, detour),
            None => brick.process(batch),
        })?;
    }
    Ok(())
}

/// Lets a brick, of which the number is given, process a batch.
type Process<'a> = &'a mut dyn FnMut(&mut dyn Brick, usize) -> Result<(), BrickError>;

/// Runs a brick. A stateless one that panics is made anew and tried once more on the same batch: it reads what it has
/// not written, so its answer is the one it would have given.
fn run_unit(
    unit: &mut Unit,
    shared: &Shared<'_>,
    stats: &Stats,
    process: Process<'_>,
) -> Result<(), RunFault> {
    let message = match guarded(|| process(&mut *unit.brick, unit.index)) {
        Ok(result) => return Ok(result?),
        Err(message) => message,
    };
    let Some(fresh) = shared.fresh(unit) else { return Err(panicked(&unit.id, message)) };
    stats.restarted();
    shared.restarts.fetch_add(1, Relaxed);
    add(&mut unit.past, &unit.brick.counters());
    unit.brick = fresh;
    match guarded(|| process(&mut *unit.brick, unit.index)) {
        Ok(result) => Ok(result?),
        Err(message) => Err(panicked(&unit.id, message)),
    }
}

/// Adds counters up by name.
pub(crate) fn add(sum: &mut Counters, counters: &[(&'static str, u64)]) {
    for (name, value) in counters {
        match sum.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total += value,
            None => sum.push((name, *value)),
        }
    }
}

/// Runs what may panic and gives the panic's message.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("no message").to_owned()
    })
}

pub(crate) fn panicked(id: &str, message: String) -> RunFault {
    RunFault::Panic { id: id.to_owned(), message }
}
