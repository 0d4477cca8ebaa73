//! Random packets: few addresses and ports, so that streams meet; ARP, IPv6, fragments, tunnels, bare frames, and time
//! that runs backwards.
#![allow(dead_code)]

use legonf_core::{
    Encapsulation, Fragment, Headers, Icmp, Inner, Layer, Link, Mac, Network, Timestamp, Transport,
};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn address() -> impl Strategy<Value = Option<IpAddr>> {
    prop_oneof![
        1 => Just(None),
        6 => (0..6u32).prop_map(|a| Some(Ipv4Addr::from(a).into())),
        3 => (0..4u128).prop_map(|a| Some(Ipv6Addr::from(a).into())),
    ]
}

prop_compose! {
    fn layer()(
        network in prop::sample::select(vec![Network::None, Network::Arp, Network::Ipv4, Network::Ipv6]),
        src in address(),
        dst in address(),
        fragment in prop::sample::select(vec![Fragment::Whole, Fragment::First, Fragment::Later]),
        transport in prop::sample::select(vec![
            Transport::None, Transport::Tcp, Transport::Udp, Transport::Icmp(Icmp::default()),
            Transport::Icmpv6(Icmp::default()), Transport::Other(47),
        ]),
        ports in prop::option::of((0..3u16, 0..3u16)),
    ) -> Layer {
        Layer { network, src, dst, fragment, transport, ports }
    }
}

prop_compose! {
    /// A packet; its arrival number is to be set.
    pub fn packet()(
        millis in prop_oneof![9 => 0..20_000i64, 1 => -1_000_000..1_000_000i64],
        wire_len in 40..1600u32,
        link in prop::option::weighted(0.9, (0..3u8, 0..3u8, prop::option::of(0..2u16))),
        outer in layer(),
        inner in prop::option::weighted(0.2, (any::<bool>(), layer())),
    ) -> Headers {
        let by = |quoted| if quoted { Encapsulation::Quoted } else { Encapsulation::Gre(Some(7)) };
        Headers {
            timestamp: Timestamp::from_nanos(1_540_000_000_000_000_000 + millis * 1_000_000),
            wire_len,
            link: link.map(|(s, d, vlan)| Link { src: Mac([s; 6]), dst: Mac([d; 6]), vlan, ..Link::default() }),
            outer,
            inner: inner.map(|(quoted, layer)| Inner { by: by(quoted), layer }),
            ..Headers::default()
        }
    }
}

/// Packets with their arrival numbers.
pub fn traffic(most: usize) -> impl Strategy<Value = Vec<Headers>> {
    prop::collection::vec(packet(), 1..most).prop_map(|mut packets| {
        packets.iter_mut().enumerate().for_each(|(seq, packet)| packet.seq = seq as u64);
        packets
    })
}
