//! A brick whose model can change.

use super::{Swaps, locked};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Layout, Port, WestEast,
};
use legonf_runtime::BrickSpec;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Acquire;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Where a brick finds those that follow it.
pub(super) struct Place {
    pub brick: BrickSpec,
    next: Mutex<Vec<Successor>>,
    /// The columns of its graph, once it is in one.
    layout: Mutex<Option<Layout>>,
}

/// A brick that takes the place of another one.
pub(super) struct Successor {
    /// Number of its first packet.
    pub from: Arc<AtomicU64>,
    pub brick: Box<dyn Brick>,
}

impl Place {
    pub fn new(brick: BrickSpec) -> Self {
        Self { brick, next: Mutex::default(), layout: Mutex::default() }
    }

    /// Binds a brick to the columns of the graph, if there is one.
    pub fn bind(&self, brick: &mut dyn Brick) -> Result<(), BindError> {
        locked(&self.layout).as_ref().map_or(Ok(()), |layout| brick.bind(layout))
    }

    /// Lets a brick follow, bound to the columns if there are any by now.
    pub fn follow(&self, mut successor: Successor) -> Result<(), BindError> {
        let mut next = locked(&self.next);
        self.bind(&mut *successor.brick)?;
        next.push(successor);
        Ok(())
    }
}

/// A brick that others follow, each from a packet on. A batch has packets of one of them alone.
pub(super) struct Renewable {
    brick: Box<dyn Brick>,
    place: Arc<Place>,
    swaps: Swaps,
    /// Changes that it has seen, and the bricks of those that are still to come.
    seen: u64,
    successors: VecDeque<Successor>,
}

impl Renewable {
    pub fn new(brick: Box<dyn Brick>, place: Arc<Place>, swaps: Swaps) -> Self {
        Self { brick, place, swaps, seen: 0, successors: VecDeque::new() }
    }

    /// Lets the brick for this packet take its place.
    fn advance(&mut self, seq: u64) {
        let decided = self.swaps.0.decided.load(Acquire);
        if decided != self.seen {
            self.seen = decided;
            self.successors.extend(locked(&self.place.next).drain(..));
        }
        while let Some(next) = self.successors.pop_front_if(|next| next.from.load(Acquire) <= seq) {
            self.brick = next.brick;
        }
    }
}

/// Columns that only bricks with models share, in tiles, are as wide as the model says: that may change.
fn opened(specs: &[ColumnSpec]) -> Vec<ColumnSpec> {
    let open = |spec: &ColumnSpec| match spec.element {
        Element::F64Tiles => spec.clone().of_any_width(),
        _ => spec.clone(),
    };
    specs.iter().map(open).collect()
}

impl Brick for Renewable {
    fn descriptor(&self) -> Descriptor {
        let own = self.brick.descriptor();
        // By the headers it knows which packets a batch has.
        let headers = Some(ColumnSpec::HEADERS).filter(|headers| !own.reads.contains(headers));
        let reads = opened(&own.reads).into_iter().chain(headers).collect();
        Descriptor { reads, writes: opened(&own.writes).into(), ..own }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.brick.bind(layout)?;
        self.successors.iter_mut().try_for_each(|next| next.brick.bind(layout))?;
        // First, so that whoever puts a brick there from now on binds it.
        *locked(&self.place.layout) = Some(layout.clone());
        locked(&self.place.next).iter_mut().try_for_each(|next| next.brick.bind(layout))
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        match batch.first_number() {
            Some(first) => self.advance(first),
            // Flows that were open behind the last packet.
            None => self.swaps.last().into_iter().for_each(|last| self.advance(last)),
        }
        self.brick.process(batch)
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        self.brick.warm()
    }

    fn is_lost(&self) -> bool {
        self.brick.is_lost()
    }

    fn spent_elsewhere(&self) -> Duration {
        self.brick.spent_elsewhere()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.brick.counters()
    }

    fn state_size(&self) -> u64 {
        self.brick.state_size()
    }

    fn ports(&self) -> Vec<Port> {
        self.brick.ports()
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        self.brick.west_east()
    }
}
