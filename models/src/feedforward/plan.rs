//! Steps in their order, and the memory that they work in.
//!
//! Rows are computed in blocks. Of a block, steps that share what is too large for the caches compute all rows together; the others
//! form segments, which each row passes alone, so that what lies between their steps stays in the caches.

use super::branch::{Branch, Room, branched};
use super::rewrite;
use super::step::{Inputs, Operation};
use std::ops::Range;

/// Rows of a block at most, and numbers that lie between its segments.
const BLOCK: usize = 32;
const BLOCK_CELLS: usize = 1 << 22;
/// Cells of a value from which on rows pass the steps of a segment alone.
const LARGE: usize = 2048;

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) cells: usize,
    pub(super) integers: bool,
}

/// An operation with the numbers of its inputs and its output among the slots.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) operation: Operation,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
}

/// Where a value is: its buffer, the cells of a row, and the cells from row to row; 0 where only one row is there at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) cells: usize,
    pub(super) stride: usize,
    pub(super) integers: bool,
}

impl Place {
    /// The cells of some rows.
    pub(super) fn range(&self, rows: &Range<usize>) -> Range<usize> {
        let start = rows.start * self.stride;
        start..start + rows.len() * self.cells
    }
}

/// Steps that rows pass one by one, or all together.
#[derive(Clone, Debug, PartialEq)]
struct Segment {
    steps: Range<usize>,
    alone: bool,
}

/// A step with its places.
#[derive(Clone, Debug, PartialEq)]
struct Placed {
    operation: Operation,
    inputs: Vec<Place>,
    output: Place,
}

/// A buffer that values take after one another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Buffer {
    integers: bool,
    /// Whether it holds one row at a time.
    alone: bool,
    cells: usize,
    /// Its number among those of its type.
    number: usize,
}

/// A network, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    steps: Vec<Placed>,
    segments: Vec<Segment>,
    buffers: Vec<Buffer>,
    /// The places of the inputs and outputs.
    pub(super) inputs: Vec<Place>,
    pub(super) outputs: Vec<Place>,
    /// Rows of a block.
    pub(super) block: usize,
    scratch: usize,
}

/// What a plan works in. It grows once.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) reals: Vec<Vec<f32>>,
    pub(super) integers: Vec<Vec<i32>>,
    scratch: Vec<f32>,
    pub(super) branches: Vec<Room>,
}

impl Plan {
    /// Lays out steps, of which those that no output needs are left out.
    pub(super) fn new(slots: &[Slot], steps: Vec<Step>, inputs: &[usize], outputs: &[usize]) -> Self {
        let steps = needed(slots.len(), rewrite::quicker(steps), outputs);
        Self::of(slots, steps, inputs, outputs)
    }

    /// Lays out steps that are all needed, in their quickest forms.
    pub(super) fn of(slots: &[Slot], steps: Vec<Step>, inputs: &[usize], outputs: &[usize]) -> Self {
        let steps = branched(slots, steps, outputs);
        let segments = segments(slots, &steps);
        let mut layout = Layout::new(slots, &steps, &segments, outputs);
        inputs.iter().for_each(|slot| layout.place(*slot));
        for segment in &segments {
            layout.lay_out(segment, &steps[segment.steps.clone()]);
        }
        let at = |slots: &[usize]| slots.iter().map(|slot| layout.places[*slot]).collect::<Vec<_>>();
        let scratch = steps.iter().map(|step| match &step.operation {
            Operation::Linear(linear) => linear.geometry.scratch(),
            Operation::Winograd(winograd) => winograd.scratch(),
            _ => 0,
        });
        let shared: usize = layout.buffers.iter().filter(|buffer| !buffer.alone).map(|b| b.cells).sum();
        Self {
            scratch: scratch.max().unwrap_or(0),
            block: (BLOCK_CELLS / shared.max(1)).clamp(1, BLOCK),
            inputs: at(inputs),
            outputs: at(outputs),
            buffers: layout.buffers.clone(),
            segments,
            steps: steps
                .into_iter()
                .map(|step| Placed {
                    inputs: at(&step.inputs),
                    output: layout.places[step.output],
                    operation: step.operation,
                })
                .collect(),
        }
    }

