//! Whether slots can go where a plan wants them.

use crate::PlanError;
use legonf_core::{Plan, SLOTS, SlotMove};
use std::collections::BTreeMap;

/// Checks that slots can go where a plan wants them.
pub(crate) fn check(
    plan: &Plan,
    shards_of: impl Fn(&SlotMove) -> Option<(usize, usize)>,
) -> Result<(), PlanError> {
    let mut owners = BTreeMap::new();
    for slot in &plan.moves {
        let owner = *owners.entry((&slot.brick, slot.shard, slot.slot)).or_insert(slot.to);
        let reason = match shards_of(slot) {
            _ if owner != slot.to => "it would have two owners",
            None => "the brick has no replicas that share its work",
            Some((shards, _)) if slot.shard >= shards => "there is no such shard",
            Some(_) if usize::from(slot.slot) >= SLOTS => "there is no such slot",
            Some((_, replicas)) if usize::from(slot.to) >= replicas => "there is no such replica",
            Some(_) => continue,
        };
        let (brick, slot, to) = (slot.brick.clone(), slot.slot, slot.to);
        return Err(PlanError::Slot { plan: plan.to_string(), brick, slot, to, reason });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_one_owner_that_is_there() {
        let to = |slot: u16, to| SlotMove { brick: "b".into(), shard: 0, slot, to };
        let refused = |moves: Vec<SlotMove>| {
            let plan = Plan { moves, ..Plan::fused(["b"]) };
            check(&plan, |slot| (slot.brick == "b").then_some((1, 2))).err().map(|error| error.to_string())
        };
        assert_eq!(refused(vec![to(7, 1), to(8, 0), to(7, 1)]), None);
        for (moves, words) in [
            (vec![to(7, 1), to(8, 0), to(7, 0)], "it would have two owners"),
            (vec![to(7, 2)], "there is no such replica"),
            (vec![SlotMove { slot: 4096, ..to(0, 0) }], "there is no such slot"),
            (vec![SlotMove { shard: 1, ..to(0, 0) }], "there is no such shard"),
            (vec![SlotMove { brick: "c".into(), ..to(0, 0) }], "no replicas that share its work"),
        ] {
            let line = refused(moves).unwrap_or_default();
            assert!(line.contains(words) && line.lines().count() == 1, "{line}");
        }
    }
}
