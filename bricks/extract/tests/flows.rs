//! Flows: what their rows hold, when they leave, and that neither batches nor moves show.
#![allow(missing_docs, clippy::unwrap_used)]

use legonf_core::{
    Batch, Brick, Clock, ColumnSpec, Handle, Layout, LinkType, Rows, SLOTS, Timestamp, WestEast,
};
use legonf_extract::flow::{
    BYTES, FlowTable, FlowTableConfig as Config, RECORD, RECORD_FIELDS, Ready, Record, SEQUENCE,
    SEQUENCE_CELLS,
};
use legonf_wire::PacketBatching;
use proptest::prelude::*;

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 17;
const RST: u8 = 4;

/// A packet of a test: milliseconds, host and port of the client, whether it goes back, flags (0: UDP), and payload.
#[derive(Clone, Debug)]
struct Sent {
    at: i64,
    client: (u8, u16),
    back: bool,
    flags: u8,
    payload: Vec<u8>,
}

fn sent(at: i64, back: bool, flags: u8, payload: &[u8]) -> Sent {
    Sent { at, client: (1, 4000), back, flags, payload: payload.to_vec() }
}

fn bytes(packet: &Sent) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, packet.client.0], [10, 0, 1, 9]);
    let (ends, ports) = match packet.back {
        false => ([client, server], [packet.client.1, 80]),
        true => ([server, client], [80, packet.client.1]),
    };
    let length = (8 + packet.payload.len() as u16).to_be_bytes();
    let transport = match packet.flags {
        0 => vec![length[0], length[1], 0, 0],
        flags => vec![0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 9, 0, 0, 0, 0],
    };
    let ports = ports.map(u16::to_be_bytes).concat();
    let body = [&ports[..], &transport, &packet.payload].concat();
    let total = (20 + body.len() as u16).to_be_bytes();
    let protocol = if packet.flags == 0 { 17 } else { 6 };
    let fixed = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    [&fixed[..], &ends.concat(), &body].concat()
}

/// A row of the table of flows.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// Number of the packet that completed it.
    by: u64,
    record: Record,
    bytes: Vec<u8>,
    sequence: Vec<f32>,
}

/// A flow table with what is needed to run it alone.
struct Bench {
    batching: PacketBatching,
    table: FlowTable,
    clock: Clock,
    layout: Layout,
    watermark: Handle<Vec<i64>>,
    bytes: Handle<Rows<u8>>,
    sequence: Handle<Rows<f32>>,
    record: Handle<Rows<u64>>,
    next: u64,
}

impl Bench {
    fn new(config: &Config) -> Self {
        let (mut table, mut batching) = (FlowTable::new(config.clone()).unwrap(), PacketBatching::default());
        let layout = Layout::binding(&mut [&mut batching, &mut table]).unwrap();
        let sequence = SEQUENCE.of_width(SEQUENCE_CELLS * config.packets as usize);
        Self {
            watermark: layout.handle(&ColumnSpec::WATERMARK).unwrap(),
            bytes: layout.handle(&BYTES.of_width(config.bytes as usize)).unwrap(),
            sequence: layout.handle(&sequence).unwrap(),
            record: layout.handle(&RECORD.of_width(RECORD_FIELDS.len())).unwrap(),
            batching,
            table,
            clock: Clock::default(),
            layout,
            next: 0,
        }
    }

    fn batch(&mut self, packets: &[Sent]) -> Batch {
        let mut batch = Batch::new(&self.layout);
        for packet in packets {
            let bytes = bytes(packet);
            let time = Timestamp::from_nanos(packet.at * 1_000_000);
            batch.packets.push(self.next, time, bytes.len() as u32, LinkType::RawIp, &bytes);
            self.next += 1;
        }
        self.clock.mark(&mut batch);
        let mut watermarks = Vec::new();
        self.clock.watermarks(&batch, &mut watermarks);
        *batch.columns.get_mut(self.watermark) = watermarks;
        self.batching.process(&mut batch).unwrap();
        batch
    }

    fn rows(&self, batch: &Batch, by: impl Fn(u32) -> u64) -> Vec<Row> {
        let row = |(at, flow): (usize, &legonf_core::FlowRow)| Row {
            by: by(flow.origin),
            record: Record::of(batch.columns.get(self.record).row(at)),
            bytes: batch.columns.get(self.bytes).row(at).to_vec(),
            sequence: batch.columns.get(self.sequence).row(at).to_vec(),
        };
        batch.flows.iter().enumerate().map(row).collect()
    }

    fn run(&mut self, packets: &[Sent]) -> Vec<Row> {
        let mut batch = self.batch(packets);
        self.table.process(&mut batch).unwrap();
        self.rows(&batch, |origin| batch.headers[origin as usize].seq)
    }

