//! A replica's part of a batch.

use super::Joint;
use crate::RunFault;
use legonf_core::{Batch, PacketKind, Storage};
use std::sync::Arc;

/// Packets of one shard: their places in the batch.
#[derive(Default)]
pub(crate) struct Lane {
    pub places: Vec<usize>,
    /// Of what kind each packet is, and the routes by which it came, a bit each: the replica owns the groups that these serve.
    pub routes: Vec<(PacketKind, u8)>,
    /// Whether the replica is done with it.
    pub done: bool,
}

/// What one replica takes of a batch.
#[derive(Default)]
pub(crate) struct Parcel {
    /// The batch's place in the order of arrival.
    pub number: u64,
    /// Since when the owners are these, and whether the batch is the first of that epoch.
    pub epoch: u64,
    pub turn: bool,
    /// The replica that it is for.
    pub seat: usize,
    /// What it reads of the batch, until it is done.
    pub packets: Option<Arc<Batch>>,
    /// Packets of each shard, and behind them those of each shard whose slots are on the move.
    pub lanes: Vec<Lane>,
    /// What the replica fills: a row for each packet of the batch, in which it writes the cells of its lanes.
    pub rows: Option<Box<dyn Storage>>,
    /// Shards, a bit each, from here on in the order of arrival: a packet came that is in two slots, one on the move.
    pub stalls: u64,
    /// Where the replica brings it when it is done.
    pub joint: Option<Arc<Joint>>,
    pub fault: Option<Box<RunFault>>,
}

impl Parcel {
    /// Forgets the packets and keeps the memory.
    pub fn clear(&mut self, lanes: usize) {
        self.stalls = 0;
        self.lanes.resize_with(self.lanes.len().max(lanes), Lane::default);
        for lane in &mut self.lanes {
            lane.places.clear();
            lane.routes.clear();
            lane.done = false;
        }
    }
}

impl Lane {
    pub fn push(&mut self, place: usize, kind: PacketKind, routes: u8) {
        self.places.push(place);
        self.routes.push((kind, routes));
    }
}
