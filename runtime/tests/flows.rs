//! Flows in every layout: rows of a table that replicas share, with time that passes for all of them.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Script;
use common::mines::{MinedState, StateMines};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Fault, Handle, Headers, Layout,
    LinkType, Plan, Progress, Rows, Sink, SlotMove, Source, State, Table, Timestamp, Verdict,
};
use legonf_extract::flow::{
    BYTES, FlowClass, FlowClassConfig, FlowTable, FlowTableConfig, PENDING, RECORD, RECORD_FIELDS, SEQUENCE,
};
use legonf_runtime::{Graph, GraphSpec, Options, Outcome, Supply, SupplyError, end_flows, run_under};
use legonf_wire::PacketBatching;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const FLOW_CLASS: ColumnSpec = ColumnSpec::scalar("flow-class", Element::Verdict).in_flows();
const CLASSES: [&str; 3] = ["a", "b", "c"];

fn flow_class() -> ColumnSpec {
    FLOW_CLASS.with_labels(CLASSES.map(str::to_owned))
}

fn class() -> ColumnSpec {
    let labels = CLASSES.into_iter().chain([PENDING]).map(str::to_owned);
    ColumnSpec::scalar("class", Element::Verdict).with_labels(labels)
}

/// Packets of some hundred connections: many are short, some are idle for long, and time stands still or goes back at times.
struct Traffic {
    next: u64,
    end: u64,
    until: Option<Arc<AtomicBool>>,
}

fn mix(seq: u64) -> u64 {
    let mixed = (seq ^ seq >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// The packet of a number, as raw IPv4, with its time.
fn packet(seq: u64) -> (Timestamp, Vec<u8>) {
    let some = mix(seq);
    let (host, port) = ((some % 13) as u8, 1000 + (some >> 8) as u16 % 40 + (seq / 3000) as u16);
    let protocol = if some >> 20 & 3 == 0 { 17 } else { 6 };
    let back = some >> 24 & 1 == 1;
    let payload = vec![some as u8; if some >> 28 & 3 == 0 { (some >> 32) as usize % 90 } else { 0 }];
    let ports = if back { [80, port] } else { [port, 80] };
    let flags = match some >> 40 & 31 {
        0 => 0x01,
        1 => 0x04,
        2 => 0x02,
        _ => 0x10,
    };
    let transport = match protocol {
        6 => [&[0; 8][..], &[0x50, flags, 0, 9, 0, 0, 0, 0]].concat(),
        _ => [&(8 + payload.len() as u16).to_be_bytes()[..], &[0, 0]].concat(),
    };
    let body = [&ports[0].to_be_bytes()[..], &ports[1].to_be_bytes(), &transport, &payload].concat();
    let total = (20 + body.len() as u16).to_be_bytes();
    let ends = if back { [[10, 0, 1, 9], [10, 0, 0, host]] } else { [[10, 0, 0, host], [10, 0, 1, 9]] };
    let ip = [&[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0][..], &ends[0], &ends[1], &body];
    // A packet each millisecond; some are overtaken, and every five-thousandth comes after five seconds.
    let time =
        seq as i64 * 1_000_000 + (seq / 5000) as i64 * 5_000_000_000 - (some >> 50) as i64 % 3 * 40_000_000;
    (Timestamp::from_nanos(time), ip.concat())
}

impl Source for Traffic {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let over = self.until.as_ref().is_some_and(|until| until.load(Ordering::Relaxed));
        self.end = if over { self.next } else { self.end };
        let len = 1 + mix(self.next) as usize % 100;
        while self.next < self.end && batch.packets.len() < len {
            let (time, bytes) = packet(self.next);
            batch.packets.push(self.next, time, bytes.len() as u32, LinkType::RawIp, &bytes);
            self.next += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.next, total_bytes: None }
    }
}

/// Stateless: a class for each flow.
#[derive(Default)]
struct Classify {
    bytes: Handle<Rows<u8>>,
    classes: Handle<Vec<Verdict>>,
}

impl Brick for Classify {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (vec![BYTES.of_width(64)].into(), vec![flow_class()].into());
        Descriptor { kind: "classify", title: "classify", reads, writes, state: State::Stateless }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.bytes = layout.handle(&BYTES.of_width(64))?;
        self.classes = layout.handle(&flow_class())?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (bytes, classes) = batch.columns.get_two(self.bytes, self.classes);
        classes.clear();
        let sum = |row: &[u8]| row.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        classes.extend(bytes.iter().map(|row| Verdict::of(sum(row) % 3)));
        Ok(())
    }
}

