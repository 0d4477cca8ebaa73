//! The brick that does what a column of header actions says.

use super::actions;
use crate::ip::{IpHeaders, UDP, modify, modify_link};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, Element, Handle, HeaderAction,
    Headers, Layout, Link, Mac, MacFrom, Packets, State,
};
use serde::Deserialize;
use std::borrow::Cow;

/// Configuration of [`ApplyActions`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The column of actions, such as `nat-action`. No default.
    pub actions: String,
}

/// Does to each packet what its header action says: it is modified, or dropped for the reason that the action has.
///
/// A brick with state, such as [`Nat`](crate::Nat), decides on actions and fills a column with them. So replicas can share its work, which
/// is keyed by flow, while any replica of this brick may take any packet.
#[derive(Clone, Debug)]
pub struct ApplyActions {
    column: ColumnSpec,
    actions: Handle<Vec<HeaderAction>>,
    dispositions: Handle<Vec<Disposition>>,
    unchanged: u64,
}

impl ApplyActions {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "apply-actions";

    /// What the graph needs to know of the brick; its own descriptor has the column's name.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "header actions",
        reads: Cow::Borrowed(&[
            ColumnSpec::scalar("actions", Element::HeaderAction),
            ColumnSpec::PACKETS,
            ColumnSpec::HEADERS,
            ColumnSpec::DISPOSITION,
        ]),
        writes: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS, ColumnSpec::DISPOSITION]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    pub fn new(config: &Config) -> Self {
        let (actions_handle, dispositions) = Default::default();
        Self { column: actions(&config.actions), actions: actions_handle, dispositions, unchanged: 0 }
    }
}

impl Brick for ApplyActions {
    fn descriptor(&self) -> Descriptor {
        let mut reads = Self::DESCRIPTOR.reads.into_owned();
        reads[0] = self.column.clone();
        Descriptor { reads: reads.into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.actions = layout.handle(&self.column)?;
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let Batch { packets, headers, columns, .. } = batch;
        let (actions, dispositions) = columns.get_two(self.actions, self.dispositions);
        for (place, action) in actions.iter().enumerate() {
            match action.drop {
                Some(reason) => dispositions[place] = Disposition::Drop(reason),
                None if action.is_forward() => {}
                None => self.unchanged += u64::from(!apply(packets, headers, place, action)),
            }
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("not-modified", self.unchanged)]
    }
}

/// Modifies a packet as an action says that does not drop it, and its parsed headers with it. Says whether all of that could be done.
pub(crate) fn apply(
    packets: &mut Packets,
    headers: &mut [Headers],
    place: usize,
    action: &HeaderAction,
) -> bool {
    let Some(known) = headers.get_mut(place).filter(|_| place < packets.len()) else { return false };
    let link = packets.record(place).link;
    let ip = IpHeaders::find(link, packets.bytes(place));
    let mut done = true;
    if action.modifies_link() {
        done &= modify_link(link, packets.bytes_mut(place), action);
    }
    if action.modifies_network() {
        let fits = ip.filter(|ip| fits(ip, action));
        done &= fits.is_some();
        fits.into_iter().for_each(|ip| modify(packets.bytes_mut(place), ip, action));
    }
    if !done || !follow(known, ip, action) {
        *known = legonf_wire::parse(packets.record(place), packets.bytes(place));
    }
    done
}

/// Whether the addresses of an action are of the packet's version of IP.
fn fits(ip: &IpHeaders, action: &HeaderAction) -> bool {
    [action.src, action.dst].into_iter().flatten().all(|socket| socket.ip.is_ipv6() == ip.is_six)
}

/// Modifies parsed headers as their packet. Says whether that was simple; ports of UDP, for one, may say what is inside.
fn follow(headers: &mut Headers, ip: Option<IpHeaders>, action: &HeaderAction) -> bool {
    let transport = ip.and_then(|ip| ip.transport).map_or(UDP, |(protocol, _)| protocol);
    let has_sockets = action.src.is_some() || action.dst.is_some();
    let is_plain = ip.is_some() && headers.inner.is_none() && headers.malformed.is_none();
    if !is_plain || has_sockets && (transport == UDP || headers.outer.ports.is_none()) {
        return false;
    }
    if let Some(link) = &mut headers.link {
        let Link { src, dst, .. } = *link;
        let of = |from| match from {
            MacFrom::Source => src,
            MacFrom::Destination => dst,
            MacFrom::Other(Mac(mac)) => Mac(mac),
        };
        (link.src, link.dst) = (of(action.mac_src), of(action.mac_dst));
    }
    let outer = &mut headers.outer;
    if let (Some(socket), Some(ports)) = (action.src, &mut outer.ports) {
        (outer.src, ports.0) = (Some(socket.ip), socket.port);
    }
    if let (Some(socket), Some(ports)) = (action.dst, &mut outer.ports) {
        (outer.dst, ports.1) = (Some(socket.ip), socket.port);
    }
    true
}
