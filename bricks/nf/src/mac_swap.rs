//! The function that swaps MAC addresses.

use crate::chain::in_place::{Changes, descriptor};
use crate::chain::{ChainFunction, InPlace, Packet, Record};
use legonf_core::{Descriptor, HeaderAction};
use serde::Deserialize;

/// Configuration of [`MacSwap`]: there is nothing to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Swaps source and destination of Ethernet frames, so that they go back to where they came from (µNF's MacSwapper). Other packets stay as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct MacSwap;

impl MacSwap {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "mac-swap";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "MAC swapping", Changes::Bytes);

    /// The brick.
    pub fn brick(_: Config) -> InPlace<Self> {
        InPlace::new(Self, Self::DESCRIPTOR)
    }
}

impl ChainFunction for MacSwap {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        if packet.is_frame { Record::of(HeaderAction::SWAP_MACS) } else { Record::FORWARD }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{batch, reparsed, udp4, udp6};
    use legonf_core::{Brick, LinkType};

    #[test]
    fn frames_go_back_and_other_packets_stay() {
        let (frame, packet) = (udp4(), udp6());
        let mut some = batch(&[(LinkType::Ethernet, &frame, 60), (LinkType::RawIp, &packet, 52)]);
        MacSwap::brick(Config {}).process(&mut some).unwrap();
        assert_eq!(some.packets.bytes(0)[..12], [&frame[6..12], &frame[..6]].concat());
        assert_eq!((&some.packets.bytes(0)[12..], some.packets.bytes(1)), (&frame[12..], &*packet));
        assert_eq!(some.headers, reparsed(&some));
    }
}
