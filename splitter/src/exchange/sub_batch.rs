//! A replica's part of a batch.

use legonf_core::{PacketKind, Storage};
use std::ops::Range;

/// Where cells of a packet's row are that another shard gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The replica in whose [`SubBatch::cells`] they are, and the first of them.
    pub replica: u16,
    /// The row of the first cell there.
    pub offset: u32,
    /// The shard.
    pub shard: u8,
    /// The routes by which the packet came to that replica, a bit each.
    pub routes: u8,
}

/// A packet of the home shard whose cells of that shard come from several replicas, or a copy, from none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialEntry {
    /// Its index in the selection.
    pub index: u32,
    /// Whether this replica is its home.
    pub is_home: bool,
}

/// A packet of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of what kind it is.
    pub kind: PacketKind,
    /// The routes by which it came, a bit each: the replica has the groups that these serve. None where it is a copy for the sake
    /// of the opposite direction, of which no cell is used.
    pub routes: u8,
    /// In the home shard the end of its links in [`Selection::links`](field@Selection::links); in others the row where its cells begin in [`SubBatch::cells`].
    pub at: u32,
}

/// Packets of one shard that one replica takes, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Their places in the batch.
    pub places: Vec<usize>,
    /// What is known of each.
    pub entries: Vec<Entry>,
    /// In the home shard: where the cells of the other shards are, packet by packet.
    pub links: Vec<Link>,
    /// In the home shard: the packets of which other routes lead to other replicas, and copies.
    pub partial: Vec<PartialEntry>,
    /// Whether the replica is done with them.
    pub done: bool,
}

impl Selection {
    fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.links.clear();
        self.partial.clear();
        self.done = false;
    }

    fn reserve(&mut self, packets: usize, links: usize) {
        self.places.reserve(packets);
        self.entries.reserve(packets);
        self.links.reserve(packets * links);
    }

    #[inline]
    pub(super) fn push(&mut self, place: usize, kind: PacketKind, routes: u8, at: u32) {
        self.places.push(place);
        self.entries.push(Entry { kind, routes, at });
    }

    /// The links of the last packet are all there.
    #[inline]
    pub(super) fn close(&mut self) {
        let links = self.links.len() as u32;
        self.entries.last_mut().into_iter().for_each(|entry| entry.at = links);
    }

    /// Whether something is still to be done.
    pub fn waits(&self) -> bool {
        !self.done && !self.places.is_empty()
    }

    /// The partial packets among some, given by their indices here.
    pub fn partial_of(&self, range: Range<usize>) -> &[PartialEntry] {
        let before = |end: usize| self.partial.partition_point(|partial| (partial.index as usize) < end);
        &self.partial[before(range.start)..before(range.end)]
    }

    /// The packets from one on of which so many rows are whole, if there are so many left, so that what comes behind has full
    /// tiles. Those in between whose rows are not whole come on top, at most as many. None where no packet is left.
    pub fn piece(&self, start: usize, rows: usize) -> Option<Range<usize>> {
        let most = self.places.len().min(start + 2 * rows);
        let (mut end, mut wanted) = (start, most.min(start + rows));
        while end < wanted {
            end = wanted;
            wanted = most.min(start + rows + self.partial_of(start..end).len());
        }
        (start < end).then_some(start..end)
    }

    /// Where the links of the packet with this index begin.
    pub(super) fn links_before(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.entries[before].at as usize)
    }
}

/// What one replica takes of a batch: only its packets, and only its cells.
#[derive(Clone, Debug, Default)]
pub struct SubBatch {
    /// For each shard the packets of slots that stay, and those of slots whose state is on the move.
    pub selections: Vec<[Selection; 2]>,
    /// Shards, a bit each, of which packets have to wait from here on in the order of arrival: one came that has two slots, one
    /// of them on the move.
    pub stalls: u64,
    /// The cells of all shards but the home shard, packet by packet, as [`Link`]s say: a row for each packet where rows are
    /// [compact](super::Partitioner::compacted), otherwise one for each cell. Behind them may be those of batches before.
    pub cells: Option<Box<dyn Storage>>,
    /// The home shard.
    pub home: usize,
    /// How many rows of cells there will be, and how many there may be in such a batch.
    pub(super) reserved: u32,
    pub(super) room: usize,
}

impl SubBatch {
    /// Forgets the packets and makes room for so many of each shard, with so many cells each.
    pub(super) fn clear(&mut self, shards: usize, home: usize, packets: usize, cells: usize) {
        self.selections.resize_with(shards, Default::default);
        self.selections.iter_mut().flatten().for_each(Selection::clear);
        self.selections.iter_mut().for_each(|[settled, _]| settled.reserve(packets, shards - 1));
        (self.stalls, self.home, self.reserved, self.room) = (0, home, 0, packets * cells);
    }

    /// The selections of the travelling shards.
    pub fn travelling(&self) -> impl Iterator<Item = &Selection> {
        let shards = self.selections.iter().enumerate().filter(|(shard, _)| *shard != self.home);
        shards.flat_map(|(_, selections)| selections)
    }

    /// The selections of the home shard.
    ///
    /// # Panics
    /// If nothing was partitioned into this.
    pub fn at_home(&self) -> &[Selection; 2] {
        &self.selections[self.home]
    }
}
