//! Replicas of a brick with state: how its packets are dealt out to them, and the parts of an answer joined.
//!
//! A packet goes to the replica that owns its slot, of every shard of the exact split plan. The replicas' parcels of a
//! batch meet again in its joint.

mod deal;
mod division;
mod joint;
mod loan;
mod parcel;
mod pause;
mod regroup;
mod tally;
mod turn;

pub(crate) use deal::{Arrival, Deal, Owners, Shift, Slots, shifts};
pub(crate) use division::Split;
pub(crate) use joint::{Joint, Piece};
pub(crate) use loan::Loan;
pub(crate) use parcel::{Lane, Parcel};
pub(crate) use pause::{Histogram, Pause};
pub(crate) use regroup::prepare;
pub(crate) use tally::Tally;
pub(crate) use turn::Turning;
