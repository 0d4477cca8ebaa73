//! The vocabulary of legonf: what a packet, a batch, a brick, a schema and a verdict are.
//!
//! This crate depends on no other one of legonf, and most others depend on it, so that they need not import each other for a
//! type. Data flows from packets to headers to what bricks find out about them, always in a [`Batch`]. Bricks, sources and
//! sinks declare their columns ([`ColumnSpec`]). The [`Layout`] of a graph numbers the columns, and each [`Brick`] reads some
//! and fills others by their [`Handle`]s.
//!
//! To write a brick, begin with the example of [`Brick`]. A keyed brick also implements [`WestEast`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod action;
mod batch;
mod brick;
mod clock;
mod column;
mod columns;
mod contain;
mod count;
mod coverage;
mod disposition;
mod endpoint;
mod explain;
mod field;
mod gather;
mod group;
mod hash;
mod headers;
mod histogram;
mod identity;
mod incident;
mod layout;
mod origin;
mod packets;
mod placement;
mod plan;
pub mod prefetch;
mod projector;
mod rows;
mod schema;
mod snapshot;
mod storage;
mod tiles;
mod time;
mod verdict;
mod west_east;

pub use action::{HeaderAction, MacFrom, Socket};
pub use batch::{BATCH, Batch, ENGINE_ROWS, FlowRow, LARGEST_BATCH, Store};
pub use brick::{Brick, BrickError, Descriptor, State};
pub use clock::{Clock, ClockFaults, LONGEST_GAP};
pub use column::{ColumnSpec, Element, Labels, Shape, Table};
pub use columns::{Columns, Handle};
pub use contain::{guarded, is_contained};
pub use count::count;
pub use coverage::{Account, Coverage};
pub use disposition::{Disposition, Dispositions, DropReason, Port};
pub use endpoint::{Discard, Fault, Pace, Progress, Sink, Source};
pub use explain::{Explain, Explanation, FeatureShare, GroupShare};
pub use field::{End, Field, Key, KeyError};
pub use gather::{Arrivals, gather};
pub use group::{Keyed, PacketKind, PacketKinds, StateGroup, UnknownKind};
pub use hash::{Hasher, SLOTS, same, slot};
pub use headers::{
    Encapsulation, Fragment, Headers, Icmp, Inner, Layer, Link, Mac, Malformed, Network, NoMac, Transport,
};
pub use histogram::{BUCKETS, Histogram};
pub use identity::{Address, Ends, Ports, pair_words, source_words};
pub use incident::{Activity, Counted, Deviation, Findings, Incident, Notice, Severity, grouped};
pub use layout::{BindError, Layout, LayoutError};
pub use origin::Origin;
pub use packets::{LinkType, PacketRecord, Packets};
pub use placement::balanced;
pub use plan::{Plan, PlanSyntax, SlotMove, Stage};
pub use projector::{Projector, protocol_word, tunnel_word};
pub use rows::Rows;
pub use schema::{Feature, Schema, SchemaHash, Unit};
pub use snapshot::{HostLoad, Passage, Passages, ShardLoad, Snapshot, StageLoad, WorkerLoad, mean_wait};
pub use storage::{Damaged, Storage, Typed, Value, cells, cells_mut, like, storage, typed};
pub use tiles::{LANES, Tiles};
pub use time::Timestamp;
pub use verdict::Verdict;
pub use west_east::{Division, WestEast};
