//! Where each packet of a batch goes next, in graphs that branch.
//!
//! A batch passes all bricks in their order; a packet that a branch has led elsewhere is left out where it does not belong.
//! That is what µNF's marker, branch and sync ports do; bricks know nothing of it.

use crate::whole;
use legonf_core::{Batch, Brick, BrickError, Column, Columns, Verdict};

/// A brick of a graph that branches, among at most [`MAX_BRICKS`].
pub(crate) type Bits = u64;

/// Bricks in a graph that branches, at most.
pub(crate) const MAX_BRICKS: usize = 64;

/// Where a packet goes behind a brick, by its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    pub benign: Bits,
    pub anomalous: Bits,
    pub rejected: Bits,
}

impl Route {
    /// Whether the verdict decides.
    pub fn branches(&self) -> bool {
        self.benign != self.anomalous || self.benign != self.rejected
    }

    pub fn of(&self, verdict: Verdict) -> Bits {
        match verdict {
            Verdict::Benign => self.benign,
            Verdict::Anomalous => self.anomalous,
            Verdict::Rejected => self.rejected,
        }
    }
}

/// The routing tables of a graph: where packets enter, and where they go behind each brick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routes {
    pub first: Bits,
    pub next: Vec<Route>,
    pub reads: Vec<Columns>,
    pub writes: Vec<Columns>,
}

/// The bricks that each packet of a batch has still to pass.
pub(crate) type Marks = Vec<Bits>;

/// What a worker needs to run a brick on some packets of a batch: their places, and a batch of them alone.
#[derive(Default)]
pub(crate) struct Detour {
    places: Vec<usize>,
    part: Batch,
}

impl Detour {
    /// Finds the packets that are led through a brick.
    fn find(&mut self, marks: &Marks, index: usize) {
        let bit = 1 << index;
        self.places.clear();
        self.places.extend((0..marks.len()).filter(|place| marks[*place] & bit != 0));
    }
}

impl Routes {
    /// Marks the packets of a new batch.
    pub fn enter(&self, batch: &Batch, marks: &mut Marks) {
        marks.clear();
        marks.resize(batch.len(), self.first);
    }

    /// Runs a brick on the packets that are led through it, and marks where they go next.
    pub fn run(
        &self,
        index: usize,
        brick: &mut dyn Brick,
        batch: &mut Batch,
        marks: &mut Marks,
        detour: &mut Detour,
    ) -> Result<(), BrickError> {
        detour.find(marks, index);
        if detour.places.len() == marks.len() {
            whole::process(brick, batch, marks.len())?;
        } else if !detour.places.is_empty() {
            // A brick may change what it writes in place, so it finds there what was there before.
            gather(batch, &detour.places, self.reads[index].union(self.writes[index]), &mut detour.part);
            whole::process(brick, &mut detour.part, detour.places.len())?;
            let len = batch.len();
            scatter(&detour.part, &detour.places, self.writes[index], len, batch);
        }
        self.mark(index, batch, marks, &detour.places);
        Ok(())
    }

    /// Marks where packets go next that another has led through a brick.
    pub fn leave(&self, index: usize, batch: &Batch, marks: &mut Marks, detour: &mut Detour) {
        detour.find(marks, index);
        self.mark(index, batch, marks, &detour.places);
    }

    fn mark(&self, index: usize, batch: &Batch, marks: &mut Marks, places: &[usize]) {
        let route = self.next[index];
        for place in places {
            let bits = if route.branches() { route.of(batch.verdicts[*place]) } else { route.benign };
            marks[*place] |= bits;
        }
    }
}

/// Copies some columns of some packets into a batch of their own.
pub(crate) fn gather(batch: &Batch, places: &[usize], columns: Columns, part: &mut Batch) {
    part.clear();
    for column in columns.iter() {
        match column {
            Column::Packets => {
                places.iter().filter(|place| **place < batch.packets.len()).for_each(|place| {
                    part.packets.push_copy(batch.packets.record(*place), batch.packets.bytes(*place));
                })
            }
            Column::Headers => copy(&batch.headers, places, &mut part.headers),
            Column::Features => batch.features.gather(places, &mut part.features),
            Column::Mapped => batch.mapped.gather(places, &mut part.mapped),
            Column::Errors => batch.errors.gather(places, &mut part.errors),
            Column::Scores => copy(&batch.scores, places, &mut part.scores),
            Column::Verdicts => copy(&batch.verdicts, places, &mut part.verdicts),
        }
    }
}

fn copy<T: Copy>(from: &[T], places: &[usize], to: &mut Vec<T>) {
    to.extend(places.iter().filter_map(|place| from.get(*place)));
}

/// Copies columns of a part to the places of its packets in a batch of `len`.
pub(crate) fn scatter(part: &Batch, places: &[usize], columns: Columns, len: usize, batch: &mut Batch) {
    for column in columns.iter() {
        match column {
            // Only sources fill it.
            Column::Packets => {}
            Column::Headers => put(&part.headers, places, len, &mut batch.headers),
            Column::Features => batch.features.scatter(&part.features, places, len),
            Column::Mapped => batch.mapped.scatter(&part.mapped, places, len),
            Column::Errors => batch.errors.scatter(&part.errors, places, len),
            Column::Scores => put(&part.scores, places, len, &mut batch.scores),
            Column::Verdicts => put(&part.verdicts, places, len, &mut batch.verdicts),
        }
    }
}

fn put<T: Copy + Default>(from: &[T], places: &[usize], len: usize, to: &mut Vec<T>) {
    to.resize(len, T::default());
    for (place, value) in places.iter().zip(from) {
        to[*place] = *value;
    }
}
