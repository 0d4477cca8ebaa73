//! Bricks that drop packets, and those behind them, which do not see these.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::streams::{self, Traffic};
use common::{FEATURES, HEADERS, Places, SCORES, Script};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, DropReason, Fault, Handle,
    Headers, Layout as Columns, Port, Progress, Sink, Source, State,
};
use legonf_runtime::{Graph, GraphSpec, Options, run_under};
use std::sync::atomic::AtomicBool;

/// What the first of two bricks decides of a packet.
fn first(seq: u64) -> Disposition {
    match seq {
        // Whole batches.
        5_000..5_400 => Disposition::Drop(DropReason::Policy),
        seq if seq % 7 == 3 => Disposition::Drop(DropReason::RateLimit),
        seq if seq % 7 == 4 => Disposition::Mirror { forward: Port(1), copy: Port(2) },
        _ => Disposition::default(),
    }
}

/// What the second one does.
fn second(seq: u64, before: Disposition) -> Disposition {
    if seq % 5 == 2 { Disposition::Drop(DropReason::TooLong) } else { before }
}

fn both(seq: u64) -> Disposition {
    let first = first(seq);
    if first.dropped().is_some() { first } else { second(seq, first) }
}

/// Stateless: changes dispositions in place. The second one must not see what the first one dropped.
#[derive(Default)]
struct Police {
    is_second: bool,
    panics_at: Option<u64>,
    dispositions: Handle<Vec<Disposition>>,
}

impl Brick for Police {
    fn descriptor(&self) -> Descriptor {
        let reads = vec![HEADERS, ColumnSpec::DISPOSITION].into();
        let writes = vec![ColumnSpec::DISPOSITION].into();
        Descriptor { kind: "police", title: "police", reads, writes, state: State::Stateless }
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let dispositions = batch.columns.get_mut(self.dispositions);
        assert_eq!(dispositions.len(), batch.headers.len());
        for (headers, disposition) in batch.headers.iter().zip(dispositions) {
            assert_eq!(disposition.dropped(), None);
            let seq = headers.seq;
            assert_ne!(Some(seq), self.panics_at, "bad packet");
            *disposition = if self.is_second { second(seq, *disposition) } else { first(seq) };
        }
        Ok(())
    }
}

/// Number, score and disposition of every packet.
#[derive(Default)]
struct Fates {
    rows: Vec<(u64, u64, Disposition)>,
    /// Whether packets are dropped behind what fills features.
    is_late: bool,
    at: Places,
    dispositions: Handle<Vec<Disposition>>,
}

impl Sink for Fates {
    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![SCORES, FEATURES, ColumnSpec::DISPOSITION])
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        self.at.bind(layout)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let (scores, dispositions) =
            (batch.columns.get(self.at.scores), batch.columns.get(self.dispositions));
        assert_eq!((scores.len(), dispositions.len()), (batch.headers.len(), batch.headers.len()));
        // No row of another batch shows where a packet was dropped before it got one.
        let features = batch.columns.get(self.at.features);
        assert_eq!(features.len(), batch.headers.len());
        let zeros = |row: &[f64]| row.iter().all(|cell| *cell == 0.0);
        let dropped = dispositions.iter().enumerate().filter(|(_, fate)| fate.is_unseen());
        assert!(self.is_late || dropped.into_iter().all(|(place, _)| zeros(features.row(place))));
        let rows = batch.headers.iter().zip(scores).zip(dispositions);
        self.rows.extend(rows.map(|((headers, score), fate)| (headers.seq, score.to_bits(), *fate)));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// The packets that nobody drops, alone.
struct Kept(Traffic);

impl Source for Kept {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let kept = |headers: &Headers| both(headers.seq).dropped().is_none();
        while batch.headers.is_empty() {
            self.0.fill(batch)?;
            if batch.headers.is_empty() {
                return Ok(());
            }
            batch.headers.retain(kept);
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        self.0.progress()
    }
}

/// What the streams' graph gives of the packets that nobody drops, and nothing of the others.
fn expected(packets: u64) -> Vec<(u64, u64, Disposition)> {
    let (layout, mut graph) = ("fused".parse().unwrap(), streams::graph(streams::make));
    let (source, sink) = (Kept(Traffic::to(packets)), common::Collect::default());
    let (_, rows) = common::go_from(&streams::make, &layout, &mut graph, source, sink, None, None);
    let mut rows = rows.into_iter().peekable();
    let score = |seq| rows.next_if(|(kept, _)| *kept == seq).map_or(0.0_f64.to_bits(), |(_, score)| score);
    (0..packets).zip((0..packets).map(score)).map(|(seq, score)| (seq, score, both(seq))).collect()
}

