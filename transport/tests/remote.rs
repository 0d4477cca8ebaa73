//! A hosted brick answers as it would here, and its loss is seen.
#![allow(missing_docs, clippy::unwrap_used)]

use legonf_core::{
    Batch, BindError, Brick, BrickError, Clock, ColumnSpec, Descriptor, Element, FlowRow, Handle, Headers,
    HostLoad, Layout, LinkType, Rows, State, Storage, Timestamp, WestEast,
};
use legonf_extract::flow::{FlowTable, FlowTableConfig};
use legonf_extract::{Config, FEATURES, FeatureQuantization};
use legonf_transport::{
    AgentLoad, Channel, ChannelError, ConnectError, Hosted, OtherSide, PROTOCOL, Peer, Remote, SharedMemory,
    serve,
};
use legonf_wire::PacketBatching;
use proptest::prelude::*;
use std::thread;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(20);

type Make = fn() -> (Box<dyn Brick>, Layout);

/// An extractor with packet batching before it, whose columns are the layout's.
fn extractor() -> (Box<dyn Brick>, Layout) {
    let mut brick = FeatureQuantization::new(&Config::default()).unwrap();
    let layout = Layout::binding(&mut [&mut PacketBatching::default(), &mut brick]).unwrap();
    (Box::new(brick), layout)
}

fn flow_table() -> (Box<dyn Brick>, Layout) {
    let config = FlowTableConfig { packets: 3, bytes: 20, ..FlowTableConfig::default() };
    let mut brick = FlowTable::new(config).unwrap();
    let layout = Layout::binding(&mut [&mut PacketBatching::default(), &mut brick]).unwrap();
    (Box::new(brick), layout)
}

fn host(other: OtherSide, make: Make) {
    thread::spawn(move || {
        let mut channel = SharedMemory::open(other).unwrap();
        serve(
            &mut channel,
            &|order| {
                if order == b"none" {
                    return Err("there is none".into());
                }
                let (brick, layout) = make();
                Ok(Hosted { brick, layout })
            },
            &|| AgentLoad { host: HostLoad { cores: 3.0, ..HostLoad::default() }, bricks: 2 },
        )
    });
}

/// A brick that a thread hosts, as another process would, bound to its columns.
fn remote(make: Make) -> Remote {
    let (channel, other) = SharedMemory::pair().unwrap();
    host(other, make);
    let (mut like, layout) = make();
    let mut remote = Remote::connect(&mut *like, Box::new(channel), "a thread", LEASE, b"").unwrap();
    remote.bind(&layout).unwrap();
    remote
}

/// A packet: milliseconds since the one before, host, port, direction, TCP flags, and bytes of payload.
type Sent = (u16, u8, u8, bool, u8, u8);

fn sent() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![Just(2), Just(16), Just(24), Just(17), Just(4)];
    (0..40_000_u16, 0..6_u8, 0..3_u8, any::<bool>(), flags, 0..60_u8)
}

fn bytes(&(_, host, port, back, flags, payload): &Sent) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, host], [10, 0, 1, 9]);
    let ports = [[16, port], [0, 80]];
    let (ends, ports) =
        if back { ([server, client], [ports[1], ports[0]]) } else { ([client, server], ports) };
    let tcp = [
        &ports.concat()[..],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 9, 0, 0, 0, 0],
        &vec![flags ^ payload; payload.into()],
    ]
    .concat();
    let total = (20 + tcp.len() as u16).to_be_bytes();
    [&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 6, 0, 0][..], &ends.concat(), &tcp].concat()
}

/// Batches of packets with headers, and stream time where the layout has it.
fn batches(layout: &Layout, packets: &[Sent]) -> Vec<Batch> {
    let (mut clock, mut time, mut seq) = (Clock::default(), 0_i64, 0);
    let mut batching = PacketBatching::default();
    let batch = |packets: &[Sent]| {
        let mut batch = Batch::new(layout);
        for packet in packets {
            let bytes = bytes(packet);
            time += i64::from(packet.0) * 1_000_000;
            batch.packets.push(seq, Timestamp::from_nanos(time), bytes.len() as u32, LinkType::RawIp, &bytes);
            seq += 1;
        }
        clock.mark(&mut batch);
        if let Ok(watermark) = layout.handle::<Vec<i64>>(&ColumnSpec::WATERMARK) {
            let mut watermarks = Vec::new();
            clock.watermarks(&batch, &mut watermarks);
            *batch.columns.get_mut(watermark) = watermarks;
        }
        batching.process(&mut batch).unwrap();
        batch
    };
    packets.chunks(50).map(batch).collect()
}

fn features(batch: &Batch, layout: &Layout) -> Vec<u64> {
    let handle: Handle<Rows> = layout.handle(&FEATURES).unwrap();
    batch.columns.get(handle).as_slice().iter().map(|cell| cell.to_bits()).collect()
}

