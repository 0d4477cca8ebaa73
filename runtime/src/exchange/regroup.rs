//! State on its way between replicas that stand still.

use super::{Owners, Split, migrations};
use crate::PlanError;
use crate::contain::guarded;
use crate::unit::{Unit, attempt_move};
use crate::worker::Shared;
use legonf_core::{BrickError, SLOTS, balanced};

/// Slots whose state moves at a time: so many bytes there are beside the state itself.
const AT_ONCE: usize = 64;

impl Split {
    /// Makes the first of these bricks the replicas, so many, and moves the state of all to the owners that result. By a plan that
    /// is not exact none moves.
    pub fn regroup(
        &self,
        units: &mut [&mut Unit],
        owners: &Owners,
        seats: usize,
        shared: &Shared<'_>,
    ) -> Result<Owners, PlanError> {
        for (seat, unit) in units.iter_mut().enumerate() {
            prepare(self, unit, shared)?;
            unit.seat = seat;
        }
        let next: Owners = owners.iter().map(|owners| balanced(owners, &[0; SLOTS], seats).into()).collect();
        for migration in migrations(owners, &next).iter().filter(|_| self.partitioner.is_exact()) {
            for slots in migration.slots.chunks(AT_ONCE) {
                let mut give = |unit: &mut Unit| unit.export(migration.shard, slots);
                let state = moved(units[usize::from(migration.from)], shared, &mut give)?;
                let mut take = |unit: &mut Unit| unit.adopt(migration.shard, slots, &state);
                moved(units[usize::from(migration.to)], shared, &mut take)?;
            }
        }
        Ok(next)
    }
}

/// Has a brick keep the state of each shard apart.
pub(crate) fn prepare(split: &Split, unit: &mut Unit, shared: &Shared<'_>) -> Result<(), PlanError> {
    let prepared = shared.at(unit.index, || guarded(|| split.prepare(&mut *unit.brick)));
    let error = |reason| PlanError::Move { id: unit.id.clone(), reason };
    prepared
        .map_err(|message| error(format!("it panicked ({message})")))?
        .map_err(|fault| error(fault.reason))
}

fn moved<T>(
    unit: &mut Unit,
    shared: &Shared<'_>,
    work: &mut dyn FnMut(&mut Unit) -> Result<T, BrickError>,
) -> Result<T, PlanError> {
    let id = unit.id.clone();
    attempt_move(unit, shared, None, work).map_err(|reason| PlanError::Move { id, reason })
}
