//! Which replica should own which slot.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Owners of slots among so many replicas that even these loads out and leave most slots where they are.
///
/// Replicas with more than an even share give their heaviest slots away, as long as they keep a share; those that are
/// no more, all. Each of these, the heaviest first, goes to the replica with the least load. A slot without load counts
/// a little, so that nothing known means slots in equal numbers.
///
/// # Panics
/// If there is no replica, or `loads` has fewer slots than `owners`.
pub fn balanced(owners: &[u16], loads: &[u64], replicas: usize) -> Vec<u16> {
    assert!(replicas > 0, "a replica");
    let weight = |slot: usize| loads[slot].saturating_mul(16).saturating_add(1);
    let mut held = vec![0_u64; replicas];
    let mut slots: Vec<usize> = (0..owners.len()).collect();
    slots.sort_by_key(|slot| (Reverse(loads[*slot]), *slot));
    let mine = |slot: usize| held_by(owners[slot], replicas);
    slots.iter().filter_map(|slot| Some((mine(*slot)?, *slot))).for_each(|(r, slot)| held[r] += weight(slot));
    let total: u64 = slots.iter().map(|slot| weight(*slot)).sum();
    let share = total.div_ceil(replicas as u64);
    let (mut next, mut homeless) = (owners.to_vec(), Vec::new());
    for slot in slots {
        match mine(slot) {
            Some(replica) if held[replica] < share + weight(slot) => {}
            at => {
                if let Some(replica) = at {
                    held[replica] -= weight(slot);
                }
                homeless.push(slot);
            }
        }
    }
    let mut least: BinaryHeap<_> = held.iter().enumerate().map(|(r, held)| Reverse((*held, r))).collect();
    for slot in homeless {
        let Some(Reverse((held, replica))) = least.pop() else { break };
        next[slot] = replica as u16;
        least.push(Reverse((held + weight(slot), replica)));
    }
    next
}

/// The replica that has a slot, if it stays.
fn held_by(owner: u16, replicas: usize) -> Option<usize> {
    Some(usize::from(owner)).filter(|owner| *owner < replicas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(owners: &[u16], loads: &[u64], replicas: usize) -> Vec<u64> {
        let of = |replica| (0..owners.len()).filter(move |slot| usize::from(owners[*slot]) == replica);
        (0..replicas).map(|replica| of(replica).map(|slot| loads[slot]).sum()).collect()
    }

    #[test]
    fn without_loads_replicas_get_as_many_slots() {
        let next = balanced(&[0; 100], &[0; 100], 3);
        let counts = sums(&next, &[1; 100], 3);
        assert!(counts.iter().all(|n| (33..=34).contains(n)), "{counts:?}");
        assert!(balanced(&next, &[0; 100], 1).iter().all(|owner| *owner == 0));
    }

    #[test]
    fn a_slot_that_is_more_than_a_share_keeps_its_replica_to_itself() {
        let mut loads = [10; 64];
        loads[5] = 5000;
        let next = balanced(&[0; 64], &loads, 2);
        assert!((0..64).all(|slot| (next[slot] == 0) == (slot == 5)), "{next:?}");
    }

    proptest! {
        #[test]
        fn loads_even_out_and_what_is_even_stays(
            loads in prop::collection::vec(0_u64..1000, 256), owners in prop::collection::vec(0_u16..6, 256), replicas in 1_usize..6,
        ) {
            let next = balanced(&owners, &loads, replicas);
            let sums = sums(&next, &loads, replicas);
            let most = loads.iter().max().unwrap() + loads.iter().sum::<u64>() / replicas as u64 + 32;
            prop_assert!(sums.iter().all(|sum| *sum <= most), "{sums:?} {most}");
            prop_assert!(next.iter().all(|owner| usize::from(*owner) < replicas));
            let again = balanced(&next, &loads, replicas);
            let moved = |from: &[u16], to: &[u16]| from.iter().zip(to).filter(|(a, b)| a != b).count();
            prop_assert!(moved(&next, &again) <= 256 / 8, "{}", moved(&next, &again));
        }
    }
}
