//! How the work of one brick is divided among replicas.

use super::Owners;
use crate::graph::declared::{Declared, Use};
use crate::operator::interface::west_east;
use legonf_core::{Batch, Brick, BrickError, Columns, Division, Handle, SLOTS, Storage, like};
use legonf_splitter::{Partitioner, SplitError};
use std::ops::Range;

/// Why a brick's work cannot be divided, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undivided {
    /// The brick does not offer it.
    #[error("it has no west-east interface")]
    NoInterface,
    /// Packets cannot be partitioned for it.
    #[error("it does not read headers, by which packets are partitioned")]
    NoHeaders,
    /// What it fills cannot be joined.
    #[error("it fills {found}, not {divided} alone")]
    Fills {
        /// The columns that it fills.
        found: String,
        /// The column that its division names.
        divided: String,
    },
    /// Flows that several replicas have a share of cannot be joined.
    #[error("it fills columns of flows, of which one group alone can decide (it has {0})")]
    Flows(usize),
    /// When its flows are over cannot be told.
    #[error("it fills columns of flows, but does not read watermark, by which they are over")]
    NoWatermark,
    /// The brick does not take the parts that its division gives.
    #[error("{0}")]
    Refused(String),
    /// No key divides its state.
    #[error(transparent)]
    Split(#[from] SplitError),
}

/// Says how the work of a brick is divided among replicas, by its identifier and what it tells of its work.
pub type Partition<'a> = &'a (dyn Fn(&str, &Division) -> Result<Partitioner, SplitError> + Sync);

/// The exact plan for every brick.
pub(crate) const EXACT: Partition<'static> = &|_, division| Partitioner::exact(division);

/// How the work of one brick is divided.
pub(crate) struct Split {
    /// The brick's number in the graph.
    pub operator: usize,
    pub partitioner: Partitioner,
    reads: Columns,
    writes: Columns,
    /// Those columns that it reads of flows.
    flows_read: Columns,
    /// The column that it fills, or the first of those of flows.
    pub fills: usize,
    /// What is needed of a brick that fills columns of flows.
    pub flows: Option<FlowSplit>,
}

/// How a brick that fills columns of flows is divided.
pub(crate) struct FlowSplit {
    pub watermark: Handle<Vec<i64>>,
    /// An empty batch with the columns of the graph.
    pub empty: Batch,
}

/// What a stage does behind its divided brick, at the home of each packet.
pub(crate) struct Downstream {
    /// The bricks.
    pub operators: Range<usize>,
    /// The columns of the batch that they need.
    pub inputs: Columns,
    /// The columns that go on.
    pub outputs: Columns,
}

impl Split {
    /// How a brick's work is divided.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn of(
        (operator, id): (usize, &str),
        brick: &mut dyn Brick,
        declared: &Declared,
        partition: Partition<'_>,
    ) -> Result<Self, Undivided> {
        let Use { reads, writes, .. } = declared.uses[operator];
        let division = brick.west_east().ok_or(Undivided::NoInterface)?.division();
        if !reads.holds(Columns::HEADERS) {
            return Err(Undivided::NoHeaders);
        }
        let filled = declared.layout.columns([&division.fills]);
        let as_told = if division.is_of_flows() {
            writes.without(declared.flows).is_empty() && filled.intersection(writes) == filled
        } else {
            filled == writes
        };
        if !as_told || filled.iter().count() != 1 {
            let (found, divided) = (declared.names(writes), division.fills.name.to_string());
            return Err(Undivided::Fills { found, divided });
        }
        let flows = division.is_of_flows().then(|| FlowSplit::of(&division, declared)).transpose()?;
        let mut partitioner = partition(id, &division)?;
        if brick.west_east().is_some_and(|brick| brick.takes_compact_rows()) {
            partitioner = partitioner.compacted();
        }
        let (fills, flows_read) = (filled.iter().sum(), reads.intersection(declared.flows));
        Ok(Self { operator, partitioner, reads, writes, flows_read, fills, flows })
    }

    /// Shards of the work.
    pub fn shards(&self) -> usize {
        self.partitioner.shards()
    }

    /// Prepares a brick for its shards.
    pub fn prepare(&self, brick: &mut dyn Brick) -> Result<(), BrickError> {
        let parts: Vec<_> = self.partitioner.groups().map(<[String]>::to_vec).collect();
        west_east(brick)?.divide(&parts)
    }

    /// All slots at the first replica.
    pub fn alone(&self) -> Owners {
        vec![vec![0; SLOTS].into(); self.shards()]
    }

    /// Cells of a whole row.
    pub fn width(&self) -> usize {
        self.partitioner.width()
    }

    /// The columns that the brick fills.
    pub fn fills(&self) -> Columns {
        self.writes
    }

    /// Room for so many rows of that column, kept in what the batch keeps it in.
    pub fn rows<'a>(
        &self,
        room: &'a mut Option<Box<dyn Storage>>,
        batch: &Batch,
        rows: usize,
    ) -> &'a mut dyn Storage {
        let room = like(room, batch.column(self.fills));
        room.reshape(rows, self.width());
        room
    }

    /// Empties a batch, which gets the columns of the graph if it has none yet.
    pub fn empty_like(&self, batch: &mut Batch) {
        if let Some(flows) = &self.flows {
            flows.empty.gather(&[], Columns::NONE, batch);
        }
    }

    /// An empty batch with the columns of the graph, for rows of flows.
    pub fn empty(&self) -> Batch {
        self.flows.as_ref().map_or_else(Batch::default, |flows| flows.empty.clone())
    }

    /// Copies what the brick reads of some packets, with the flows that they completed.
    pub fn gather(&self, batch: &Batch, places: &[usize], part: &mut Batch) {
        batch.gather(places, self.reads.without(self.flows_read), part);
        if !self.flows_read.is_empty() {
            batch.gather_flows(places, self.flows_read, part);
        }
    }

    /// The columns that the brick reads.
    pub fn reads(&self) -> Columns {
        self.reads
    }
}

impl FlowSplit {
    /// A flow belongs to one slot of one shard, and its time is that of the stream.
    fn of(division: &Division, declared: &Declared) -> Result<Self, Undivided> {
        let watermark = declared.watermark().ok_or(Undivided::NoWatermark)?;
        if division.groups.len() != 1 || division.cells.len() != 1 {
            return Err(Undivided::Flows(division.groups.len()));
        }
        Ok(Self { watermark, empty: Batch::new(&declared.layout) })
    }
}
