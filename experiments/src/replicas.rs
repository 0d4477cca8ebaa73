//! Replicas of an extractor in a run of the runtime, which gets its packets as they are pushed.

use crate::ends::{Item, Pushed, Take, Taker};
use crate::meter::{Meter, Metered};
use crate::steering::{EXTRACTOR, Order, Orders, Steering, layout};
use crate::{Clock, ExperimentError};
use legonf_core::Projector;
use legonf_core::{BATCH, Brick, ColumnSpec, Division, Headers, WestEast};
use legonf_extract::{Config, ExtractError, FEATURES, FeatureQuantization};
use legonf_runtime::{
    Control, Graph, GraphSpec, Layout, MAX_WORKERS, Options, Outcome, SupplyError, run_under,
};
use legonf_splitter::{Partitioner, Plan};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The most replicas: two workers more have the source and the sink.
pub const MOST: usize = MAX_WORKERS - 2;

/// Batches that are pushed and wait to be read.
const AHEAD: usize = 4;

/// How replicas are set up.
#[derive(Clone)]
pub struct Setup<'a> {
    /// The extractor.
    pub config: &'a Config,
    /// How its packets are split.
    pub plan: &'a Plan,
    /// Replicas. Where the plan keeps some group whole, only the first of them works.
    pub replicas: usize,
    /// Pairs of hosts whose packets go to the replicas of both directions, by hashes.
    pub copies: Option<(Projector, HashSet<u64>)>,
    /// Whether [orders](Replicas::order) will be given.
    pub steered: bool,
    /// Measures work in a thread.
    pub clock: Clock,
}

/// What replicas have cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Costs {
    /// Packets that came to each replica, by shard.
    pub packets: Vec<Vec<u64>>,
    /// Seconds of extraction of each replica, by shard; of a replica that is alone, all in the first.
    pub replica_seconds: Vec<Vec<f64>>,
}

/// What a run has found.
#[derive(Debug)]
pub struct Finished<T> {
    /// Who took the rows.
    pub taker: T,
    /// What it has cost.
    pub costs: Costs,
    /// Slots that moved.
    pub moved: u64,
}

/// A run that goes on. Where it is dropped it ends behind the packets pushed.
pub struct Replicas<T> {
    items: SyncSender<Item>,
    run: JoinHandle<(Outcome, T)>,
    orders: Arc<Orders>,
    meters: Arc<Supply>,
    /// Shards, and replicas that were asked for.
    shape: (usize, usize),
}

/// Makes the replicas.
struct Supply {
    config: Config,
    clock: Clock,
    shards: usize,
    meters: Mutex<Vec<Arc<Meter>>>,
}

impl Supply {
    fn make(&self) -> Result<Metered, ExtractError> {
        let (brick, meter) = (FeatureQuantization::new(&self.config)?, Meter::new(self.shards));
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).push(meter.clone());
        Ok(Metered { brick, meter, clock: self.clock })
    }

    fn meters(&self) -> Vec<Arc<Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Take> Replicas<T> {
    /// Starts a run: `source | extractor xN | sink`.
    ///
    /// # Errors
    /// If the plan is not for the extractor, the replicas are none or too many, the extractor cannot be made, or the system has no
    /// further thread.
    pub fn start(setup: &Setup<'_>, taker: T) -> Result<Self, ExperimentError> {
        let Setup { config, plan, replicas, copies, steered, clock } = setup.clone();
        if !(1..=MOST).contains(&replicas) {
            return Err(ExperimentError::Replicas(replicas));
        }
        let shards = plan.shards.len();
        let supply = Supply { config: config.clone(), clock, shards, meters: Mutex::default() };
        let supply = Arc::new(supply);
        let brick = supply.make()?;
        let partitioner = partitioner(&brick, plan, copies)?;
        let present = if partitioner.is_some() { replicas } else { 1 };
        let (items, receiver) = sync_channel(AHEAD);
        let orders = Arc::<Orders>::default();
        let source = Pushed::new(receiver, orders.clone());
        let steering = steered.then(|| Steering(orders.clone()));
        let run = Run { brick, supply: supply.clone(), partitioner, replicas: present, steering };
        let thread = std::thread::Builder::new().name("experiment".into());
        let run = thread.spawn(move || run.go(source, Taker::new(taker))).map_err(ExperimentError::Thread)?;
        Ok(Self { items, run, orders, meters: supply, shape: (shards, replicas) })
    }

    /// Takes the next packets, in the order of arrival. What a run that has ended would do with them does not matter any more:
    /// [`finish`](Self::finish) says why it has.
    pub fn push(&mut self, packets: &[Headers]) {
        for packets in packets.chunks(BATCH) {
            let _ = self.items.send(Item::Packets(packets.to_vec()));
        }
    }

    /// Gives an order for the packets that are pushed from now on. Where packets end before it is carried out it is not.
    pub fn order(&mut self, order: Order) {
        let _ = self.items.send(Item::Order(order));
    }

    /// Ends the run behind all packets.
    ///
    /// # Errors
    /// Why it has ended before, or an order was not carried out.
    pub fn finish(self) -> Result<Finished<T>, ExperimentError> {
        drop(self.items);
        let (outcome, taker) = self.run.join().map_err(|_| ExperimentError::Panicked)?;
        if let Some(fault) = outcome.fault {
            return Err(fault.into());
        }
        match self.orders.refused() {
            Some(reason) => Err(ExperimentError::Order(reason)),
            None => {
                let costs = costs(&self.meters.meters(), self.shape, outcome.packets);
                Ok(Finished { taker, costs, moved: outcome.pauses.slots })
            }
        }
    }
}

