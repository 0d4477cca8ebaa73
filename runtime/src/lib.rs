//! Runs graphs of bricks: reads their description, checks it, and moves batches through it.
//!
//! A graph file (TOML, [`GraphSpec`]) lists ports, models, and bricks with an `id`, a `kind` of the catalogue, a
//! configuration and the `next` brick. [`Graph::assemble`] checks everything before anything runs. [`run`] then moves pooled
//! batches from a source through the bricks to a sink. A [`Layout`] says which bricks share a worker and how many workers share
//! the batches of a stage; with [`run_under`], a [`Control`] changes it while batches flow.
//!
//! All layouts give the same results. Each brick with state, and the sink, sees the same batches in the same order. Replicas of
//! a stateless brick take any batch. Replicas of a keyed brick ([`WestEast`](legonf_core::WestEast)) see the packets of the
//! slots that they own.
//!
//! ```
//! use legonf_core::{
//!     Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Fault, Handle, Headers, Progress, Sink,
//!     Source, State,
//! };
//! use legonf_runtime::{Graph, GraphSpec, Options, run};
//! use std::sync::atomic::AtomicBool;
//!
//! const LENGTHS: ColumnSpec = ColumnSpec::scalar("lengths", Element::U32);
//!
//! /// Fills the length of each packet.
//! #[derive(Default)]
//! struct Lengths(Handle<Vec<u32>>);
//!
//! impl Brick for Lengths {
//!     fn descriptor(&self) -> Descriptor {
//!         let (reads, writes) = (vec![ColumnSpec::HEADERS].into(), vec![LENGTHS].into());
//!         Descriptor { kind: "lengths", title: "lengths", reads, writes, state: State::Stateless }
//!     }
//!
//!     fn bind(&mut self, layout: &legonf_core::Layout) -> Result<(), BindError> {
//!         self.0 = layout.handle(&LENGTHS)?;
//!         Ok(())
//!     }
//!
//!     fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
//!         let lengths = batch.columns.get_mut(self.0);
//!         lengths.clear();
//!         lengths.extend(batch.headers.iter().map(|headers| headers.wire_len));
//!         Ok(())
//!     }
//! }
//!
//! /// A source of three packets.
//! struct Three(bool);
//!
//! impl Source for Three {
//!     fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
//!         batch.clear();
//!         if !std::mem::replace(&mut self.0, true) {
//!             batch.headers.extend((0..3).map(|seq| Headers { seq, wire_len: 60, ..Headers::default() }));
//!         }
//!         Ok(())
//!     }
//!
//!     fn progress(&self) -> Progress {
//!         Progress::default()
//!     }
//! }
//!
//! /// A sink that adds lengths up.
//! #[derive(Default)]
//! struct Sum(u32, Handle<Vec<u32>>);
//!
//! impl Sink for Sum {
//!     fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
//!         self.0 += batch.columns.get(self.1).iter().sum::<u32>();
//!         Ok(())
//!     }
//!
//!     fn bind(&mut self, layout: &legonf_core::Layout) -> Result<(), BindError> {
//!         self.1 = layout.handle(&LENGTHS)?;
//!         Ok(())
//!     }
//!
//!     fn finish(&mut self) -> Result<(), Fault> {
//!         Ok(())
//!     }
//! }
//!
//! let spec = GraphSpec::from_toml("name = \"lengths\"\n[[brick]]\nid = \"lengths\"\nkind = \"lengths\"\n")?;
//! let make = |_: &_| Ok::<_, String>(Box::<Lengths>::default() as Box<dyn Brick>);
//! let mut graph = Graph::assemble(&spec, &[ColumnSpec::HEADERS], &[LENGTHS], make)?;
//! let (layout, stop, mut sink) = ("pipeline".parse()?, AtomicBool::new(false), Sum::default());
//! let outcome = run(&mut graph, &mut Three(false), &mut sink, Options::new(&layout, &stop), &mut |_, _| {});
//! assert_eq!((outcome.packets, sink.0), (3, 180));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::vec_box, reason = "boxes go from queue to queue, and lists of them are kept for that")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ending;
mod exchange;
mod fault;
mod graph;
mod layout;
mod operator;
mod options;
mod outcome;
mod run;
mod state;
mod supervisor;
mod sync;
mod watchdog;
mod worker;

pub use ending::end_flows;
pub use exchange::{Partition, Undivided};
pub use fault::{PlanError, RunFault, SupplyError};
pub use graph::drawing::svg;
pub use graph::error::GraphError;
pub use graph::spec::{BrickSpec, GraphSpec, MAX_BRICKS};
pub use graph::{Graph, Node, Wanted, check};
pub use layout::{Layout, MAX_WORKERS};
pub use legonf_core::is_contained;
pub use options::{Options, Supplier, Supply, Time};
pub use outcome::{BrickCounters, Losses, Outcome, Pauses};
pub use run::{Control, run, run_under};
pub use state::{Inseparable, Stateful};
pub use watchdog::{End, Watchdog};
