//! Replicas of a keyed brick: how batches are exchanged among them.
//!
//! A replica that is free takes a batch and partitions it. First every replica computes the cells of its travelling shards.
//! When all have done so, every replica completes the rows of the packets whose home it is, and runs the bricks behind the keyed
//! one on them. The last replica to finish puts the results into the batch and sends it on. (The glossary in ARCHITECTURE.md
//! has these words.)

mod begun;
mod home;
mod inbox;
mod join;
mod ownership;
mod part;
mod pause;
mod regroup;
mod replica;
mod shared;
mod split;
mod transition;

pub(crate) use begun::{Begun, Task};
pub(crate) use home::{HomeWork, Pool};
pub(crate) use inbox::Inbox;
pub(crate) use join::Join;
pub(crate) use ownership::{Migration, Owners, OwnershipTable, SlotState, migrations};
pub(crate) use part::{Gathered, HomePart, Part};
pub(crate) use pause::Pause;
pub(crate) use regroup::{AT_ONCE, prepare};
pub(crate) use replica::{Buffers, Phase, Queues, Replica};
pub(crate) use shared::SharedColumns;
pub(crate) use split::{Downstream, EXACT, Split};
pub use split::{Partition, Undivided};
pub(crate) use transition::Transition;
