//! A replica's part of a batch, in its two phases.

use super::{Join, OwnershipTable};
use crate::RunFault;
use legonf_core::Batch;
use legonf_splitter::{PartialRows, SubBatch};
use std::sync::Arc;

/// Where a part belongs.
#[derive(Clone, Default)]
pub(crate) struct Label {
    /// The batch's place in the order of arrival.
    pub number: u64,
    /// Who has which slots, and whether the batch is the first of that epoch.
    pub table: Option<Arc<OwnershipTable>>,
    pub is_first: bool,
    /// The replica that the part is for.
    pub replica: usize,
}

/// What one replica takes of a batch.
#[derive(Default)]
pub(crate) struct Part {
    pub label: Label,
    /// The columns that it reads, until its cells are computed.
    pub packets: Option<Arc<Batch>>,
    pub sub: SubBatch,
    /// Where the replica brings it when it is done.
    pub join: Option<Arc<Join>>,
    pub fault: Option<Box<RunFault>>,
    /// Memory for the second phase.
    pub home: Option<Box<HomePart>>,
}

/// The parts of all replicas, by replica, which all of them read in the second phase.
#[derive(Default)]
pub(crate) struct Gathered {
    pub packets: Option<Arc<Batch>>,
    pub parts: Vec<Box<Part>>,
}

/// The packets of a batch that have their home at one replica.
#[derive(Default)]
pub(crate) struct HomePart {
    pub label: Label,
    pub gathered: Option<Arc<Gathered>>,
    pub join: Option<Arc<Join>>,
    /// Which selections of the home shard are through.
    pub done: [bool; 2],
    /// Whether the flows that are over by the batch's time have ended.
    pub expired: bool,
    /// The packets that are through, by their places in the batch, and what was found of them.
    pub places: Vec<usize>,
    pub results: Batch,
    pub partial: PartialRows,
    pub fault: Option<Box<RunFault>>,
}

impl Part {
    /// Begins the second phase.
    pub fn take_home(&mut self) -> Box<HomePart> {
        let mut home = self.home.take().unwrap_or_default();
        home.clear();
        home.label = std::mem::take(&mut self.label);
        home
    }
}

impl HomePart {
    /// Forgets the packets and keeps the memory.
    pub fn clear(&mut self) {
        (self.done, self.expired) = ([false; 2], false);
        self.places.clear();
        self.results.clear();
        self.partial.clear();
    }
}

/// What comes to a replica in the order of the batches.
pub(crate) trait Labelled {
    fn label(&self) -> &Label;
    /// Packets that are still to be processed.
    fn waiting(&self) -> u64;
    /// Shards whose packets all wait behind it, a bit each.
    fn stalls(&self) -> u64;
}

impl Labelled for Box<Part> {
    fn label(&self) -> &Label {
        &self.label
    }

    fn waiting(&self) -> u64 {
        let waiting = self.sub.travelling().filter(|selection| !selection.done);
        waiting.map(|selection| selection.places.len() as u64).sum()
    }

    fn stalls(&self) -> u64 {
        self.sub.stalls
    }
}

impl HomePart {
    /// The packets of a selection of the home shard that are still to be processed.
    pub fn waiting_of(&self, lane: usize) -> usize {
        let left = self.gathered.as_ref().filter(|_| !self.done[lane]);
        left.map_or(0, |gathered| self.sub(gathered).at_home()[lane].places.len())
    }

    fn sub<'a>(&self, gathered: &'a Gathered) -> &'a SubBatch {
        &gathered.parts[self.label.replica].sub
    }
}

impl Labelled for Box<HomePart> {
    fn label(&self) -> &Label {
        &self.label
    }

    fn waiting(&self) -> u64 {
        (self.waiting_of(0) + self.waiting_of(1)) as u64
    }

    fn stalls(&self) -> u64 {
        self.gathered.as_ref().map_or(0, |gathered| self.sub(gathered).stalls)
    }
}
