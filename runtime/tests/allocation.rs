//! In steady state moving batches allocates nothing.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Count, graph, make, streams};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, DropReason, Fault, Handle,
    Layout as Columns, Progress, Sink, Source, State,
};
use legonf_runtime::{Graph, GraphSpec, Layout, Options, Supply, SupplyError, run};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Notes the allocations at the first batch behind `start` and at the last one.
struct Window {
    start: u64,
    first: Option<u64>,
    last: u64,
}

impl Sink for Window {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let now = legonf_allocations::allocations();
        if batch.headers[0].seq >= self.start {
            self.first.get_or_insert(now);
            self.last = now;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A source that once rests so long that every worker falls asleep: for the first time, that takes memory.
struct Rest<'a> {
    source: &'a mut dyn Source,
    rested: bool,
}

impl Source for Rest<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.progress().read_bytes > 10_000 && !std::mem::replace(&mut self.rested, true) {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.source.fill(batch)
    }

    fn progress(&self) -> Progress {
        self.source.progress()
    }
}

/// Drops every third packet.
#[derive(Default)]
struct Third(Handle<Vec<Disposition>>);

impl Brick for Third {
    fn descriptor(&self) -> Descriptor {
        let reads = vec![ColumnSpec::HEADERS, ColumnSpec::DISPOSITION].into();
        let writes = vec![ColumnSpec::DISPOSITION].into();
        Descriptor { kind: "third", title: "third", reads, writes, state: State::Stateless }
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0 = layout.handle(&ColumnSpec::DISPOSITION)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let thirds = batch.headers.iter().map(|headers| headers.seq % 3 == 0);
        for (disposition, _) in
            batch.columns.get_mut(self.0).iter_mut().zip(thirds).filter(|(_, third)| *third)
        {
            *disposition = Disposition::Drop(DropReason::Policy);
        }
        Ok(())
    }
}

fn make_dropping(id: &str) -> Result<Box<dyn Brick>, SupplyError> {
    if id == "third" { Ok(Box::<Third>::default()) } else { make(id) }
}

/// The graph third → square → scale.
fn dropping() -> Graph {
    let next = [("third", "square"), ("square", "scale")];
    let brick = |(id, next)| format!("[[brick]]\nid = \"{id}\"\nkind = \"k\"\nnext = \"{next}\"\n");
    let text = next.map(brick).concat() + "[[brick]]\nid = \"scale\"\nkind = \"k\"\n";
    let spec = GraphSpec::from_toml(&format!("name = \"t\"\n{text}")).unwrap();
    let given = &[ColumnSpec::HEADERS];
    Graph::assemble(&spec, given, &[common::FEATURES], |brick| make_dropping(&brick.id)).unwrap()
}

/// Allocations in 40,000 packets of a run.
fn allocations(layout: &Layout, graph: &mut Graph, supply: Supply<'_>, source: &mut dyn Source) -> u64 {
    let (stop, mut sink) = (AtomicBool::new(false), Window { start: 20_000, first: None, last: 0 });
    let options = Options { supply: Some(supply), ..Options::new(layout, &stop) };
    let outcome = run(graph, &mut Rest { source, rested: false }, &mut sink, options, &mut |_, _| {});
    assert_eq!(outcome.packets, 60_000);
    sink.last - sink.first.unwrap()
}

/// One test, for there is one counter.
#[test]
fn batches_on_their_way_allocate_nothing() {
    let replicated = "source | square x2 | scale sum | score smooth | sink".parse().unwrap();
    for layout in [Layout::Fused, Layout::Pipeline, Layout::Stages(replicated)] {
        let allocations = allocations(&layout, &mut graph(make), &make, &mut Count::to(60_000));
        // A queue of batches that wait for their turn may still grow, once, to its bound.
        assert!(allocations <= 4, "{allocations} allocations in 4,000 batches of {layout:?}");
    }
    for layout in [Layout::Fused, Layout::Pipeline] {
        let (mut graph, mut source) = (dropping(), Count::to(60_000));
        let allocations = allocations(&layout, &mut graph, &make_dropping, &mut source);
        assert!(
            allocations <= 4,
            "{allocations} allocations in 4,000 batches of {layout:?} that drop packets"
        );
    }
    for layout in
        ["source stamp | streams x3 | blend smooth sink", "source | stamp streams blend x2 | smooth sink"]
    {
        let (mut graph, mut source) = (streams::graph(streams::make), streams::Traffic::to(60_000));
        let allocations = allocations(&layout.parse().unwrap(), &mut graph, &streams::make, &mut source);
        // A sub-batch may still grow, to a batch, and there are as many as batches and replicas.
        assert!(allocations <= 300, "{allocations} allocations in 4,700 batches of {layout}");
    }
}
