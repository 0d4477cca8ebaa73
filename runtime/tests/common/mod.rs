//! A graph of small bricks whose results depend on the order of all packets, and its ends.
#![allow(dead_code, missing_docs)]

pub mod losses;
pub mod mines;
pub mod streams;

use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Fault, Handle, Headers,
    Layout as Columns, Plan, Progress, Rows, Sink, Snapshot, Source, State, Tiles,
};
use legonf_runtime::{
    Control, Graph, GraphSpec, Layout, Options, Outcome, PlanError, Supply, SupplyError, run_under,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Packets up to `end`, in batches of changing size, then the end or a fault.
pub struct Count {
    pub next: u64,
    pub end: u64,
    pub damaged: bool,
    pub batch: usize,
    /// Ends the input before `end` once it is set.
    pub until: Option<Arc<AtomicBool>>,
}

impl Count {
    pub fn to(end: u64) -> Self {
        Self { next: 0, end, damaged: false, batch: 10, until: None }
    }
}

impl Source for Count {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let over = self.until.as_ref().is_some_and(|until| until.load(Ordering::Relaxed));
        self.end = if over { self.next } else { self.end };
        while self.next < self.end && batch.headers.len() < self.batch {
            batch.headers.push(Headers { seq: self.next, ..Headers::default() });
            self.next += 1;
        }
        if self.damaged && batch.headers.is_empty() { Err(Fault::new("cut off")) } else { Ok(()) }
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.next, total_bytes: Some(self.end) }
    }

    fn dropped(&self) -> u64 {
        self.next / 10
    }
}

pub const HEADERS: ColumnSpec = ColumnSpec::HEADERS;
pub const FEATURES: ColumnSpec = ColumnSpec::rows("features", Element::F64);
pub const MAPPED: ColumnSpec = ColumnSpec::rows("mapped", Element::F64Tiles);
pub const ERRORS: ColumnSpec = ColumnSpec::rows("errors", Element::F64Tiles);
pub const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);

/// Where the bricks here find the columns that their graph has.
#[derive(Clone, Copy, Default)]
pub struct Places {
    pub features: Handle<Rows>,
    pub mapped: Handle<Tiles>,
    pub errors: Handle<Tiles>,
    pub scores: Handle<Vec<f64>>,
}

impl Places {
    pub fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES).unwrap_or_default();
        self.mapped = layout.handle(&MAPPED).unwrap_or_default();
        self.errors = layout.handle(&ERRORS).unwrap_or_default();
        self.scores = layout.handle(&SCORES).unwrap_or_default();
        Ok(())
    }
}

fn descriptor(kind: &'static str, reads: ColumnSpec, writes: ColumnSpec, state: State) -> Descriptor {
    Descriptor { kind, title: kind, reads: vec![reads].into(), writes: vec![writes].into(), state }
}

/// Stateless: the feature of a packet is a function of its number. Panics or fails where it is told to.
#[derive(Default)]
pub struct Square {
    pub panics: &'static [u64],
    pub always: bool,
    pub fails_at: Option<u64>,
    pub seen: u64,
    /// Panics that were raised: each packet of `panics` raises one, in whichever replica.
    pub raised: Arc<AtomicU64>,
    pub at: Places,
}

impl Brick for Square {
    fn descriptor(&self) -> Descriptor {
        descriptor("square", HEADERS, FEATURES, State::Stateless)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.at.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let features = batch.columns.get_mut(self.at.features);
        features.reset(batch.headers.len(), 1);
        // Some batches take longer, so that those behind them overtake them in other replicas.
        if batch.headers.first().is_some_and(|header| header.seq % 64 < 3) {
            std::thread::sleep(Duration::from_micros(100));
        }
        for (header, row) in batch.headers.iter().zip(features.iter_mut()) {
            if let Some(at) = self.panics.iter().position(|seq| *seq == header.seq) {
                let first = self.raised.fetch_or(1 << at, Ordering::Relaxed) & (1 << at) == 0;
                assert!(!first && !self.always, "bad packet");
            }
            if Some(header.seq) == self.fails_at {
                return Err(BrickError { brick: "square", reason: "failed".into() });
            }
            row[0] = (header.seq as f64).sqrt();
            self.seen += 1;
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("squared", self.seen)]
    }
}

/// Stateless, and gives another answer when it runs twice on a packet.
#[derive(Default)]
pub struct Scale(Places);

impl Brick for Scale {
    fn descriptor(&self) -> Descriptor {
        descriptor("scale", FEATURES, FEATURES, State::Stateless)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let features = batch.columns.get_mut(self.0.features);
        features.as_mut_slice().iter_mut().for_each(|value| *value = *value * 0.75 + 1.0);
        Ok(())
    }
}

/// Stateful: decays and adds up, so that its result depends on every packet before and on the order.
#[derive(Default)]
pub struct Sum {
    pub total: f64,
    pub panics_at: Option<u64>,
    pub at: Places,
}

impl Brick for Sum {
    fn descriptor(&self) -> Descriptor {
        descriptor("sum", FEATURES, MAPPED, State::Keyed)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.at.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (features, mapped) = batch.columns.get_two(self.at.features, self.at.mapped);
        mapped.reset(features.len(), 1);
        for (index, row) in features.iter().enumerate() {
            assert_ne!(Some(batch.headers[index].seq), self.panics_at, "bad packet");
            self.total = self.total * 0.9 + row[0];
            mapped.row_mut(index).for_each(|cell| *cell = self.total);
        }
        Ok(())
    }
}

/// Stateless: a score of the sum.
#[derive(Default)]
pub struct Score(pub Places);

