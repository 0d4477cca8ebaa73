//! The second phase: rows completed at the packets' home, and the bricks behind the divided one.

use super::{Downstream, Gathered, HomePart, Split};
use crate::RunFault;
use crate::layout::MAX_WORKERS;
use crate::operator::whole;
use crate::operator::{Operator, attempt};
use crate::sync::{Receiver, Sender, bounded};
use crate::worker::shared::Shared;
use crate::worker::stats::Stats;
use legonf_core::{Batch, BrickError, Columns, FlowRow, Storage};
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

    /// Ends the flows that are over by the time of a batch, once its packets are processed.
    pub fn expire(
        &self,
        part: &mut HomePart,
        gathered: &Gathered,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let (Some(flows), Some(packets)) = (&self.split.flows, &gathered.packets) else { return Ok(()) };
        let mut memory = self.memory.take();
        let watermarks: &Vec<i64> = packets.columns.get(flows.watermark);
        let expired = memory.expire(self, part, (watermarks, packets.first_number()), hands);
        self.memory.give(memory);
        expired
    }

    /// The columns of flows that go on.
    fn of_flows(&self, hands: &Hands<'_, '_>) -> Columns {
        self.downstream.outputs.intersection(hands.shared.declared.flows)
    }

    /// Puts the results of all replicas into their batch.
    pub fn finish(
        &self,
        parts: &[Box<HomePart>],
        batch: &mut Batch,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        let (len, width, of_flows) = (batch.len(), self.split.width(), self.of_flows(hands));
        let outputs = self.downstream.outputs.without(of_flows);
        if self.split.flows.is_some() {
            let mut memory = self.memory.take();
            memory.join_flows(parts, batch, of_flows);
            self.memory.give(memory);
        } else if outputs.holds(self.split.fills()) && batch.filled(self.split.fills) != len {
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
        let mut divided = hands.operators.iter_mut().filter(|operator| operator.index == work.split.operator);
        let rows = divided.next().map_or(CHUNK, |operator| operator.at_once(selection.places.len()));
        let mut start = 0;
        while let (Some(range), Some(packets)) = (selection.piece(start, rows), &gathered.packets) {
            start = range.end;
            if work.split.flows.is_some() {
                self.process_flows(work, &selection.places[range], packets, hands)?;
            } else {
                self.complete(&work.split, selection, range.clone(), gathered, hands)?;
                self.select(work, selection, range, packets, &mut part.partial);
            }
            self.run(&work.downstream, hands)?;
            self.keep(work, part, all, hands);
        }
        Ok(())
    }

    /// Makes a batch of some packets with the flows that they complete.
    fn process_flows(
        &mut self,
        work: &HomeWork,
        places: &[usize],
        packets: &Batch,
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        self.places.clear();
        self.places.extend_from_slice(places);
        packets.gather(places, work.downstream.inputs, &mut self.chunk);
        let Self { chunk, .. } = self;
        fill_flows(&work.split, hands, chunk, &mut |operator, part, chunk| {
            operator.process_flows(part, packets, places, chunk)
        })
    }

    /// Makes a batch without packets of the flows that are over.
    fn expire(
        &mut self,
        work: &HomeWork,
        part: &mut HomePart,
        (watermarks, first): (&[i64], Option<u64>),
        hands: &mut Hands<'_, '_>,
    ) -> Result<(), RunFault> {
        self.places.clear();
        work.split.empty_like(&mut self.chunk);
        // Bricks whose model changes at a packet must know of which batch these flows are.
        self.chunk.part_of = first;
        let Self { chunk, .. } = self;
        fill_flows(&work.split, hands, chunk, &mut |operator, part, chunk| {
            operator.expire(part, watermarks, chunk)
        })?;
        self.run(&work.downstream, hands)?;
        let all = part.places.len();
        self.keep(work, part, all, hands);
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
        if places.is_empty() && chunk.flows.is_empty() {
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
    fn keep(&mut self, work: &HomeWork, part: &mut HomePart, all: usize, hands: &Hands<'_, '_>) {
        let Self { rows, chunk, places, indices, .. } = self;
        let of_flows = work.of_flows(hands);
        let start = part.places.len();
        part.places.reserve(all - start);
        part.places.extend_from_slice(places);
        indices.clear();
        indices.extend(start..part.places.len());
        if !indices.is_empty() {
            part.results.scatter(chunk, indices, work.downstream.outputs.without(of_flows), all);
        }
        if work.split.flows.is_some() {
            let start = part.results.flows.len();
            part.results.flows.extend_from_slice(&chunk.flows);
            indices.clear();
            indices.extend(start..part.results.flows.len());
            if !indices.is_empty() {
                part.results.scatter(chunk, indices, of_flows, start + indices.len());
            }
            return;
        }
        let column = chunk.column_mut(work.split.fills);
        rows.iter_mut().for_each(|rows| column.exchange(&mut **rows));
    }

    /// Puts the rows of flows of all replicas into their batch, in their order.
    fn join_flows(&mut self, parts: &[Box<HomePart>], batch: &mut Batch, columns: Columns) {
        batch.flows.clear();
        parts.iter().for_each(|part| batch.flows.extend_from_slice(&part.results.flows));
        batch.flows.sort_unstable();
        for part in parts.iter().filter(|part| !part.results.flows.is_empty()) {
            let place = |row: &FlowRow| batch.flows.partition_point(|other| other < row);
            self.indices.clear();
            self.indices.extend(part.results.flows.iter().map(place));
            batch.scatter(&part.results, &self.indices, columns, batch.flows.len());
        }
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

/// Lets the divided brick fill columns of flows for the only part of its work.
fn fill_flows(
    split: &Split,
    hands: &mut Hands<'_, '_>,
    chunk: &mut Batch,
    work: &mut dyn FnMut(&mut Operator, usize, &mut Batch) -> Result<(), BrickError>,
) -> Result<(), RunFault> {
    let Some(operator) = hands.operators.iter_mut().find(|operator| operator.index == split.operator) else {
        return Ok(());
    };
    attempt(operator, hands.shared, Some(hands.stats), &mut |operator| {
        // One that panicked may have told of some flows.
        chunk.flows.clear();
        split.fills().iter().for_each(|column| chunk.column_mut(column).clear());
        work(operator, split.partitioner.home(), chunk)
    })
}
