//! Replicas of a brick with state give the answers of a single instance.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::losses::{Elsewhere, Losses};
use common::mines::{MinedState, StateMines};
use common::streams::{Streams, Traffic, expected, go, go_kept, graph, make};
use common::{Collect, Script, go_from};
use legonf_core::{Batch, Brick, Fault, Plan, Progress, SlotMove, Snapshot, Source};
use legonf_runtime::{Control, Outcome, PlanError, SupplyError};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const LAYOUTS: [&str; 6] = [
    "source stamp | streams x2 | blend | smooth sink",
    "source | stamp streams x3 | blend smooth sink",
    "source stamp | streams blend x2 | smooth sink",
    "source | stamp streams blend x4 | smooth sink",
    "source | stamp x2 | streams x5 | blend x2 | smooth | sink",
    "source stamp streams blend smooth sink",
];

#[test]
fn replicas_give_the_answers_of_one() {
    let packets = 20_000;
    let expected = expected(packets);
    for layout in LAYOUTS {
        let (outcome, rows) = go(&make, layout, &mut graph(make), Traffic::to(packets), None);
        assert!(outcome.fault.is_none(), "{layout}: {:?}", outcome.fault);
        assert!(outcome.packets == packets && rows == expected, "{layout}");
    }
}

#[test]
fn the_work_is_shared() {
    let mut script = Script::of([]);
    let layout = "source stamp | streams x3 | blend smooth sink";
    go(&make, layout, &mut graph(make), Traffic::to(100_000), Some(&mut script));
    let seats = |s: &Snapshot| {
        [0, 1, 2].map(|seat| s.stages[1].shards.iter().map(|shard| shard.by_replica(3)[seat]).sum::<u64>())
    };
    let (mut packets, mut parts) = ([0; 3], [0; 3]);
    for snapshot in &script.snapshots {
        packets.iter_mut().zip(seats(snapshot)).for_each(|(sum, more)| *sum += more);
        parts.iter_mut().zip(snapshot.of_stage(1)).for_each(|(sum, worker)| *sum += worker.batches);
    }
    assert!(packets.iter().chain(&parts).all(|count| *count > 100), "{packets:?} {parts:?}");
}

#[test]
fn a_graph_that_was_shared_goes_on_as_one() {
    let mut graph = graph(make);
    let (mut traffic, mut all) = (Traffic::to(3000), Vec::new());
    for (layout, end) in [(LAYOUTS[1], 3000), ("fused", 6000), (LAYOUTS[0], 9000), (LAYOUTS[2], 12_000)] {
        traffic.end = end;
        let from = Traffic { next: traffic.next, ..Traffic::to(end) };
        let (outcome, rows) = go(&make, layout, &mut graph, from, None);
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        traffic.next = end;
        all.extend(rows);
    }
    assert!(all == expected(12_000));
}

#[test]
fn what_cannot_be_shared_is_refused_in_one_line() {
    for (layout, words) in [
        (
            "source | stamp | streams | blend | smooth x2 | sink",
            "`smooth` keeps state that cannot be divided",
        ),
        (
            "source | stamp streams blend smooth x2 | sink",
            "`smooth` keeps state that cannot be divided among replicas: another",
        ),
        ("source stamp streams x2 | blend smooth sink", "`source` is an end of the graph"),
    ] {
        let (outcome, rows) = go(&make, layout, &mut graph(make), Traffic::to(10), None);
        let message = outcome.fault.unwrap().to_string();
        assert!(rows.is_empty() && message.contains(words) && !message.contains('\n'), "{message}");
    }
    let nobody = |_: &str| Err(SupplyError::new("nobody makes one")) as Result<Box<dyn Brick>, SupplyError>;
    let (outcome, _) = go(&nobody, LAYOUTS[0], &mut graph(make), Traffic::to(10), None);
    assert!(outcome.fault.unwrap().to_string().contains("nobody makes one"));
}

