//! Steps that only one side of a choice needs: they are computed for the rows that the choice takes from that side.

use super::plan::{Memory, Place, Plan, Slot, Step};
use super::step::{Inputs, Operation, Side};
use std::collections::HashSet;

/// Steps for some rows of a block, with a plan of their own. The first input of the step is the condition; the others are those of the
/// plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Branch {
    pub(super) plan: Plan,
    /// Whether it is for rows for which the condition holds, or for the others.
    holds: bool,
    /// Its number among the branches of the plan that it is in.
    pub(super) number: usize,
}

/// What a branch works in.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    memory: Memory,
    /// The rows of a block that are computed.
    rows: Vec<usize>,
    /// Rows that came by, and those that were computed.
    pub(super) passed: u64,
    pub(super) computed: u64,
}

impl Room {
    /// Makes room for a branch in blocks of so many rows.
    pub(super) fn fit(&mut self, branch: &Branch, block: usize) {
        self.memory.fit(&branch.plan);
        self.rows.reserve(block);
    }
}

impl Branch {
    /// Computes the rows that are asked for; the others are left as they are.
    pub(super) fn run(&self, inputs: &Inputs<'_>, output: &mut [f32], room: &mut Room) {
        let condition = inputs.integer(0);
        let Room { memory, rows, passed, computed } = room;
        rows.clear();
        rows.extend((0..condition.len()).filter(|row| (condition[*row] != 0) == self.holds));
        *passed += condition.len() as u64;
        *computed += rows.len() as u64;
        let to = self.plan.outputs[0];
        for rows in rows.chunks(self.plan.block) {
            for (from, to) in inputs.places[1..].iter().zip(&self.plan.inputs) {
                let (outer, first) = (inputs.memory, inputs.rows.start);
                match to.integers {
                    true => gather(&outer.integers, from, rows, first, &mut memory.integers[to.buffer]),
                    false => gather(&outer.reals, from, rows, first, &mut memory.reals[to.buffer]),
                }
            }
            self.plan.run(memory, rows.len());
            let made = memory.reals[to.buffer].chunks_exact(to.cells);
            for (row, made) in rows.iter().zip(made) {
                output[row * to.cells..][..to.cells].copy_from_slice(made);
            }
        }
    }
}

/// Copies some rows of a value to where they lie one after another.
fn gather<T: Copy>(buffers: &[Vec<T>], place: &Place, rows: &[usize], first: usize, to: &mut [T]) {
    for (row, to) in rows.iter().zip(to.chunks_exact_mut(place.cells)) {
        to.copy_from_slice(&buffers[place.buffer][(first + row) * place.stride..][..place.cells]);
    }
}

/// The same steps, in which those that only one side of a choice of whole rows needs are a branch, where they take long.
pub(super) fn branched(slots: &[Slot], mut steps: Vec<Step>, outputs: &[usize]) -> Vec<Step> {
    let (mut at, mut number) = (steps.len(), 0);
    while at > 0 {
        at -= 1;
        for side in 0..2 {
            let Some((slot, own)) = own_steps(slots, &steps, at, side, outputs) else { continue };
            let (condition, mut kept, mut taken) = (steps[at].inputs[0], Vec::new(), Vec::new());
            for (place, step) in steps.into_iter().enumerate() {
                if own.contains(&place) { taken.push(step) } else { kept.push(step) }
            }
            steps = kept;
            at -= taken.len();
            let inputs = inputs_of(&taken);
            let plan = Plan::of(slots, taken, &inputs, &[slot]);
            let operation = Operation::Branch(Box::new(Branch { plan, holds: side == 0, number }));
            let inputs = [&[condition], &inputs[..]].concat();
            steps.insert(at, Step { operation, inputs, output: slot });
            at += 1;
            number += 1;
        }
    }
    steps
}

/// The slot of a side of the choice at a place, and the steps that nothing but this side needs; none where they are not long, or the
/// choice is not one of whole rows.
fn own_steps(
    slots: &[Slot],
    steps: &[Step],
    at: usize,
    side: usize,
    outputs: &[usize],
) -> Option<(usize, HashSet<usize>)> {
    let choice = &steps[at];
    let Operation::Choose(sides) = &choice.operation else { return None };
    let Side::Input(input) = sides[side] else { return None };
    let slot = choice.inputs[input];
    let once = choice.inputs.iter().filter(|other| **other == slot).count() == 1;
    if slots[choice.inputs[0]].cells != 1 || !once {
        return None;
    }
    let mut needed = vec![false; slots.len()];
    outputs.iter().for_each(|slot| needed[*slot] = true);
    for (place, step) in steps.iter().enumerate().skip(at) {
        let others = step.inputs.iter().filter(|other| place != at || **other != slot);
        others.for_each(|slot| needed[*slot] = true);
    }
    let mut own = HashSet::new();
    for place in (0..at).rev() {
        let step = &steps[place];
        if needed[step.output] {
            step.inputs.iter().for_each(|slot| needed[*slot] = true);
        } else {
            own.insert(place);
        }
    }
    own.iter().any(|place| steps[*place].operation.is_long()).then_some((slot, own))
}

/// What steps read that none of them makes.
fn inputs_of(steps: &[Step]) -> Vec<usize> {
    let made: HashSet<usize> = steps.iter().map(|step| step.output).collect();
    let mut inputs: Vec<usize> =
        steps.iter().flat_map(|step| &step.inputs).copied().filter(|slot| !made.contains(slot)).collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}
