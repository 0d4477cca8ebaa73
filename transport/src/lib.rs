//! Bricks in other processes and on other hosts.
//!
//! A [`Remote`] is a brick whose work is done elsewhere: each call goes over a [`Channel`] to a process that [hosts](serve) the real
//! one, and comes back. It is a brick like any other, so graphs, layouts, replicas and policies know nothing of it (LEGO §III-B: IPC on
//! one server, RPC across servers). Columns are encoded once and decoded where they lie.
//!
//! There are two kinds of channel. [`SharedMemory`] joins two processes of one host; a [`Stream`] is a TCP connection, with mutual TLS
//! ([`tls`]) where it leaves the host. Both are bounded: a frame has at most [`MAX_FRAME`] bytes, and at most one call of a brick is under way,
//! so that nothing queues up on the wire.
//!
//! **A loss is seen, and mended once.** Whoever does not answer within the [lease](Remote::connect), closes the channel, or answers what was not
//! asked is lost from then on ([`Brick::is_lost`](legonf_core::Brick::is_lost)). The runtime makes another brick, gives it the last checkpoint
//! and what came since, and asks again. An instance belongs to its channel: one that comes back after its lease has no channel any more, so
//! it can change nothing.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod caller;
mod channel;
mod host;
pub mod join;
mod memory;
mod message;
mod peer;
mod remote;
mod shared;
pub mod standby;
mod stream;
pub mod tls;

pub use caller::Loss;
pub use channel::{Channel, ChannelError, MAX_FRAME};
pub use host::{AgentLoad, Hosted, Load, Order, serve};
pub use message::PROTOCOL;
pub use peer::{Link, Peer};
pub use remote::{ConnectError, Remote};
pub use shared::{OtherSide, SharedMemory};
pub use stream::Stream;
