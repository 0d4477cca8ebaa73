//! The state of a graph's bricks between two runs: it is taken out and put in slot by slot, as it moves between replicas.

use crate::Graph;
use crate::exchange::{AT_ONCE, EXACT, Split, Undivided};
use crate::operator::interface::west_east;
use legonf_core::{Brick, BrickError, SLOTS, State};

/// A brick with state, and how that is divided. Whatever the layout of a run, after it the brick has all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stateful {
    /// Identifier of the brick in the graph.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// Name of what is divided: that of the schema.
    pub division: String,
    /// Seed of the hash by which its streams are divided into slots.
    pub seed: u64,
    /// The state groups of each shard; a shard has [`SLOTS`] slots.
    pub shards: Vec<Vec<String>>,
    index: usize,
}

/// A brick whose state no key divides, so that it cannot be taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("brick `{id}`: its state cannot be taken out: {reason}")]
pub struct Inseparable {
    /// Identifier of the brick.
    pub id: String,
    /// Why.
    pub reason: Undivided,
}

/// The slots of each piece of a shard, in order.
fn pieces() -> impl Iterator<Item = Vec<u16>> {
    (0..SLOTS)
        .step_by(AT_ONCE)
        .map(|first| (first..SLOTS.min(first + AT_ONCE)).map(|slot| slot as u16).collect())
}

impl Graph {
    /// Its bricks with state, in order, each prepared for what follows. Their state does not change.
    ///
    /// # Errors
    /// If the state of one cannot be divided.
    pub fn stateful(&mut self) -> Result<Vec<Stateful>, Inseparable> {
        let declared = self.declared();
        let mut found = Vec::new();
        for (index, node) in self.nodes_mut().iter_mut().enumerate() {
            if node.brick.descriptor().state == State::Stateless {
                continue;
            }
            let split = Split::of((index, &node.id), &mut *node.brick, &declared, EXACT);
            let described = split.and_then(|split| describe(index, &node.id, &mut *node.brick, &split));
            found.push(described.map_err(|reason| Inseparable { id: node.id.clone(), reason })?);
        }
        Ok(found)
    }

    /// A copy of the state of some slots of a shard of a brick, as bytes.
    ///
    /// # Errors
    /// If there is no such shard or slot.
    pub fn copy_state(&mut self, of: &Stateful, shard: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        west_east(&mut *self.nodes_mut()[of.index].brick)?.copy(shard, slots)
    }

    /// Puts in what [`copy_state`](Self::copy_state) gave of another graph.
    ///
    /// # Errors
    /// If these are no such bytes, the brick is configured otherwise, or has state in one of the slots already.
    pub fn import_state(&mut self, of: &Stateful, shard: usize, state: &[u8]) -> Result<(), BrickError> {
        west_east(&mut *self.nodes_mut()[of.index].brick)?.import(shard, state)
    }

    /// Takes the state of some slots of a shard out of a brick, as bytes for [`import_state`](Self::import_state).
    ///
    /// # Errors
    /// If there is no such shard or slot.
    pub fn take_state(&mut self, of: &Stateful, shard: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        west_east(&mut *self.nodes_mut()[of.index].brick)?.export(shard, slots)
    }
}

impl Stateful {
    /// Each piece of its state: the shard and the slots.
    pub fn every_piece(&self) -> impl Iterator<Item = (usize, Vec<u16>)> {
        (0..self.shards.len()).flat_map(|shard| pieces().map(move |slots| (shard, slots)))
    }
}

/// Prepares a brick for the shards of its exact plan, and says which these are.
fn describe(index: usize, id: &str, brick: &mut dyn Brick, split: &Split) -> Result<Stateful, Undivided> {
    let kind = brick.descriptor().kind;
    split.prepare(brick).map_err(|error| Undivided::Refused(error.reason))?;
    let division = brick.west_east().ok_or(Undivided::NoInterface)?.division();
    let shards = split.partitioner.groups().map(<[String]>::to_vec).collect();
    Ok(Stateful { id: id.to_owned(), kind, division: division.name, seed: division.seed, shards, index })
}
