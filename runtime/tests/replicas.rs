//! Replicas of a brick with state give the answers of a single instance.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Script;
use common::streams::{Traffic, expected, go, graph, make};
use legonf_core::{Brick, Plan};
use proptest::prelude::*;

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
    let workers = |s: &legonf_core::Snapshot| s.of_stage(1).map(|worker| worker.packets).collect::<Vec<_>>();
    let busy = script.snapshots.iter().map(workers).filter(|packets| packets.iter().all(|n| *n > 0)).count();
    assert!(busy > 0, "no snapshot in which all three worked");
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
    let nobody = |_: &str| Err("nobody makes one".to_owned()) as Result<Box<dyn Brick>, String>;
    let (outcome, _) = go(&nobody, LAYOUTS[0], &mut graph(make), Traffic::to(10), None);
    assert!(outcome.fault.unwrap().to_string().contains("nobody makes one"));
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
