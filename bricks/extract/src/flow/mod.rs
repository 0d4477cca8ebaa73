//! Flows: the packets of one connection, gathered into rows.
//!
//! [`FlowTable`] is the brick that keeps flows and fills the table of flows; [`FlowClass`] carries what was found of a flow back to
//! its packets; [`PacketImage`] makes an image of each packet (DeepNFV §III).

mod class;
mod config;
mod identity;
mod image;
mod kept;
mod payload;
mod record;
pub mod saved;
mod slots;
mod statistics;
mod table;

pub use class::{Config as FlowClassConfig, FlowClass, PENDING};
pub use config::{Column as FlowColumn, Config as FlowTableConfig, FlowError, Ready, WAITS};
pub use image::{Config as PacketImageConfig, IMAGE, PacketImage};
pub use payload::{Config as FlowStatisticsConfig, FLOW_STATISTICS, FlowStatistics};
pub use record::{RECORD, RECORD_FIELDS, Record};
pub use statistics::{
    BEFORE_RECORDS, IMAGE_BYTES, RECORDS, STATISTICS, is_record, statistic_names, statistics,
};
pub use table::{BYTES, FlowTable, SEQUENCE, SEQUENCE_CELLS};

use crate::StateError;
use legonf_core::{BrickError, ColumnSpec, Division, Field, Key, StateGroup};

/// The key by which flows are told apart: the unordered pair of sockets with the protocol, and VLAN and tunnel if wanted.
fn key(vlan: bool, tunnel: bool) -> Key {
    use Field::{DstIp, DstPort, Protocol, SrcIp, SrcPort, Tunnel, Vlan};
    let more =
        [(vlan, Vlan), (tunnel, Tunnel)].into_iter().filter(|(wanted, _)| *wanted).map(|(_, field)| field);
    let fields: Vec<_> = [SrcIp, SrcPort, DstIp, DstPort, Protocol].into_iter().chain(more).collect();
    Key::new(&fields, true).expect("the fields are distinct, and both ends have the same")
}

/// The name of the only state group.
const GROUP: &str = "flow";

/// How a brick of this kind, which keeps something of each flow, is divided among replicas.
fn division(kind: &'static str, key: Key, seed: u64, fills: ColumnSpec) -> Division {
    let (groups, cells) = (vec![StateGroup::new(GROUP, key)], vec![GROUP.into()]);
    Division { name: kind.into(), groups, seed, fills, cells }
}

/// A fault of a brick of this kind.
fn fault(brick: &'static str) -> impl Fn(StateError) -> BrickError {
    move |error| BrickError { brick, reason: error.to_string() }
}

fn damaged() -> StateError {
    StateError::Damaged("no state of flows")
}
