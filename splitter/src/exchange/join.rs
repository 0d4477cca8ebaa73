//! The parts of rows, joined.

use super::{Partitioner, Selection};
use legonf_core::{PacketKind, Storage, like};
use std::ops::Range;

/// Rows whose cells of the home shard come from several replicas: those of packets that take several of its routes.
#[derive(Clone, Debug, Default)]
pub struct PartialRows {
    rows: Vec<PartialRow>,
    /// The rows, of full width, and behind them those of other batches before.
    cells: Option<Box<dyn Storage>>,
}

#[derive(Clone, Copy, Debug)]
struct PartialRow {
    /// The packet's place in the batch.
    place: usize,
    kind: PacketKind,
    /// The routes of the home shard whose cells it has.
    routes: u8,
    /// Whether it has the cells of all other shards, too.
    is_home: bool,
}

impl PartialRows {
    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds what one replica has of a packet's row: the cells of some routes of the home shard and, where it is the packet's
    /// home, those of all other shards.
    ///
    /// # Panics
    /// If `rows` has no row `at`.
    pub fn push(
        &mut self,
        place: usize,
        kind: PacketKind,
        routes: u8,
        is_home: bool,
        (rows, at): (&dyn Storage, usize),
    ) {
        let (partial, width) = (self.rows.len(), rows.cells());
        self.rows.push(PartialRow { place, kind, routes, is_home });
        let cells = like(&mut self.cells, rows);
        if cells.filled() <= partial || cells.cells() != width {
            cells.reshape(self.rows.len(), width);
        }
        cells.copy_cells(partial, std::slice::from_ref(&(0..width)), rows, at);
    }

    /// The packets' places in the batch.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|row| row.place)
    }
}

impl Partitioner {
    /// Asks for the cells that [`join`](Self::join) will put into the rows of some packets: others have just written them.
    pub fn anticipate<'a>(
        &self,
        selection: &Selection,
        range: Range<usize>,
        cells_of: impl Fn(usize) -> Option<&'a dyn Storage>,
    ) {
        let links = selection.links_before(range.start)..selection.links_before(range.end);
        for link in &selection.links[links] {
            cells_of(link.replica.into())
                .into_iter()
                .for_each(|cells| cells.prefetch_row(link.offset as usize));
        }
    }

    /// Puts the cells of all other shards into the rows of some packets, given by their range in a selection of the home shard.
    ///
    /// # Panics
    /// If `cells_of` does not give the cells of every replica's sub-batch.
    pub fn join<'a>(
        &self,
        selection: &Selection,
        range: Range<usize>,
        cells_of: impl Fn(usize) -> Option<&'a dyn Storage>,
        rows: &mut dyn Storage,
    ) {
        let mut start = selection.links_before(range.start);
        for (row, entry) in selection.entries[range].iter().enumerate() {
            let end = entry.at as usize;
            for link in &selection.links[start..end] {
                let cells = cells_of(link.replica.into());
                match (&self.compact, cells) {
                    (Some(span), Some(cells)) => rows.put_row(row, span.start, cells, link.offset as usize),
                    (None, Some(cells)) => {
                        let spans = self.spans(link.shard.into(), entry.kind, link.routes);
                        rows.put_cells(row, spans, cells, link.offset as usize);
                    }
                    _ => {}
                }
            }
            start = end;
        }
    }

    /// Puts what one replica has of partial packets into their rows: those of `places`, which are in order, have one each.
    ///
    /// # Panics
    /// If the rows are not as wide as those that were put in.
    pub fn join_partial(&self, partial: &PartialRows, places: &[usize], rows: &mut dyn Storage) {
        let Some(cells) = &partial.cells else { return };
        for (at, partial) in partial.rows.iter().enumerate() {
            let Ok(row) = places.binary_search(&partial.place) else { continue };
            let mut copy = |spans: &[Range<usize>]| rows.copy_cells(row, spans, &**cells, at);
            copy(self.spans(self.home(), partial.kind, partial.routes));
            for shard in self.travelling().filter(|_| partial.is_home) {
                copy(self.spans(shard, partial.kind, self.all_routes(shard)));
            }
        }
    }

    fn all_routes(&self, shard: usize) -> u8 {
        (self.shards[shard].spans.len() - 1) as u8
    }

    /// The cells that packets of a kind get of a shard by some routes.
    #[inline]
    pub(super) fn spans(&self, shard: usize, kind: PacketKind, routes: u8) -> &[Range<usize>] {
        &self.shards[shard].spans[usize::from(routes)][kind as usize]
    }
}
