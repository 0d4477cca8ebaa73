//! Replicas of Kitsune's extractor give the features of a single one, bit for bit.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::streams::{Traffic, packet};
use common::{Collect, FEATURES, HEADERS, Places, SCORES, Script, go_from};
use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Fault, Headers, Layout as Columns, Progress, Source,
    State, Timestamp,
};
use legonf_extract::{Config, FeatureQuantization, Limits};
use legonf_runtime::{Control, Graph, GraphSpec, Outcome, SupplyError};
use std::sync::atomic::Ordering;

/// Stateless: a number that every bit of every feature changes.
#[derive(Default)]
struct Digest(Places);

impl Brick for Digest {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (vec![FEATURES].into(), vec![SCORES].into());
        Descriptor { kind: "digest", title: "digest", reads, writes, state: State::Stateless }
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let fold = |sum: u64, cell: &f64| sum.wrapping_mul(0x100_0000_01b3) ^ cell.to_bits();
        let (features, scores) = batch.columns.get_two(self.0.features, self.0.scores);
        scores.clear();
        scores.extend(features.iter().map(|row| f64::from_bits(row.iter().fold(row.len() as u64, fold))));
        Ok(())
    }
}

/// The traffic of the other tests, with times and lengths.
struct Timed {
    traffic: Traffic,
    /// Whether the clock is set now and then, as NTP does, and some time stamps are wrong.
    steps: bool,
}

impl Timed {
    fn time(&self, seq: u64) -> Timestamp {
        let right = seq as i64 * 1_000_003;
        let wrong = match seq {
            _ if !self.steps => 0,
            4_000..9_000 => -3_000_000_000,
            12_345 => 4_294_967_295_000_000_000,
            20_000.. => 31_536_000_000_000_000,
            _ => 0,
        };
        Timestamp::from_nanos(1_700_000_000_000_000_000 + right + wrong)
    }
}

