//! What a network function does to the headers of a packet, as a value (SpeedyBox §IV-A1).

use crate::{DropReason, Mac};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An address and a port of TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Socket {
    /// The address.
    pub ip: IpAddr,
    /// The port.
    pub port: u16,
}

/// Where a MAC address of a frame that leaves comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MacFrom {
    /// The source of the frame that came.
    Source,
    /// Its destination.
    Destination,
    /// Neither: this address.
    Other(Mac),
}

/// The header action of a packet: what is modified, or that the packet is dropped. The default forwards it as it is.
///
/// Actions of several network functions become one by [`then`](Self::then):
///
/// ```
/// use legonf_core::{HeaderAction, Mac, MacFrom};
///
/// let swap = HeaderAction::SWAP_MACS;
/// let hop = HeaderAction { hops: 1, ..HeaderAction::default() };
/// let send = HeaderAction { mac_dst: MacFrom::Other(Mac([2; 6])), ..HeaderAction::default() };
/// let all = hop.then(swap).then(hop).then(swap).then(send);
/// assert_eq!(all, HeaderAction { hops: 2, ..send });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderAction {
    /// Why the packet is dropped, if it is. Nothing else is done to it then.
    pub drop: Option<DropReason>,
    /// The source address and port of TCP or UDP; none if they stay.
    pub src: Option<Socket>,
    /// The destination address and port; none if they stay.
    pub dst: Option<Socket>,
    /// The source MAC address of an Ethernet frame.
    pub mac_src: MacFrom,
    /// Its destination.
    pub mac_dst: MacFrom,
    /// By how much the time to live (IPv4) or hop limit (IPv6) falls. Whoever decides on the action makes sure that it stays above 0.
    pub hops: u8,
}

impl Default for HeaderAction {
    fn default() -> Self {
        let (mac_src, mac_dst) = (MacFrom::Source, MacFrom::Destination);
        Self { drop: None, src: None, dst: None, mac_src, mac_dst, hops: 0 }
    }
}

impl HeaderAction {
    /// The frame goes back to where it came from.
    pub const SWAP_MACS: Self = Self {
        drop: None,
        src: None,
        dst: None,
        mac_src: MacFrom::Destination,
        mac_dst: MacFrom::Source,
        hops: 0,
    };

    /// The action that drops a packet.
    pub fn drop(reason: DropReason) -> Self {
        Self { drop: Some(reason), ..Self::default() }
    }

    /// This action and another one behind it, as one (SpeedyBox §V-B): of two that modify the same field the later one counts, and
    /// behind a drop nothing is done.
    #[must_use]
    #[inline]
    pub fn then(self, next: Self) -> Self {
        if self.drop.is_some() {
            return self;
        }
        if next.drop.is_some() {
            return next;
        }
        let mac = |from| match from {
            MacFrom::Source => self.mac_src,
            MacFrom::Destination => self.mac_dst,
            MacFrom::Other(_) => from,
        };
        Self {
            drop: None,
            src: next.src.or(self.src),
            dst: next.dst.or(self.dst),
            mac_src: mac(next.mac_src),
            mac_dst: mac(next.mac_dst),
            hops: self.hops.saturating_add(next.hops),
        }
    }

    /// Whether packets stay as they are.
    #[inline]
    pub fn is_forward(&self) -> bool {
        self.drop.is_none() && !self.modifies_network() && !self.modifies_link()
    }

    /// Whether it changes the header of the network layer, or that behind it.
    #[inline]
    pub fn modifies_network(&self) -> bool {
        self.hops > 0 || self.src.is_some() || self.dst.is_some()
    }

    /// Whether it changes the header of the link layer.
    #[inline]
    pub fn modifies_link(&self) -> bool {
        !matches!((self.mac_src, self.mac_dst), (MacFrom::Source, MacFrom::Destination))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_behind_a_drop() {
        let (swap, dropped) = (HeaderAction::SWAP_MACS, HeaderAction::drop(DropReason::Policy));
        assert_eq!((swap.then(dropped), dropped.then(swap)), (dropped, dropped));
        assert_eq!(dropped.then(HeaderAction::drop(DropReason::TtlExpired)), dropped);
    }

    #[test]
    fn the_later_of_two_modifications_counts_and_other_fields_stay() {
        let socket = |ip: &str, port| Some(Socket { ip: ip.parse().unwrap(), port });
        let first = HeaderAction { src: socket("10.0.0.1", 1), hops: 1, ..HeaderAction::default() };
        let second =
            HeaderAction { src: socket("10.0.0.2", 2), dst: socket("::1", 3), ..HeaderAction::default() };
        assert_eq!(first.then(second), HeaderAction { hops: 1, ..second });
        assert_eq!(second.then(first), HeaderAction { hops: 1, dst: second.dst, ..first });
        assert!(first.modifies_network() && !first.modifies_link() && !first.is_forward());
        assert!(HeaderAction::default().then(HeaderAction::default()).is_forward());
    }

    #[test]
    fn swapped_and_named_macs_compose() {
        let (swap, mac) = (HeaderAction::SWAP_MACS, MacFrom::Other(Mac([2; 6])));
        let send = HeaderAction { mac_dst: mac, ..HeaderAction::default() };
        assert!(swap.then(swap).is_forward() && swap.modifies_link() && !swap.modifies_network());
        let swapped = send.then(swap);
        assert_eq!((swapped.mac_src, swapped.mac_dst), (mac, MacFrom::Source));
        let sent = swap.then(send);
        assert_eq!((sent.mac_src, sent.mac_dst), (MacFrom::Destination, mac));
    }
}