#[test]
fn slots_go_where_a_plan_wants_them() {
    let text = "source stamp | streams x3 | blend smooth sink";
    let to = |slot: u16, shard: usize, to: u16| SlotMove { brick: "streams".into(), shard, slot, to };
    let plan = |moves: Vec<SlotMove>| Plan { moves, ..text.parse().unwrap() };
    let all =
        |owner: u16| (0..4096).flat_map(move |slot| [to(slot, 0, owner), to(slot, 1, (owner + slot) % 3)]);
    let mut script = Script::of((0..12).map(|round| plan(all(round % 3).collect())));
    let traffic = Traffic { until: Some(script.done.clone()), ..Traffic::to(u64::MAX) };
    let (outcome, rows) = go(&make, text, &mut graph(make), traffic, Some(&mut script));
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    assert!(outcome.pauses.slots > 8 * 4096 && rows == expected(outcome.packets), "{:?}", outcome.pauses);
    let shards = |snapshot: &Snapshot| snapshot.stages[1].shards.clone();
    let alone = |owner: u16| move |s: &Snapshot| shards(s)[0].owners.iter().all(|at| *at == owner);
    assert!((0..3).all(|owner| script.snapshots.iter().any(alone(owner))));
    let counted = |s: &&Snapshot| shards(s)[0].packets.iter().sum::<u64>() > 0 && s.stages[1].state_bytes > 0;
    assert!(script.snapshots.iter().filter(counted).count() > 5);
}

/// Packets of which the second half comes only after all plans.
struct Silent {
    traffic: Traffic,
    done: Arc<AtomicBool>,
    idle: bool,
}

impl Source for Silent {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.idle = self.traffic.next >= self.traffic.end / 2 && !self.done.load(Ordering::Relaxed);
        if self.idle {
            std::thread::sleep(Duration::from_micros(100));
            return Ok(());
        }
        self.traffic.fill(batch)
    }

    fn progress(&self) -> Progress {
        self.traffic.progress()
    }

    fn is_idle(&self) -> bool {
        self.idle
    }
}

#[test]
fn replicas_come_and_go_and_slots_move_although_nothing_comes() {
    let text = "source stamp | streams x2 | blend smooth sink";
    let moved = (0..4096).map(|slot| SlotMove { brick: "streams".into(), shard: 1, slot, to: slot % 2 });
    let plan = |layout: &str, moves| Plan { moves, ..layout.parse().unwrap() };
    let layouts =
        [LAYOUTS[1], text, "source | stamp | streams | blend | smooth | sink", LAYOUTS[2], LAYOUTS[4]];
    let plans = layouts.map(|layout| plan(layout, Vec::new()));
    let plans = plans.into_iter().chain([plan(text, moved.collect()), plan(LAYOUTS[5], Vec::new())]);
    for checkpoint in [None, Some(10_000)] {
        let mut script = Script::of(plans.clone());
        let source = Silent { traffic: Traffic::to(4000), done: script.done.clone(), idle: false };
        let (layout, sink) = (text.parse().unwrap(), Collect::default());
        let control = Some(&mut script as &mut dyn Control);
        let (outcome, rows) = go_from(&make, &layout, &mut graph(make), source, sink, control, checkpoint);
        assert!(
            outcome.fault.is_none() && script.refused.is_empty(),
            "{:?} {:?}",
            outcome.fault,
            script.refused
        );
        assert_eq!((outcome.packets, script.applied), (4000, 7));
        assert!(outcome.pauses.slots > 4096 && rows == expected(4000), "{:?}", outcome.pauses);
    }
}