/// All that a batch holds of flows.
fn flows(batch: &Batch, brick: &dyn Brick, layout: &Layout) -> (Vec<FlowRow>, Vec<u8>) {
    let mut encoded = Vec::new();
    batch.encode(layout.columns(&*brick.descriptor().writes), &mut encoded);
    (batch.flows.clone(), encoded)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn features_and_state_are_those_of_a_brick_here(packets in prop::collection::vec(sent(), 1..300), odd in any::<bool>()) {
        let ((mut here, layout), mut there) = (extractor(), remote(extractor));
        let groups: Vec<String> = here.west_east().unwrap().division().groups.iter().map(|group| group.name.clone()).collect();
        prop_assert_eq!(there.west_east().unwrap().division(), here.west_east().unwrap().division());
        let parts = [groups];
        here.west_east().unwrap().divide(&parts).unwrap();
        there.divide(&parts).unwrap();
        let width = FEATURES.of_width(115);
        for (number, mut batch) in batches(&layout, &packets).into_iter().enumerate() {
            if number % 2 == usize::from(odd) {
                let mut other = batch.clone();
                here.process(&mut batch).unwrap();
                there.process(&mut other).unwrap();
                prop_assert_eq!(features(&batch, &layout), features(&other, &layout));
                continue;
            }
            let places: Vec<usize> = (0..batch.len()).filter(|place| number == 0 || place % 3 != 1).collect();
            let cells = layout.get(&width.name).unwrap().shape.width().unwrap();
            let (mut rows, mut others) = (Rows::<f64>::default(), Rows::<f64>::default());
            Storage::reshape(&mut rows, places.len(), cells);
            Storage::reshape(&mut others, places.len(), cells);
            here.west_east().unwrap().process_part(0, &batch, &places, &mut rows).unwrap();
            there.process_part(0, &batch, &places, &mut others).unwrap();
            prop_assert_eq!(rows, others);
        }
        prop_assert_eq!(there.counters(), here.counters());
        prop_assert_eq!(there.state_size(), here.state_size());
        let slots: Vec<u16> = (0..4096).collect();
        let copies = there.copy_each(0, &slots).unwrap();
        prop_assert_eq!(&copies, &here.west_east().unwrap().copy_each(0, &slots).unwrap());
        let whole = there.copy(0, &slots).unwrap();
        prop_assert_eq!(&there.export(0, &slots).unwrap(), &whole);
        let left: Vec<&[u8]> = copies.iter().map(Vec::as_slice).filter(|state| !state.is_empty()).collect();
        there.import_each(0, &left).unwrap();
        prop_assert_eq!(there.export(0, &slots).unwrap(), whole.clone());
        there.import(0, &whole).unwrap();
        prop_assert_eq!(there.copy(0, &slots).unwrap(), whole);
    }

    #[test]
    fn flows_are_those_of_a_brick_here(packets in prop::collection::vec(sent(), 1..300)) {
        let ((mut here, layout), mut there) = (flow_table(), remote(flow_table));
        let group = here.west_east().unwrap().division().groups[0].name.clone();
        here.west_east().unwrap().divide(&[vec![group.clone()]]).unwrap();
        there.divide(&[vec![group]]).unwrap();
        let watermark: Handle<Vec<i64>> = layout.handle(&ColumnSpec::WATERMARK).unwrap();
        for (number, mut batch) in batches(&layout, &packets).into_iter().enumerate() {
            let mut other = batch.clone();
            if number % 2 == 0 {
                here.process(&mut batch).unwrap();
                there.process(&mut other).unwrap();
                prop_assert_eq!(flows(&batch, &*here, &layout), flows(&other, &*here, &layout));
                continue;
            }
            let places: Vec<usize> = (0..batch.len()).filter(|place| place % 4 != 2).collect();
            let (mut found, mut others) = (Batch::new(&layout), Batch::new(&layout));
            here.west_east().unwrap().process_flows(0, &batch, &places, &mut found).unwrap();
            there.process_flows(0, &batch, &places, &mut others).unwrap();
            let watermarks = batch.columns.get(watermark).clone();
            here.west_east().unwrap().expire(0, &watermarks, &mut found).unwrap();
            there.expire(0, &watermarks, &mut others).unwrap();
            prop_assert_eq!(flows(&found, &*here, &layout), flows(&others, &*here, &layout));
        }
        let slots: Vec<u16> = (0..4096).collect();
        let (mut open, mut others) = (Batch::new(&layout), Batch::new(&layout));
        here.west_east().unwrap().end(0, &slots, &mut open).unwrap();
        there.end(0, &slots, &mut others).unwrap();
        prop_assert_eq!(flows(&open, &*here, &layout), flows(&others, &*here, &layout));
        prop_assert_eq!(there.counters(), here.counters());
    }

    #[test]
    fn any_bytes_are_answered_or_refused(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6)) {
        let (mut channel, other) = SharedMemory::pair().unwrap();
        host(other, extractor);
        for (number, frame) in frames.iter().enumerate() {
            let numbered = [&(number as u64 + 1).to_le_bytes()[..], frame].concat();
            if channel.send(&numbered).is_err() || channel.receive().is_err() {
                break;
            }
        }
    }
}

