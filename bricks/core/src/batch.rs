//! The unit of work: some packets and what is known about them so far.

use crate::storage::{Storage, Typed, put, same, same_mut, take};
use crate::{Columns, Damaged, Handle, Headers, Layout, Packets, Table};
use serde::{Deserialize, Serialize};
use std::mem::swap;

/// The number of packets in a full batch, but where replicas of a keyed brick divide batches ([`LARGEST_BATCH`]).
pub const BATCH: usize = 256;

/// The largest number of packets in a batch for replicas of a keyed brick, which divide it among themselves.
pub const LARGEST_BATCH: usize = 8 * BATCH;

/// Rows that a network engine with fixed shapes computes at once, which takes as long for fewer: a quarter of a full batch, so that one
/// which is not full takes less time, and a full one hardly more.
pub const ENGINE_ROWS: usize = BATCH / 4;

/// All columns of a batch other than packets and headers.
#[derive(Debug, Default)]
pub struct Store(Vec<Box<dyn Storage>>);

impl Store {
    /// The number of the first column that is here: packets and headers come before.
    pub(crate) const FIRST: usize = 2;

    /// The values of a column.
    ///
    /// # Panics
    /// If the handle is of another layout, was not bound, or is that of packets or headers, which are fields of the batch.
    #[inline]
    pub fn get<S: Typed>(&self, column: Handle<S>) -> &S {
        same(&*self.0[place(column)])
    }

    /// The values of a column, to be changed.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_mut<S: Typed>(&mut self, column: Handle<S>) -> &mut S {
        same_mut(&mut *self.0[place(column)])
    }

    /// The values of two columns, to be changed.
    ///
    /// # Panics
    /// As [`get`](Self::get), and if both handles are of one column.
    #[inline]
    pub fn get_two<A: Typed, B: Typed>(&mut self, a: Handle<A>, b: Handle<B>) -> (&mut A, &mut B) {
        let both = self.0.get_disjoint_mut([place(a), place(b)]);
        let [a, b] = both.expect("handles of two columns of the layout");
        (same_mut(&mut **a), same_mut(&mut **b))
    }

    /// The values of three columns, to be changed.
    ///
    /// # Panics
    /// As [`get_two`](Self::get_two).
    #[inline]
    pub fn get_three<A: Typed, B: Typed, C: Typed>(
        &mut self,
        a: Handle<A>,
        b: Handle<B>,
        c: Handle<C>,
    ) -> (&mut A, &mut B, &mut C) {
        let all = self.0.get_disjoint_mut([place(a), place(b), place(c)]);
        let [a, b, c] = all.expect("handles of three columns of the layout");
        (same_mut(&mut **a), same_mut(&mut **b), same_mut(&mut **c))
    }

    /// Gets the columns of another store, empty, where it has none: that of a batch made by `default`.
    fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            let missing = &other.0[self.0.len()..];
            self.0.extend(missing.iter().map(|column| column.empty()));
        }
    }
}

/// The place of a column in a store; none for one that is not bound, or packets or headers.
#[inline]
fn place<S>(column: Handle<S>) -> usize {
    column.index().wrapping_sub(Store::FIRST)
}

impl Clone for Store {
    fn clone(&self) -> Self {
        self.0.iter().map(|column| column.copy()).collect()
    }
}

impl FromIterator<Box<dyn Storage>> for Store {
    fn from_iter<I: IntoIterator<Item = Box<dyn Storage>>>(columns: I) -> Self {
        Self(columns.into_iter().collect())
    }
}