/// Of each flow the packet that completed it, its number and a hash of its row; and the class of each packet.
#[derive(Default)]
struct Told {
    flows: Vec<(u64, u64, u64)>,
    classes: Vec<Verdict>,
    reasons: [u64; 6],
    packets: Vec<Verdict>,
    bytes: Handle<Rows<u8>>,
    sequence: Handle<Rows<f32>>,
    record: Handle<Rows<u64>>,
    of_flow: Handle<Vec<Verdict>>,
    class: Handle<Vec<Verdict>>,
}

fn specs() -> [ColumnSpec; 5] {
    let record = RECORD.of_width(RECORD_FIELDS.len());
    [BYTES.of_width(64), SEQUENCE.of_width(12), record, flow_class(), class()]
}

impl Sink for Told {
    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some([ColumnSpec::HEADERS].into_iter().chain(specs()).collect())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let [bytes, sequence, record, of_flow, class] = specs();
        self.bytes = layout.handle(&bytes)?;
        self.sequence = layout.handle(&sequence)?;
        self.record = layout.handle(&record)?;
        self.of_flow = layout.handle(&of_flow)?;
        self.class = layout.handle(&class)?;
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let record = batch.columns.get(self.record);
        assert_eq!(batch.rows(Table::Flows), record.len());
        assert!(batch.flows.is_sorted());
        for (row, flow) in batch.flows.iter().enumerate() {
            let mut hasher = DefaultHasher::new();
            batch.columns.get(self.bytes).row(row).hash(&mut hasher);
            let cells = batch.columns.get(self.sequence).row(row).iter();
            cells.for_each(|cell| cell.to_bits().hash(&mut hasher));
            record.row(row).hash(&mut hasher);
            self.reasons[record.row(row)[19] as usize] += 1;
            // What was open at the end no packet has completed.
            let by = batch.headers.get(flow.origin as usize).map_or(u64::MAX, |headers| headers.seq);
            self.flows.push((by, flow.first, hasher.finish()));
            self.classes.push(batch.columns.get(self.of_flow)[row]);
        }
        let classes: &Vec<Verdict> = batch.columns.get(self.class);
        self.packets.extend_from_slice(classes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn make(id: &str) -> Result<Box<dyn Brick>, SupplyError> {
    let table = FlowTableConfig {
        bytes: 64,
        packets: 4,
        idle: 4.0,
        active: 1.5,
        flows_per_slot: 2,
        ..Default::default()
    };
    let class = r#"{"classes": ["a", "b", "c"], "idle": 4.0, "flows_per_slot": 2}"#;
    let class: FlowClassConfig = serde_json::from_str(class).unwrap();
    Ok(match id {
        "batching" => Box::new(PacketBatching::default()),
        "table" => Box::new(FlowTable::new(table).unwrap()),
        "classify" => Box::<Classify>::default(),
        _ => Box::new(FlowClass::new(class).unwrap()),
    })
}

fn go(
    make: Supply<'_>,
    layout: &str,
    traffic: Traffic,
    script: Option<&mut Script>,
    checkpoint: Option<usize>,
) -> (Outcome, Told) {
    let text = ["batching", "table", "classify", "class", ""].windows(2).map(|pair| {
        let next = if pair[1].is_empty() { String::new() } else { format!("next = \"{}\"\n", pair[1]) };
        format!("[[brick]]\nid = \"{}\"\nkind = \"k\"\n{next}", pair[0])
    });
    let spec = GraphSpec::from_toml(&format!("name = \"t\"\n{}", text.collect::<String>())).unwrap();
    let mut graph =
        Graph::assemble(&spec, &[ColumnSpec::PACKETS], &specs(), |brick| make.supply(&brick.id, 0)).unwrap();
    let (layout, stop, mut told, mut traffic) =
        (layout.parse().unwrap(), AtomicBool::new(false), Told::default(), traffic);
    let options = Options { queue: 2, supply: Some(make), checkpoint, ..Options::new(&layout, &stop) };
    let control = script.map(|script| script as &mut dyn legonf_runtime::Control);
    let mut outcome = run_under(control, &mut graph, &mut traffic, &mut told, options, &mut |_, _| {});
    end_flows(&mut graph, &mut told, &mut outcome);
    (outcome, told)
}

fn to(end: u64) -> Traffic {
    Traffic { next: 0, end, until: None }
}

/// What one thread tells.
fn alone(packets: u64) -> (Outcome, Told) {
    go(&make, "fused", to(packets), None, None)
}

#[test]
fn rows_are_the_same_in_every_layout() {
    let (outcome, expected) = alone(30_000);
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    // Flows are ready, idle, too long, at their end, open at that of the input, and evicted.
    assert!([0, 1, 2, 3, 4, 5].iter().all(|reason| expected.reasons[*reason] > 20), "{:?}", expected.reasons);
    // Every flow that began has one row, and the numbers of its packets are in it.
    let counted = |name: &str| {
        let all = outcome.counters.iter().flat_map(|brick| &brick.counters);
        all.filter(|(known, _)| *known == name).map(|(_, value)| *value).sum::<u64>()
    };
    assert_eq!(counted("flows"), expected.flows.len() as u64 + counted("flows-without-payload"));
    let pending = expected.packets.iter().filter(|class| **class == Verdict::of(3)).count();
    assert!(pending > 1000 && pending < 29_000, "{pending}");
    for layout in [
        "pipeline",
        "source batching | table x2 | classify class | sink",
        "source batching | table classify x3 | class x2 | sink",
        "source | batching table classify x5 | class x3 | sink",
        "source batching | table | classify x2 | class x2 | sink",
        "source batching table classify | class x2 | sink",
    ] {
        let (found, told) = go(&make, layout, to(30_000), None, None);
        assert!(found.fault.is_none(), "{layout}: {:?}", found.fault);
        assert_eq!(found.packets, outcome.packets);
        assert!(told.flows == expected.flows, "{layout}");
        assert!(told.packets == expected.packets && told.classes == expected.classes, "{layout}");
        assert_eq!(found.counters, outcome.counters, "{layout}");
    }
}

#[test]
fn flows_are_moved_and_killed_and_told_once() {
    let text = "source batching | table classify x3 | class x2 | sink";
    let to = |brick: &str, slot: u16, to: u16| SlotMove { brick: brick.into(), shard: 0, slot, to };
    let moved = |round: u16| Plan {
        moves: (0..4096)
            .flat_map(|slot| {
                [to("table", slot, (slot + round) % 3), to("class", slot, (slot / 7 + round) % 2)]
            })
            .collect(),
        ..text.parse().unwrap()
    };
    let other: Plan = "source batching table classify class sink".parse().unwrap();
    let plans: Vec<_> =
        (0..6).map(moved).chain([other, text.parse().unwrap()]).chain((0..4).map(moved)).collect();
    for every in [0, 3] {
        let mines = Arc::new(StateMines::each(every));
        let mined = mines.clone();
        let make = move |id: &str| -> Result<Box<dyn Brick>, SupplyError> {
            let brick = make(id)?;
            let panics: Box<dyn Fn(&Headers) + Send> = Box::new(|_| {});
            let keyed = matches!(id, "table" | "class");
            Ok(if keyed { MinedState::with_packets(brick, &mined, panics) } else { brick })
        };
        let mut script = Script::of(plans.clone());
        let traffic = Traffic { next: 0, end: u64::MAX, until: Some(script.done.clone()) };
        let (outcome, told) = go(&make, text, traffic, Some(&mut script), Some(20_000));
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        assert!(script.refused.is_empty(), "{:?}", script.refused);
        assert!(outcome.pauses.slots > 4096 && (every == 0 || outcome.restarts > 0), "{:?}", outcome.pauses);
        let (_, expected) = alone(outcome.packets);
        assert!(told.flows == expected.flows && told.packets == expected.packets);
        assert!(told.classes == expected.classes);
    }
}