impl Source for Timed {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let len = 1 + self.traffic.next as usize % 256;
        let over = self.traffic.until.as_ref().is_some_and(|until| until.load(Ordering::Relaxed));
        self.traffic.end = if over { self.traffic.next } else { self.traffic.end };
        let end = self.traffic.end.min(self.traffic.next + len as u64);
        let timed = |seq: u64| Headers {
            wire_len: 60 + (seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as u32,
            timestamp: self.time(seq),
            ..packet(seq)
        };
        batch.headers.extend((self.traffic.next..end).map(timed));
        self.traffic.next = end;
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

const SPEC: &str = "name = \"t\"\n[[brick]]\nid = \"extractor\"\nkind = \"k\"\nnext = \"digest\"\n\
    [[brick]]\nid = \"digest\"\nkind = \"k\"\n";

/// Makes the bricks of an extractor whose slots overflow.
fn maker(schema: &str) -> impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError> {
    let limits =
        Limits { sources_per_slot: 1, channels_per_slot: 1, sockets_per_slot: 2, ..Limits::default() };
    let config = Config { schema: schema.into(), limits, ..Config::default() };
    move |id| match id {
        "extractor" => Ok(Box::new(FeatureQuantization::new(&config).unwrap())),
        _ => Ok(Box::<Digest>::default()),
    }
}

fn run(
    schema: &str,
    layout: &str,
    traffic: Traffic,
    control: Option<&mut dyn Control>,
) -> (Outcome, Vec<(u64, u64)>) {
    run_from(schema, layout, Timed { traffic, steps: false }, control)
}

fn run_from(
    schema: &str,
    layout: &str,
    source: Timed,
    control: Option<&mut dyn Control>,
) -> (Outcome, Vec<(u64, u64)>) {
    let make = maker(schema);
    let (given, wanted) = (&[HEADERS], &[SCORES]);
    let spec = GraphSpec::from_toml(SPEC).unwrap();
    let mut graph = Graph::assemble(&spec, given, wanted, |brick| make(&brick.id)).unwrap();
    go_from(&make, &layout.parse().unwrap(), &mut graph, source, Collect::default(), control, None)
}

const LAYOUTS: [&str; 4] = [
    "source | extractor x2 | digest sink",
    "source | extractor digest x3 | sink",
    "source | extractor | digest sink",
    "source extractor digest sink",
];

#[test]
fn replicas_of_the_extractor_give_the_features_of_one() {
    for schema in ["kitsune-115", "kitsune-115-clean"] {
        let (whole, expected) = run(schema, "fused", Traffic::to(30_000), None);
        assert!(whole.fault.is_none());
        for layout in LAYOUTS {
            let (outcome, rows) = run(schema, layout, Traffic::to(30_000), None);
            assert!(outcome.fault.is_none() && rows == expected, "{schema} {layout} {:?}", outcome.fault);
        }
    }
}

#[test]
fn replicas_come_and_go_while_packets_flow() {
    let plans = || LAYOUTS.iter().chain(&["source | extractor x4 | digest sink"]).cycle();
    let mut script = Script::of(plans().take(60).map(|plan| plan.parse().unwrap()));
    let traffic = Traffic { until: Some(script.done.clone()), ..Traffic::to(u64::MAX) };
    let (outcome, rows) = run("kitsune-115", LAYOUTS[3], traffic, Some(&mut script));
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    assert_eq!(script.applied, 60);
    assert!(outcome.pauses.slots > 1000 && outcome.pauses.packets > 0, "{:?}", outcome.pauses);
    assert!(rows == run("kitsune-115", "fused", Traffic::to(outcome.packets), None).1);
    println!("{} packets, {:?}", outcome.packets, outcome.pauses);
}

#[test]
fn a_clock_that_steps_is_the_same_fault_in_any_layout() {
    let stepping = || Timed { traffic: Traffic::to(30_000), steps: true };
    for schema in ["kitsune-115", "kitsune-115-clean"] {
        let (whole, expected) = run_from(schema, "fused", stepping(), None);
        let faults = whole.clock.faults();
        // Three seconds back and ahead again, 2106 and back, and a year ahead.
        assert_eq!((faults.steps_back, faults.jumps, faults.first), (2, 3, Some(4_000)));
        assert_eq!(whole.clock.elapsed() / 1_000_000_000, 29);
        for layout in LAYOUTS {
            let (outcome, rows) = run_from(schema, layout, stepping(), None);
            assert!(outcome.fault.is_none() && rows == expected, "{schema} {layout} {:?}", outcome.fault);
            assert_eq!(outcome.clock, whole.clock);
        }
        let mut script = Script::of(LAYOUTS.iter().cycle().take(12).map(|plan| plan.parse().unwrap()));
        let (outcome, rows) = run_from(schema, LAYOUTS[3], stepping(), Some(&mut script));
        assert!(rows == expected && outcome.clock == whole.clock, "{:?}", outcome.fault);
    }
}

/// Stateless: fails at a packet.
struct Fails(u64, Digest);

impl Brick for Fails {
    fn descriptor(&self) -> Descriptor {
        let mut descriptor = self.1.descriptor();
        descriptor.reads.to_mut().push(HEADERS);
        descriptor
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.1.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let fails = batch.headers.iter().any(|packet| packet.seq == self.0);
        self.1.process(batch)?;
        if fails { Err(BrickError { brick: "digest", reason: "failed".into() }) } else { Ok(()) }
    }
}

/// What was read ahead of the fault, which depends on the layout, does not count.
#[test]
fn the_clock_of_a_run_is_that_of_the_packets_whose_results_are_there() {
    let extractor = maker("kitsune-115-clean");
    let make = |id: &str| match id {
        "digest" => Ok(Box::new(Fails(9_500, Digest::default())) as Box<dyn Brick>),
        other => extractor(other),
    };
    let (given, wanted) = (&[HEADERS], &[SCORES]);
    for layout in LAYOUTS {
        let spec = GraphSpec::from_toml(SPEC).unwrap();
        let mut graph = Graph::assemble(&spec, given, wanted, |brick| make(&brick.id)).unwrap();
        let (source, sink) = (Timed { traffic: Traffic::to(30_000), steps: true }, Collect::default());
        let (outcome, rows) = go_from(&make, &layout.parse().unwrap(), &mut graph, source, sink, None, None);
        assert!(outcome.fault.is_some() && outcome.packets == rows.len() as u64);
        let faults = outcome.clock.faults();
        assert_eq!((faults.steps_back, faults.jumps), (1, 1), "{layout}");
        let time = (outcome.packets - 1) * 1_000_003;
        assert_eq!(outcome.clock.elapsed(), time, "{layout}");
    }
}

#[test]
fn what_is_coupled_is_refused_in_one_line() {
    let (outcome, rows) = run("kitsune-py-100", LAYOUTS[0], Traffic::to(10), None);
    let message = outcome.fault.unwrap().to_string();
    let expected =
        "`extractor` keeps state that cannot be divided among replicas: streams of kitsune-py-100 (HH)";
    assert!(rows.is_empty() && message.contains(expected) && !message.contains('\n'), "{message}");
}
