//! Bricks that panic, hang or answer too little, and workers that die: the run ends with a name, and never hangs.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Collect, Count, Score, Script, Square, expected, go_with, graph, make, streams};
use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Division, Fault, Layout as Columns, Plan, Progress,
    Rows, Sink, Snapshot, Source, Storage, WestEast, typed,
};
use legonf_runtime::{
    Control, Layout, Options, Outcome, PlanError, RunFault, Supply, SupplyError, Watchdog, run_under,
};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// In one worker, in one each, and with replicas.
fn layouts() -> [Layout; 3] {
    let replicated = "source | square x3 | scale | sum | score x2 | smooth sink".parse().unwrap();
    [Layout::Fused, Layout::Pipeline, Layout::Stages(replicated)]
}

/// Makes `id` by `other`, and all other bricks as usual.
fn with<'a>(
    id: &'a str,
    other: impl Fn() -> Result<Box<dyn Brick>, SupplyError> + Sync + 'a,
) -> impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError> + Sync + 'a {
    move |wanted: &str| if wanted == id { other() } else { make(wanted) }
}

/// What a watchdog was told.
#[derive(Default)]
struct Told {
    faults: Mutex<Vec<(String, u64, bool)>>,
    /// Lets what hangs go on: by it a test ends that in a process would end with that.
    released: AtomicBool,
}

impl Told {
    fn end(&self, fault: &RunFault, packets: u64, sink: Option<&mut dyn Sink>) {
        self.faults.lock().unwrap().push((fault.to_string(), packets, sink.is_some()));
        self.released.store(true, Ordering::Relaxed);
    }

    fn hang(&self) {
        while !self.released.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The only fault.
    fn fault(&self) -> (String, u64, bool) {
        let faults = self.faults.lock().unwrap();
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].clone()
    }
}

/// A short time without a step, so that tests are short. Nothing here takes so long at one batch but what hangs.
const AFTER: Duration = Duration::from_millis(700);

struct Case<'a> {
    supply: Supply<'a>,
    layout: &'a Layout,
    told: &'a Told,
    stop: &'a AtomicBool,
}

impl Case<'_> {
    fn run(
        &self,
        graph: &mut legonf_runtime::Graph,
        source: &mut dyn Source,
        control: Option<&mut dyn Control>,
    ) -> (Outcome, Vec<(u64, u64)>) {
        let end =
            |fault: &RunFault, packets: u64, sink: Option<&mut dyn Sink>| self.told.end(fault, packets, sink);
        let watchdog = Some(Watchdog { after: AFTER, hurry: Some(self.stop), end: &end });
        let options =
            Options { queue: 2, supply: Some(self.supply), watchdog, ..Options::new(self.layout, self.stop) };
        let mut sink = Collect::default();
        let outcome = run_under(control, graph, source, &mut sink, options, &mut |_, _| {});
        (outcome, sink.rows)
    }
}

/// Hangs at a packet.
struct Hang<'a>(&'a Told, u64, Square);

impl Brick for Hang<'_> {
    fn descriptor(&self) -> Descriptor {
        self.2.descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.2.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if batch.headers.iter().any(|headers| headers.seq == self.1) {
            self.0.hang();
        }
        self.2.process(batch)
    }
}

#[test]
fn a_brick_that_hangs_is_named_and_what_came_before_is_whole() {
    static TOLD: [Told; 3] = [const { told() }, const { told() }, const { told() }];
    for (layout, told) in layouts().iter().zip(&TOLD) {
        let supply = with("square", || Ok(Box::new(Hang(told, 41, Square::default()))));
        let case = Case { supply: &supply, layout, told, stop: &AtomicBool::new(false) };
        let (outcome, rows) = case.run(&mut graph(&supply), &mut Count::to(40_000), None);
        let (fault, packets, sink) = told.fault();
        assert!(
            fault.starts_with("brick `square` in worker ")
                && fault.ends_with("has been at one batch for 0 s")
        );
        assert_eq!((packets, rows, sink), (40, expected(40), *layout != Layout::Fused), "{fault}");
        assert_eq!(outcome.fault.unwrap().to_string(), fault);
    }
}