/// Packets in arrival order, in the columns of a [`Layout`]: up to [`BATCH`], or up to [`LARGEST_BATCH`] where replicas of a keyed
/// brick divide batches.
///
/// A source fills `packets`. If its input has no bytes, it fills `headers`; if the input has no packets (a table of
/// features), it fills a column of its own, and `headers` hold only the number of each row. Each brick reads the columns
/// that its [`Descriptor`](crate::Descriptor) names and fills others. Batches come from a pool and keep their memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Raw packets. Empty where the source has only headers (Kitsune's TSV).
    pub packets: Packets,
    /// Parsed headers, one for each packet.
    pub headers: Vec<Headers>,
    /// All other columns. A batch made by `default` has none, and gets the columns of the batch that it is exchanged with or
    /// gathered from.
    pub columns: Store,
    /// Whether its items have no time: rows of a table.
    pub timeless: bool,
    /// The number of the first packet of the batch that this one is a part of, where it has rows of flows and none of the packets.
    pub part_of: Option<u64>,
    /// The rows of the table of flows, in their order. A brick that appends rows pushes here, and to its columns of that table.
    pub flows: Vec<FlowRow>,
}

/// A row of the table of flows: what tells it from others, and its place in the order of all.
///
/// Rows rise by [`origin`](Self::origin), and those of one origin by [`first`](Self::first). So their order does not depend on who
/// found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlowRow {
    /// The place of the packet that completed the flow, or by whose time it was over.
    pub origin: u32,
    /// The number (`seq`) of the flow's first packet, which no other flow has.
    pub first: u64,
}

impl Batch {
    /// An empty batch with the columns of a layout.
    pub fn new(layout: &Layout) -> Self {
        Self { columns: layout.store(), ..Self::default() }
    }

