//! Columns of any type: a keyed brick that fills whole numbers, and bricks that use the table of flows.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::mines::{MinedState, StateMines};
use common::streams::{self, Traffic, packet};
use common::{Collect, SCORES, Script, go_from};
use legonf_core::Projector;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Division, Element, Fault, Field, FlowRow,
    Handle, Headers, Key, Layout, Plan, Rows, Sink, SlotMove, State, StateGroup, Storage, Table, WestEast,
    slot, typed,
};
use legonf_runtime::{Graph, GraphSpec, Options, Outcome, SupplyError, run};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const SEED: u64 = 11;
/// Packets of a packet's source so far.
const SEEN: ColumnSpec = ColumnSpec::scalar("seen", Element::U32);

fn host() -> Key {
    Key::new(&[Field::SrcIp], false).unwrap()
}

fn descriptor(kind: &'static str, reads: &[ColumnSpec], writes: &[ColumnSpec], state: State) -> Descriptor {
    Descriptor { kind, title: kind, reads: reads.to_vec().into(), writes: writes.to_vec().into(), state }
}

/// Stateful: counts the packets of each source.
struct Counter {
    projector: Projector,
    counts: BTreeMap<u64, u32>,
    seen: Handle<Vec<u32>>,
}

impl Default for Counter {
    fn default() -> Self {
        Self { projector: Projector::new(&host(), SEED), counts: BTreeMap::new(), seen: Handle::default() }
    }
}

impl Counter {
    fn count(&mut self, headers: &Headers) -> u32 {
        let count = self.counts.entry(self.projector.hash(headers)).or_default();
        *count += 1;
        *count
    }
}

