//! Links between two streams, and how they are found.

use super::log;
use super::stream::NONE;
use crate::damp::RATES;
use crate::py100::arithmetic::Rates;

/// Two streams of which one has sent to the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The streams; twice the same for a stream that sent to itself.
    pub(super) ends: [u32; 2],
    /// The event by which it was made; none of an earlier log.
    pub(super) made: u32,
    /// The last event that was sent over it.
    pub(super) touched: u32,
    /// The last event that its state knows of.
    pub(super) seen: u32,
    /// For each end, that stream's link before this one.
    pub(super) older: [u32; 2],
    /// For each end, the next link in the list that keeps account of what this end has yet to hear.
    pub(super) next: [u32; 2],
    /// Its [`State`], or [`NONE`] before one was needed.
    pub(super) state: u32,
    /// Whether the state's residual of each end is zero.
    pub(super) silent: [bool; 2],
    /// Whether the state's covariance sum is zero.
    pub(super) uncorrelated: bool,
}

impl Link {
    /// A link made by event `made`.
    pub(super) fn new(ends: [u32; 2], made: u32) -> Self {
        Self {
            ends,
            made,
            touched: made,
            seen: made.saturating_sub(1),
            older: [NONE; 2],
            next: [NONE; 2],
            state: NONE,
            silent: [true; 2],
            uncorrelated: true,
        }
    }

    /// Which end `stream` is; the first for both.
    #[inline(always)]
    pub(super) fn side(&self, stream: u32) -> usize {
        usize::from(self.ends[0] != stream)
    }

    /// The stream at the other end.
    #[inline(always)]
    pub(super) fn other(&self, stream: u32) -> u32 {
        self.ends[1 - self.side(stream)]
    }

    /// Whether both ends are one stream.
    #[inline(always)]
    pub(super) fn is_loop(&self) -> bool {
        self.ends[0] == self.ends[1]
    }

    /// The last event before the link was made.
    #[inline(always)]
    pub(super) fn before(&self) -> u32 {
        self.made.saturating_sub(1)
    }
}

/// The sums of a link (kitsune-py-100.md §4).
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) time: f64,
    /// Sum of residual products.
    pub(super) products: Rates,
    pub(super) weight: Rates,
    /// Last residual of each end.
    pub(super) residuals: [Rates; 2],
}

impl State {
    /// That of a link made at `time`.
    pub(super) fn new(time: f64) -> Self {
        Self { time, products: [0.0; RATES], weight: [1e-20; RATES], residuals: [[0.0; RATES]; 2] }
    }
}

/// Finds the link of two streams: open addressing with linear probing, at most half full.
#[derive(Clone, Debug)]
pub(super) struct Index {
    cells: Vec<u32>,
}

impl Index {
    const SMALLEST: usize = 64;

    /// An empty one.
    pub(super) fn new() -> Self {
        Self { cells: vec![NONE; Self::SMALLEST] }
    }

    #[inline]
    fn start(&self, ends: [u32; 2]) -> usize {
        let [a, b] = if ends[0] < ends[1] { ends } else { [ends[1], ends[0]] };
        let key = (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((key ^ key >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as usize & (self.cells.len() - 1)
    }

    /// The link of two streams, in either order.
    #[inline]
    pub(super) fn find(&self, ends: [u32; 2], links: &[Link]) -> Option<u32> {
        let mut cell = self.start(ends);
        while self.cells[cell] != NONE {
            let id = self.cells[cell];
            let found = links[id as usize].ends;
            if found == ends || found == [ends[1], ends[0]] {
                return Some(id);
            }
            cell = (cell + 1) & (self.cells.len() - 1);
        }
        None
    }

    /// Adds the last of `links`.
    pub(super) fn add_last(&mut self, links: &[Link]) {
        if links.len() * 2 > self.cells.len() {
            self.cells.resize(self.cells.len() * 2, NONE);
            self.rebuild(links);
        } else {
            self.put(links.len() - 1, links);
        }
    }

    /// Makes it that of `links`.
    pub(super) fn rebuild(&mut self, links: &[Link]) {
        self.cells.fill(NONE);
        (0..links.len()).for_each(|id| self.put(id, links));
    }

    fn put(&mut self, id: usize, links: &[Link]) {
        let mut cell = self.start(links[id].ends);
        while self.cells[cell] != NONE {
            cell = (cell + 1) & (self.cells.len() - 1);
        }
        self.cells[cell] = id as u32;
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<u32>()
    }
}

/// Puts a link that survives the log's end in the state that it has before any event.
pub(super) fn reset(link: &mut Link) {
    link.made = log::NONE;
    link.touched = log::NONE;
    link.seen = log::NONE;
    link.older = [NONE; 2];
    link.next = [NONE; 2];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_from_either_end() {
        let mut index = Index::new();
        let mut links = Vec::new();
        for i in 0..1000 {
            links.push(Link::new([i, (i * 7 + 1) % 5000 + 1000], 1));
            index.add_last(&links);
        }
        for (i, link) in links.iter().enumerate() {
            let [a, b] = link.ends;
            assert_eq!(
                (index.find([a, b], &links), index.find([b, a], &links)),
                (Some(i as u32), Some(i as u32))
            );
        }
        assert_eq!(index.find([0, 1], &links), None);
    }

    #[test]
    fn sides_of_a_link() {
        let link = Link::new([4, 9], 1);
        assert_eq!((link.side(4), link.side(9), link.other(4), link.other(9)), (0, 1, 9, 4));
        assert!(!link.is_loop() && Link::new([4, 4], 1).is_loop());
    }
}