    /// Floating-point operations of the sums for a row, if it passes all branches.
    pub(super) fn operations(&self) -> u64 {
        self.steps.iter().map(|step| step.operation.operations()).sum()
    }

    /// The branches, by their numbers.
    pub(super) fn branches(&self) -> Vec<&Branch> {
        let branches = self.steps.iter().filter_map(|step| match &step.operation {
            Operation::Branch(branch) => Some(&**branch),
            _ => None,
        });
        let mut branches: Vec<&Branch> = branches.collect();
        branches.sort_by_key(|branch| branch.number);
        branches
    }

    /// Runs the rows of a block, whose inputs are in their places.
    pub(super) fn run(&self, memory: &mut Memory, rows: usize) {
        for segment in &self.segments {
            let size = if segment.alone { 1 } else { rows.max(1) };
            for start in (0..rows).step_by(size) {
                for step in &self.steps[segment.steps.clone()] {
                    memory.step(step, start..start + size);
                }
            }
        }
    }
}

impl Memory {
    /// Makes room for a plan.
    pub(super) fn fit(&mut self, plan: &Plan) {
        let rows = |buffer: &Buffer| if buffer.alone { 1 } else { plan.block };
        for buffer in &plan.buffers {
            let cells = buffer.cells * rows(buffer);
            match buffer.integers {
                true => grow(&mut self.integers, buffer.number, cells),
                false => grow(&mut self.reals, buffer.number, cells),
            }
        }
        if self.scratch.len() < plan.scratch {
            self.scratch.resize(plan.scratch, 0.0);
        }
        let branches = plan.branches();
        self.branches.resize_with(branches.len(), Room::default);
        self.branches.iter_mut().zip(branches).for_each(|(room, branch)| room.fit(branch, plan.block));
    }

    fn step(&mut self, step: &Placed, rows: Range<usize>) {
        let range = step.output.range(&rows);
        if let Operation::Branch(branch) = &step.operation {
            let mut output = std::mem::take(&mut self.reals[step.output.buffer]);
            let mut room = std::mem::take(&mut self.branches[branch.number]);
            branch.run(&self.inputs(step, rows), &mut output[range], &mut room);
            self.branches[branch.number] = room;
            self.reals[step.output.buffer] = output;
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if step.output.integers {
            let mut output = std::mem::take(&mut self.integers[step.output.buffer]);
            step.operation.run_integers(&self.inputs(step, rows), &mut output[range]);
            self.integers[step.output.buffer] = output;
        } else {
            let mut output = std::mem::take(&mut self.reals[step.output.buffer]);
            step.operation.run(&self.inputs(step, rows), &mut output[range], &mut scratch);
            self.reals[step.output.buffer] = output;
        }
        self.scratch = scratch;
    }

    fn inputs<'a>(&'a self, step: &'a Placed, rows: Range<usize>) -> Inputs<'a> {
        Inputs { memory: self, places: &step.inputs, rows }
    }
}

fn grow<T: Clone + Default>(buffers: &mut Vec<Vec<T>>, number: usize, cells: usize) {
    if buffers.len() <= number {
        buffers.resize(number + 1, Vec::new());
    }
    if buffers[number].len() < cells {
        buffers[number].resize(cells, T::default());
    }
}

/// The steps that outputs need.
fn needed(slots: usize, steps: Vec<Step>, outputs: &[usize]) -> Vec<Step> {
    let mut wanted = vec![false; slots];
    outputs.iter().for_each(|slot| wanted[*slot] = true);
    let mut kept: Vec<Step> = Vec::new();
    for step in steps.into_iter().rev() {
        if wanted[step.output] {
            step.inputs.iter().for_each(|slot| wanted[*slot] = true);
            kept.push(step);
        }
    }
    kept.reverse();
    kept
}

fn segments(slots: &[Slot], steps: &[Step]) -> Vec<Segment> {
    let mut segments: Vec<(Range<usize>, bool)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let shares = step.operation.shares();
        match segments.last_mut() {
            Some((range, shared)) if *shared == shares => range.end = number + 1,
            _ => segments.push((number..number + 1, shares)),
        }
    }
    let large = |step: &Step| {
        slots[step.output].cells >= LARGE || step.inputs.iter().any(|slot| slots[*slot].cells >= LARGE)
    };
    let segment = |(range, shares): (Range<usize>, bool)| {
        let alone = !shares && steps[range.clone()].iter().any(large);
        Segment { steps: range, alone }
    };
    segments.into_iter().map(segment).collect()
}

