//! How the work of one brick is divided among replicas.

use super::Owners;
use crate::graph::declared::{Declared, Use};
use crate::operator::interface::west_east;
use legonf_core::{Batch, Brick, BrickError, Columns, Division, SLOTS, Storage, like};
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
    /// Flows cannot be joined.
    #[error("it uses {0} of the table of flows")]
    Flows(String),
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
    /// The column that it fills.
    pub fills: usize,
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
        if filled != writes || filled.iter().count() != 1 {
            let (found, divided) = (declared.names(writes), division.fills.name.to_string());
            return Err(Undivided::Fills { found, divided });
        }
        let flows = reads.union(writes).intersection(declared.flows);
        if !flows.is_empty() {
            return Err(Undivided::Flows(declared.names(flows)));
        }
        let mut partitioner = partition(id, &division)?;
        if brick.west_east().is_some_and(|brick| brick.takes_compact_rows()) {
            partitioner = partitioner.compacted();
        }
        Ok(Self { operator, partitioner, reads, fills: filled.iter().sum() })
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

    /// The column that the brick fills.
    pub fn fills(&self) -> Columns {
        Columns::one(self.fills)
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

    /// The columns that the brick reads.
    pub fn reads(&self) -> Columns {
        self.reads
    }
}
