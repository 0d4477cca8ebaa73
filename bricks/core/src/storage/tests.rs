use crate::{
    Batch, ColumnSpec, Columns, Damaged, Disposition, DropReason, Element, Encapsulation, FlowRow,
    HeaderAction, Headers, Inner, Layer, Layout, Link, LinkType, Mac, MacFrom, Malformed, Packets, Port,
    Rows, Shape, Socket, Storage, Tiles, Timestamp, Transport, Value, Verdict,
};
use proptest::prelude::*;

/// A column's rows as values that can be compared bit by bit.
type Cells = Vec<Vec<u64>>;

/// How to fill a column of one element type from numbers, and what it holds then.
struct Case {
    spec: ColumnSpec,
    fill: fn(&mut dyn Storage, &[Vec<u64>]),
    cells: fn(&dyn Storage) -> Cells,
}

/// A value from a number, and a number from the value, different for different values.
trait Made: Value {
    fn made(number: u64) -> Self;
    fn number(&self) -> u64;
}

macro_rules! made {
    ($($value:ty: $from:expr, $to:expr;)*) => {
        $(impl Made for $value {
            fn made(number: u64) -> Self { let from: fn(u64) -> Self = $from; from(number) }
            fn number(&self) -> u64 { let to: fn(Self) -> u64 = $to; to(*self) }
        })*
    };
}

made! {
    f64: f64::from_bits, f64::to_bits;
    f32: |n| f32::from_bits(n as u32), |v| v.to_bits().into();
    u8: |n| n as u8, u64::from;
    u16: |n| n as u16, u64::from;
    u32: |n| n as u32, u64::from;
    u64: |n| n, |v| v;
    i64: |n| n as i64, |v| v as u64;
    bool: |n| n % 2 == 1, u64::from;
    Verdict: |n| [Verdict::BENIGN, Verdict::ANOMALOUS, Verdict::REJECTED][n as usize % 3], |v| v.place(2) as u64;
    Disposition: disposition, |v| (0..23).find(|n| disposition(*n) == v).unwrap();
    HeaderAction: action, |v| if v == HeaderAction::default() { 0 } else { v.hops.into() };
    Headers: headers, |v| { assert!(v == headers(v.seq) || v == Headers::default()); v.seq };
}

/// 23 of them.
fn disposition(number: u64) -> Disposition {
    let (port, other) = (Port(number as u8 % 3), Port(200));
    match number % 23 {
        0..3 => Disposition::Forward(port),
        3..6 => Disposition::Mirror { forward: port, copy: other },
        6..9 => Disposition::Mirror { forward: other, copy: port },
        number => Disposition::Drop(DropReason::ALL[number as usize - 9]),
    }
}

/// An action that depends on a number above 0 in most fields.
fn action(number: u64) -> HeaderAction {
    let hops = number as u8;
    let socket = |ip: std::net::IpAddr| Some(Socket { ip, port: number as u16 });
    let (src, dst) = (
        socket(std::net::Ipv4Addr::from_bits(number as u32).into()),
        socket(std::net::Ipv6Addr::from_bits(u128::from(number) << 60).into()),
    );
    match hops % 3 {
        _ if hops == 0 => HeaderAction::default(),
        0 => HeaderAction { hops, ..HeaderAction::drop(DropReason::NoPort) },
        1 => HeaderAction { hops, src, ..HeaderAction::SWAP_MACS },
        _ => HeaderAction { hops, dst, mac_src: MacFrom::Other(Mac([hops; 6])), ..HeaderAction::default() },
    }
}

/// Headers in which every field depends on a number.
fn headers(seq: u64) -> Headers {
    let ip = |n: u64| (!n.is_multiple_of(3)).then(|| std::net::Ipv4Addr::from_bits(n as u32).into());
    let six = std::net::Ipv6Addr::from_bits(u128::from(seq) << 40);
    let transport = [Transport::Tcp, Transport::Other(seq as u8), Transport::None][seq as usize % 3];
    let outer =
        Layer { src: ip(seq), dst: ip(seq / 5), transport, ports: Some((seq as u16, 7)), ..Layer::default() };
    let layer = Layer { src: Some(six.into()), ..Layer::default() };
    Headers {
        seq,
        timestamp: Timestamp::from_nanos(seq as i64),
        shift: seq as i64 - 9,
        wire_len: seq as u32,
        link: seq
            .is_multiple_of(2)
            .then(|| Link { src: Mac(seq.to_be_bytes()[..6].try_into().unwrap()), ..Link::default() }),
        outer,
        inner: seq.is_multiple_of(5).then_some(Inner { by: Encapsulation::Vxlan(seq as u32), layer }),
        malformed: Malformed::ALL.get(seq as usize % 20).copied(),
    }
}

