//! What a brick has done, done once more by another one.

use crate::exchange::Split;
use crate::operator::checkpointer::count_to;
use crate::operator::interface::west_east;
use legonf_core::{Batch, Brick, BrickError, Columns, LARGEST_BATCH, Storage};

/// What a brick is given again.
///
/// Packets that came in several batches are given as one: what a brick gives for a packet does not depend on the batch that it is in,
/// and a call of a brick that runs elsewhere takes long however few packets it has. Parts take packets independently of each other, so
/// those of each part are given together. Only where a brick fills columns of flows each batch has a time of its own.
pub(super) struct Replay<'a> {
    split: &'a Split,
    batch: Batch,
    /// Several batches as one.
    joined: Batch,
    /// The rows of flows that it has told before.
    flows: Batch,
    rows: Option<Box<dyn Storage>>,
    places: Vec<usize>,
}

impl<'a> Replay<'a> {
    pub fn new(split: &'a Split) -> Self {
        let (batch, joined, rows, places) = Default::default();
        Self { split, batch, joined, flows: split.empty(), rows, places }
    }

    /// Gives the brick the packets of some batches, each of a part of the work or of all, and returns how many batches that are: all,
    /// or the first.
    pub fn process<'b>(
        &mut self,
        brick: &mut dyn Brick,
        mut batches: impl Iterator<Item = (Option<usize>, &'b Batch)>,
    ) -> Result<usize, BrickError> {
        let of_flows = |(_, packets): &(Option<usize>, &Batch)| !packets.flows.is_empty();
        let Some(first) = batches.next() else { return Ok(0) };
        if self.split.flows.is_some() || of_flows(&first) {
            self.process_one(brick, first)?;
            return Ok(1);
        }
        // Where the layout has changed in between, the work on whole batches goes on from that on parts, or before it.
        let is_whole = first.0.is_none();
        let goes_on = |of: &(Option<usize>, &Batch)| !of_flows(of) && of.0.is_none() == is_whole;
        let mut some: Vec<_> = std::iter::once(first).chain(batches.take_while(goes_on)).collect();
        let all = some.len();
        // Those of a part in their order.
        some.sort_by_key(|(part, _)| *part);
        let mut rest = &some[..];
        while let Some((part, packets)) = rest.first() {
            let is_alike = |of: &(Option<usize>, &Batch)| of.0 == *part && of.1.timeless == packets.timeless;
            let mut room = LARGEST_BATCH;
            let fits = rest.iter().take_while(|of| {
                let fits = is_alike(of) && of.1.len() <= room;
                room = room.saturating_sub(of.1.len());
                fits
            });
            let fits = fits.count().max(1);
            self.process_joined(brick, &rest[..fits])?;
            rest = &rest[fits..];
        }
        Ok(all)
    }

    fn process_joined(
        &mut self,
        brick: &mut dyn Brick,
        batches: &[(Option<usize>, &Batch)],
    ) -> Result<(), BrickError> {
        let [(part, first), _, ..] = batches else { return self.process_one(brick, batches[0]) };
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        joined.timeless = first.timeless;
        let (all, mut begin) = (batches.iter().map(|(_, packets)| packets.len()).sum(), 0);
        for (_, packets) in batches {
            self.places.clear();
            self.places.extend(begin..begin + packets.len());
            joined.scatter(packets, &self.places, Columns::ALL, all);
            begin += packets.len();
        }
        let processed = self.process_one(brick, (*part, &joined));
        self.joined = joined;
        processed
    }

    fn process_one(
        &mut self,
        brick: &mut dyn Brick,
        (part, packets): (Option<usize>, &Batch),
    ) -> Result<(), BrickError> {
        let places = count_to(packets.len(), &mut self.places);
        let Some(part) = part else {
            self.split.gather(packets, places, &mut self.batch);
            return brick.process(&mut self.batch);
        };
        if self.split.flows.is_some() {
            self.flows.clear();
            return west_east(brick)?.process_flows(part, packets, places, &mut self.flows);
        }
        let rows = self.split.rows(&mut self.rows, packets, places.len());
        west_east(brick)?.process_part(part, packets, places, rows)
    }

    /// Has it end the flows of a part that are over by some time.
    pub fn expire(&mut self, brick: &mut dyn Brick, part: usize, watermark: i64) -> Result<(), BrickError> {
        self.flows.clear();
        west_east(brick)?.expire(part, &[watermark], &mut self.flows)
    }
}