    /// The rows of flows that are still open.
    fn end(&mut self) -> Vec<Row> {
        let mut batch = Batch::new(&self.layout);
        let slots: Vec<_> = (0..SLOTS as u16).collect();
        self.table.end(0, &slots, &mut batch).unwrap();
        self.rows(&batch, |_| u64::MAX)
    }

    fn counter(&self, name: &str) -> u64 {
        self.table.counters().iter().find(|(known, _)| *known == name).unwrap().1
    }
}

fn small() -> Config {
    Config { bytes: 8, packets: 3, idle: 2.0, active: 10.0, ..Config::default() }
}

#[test]
fn a_row_has_the_first_bytes_packets_and_numbers_of_its_flow() {
    let mut bench = Bench::new(&Config { ready: Ready::End, ..small() });
    let packets = [
        sent(0, false, SYN, b""),
        sent(500, true, SYN | ACK, b""),
        sent(600, false, ACK, b"GET /"),
        sent(700, true, ACK, b"200 OK"),
        sent(800, true, FIN, b""),
        sent(900, false, FIN, b""),
        sent(950, true, ACK, b""),
    ];
    let rows = bench.run(&packets);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.by, &row.bytes[..]), (5, &b"GET /200"[..]));
    assert_eq!(row.sequence, [40.0, 1.0, 0.0, 40.0, -1.0, 0.5, 45.0, 1.0, 0.1]);
    let record = &row.record;
    assert_eq!((record.start, record.end, record.reason), (0, 900_000_000, 3));
    assert_eq!((record.source.1, record.destination.1, record.protocol), (4000, 80, 6));
    assert_eq!((record.source.0.to_string(), record.id), ("10.0.0.1".into(), 0));
    assert_eq!((record.packets, record.octets, record.payload), ([3, 3], [125, 126], [5, 6]));
    assert_eq!(record.flags, [SYN | ACK | FIN, SYN | ACK | FIN]);
    // What comes behind the end belongs to no flow, unless it begins one.
    assert_eq!((bench.counter("packets-behind-end-of-flow"), bench.counter("flows")), (1, 1));
    let rows =
        bench.run(&[sent(960, true, ACK, b"x"), sent(970, false, SYN, b""), sent(980, true, RST, b"")]);
    assert_eq!((rows.len(), rows[0].by, rows[0].record.id, rows[0].record.reason), (1, 9, 8, 3));
    assert_eq!((bench.counter("packets-behind-end-of-flow"), bench.counter("flows")), (2, 2));
}

#[test]
fn a_row_leaves_as_soon_as_it_is_ready_and_once() {
    let packets: Vec<_> = (0..6).map(|at| sent(at, at % 2 == 1, ACK, b"abc")).collect();
    for (ready, by) in [(Ready::Either, 2), (Ready::Both, 2), (Ready::Packets, 2), (Ready::Bytes, 2)] {
        let mut bench = Bench::new(&Config { ready, ..small() });
        let rows = bench.run(&packets);
        assert_eq!((rows.len(), rows[0].by, rows[0].record.reason), (1, by, 0), "{ready:?}");
        assert!(bench.end().is_empty());
    }
    let mut bench = Bench::new(&Config { ready: Ready::Bytes, bytes: 16, ..small() });
    assert_eq!(bench.run(&packets)[0].by, 5);
    let mut bench = Bench::new(&Config { ready: Ready::Both, bytes: 16, ..small() });
    let rows = bench.run(&packets);
    assert_eq!((rows[0].by, rows[0].sequence.len(), &rows[0].bytes[..]), (5, 9, &b"abcabcabcabcabca"[..]));
}

#[test]
fn an_idle_flow_is_told_by_the_first_packet_of_any_flow_that_comes_too_late() {
    let other = |at| Sent { client: (2, 5000), ..sent(at, false, 0, b"x") };
    let packets = [sent(0, false, 0, b"hi"), other(1999), other(2001), other(2002)];
    for cuts in [vec![4], vec![1, 3], vec![2, 2], vec![3, 1], vec![1, 1, 1, 1]] {
        let (mut bench, mut rows, mut start) = (Bench::new(&Config { packets: 9, ..small() }), Vec::new(), 0);
        for length in cuts {
            rows.extend(bench.run(&packets[start..start + length]));
            start += length;
        }
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].by, rows[0].record.reason, rows[0].record.id), (2, 1, 0));
    }
}