const fn told() -> Told {
    Told { faults: Mutex::new(Vec::new()), released: AtomicBool::new(false) }
}

#[test]
fn a_brick_that_hangs_while_the_layout_changes_is_named() {
    static TOLD: Told = told();
    let supply = with("square", || Ok(Box::new(Hang(&TOLD, 4000, Square::default()))));
    let stop = AtomicBool::new(false);
    let case = Case { supply: &supply, layout: &Layout::Pipeline, told: &TOLD, stop: &stop };
    let plans =
        ["source square scale sum score smooth sink", "source | square x2 | scale sum score smooth | sink"];
    let mut script = Script::of((0..10_000).map(|at| plans[at % 2].parse::<Plan>().unwrap()));
    let (outcome, rows) = case.run(&mut graph(&supply), &mut Count::to(u64::MAX), Some(&mut script));
    assert!(TOLD.fault().0.starts_with("brick `square` in worker "));
    assert!(outcome.fault.is_some() && rows == expected(rows.len() as u64) && rows.len() <= 4000);
}

#[test]
fn a_source_that_waits_is_no_fault_until_the_run_is_to_end() {
    struct Waits<'a>(&'a Told, Count, &'a AtomicBool);
    impl Source for Waits<'_> {
        fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
            match self.1.next {
                100 => thread::sleep(AFTER * 2),
                500 => {
                    self.2.store(true, Ordering::Relaxed);
                    self.0.hang();
                }
                _ => {}
            }
            self.1.fill(batch)
        }
        fn progress(&self) -> Progress {
            self.1.progress()
        }
    }
    static TOLD: Told = told();
    let stop = AtomicBool::new(false);
    let case = Case { supply: &make, layout: &Layout::Pipeline, told: &TOLD, stop: &stop };
    let (outcome, rows) = case.run(&mut graph(make), &mut Waits(&TOLD, Count::to(1000), &stop), None);
    let (fault, packets, sink) = TOLD.fault();
    assert!(fault.starts_with("`source` in worker 0 has been at one batch"), "{fault}");
    assert_eq!((packets, sink, outcome.stopped), (500, true, true));
    assert!(rows.len() >= 500 && rows == expected(rows.len() as u64));
}

/// Streams that hang, or answer too little, where they are told to.
struct Odd<'a> {
    inner: streams::Streams,
    told: &'a Told,
    /// Hangs when state is taken out.
    hangs: bool,
    /// Gives a row less.
    short: bool,
}

impl Brick for Odd<'_> {
    fn descriptor(&self) -> Descriptor {
        self.inner.descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.inner.process(batch)
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        Some(self)
    }
}

impl WestEast for Odd<'_> {
    fn division(&self) -> Division {
        self.inner.division()
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        self.inner.divide(parts)
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        self.inner.process_part(part, batch, places, rows)?;
        if self.short && batch.headers.iter().any(|headers| headers.seq > 1000) {
            let rows: &mut Rows = typed(rows).unwrap();
            rows.reset(places.len() - 1, rows.width());
        }
        Ok(())
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        if self.hangs {
            self.told.hang();
        }
        self.inner.export(part, slots)
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.inner.copy(part, slots)
    }

    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError> {
        self.inner.import(part, state)
    }
}

fn odd(
    hangs: bool,
    short: bool,
    told: &'static Told,
) -> impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError> + Sync {
    move |id: &str| match id {
        "streams" => Ok(Box::new(Odd { inner: streams::Streams::default(), told, hangs, short })),
        other => streams::make(other),
    }
}

