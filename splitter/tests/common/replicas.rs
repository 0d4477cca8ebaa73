//! Replicas that go through both phases of a batch, in one thread.
#![allow(dead_code, clippy::unwrap_used)]

use legonf_core::{Headers, Rows, Storage};
use legonf_splitter::{Partitioner, Strays, SubBatch};

/// Fills the row of a packet at a replica: `fill(place, replica, shard, row)`.
pub type Fill<'a> = &'a dyn Fn(usize, usize, usize, &mut [f64]);

/// Memory for batches.
#[derive(Default)]
pub struct Replicas {
    pub parts: Vec<SubBatch>,
    rows: Rows,
    strays: Vec<Strays>,
    places: Vec<usize>,
    /// How often a packet's row was completed, and the rows.
    pub homes: Vec<u32>,
    pub whole: Rows,
}

impl Replicas {
    pub fn of(replicas: usize) -> Self {
        let (parts, strays) = (vec![SubBatch::default(); replicas], vec![Strays::default(); replicas]);
        Self { parts, strays, ..Self::default() }
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
            self.strays[replica].clear();
            (0..2).for_each(|lane| self.complete(partitioner, replica, lane, fill));
        }
        self.join(partitioner);
    }

    fn travel(&mut self, partitioner: &Partitioner, replica: usize, fill: Fill<'_>) {
        for (shard, lane) in partitioner.travelling().flat_map(|shard| [(shard, 0), (shard, 1)]) {
            let places = &self.parts[replica].selections[shard][lane].places;
            self.rows.reset(places.len(), partitioner.width());
            for (place, row) in places.iter().zip(self.rows.iter_mut()) {
                fill(*place, replica, shard, row);
            }
            let range = 0..places.len();
            partitioner.take_cells(shard, lane, range, &self.rows, &mut self.parts[replica]);
        }
    }

    fn complete(&mut self, partitioner: &Partitioner, replica: usize, lane: usize, fill: Fill<'_>) {
        let selection = &self.parts[replica].at_home()[lane];
        let strays = selection.strays_of(0..selection.places.len());
        self.rows.reset(1, partitioner.width());
        for (index, place) in selection.places.iter().enumerate() {
            fill(*place, replica, partitioner.home(), self.rows.row_mut(0));
            partitioner.join(
                selection,
                index,
                |replica| self.parts[replica].cells.as_deref(),
                &mut self.rows,
                0,
            );
            let entry = selection.entries[index];
            match strays.iter().find(|stray| stray.index as usize == index) {
                Some(_) if entry.routes == 0 => {}
                Some(stray) => {
                    self.homes[*place] += u32::from(stray.is_home);
                    let row = (&self.rows as &dyn Storage, 0);
                    self.strays[replica].push(*place, entry.kind, entry.routes, stray.is_home, row);
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
        self.places.extend(self.strays.iter().flat_map(Strays::places));
        self.places.sort_unstable();
        self.places.dedup();
        self.rows.reset(self.places.len(), partitioner.width());
        self.rows.as_mut_slice().fill(f64::NAN);
        for strays in &self.strays {
            partitioner.join_strays(strays, &self.places, &mut self.rows);
        }
        for (place, row) in self.places.iter().zip(self.rows.iter()) {
            self.whole.row_mut(*place).copy_from_slice(row);
        }
    }
}
