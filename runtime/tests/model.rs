//! Queues, replicas, order and changes of the layout under a model checker: many schedules of the same small run, each of
//! which ends, and gives the same results.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::losses::{Elsewhere, Losses};
use common::{Collect, Count, Script, go_with, graph, make, streams};
use legonf_core::{Batch, Brick, Layout as Columns, Plan};
use legonf_runtime::Layout;
use shuttle::rand::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What one worker gives for 40 packets, computed outside of the model.
fn expected(packets: u64) -> Vec<(u64, u64)> {
    let (mut total, mut smooth) = (0.0, 0.0);
    let row = |seq: u64| {
        total = total * 0.9 + ((seq as f64).sqrt() * 0.75 + 1.0);
        smooth = f64::sin(total) + 0.5 * smooth;
        (seq, f64::to_bits(smooth))
    };
    (0..packets).map(row).collect()
}

/// Runs 40 packets in batches of 4 in a layout that changes.
fn run(layout: &str, plans: &[&str]) -> usize {
    let layout: Layout = layout.parse().unwrap();
    let mut script = Script::of(plans.iter().map(|plan| plan.parse::<Plan>().unwrap()));
    // Time does not pass in the model: each look is a tick.
    script.period = Duration::ZERO;
    let source = Count { batch: 4, ..Count::to(40) };
    let (outcome, rows) =
        go_with(&make, &layout, &mut graph(make), source, Collect::default(), Some(&mut script));
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    assert_eq!(rows, expected(40));
    script.applied
}

const REPLICATED: &str = "source | square x3 | scale sum | score x2 | smooth sink";
const FUSED: &str = "source square scale sum score smooth sink";
/// Behind replicas, so that batches wait for their turn while bricks that some have passed move.
const APART: &str = "source | square x3 | scale | sum | score smooth | sink";
const TOGETHER: &str = "source | square x3 | scale sum | score smooth | sink";
const PIPELINE: &str = "source | square | scale | sum | score | smooth | sink";

#[test]
fn replicas_lose_and_reorder_nothing_in_any_schedule() {
    shuttle::check_random(|| _ = run(REPLICATED, &[]), 300);
    shuttle::check_pct(|| _ = run(REPLICATED, &[]), 200, 4);
}

#[test]
fn changes_of_the_layout_lose_and_reorder_nothing_in_any_schedule() {
    static APPLIED: AtomicU64 = AtomicU64::new(0);
    let plans =
        [FUSED, REPLICATED, PIPELINE, "source square | scale x2 | sum score smooth | sink", REPLICATED];
    let once = move || {
        APPLIED.fetch_add(run(PIPELINE, &plans) as u64, Ordering::Relaxed);
    };
    shuttle::check_random(once, 300);
    shuttle::check_pct(once, 200, 4);
    assert!(APPLIED.load(Ordering::Relaxed) > 200, "{APPLIED:?}");
}

#[test]
fn batches_that_wait_while_bricks_move_pass_none_twice() {
    let once = || _ = run(APART, &[TOGETHER, APART, TOGETHER, APART]);
    shuttle::check_random(once, 500);
    shuttle::check_pct(once, 300, 4);
}

/// What one brick gives for packets between a few hosts, computed outside of the model.
fn expected_streams(packets: u64) -> Vec<(u64, u64)> {
    let mut bricks = ["stamp", "streams", "blend", "smooth"].map(|id| streams::make(id).unwrap());
    let columns = {
        let [stamp, streams, blend, smooth] = &mut bricks;
        Columns::binding(&mut [&mut **stamp, &mut **streams, &mut **blend, &mut **smooth]).unwrap()
    };
    let mut batch = Batch { headers: (0..packets).map(streams::packet).collect(), ..Batch::new(&columns) };
    bricks.iter_mut().for_each(|brick| brick.process(&mut batch).unwrap());
    let scores = batch.columns.get(columns.handle::<Vec<f64>>(&common::SCORES).unwrap());
    (0..packets).zip(scores).map(|(seq, score)| (seq, score.to_bits())).collect()
}

/// Runs 40 packets in a layout that changes; gives the plans that were put into force, and the packets that waited for
/// slots on the move.
fn run_streams(layout: &str, plans: &[&str], expected: &[(u64, u64)]) -> (u64, u64) {
    let mut script = Script::of(plans.iter().map(|plan| plan.parse::<Plan>().unwrap()));
    script.period = Duration::ZERO;
    let source = streams::Traffic { batch: 4, ..streams::Traffic::to(40) };
    let mut graph = streams::graph(streams::make);
    let (outcome, rows) = streams::go(&streams::make, layout, &mut graph, source, Some(&mut script));
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    assert_eq!(rows, expected);
    (script.applied as u64, outcome.pauses.packets)
}