/// Numbers packets, and does something odd at the packets of some sequence numbers.
struct Odd;

const NUMBERS: ColumnSpec = ColumnSpec::scalar("numbers", Element::U64);

impl Brick for Odd {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (vec![ColumnSpec::HEADERS].into(), vec![NUMBERS].into());
        Descriptor { kind: "odd", title: "odd", reads, writes, state: State::Stateless }
    }

    fn bind(&mut self, _: &Layout) -> Result<(), BindError> {
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        match batch.headers[0].seq {
            7 => panic!("seven"),
            8 => thread::sleep(LEASE),
            9 => return Err(BrickError { brick: "odd", reason: "nine".into() }),
            _ => {}
        }
        let packets = batch.headers.len();
        batch.column_mut(2).fill(packets, 1);
        Ok(())
    }
}

fn odd() -> (Box<dyn Brick>, Layout) {
    (Box::new(Odd), Layout::of([&NUMBERS]).unwrap())
}

/// What comes of the packet of a number, and whether the brick is lost then, and what comes of another packet.
fn outcome(seq: u64) -> (String, bool, bool) {
    let (channel, other) = SharedMemory::pair().unwrap();
    host(other, odd);
    let (mut like, layout) = odd();
    // Only who never answers is to be late, however busy the machine is.
    let lease = if seq == 8 { Duration::from_millis(100) } else { LEASE };
    let mut remote = Remote::connect(&mut *like, Box::new(channel), "a thread", lease, b"").unwrap();
    remote.bind(&layout).unwrap();
    let loss = remote.loss();
    let mut run = |seq| {
        let mut batch = Batch { headers: vec![Headers { seq, ..Headers::default() }], ..Batch::new(&layout) };
        let result = remote.process(&mut batch);
        assert_eq!(batch.filled(2), usize::from(result.is_ok()), "nothing is half done");
        result
    };
    let first = run(seq).err().map(|error| error.to_string()).unwrap_or_default();
    let again = run(1).is_ok();
    assert_eq!(loss.is_lost(), remote.is_lost());
    (first, remote.is_lost(), again)
}

#[test]
fn a_loss_is_told_from_a_fault() {
    assert_eq!(outcome(3), (String::new(), false, true));
    assert_eq!(outcome(9), ("odd: nine".into(), false, true));
    let panicked = "odd: its instance in a thread is lost: it panicked (seven)";
    assert_eq!(outcome(7), (panicked.into(), true, false));
    let late = "odd: its instance in a thread is lost: the other side has not answered for 100 ms";
    assert_eq!(outcome(8), (late.into(), true, false));
}

#[test]
fn a_host_says_what_it_has_and_the_link_is_measured() {
    let (channel, other) = SharedMemory::pair().unwrap();
    host(other, odd);
    let mut peer = Peer::meet(Box::new(channel), "host `b`", LEASE).unwrap();
    let load = peer.load().unwrap();
    assert_eq!((load.host.cores, load.bricks), (3.0, 2));
    let link = peer.link().unwrap();
    assert!(link.bytes_per_second > 0.0 && link.round_trip > Duration::ZERO && !peer.program().is_empty());
}

#[test]
fn who_cannot_host_says_why() {
    let refusal = |order: &[u8]| {
        let (channel, other) = SharedMemory::pair().unwrap();
        host(other, odd);
        Remote::connect(&mut *odd().0, Box::new(channel), "host `b`", LEASE, order).err().unwrap().to_string()
    };
    assert_eq!(refusal(b"none"), "host `b`: there is none");
    // A host that has other columns.
    let (channel, other) = SharedMemory::pair().unwrap();
    host(other, || (Box::new(Odd), Layout::of([&ColumnSpec::scalar("numbers", Element::U32)]).unwrap()));
    let mut remote = Remote::connect(&mut *odd().0, Box::new(channel), "host `b`", LEASE, b"").unwrap();
    let error = remote.bind(&odd().1).unwrap_err().to_string();
    assert!(error.contains("numbers (u32") && error.contains("numbers (u64"), "{error}");
}

/// Answers what another version of legonf would.
struct Other(Vec<u8>);

impl Channel for Other {
    fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        // The first answer, a version of the protocol, and `9.9`.
        self.0 = [&frame[..8], &[0; 8], &[0, PROTOCOL as u8 + 1, 3], b"9.9"].concat();
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], ChannelError> {
        Ok(&self.0)
    }

    fn set_patience(&mut self, _: Option<Duration>) -> Result<(), ChannelError> {
        Ok(())
    }
}

#[test]
fn another_version_is_refused_by_name() {
    let error =
        Remote::connect(&mut *odd().0, Box::new(Other(Vec::new())), "host `b`", LEASE, b"").err().unwrap();
    assert!(matches!(error, ConnectError::Version { .. }));
    let named = format!("host `b` runs legonf 9.9 (protocol {}), and this is ", PROTOCOL + 1);
    assert!(error.to_string().starts_with(&named), "{error}");
}
