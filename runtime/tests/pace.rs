//! Sources that wait: when they close a batch is up to the control, and nobody waits for them.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Collect, Count, Script, expected, go_from, graph, make};
use legonf_core::{Batch, Fault, Pace, Plan, Progress, Snapshot, Source};
use legonf_runtime::{Control, Layout, PlanError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the source had been told at each batch.
type Told = Arc<Mutex<Vec<Option<Pace>>>>;

struct Listening {
    count: Count,
    pace: Option<Pace>,
    told: Told,
}

impl Source for Listening {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.told.lock().unwrap().push(self.pace);
        self.count.fill(batch)
    }

    fn progress(&self) -> Progress {
        self.count.progress()
    }

    fn pace(&mut self, pace: Pace) {
        self.pace = Some(pace);
    }
}

/// Lets packets wait for a millisecond to be a hundred, and for two to be two hundred once the source has given a batch.
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
        self.script.done.store(told.last() == Some(&Some(pace(2))), Ordering::Relaxed);
        None
    }

    fn pace(&self) -> Pace {
        pace(if self.changed { 2 } else { 1 })
    }

    fn applied(&mut self, _: &Plan, _: Duration, _: Result<(), &PlanError>) {}
}

fn pace(ms: u64) -> Pace {
    Pace { full: 100 * ms as usize, patience: Some(Duration::from_millis(ms)) }
}

fn run(layout: &Layout, count: Count, told: &Told, control: Option<&mut dyn Control>) {
    let source = Listening { count, pace: None, told: told.clone() };
    let (outcome, rows) = go_from(&make, layout, &mut graph(make), source, Collect::default(), control, None);
    assert!(outcome.fault.is_none() && rows == expected(outcome.packets));
}

#[test]
fn a_source_hears_its_pace_before_its_first_batch_and_when_it_changes() {
    for layout in [Layout::Fused, Layout::Pipeline] {
        let told = Told::default();
        let mut deadline = Deadline { script: Script::of([]), told: told.clone(), changed: false };
        let until = Some(deadline.script.done.clone());
        run(&layout, Count { until, ..Count::to(u64::MAX) }, &told, Some(&mut deadline));
        let told = told.lock().unwrap();
        assert_eq!((told[0], *told.last().unwrap()), (Some(pace(1)), Some(pace(2))));
        assert!(told.is_sorted_by_key(|pace| pace.map(|pace| pace.full)));
    }
}

#[test]
fn without_a_control_that_is_left_to_the_source() {
    let told = Told::default();
    run(&Layout::Fused, Count::to(1000), &told, None);
    assert!(told.lock().unwrap().iter().all(Option::is_none));
}

/// Packets of which the second half comes only after all plans.
struct Silent {
    count: Count,
    done: Arc<AtomicBool>,
    idle: bool,
}

impl Source for Silent {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.idle = self.count.next >= self.count.end / 2 && !self.done.load(Ordering::Relaxed);
        if self.idle {
            std::thread::sleep(Duration::from_micros(100));
            return Ok(());
        }
        self.count.fill(batch)
    }

    fn progress(&self) -> Progress {
        self.count.progress()
    }

    fn is_idle(&self) -> bool {
        self.idle
    }
}

#[test]
fn plans_come_into_force_although_nothing_comes() {
    let plans = ["fused", "pipeline", "source square | scale sum score | smooth sink"];
    let plan = |text: &&str| text.parse::<Layout>().unwrap().plan(&graph(make));
    let mut script = Script::of(plans.iter().cycle().take(30).map(plan));
    let source = Silent { count: Count::to(2000), done: script.done.clone(), idle: false };
    let (layout, sink) = (Layout::Pipeline, Collect::default());
    let (outcome, rows) = go_from(&make, &layout, &mut graph(make), source, sink, Some(&mut script), None);
    assert!(outcome.fault.is_none() && script.refused.is_empty(), "{:?}", script.refused);
    assert_eq!((outcome.packets, script.applied), (2000, 30));
    assert!(rows == expected(2000));
}