#[test]
fn a_long_flow_is_told_in_pieces_and_a_full_slot_lets_the_idlest_go() {
    let mut bench = Bench::new(&Config { ready: Ready::End, ..small() });
    let packets: Vec<_> = (0..25).map(|at| sent(at * 1000, false, 0, b"")).collect();
    let rows = bench.run(&packets);
    assert_eq!(
        rows.iter().map(|row| (row.by, row.record.packets[0])).collect::<Vec<_>>(),
        [(10, 10), (20, 10)]
    );
    assert!(rows.iter().all(|row| row.record.reason == 2));
    let rows = bench.end();
    assert_eq!((rows[0].record.packets[0], rows[0].record.reason), (5, 4));

    let config = Config { flows_per_slot: 1, ready: Ready::End, ..small() };
    let mut bench = Bench::new(&config);
    let clients: Vec<_> =
        (0..9000_u16).map(|port| Sent { client: (1, port), ..sent(1, false, 0, b"x") }).collect();
    let evicted = bench.run(&clients);
    assert!(evicted.iter().all(|row| row.record.reason == 5) && evicted.len() > 4000);
    assert_eq!(bench.counter("evicted-flows"), evicted.len() as u64);
    assert_eq!(bench.end().len() + evicted.len(), 9000);
}

fn traffic() -> impl Strategy<Value = Vec<Sent>> {
    let flags = prop::sample::select(vec![0, 0, SYN, ACK, ACK, ACK, FIN, RST]);
    let payload = prop::collection::vec(any::<u8>(), 0..6);
    let gap = prop::sample::select(vec![0_i64, 1, 1, 30, 400, -20, 2500]);
    let packet = (gap, 0..3_u8, 0..3_u16, any::<bool>(), flags, payload);
    prop::collection::vec(packet, 1..120).prop_map(|packets| {
        let mut now = 0;
        let sent = |(gap, host, port, back, flags, payload): (i64, u8, u16, bool, u8, Vec<u8>)| {
            now += gap;
            Sent { at: now, client: (host, 4000 + port), back, flags, payload }
        };
        packets.into_iter().map(sent).collect()
    })
}

fn ready() -> impl Strategy<Value = Ready> {
    prop::sample::select(vec![Ready::Bytes, Ready::Packets, Ready::Either, Ready::Both, Ready::End])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    /// Batches do not show, nor that slots move between two tables, whatever they hold.
    #[test]
    fn neither_batches_nor_moves_show(packets in traffic(), ready in ready(), cut in 1..40_usize, few in any::<bool>()) {
        let config = Config { ready, flows_per_slot: if few { 1 } else { 128 }, ..small() };
        let mut whole = Bench::new(&config);
        let mut expected = whole.run(&packets);
        let (mut cuts, mut found) = (Bench::new(&config), Vec::new());
        let all: Vec<u16> = (0..4096).collect();
        for some in packets.chunks(cut) {
            found.extend(cuts.run(some));
            let copy = cuts.table.copy(0, &all).unwrap();
            let state = cuts.table.export(0, &all).unwrap();
            prop_assert_eq!(&copy, &state);
            let mut other = FlowTable::new(config.clone()).unwrap();
            other.bind(&cuts.layout).unwrap();
            other.import(0, &state).unwrap();
            prop_assert!(state.is_empty() || other.import(0, &state).is_err());
            cuts.table = other;
        }
        prop_assert_eq!(&found, &expected);
        expected.extend(whole.end());
        found.extend(cuts.end());
        found.sort_by_key(|row| row.record.id);
        expected.sort_by_key(|row| row.record.id);
        prop_assert_eq!(&found, &expected);
        // With whole flows every packet is in one, or counted.
        if ready == Ready::End {
            let told: u64 = expected.iter().flat_map(|row| row.record.packets).sum();
            prop_assert_eq!(told + whole.counter("packets-behind-end-of-flow"), packets.len() as u64);
        }
    }

    /// State of others is refused, and never panics.
    #[test]
    fn damaged_state_is_refused(packets in traffic(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bench = Bench::new(&small());
        bench.run(&packets);
        let all: Vec<u16> = (0..4096).collect();
        let mut state = bench.table.export(0, &all).unwrap();
        prop_assume!(!state.is_empty());
        let at = at.index(state.len());
        prop_assume!(state[at] != value);
        state[at] = value;
        prop_assert!(bench.table.import(0, &state).is_err());
        let mut other = FlowTable::new(Config { idle: 3.0, ..small() }).unwrap();
        prop_assert!(other.import(0, &[]).is_ok());
    }
}

#[test]
fn configurations_that_mean_nothing_are_refused() {
    let error = |text: &str| {
        let config: Config = toml::from_str(text).unwrap();
        FlowTable::new(config).unwrap_err().to_string()
    };
    assert_eq!(error("bytes = 0"), "bytes: 0; expected a number from 1 to 65535");
    assert!(error("packets = 256").starts_with("packets: 256;"));
    assert!(error("idle = nan").starts_with("idle: NaN;"));
    assert!(error("active = -1.0").starts_with("active: -1;"));
    assert_eq!(error("shape = [28, 27]"), "shape: [28, 27] has 756 cells, for 784 bytes");
    assert!(toml::from_str::<Config>("ready = 'soon'").is_err());
    let mut table = FlowTable::new(small()).unwrap();
    assert!(table.export(0, &[4096]).unwrap_err().to_string().contains("slot 4096"));
}
