//! Network functions of chains: what each does to a packet, by itself as a brick, or with others on one fast path.
//!
//! A [`ChainFunction`] is written once. [`InPlace`] makes a brick of one without state, and [`Recorded`] of one with state. [`FastPath`](crate::FastPath)
//! consolidates several into one brick.

mod flows;
pub(crate) mod in_place;
mod packet;
pub(crate) mod recorded;
mod rewrite;
mod state;

pub use flows::{FlowHandle, Flows, Item};
pub use in_place::InPlace;
pub use packet::{Flow, FlowKey, Keyed, Packet};
pub(crate) use packet::{ip_of, socket_of};
pub use recorded::Recorded;
pub(crate) use rewrite::apply;
pub use rewrite::{ApplyActions, Config as ApplyActionsConfig};
pub use state::FlowState;
pub(crate) use state::{Kept, KeyedState, default};

use legonf_core::{BindError, ColumnSpec, Element, Field, HeaderAction, Key, Layout};

/// A network function of a chain.
///
/// [`process`](Self::process) is all that the function does to a packet. What it returns is also the function's record of the packet's
/// flow and direction (SpeedyBox's Local MAT, §IV): as long as that holds, [`update`](Self::update) is all that is to be done for a later packet.
///
/// Functions keep what they know of a flow in the slot of its key, and no function moves a flow to another slot. So whoever has a slot has the
/// state of all functions for it.
pub trait ChainFunction: Send {
    /// Its kind in the catalogue.
    fn kind(&self) -> &'static str;

    /// The column of verdicts that it looks at, if it does.
    fn verdicts(&self) -> Option<ColumnSpec> {
        None
    }

    /// Looks up the labels of these verdicts, before the first packet.
    ///
    /// # Errors
    /// If the column has no such label.
    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let _ = layout;
        Ok(())
    }

    /// Processes a packet.
    fn process(&mut self, packet: &Packet<'_>) -> Record;

    /// [`process`](Self::process) for its action alone, which is written where it is needed.
    #[inline]
    fn act(&mut self, packet: &Packet<'_>, action: &mut HeaderAction) {
        *action = self.process(packet).action;
    }

    /// Does for a packet what [`process`](Self::process) would do beside its action, where the record of its flow and direction has this handle: the
    /// function's state function. Looks at no address, port or hop of the packet, which are those before the chain.
    ///
    /// Returns false if the record does not hold any more. Nothing has been done then, and the packet is to be processed.
    fn update(&mut self, handle: FlowHandle, packet: &Packet<'_>) -> bool {
        let _ = (handle, packet);
        true
    }

    /// Counters, as of [`Brick::counters`](legonf_core::Brick::counters).
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// What it keeps of flows; none if it keeps nothing.
    fn state(&self) -> Option<&dyn FlowState> {
        None
    }

    /// The same, to be changed.
    fn state_mut(&mut self) -> Option<&mut dyn FlowState> {
        None
    }
}

/// What a function does to the packets of a flow that go in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What happens to their headers.
    pub action: HeaderAction,
    /// With which handle the function is to be told of later packets; none if it need not be.
    pub state: Option<FlowHandle>,
    /// For which packets it holds.
    pub holds: Holds,
}

/// For which later packets of a flow and direction a record holds, if they are whole and of TCP or UDP. One that lets the hops fall holds for those
/// alone that have more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// All, until the function says otherwise.
    #[default]
    Flow,
    /// Those with a sound network header.
    Sound,
    /// None.
    Packet,
}

impl Record {
    /// Packets are forwarded as they are.
    pub const FORWARD: Self = {
        let (mac_src, mac_dst) = (legonf_core::MacFrom::Source, legonf_core::MacFrom::Destination);
        let action = HeaderAction { drop: None, src: None, dst: None, mac_src, mac_dst, hops: 0 };
        Self { action, state: None, holds: Holds::Flow }
    };

    /// An action for all packets of the flow in this direction, of which the function need not be told.
    pub fn of(action: HeaderAction) -> Self {
        Self { action, ..Self::default() }
    }

    /// An action for one packet.
    pub fn once(action: HeaderAction) -> Self {
        Self { action, state: None, holds: Holds::Packet }
    }
}

/// The key by which functions keep flows: the unordered pair of sockets, with the protocol.
pub(crate) fn key() -> Key {
    use Field::{DstIp, DstPort, Protocol, SrcIp, SrcPort};
    Key::new(&[SrcIp, SrcPort, DstIp, DstPort, Protocol], true)
        .expect("the fields are distinct, and both ends have the same")
}

/// A column of actions.
pub(crate) fn actions(name: &str) -> ColumnSpec {
    ColumnSpec { name: name.to_owned().into(), ..ColumnSpec::scalar("", Element::HeaderAction) }
}