#[test]
fn slots_that_cannot_go_are_named() {
    let text = "source stamp | streams x2 | blend smooth sink";
    let plan = |brick: &str, shard: usize, slot: u16, to: u16| Plan {
        moves: vec![SlotMove { brick: brick.into(), shard, slot, to }],
        ..text.parse().unwrap()
    };
    let bad = [
        plan("streams", 2, 0, 0),
        plan("streams", 0, 4096, 0),
        plan("streams", 0, 0, 2),
        plan("blend", 0, 0, 0),
    ];
    let words = ["no such shard", "no such slot", "no such replica", "has no replicas that share"];
    let mut script = Script::of(bad);
    let traffic = Traffic { until: Some(script.done.clone()), ..Traffic::to(u64::MAX) };
    let (outcome, rows) = go(&make, text, &mut graph(make), traffic, Some(&mut script));
    assert!(outcome.fault.is_none() && rows == expected(outcome.packets));
    for (refused, words) in script.refused.iter().zip(words) {
        assert!(refused.contains(words) && !refused.contains('\n'), "{refused}");
    }
    assert_eq!((script.applied, script.refused.len()), (0, 4));
}

#[test]
fn the_relief_that_a_snapshot_proposes_evens_the_load_out() {
    /// What was seen so far: nothing, packets at one replica alone, about as many at either.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Nothing,
        OneSided,
        Even,
    }
    /// Puts all slots at one replica and, once that shows, does what the snapshots propose. Looks at so many packets at a
    /// time, however long they take.
    struct Relief {
        script: Script,
        seen: Seen,
        shares: [u64; 2],
        ticks: u32,
    }
    impl Relief {
        fn look(&mut self, shares: &[u64]) {
            self.shares.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
            let [least, most] =
                if self.shares[0] < self.shares[1] { [0, 1] } else { [1, 0] }.map(|at| self.shares[at]);
            if least + most < 2000 {
                return;
            }
            match self.seen {
                Seen::Nothing if self.shares[0] == 0 => self.seen = Seen::OneSided,
                Seen::OneSided if least * 3 > most => self.seen = Seen::Even,
                _ => {}
            }
            self.shares = [0; 2];
        }
    }
    impl Control for Relief {
        fn period(&self) -> Duration {
            Duration::from_millis(2)
        }
        fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
            self.ticks += 1;
            let load = &snapshot.stages[1].shards[0];
            self.look(&load.by_replica(2));
            let all = |slot| SlotMove { brick: "streams".into(), shard: 0, slot, to: 1 };
            let moves = match self.seen {
                Seen::Nothing if self.ticks == 1 => (0..4096).map(all).collect(),
                Seen::Nothing => Vec::new(),
                _ => load.relief(2),
            };
            let over = self.seen == Seen::Even || self.ticks >= 60_000;
            self.script.done.store(over, Ordering::Relaxed);
            Some(Plan { moves, ..snapshot.plan.clone() })
        }
        fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
            self.script.applied(plan, took, result);
        }
    }
    let mut relief = Relief { script: Script::of([]), seen: Seen::Nothing, shares: [0; 2], ticks: 0 };
    let traffic = Traffic { until: Some(relief.script.done.clone()), ..Traffic::to(u64::MAX) };
    let text = "source stamp | streams x2 | blend smooth sink";
    let (outcome, rows) = go(&make, text, &mut graph(make), traffic, Some(&mut relief));
    assert!(outcome.fault.is_none() && relief.script.refused.is_empty() && rows == expected(outcome.packets));
    assert_eq!(relief.seen, Seen::Even);
}