impl Brick for Score {
    fn descriptor(&self) -> Descriptor {
        descriptor("score", MAPPED, SCORES, State::Stateless)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (mapped, scores) = batch.columns.get_two(self.0.mapped, self.0.scores);
        scores.clear();
        scores.extend((0..mapped.len()).flat_map(|row| mapped.row(row)).map(f64::sin));
        Ok(())
    }
}

/// Stateful: the score with a part of the one before.
#[derive(Default)]
pub struct Smooth(f64, Places);

impl Brick for Smooth {
    fn descriptor(&self) -> Descriptor {
        descriptor("smooth", SCORES, SCORES, State::Keyed)
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.1.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        for score in batch.columns.get_mut(self.1.scores) {
            self.0 = *score + 0.5 * self.0;
            *score = self.0;
        }
        Ok(())
    }
}

/// Number and score of every packet, as they came.
#[derive(Default)]
pub struct Collect {
    pub rows: Vec<(u64, u64)>,
    pub room: Option<usize>,
    pub panics: bool,
    pub at: Places,
}

impl Sink for Collect {
    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.at.bind(layout)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        assert!(!self.panics, "bad sink");
        if self.room.is_some_and(|room| self.rows.len() >= room) {
            return Err(Fault::new("no space left"));
        }
        self.rows.extend(
            batch.headers.iter().zip(batch.columns.get(self.at.scores)).map(|(h, s)| (h.seq, s.to_bits())),
        );
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

pub fn make(id: &str) -> Result<Box<dyn Brick>, SupplyError> {
    Ok(match id {
        "square" => Box::<Square>::default(),
        "scale" => Box::<Scale>::default(),
        "sum" => Box::<Sum>::default(),
        "score" => Box::<Score>::default(),
        "smooth" => Box::<Smooth>::default(),
        other => return Err(SupplyError::new(format!("no brick {other}"))),
    })
}

const SPEC: &str = "name = \"t\"\n\
    [[brick]]\nid = \"square\"\nkind = \"k\"\nnext = \"scale\"\n\
    [[brick]]\nid = \"scale\"\nkind = \"k\"\nnext = \"sum\"\n[[brick]]\nid = \"sum\"\nkind = \"k\"\nnext = \"score\"\n\
    [[brick]]\nid = \"score\"\nkind = \"k\"\nnext = \"smooth\"\n[[brick]]\nid = \"smooth\"\nkind = \"k\"\n";

/// The graph square → scale → sum → score → smooth.
pub fn graph(make: impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError>) -> Graph {
    let spec = GraphSpec::from_toml(SPEC).unwrap();
    let (given, wanted) = (&[HEADERS], &[SCORES]);
    Graph::assemble(&spec, given, wanted, |brick| make(&brick.id)).unwrap()
}

/// Puts plans into force, one at each tick.
pub struct Script {
    pub plans: Vec<Plan>,
    pub applied: usize,
    pub refused: Vec<String>,
    pub snapshots: Vec<Snapshot>,
    pub period: Duration,
    /// Set when there is no plan left.
    pub done: Arc<AtomicBool>,
}

impl Script {
    pub fn of(plans: impl IntoIterator<Item = Plan>) -> Self {
        let mut plans: Vec<_> = plans.into_iter().collect();
        plans.reverse();
        Self {
            plans,
            applied: 0,
            refused: Vec::new(),
            snapshots: Vec::new(),
            period: Duration::from_micros(200),
            done: Arc::default(),
        }
    }
}

impl Control for Script {
    fn period(&self) -> Duration {
        self.period
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        self.snapshots.truncate(999);
        self.snapshots.push(snapshot.clone());
        let plan = self.plans.pop();
        self.done.store(plan.is_none(), Ordering::Relaxed);
        plan
    }

    fn applied(&mut self, plan: &Plan, _: Duration, result: Result<(), &PlanError>) {
        match result {
            Ok(()) => self.applied += 1,
            Err(error) => self.refused.push(format!("{plan}: {error}")),
        }
    }
}

/// Runs a graph and gives what came out.
pub fn go(
    layout: &Layout,
    graph: &mut Graph,
    source: Count,
    sink: Collect,
    control: Option<&mut dyn Control>,
) -> (Outcome, Vec<(u64, u64)>) {
    go_with(&make, layout, graph, source, sink, control)
}

/// [`go`] with replicas made by another supply.
pub fn go_with(
    supply: Supply<'_>,
    layout: &Layout,
    graph: &mut Graph,
    source: Count,
    sink: Collect,
    control: Option<&mut dyn Control>,
) -> (Outcome, Vec<(u64, u64)>) {
    go_from(supply, layout, graph, source, sink, control, None)
}

/// [`go_with`] from any source, and with checkpoints.
pub fn go_from(
    supply: Supply<'_>,
    layout: &Layout,
    graph: &mut Graph,
    mut source: impl Source,
    mut sink: Collect,
    control: Option<&mut dyn Control>,
    checkpoint: Option<usize>,
) -> (Outcome, Vec<(u64, u64)>) {
    let stop = AtomicBool::new(false);
    let options = Options { queue: 2, supply: Some(supply), checkpoint, ..Options::new(layout, &stop) };
    let outcome = run_under(control, graph, &mut source, &mut sink, options, &mut |_, _| {});
    (outcome, sink.rows)
}

/// What a single worker gives.
pub fn expected(packets: u64) -> Vec<(u64, u64)> {
    go(&Layout::Fused, &mut graph(make), Count::to(packets), Collect::default(), None).1
}
