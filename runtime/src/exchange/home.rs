//! The second phase: rows completed at the packets' home, and the bricks behind the divided one.

use super::{Downstream, Gathered, HomePart, Split};
use crate::RunFault;
use crate::operator::whole;
use crate::operator::{Operator, attempt};
use crate::worker::shared::Shared;
use crate::worker::stats::Stats;
use legonf_core::{Batch, Storage};
use legonf_splitter::{CHUNK, PartialRows, Selection};
use std::ops::Range;
use std::sync::Arc;

/// What a replica needs to complete rows and run the bricks behind.
pub(crate) struct HomeWork {
    pub split: Arc<Split>,
    pub downstream: Arc<Downstream>,
    /// Rows of some packets, and a batch of these alone.
    rows: Option<Box<dyn Storage>>,
    chunk: Batch,
    /// Those packets: their indices among the rows, and their places in the batch.
    kept: Vec<usize>,
    places: Vec<usize>,
    /// Their indices among the results.
    indices: Vec<usize>,
    /// Places of packets whose rows no replica could complete alone.
    partial: Vec<usize>,
}

/// Who does the work, and where it is counted.
pub(crate) struct Hands<'a, 'b> {
    pub operators: &'a mut [Operator],
    pub shared: &'a Shared<'b>,
    pub stats: &'a Stats,
}

impl HomeWork {
    pub fn new(split: Arc<Split>, downstream: Arc<Downstream>) -> Self {
        let (rows, chunk, kept, places, indices, partial) = Default::default();
        Self { split, downstream, rows, chunk, kept, places, indices, partial }
    }

    /// Processes one selection of a part.
    pub fn process(
        &mut self,
        part: &mut HomePart,
        gathered: &Gathered,
        lane: usize,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let selections = gathered.parts[part.label.replica].sub.at_home();
        let selection = &selections[lane];
        let all = selections.iter().map(|selection| selection.places.len()).sum();
        for start in (0..selection.places.len()).step_by(CHUNK) {
            let Some(packets) = &gathered.packets else { return Ok(()) };
            let range = start..selection.places.len().min(start + CHUNK);
            self.complete(selection, range.clone(), gathered, hands)?;
            self.select(selection, range, packets, &mut part.partial);
            self.run(hands)?;
            self.keep(part, all);
        }
        Ok(())
    }

    /// Makes the rows of some packets whole.
    fn complete(
        &mut self,
        selection: &Selection,
        range: Range<usize>,
        gathered: &Gathered,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let Self { split, rows, .. } = self;
        let partitioner = &split.partitioner;
        let (Some(operator), Some(packets)) =
            (hands.operators.iter_mut().find(|operator| operator.index == split.operator), &gathered.packets)
        else {
            return Ok(());
        };
        let rows = split.rows(rows, packets, range.len());
        attempt(operator, hands.shared, Some(hands.stats), &mut |operator| {
            operator.process_part(partitioner.home(), packets, &selection.places[range.clone()], rows)
        })?;
        let cells_of = |replica: usize| gathered.parts[replica].sub.cells.as_deref();
        for (row, index) in range.enumerate() {
            partitioner.join(selection, index, cells_of, rows, row);
        }
        Ok(())
    }

    /// Makes a batch of those packets whose rows are whole, and sets the others aside. Of copies no row is needed.
    fn select(
        &mut self,
        selection: &Selection,
        range: Range<usize>,
        packets: &Batch,
        partial: &mut PartialRows,
    ) {
        let Self { split, rows, chunk, kept, places, downstream, .. } = self;
        let Some(rows) = rows else { return };
        let here = selection.partial_of(range.clone());
        for found in here {
            let index = found.index as usize;
            let entry = selection.entries[index];
            let row = (&**rows, index - range.start);
            if entry.routes != 0 {
                partial.push(selection.places[index], entry.kind, entry.routes, found.is_home, row);
            }
        }
        let is_whole = |row: &usize| here.iter().all(|partial| partial.index as usize != range.start + row);
        kept.clear();
        kept.extend((0..range.len()).filter(|row| here.is_empty() || is_whole(row)));
        places.clear();
        places.extend(kept.iter().map(|row| selection.places[range.start + row]));
        packets.gather(places, downstream.inputs, chunk);
        let whole = chunk.column_mut(split.fills);
        if here.is_empty() { whole.exchange(&mut **rows) } else { rows.gather(kept, whole) }
    }

    /// Runs the bricks behind on the packets of the chunk.
    fn run(&mut self, hands: &mut Hands<'_, '_>) -> Result<(), RunFault> {
        let Self { chunk, places, downstream, .. } = self;
        if places.is_empty() {
            return Ok(());
        }
        for operator in
            hands.operators.iter_mut().filter(|operator| downstream.operators.contains(&operator.index))
        {
            attempt(operator, hands.shared, Some(hands.stats), &mut |operator| {
                whole::process(
                    &mut *operator.brick,
                    operator.index,
                    &hands.shared.declared,
                    chunk,
                    places.len(),
                )
            })?;
        }
        Ok(())
    }

    /// Keeps what was found of the packets of the chunk, of which the part has so many in `all`.
    fn keep(&mut self, part: &mut HomePart, all: usize) {
        let Self { chunk, places, indices, downstream, .. } = self;
        let start = part.places.len();
        part.places.reserve(all - start);
        part.places.extend_from_slice(places);
        indices.clear();
        indices.extend(start..part.places.len());
        if !indices.is_empty() {
            part.results.scatter(chunk, indices, downstream.outputs, all);
        }
    }

    /// Puts the results of all replicas into their batch.
    pub fn finish(
        &mut self,
        parts: &[Box<HomePart>],
        batch: &mut Batch,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let (len, outputs, width) = (batch.len(), self.downstream.outputs, self.split.width());
        if outputs.holds(self.split.fills()) && batch.filled(self.split.fills) != len {
            let column = batch.column_mut(self.split.fills);
            // Packets that go another way, or nowhere, get no row.
            if hands.shared.routes.is_some() { column.fill(len, width) } else { column.reshape(len, width) }
        }
        for part in parts.iter().filter(|part| !part.places.is_empty()) {
            batch.scatter(&part.results, &part.places, outputs, len);
        }
        if parts.iter().any(|part| !part.partial.is_empty()) {
            self.finish_partial(parts, batch, hands)?;
        }
        Ok(())
    }

    /// Joins the rows of packets that no replica could complete alone, and runs the bricks behind on them.
    #[cold]
    fn finish_partial(
        &mut self,
        parts: &[Box<HomePart>],
        batch: &mut Batch,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let len = batch.len();
        let mut places = std::mem::take(&mut self.partial);
        places.clear();
        places.extend(parts.iter().flat_map(|part| part.partial.places()));
        places.sort_unstable();
        places.dedup();
        for some in places.chunks(CHUNK) {
            let rows = self.split.rows(&mut self.rows, batch, some.len());
            for part in parts {
                self.split.partitioner.join_partial(&part.partial, some, rows);
            }
            self.places.clear();
            self.places.extend_from_slice(some);
            batch.gather(some, self.downstream.inputs, &mut self.chunk);
            let whole = self.chunk.column_mut(self.split.fills);
            self.rows.iter_mut().for_each(|rows| whole.exchange(&mut **rows));
            self.run(hands)?;
            batch.scatter(&self.chunk, some, self.downstream.outputs, len);
        }
        self.partial = places;
        Ok(())
    }
}
