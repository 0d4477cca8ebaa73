//! The second phase: rows completed at the packets' home, and the bricks behind the divided one.

use super::{Downstream, Gathered, HomePart, Split};
use crate::RunFault;
use crate::layout::MAX_WORKERS;
use crate::operator::whole;
use crate::operator::{Operator, attempt};
use crate::sync::{Receiver, Sender, bounded};
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
    pub memory: Pool,
}

/// Memory for home work. The replicas of a stage share it: as many as work at a time take turns with it, so that it stays in the
/// cores' caches however many replicas there are.
#[derive(Clone)]
pub(crate) struct Pool(Sender<Box<Memory>>, Receiver<Box<Memory>>);

impl Default for Pool {
    fn default() -> Self {
        let (sender, receiver) = bounded(MAX_WORKERS);
        Self(sender, receiver)
    }
}

impl Pool {
    fn take(&self) -> Box<Memory> {
        self.1.try_recv().unwrap_or_default()
    }

    fn give(&self, memory: Box<Memory>) {
        let _ = self.0.try_send(memory);
    }
}

/// Memory for some packets at a time.
#[derive(Default)]
pub(crate) struct Memory {
    /// Their rows, and a batch of these alone.
    rows: Option<Box<dyn Storage>>,
    chunk: Batch,
    /// Their places in the batch.
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
    /// Processes one selection of a part.
    pub fn process(
        &self,
        part: &mut HomePart,
        gathered: &Gathered,
        lane: usize,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let mut memory = self.memory.take();
        let processed = memory.process(self, part, gathered, lane, hands);
        self.memory.give(memory);
        processed
    }

    /// Puts the results of all replicas into their batch.
    pub fn finish(
        &self,
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
        if parts.iter().all(|part| part.partial.is_empty()) {
            return Ok(());
        }
        let mut memory = self.memory.take();
        let finished = memory.finish(self, parts, batch, hands);
        self.memory.give(memory);
        finished
    }
}

impl Memory {
    fn process(
        &mut self,
        work: &HomeWork,
        part: &mut HomePart,
        gathered: &Gathered,
        lane: usize,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let selections = gathered.parts[part.label.replica].sub.at_home();
        let selection = &selections[lane];
        let all = selections.iter().map(|selection| selection.places.len()).sum();
        let mut start = 0;
        while let (Some(range), Some(packets)) = (selection.piece(start, CHUNK), &gathered.packets) {
            start = range.end;
            self.complete(&work.split, selection, range.clone(), gathered, hands)?;
            self.select(work, selection, range, packets, &mut part.partial);
            self.run(&work.downstream, hands)?;
            self.keep(work, part, all);
        }
        Ok(())
    }

    /// Makes the rows of some packets whole.
    fn complete(
        &mut self,
        split: &Split,
        selection: &Selection,
        range: Range<usize>,
        gathered: &Gathered,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let partitioner = &split.partitioner;
        let (Some(operator), Some(packets)) =
            (hands.operators.iter_mut().find(|operator| operator.index == split.operator), &gathered.packets)
        else {
            return Ok(());
        };
        let cells_of = |replica: usize| gathered.parts[replica].sub.cells.as_deref();
        partitioner.anticipate(selection, range.clone(), cells_of);
        let rows = split.rows(&mut self.rows, packets, range.len());
        attempt(operator, hands.shared, Some(hands.stats), &mut |operator| {
            operator.process_part(partitioner.home(), packets, &selection.places[range.clone()], rows)
        })?;
        partitioner.join(selection, range, cells_of, rows);
        Ok(())
    }

    /// Makes a batch of those packets whose rows are whole, and sets the others aside. Of copies no row is needed.
    fn select(
        &mut self,
        work: &HomeWork,
        selection: &Selection,
        range: Range<usize>,
        packets: &Batch,
        partial: &mut PartialRows,
    ) {
        let Self { rows: Some(rows), chunk, places, .. } = self else { return };
        let here = selection.partial_of(range.clone());
        for found in here {
            let index = found.index as usize;
            let entry = selection.entries[index];
            let row = (&**rows, index - range.start);
            if entry.routes != 0 {
                partial.push(selection.places[index], entry.kind, entry.routes, found.is_home, row);
            }
        }
        places.clear();
        places.extend_from_slice(&selection.places[range.clone()]);
        for found in here.iter().rev() {
            let row = found.index as usize - range.start;
            rows.swap_remove(row);
            places.swap_remove(row);
        }
        packets.gather(places, work.downstream.inputs, chunk);
        chunk.column_mut(work.split.fills).exchange(&mut **rows);
    }

    /// Runs the bricks behind on the packets of the chunk.
    fn run(&mut self, downstream: &Downstream, hands: &mut Hands<'_, '_>) -> Result<(), RunFault> {
        let Self { chunk, places, .. } = self;
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

    /// Keeps what was found of the packets of the chunk, of which the part has so many in `all`. The rows go back to where the
    /// next ones are computed: that is in the core's cache.
    fn keep(&mut self, work: &HomeWork, part: &mut HomePart, all: usize) {
        let Self { rows, chunk, places, indices, .. } = self;
        let start = part.places.len();
        part.places.reserve(all - start);
        part.places.extend_from_slice(places);
        indices.clear();
        indices.extend(start..part.places.len());
        if !indices.is_empty() {
            part.results.scatter(chunk, indices, work.downstream.outputs, all);
        }
        let column = chunk.column_mut(work.split.fills);
        rows.iter_mut().for_each(|rows| column.exchange(&mut **rows));
    }

    /// Joins the rows of packets that no replica could complete alone, and runs the bricks behind on them.
    #[cold]
    fn finish(
        &mut self,
        work: &HomeWork,
        parts: &[Box<HomePart>],
        batch: &mut Batch,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let (len, split, downstream) = (batch.len(), &work.split, &work.downstream);
        let mut places = std::mem::take(&mut self.partial);
        places.clear();
        places.extend(parts.iter().flat_map(|part| part.partial.places()));
        places.sort_unstable();
        places.dedup();
        for some in places.chunks(CHUNK) {
            let rows = split.rows(&mut self.rows, batch, some.len());
            for part in parts {
                split.partitioner.join_partial(&part.partial, some, rows);
            }
            self.places.clear();
            self.places.extend_from_slice(some);
            batch.gather(some, downstream.inputs, &mut self.chunk);
            let whole = self.chunk.column_mut(split.fills);
            self.rows.iter_mut().for_each(|rows| whole.exchange(&mut **rows));
            self.run(downstream, hands)?;
            batch.scatter(&self.chunk, some, downstream.outputs, len);
        }
        self.partial = places;
        Ok(())
    }
}
