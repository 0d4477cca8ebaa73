//! How long a batch may wait to be full goes from the control to the source.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Collect, Count, Script, expected, go_from, graph, make};
use legonf_core::{Batch, Fault, Plan, Progress, Snapshot, Source};
use legonf_runtime::{Control, Layout, PlanError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the source had been told at each batch.
type Told = Arc<Mutex<Vec<Option<Duration>>>>;

struct Listening {
    count: Count,
    hold: Option<Duration>,
    told: Told,
}

impl Source for Listening {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.told.lock().unwrap().push(self.hold);
        self.count.fill(batch)
    }

    fn progress(&self) -> Progress {
        self.count.progress()
    }

    fn hold(&mut self, patience: Duration) {
        self.hold = Some(patience);
    }
}

/// Lets packets wait for a millisecond, and for two once the source has given a batch.
struct Deadline {
    script: Script,
    told: Told,
    changed: bool,
}

impl Control for Deadline {
    fn period(&self) -> Duration {
        self.script.period
    }

    fn tick(&mut self, _: &mut Snapshot) -> Option<Plan> {
        let told = self.told.lock().unwrap();
        self.changed = !told.is_empty();
        self.script.done.store(told.last() == Some(&ms(2)), Ordering::Relaxed);
        None
    }

    fn hold(&self) -> Option<Duration> {
        ms(if self.changed { 2 } else { 1 })
    }

    fn applied(&mut self, _: &Plan, _: Duration, _: Result<(), &PlanError>) {}
}

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

fn run(layout: &Layout, count: Count, told: &Told, control: Option<&mut dyn Control>) {
    let source = Listening { count, hold: None, told: told.clone() };
    let (outcome, rows) = go_from(&make, layout, &mut graph(make), source, Collect::default(), control, None);
    assert!(outcome.fault.is_none() && rows == expected(outcome.packets));
}

#[test]
fn a_source_hears_the_deadline_before_its_first_batch_and_when_it_changes() {
    for layout in [Layout::Fused, Layout::Pipeline] {
        let told = Told::default();
        let mut deadline = Deadline { script: Script::of([]), told: told.clone(), changed: false };
        let until = Some(deadline.script.done.clone());
        run(&layout, Count { until, ..Count::to(u64::MAX) }, &told, Some(&mut deadline));
        let told = told.lock().unwrap();
        assert_eq!((told[0], *told.last().unwrap()), (ms(1), ms(2)));
        assert!(told.is_sorted());
    }
}

#[test]
fn without_a_deadline_that_is_left_to_the_source() {
    let told = Told::default();
    run(&Layout::Fused, Count::to(1000), &told, None);
    assert!(told.lock().unwrap().iter().all(Option::is_none));
}