/// Which values take which buffers.
struct Layout<'a> {
    slots: &'a [Slot],
    /// The step after which a value is needed no more.
    last: Vec<usize>,
    /// Whether a value is made and used within one segment that rows pass alone.
    alone: Vec<bool>,
    places: Vec<Place>,
    /// The buffer of each value.
    of: Vec<usize>,
    buffers: Vec<Buffer>,
    free: Vec<usize>,
}

impl<'a> Layout<'a> {
    fn new(slots: &'a [Slot], steps: &[Step], segments: &[Segment], outputs: &[usize]) -> Self {
        let (mut last, mut alone) = (vec![0; slots.len()], vec![false; slots.len()]);
        for (number, step) in steps.iter().enumerate() {
            step.inputs.iter().for_each(|slot| last[*slot] = number);
        }
        for segment in segments.iter().filter(|segment| segment.alone) {
            for step in &steps[segment.steps.clone()] {
                alone[step.output] = segment.steps.contains(&last[step.output]);
            }
        }
        for slot in outputs {
            (last[*slot], alone[*slot]) = (usize::MAX, false);
        }
        let (places, of) = (vec![Place::default(); slots.len()], vec![0; slots.len()]);
        Self { slots, last, alone, places, of, buffers: Vec::new(), free: Vec::new() }
    }

    /// Gives a value a buffer: the free one that fits best, or a new one.
    fn place(&mut self, slot: usize) {
        let (Slot { cells, integers }, alone) = (self.slots[slot], self.alone[slot]);
        let fits = |buffer: &Buffer| buffer.integers == integers && buffer.alone == alone;
        let free = self.free.iter().rposition(|number| fits(&self.buffers[*number]));
        let buffer = match free {
            Some(place) => self.free.remove(place),
            None => {
                let number = self.buffers.iter().filter(|buffer| buffer.integers == integers).count();
                self.buffers.push(Buffer { integers, alone, cells, number });
                self.buffers.len() - 1
            }
        };
        self.buffers[buffer].cells = self.buffers[buffer].cells.max(cells);
        let stride = if alone { 0 } else { cells };
        self.places[slot] = Place { buffer: self.buffers[buffer].number, cells, stride, integers };
        self.of[slot] = buffer;
    }

    /// Places the outputs of a segment's steps. What rows leave behind for other segments is free only when all have passed.
    fn lay_out(&mut self, segment: &Segment, steps: &[Step]) {
        let mut later = Vec::new();
        for (number, step) in segment.steps.clone().zip(steps) {
            self.place(step.output);
            let mut inputs = step.inputs.clone();
            inputs.sort_unstable();
            inputs.dedup();
            for slot in inputs.into_iter().filter(|slot| self.last[*slot] == number) {
                let free = if segment.alone && !self.alone[slot] { &mut later } else { &mut self.free };
                free.push(self.of[slot]);
            }
        }
        self.free.append(&mut later);
    }
}
