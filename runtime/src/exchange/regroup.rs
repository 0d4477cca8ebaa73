//! State on its way between replicas that stand still.

use super::{Owners, Split, migrations};
use crate::PlanError;
use crate::operator::{Operator, attempt_move};
use crate::worker::shared::Shared;
use legonf_core::{BrickError, SLOTS, balanced};

/// Slots whose state is taken out at a time: so much memory there is beside the state itself.
pub(crate) const AT_ONCE: usize = 64;

impl Split {
    /// Makes the first of these bricks the replicas, so many, and moves the state of all to the owners that result. By a plan that
    /// is not exact none moves.
    pub fn regroup(
        &self,
        operators: &mut [&mut Operator],
        owners: &Owners,
        replicas: usize,
        shared: &Shared<'_>,
    ) -> Result<Owners, PlanError> {
        for (replica, operator) in operators.iter_mut().enumerate() {
            prepare(self, operator, shared)?;
            operator.replica = replica;
        }
        let next: Owners =
            owners.iter().map(|owners| balanced(owners, &[0; SLOTS], replicas).into()).collect();
        for migration in migrations(owners, &next).iter().filter(|_| self.partitioner.is_exact()) {
            for slots in migration.slots.chunks(AT_ONCE) {
                let mut give = |operator: &mut Operator| operator.export(migration.shard, slots);
                let state = moved(operators[usize::from(migration.from)], shared, &mut give)?;
                let mut take = |operator: &mut Operator| operator.adopt(migration.shard, slots, &state);
                moved(operators[usize::from(migration.to)], shared, &mut take)?;
            }
        }
        Ok(next)
    }
}

/// Has a brick keep the state of each shard apart.
pub(crate) fn prepare(split: &Split, operator: &mut Operator, shared: &Shared<'_>) -> Result<(), PlanError> {
    moved(operator, shared, &mut |operator| split.prepare(&mut *operator.brick))
}

fn moved<T>(
    operator: &mut Operator,
    shared: &Shared<'_>,
    work: &mut dyn FnMut(&mut Operator) -> Result<T, BrickError>,
) -> Result<T, PlanError> {
    let id = operator.id.clone();
    attempt_move(operator, shared, None, work).map_err(|reason| PlanError::Move { id, reason })
}