#[test]
fn a_replica_that_hangs_while_slots_move_is_named() {
    static TOLD: Told = told();
    let supply = odd(true, false, &TOLD);
    let layout = "source stamp | streams x2 | blend smooth sink".parse().unwrap();
    let case = Case { supply: &supply, layout: &layout, told: &TOLD, stop: &AtomicBool::new(false) };
    // At the start state has no owner yet, but the third replica gets some of the others'.
    TOLD.released.store(true, Ordering::Relaxed);
    let mut script = Script::of(["source stamp | streams x3 | blend smooth sink".parse().unwrap()]);
    struct Late<'a>(&'a mut Script, u32);
    impl Control for Late<'_> {
        fn period(&self) -> Duration {
            Duration::from_millis(1)
        }
        fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
            self.1 += 1;
            if self.1 < 20 {
                return None;
            }
            TOLD.released.store(self.1 > 20, Ordering::Relaxed);
            self.0.tick(snapshot)
        }
        fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
            self.0.applied(plan, took, result);
        }
    }
    let mut source = streams::Traffic::to(u64::MAX);
    let (outcome, rows) =
        case.run(&mut streams::graph(&supply), &mut source, Some(&mut Late(&mut script, 0)));
    let fault = TOLD.fault().0;
    assert!(fault.starts_with("brick `streams` in worker "), "{fault}");
    assert!(outcome.fault.is_some() && !rows.is_empty() && rows == streams::expected(rows.len() as u64));
}

#[test]
fn a_brick_that_hangs_in_the_hands_of_the_supervisor_is_named() {
    static TOLD: Told = told();
    let supply = odd(true, false, &TOLD);
    // At the start the state of one brick goes to two.
    let layout = "source stamp | streams x2 | blend smooth sink".parse().unwrap();
    let case = Case { supply: &supply, layout: &layout, told: &TOLD, stop: &AtomicBool::new(false) };
    let (outcome, rows) = case.run(&mut streams::graph(&supply), &mut streams::Traffic::to(20_000), None);
    let (fault, _, sink) = TOLD.fault();
    assert!(fault.starts_with("brick `streams` in the supervisor has been at one batch for "), "{fault}");
    assert!(!sink && rows == streams::expected(rows.len() as u64) && outcome.packets == rows.len() as u64);
}

#[test]
fn a_brick_that_panics_while_it_is_made_anew_is_named() {
    for layout in layouts() {
        let made = AtomicUsize::new(0);
        let supply = with("square", || {
            let first = made.fetch_add(1, Ordering::Relaxed) < 3;
            assert!(first, "no more");
            Ok(Box::new(Square { panics: &[41], always: true, ..Square::default() }))
        });
        // The graph has one, a layout with replicas two more.
        let mut graph = graph(&supply);
        made.store(if layout == layouts()[2] { 1 } else { 3 }, Ordering::Relaxed);
        let (outcome, rows) =
            go_with(&supply, &layout, &mut graph, Count::to(40_000), Collect::default(), None);
        let words = "brick `square` panicked (bad packet, and cannot be made anew: that panicked (no more))";
        assert!(outcome.fault.unwrap().to_string().starts_with(words));
        assert_eq!((rows, outcome.restarts), (expected(40), 0));
    }
}

#[test]
fn a_replica_that_cannot_be_made_leaves_the_plan_in_force() {
    let made = AtomicUsize::new(0);
    let supply = with("square", || {
        assert!(made.fetch_add(1, Ordering::Relaxed) == 0, "not\na second one");
        make("square")
    });
    let mut script = Script::of(["source | square x2 | scale sum score smooth | sink".parse().unwrap()]);
    let mut graph = graph(&supply);
    let source = Count { until: Some(script.done.clone()), ..Count::to(u64::MAX) };
    let (outcome, rows) =
        go_with(&supply, &Layout::Pipeline, &mut graph, source, Collect::default(), Some(&mut script));
    assert!(outcome.fault.is_none() && rows == expected(outcome.packets));
    let words = "a replica of brick `square` cannot be made: that panicked (not; a second one)";
    assert!(script.refused.len() == 1 && script.refused[0].ends_with(words), "{:?}", script.refused);
}

#[test]
fn a_worker_that_dies_outside_of_a_brick_ends_the_run() {
    struct Dies(Count);
    impl Source for Dies {
        fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
            self.0.fill(batch)
        }
        fn progress(&self) -> Progress {
            assert!(self.0.next < 500, "no progress");
            self.0.progress()
        }
    }
    let told = Told::default();
    for (layout, bricks) in
        layouts().iter().zip(["source square scale sum score smooth sink", "source", "source"])
    {
        let case = Case { supply: &make, layout, told: &told, stop: &AtomicBool::new(false) };
        let (outcome, rows) = case.run(&mut graph(make), &mut Dies(Count::to(40_000)), None);
        let words = format!("the worker of `{bricks}` panicked (no progress); please report this");
        let fault = outcome.fault.unwrap().to_string();
        assert!(fault.starts_with(&words) && told.faults.lock().unwrap().is_empty(), "{fault}");
        assert!(rows.len() <= 500 && rows == expected(rows.len() as u64));
    }
}

