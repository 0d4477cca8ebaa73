//! Replicas that go through both phases of a batch, in one thread.
#![allow(dead_code, clippy::unwrap_used)]

use legonf_core::{Headers, Rows, Storage, typed};
use legonf_splitter::{CHUNK, PartialRows, Partitioner, SubBatch};
use std::convert::Infallible;

/// Fills the row of a packet at a replica: `fill(place, replica, shard, row)`.
pub type Fill<'a> = &'a dyn Fn(usize, usize, usize, &mut [f64]);

/// Memory for batches.
#[derive(Default)]
pub struct Replicas {
    pub parts: Vec<SubBatch>,
    rows: Rows,
    row: Vec<f64>,
    room: Option<Box<dyn Storage>>,
    partial: Vec<PartialRows>,
    places: Vec<usize>,
    /// How often a packet's row was completed, and the rows.
    pub homes: Vec<u32>,
    pub whole: Rows,
}

impl Replicas {
    pub fn of(replicas: usize) -> Self {
        let (parts, partial) = (vec![SubBatch::default(); replicas], vec![PartialRows::default(); replicas]);
        Self { parts, partial, ..Self::default() }
    }

    /// Computes the cells of the travelling shards, completes the rows at the packets' homes, and joins those that come from
    /// several replicas.
    pub fn go(&mut self, partitioner: &Partitioner, packets: &[Headers], fill: Fill<'_>) {
        self.homes.clear();
        self.homes.resize(packets.len(), 0);
        self.whole.reset(packets.len(), partitioner.width());
        self.whole.as_mut_slice().fill(f64::NAN);
        for replica in 0..self.parts.len() {
            self.travel(partitioner, replica, fill);
        }
        for replica in 0..self.parts.len() {
            self.partial[replica].clear();
            (0..2).for_each(|lane| self.complete(partitioner, replica, lane, fill));
        }
        self.join(partitioner);
    }

    fn travel(&mut self, partitioner: &Partitioner, replica: usize, fill: Fill<'_>) {
        let Self { parts, rows, row, room, .. } = self;
        for (shard, lane) in partitioner.travelling().flat_map(|shard| [(shard, 0), (shard, 1)]) {
            row.resize(partitioner.width(), 0.0);
            let cells = partitioner.compact().unwrap_or(0..row.len());
            let process = &mut |places: &[usize], rows: &mut dyn Storage| -> Result<(), Infallible> {
                let rows: &mut Rows = typed(rows).unwrap();
                for (place, to) in places.iter().zip(rows.iter_mut()) {
                    fill(*place, replica, shard, row);
                    to.copy_from_slice(&row[cells.clone()]);
                }
                Ok(())
            };
            partitioner.compute((shard, lane), CHUNK, &mut parts[replica], rows, room, process).unwrap();
        }
    }

    fn complete(&mut self, partitioner: &Partitioner, replica: usize, lane: usize, fill: Fill<'_>) {
        let selection = &self.parts[replica].at_home()[lane];
        let partial = selection.partial_of(0..selection.places.len());
        self.rows.reset(1, partitioner.width());
        for (index, place) in selection.places.iter().enumerate() {
            fill(*place, replica, partitioner.home(), self.rows.row_mut(0));
            let cells_of = |replica: usize| self.parts[replica].cells.as_deref();
            partitioner.join(selection, index..index + 1, cells_of, &mut self.rows);
            let entry = selection.entries[index];
            match partial.iter().find(|partial| partial.index as usize == index) {
                Some(_) if entry.routes == 0 => {}
                Some(partial) => {
                    self.homes[*place] += u32::from(partial.is_home);
                    let row = (&self.rows as &dyn Storage, 0);
                    self.partial[replica].push(*place, entry.kind, entry.routes, partial.is_home, row);
                }
                None => {
                    self.homes[*place] += 1;
                    self.whole.row_mut(*place).copy_from_slice(self.rows.row(0));
                }
            }
        }
    }

    fn join(&mut self, partitioner: &Partitioner) {
        self.places.clear();
        self.places.extend(self.partial.iter().flat_map(PartialRows::places));
        self.places.sort_unstable();
        self.places.dedup();
        self.rows.reset(self.places.len(), partitioner.width());
        self.rows.as_mut_slice().fill(f64::NAN);
        for partial in &self.partial {
            partitioner.join_partial(partial, &self.places, &mut self.rows);
        }
        for (place, row) in self.places.iter().zip(self.rows.iter()) {
            self.whole.row_mut(*place).copy_from_slice(row);
        }
    }
}
