//! Where each packet of a batch goes next, in graphs that branch or drop packets before some of their bricks.
//!
//! A batch passes all bricks in their order; a packet that a branch has led elsewhere, or that was dropped, is left out
//! where it does not belong.
//! That is what µNF's marker, branch and sync ports do; bricks know nothing of it.

use crate::graph::declared::Declared;
use crate::operator::whole;
use legonf_core::{Batch, Brick, BrickError, Handle, Verdict};

/// A brick of a graph that branches, among at most [`MAX_BRICKS`].
pub(crate) type Bits = u64;

/// Bricks in a graph that branches, at most.
pub(crate) const MAX_BRICKS: usize = 64;

/// Where packets go behind a brick.
#[derive(Clone, Debug, Default)]
pub(crate) struct Route {
    /// The column by whose verdicts they part; none where all go the same way.
    pub decided: Option<Handle<Vec<Verdict>>>,
    /// The bricks for each label of that column, in order, and last for what is rejected or where nothing decides.
    pub by_label: Vec<Bits>,
}

impl Route {
    #[inline]
    fn of(&self, verdict: Verdict) -> Bits {
        self.by_label[verdict.place(self.by_label.len() - 1)]
    }
}

/// The routing tables of a graph: where packets enter, where they go behind each brick, and which bricks may drop them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes {
    pub first: Bits,
    pub next: Vec<Route>,
    pub drops: Bits,
}

/// The bricks that each packet of a batch has still to pass.
pub(crate) type Marks = Vec<Bits>;

/// What a worker needs to run a brick on some packets of a batch: their places, and a batch of them alone.
#[derive(Default)]
pub(crate) struct Scratch {
    places: Vec<usize>,
    part: Batch,
}

impl Scratch {
    /// Finds the packets that are led through a brick.
    fn find(&mut self, marks: &Marks, index: usize) {
        let bit = 1 << index;
        self.places.clear();
        self.places.extend((0..marks.len()).filter(|place| marks[*place] & bit != 0));
    }
}

impl Routes {
    /// The bricks that every packet passes: those before the first that branches or drops packets, and that one.
    pub fn trunk(&self) -> Bits {
        let (mut trunk, mut next) = (0, self.first);
        while next.is_power_of_two() && trunk & next == 0 {
            trunk |= next;
            let index = next.trailing_zeros() as usize;
            let route = &self.next[index];
            let goes_on = route.decided.is_none() && self.drops & next == 0;
            next = if goes_on { route.of(Verdict::REJECTED) } else { 0 };
        }
        trunk
    }

    /// Marks the packets of a new batch.
    pub fn enter(&self, batch: &Batch, marks: &mut Marks) {
        marks.clear();
        marks.resize(batch.len(), self.first);
    }

    /// Runs a brick on the packets that are led through it, and marks where they go next: those that it drops, nowhere. What it
    /// fills holds the default for the others, unless another brick has filled that.
    pub fn run(
        &self,
        (index, brick): (usize, &mut dyn Brick),
        declared: &Declared,
        batch: &mut Batch,
        marks: &mut Marks,
        scratch: &mut Scratch,
    ) -> Result<(), BrickError> {
        scratch.find(marks, index);
        if scratch.places.len() == marks.len() {
            whole::process(brick, index, declared, batch, marks.len())?;
        } else if !scratch.places.is_empty() {
            let Scratch { places, part } = scratch;
            let columns = declared.uses[index];
            // A brick may change what it writes in place, so it finds there what was there before.
            batch.gather(places, columns.reads.union(columns.writes), part);
            whole::process(brick, index, declared, part, places.len())?;
            whole::fill(columns.writes, declared, batch, marks.len(), part);
            batch.scatter(part, places, columns.writes, marks.len());
        } else {
            whole::fill(declared.uses[index].writes, declared, batch, marks.len(), &scratch.part);
        }
        self.mark(index, declared, batch, marks, &scratch.places);
        Ok(())
    }

    /// Marks where packets go next that another has led through a brick.
    pub fn leave(
        &self,
        index: usize,
        declared: &Declared,
        batch: &Batch,
        marks: &mut Marks,
        scratch: &mut Scratch,
    ) {
        scratch.find(marks, index);
        self.mark(index, declared, batch, marks, &scratch.places);
    }

    fn mark(&self, index: usize, declared: &Declared, batch: &Batch, marks: &mut Marks, places: &[usize]) {
        self.lead(index, batch, marks, places);
        if self.drops >> index & 1 == 1 {
            let dispositions = declared.dispositions(batch).unwrap_or_default();
            let dropped = |place: &&usize| dispositions[**place].dropped().is_some();
            places.iter().filter(dropped).for_each(|place| marks[*place] = 0);
        }
    }

    fn lead(&self, index: usize, batch: &Batch, marks: &mut Marks, places: &[usize]) {
        let route = &self.next[index];
        let Some(decided) = route.decided else {
            return places.iter().for_each(|place| marks[*place] |= route.of(Verdict::REJECTED));
        };
        let verdicts = batch.columns.get(decided);
        places.iter().for_each(|place| marks[*place] |= route.of(verdicts[*place]));
    }
}