    /// Forgets the contents of every column and keeps the memory.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.headers.clear();
        self.columns.0.iter_mut().for_each(|column| column.clear());
        (self.timeless, self.part_of) = (false, None);
        self.flows.clear();
    }

    /// Numbers the packets anew, from `first` on, as a source does that reads several inputs as one.
    pub fn renumber(&mut self, first: u64) {
        self.packets.renumber(first);
        self.headers.iter_mut().zip(first..).for_each(|(headers, seq)| headers.seq = seq);
    }

    /// A column by its number in the layout.
    ///
    /// # Panics
    /// If the batch has no column of this number.
    pub fn column(&self, index: usize) -> &dyn Storage {
        match index {
            0 => &self.packets,
            1 => &self.headers,
            index => &*self.columns.0[index - Store::FIRST],
        }
    }

    /// A column by its number, to be changed.
    ///
    /// # Panics
    /// As [`column`](Self::column).
    pub fn column_mut(&mut self, index: usize) -> &mut dyn Storage {
        match index {
            0 => &mut self.packets,
            1 => &mut self.headers,
            index => &mut *self.columns.0[index - Store::FIRST],
        }
    }

    /// The numbers of those columns of a set that the batch has.
    fn present(&self, columns: Columns) -> impl Iterator<Item = usize> + use<> {
        let count = self.columns.0.len() + Store::FIRST;
        columns.iter().take_while(move |index| *index < count)
    }

    /// Exchanges some columns, with their memory, for those of another batch.
    pub fn exchange(&mut self, other: &mut Self, columns: Columns) {
        self.columns.join(&other.columns);
        other.columns.join(&self.columns);
        for index in self.present(columns) {
            match index.checked_sub(Store::FIRST) {
                Some(place) => swap(&mut self.columns.0[place], &mut other.columns.0[place]),
                None => self.column_mut(index).exchange(other.column_mut(index)),
            }
        }
    }

    /// Copies some columns of the table of packets, for the packets at some places, into a batch of their own.
    pub fn gather(&self, places: &[usize], columns: Columns, part: &mut Self) {
        part.columns.join(&self.columns);
        part.clear();
        part.timeless = self.timeless;
        for index in self.present(columns) {
            self.column(index).gather(places, part.column_mut(index));
        }
    }

    /// Copies some columns of the table of flows, of the flows that the packets at some places completed, into a part that these
    /// packets were [gathered](Self::gather) into. Places rise.
    pub fn gather_flows(&self, places: &[usize], columns: Columns, part: &mut Self) {
        part.flows.clear();
        let mut rows = Vec::new();
        for (row, flow) in self.flows.iter().enumerate() {
            if let Ok(place) = places.binary_search(&(flow.origin as usize)) {
                rows.push(row);
                part.flows.push(FlowRow { origin: place as u32, ..*flow });
            }
        }
        part.columns.join(&self.columns);
        for index in self.present(columns) {
            self.column(index).gather(&rows, part.column_mut(index));
        }
    }

    /// Copies some columns of a part to the places of its packets among `len`.
    ///
    /// # Panics
    /// If a place is not below `len`.
    pub fn scatter(&mut self, part: &Self, places: &[usize], columns: Columns, len: usize) {
        self.columns.join(&part.columns);
        for index in part.present(columns) {
            self.column_mut(index).scatter(part.column(index), places, len);
        }
    }

    /// Brings the rows of flows, which some columns hold, into their order. Takes memory from `scratch`, and `order`.
    pub fn sort_flows(&mut self, columns: Columns, scratch: &mut Self, order: &mut Vec<usize>) {
        if self.flows.is_sorted() {
            return;
        }
        order.clear();
        order.extend(0..self.flows.len());
        order.sort_unstable_by_key(|row| self.flows[*row]);
        scratch.columns.join(&self.columns);
        for index in self.present(columns) {
            self.column(index).gather(order, scratch.column_mut(index));
            self.column_mut(index).exchange(scratch.column_mut(index));
        }
        self.flows.sort_unstable();
    }

    /// Appends some columns as bytes, with the rows of flows.
    pub fn encode(&self, columns: Columns, to: &mut Vec<u8>) {
        put(&(self.timeless, self.part_of), to);
        put(&self.flows, to);
        self.present(columns).for_each(|index| self.column(index).encode(to));
    }

    /// Reads columns that [`encode`](Self::encode) wrote from the front of `from`, and replaces those of the batch by them.
    ///
    /// # Errors
    /// If `encode` did not write these bytes. The batch is empty then.
    pub fn decode(&mut self, columns: Columns, from: &mut &[u8]) -> Result<(), Damaged> {
        self.decode_all(columns, from).inspect_err(|_| self.clear())
    }

    fn decode_all(&mut self, columns: Columns, from: &mut &[u8]) -> Result<(), Damaged> {
        (self.timeless, self.part_of) = take(from)?;
        self.flows = take(from)?;
        self.present(columns).try_for_each(|index| self.column_mut(index).decode(from))?;
        let packets = if self.is_empty() { LARGEST_BATCH } else { self.len() };
        let known = self.flows.iter().all(|flow| (flow.origin as usize) < packets);
        if known { Ok(()) } else { Err(Damaged) }
    }

    /// The number of its first packet, or of the first one of the batch that it is a part of; none where it belongs to no packet.
    pub fn first_number(&self) -> Option<u64> {
        self.headers.first().map(|headers| headers.seq).or(self.part_of)
    }

    /// Number of rows that a column must hold: of packets, or of flows.
    pub fn rows(&self, table: Table) -> usize {
        match table {
            Table::Packets => self.len(),
            Table::Flows => self.flows.len(),
        }
    }

    /// Number of rows that the column of this number holds.
    ///
    /// # Panics
    /// As [`column`](Self::column).
    pub fn filled(&self, index: usize) -> usize {
        self.column(index).filled()
    }

    /// Cells in a row of the column of this number; 0 if the batch has no such column.
    pub fn width(&self, index: usize) -> usize {
        let here = index < self.columns.0.len() + Store::FIRST;
        if here { self.column(index).cells() } else { 0 }
    }

    /// Bytes that the rows of some columns take.
    pub fn size(&self, columns: Columns) -> usize {
        self.present(columns).map(|index| self.column(index).size()).sum()
    }

    /// Number of packets in the batch.
    pub fn len(&self) -> usize {
        self.packets.len().max(self.headers.len())
    }

    /// Whether the batch holds no packet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
