//! The west–east interface of a brick: how replicas share its work and pass state to each other (LEGO §III-B).

use crate::{Batch, BrickError, ColumnSpec, StateGroup, Storage, Table};

/// How the work of a keyed brick can be divided among replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// Name of what is divided, for messages: that of the schema.
    pub name: String,
    /// The state groups that it keeps: packets can be divided by their keys.
    pub groups: Vec<StateGroup>,
    /// Seed of the hash by which its streams are divided into slots.
    pub seed: u64,
    /// The column that it fills, of any type, with a row for each packet. Of a brick that fills columns of flows it is the first
    /// of them.
    pub fills: ColumnSpec,
    /// For each cell of such a row (one cell, if the column is scalar) the name of the group that it is computed from. Of a brick
    /// that fills columns of flows it is the name of its only group.
    pub cells: Vec<String>,
}

impl Division {
    /// Whether the brick fills columns of flows.
    pub fn is_of_flows(&self) -> bool {
        self.fills.table == Table::Flows
    }
}

/// What a keyed brick offers if replicas can share its work.
///
/// The work is divided into *parts* of some groups each, which take packets independently of each other. The state of
/// each part is divided into [`SLOTS`](crate::SLOTS) *slots* by the keys of its groups. A replica that gets every packet of a
/// slot, in order, computes for these packets what a single instance would, with the same bits.
pub trait WestEast {
    /// How the work can be divided.
    fn division(&self) -> Division;

    /// Divides the work into parts, each of these groups; parts are numbered from 0. The state is kept. By default there is
    /// nothing to do, as for a brick of one group.
    ///
    /// # Errors
    /// If the groups of a part cannot be computed apart from others.
    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        let _ = parts;
        Ok(())
    }

    /// Whether [`process_part`](Self::process_part) takes compact rows, too: those that hold the cells of the part's groups
    /// alone, side by side in their order. They spare a copy of every row. By default it does not.
    fn takes_compact_rows(&self) -> bool {
        false
    }

    /// Whether a call takes long however few packets it is for, as of a brick that runs elsewhere. Such a brick is given all packets
    /// of a batch at once, others as many as stay in the core's cache.
    fn takes_all_at_once(&self) -> bool {
        false
    }

    /// Processes the packets of a batch at `places`, in this order, for one part: fills the cells of its groups in the packets'
    /// rows. The values of other cells are undefined afterwards. `rows` has the storage type of the column that the brick
    /// fills, with a row for each of `places`; [`typed`](crate::typed) casts it to that type. The row is whole, or
    /// [compact](Self::takes_compact_rows), as its width says.
    ///
    /// # Errors
    /// If there is no such part, or `rows` has another type, and as for [`Brick::process`](crate::Brick::process).
    ///
    /// # Panics
    /// If a place is not in the batch, or `rows` does not have a row for each place.
    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError>;

    /// Begins the next [`process_part`](Self::process_part), as [`Brick::begin`](crate::Brick::begin) does: for rows of so many cells.
    fn begin_part(&mut self, part: usize, batch: &Batch, places: &[usize], cells: usize) -> bool {
        let _ = (part, batch, places, cells);
        false
    }

    /// Processes the packets of a batch at `places`, in this order, for one part of a brick that fills columns of flows, in place of
    /// [`process_part`](Self::process_part). Appends the rows of flows that these packets complete to `flows`, in any order: their
    /// origins are places in `batch`.
    ///
    /// # Errors
    /// If there is no such part, or the brick fills no columns of flows.
    ///
    /// # Panics
    /// If a place is not in the batch, or `flows` does not have the brick's columns.
    fn process_flows(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        let _ = (batch, places, flows);
        Err(no_flows(part))
    }

    /// Ends the flows of a part that are over by the time of a batch all of whose packets are processed: `watermarks` has the
    /// latest stream time of each packet and all before it ([`ColumnSpec::WATERMARK`]). Appends their rows to `flows`, each with
    /// the first packet as its origin by whose time it was over.
    ///
    /// # Errors
    /// As for [`process_flows`](Self::process_flows).
    fn expire(&mut self, part: usize, watermarks: &[i64], flows: &mut Batch) -> Result<(), BrickError> {
        let _ = (watermarks, flows);
        Err(no_flows(part))
    }

    /// Ends the flows of some slots of a part that are still open, as at the end of the input, and forgets them. Appends the rows of
    /// those that have had none to `flows`, in any order: no packet completed them, so their origin is 0.
    ///
    /// # Errors
    /// If there is no such part or slot, or the brick fills no columns of flows.
    fn end(&mut self, part: usize, slots: &[u16], flows: &mut Batch) -> Result<(), BrickError> {
        let _ = (slots, flows);
        Err(no_flows(part))
    }

    /// Takes the state of some slots of a part out, as bytes.
    ///
    /// # Errors
    /// If there is no such part or slot.
    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError>;

    /// What [`export`](Self::export) would give, without taking it out: a checkpoint.
    ///
    /// # Errors
    /// As for [`export`](Self::export).
    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError>;

    /// [`copy`](Self::copy) of each of some slots, one by one. A brick that runs elsewhere answers for all at once.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    fn copy_each(&self, part: usize, slots: &[u16]) -> Result<Vec<Vec<u8>>, BrickError> {
        slots.iter().map(|slot| self.copy(part, &[*slot])).collect()
    }

    /// Takes in what [`export`](Self::export) took out of another replica.
    ///
    /// # Errors
    /// If [`export`](Self::export) did not write these bytes, or a slot has state here already.
    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError>;

    /// [`import`](Self::import) in place of what these slots hold: state that another replica had. A brick that runs elsewhere does so in
    /// one call.
    ///
    /// # Errors
    /// As [`export`](Self::export) and [`import`](Self::import).
    fn adopt(&mut self, part: usize, slots: &[u16], state: &[u8]) -> Result<(), BrickError> {
        self.export(part, slots)?;
        self.import(part, state)
    }

    /// [`import`](Self::import) of several such pieces. A brick that runs elsewhere takes all at once.
    ///
    /// # Errors
    /// As [`import`](Self::import).
    fn import_each(&mut self, part: usize, states: &[&[u8]]) -> Result<(), BrickError> {
        states.iter().try_for_each(|state| self.import(part, state))
    }

    /// [`import_each`](Self::import_each) in place of what these slots hold: by this a checkpoint is put in.
    ///
    /// # Errors
    /// As [`export`](Self::export) and [`import`](Self::import).
    fn replace_each(&mut self, part: usize, slots: &[u16], states: &[&[u8]]) -> Result<(), BrickError> {
        self.export(part, slots)?;
        self.import_each(part, states)
    }
}

fn no_flows(part: usize) -> BrickError {
    BrickError { brick: "west-east", reason: format!("part {part} fills no columns of flows") }
}
