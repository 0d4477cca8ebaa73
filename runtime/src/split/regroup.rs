//! State on its way between replicas that stand still.

use super::division::west_east;
use super::{Owners, Split, shifts};
use crate::unit::Unit;
use legonf_core::{BrickError, SLOTS, WestEast, balanced};

/// Slots whose state moves at a time: so many bytes there are beside the state itself.
const AT_ONCE: usize = 64;

impl Split {
    /// Makes the first of these bricks the replicas, so many, and moves the state of all to the owners that result.
    pub fn regroup(&self, units: &mut [&mut Unit], owners: &Owners, seats: usize) -> Result<Owners, String> {
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
) -> Result<(), String> {
    let failed = |error: BrickError| error.to_string();
    // A packet that came for one group may have left traces of others in slots that its replica does not own.
    seat(units, to)?.export(shard, slots).map_err(failed)?;
    let state = seat(units, from)?.export(shard, slots).map_err(failed)?;
    seat(units, to)?.import(shard, &state).map_err(failed)
}

fn seat<'a>(units: &'a mut [&mut Unit], seat: u16) -> Result<&'a mut dyn WestEast, String> {
    let unit = units.get_mut(usize::from(seat)).ok_or("a replica is missing")?;
    west_east(&mut *unit.brick)
}
