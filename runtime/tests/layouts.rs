//! The layout never shows in the results, however often it changes while packets flow.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Collect, Count, Script, Square, Sum, expected, go, go_with, graph, make};
use legonf_core::{Brick, Plan, Stage};
use legonf_runtime::{Layout, Outcome, RunFault};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A plan with cuts where the bits say so, and replicas of stages without state.
fn plan(cuts: u8, replicas: [usize; 5]) -> Plan {
    let bricks = ["source", "square", "scale", "sum", "score", "smooth", "sink"];
    let mut stages: Vec<Stage> = Vec::new();
    for (index, id) in bricks.into_iter().enumerate() {
        if index == 0 || cuts & (1 << index) != 0 {
            stages.push(Stage { bricks: Vec::new(), replicas: 1 });
        }
        stages.last_mut().unwrap().bricks.push(id.to_owned());
    }
    let stateless = |stage: &&mut Stage| {
        stage.bricks.iter().all(|id| ["square", "scale", "score"].contains(&id.as_str()))
    };
    for (stage, count) in stages.iter_mut().filter(stateless).zip(replicas) {
        stage.replicas = count;
    }
    Plan { stages, ..Plan::default() }
}

fn plans() -> impl Strategy<Value = Plan> {
    (any::<u8>(), prop::array::uniform5(1..4_usize)).prop_map(|(cuts, replicas)| plan(cuts, replicas))
}

fn squared(outcome: &Outcome) -> u64 {
    outcome.counters[0].counters.iter().map(|(_, value)| value).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_layout_gives_the_same_results(plan in plans(), packets in 0_u64..3000, batch in 1_usize..40) {
        let source = Count { batch, ..Count::to(packets) };
        let layout = Layout::Stages(plan.to_string().parse().unwrap());
        let (outcome, rows) = go(&layout, &mut graph(make), source, Collect::default(), None);
        prop_assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        prop_assert_eq!((outcome.packets, squared(&outcome)), (packets, packets));
        prop_assert_eq!(rows, expected(packets));
    }

    #[test]
    fn changing_the_layout_loses_and_reorders_nothing(first in plans(), then in prop::collection::vec(plans(), 1..30)) {
        let mut script = Script::of(then);
        let packets = 60_000;
        let (outcome, rows) =
            go(&Layout::Stages(first), &mut graph(make), Count::to(packets), Collect::default(), Some(&mut script));
        prop_assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        prop_assert_eq!(&script.refused, &Vec::<String>::new());
        prop_assert_eq!((outcome.packets, squared(&outcome)), (packets, packets));
        prop_assert!(rows == expected(packets), "results differ");
    }
}

/// Plan after plan under load, with bricks that panic in between, against one worker at the end.
fn soak(changes: u64) {
    const PANICS: [u64; 60] = {
        let (mut panics, mut i) = ([0; 60], 0);
        while i < 60 {
            panics[i] = 400 * i as u64 + 7;
            i += 1;
        }
        panics
    };
    let (raised, mut random) = (Arc::<AtomicU64>::default(), 1_u64);
    let supply = |id: &str| match id {
        "square" => Ok(Box::new(Square { panics: &PANICS, raised: raised.clone(), ..Square::default() })
            as Box<dyn Brick>),
        other => make(other),
    };
    let plans = (0..changes).map(|_| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        plan((random >> 40) as u8, [30, 33, 36, 39, 42].map(|shift| 1 + (random >> shift) as usize % 3))
    });
    let mut script = Script::of(plans);
    let source = Count { until: Some(script.done.clone()), ..Count::to(u64::MAX) };
    let (outcome, rows) = go_with(
        &supply,
        &Layout::Pipeline,
        &mut graph(supply),
        source,
        Collect::default(),
        Some(&mut script),
    );
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?} {:?}", outcome.fault, script.refused);
    assert_eq!(
        (script.applied as u64, outcome.restarts),
        (changes, raised.load(Ordering::Relaxed).count_ones().into())
    );
    assert!(outcome.packets > 0 && rows == expected(outcome.packets));
}

#[test]
fn hundreds_of_plans_and_panics_change_nothing() {
    soak(300);
}

#[test]
#[ignore = "long: a minute"]
fn many_thousands_of_plans_and_panics_change_nothing() {
    soak(50_000);
}

#[test]
fn plans_are_put_into_force_while_packets_flow() {
    let cuts = [0b111_1110, 0b000_1010, 0b100_1110, 0];
    let mut script = Script::of((0..40).map(|i| plan(cuts[i % 4], [1 + i % 3; 5])));
    let packets = 300_000;
    let (outcome, rows) =
        go(&Layout::Pipeline, &mut graph(make), Count::to(packets), Collect::default(), Some(&mut script));
    assert_eq!((outcome.packets, script.applied, script.refused.len()), (packets, 40, 0));
    assert!(rows == expected(packets));
    let last = script.snapshots.last().unwrap();
    assert_eq!((last.plan.clone(), last.workers.len()), (plan(0, [1; 5]), 1));
    assert_eq!((last.credits, last.stages.len()), (1, 1));
    let dropped: u64 = script.snapshots.iter().map(|snapshot| snapshot.dropped).sum();
    assert!(dropped > 0 && dropped <= packets / 10, "{dropped}");
    assert!(script.snapshots.iter().any(|s| s.done > 0 && s.workers.iter().any(|w| w.busy > 0.0)));
}

