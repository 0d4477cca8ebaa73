//! State on its way between replicas that stand still.

use super::division::west_east;
use super::{Owners, Split};
use crate::unit::Unit;
use legonf_core::{BrickError, SLOTS, WestEast};
use std::collections::BTreeMap;

/// Slots whose state moves at a time: so many bytes there are beside the state itself.
const AT_ONCE: usize = 64;

impl Split {
    /// Makes the first of these bricks the replicas, so many, and moves the state of all to the owners that result.
    pub fn regroup(&self, units: &mut [&mut Unit], owners: &Owners, seats: usize) -> Result<Owners, String> {
        for (seat, unit) in units.iter_mut().enumerate() {
            self.prepare(&mut *unit.brick)?;
            unit.seat = seat;
        }
        let next: Owners = owners.iter().map(|owners| even(owners, seats)).collect();
        for (shard, (owners, next)) in owners.iter().zip(&next).enumerate() {
            let mut between: BTreeMap<(u16, u16), Vec<u16>> = BTreeMap::new();
            for slot in (0..SLOTS).filter(|slot| owners[*slot] != next[*slot]) {
                between.entry((owners[slot], next[slot])).or_default().push(slot as u16);
            }
            for ((from, to), slots) in &between {
                for slots in slots.chunks(AT_ONCE) {
                    transfer(units, (*from, *to), shard, slots)?;
                }
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

/// Owners among so many replicas, each of as many slots, of which as few as possible change hands.
pub(crate) fn even(owners: &[u16], replicas: usize) -> Box<[u16]> {
    let mut held = vec![0_usize; replicas];
    let most = |replica: usize| SLOTS / replicas + usize::from(replica < SLOTS % replicas);
    let mut next: Vec<Option<u16>> = Vec::with_capacity(SLOTS);
    for owner in owners {
        let replica = usize::from(*owner);
        let stays = replica < replicas && held[replica] < most(replica);
        next.push(stays.then_some(*owner));
        if stays {
            held[replica] += 1;
        }
    }
    let mut free = (0..replicas).flat_map(|replica| vec![replica as u16; most(replica) - held[replica]]);
    next.into_iter().map(|owner| owner.or_else(|| free.next()).unwrap_or(0)).collect()
}
