//! A hot standby: another process that gets every batch of packets before the graph of its primary does, and runs the same graph.
//!
//! legonf is deterministic: the same packets through the same graph give the same bytes, whatever the layout. So nothing but packets goes to
//! the standby (state machine replication), and what it has computed when its primary dies is what the primary had, and more. A batch
//! is *accepted* once the standby has it; the primary's graph sees no other. Then no accepted packet is lost with the primary.
//!
//! There are two connections. Batches go over the first, one after the other, each answered. Over the second both sides say
//! regularly that they are alive, from a thread of its own, so that a busy graph is not taken for a dead one. Where one side falls
//! silent for longer than the lease, the other closes both.
//!
//! Which side goes on then is not settled here: two sides cannot tell a dead partner from a cut link.

mod heartbeat;
mod message;
mod primary;
mod replica;

pub use message::{Agreement, Digest, StandbyError};
pub use primary::{Introduced, Primary, Run};
pub use replica::{Heard, Introduction, Replica};

#[cfg(test)]
mod tests;