const SHARED: &str = "source | stamp streams x3 | blend smooth sink";
const WHOLE: &str = "source | stamp streams blend x2 | smooth sink";

#[test]
fn the_parts_of_every_batch_are_joined_in_any_schedule() {
    let expected: &'static _ = Vec::leak(expected_streams(40));
    for layout in [SHARED, WHOLE] {
        shuttle::check_random(move || _ = run_streams(layout, &[], expected), 300);
        shuttle::check_pct(move || _ = run_streams(layout, &[], expected), 200, 4);
    }
}

#[test]
fn replicas_with_state_come_and_go_in_any_schedule() {
    static APPLIED: AtomicU64 = AtomicU64::new(0);
    static WAITED: AtomicU64 = AtomicU64::new(0);
    let expected: &'static _ = Vec::leak(expected_streams(40));
    let plans = [WHOLE, "source | stamp streams blend smooth sink", SHARED, WHOLE];
    let once = move || {
        let (applied, waited) = run_streams(SHARED, &plans, expected);
        APPLIED.fetch_add(applied, Ordering::Relaxed);
        WAITED.fetch_add(waited, Ordering::Relaxed);
    };
    shuttle::check_random(once, 300);
    shuttle::check_pct(once, 200, 4);
    assert!(APPLIED.load(Ordering::Relaxed) > 200, "{APPLIED:?}");
    assert!(WAITED.load(Ordering::Relaxed) > 200, "{WAITED:?}");
    println!("{APPLIED:?} plans, {WAITED:?} packets");
}

/// Instances of the streams' brick are lost at any calls: while they process packets, are checkpointed, are restored, or give and take slots.
#[test]
fn lost_instances_are_replaced_in_any_schedule() {
    static LOST: AtomicU64 = AtomicU64::new(0);
    static APPLIED: AtomicU64 = AtomicU64::new(0);
    let expected: &'static [_] = Vec::leak(expected_streams(40));
    let plans = [WHOLE, "source | stamp streams blend smooth sink", SHARED, WHOLE];
    let once = move || {
        let mut random = shuttle::rand::thread_rng();
        // Any calls: also some in turn, by which a new instance takes the place of one that was lost.
        let at = (0..6).map(|_| random.gen_range(2_u64..120)).collect();
        let losses = Losses::at(at);
        let supply = |id: &str| match id {
            "streams" => Ok(Box::new(Elsewhere::new(&losses)) as Box<dyn Brick>),
            other => streams::make(other),
        };
        let mut script = Script::of(plans.iter().map(|plan| plan.parse::<Plan>().unwrap()));
        script.period = Duration::ZERO;
        let source = streams::Traffic { batch: 4, ..streams::Traffic::to(40) };
        let mut graph = streams::graph(supply);
        let (outcome, rows) =
            streams::go_kept(&supply, SHARED, &mut graph, source, Some(&mut script), Some(1));
        assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        assert_eq!(rows, expected);
        assert_eq!(outcome.losses.count, losses.count.load(Ordering::Relaxed));
        LOST.fetch_add(outcome.losses.count, Ordering::Relaxed);
        APPLIED.fetch_add(script.applied as u64, Ordering::Relaxed);
    };
    shuttle::check_random(once, 500);
    shuttle::check_pct(once, 300, 4);
    assert!(LOST.load(Ordering::Relaxed) > 500, "{LOST:?}");
    assert!(APPLIED.load(Ordering::Relaxed) > 200, "{APPLIED:?}");
}

#[test]
fn the_first_fault_ends_every_schedule() {
    let once = || {
        let failing = |id: &str| match id {
            "square" => {
                Ok(Box::new(common::Square { fails_at: Some(17), ..Default::default() }) as Box<dyn Brick>)
            }
            other => make(other),
        };
        let source = Count { batch: 4, ..Count::to(40) };
        let layout: Layout = REPLICATED.parse().unwrap();
        let (outcome, rows) =
            go_with(&failing, &layout, &mut graph(failing), source, Collect::default(), None);
        assert_eq!(rows, expected(16));
        assert_eq!(outcome.fault.unwrap().to_string(), "brick square: failed");
    };
    shuttle::check_random(once, 200);
}
