//! Any headers, any time, any batch: finite features, bounded state, and the same bits.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_same_bits, example_packets, features};
use legonf_core::{
    Encapsulation, Fragment, Headers, Icmp, Inner, Layer, Link, Mac, Network, Timestamp, Transport,
};
use legonf_extract::{Extractor, Limits, build};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SCHEMAS: [&str; 2] = ["kitsune-115", "kitsune-115-clean"];
const TINY: Limits = Limits { sources_per_slot: 1, channels_per_slot: 1, sockets_per_slot: 1, seed: 9 };

fn new(schema: &str, limits: Limits) -> Box<dyn Extractor> {
    build(schema, limits).unwrap()
}

fn address() -> impl Strategy<Value = Option<IpAddr>> {
    prop_oneof![
        Just(None),
        (0..4u32).prop_map(|a| Some(Ipv4Addr::from(a).into())),
        (0..4u128).prop_map(|a| Some(Ipv6Addr::from(a).into())),
        any::<u128>().prop_map(|a| Some(Ipv6Addr::from(a).into())),
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
    fn headers()(
        nanos in prop_oneof![
            Just(i64::MIN), Just(i64::MAX), Just(0), Just(-1), any::<i64>(),
            1_540_000_000_000_000_000..1_540_000_900_000_000_000i64, 0..1_000_000_000_000i64,
        ],
        wire_len in prop_oneof![Just(0), Just(u32::MAX), 0..1600u32],
        link in prop::option::of((0..3u8, 0..3u8)),
        outer in layer(),
        inner in prop::option::of((any::<bool>(), layer())),
    ) -> Headers {
        let by = |quoted| if quoted { Encapsulation::Quoted } else { Encapsulation::Gre(None) };
        Headers {
            timestamp: Timestamp::from_nanos(nanos),
            wire_len,
            link: link.map(|(s, d)| Link { src: Mac([s; 6]), dst: Mac([d; 6]), ..Link::default() }),
            outer,
            inner: inner.map(|(quoted, layer)| Inner { by: by(quoted), layer }),
            ..Headers::default()
        }
    }
}

proptest! {
    #[test]
    fn any_headers_give_finite_features(packets in prop::collection::vec(headers(), 1..200)) {
        for schema in SCHEMAS {
            for limits in [TINY, Limits::default()] {
                let mut extractor = new(schema, limits);
                let rows = features(&mut *extractor, &packets, 64);
                let bad = rows.iter().position(|x| !x.is_finite());
                prop_assert!(bad.is_none(), "{}: {:?}", schema, bad);
                prop_assert!(extractor.state_bytes() <= extractor.max_state_bytes());
            }
        }
    }
}

#[test]
fn batches_do_not_show() {
    let packets = example_packets();
    for schema in SCHEMAS {
        for limits in [TINY, Limits::default()] {
            let mut extractor = new(schema, limits);
            let whole = features(&mut *extractor, &packets, 256);
            for batch in [1, 7, 33, 3500] {
                let cut = features(&mut *new(schema, limits), &packets, batch);
                assert_same_bits(&*extractor, &cut, &whole, &format!("{schema} {batch}"));
            }
        }
    }
}

/// A flood of packets from ever new sources to ever new sockets.
#[test]
fn a_flood_is_bounded_and_counted() {
    let limits = Limits { sources_per_slot: 2, channels_per_slot: 3, sockets_per_slot: 4, seed: 1 };
    let mut extractor = new("kitsune-115", limits);
    let packet = |i: u32| {
        let (src, dst) = (Some(Ipv4Addr::from(i).into()), Some(Ipv4Addr::from(0xff00_0000 + i % 5).into()));
        let outer = Layer {
            network: Network::Ipv4,
            src,
            dst,
            transport: Transport::Tcp,
            ports: Some((i as u16, 80)),
            ..Layer::default()
        };
        Headers {
            timestamp: Timestamp::from_nanos(i64::from(i) * 1000),
            wire_len: 60,
            outer,
            ..Headers::default()
        }
    };
    let packets: Vec<_> = (0..60_000).map(packet).collect();
    features(&mut *extractor, &packets, 256);
    let counters = extractor.counters();
    let names = ["evicted-MI", "evicted-H", "evicted-HH", "evicted-HpHp"];
    for ((name, evicted), (expected, per_slot)) in
        counters.into_iter().zip(names.into_iter().zip([2, 2, 3, 4]))
    {
        assert_eq!(name, expected);
        assert!((60_000 - per_slot * 4096..60_000).contains(&evicted), "{name}: {evicted}");
    }
    assert!(extractor.state_bytes() <= extractor.max_state_bytes());
    assert!(extractor.max_state_bytes() < 21 << 20);
}

#[test]
fn the_default_limits_hold_about_three_gibibytes_at_most() {
    let most = new("kitsune-115", Limits::default()).max_state_bytes();
    assert!((2 << 30..3 << 30).contains(&most), "{most}");
}

#[test]
fn clean_starts_jitter_at_zero() {
    let packets = example_packets();
    let schema = new("kitsune-115-clean", Limits::default());
    let mean = schema.schema().features.iter().position(|f| f.name == "HH_jit_L0.01_mean").unwrap();
    let first = |schema| features(&mut *new(schema, Limits::default()), &packets[..1], 1)[mean];
    assert_eq!((first("kitsune-115"), first("kitsune-115-clean")), (packets[0].timestamp.as_secs_f64(), 0.0));
}
