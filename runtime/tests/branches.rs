//! Ways that part by verdict and join again, in every layout.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Collect, Count, HEADERS, Places, SCORES, Script, go_with};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Handle, Layout as Columns, State, Verdict,
};
use legonf_runtime::{Graph, GraphSpec, Layout};
use proptest::prelude::*;

const VERDICTS: ColumnSpec = ColumnSpec::of_scores("verdicts");

/// Where a step finds its columns.
#[derive(Clone, Copy, Default)]
struct At {
    places: Places,
    verdicts: Handle<Vec<Verdict>>,
}

type Work = fn(&mut Batch, At, &mut f64);

/// A brick that does `work` with what it remembers.
struct Step {
    descriptor: Descriptor,
    work: Work,
    memory: f64,
    at: At,
}

impl Brick for Step {
    fn descriptor(&self) -> Descriptor {
        self.descriptor.clone()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.at.verdicts = layout.handle(&VERDICTS).unwrap_or_default();
        self.at.places.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        (self.work)(batch, self.at, &mut self.memory);
        Ok(())
    }
}

fn first(batch: &mut Batch, at: At, _: &mut f64) {
    let scores = batch.columns.get_mut(at.places.scores);
    scores.clear();
    scores.extend(batch.headers.iter().map(|header| (header.seq as f64 * 0.7).sin()));
}

fn decide(batch: &mut Batch, at: At, _: &mut f64) {
    let verdict = |score: &f64| match *score {
        score if score > 0.5 => Verdict::ANOMALOUS,
        score if score < -0.9 => Verdict::REJECTED,
        _ => Verdict::BENIGN,
    };
    let (scores, verdicts) = batch.columns.get_two(at.places.scores, at.verdicts);
    verdicts.clear();
    verdicts.extend(scores.iter().map(verdict));
}

/// Stateful, on what comes this way alone: the packets of other ways must not show.
fn second_look(batch: &mut Batch, at: At, memory: &mut f64) {
    for (score, header) in batch.columns.get_mut(at.places.scores).iter_mut().zip(&batch.headers) {
        *memory = 0.5 * *memory + header.seq as f64;
        *score += *memory;
    }
}

fn soften(batch: &mut Batch, at: At, _: &mut f64) {
    batch.columns.get_mut(at.places.scores).iter_mut().for_each(|score| *score *= 0.5);
}

fn last(batch: &mut Batch, at: At, memory: &mut f64) {
    for score in batch.columns.get_mut(at.places.scores) {
        *memory = *memory * 0.9 + *score;
        *score = *memory;
    }
}

fn make(id: &str) -> Result<Box<dyn Brick>, String> {
    let (kind, reads, writes, state, work): (_, &[ColumnSpec], _, _, Work) = match id {
        "first" => ("first", &[HEADERS], SCORES, State::Stateless, first),
        "decide" => ("decide", &[SCORES], VERDICTS, State::Stateless, decide),
        "look" => ("look", &[HEADERS, SCORES], SCORES, State::Stateful, second_look),
        "soften" => ("soften", &[SCORES], SCORES, State::Stateless, soften),
        "last" => ("last", &[SCORES], SCORES, State::Stateful, last),
        other => return Err(format!("no brick {other}")),
    };
    let (reads, writes) = (reads.to_vec().into(), vec![writes].into());
    let descriptor = Descriptor { kind, title: kind, reads, writes, state };
    Ok(Box::new(Step { descriptor, work, memory: 0.0, at: At::default() }))
}

const SPEC: &str = r#"
name = "branching"
[[brick]]
id = "first"
kind = "k"
next = "decide"
[[brick]]
id = "decide"
kind = "k"
next = "last"
branch = { anomalous = "look", rejected = "soften" }
[[brick]]
id = "look"
kind = "k"
next = "last"
[[brick]]
id = "soften"
kind = "k"
next = "last"
[[brick]]
id = "last"
kind = "k"
"#;

fn graph() -> Graph {
    let (given, wanted) = (&[HEADERS], &[SCORES, VERDICTS]);
    Graph::assemble(&GraphSpec::from_toml(SPEC).unwrap(), given, wanted, |brick| make(&brick.id)).unwrap()
}

/// The same without a graph.
fn expected(packets: u64) -> Vec<(u64, u64)> {
    let (mut look, mut sum) = (0.0, 0.0);
    let row = |seq: u64| {
        let mut score = (seq as f64 * 0.7).sin();
        if score > 0.5 {
            look = 0.5 * look + seq as f64;
            score += look;
        } else if score < -0.9 {
            score *= 0.5;
        }
        sum = sum * 0.9 + score;
        (seq, f64::to_bits(sum))
    };
    (0..packets).map(row).collect()
}

fn run(layout: &str, packets: u64, batch: usize, then: &[&str]) -> Vec<(u64, u64)> {
    let layout: Layout = layout.parse().unwrap();
    let mut script = Script::of(then.iter().map(|plan| plan.parse().unwrap()));
    let source = Count { batch, ..Count::to(packets) };
    let (outcome, rows) =
        go_with(&make, &layout, &mut graph(), source, Collect::default(), Some(&mut script));
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    rows
}

const LAYOUTS: [&str; 5] = [
    "fused",
    "pipeline",
    "source | first x2 | decide x3 | look | soften x2 | last | sink",
    "source first | decide look | soften last sink",
    "source | first decide x3 | look soften last | sink",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn packets_take_their_way_and_join_in_every_layout(packets in 0_u64..2000, batch in 1_usize..40, layout in 0..5_usize) {
        prop_assert_eq!(run(LAYOUTS[layout], packets, batch, &[]), expected(packets));
    }
}

#[test]
fn ways_join_while_the_layout_changes() {
    for batch in [1, 7, 64] {
        let then: Vec<_> = LAYOUTS[2..].iter().cycle().take(12).copied().collect();
        let packets = 40_000;
        assert!(run("pipeline", packets, batch, &then) == expected(packets), "{batch}");
    }
}

#[test]
fn the_drawing_shows_every_way() {
    let spec = GraphSpec::from_toml(SPEC).unwrap();
    let bricks = legonf_runtime::check(
        &spec,
        &[HEADERS],
        legonf_runtime::Wanted::Results,
        |b| make(&b.id).map(|brick| brick.descriptor()),
        Clone::clone,
    )
    .unwrap();
    let drawing = legonf_runtime::svg(&spec, &bricks);
    assert_eq!((drawing.matches("<line").count(), drawing.matches("<path d=\"M").count()), (3, 4));
    assert!(drawing.contains(">anomalous<") && drawing.contains(">rejected<"));
}
