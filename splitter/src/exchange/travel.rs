//! The cells of the travelling shards: computed by the replica that has a packet's slot, read at the packet's home.

use super::{Partitioner, Selection, SubBatch};
use legonf_core::{Storage, like};
use std::ops::Range;

/// Has a brick fill the rows of the packets at some places.
pub type Process<'a, E> = &'a mut dyn FnMut(&[usize], &mut dyn Storage) -> Result<(), E>;

impl Partitioner {
    /// Computes the cells of one selection of a travelling shard, and keeps them in the sub-batch. The brick is given so many packets
    /// at once, or all. `model` is a column like the one that it fills, and `room` memory for rows.
    ///
    /// # Errors
    /// If the brick fails.
    ///
    /// # Panics
    /// If there is no such selection.
    pub fn compute<E>(
        &self,
        (shard, lane): (usize, usize),
        at_once: usize,
        part: &mut SubBatch,
        model: &dyn Storage,
        room: &mut Option<Box<dyn Storage>>,
        process: Process<'_, E>,
    ) -> Result<(), E> {
        let SubBatch { selections, cells, reserved, room: most, .. } = part;
        let selection = &mut selections[shard][lane];
        let row = self.compact.as_ref().map_or(1, Range::len);
        let (cells, needed) = (like(cells, model), *reserved as usize);
        if cells.cells() != row || cells.filled() < needed {
            cells.reshape(needed.max(*most), row);
        }
        if self.compact.is_some() && selection.places.len() == needed && needed > 0 {
            // Row after row, as they come: nothing is left to be copied.
            cells.reshape(needed, row);
            process(&selection.places, cells)?;
        } else {
            self.compute_apart((shard, at_once), selection, like(room, model), cells, process)?;
        }
        selection.done = true;
        Ok(())
    }

    /// Computes rows, some at a time, and takes the cells out of them.
    fn compute_apart<E>(
        &self,
        (shard, at_once): (usize, usize),
        selection: &Selection,
        rows: &mut dyn Storage,
        cells: &mut dyn Storage,
        process: Process<'_, E>,
    ) -> Result<(), E> {
        let width = self.row_width();
        for start in (0..selection.places.len()).step_by(at_once) {
            let range = start..selection.places.len().min(start + at_once);
            rows.reshape(range.len(), width);
            process(&selection.places[range.clone()], rows)?;
            for (row, entry) in selection.entries[range].iter().enumerate() {
                let at = entry.at as usize;
                match &self.compact {
                    Some(_) => cells.put_row(at, 0, rows, row),
                    None => rows.take_cells(row, self.spans(shard, entry.kind, entry.routes), cells, at),
                }
            }
        }
        Ok(())
    }
}