#[test]
fn a_replica_that_dies_outside_of_a_brick_ends_the_run() {
    /// Its counters are fine, and its size is not.
    struct Sizeless(Box<dyn Brick>);
    impl Brick for Sizeless {
        fn descriptor(&self) -> Descriptor {
            self.0.descriptor()
        }
        fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
            self.0.bind(layout)
        }
        fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
            self.0.process(batch)
        }
        fn state_size(&self) -> u64 {
            panic!("no size")
        }
    }
    let supply = |id: &str| match id {
        "blend" => Ok(Box::new(Sizeless(streams::make(id)?)) as Box<dyn Brick>),
        other => streams::make(other),
    };
    for layout in
        ["source stamp | streams blend x2 | smooth sink", "source stamp | streams x2 | blend | smooth sink"]
    {
        // Sizes are asked for by a control.
        let mut script = Script::of([]);
        let (outcome, rows) = streams::go(
            &supply,
            layout,
            &mut streams::graph(supply),
            streams::Traffic::to(u64::MAX),
            Some(&mut script),
        );
        let fault = outcome.fault.unwrap().to_string();
        assert!(
            fault.contains("blend` panicked (no size)") && fault.starts_with("the worker of `"),
            "{fault}"
        );
        assert!(rows == streams::expected(rows.len() as u64));
    }
}

#[test]
fn a_control_that_panics_ends_the_run() {
    struct Bad;
    impl Control for Bad {
        fn period(&self) -> Duration {
            Duration::from_millis(1)
        }
        fn tick(&mut self, _: &mut Snapshot) -> Option<Plan> {
            panic!("no decision")
        }
        fn applied(&mut self, _: &Plan, _: Duration, _: Result<(), &PlanError>) {}
    }
    for layout in layouts() {
        let (source, sink) = (Count::to(u64::MAX), Collect::default());
        let (outcome, rows) = go_with(&make, &layout, &mut graph(make), source, sink, Some(&mut Bad));
        assert!(outcome.fault.unwrap().to_string().starts_with("the supervisor panicked (no decision)"));
        assert!(rows == expected(rows.len() as u64));
    }
}

/// Gives fewer scores than there are packets, or more.
struct Miscounts(bool, Score);

impl Brick for Miscounts {
    fn descriptor(&self) -> Descriptor {
        self.1.descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.1.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.1.process(batch)?;
        let scores = batch.columns.get_mut(self.1.0.scores);
        match batch.headers[0].seq {
            ..40 => {}
            _ if self.0 => scores.push(1.0),
            _ => scores.truncate(3),
        }
        Ok(())
    }
}

#[test]
fn a_brick_that_answers_too_little_or_too_much_is_named() {
    for layout in layouts() {
        for (more, words) in
            [(false, "score: gave 3 scores for 10 packets"), (true, "score: gave 11 scores for 10 packets")]
        {
            let supply = with("score", || Ok(Box::new(Miscounts(more, Score::default()))));
            let (outcome, rows) =
                go_with(&supply, &layout, &mut graph(&supply), Count::to(40_000), Collect::default(), None);
            assert_eq!(outcome.fault.unwrap().to_string(), format!("brick {words}"));
            assert_eq!(rows, expected(40));
        }
    }
    static TOLD: Told = told();
    let supply = odd(false, true, &TOLD);
    let layout = "source stamp | streams x2 | blend smooth sink";
    let (outcome, rows) =
        streams::go(&supply, layout, &mut streams::graph(&supply), streams::Traffic::to(20_000), None);
    let fault = outcome.fault.unwrap().to_string();
    assert!(fault.starts_with("brick streams: gave ") && fault.contains(" rows of 3 cells for "), "{fault}");
    assert!(rows == streams::expected(rows.len() as u64));
}