fn scalar<T: Made>() -> Case {
    Case {
        spec: ColumnSpec { shape: Shape::Scalar, ..ColumnSpec::scalar("c", T::ELEMENT) },
        fill: |to, rows| *super::same_mut::<Vec<T>>(to) = rows.iter().map(|row| T::made(row[0])).collect(),
        cells: |column| super::same::<Vec<T>>(column).iter().map(|value| vec![value.number()]).collect(),
    }
}

fn rows<T: Made>() -> Case {
    Case {
        spec: ColumnSpec::rows("c", T::ELEMENT),
        fill: |to, rows| {
            let rows: Vec<Vec<T>> =
                rows.iter().map(|row| row.iter().map(|n| T::made(*n)).collect()).collect();
            *super::same_mut(to) = Rows::of(rows.iter().map(Vec::as_slice));
        },
        cells: |column| {
            let numbers = |row: &[T]| row.iter().map(Made::number).collect();
            super::same::<Rows<T>>(column).iter().map(numbers).collect()
        },
    }
}

fn tiles() -> Case {
    Case {
        spec: ColumnSpec::rows("c", Element::F64Tiles),
        fill: |to, cells| {
            let mut double = Rows::<f64>::default();
            (rows::<f64>().fill)(&mut double, cells);
            *super::same_mut(to) = Tiles::from(&double);
        },
        cells: |column| {
            let tiles = super::same::<Tiles>(column);
            (0..tiles.len()).map(|row| tiles.row(row).map(f64::to_bits).collect()).collect()
        },
    }
}

fn fill_packets(to: &mut dyn Storage, rows: &[Vec<u64>]) {
    let packets: &mut Packets = super::same_mut(to);
    packets.clear();
    for row in rows {
        let bytes = row.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
        let link = [LinkType::Ethernet, LinkType::Unread(row[0] as u16)][row[0] as usize % 2];
        packets.push(row[0], Timestamp::from_nanos(row[0] as i64), row[0] as u32, link, &bytes);
        packets.shift_last(-(row[0] as i32 as i64));
    }
}

/// [`packets`] every second of which was moved in the arena.
fn rewritten() -> Case {
    Case {
        fill: |to, rows| {
            fill_packets(to, rows);
            let packets: &mut Packets = super::same_mut(to);
            for index in (0..rows.len()).step_by(2) {
                packets.push_front(index, 5).fill(9);
                packets.pull_front(index, 5);
            }
        },
        ..packets()
    }
}

fn packets() -> Case {
    Case {
        spec: ColumnSpec::PACKETS,
        fill: fill_packets,
        cells: |column| {
            let record = |(record, bytes): (&crate::PacketRecord, &[u8])| {
                assert_eq!(
                    (record.timestamp.as_nanos(), record.wire_len),
                    (record.seq as i64, record.seq as u32)
                );
                assert_eq!(record.shift, -(record.seq as i32 as i64));
                assert_eq!(record.link == LinkType::Ethernet, record.seq % 2 == 0);
                bytes.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap())).collect()
            };
            super::same::<Packets>(column).iter().map(record).collect()
        },
    }
}

/// Every storage that there is.
fn all() -> Vec<Case> {
    macro_rules! both {
        ($($value:ty),*) => { vec![$(scalar::<$value>(), rows::<$value>()),*] };
    }
    let mut all = both!(f64, f32, u8, u16, u32, u64, i64, bool, Verdict, Disposition, HeaderAction, Headers);
    all.extend([tiles(), packets(), rewritten()]);
    all
}

/// A batch with one column, which holds some rows.
fn batch(case: &Case, rows: &[Vec<u64>]) -> (Batch, usize) {
    let layout = Layout::of([&case.spec]).unwrap();
    let index = layout.columns([&case.spec]).iter().next().unwrap();
    let mut batch = Batch::new(&layout);
    (case.fill)(batch.column_mut(index), rows);
    (batch, index)
}

fn table() -> impl Strategy<Value = Vec<Vec<u64>>> {
    (1..6_usize).prop_flat_map(|width| {
        prop::collection::vec(prop::collection::vec(any::<u64>(), width..=width), 0..20)
    })
}

