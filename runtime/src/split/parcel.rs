//! A replica's part of a batch.

use super::Joint;
use crate::RunFault;
use legonf_core::Batch;
use std::sync::Arc;

/// Packets of one shard, and where they belong in their batch.
#[derive(Default)]
pub(crate) struct Lane {
    pub batch: Batch,
    pub places: Vec<usize>,
    /// For each packet the routes by which it came, a bit each: the replica owns the groups that these serve.
    pub routes: Vec<u8>,
}

/// What one replica takes of a batch.
#[derive(Default)]
pub(crate) struct Parcel {
    /// The batch's place in the order of arrival.
    pub number: u64,
    /// Packets of each shard.
    pub lanes: Vec<Lane>,
    /// Where the replica brings it when it is done.
    pub joint: Option<Arc<Joint>>,
    pub fault: Option<Box<RunFault>>,
}

impl Parcel {
    /// Forgets the packets and keeps the memory.
    pub fn clear(&mut self, number: u64, lanes: usize) {
        self.number = number;
        self.lanes.resize_with(self.lanes.len().max(lanes), Lane::default);
        for lane in &mut self.lanes {
            lane.places.clear();
            lane.routes.clear();
        }
    }
}