fn make(id: &str) -> Result<Box<dyn Brick>, String> {
    match id {
        "police" | "again" => Ok(Box::new(Police { is_second: id == "again", ..Police::default() })),
        other => streams::make(other),
    }
}

fn graph(bricks: &[&str]) -> Graph {
    let brick = |(at, id): (usize, &&str)| {
        let next = bricks.get(at + 1).map_or(String::new(), |next| format!("next = \"{next}\"\n"));
        format!("[[brick]]\nid = \"{id}\"\nkind = \"k\"\n{next}")
    };
    let text: String = bricks.iter().enumerate().map(brick).collect();
    let spec = GraphSpec::from_toml(&format!("name = \"t\"\n{text}")).unwrap();
    Graph::assemble(&spec, &[HEADERS], &[SCORES], |brick| make(&brick.id)).unwrap()
}

fn run(bricks: &[&str], layout: &str, packets: u64, then: &[&str]) -> Vec<(u64, u64, Disposition)> {
    let (layout, stop) = (layout.parse().unwrap(), AtomicBool::new(false));
    let mut script = Script::of(then.iter().map(|plan| plan.parse().unwrap()));
    let options = Options { queue: 2, supply: Some(&make), ..Options::new(&layout, &stop) };
    let is_late = bricks[0] != "police";
    let (mut graph, mut sink) = (graph(bricks), Fates { is_late, ..Fates::default() });
    let source = &mut Traffic::to(packets);
    let outcome = run_under(Some(&mut script), &mut graph, source, &mut sink, options, &mut |_, _| {});
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    sink.rows
}

const BRICKS: [&str; 6] = ["police", "again", "stamp", "streams", "blend", "smooth"];
const LAYOUTS: [&str; 5] = [
    "fused",
    "pipeline",
    "source | police x2 | again stamp | streams x3 | blend | smooth | sink",
    "source | police again stamp streams blend x3 | smooth | sink",
    "source police | again stamp streams x2 | blend smooth sink",
];

#[test]
fn bricks_behind_see_no_dropped_packet_in_any_layout() {
    let expected = expected(12_000);
    let dropped = expected.iter().filter(|(_, _, fate)| fate.dropped().is_some()).count();
    assert!(dropped > 3_000 && dropped < 9_000, "{dropped}");
    for layout in LAYOUTS {
        assert!(run(&BRICKS, layout, 12_000, &[]) == expected, "{layout}");
    }
}

#[test]
fn so_it_is_while_the_layout_changes() {
    let then: Vec<_> = LAYOUTS[2..].iter().cycle().take(9).copied().collect();
    assert!(run(&BRICKS, "pipeline", 40_000, &then) == expected(40_000));
}

#[test]
fn a_last_brick_decides_of_packets_that_are_all_scored() {
    let scores = streams::expected(6_000);
    let expected: Vec<_> = scores.into_iter().map(|(seq, score)| (seq, score, first(seq))).collect();
    let bricks = ["stamp", "streams", "blend", "smooth", "police"];
    for layout in ["fused", "pipeline", "source | stamp streams blend x3 | smooth police | sink"] {
        assert!(run(&bricks, layout, 6_000, &[]) == expected, "{layout}");
    }
    let bricks = ["stamp", "streams", "police", "blend"];
    let divided = run(&bricks, "source | stamp streams police blend x3 | sink", 6_000, &[]);
    assert!(divided == run(&bricks, "fused", 6_000, &[]));
    assert!(divided.iter().all(|(seq, score, fate)| *fate == first(*seq)
        && (fate.dropped().is_some() == (*score == 0.0_f64.to_bits()))));
}

#[test]
fn a_brick_that_panics_while_it_changes_packets_in_place_is_named() {
    let supply = |id: &str| -> Result<Box<dyn Brick>, String> {
        match id {
            "police" => Ok(Box::new(Police { panics_at: Some(4_000), ..Police::default() })),
            other => make(other),
        }
    };
    let spec = GraphSpec::from_toml("name = \"t\"\n[[brick]]\nid = \"police\"\nkind = \"k\"\n").unwrap();
    let mut graph = Graph::assemble(&spec, &[HEADERS], &[], |brick| supply(&brick.id)).unwrap();
    let (layout, stop) = ("pipeline".parse().unwrap(), AtomicBool::new(false));
    let options = Options { supply: Some(&supply), ..Options::new(&layout, &stop) };
    let (source, sink) = (&mut Traffic::to(10_000), &mut Seen(0));
    let outcome = run_under(None, &mut graph, source, sink, options, &mut |_, _| {});
    let fault = outcome.fault.unwrap().to_string();
    assert!(fault.contains("police") && fault.contains("bad packet"), "{fault}");
    assert_eq!((outcome.restarts, sink.0), (0, outcome.packets));
}

/// Counts packets.
struct Seen(u64);

impl Sink for Seen {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.0 += batch.headers.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
