use super::oracle::Oracle;
use super::*;
use legonf_core::{Layer, Link, Mac, Network, Timestamp, Transport};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

/// A packet of few hosts and ports, so that streams meet, collide and address themselves.
#[derive(Clone, Copy, Debug)]
struct Sketch {
    from: u8,
    to: u8,
    ports: (u16, u16),
    kind: u8,
    length: u32,
    /// Time since the packet before in units of 0.7 s to a varying power; may be negative.
    gap: i8,
}

/// Addresses and ports of which several pairs are spelt alike.
fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, [1, 12, 123, 2, 22, 3][usize::from(host) % 6]).into()
}

fn headers(seq: u64, sketch: Sketch, time: &mut f64) -> Headers {
    *time += f64::from(sketch.gap) * [0.0007, 0.07, 7.0, 0.0][usize::from(sketch.kind / 4) % 4];
    let mac = |host: u8| Mac([2, 0, 0, 0, 0, host % 4]);
    let link = Link { src: mac(sketch.from), dst: mac(sketch.to), ..Link::default() };
    let (src, dst) = (Some(address(sketch.from)), Some(address(sketch.to)));
    let port = |p: u16| [23, 3, 2, 53][usize::from(p) % 4];
    let ports = Some((port(sketch.ports.0), port(sketch.ports.1)));
    let ip = Layer { network: Network::Ipv4, src, dst, ..Layer::default() };
    let outer = match sketch.kind % 4 {
        0 => Layer { network: Network::Arp, src, dst, ..Layer::default() },
        1 => Layer::default(),
        _ => Layer { transport: Transport::Tcp, ports, ..ip },
    };
    // In microseconds, as most captures have them.
    let timestamp = Timestamp::from_nanos((*time * 1e6) as i64 * 1_000);
    Headers { seq, timestamp, wire_len: sketch.length, link: Some(link), outer, ..Headers::default() }
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let length = prop_oneof![Just(60), Just(0), Just(1514), 0..u32::from(u16::MAX)];
    let gap = prop_oneof![4 => 0..20_i8, 1 => -20..0_i8];
    (0..8_u8, 0..8_u8, (0..4_u16, 0..4_u16), 0..16_u8, length, gap)
        .prop_map(|(from, to, ports, kind, length, gap)| Sketch { from, to, ports, kind, length, gap })
}

fn packets(sketches: &[Sketch]) -> Vec<Headers> {
    packets_from(1.7e9, sketches)
}

fn packets_from(mut time: f64, sketches: &[Sketch]) -> Vec<Headers> {
    sketches.iter().enumerate().map(|(i, s)| headers(i as u64, *s, &mut time)).collect()
}

fn limits() -> Limits {
    Limits { sources_per_slot: 1, channels_per_slot: 1, sockets_per_slot: 1, ..Limits::default() }
}

