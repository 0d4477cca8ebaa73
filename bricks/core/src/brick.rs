//! What a brick is: the unit that is placed, run and replicated (LEGO §III-A).

use crate::{Batch, WestEast};
use std::fmt;

/// A column of a [`Batch`], by which bricks fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Column {
    /// Raw packets.
    Packets,
    /// Parsed headers.
    Headers,
    /// Feature vectors.
    Features,
    /// Features in the order of the network.
    Mapped,
    /// Reconstruction errors of the autoencoders.
    Errors,
    /// Anomaly scores.
    Scores,
    /// Verdicts.
    Verdicts,
}

impl Column {
    /// Every column, in the order of the data's flow.
    pub const ALL: [Self; 7] = [
        Self::Packets,
        Self::Headers,
        Self::Features,
        Self::Mapped,
        Self::Errors,
        Self::Scores,
        Self::Verdicts,
    ];

    /// The name used in messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Headers => "headers",
            Self::Features => "features",
            Self::Mapped => "mapped features",
            Self::Errors => "reconstruction errors",
            Self::Scores => "scores",
            Self::Verdicts => "verdicts",
        }
    }
}

/// A set of [`Column`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Columns(u8);

impl Columns {
    /// No column.
    pub const NONE: Self = Self(0);
    /// What is found of a packet in the end: its score and its verdict.
    pub const RESULTS: Self = Self::of(&[Column::Scores, Column::Verdicts]);
    /// Every column.
    pub const ALL: Self = Self::of(&Column::ALL);

    /// The set of the given columns.
    pub const fn of(columns: &[Column]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < columns.len() {
            bits |= 1 << columns[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// Columns that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Columns that are in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Columns that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether a column is in the set.
    pub const fn holds(self, column: Column) -> bool {
        self.0 & 1 << column as u8 != 0
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The columns of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Column> {
        Column::ALL.into_iter().filter(move |column| self.holds(*column))
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            f.write_str(column.label())?;
        }
        Ok(())
    }
}

/// Whether a brick's answer to a packet depends on packets before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It does not: any replica may take any batch.
    Stateless,
    /// It does: traffic must be split by a key for replicas to give the same answer.
    Stateful,
}

/// What the graph needs to know of a brick before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Name of the kind in the catalogue and in graph files, such as `feature-mapping`.
    pub kind: &'static str,
    /// LEGO's name for the brick (Table I).
    pub title: &'static str,
    /// Columns that must be filled before the brick runs.
    pub reads: Columns,
    /// Columns that the brick fills.
    pub writes: Columns,
    /// Stateless or stateful.
    pub state: State,
}

/// A fault that ends the run; a dropped packet is a [`Verdict`](crate::Verdict), never a fault.
#[derive(Debug, thiserror::Error)]
#[error("{brick}: {reason}")]
pub struct BrickError {
    /// The kind of the brick that failed.
    pub brick: &'static str,
    /// What went wrong, in one line.
    pub reason: String,
}

/// A network function's building block.
///
/// A brick enriches a batch in place: it reads and fills the columns its descriptor names. It never drops or
/// reorders items, never names another brick, and knows nothing of queues, threads or replicas.
pub trait Brick: Send {
    /// Kind, columns and statefulness.
    fn descriptor(&self) -> Descriptor;

    /// Processes one batch. In steady state it does not allocate, block, read a clock or log.
    ///
    /// # Errors
    /// Only for faults of the brick itself (an engine that fails), never for what a packet contains.
    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError>;

    /// Makes ready what the first batch would have to wait for, such as scratch memory: called once at most, before that batch.
    /// Nothing that the brick says or gives afterwards shows it; one that keeps state leaves this as it is.
    ///
    /// # Errors
    /// Where the brick cannot process a batch at all.
    fn warm(&mut self) -> Result<(), BrickError> {
        Ok(())
    }

    /// Counters to be shown at the end of a run, as (name, value): evictions, malformed packets by reason.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Bytes that the brick keeps from batch to batch for what it knows of the traffic; 0 for a stateless one.
    fn state_size(&self) -> u64 {
        0
    }

    /// How replicas share its work, for a stateful brick that can be divided.
    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_sets_behave_as_sets() {
        let a = Columns::of(&[Column::Headers, Column::Scores]);
        let b = Columns::of(&[Column::Scores, Column::Packets]);
        assert_eq!(a.union(b).iter().collect::<Vec<_>>(), [Column::Packets, Column::Headers, Column::Scores]);
        assert_eq!(a.without(b), Columns::of(&[Column::Headers]));
        assert_eq!(a.intersection(b), Columns::of(&[Column::Scores]));
        assert!(a.without(a).is_empty());
        assert_eq!(a.to_string(), "headers, scores");
    }
}
