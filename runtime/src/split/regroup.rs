//! State on its way between replicas that stand still.

use super::{Owners, Split, shifts};
use crate::unit::{Unit, west_east};
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
                transfer(units, (shift.from, shift.to), shift.shard, slots)?;
            }
        }
        Ok(next)
    }
}

fn transfer(
    units: &mut [&mut Unit],
    (from, to): (u16, u16),
    shard: usize,
    slots: &[u16],
) -> Result<(), BrickError> {
    let (from, to) = (usize::from(from), usize::from(to));
    // A packet that came for one group may have left traces of others in slots that its replica does not own.
    west_east(&mut *units[to].brick)?.export(shard, slots)?;
    let state = west_east(&mut *units[from].brick)?.export(shard, slots)?;
    west_east(&mut *units[to].brick)?.import(shard, &state)
}