fn check(case: &Case, table: &[Vec<u64>], picked: &[usize]) -> Result<(), TestCaseError> {
    let (full, index) = batch(case, table);
    let (cells, columns) = (|batch: &Batch| (case.cells)(batch.column(index)), Columns::one(index));
    let whole = cells(&full);
    prop_assert_eq!((whole.len(), full.filled(index)), (table.len(), table.len()));
    let places: Vec<usize> = picked.iter().copied().filter(|place| *place < table.len()).collect();

    let mut part = Batch::default();
    full.gather(picked, columns, &mut part);
    prop_assert_eq!(cells(&part), places.iter().map(|place| whole[*place].clone()).collect::<Vec<_>>());

    let mut back = full.clone();
    back.column_mut(index).scatter(part.column(index), &places, table.len());
    prop_assert_eq!(cells(&back), whole.clone());

    let mut bytes = vec![7];
    full.encode(columns, &mut bytes);
    let mut decoded = back.clone();
    decoded.clear();
    prop_assert_eq!((decoded.filled(index), decoded.size(columns)), (0, 0));
    let mut left = &bytes[1..];
    prop_assert_eq!(decoded.decode(columns, &mut left), Ok(()));
    prop_assert_eq!((cells(&decoded), left.len()), (whole.clone(), 0));
    prop_assert_eq!(decoded.size(columns), full.size(columns));
    for cut in 1..bytes.len() {
        let damaged = decoded.decode(columns, &mut &bytes[1..cut]);
        prop_assert_eq!((damaged, decoded.filled(index)), (Err(Damaged), 0));
    }

    let (mut one, mut other) = (full.clone(), Batch::default());
    one.exchange(&mut other, columns);
    prop_assert_eq!((one.filled(index), cells(&other)), (0, whole));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_column_is_cleared_gathered_scattered_exchanged_encoded_and_decoded(
        table in table(),
        picked in prop::sample::subsequence((0..24).collect::<Vec<usize>>(), 0..24),
    ) {
        all().iter().try_for_each(|case| check(case, &table, &picked))?;
    }

    #[test]
    fn any_bytes_are_a_column_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for case in all() {
            let (mut batch, index) = batch(&case, &[]);
            if batch.decode(Columns::one(index), &mut &bytes[..]).is_err() {
                prop_assert_eq!(batch.filled(index), 0);
            }
        }
    }
}

/// Rewrites one packet.
fn rewrite(packets: &mut Packets, index: usize, by: u8) {
    packets.bytes_mut(index).iter_mut().for_each(|byte| *byte ^= by);
    packets.pull_front(index, packets.bytes(index).len().min(usize::from(by % 8)));
    packets.push_front(index, usize::from(by / 2)).fill(by);
    let len = packets.bytes(index).len() + usize::from(by / 4);
    packets.resize(index, len.saturating_sub(usize::from(by % 4)));
}

proptest! {
    #[test]
    fn packets_that_are_rewritten_in_parts_are_those_rewritten_in_place(
        table in table(),
        by in prop::collection::vec(prop::option::of(0..99_u8), 20..=20),
        rounds in 1..4_usize,
    ) {
        let (mut whole, _) = batch(&packets(), &table);
        let (mut divided, mut results) = (whole.clone(), Batch::default());
        for _ in 0..rounds {
            let places: Vec<usize> = (0..table.len()).filter(|place| by[*place].is_some()).collect();
            let mut part = Batch::default();
            divided.gather(&places, Columns::PACKETS, &mut part);
            for (index, place) in places.iter().enumerate() {
                rewrite(&mut part.packets, index, by[*place].unwrap());
                rewrite(&mut whole.packets, *place, by[*place].unwrap());
            }
            divided.scatter(&part, &places, Columns::PACKETS, table.len());
            results.clear();
            results.scatter(&part, &(0..places.len()).collect::<Vec<_>>(), Columns::PACKETS, places.len());
        }
        let records = |batch: &Batch| {
            let whole = batch.packets.iter().map(|(r, bytes)| (r.seq, r.shift, r.wire_len, r.link, bytes.to_vec()));
            whole.collect::<Vec<_>>()
        };
        prop_assert_eq!(records(&divided), records(&whole));
        let kept = records(&whole).into_iter().zip(&by).filter(|(_, by)| by.is_some());
        prop_assert_eq!(records(&results), kept.map(|(record, _)| record).collect::<Vec<_>>());
    }
}