/// How packets are divided, if they can be.
fn partitioner(
    brick: &Metered,
    plan: &Plan,
    copies: Option<(Projector, HashSet<u64>)>,
) -> Result<Option<Partitioner>, ExperimentError> {
    if plan.is_whole() {
        return Ok(None);
    }
    let partitioner = Partitioner::new(&brick.division(), plan)?;
    Ok(Some(match copies {
        Some((pair, hashes)) => partitioner.copying(pair, hashes),
        None => partitioner,
    }))
}

/// What a run takes.
struct Run {
    brick: Metered,
    supply: Arc<Supply>,
    partitioner: Option<Partitioner>,
    replicas: usize,
    steering: Option<Steering>,
}

impl Run {
    fn go<T: Take>(self, mut source: Pushed, mut sink: Taker<T>) -> (Outcome, T) {
        let Self { brick, supply, partitioner, replicas, mut steering } = self;
        let mut graph = graph(brick);
        let (layout, stop) = (Layout::Stages(layout(replicas)), AtomicBool::new(false));
        let make = |_: &str| -> Result<Box<dyn Brick>, SupplyError> {
            supply.make().map(|brick| Box::new(brick) as Box<dyn Brick>).map_err(SupplyError::new)
        };
        let mut options = Options { supply: Some(&make), ..Options::new(&layout, &stop) };
        let split = |_: &str, _: &Division| Ok(partitioner.clone().expect("replicas have a partitioner"));
        if partitioner.is_some() {
            options.partition = &split;
        }
        let control = steering.as_mut().map(|steering| steering as &mut dyn Control);
        let outcome = run_under(control, &mut graph, &mut source, &mut sink, options, &mut |_, _| {});
        (outcome, sink.take)
    }
}

/// A graph of one extractor.
fn graph(brick: Metered) -> Graph {
    let kind = FeatureQuantization::KIND;
    let text = format!("name = \"experiment\"\n[[brick]]\nid = \"{EXTRACTOR}\"\nkind = \"{kind}\"\n");
    let spec = GraphSpec::from_toml(&text).expect("the text above is a graph");
    let mut brick = Some(Box::new(brick) as Box<dyn Brick>);
    let graph =
        Graph::assemble(&spec, &[ColumnSpec::HEADERS], &[FEATURES], |_| brick.take().ok_or("one brick"));
    graph.expect("an extractor makes features of headers")
}

/// Costs of each replica. One that is alone computes all shards.
fn costs(meters: &[Arc<Meter>], (shards, replicas): (usize, usize), packets: u64) -> Costs {
    let of = |shard: usize, replica: usize| match (meters, replica) {
        ([_], 0) => packets,
        _ => meters.get(replica).map_or(0, |meter| meter.packets(shard)),
    };
    let seconds =
        |shard, replica: usize| meters.get(replica).map_or(0.0, |meter| meter.spent(shard).as_secs_f64());
    let (packets, replica_seconds) = (each(shards, replicas, of), each(shards, replicas, seconds));
    Costs { packets, replica_seconds }
}

/// Something of each replica, by shard.
fn each<T>(shards: usize, replicas: usize, of: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
    (0..shards).map(|shard| (0..replicas).map(|replica| of(shard, replica)).collect()).collect()
}
