//! The west–east interface of a brick: how replicas share its work and pass state to each other (LEGO §III-B).

use crate::{Batch, BrickError, ColumnSpec, StateGroup, Storage};

/// How a stateful brick's work can be divided among replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// Name of what is divided, for messages: that of the schema.
    pub name: String,
    /// The families of streams that it keeps, by whose keys its packets can be dealt out.
    pub groups: Vec<StateGroup>,
    /// Seed of the hash by which its streams are divided into slots.
    pub seed: u64,
    /// The column that it fills, a row for each packet, of whatever type.
    pub fills: ColumnSpec,
    /// For each cell of such a row (one, where that is a scalar) the group that it is computed from.
    pub cells: Vec<String>,
}

/// What a stateful brick offers whose work can be shared.
///
/// The work is divided into *parts*, some groups each, which take packets independently of each other; and the state
/// of each part into [`SLOTS`](crate::SLOTS) *slots* by the keys of its groups. A replica that gets every packet of a
/// slot, in order, computes what a single instance would for these packets, with the same bits.
pub trait WestEast {
    /// How the work can be divided.
    fn division(&self) -> Division;

    /// Prepares for parts of these groups, which are numbered from 0. What was known of the traffic stays.
    ///
    /// # Errors
    /// If the groups of a part cannot be computed apart from others.
    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError>;

    /// Processes some packets of a batch, those at `places` in this order, for one part: fills the cells of its groups in the
    /// packets' rows. Other cells mean nothing after that. `rows` is what batches keep the column in that the brick fills: a row for
    /// each of `places`, with all cells ([`typed`](crate::typed) gives it as what it is).
    ///
    /// # Errors
    /// If there is no such part, `rows` are of another type, and as for [`Brick::process`](crate::Brick::process).
    ///
    /// # Panics
    /// If a place is not in the batch, or `rows` has other rows.
    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError>;

    /// Takes the state of some slots of a part out, as bytes.
    ///
    /// # Errors
    /// If there is no such part or slot.
    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError>;

    /// What [`export`](Self::export) would give, without taking it out: a checkpoint.
    ///
    /// # Errors
    /// As there.
    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError>;

    /// Takes in what [`export`](Self::export) took out of another replica.
    ///
    /// # Errors
    /// If the bytes are not such, or a slot has state here already.
    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError>;
}