/// Checks every row of an extractor against the reference, bit for bit.
fn check(extractor: &mut Py100, packets: &[Headers]) {
    let mut oracle = Oracle::new();
    let mut rows = Rows::default();
    for (i, packet) in packets.iter().enumerate() {
        extractor.extract(std::slice::from_ref(packet), &mut rows);
        let expected = oracle.packet(packet);
        for (column, (found, expected)) in rows.row(0).iter().zip(&expected).enumerate() {
            let name = || &extractor.schema.features[column].name;
            assert_eq!(found.to_bits(), expected.to_bits(), "packet {i}: {} {found} {expected}", name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn equals_the_eager_reference(sketches in proptest::collection::vec(sketch(), 1..400)) {
        check(&mut Py100::new(&limits()), &packets(&sketches));
    }

    #[test]
    fn equals_the_eager_reference_near_the_epoch(
        sketches in proptest::collection::vec(sketch(), 1..400), start in -9.0..9e6_f64,
    ) {
        check(&mut Py100::new(&limits()), &packets_from(start, &sketches));
    }

    #[test]
    fn how_a_stream_hears_of_its_peers_changes_nothing(
        sketches in proptest::collection::vec(sketch(), 1..400),
        near in prop::array::uniform2(0..25_u32),
        patience in 0..60_u32,
        events in prop_oneof![Just(EVENTS), 30..200_usize],
    ) {
        let mut bounds = AllBounds::new(&limits());
        bounds.hosts = Bounds { near: near[0], patience, events, ..bounds.hosts };
        bounds.sockets = Bounds { near: near[1], patience, events, ..bounds.sockets };
        check(&mut Py100::bounded(bounds, 1), &packets(&sketches));
    }

    #[test]
    fn a_short_log_changes_nothing(sketches in proptest::collection::vec(sketch(), 1..400), events in 3..40_usize) {
        let mut bounds = AllBounds::new(&limits());
        bounds.hosts.events = events;
        bounds.sockets.events = events + 1;
        let mut extractor = Py100::bounded(bounds, 1);
        check(&mut extractor, &packets(&sketches));
        prop_assert!(extractor.counters().iter().all(|&(_, count)| count == 0));
    }

    #[test]
    fn bounds_hold_whatever_comes(
        sketches in proptest::collection::vec(sketch(), 1..300),
        streams in 4..20_usize,
        links in 2..20_usize,
        events in 1..40_usize,
    ) {
        let bound = Bounds { streams, links, events, near: 8, patience: 9 };
        let bounds = AllBounds { identities: streams, channels: links, hosts: bound, sockets: bound };
        let mut extractor = Py100::bounded(bounds, 1);
        let mut rows = Rows::default();
        extractor.extract(&packets(&sketches), &mut rows);
        prop_assert!(rows.as_slice().iter().all(|x| x.is_finite()));
        prop_assert!(extractor.state_bytes() <= extractor.max_state_bytes());
    }
}

#[test]
fn batches_do_not_show() {
    let sketches: Vec<Sketch> = (0..500_u32)
        .map(|i| Sketch {
            from: (i * 7 % 5) as u8,
            to: (i * 11 % 6) as u8,
            ports: (i as u16, i as u16 / 3),
            kind: (i % 13) as u8,
            length: i * 37 % 1500,
            gap: (i % 9) as i8,
        })
        .collect();
    let packets = packets(&sketches);
    let [mut whole, mut parts] = [(); 2].map(|()| Py100::new(&limits()));
    let (mut all, mut part) = (Rows::default(), Rows::default());
    whole.extract(&packets, &mut all);
    let mut row = 0;
    for packets in packets.chunks(7) {
        parts.extract(packets, &mut part);
        for values in part.iter() {
            assert_eq!(values, all.row(row));
            row += 1;
        }
    }
    assert_eq!(row, 500);
}

#[test]
fn a_packet_without_identity_has_a_row() {
    let mut extractor = Py100::new(&limits());
    let mut rows = Rows::default();
    extractor.extract(&[Headers::default(), Headers { wire_len: 65_535, ..Headers::default() }], &mut rows);
    assert_eq!((rows.len(), rows.row(0)[0], rows.row(1)[0]), (2, 1.0, 2.0));
    assert!(rows.as_slice().iter().all(|x| x.is_finite()));
}

/// Replicas by a plan that is not exact get some packets each: theirs are the only ones there are.
#[test]
fn the_part_of_all_streams_has_the_rows_of_its_packets() {
    let sketch = |at: u8| Sketch { from: at % 5, to: at % 3, ports: (1, 2), kind: at, length: 60, gap: 1 };
    let all = packets(&(0..100).map(sketch).collect::<Vec<_>>());
    let make = || Py100::new(&Limits { sockets_per_slot: 1, ..Limits::default() });
    let places: Vec<usize> = (0..100).step_by(3).collect();
    let some: Vec<_> = places.iter().map(|place| all[*place]).collect();
    let (mut part, mut rows, mut expected) = (make(), Rows::default(), Rows::default());
    assert!(part.divide(&[vec![Shard::Sources], vec![Shard::Channels, Shard::Sockets]]).is_err());
    part.divide(&[Shard::ALL.to_vec()]).unwrap();
    rows.reset(places.len(), WIDTH);
    part.extract_part(0, &all, &places, &mut rows).unwrap();
    make().extract(&some, &mut expected);
    let bits = |rows: &Rows| rows.as_slice().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&rows) == bits(&expected) && rows.len() == 34);
    assert!(part.extract_part(1, &all, &places, &mut rows).is_err());
}
