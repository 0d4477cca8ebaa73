//! State on its way between replicas that stand still.

use super::{Owners, Split, shifts};
use crate::unit::Unit;
use legonf_core::{BrickError, SLOTS, balanced};

/// Slots whose state moves at a time: so many bytes there are beside the state itself.
const AT_ONCE: usize = 64;

impl Split {
    /// Makes the first of these bricks the replicas, so many, and moves the state of all to the owners that result.
    pub fn regroup(
        &self,
        units: &mut [&mut Unit],
        owners: &Owners,
        seats: usize,
    ) -> Result<Owners, BrickError> {
        for (seat, unit) in units.iter_mut().enumerate() {
            self.prepare(&mut *unit.brick)?;
            unit.seat = seat;
        }
        let next: Owners = owners.iter().map(|owners| balanced(owners, &[0; SLOTS], seats).into()).collect();
        for shift in shifts(owners, &next) {
            for slots in shift.slots.chunks(AT_ONCE) {
                let state = units[usize::from(shift.from)].export(shift.shard, slots)?;
                units[usize::from(shift.to)].adopt(shift.shard, slots, &state)?;
            }
        }
        Ok(next)
    }
}
