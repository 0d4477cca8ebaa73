//! The parts of rows, joined.

use super::{Partitioner, Selection, SubBatch};
use legonf_core::{PacketKind, Rows};
use std::ops::Range;

/// Rows whose cells of the home shard come from several replicas: those of packets that take several of its routes.
#[derive(Clone, Debug, Default)]
pub struct Strays {
    rows: Vec<StrayRow>,
    /// The rows, of full width.
    cells: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct StrayRow {
    /// The packet's place in the batch.
    place: usize,
    kind: PacketKind,
    /// The routes of the home shard whose cells it has.
    routes: u8,
    /// Whether it has the cells of all other shards, too.
    is_home: bool,
}

impl Strays {
    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.cells.clear();
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds what one replica has of a packet's row: the cells of some routes of the home shard and, where it is the packet's
    /// home, those of all other shards.
    pub fn push(&mut self, place: usize, kind: PacketKind, routes: u8, is_home: bool, row: &[f64]) {
        self.rows.push(StrayRow { place, kind, routes, is_home });
        self.cells.extend_from_slice(row);
    }

    /// The packets' places in the batch.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|row| row.place)
    }
}

impl Partitioner {
    /// Takes the cells that a sub-batch shall have out of rows, of which the packets of `range` have one each.
    ///
    /// # Panics
    /// If there are no such packets or rows.
    pub fn take_cells(
        &self,
        shard: usize,
        lane: usize,
        range: Range<usize>,
        rows: &Rows,
        part: &mut SubBatch,
    ) {
        let SubBatch { selections, cells, reserved, .. } = part;
        if cells.len() < *reserved as usize {
            cells.resize(*reserved as usize, 0.0);
        }
        for (row, entry) in rows.iter().zip(&selections[shard][lane].entries[range]) {
            let mut to = entry.at as usize;
            for span in self.spans(shard, entry.kind, entry.routes) {
                cells[to..][..span.len()].copy_from_slice(&row[span.clone()]);
                to += span.len();
            }
        }
    }

    /// Puts the cells of all other shards into the row of one packet, given by its index in a selection of the home shard.
    ///
    /// # Panics
    /// If `cells_of` does not give the cells of every replica's sub-batch.
    pub fn join<'a>(
        &self,
        selection: &Selection,
        index: usize,
        cells_of: impl Fn(usize) -> &'a [f64],
        row: &mut [f64],
    ) {
        let kind = selection.entries[index].kind;
        for link in selection.links(index) {
            let (cells, mut from) = (cells_of(link.replica.into()), link.offset as usize);
            for span in self.spans(link.shard.into(), kind, link.routes) {
                row[span.clone()].copy_from_slice(&cells[from..][..span.len()]);
                from += span.len();
            }
        }
    }

    /// Puts what one replica has of stray packets into their rows: those of `places`, which are in order, have one each.
    ///
    /// # Panics
    /// If the rows are not as wide as those that were put in.
    pub fn join_strays(&self, strays: &Strays, places: &[usize], rows: &mut Rows) {
        for (stray, cells) in strays.rows.iter().zip(strays.cells.chunks_exact(self.width())) {
            let Ok(row) = places.binary_search(&stray.place) else { continue };
            let row = rows.row_mut(row);
            let mut copy = |span: &Range<usize>| row[span.clone()].copy_from_slice(&cells[span.clone()]);
            self.spans(self.home(), stray.kind, stray.routes).iter().for_each(&mut copy);
            for shard in self.travelling().filter(|_| stray.is_home) {
                self.spans(shard, stray.kind, self.all_routes(shard)).iter().for_each(&mut copy);
            }
        }
    }

    fn all_routes(&self, shard: usize) -> u8 {
        (self.shards[shard].spans.len() - 1) as u8
    }

    /// The cells that packets of a kind get of a shard by some routes.
    #[inline]
    fn spans(&self, shard: usize, kind: PacketKind, routes: u8) -> &[Range<usize>] {
        &self.shards[shard].spans[usize::from(routes)][kind as usize]
    }
}
