//! One-pass, zero-copy packet header parsing.
//!
//! [`parse`] reads the identity of one packet: link layer, outermost network and transport layer, and the packet
//! inside a tunnel or an ICMP error, one level deep. It never panics, allocates nothing and keeps no
//! reference to the packet's bytes. Every read is checked against the captured length, and every loop is
//! bounded by a constant. [`PacketBatching`] is the brick around it.
//!
//! What counts as readable follows tshark 4.0, whose field extraction the published Kitsune relies on: a
//! field is there if its own bytes were captured and lie within the lengths that the headers before it
//! state. The differences are deliberate (`tests/tshark-differences.tsv` counts them on real captures):
//!
//! - Fragments are not reassembled. The first fragment has ports, a later one has none; tshark gives the ports
//!   to the fragment that completes the datagram.
//! - Of a packet with IPv4 source routing the destination is that of the header, the next hop; tshark
//!   shows the last address of the option.
//! - Tunnels are GRE, ERSPAN, VXLAN, VXLAN-GPE, GENEVE, GTP-U and IP in IP, one level; tshark also looks into Teredo,
//!   CAPWAP, L2TP and others, at any depth.
//! - VXLAN is believed only if its flag says that the network identifier is valid.
//! - Where a frame carries a frame (PBB, FabricPath, TRILL, NSH) the MACs are the inner one's, which are the hosts'; of
//!   PBB tshark shows the outer ones first.
//! - An IPv6 payload length of 0 is that of the packet (BIG TCP), unless it could be padding alone.
//! - The addresses of IEEE 802.11 and netfilter logs count as the link layer's; tshark shows them under other names.
//! - The options inside an IPv6 extension header are not looked at; tshark stops at one that overruns it.
//! - Linux cooked captures have a link-layer source address; tshark shows it under another field name.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arp;
mod bridge;
mod bytes;
mod datagram;
mod ethernet;
mod ethertype;
mod extension;
mod gre;
mod icmp;
mod ip4;
mod ip6;
mod link;
mod log;
mod network;
mod nsh;
mod packet;
mod packet_batching;
mod plain;
mod ppp;
mod segment;
mod serial;
mod tag;
mod transport;
mod tunnel;
mod wlan;

#[cfg(test)]
mod samples;

pub use packet::parse;
pub use packet_batching::{Config, PacketBatching};
pub use segment::{Segment, tcp};
