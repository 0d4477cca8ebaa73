//! Replicas of a brick with state: how its packets are dealt out to them, and the parts of an answer joined.
//!
//! A packet goes to the replica that owns its slot, of every shard of the exact split plan. The replicas' parcels of a
//! batch meet again in its joint.

mod division;
mod joint;
mod parcel;
mod regroup;

pub(crate) use division::{Deal, Owners, Split};
pub(crate) use joint::{Joint, Piece};
pub(crate) use parcel::{Lane, Parcel};