#[test]
fn a_batch_without_packets_gets_none_from_its_parts() {
    let mut table = Batch { headers: vec![Headers::default(); 3], ..Batch::default() };
    let mut part = Batch::default();
    table.gather(&[0, 2], Columns::PACKETS.union(Columns::HEADERS), &mut part);
    assert_eq!((part.packets.len(), part.headers.len()), (0, 2));
    table.scatter(&part, &[0, 2], Columns::PACKETS, 3);
    assert_eq!(table.packets.len(), 0);
    // One that has packets in one place alone gets some without bytes.
    part.packets.push(7, Timestamp::default(), 1, LinkType::Ethernet, &[5]);
    table.scatter(&part, &[2], Columns::PACKETS, 3);
    let bytes: Vec<_> = table.packets.iter().map(|(record, bytes)| (record.seq, bytes)).collect();
    assert_eq!(bytes, [(0, &[][..]), (0, &[]), (7, &[5])]);
}

#[test]
fn cells_of_a_part_come_to_their_places() {
    let table: Vec<Vec<u64>> = (0..11).map(|row| (0..5).map(|cell| row * 8 + cell).collect()).collect();
    for case in all().iter().filter(|case| case.spec != ColumnSpec::PACKETS) {
        let ((full, index), width) = (batch(case, &table), if case.spec.shape.is_scalar() { 1 } else { 5 });
        let mut joined = full.column(index).empty();
        joined.fill(11, width);
        let zeros = (case.cells)(&*joined);
        let ranges = [0..width.min(2), 4..5];
        let cells = &ranges[..width.min(2)];
        // Straight, and by way of single cells.
        joined.copy_cells(9, cells, full.column(index), 9);
        let mut single = full.column(index).empty();
        single.reshape(40, 1);
        full.column(index).take_cells(3, cells, &mut *single, 30);
        joined.put_cells(3, cells, &*single, 30);
        // A whole row.
        let mut narrow = full.column(index).empty();
        narrow.reshape(2, width);
        narrow.copy_cells(1, std::slice::from_ref(&(0..width)), full.column(index), 5);
        joined.put_row(7, 0, &*narrow, 1);
        joined.reshape(11, width);
        let (joined, full) = ((case.cells)(&*joined), (case.cells)(full.column(index)));
        for (row, place) in (0..11).flat_map(|row| (0..width).map(move |place| (row, place))) {
            let expected = match row {
                7 => full[5][place],
                3 | 9 if cells.iter().any(|cells| cells.contains(&place)) => full[row][place],
                _ => zeros[row][place],
            };
            assert_eq!(joined[row][place], expected, "{:?} {row} {place}", case.spec.element);
        }
    }
}

#[test]
fn the_last_row_takes_the_place_of_one_that_goes() {
    let table: Vec<Vec<u64>> = (0..11).map(|row| (0..5).map(|cell| row * 8 + cell).collect()).collect();
    for case in all().iter().filter(|case| case.spec != ColumnSpec::PACKETS) {
        let (mut batch, index) = batch(case, &table);
        let mut expected = (case.cells)(batch.column(index));
        for row in [3, 9, 8, 0] {
            batch.column_mut(index).swap_remove(row);
            expected.swap_remove(row);
            assert_eq!((case.cells)(batch.column(index)), expected, "{:?} {row}", case.spec.element);
        }
    }
}

#[test]
fn flows_are_encoded_with_their_packets() {
    let sizes = ColumnSpec::scalar("sizes", Element::U64).in_flows();
    let layout = Layout::of([&sizes]).unwrap();
    let (all, sizes) = (layout.columns(layout.specs()), layout.handle::<Vec<u64>>(&sizes).unwrap());
    let mut batch = Batch { headers: vec![Headers::default(); 3], timeless: true, ..Batch::new(&layout) };
    let rows = [(0, 5), (2, 6)].map(|(origin, first)| FlowRow { origin, first });
    (batch.flows, *batch.columns.get_mut(sizes)) = (rows.to_vec(), vec![7, 8]);
    let (mut bytes, mut again) = (Vec::new(), Batch::new(&layout));
    batch.encode(all, &mut bytes);
    assert_eq!(again.decode(all, &mut &bytes[..]), Ok(()));
    assert_eq!(
        (&again.flows[..], &again.columns.get(sizes)[..], again.timeless),
        (&rows[..], &[7, 8][..], true)
    );
    batch.headers.pop();
    bytes.clear();
    batch.encode(all, &mut bytes);
    assert_eq!((again.decode(all, &mut &bytes[..]), again.flows.len()), (Err(Damaged), 0));
}