fn plans() -> impl Strategy<Value = Plan> {
    let replicas = || 1..4_usize;
    (any::<u8>(), replicas(), replicas(), replicas()).prop_map(|(cuts, a, b, c)| {
        let (mut text, mut counts) = (String::from("source"), [a, b, c].into_iter());
        let mut open = false;
        for (index, id) in ["stamp", "streams", "blend", "smooth", "sink"].into_iter().enumerate() {
            if cuts & 1 << index != 0 {
                if open {
                    text += &format!(" x{}", counts.next().unwrap_or(1));
                }
                text += " |";
                open = index < 3;
            }
            open &= index < 3;
            text += &format!(" {id}");
        }
        text.parse().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn changing_the_layout_changes_nothing(first in plans(), then in prop::collection::vec(plans(), 1..20)) {
        let mut script = Script::of(then);
        let packets = 20_000;
        let (outcome, rows) =
            go(&make, &first.to_string(), &mut graph(make), Traffic::to(packets), Some(&mut script));
        prop_assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        prop_assert_eq!(&script.refused, &Vec::<String>::new());
        prop_assert_eq!(outcome.packets, packets);
        prop_assert!(rows == expected(packets), "results differ");
    }
}

/// Makes streams that panic at some packets, once each: a bit is set in `raised` for each that has.
fn panicking(
    panics: &[u64],
    raised: &Arc<AtomicU64>,
) -> impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError> + Sync + use<> {
    let (panics, raised) = (Arc::new(panics.to_vec()), raised.clone());
    move |id: &str| match id {
        "streams" => {
            let (panics, raised) = (panics.clone(), raised.clone());
            Ok(Box::new(Streams::panicking(panics, raised)) as Box<dyn Brick>)
        }
        other => make(other),
    }
}

#[test]
fn a_brick_with_state_that_panics_goes_on_from_its_checkpoint() {
    for checkpoint in [1, 20_000, 10_000_000] {
        for layout in LAYOUTS {
            let make = panicking(&[0, 3, 500, 600, 7777, 19_999], &Arc::default());
            let source = Traffic::to(20_000);
            let (outcome, rows) = go_kept(&make, layout, &mut graph(&make), source, None, Some(checkpoint));
            assert!(outcome.fault.is_none(), "{layout} {checkpoint}: {:?}", outcome.fault);
            assert_eq!(outcome.restarts, 6, "{layout}");
            assert!(rows == expected(20_000), "{layout} {checkpoint}: results differ");
        }
    }
}

#[test]
fn without_checkpoints_it_ends_the_run_behind_whole_results() {
    for layout in LAYOUTS {
        let make = panicking(&[5000], &Arc::default());
        let (outcome, rows) = go(&make, layout, &mut graph(&make), Traffic::to(20_000), None);
        let message = outcome.fault.unwrap().to_string();
        assert!(message.starts_with("brick `streams` panicked (bad packet)"), "{message}");
        assert!(rows.len() <= 5000 && rows == expected(20_000)[..rows.len()], "{layout}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn panics_while_slots_move_change_nothing(
        then in prop::collection::vec(plans(), 1..20), panics in prop::collection::vec((0_u64..500).prop_map(|at| at * 40), 1..40), checkpoint in 1_usize..200_000,
    ) {
        let raised = Arc::default();
        let make = panicking(&panics, &raised);
        let mut script = Script::of(then);
        let (outcome, rows) =
            go_kept(&make, LAYOUTS[0], &mut graph(&make), Traffic::to(20_000), Some(&mut script), Some(checkpoint));
        prop_assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        prop_assert_eq!(outcome.restarts, u64::from(raised.load(Ordering::Relaxed).count_ones()));
        prop_assert!(outcome.restarts > 0 && rows == expected(20_000), "results differ");
    }
}

/// The brick has a worker of its own, which begins batches before others are answered.
const APART: &str = "source stamp | streams | blend smooth sink";

/// Runs from one layout through others with streams elsewhere, which are lost at some calls.
fn go_elsewhere(layout: &str, script: &mut Script, losses: &Arc<Losses>, checkpoint: usize) -> Outcome {
    let make = |id: &str| match id {
        "streams" => Ok(Box::new(Elsewhere::new(losses)) as Box<dyn Brick>),
        other => make(other),
    };
    let (outcome, rows) =
        go_kept(&make, layout, &mut graph(make), Traffic::to(20_000), Some(script), Some(checkpoint));
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    assert_eq!(outcome.losses.count, losses.count.load(Ordering::Relaxed));
    assert!(rows == expected(20_000), "results differ");
    outcome
}

#[test]
fn bricks_elsewhere_work_while_answers_are_awaited() {
    for layout in [APART, LAYOUTS[0], LAYOUTS[1], LAYOUTS[3]] {
        let losses = Losses::at(Vec::new());
        go_elsewhere(layout, &mut Script::of([]), &losses, 1 << 30);
        assert!(losses.ahead.load(Ordering::Relaxed) > 0, "{layout}: no call is begun ahead");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any calls are lost, also some that were begun before others were answered.
    #[test]
    fn lost_bricks_change_nothing(
        first in prop::sample::select([&[APART], &LAYOUTS[..]].concat()), then in prop::collection::vec(plans(), 0..12),
        at in prop::collection::vec(0_u64..2000, 0..12), checkpoint in 1_usize..200_000,
    ) {
        go_elsewhere(first, &mut Script::of(then), &Losses::at(at), checkpoint);
    }
}

/// Makes streams that panic when some of their state moves.
fn mined(mines: &Arc<StateMines>) -> impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError> + Sync + use<> {
    let mines = mines.clone();
    move |id: &str| match id {
        "streams" => Ok(MinedState::of(Box::<Streams>::default(), &mines)),
        other => make(other),
    }
}

/// Runs from one layout through others with streams among mines, with checkpoints or not.
fn go_mined(
    mines: &Arc<StateMines>,
    plans: &[&str],
    checkpoint: Option<usize>,
) -> (Outcome, Vec<(u64, u64)>) {
    let make = mined(mines);
    let mut script = Script::of(plans.iter().map(|plan| plan.parse::<Plan>().unwrap()));
    let traffic = Traffic { until: Some(script.done.clone()), ..Traffic::to(u64::MAX) };
    go_kept(&make, LAYOUTS[1], &mut graph(&make), traffic, Some(&mut script), checkpoint)
}

#[test]
fn a_brick_that_panics_while_its_state_moves_goes_on_from_its_checkpoint() {
    let mines = Arc::new(StateMines::each(3));
    for checkpoint in [1, 20_000, 10_000_000] {
        let before = mines.raised();
        let (outcome, rows) = go_mined(&mines, &LAYOUTS, Some(checkpoint));
        assert!(outcome.fault.is_none(), "{checkpoint}: {:?}", outcome.fault);
        // Copies panic, too.
        assert!(outcome.restarts >= mines.raised() - before && mines.raised() > 0, "{}", outcome.restarts);
        assert!(rows == expected(outcome.packets), "{checkpoint}: results differ");
    }
}

#[test]
fn state_that_cannot_move_ends_the_run_in_one_line_behind_whole_results() {
    for (mines, checkpoint) in [(StateMines::each(7), None), (StateMines::always(7), Some(20_000))] {
        let (outcome, rows) = go_mined(&Arc::new(mines), &[LAYOUTS[4], LAYOUTS[0]], checkpoint);
        let message = outcome.fault.unwrap().to_string();
        let words = "brick `streams`: its state cannot move to another replica: it panicked (a mine)";
        assert!(message.starts_with(words) && !message.contains('\n'), "{message}");
        assert!(rows == expected(rows.len() as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn panics_of_state_on_the_move_change_nothing(
        then in prop::collection::vec(plans(), 1..20), every in 1_u64..6, checkpoint in 1_usize..200_000,
    ) {
        let mines = Arc::new(StateMines::each(every));
        let make = mined(&mines);
        let mut script = Script::of(then);
        let (outcome, rows) =
            go_kept(&make, LAYOUTS[0], &mut graph(&make), Traffic::to(20_000), Some(&mut script), Some(checkpoint));
        prop_assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        prop_assert!(outcome.restarts >= mines.raised() && rows == expected(20_000), "results differ");
    }
}