#[test]
fn a_plan_that_does_not_fit_leaves_the_one_before_in_force() {
    let bad = ["source | square | scale | sum x2 | score | smooth | sink", "source | nonsense | sink"];
    let mut script = Script::of(bad.map(|text| text.parse().unwrap()));
    let (outcome, rows) =
        go(&Layout::Fused, &mut graph(make), Count::to(100_000), Collect::default(), Some(&mut script));
    assert!(outcome.fault.is_none() && rows == expected(100_000));
    assert_eq!((script.applied, script.refused.len()), (0, 2));
    assert_eq!(
        script.snapshots.last().unwrap().plan.to_string(),
        "source square scale sum score smooth sink"
    );
}

#[test]
fn a_layout_that_does_not_fit_runs_nothing_and_keeps_the_bricks() {
    let layout = Layout::Stages("source | sum | sink".parse().unwrap());
    let mut graph = graph(make);
    let (outcome, rows) = go(&layout, &mut graph, Count::to(10), Collect::default(), None);
    assert!(rows.is_empty() && matches!(outcome.fault, Some(RunFault::Plan(_))));
    assert_eq!(graph.nodes().len(), 5);
    let (outcome, rows) = go(&Layout::Pipeline, &mut graph, Count::to(10), Collect::default(), None);
    assert!(outcome.fault.is_none() && rows == expected(10));
}

#[test]
fn a_damaged_input_loses_nothing_before_the_damage() {
    for layout in [Layout::Fused, Layout::Pipeline] {
        let source = Count { damaged: true, ..Count::to(95) };
        let (outcome, rows) = go(&layout, &mut graph(make), source, Collect::default(), None);
        assert_eq!((outcome.packets, rows), (95, expected(95)));
        assert_eq!(outcome.fault.unwrap().to_string(), "cut off");
    }
}

#[test]
fn a_full_disk_ends_the_run() {
    for layout in [Layout::Fused, Layout::Pipeline] {
        let sink = Collect { room: Some(50), ..Collect::default() };
        let (outcome, rows) = go(&layout, &mut graph(make), Count::to(10_000), sink, None);
        assert_eq!((outcome.packets, rows), (50, expected(50)));
        assert!(matches!(outcome.fault, Some(RunFault::Sink(_))));
    }
}

/// All layouts that the fault tests run: in one worker, in one each, and with replicas.
fn layouts() -> [Layout; 3] {
    let replicated = "source | square x3 | scale | sum | score x2 | smooth sink".parse().unwrap();
    [Layout::Fused, Layout::Pipeline, Layout::Stages(replicated)]
}

#[test]
fn the_first_fault_ends_the_run_behind_whole_results() {
    for layout in layouts() {
        let failing = |id: &str| match id {
            "square" => Ok(Box::new(Square { fails_at: Some(41), ..Square::default() }) as Box<dyn Brick>),
            other => make(other),
        };
        let (source, sink) = (Count::to(40_000), Collect::default());
        let (outcome, rows) = go_with(&failing, &layout, &mut graph(failing), source, sink, None);
        assert_eq!((outcome.packets, rows), (40, expected(40)));
        assert_eq!(outcome.fault.unwrap().to_string(), "brick square: failed");
    }
}

#[test]
fn a_brick_that_panics_again_on_the_same_batch_is_named() {
    for layout in layouts() {
        let panicking = |id: &str| match id {
            "square" => {
                Ok(Box::new(Square { panics: &[41], always: true, ..Square::default() }) as Box<dyn Brick>)
            }
            other => make(other),
        };
        let (source, sink) = (Count::to(40_000), Collect::default());
        let (outcome, rows) = go_with(&panicking, &layout, &mut graph(panicking), source, sink, None);
        assert_eq!((outcome.packets, rows, outcome.restarts), (40, expected(40), 1));
        assert!(outcome.fault.unwrap().to_string().starts_with("brick `square` panicked (bad packet)"));
    }
}

#[test]
fn a_stateless_brick_that_panics_is_made_anew_and_the_answer_is_the_same() {
    for layout in layouts() {
        let raised = Arc::<AtomicU64>::default();
        let panicking = |id: &str| match id {
            "square" => {
                let raised = raised.clone();
                Ok(Box::new(Square { panics: &[7, 523, 9999], raised, ..Square::default() })
                    as Box<dyn Brick>)
            }
            other => make(other),
        };
        let (source, sink) = (Count::to(20_000), Collect::default());
        let (outcome, rows) = go_with(&panicking, &layout, &mut graph(panicking), source, sink, None);
        assert!(outcome.fault.is_none() && rows == expected(20_000), "{:?}", outcome.fault);
        assert_eq!(outcome.restarts, 3);
    }
}

#[test]
fn a_brick_with_state_that_panics_is_named_behind_whole_results() {
    for layout in layouts() {
        let panicking = |id: &str| match id {
            "sum" => Ok(Box::new(Sum { panics_at: Some(41), ..Sum::default() }) as Box<dyn Brick>),
            other => make(other),
        };
        let (outcome, rows) = go(&layout, &mut graph(panicking), Count::to(40_000), Collect::default(), None);
        assert_eq!((outcome.packets, rows), (40, expected(40)));
        assert!(outcome.fault.unwrap().to_string().contains("`sum` panicked (assertion"));
    }
}

#[test]
fn a_sink_that_panics_ends_the_run() {
    for layout in layouts() {
        let sink = Collect { panics: true, ..Collect::default() };
        let (outcome, rows) = go(&layout, &mut graph(make), Count::to(40_000), sink, None);
        assert!(rows.is_empty());
        assert_eq!(
            outcome.fault.unwrap().to_string().split(';').next(),
            Some("brick `sink` panicked (bad sink)")
        );
    }
}