impl Brick for Counter {
    fn descriptor(&self) -> Descriptor {
        descriptor("counter", &[ColumnSpec::HEADERS], &[SEEN], State::Keyed)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.seen = layout.handle(&SEEN)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let Batch { headers, columns, .. } = batch;
        let seen = columns.get_mut(self.seen);
        seen.clear();
        seen.extend(headers.iter().map(|headers| self.count(headers)));
        Ok(())
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for Counter {
    fn division(&self) -> Division {
        let groups = vec![StateGroup::new("host", host())];
        Division { name: "counter".into(), groups, seed: SEED, fills: SEEN, cells: vec!["host".into()] }
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        assert_eq!(parts, [["host"]]);
        Ok(())
    }

    fn process_part(
        &mut self,
        _: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let rows: &mut Vec<u32> = typed(rows).unwrap();
        rows.iter_mut().zip(places).for_each(|(row, place)| *row = self.count(&batch.headers[*place]));
        Ok(())
    }

    fn export(&mut self, _: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let state = self.copy(0, slots)?;
        self.counts.retain(|hash, _| !slots.contains(&(slot(*hash) as u16)));
        Ok(state)
    }

    fn copy(&self, _: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let kept = self.counts.iter().filter(|(hash, _)| slots.contains(&(slot(**hash) as u16)));
        Ok(kept
            .flat_map(|(hash, count)| [hash.to_le_bytes(), u64::from(*count).to_le_bytes()].concat())
            .collect())
    }

    fn import(&mut self, _: usize, state: &[u8]) -> Result<(), BrickError> {
        for entry in state.as_chunks::<16>().0 {
            let [hash, count] = [0, 8].map(|at| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap()));
            assert_eq!(self.counts.insert(hash, count as u32), None, "there is state already");
        }
        Ok(())
    }
}

/// Stateless: a score of a count.
#[derive(Default)]
struct Score {
    seen: Handle<Vec<u32>>,
    scores: Handle<Vec<f64>>,
}

impl Brick for Score {
    fn descriptor(&self) -> Descriptor {
        descriptor("score", &[SEEN], &[SCORES], State::Stateless)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.seen = layout.handle(&SEEN)?;
        self.scores = layout.handle(&SCORES)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (seen, scores) = batch.columns.get_two(self.seen, self.scores);
        scores.clear();
        scores.extend(seen.iter().map(|seen| f64::from(*seen).sqrt()));
        Ok(())
    }
}

fn graph(
    bricks: &[&str],
    make: impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError>,
    wanted: &[ColumnSpec],
) -> Graph {
    let brick = |(at, id): (usize, &&str)| {
        let next = bricks.get(at + 1).map_or(String::new(), |next| format!("next = \"{next}\"\n"));
        format!("[[brick]]\nid = \"{id}\"\nkind = \"k\"\n{next}")
    };
    let text: String = bricks.iter().enumerate().map(brick).collect();
    let spec = GraphSpec::from_toml(&format!("name = \"t\"\n{text}")).unwrap();
    Graph::assemble(&spec, &[ColumnSpec::HEADERS], wanted, |brick| make(&brick.id)).unwrap()
}

/// What one counter gives, without a graph.
fn expected(packets: u64) -> Vec<(u64, u64)> {
    let mut counter = Counter::default();
    (0..packets).map(|seq| (seq, f64::from(counter.count(&packet(seq))).sqrt().to_bits())).collect()
}

fn counted(mines: &Arc<StateMines>, layout: &str, plans: Vec<Plan>) -> (Outcome, Vec<(u64, u64)>) {
    let mines = mines.clone();
    let make = move |id: &str| -> Result<Box<dyn Brick>, SupplyError> {
        match id {
            "counter" => Ok(MinedState::of(Box::<Counter>::default(), &mines)),
            _ => Ok(Box::<Score>::default()),
        }
    };
    let mut script = Script::of(plans);
    let traffic = Traffic { until: Some(script.done.clone()), ..Traffic::to(u64::MAX) };
    let mut graph = graph(&["counter", "score"], &make, &[SCORES]);
    let (layout, sink) = (layout.parse().unwrap(), Collect::default());
    let ran = go_from(&make, &layout, &mut graph, traffic, sink, Some(&mut script), Some(20_000));
    assert!(script.refused.is_empty(), "{:?}", script.refused);
    ran
}

#[test]
fn counters_of_hosts_are_replicated_moved_and_killed() {
    let text = "source | counter x3 | score | sink";
    let to = |slot: u16, to: u16| SlotMove { brick: "counter".into(), shard: 0, slot, to };
    let moved = |round: u16| Plan {
        moves: (0..4096).map(|slot| to(slot, (slot + round) % 3)).collect(),
        ..text.parse().unwrap()
    };
    let other: Plan = "source counter | score sink".parse().unwrap();
    let plans: Vec<_> =
        (0..8).map(moved).chain([other, text.parse().unwrap()]).chain((0..4).map(moved)).collect();
    for (mines, some) in [(StateMines::default(), false), (StateMines::each(3), true)] {
        let mines = Arc::new(mines);
        let (outcome, rows) = counted(&mines, text, plans.clone());
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        assert!(outcome.restarts >= mines.raised() && outcome.pauses.slots > 4096, "{:?}", outcome.pauses);
        assert!(rows == expected(outcome.packets));
        assert!((1..=1024).contains(&mines.most_copied()), "checkpoints are made in steps");
        assert_eq!((mines.raised() > 0, outcome.restarts > 0), (some, some));
    }
}

#[test]
fn two_keyed_bricks_fill_columns_of_different_types() {
    let make = |id: &str| -> Result<Box<dyn Brick>, SupplyError> {
        match id {
            "counter" => Ok(Box::<Counter>::default()),
            "score" => Ok(Box::<Score>::default()),
            other => streams::make(other),
        }
    };
    let expected = expected(20_000);
    for layout in [
        "fused",
        "source | streams x2 | counter x3 | score | sink",
        "source streams | counter score x2 | sink",
    ] {
        let (traffic, sink) = (Traffic::to(20_000), Collect::default());
        let mut graph = graph(&["streams", "counter", "score"], make, &[SCORES]);
        let (outcome, rows) = go_from(&make, &layout.parse().unwrap(), &mut graph, traffic, sink, None, None);
        assert!(outcome.fault.is_none() && rows == expected, "{layout}: {:?}", outcome.fault);
    }
}

/// Packets of a flow.
const LENGTH: u64 = 4;
const SIZES: ColumnSpec = ColumnSpec::scalar("sizes", Element::U64).in_flows();
const SHARES: ColumnSpec = ColumnSpec::rows("shares", Element::F32).in_flows();

/// Stateful: a source's packets are flows of four; a row holds the sum of their numbers.
#[derive(Default)]
struct Flows {
    open: BTreeMap<u64, (u64, u64)>,
    sizes: Handle<Vec<u64>>,
}

impl Flows {
    fn add(&mut self, headers: &Headers) -> Option<u64> {
        let flow = self.open.entry(Projector::new(&host(), SEED).hash(headers)).or_default();
        *flow = (flow.0 + 1, flow.1 + headers.seq);
        (flow.0 == LENGTH).then(|| std::mem::take(flow).1)
    }
}

impl Brick for Flows {
    fn descriptor(&self) -> Descriptor {
        descriptor("flows", &[ColumnSpec::HEADERS], &[SIZES], State::Keyed)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.sizes = layout.handle(&SIZES)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        for place in 0..batch.headers.len() {
            if let Some(size) = self.add(&batch.headers[place]) {
                let first = batch.headers[place].seq;
                batch.flows.push(FlowRow { origin: place as u32, first });
                batch.columns.get_mut(self.sizes).push(size);
            }
        }
        Ok(())
    }
}

/// Stateless: two numbers for each flow.
#[derive(Default)]
struct Shares {
    sizes: Handle<Vec<u64>>,
    shares: Handle<Rows<f32>>,
}

fn shares(size: u64) -> [f32; 2] {
    [(size % 7) as f32 / 7.0, (size as f32).sqrt()]
}

impl Brick for Shares {
    fn descriptor(&self) -> Descriptor {
        descriptor("shares", &[SIZES], &[SHARES.of_width(2)], State::Stateless)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.sizes = layout.handle(&SIZES)?;
        self.shares = layout.handle(&SHARES)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (sizes, rows) = batch.columns.get_two(self.sizes, self.shares);
        rows.reset(sizes.len(), 2);
        sizes.iter().zip(rows.iter_mut()).for_each(|(size, row)| row.copy_from_slice(&shares(*size)));
        Ok(())
    }
}

/// Of each flow the number of the packet that completed it, its size and its shares.
#[derive(Default)]
struct Ready {
    rows: Vec<(u64, u64, [f32; 2])>,
    sizes: Handle<Vec<u64>>,
    shares: Handle<Rows<f32>>,
}

impl Sink for Ready {
    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![SIZES, SHARES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.sizes = layout.handle(&SIZES)?;
        self.shares = layout.handle(&SHARES)?;
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        assert_eq!(batch.rows(Table::Flows), batch.columns.get(self.sizes).len());
        let rows =
            batch.flows.iter().zip(batch.columns.get(self.sizes)).zip(batch.columns.get(self.shares).iter());
        self.rows.extend(
            rows.map(|((flow, size), row)| {
                (batch.headers[flow.origin as usize].seq, *size, [row[0], row[1]])
            }),
        );
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn of_flows(id: &str) -> Result<Box<dyn Brick>, SupplyError> {
    Ok(if id == "flows" { Box::<Flows>::default() } else { Box::<Shares>::default() })
}

#[test]
fn flows_come_with_the_packets_that_complete_them_in_every_layout() {
    let mut alone = Flows::default();
    let flow = |seq: u64| alone.add(&packet(seq)).map(|size| (seq, size, shares(size)));
    let expected: Vec<_> = (0..20_000).filter_map(flow).collect();
    assert!(expected.len() > 4000);
    for layout in ["fused", "pipeline", "source flows | shares x3 | sink"] {
        let (layout, stop) = (layout.parse().unwrap(), AtomicBool::new(false));
        let options = Options { supply: Some(&of_flows), ..Options::new(&layout, &stop) };
        let (mut graph, mut sink) =
            (graph(&["flows", "shares"], of_flows, &[SIZES, SHARES]), Ready::default());
        let outcome = run(&mut graph, &mut Traffic::to(20_000), &mut sink, options, &mut |_, _| {});
        assert!(outcome.fault.is_none() && sink.rows == expected, "{layout:?} {:?}", outcome.fault);
    }
}

#[test]
fn a_sink_of_a_column_that_is_not_there_is_refused_before_anything_is_read() {
    let (layout, stop) = ("fused".parse().unwrap(), AtomicBool::new(false));
    let mut source = Traffic::to(10);
    let mut graph = Graph::pass_through("t", &[]).unwrap();
    let outcome =
        run(&mut graph, &mut source, &mut Ready::default(), Options::new(&layout, &stop), &mut |_, _| {});
    let fault = outcome.fault.unwrap().to_string();
    assert_eq!(fault, "nothing fills the column sizes: the source or the sink does not fit the graph");
    assert_eq!((outcome.packets, source.next), (0, 0));
}
