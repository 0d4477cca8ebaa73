//! The graph as it runs.

use legonf_core::{DropReason, Passage, Passages, Plan, ShardLoad, Snapshot, WorkerLoad};
use legonf_engine::Located;
use legonf_engine::monitor::{Accounts, BrickFacts, Facts, Moment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// Part of the time for which the busiest worker of a stage must have wanted to compute, for the stage to be the bottleneck.
const BUSY: f64 = 0.5;

/// A graph of bricks, and what its workers did in the last tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// Name of the network function.
    pub name: String,
    /// Seconds since the run began.
    pub at: f64,
    /// Seconds of the tick.
    pub span: f64,
    /// The layout in force.
    pub plan: String,
    /// Whether a controller changes the layout, too.
    pub is_controlled: bool,
    /// Whether the controller was told to leave the layout as it is.
    pub is_paused: bool,
    /// `starting` until packets can be processed, `running`, or `over`.
    pub state: RunState,
    /// Whether the run is over.
    pub is_over: bool,
    /// Scores above it are alerts; none where nothing is decided on scores.
    pub threshold: Option<f64>,
    /// Packets a second that the source gave.
    pub offered_per_second: f64,
    /// Packets a second whose results were written.
    pub done_per_second: f64,
    /// Packets a second that were lost for want of capacity.
    pub dropped_per_second: f64,
    /// Batches on their way.
    pub in_flight: usize,
    /// Batches that may be on their way at most; then the source waits.
    pub credits: usize,
    /// How long packets took from the source to the sink in the last tick; none where none came there.
    pub latency: Option<Latency>,
    /// Bricks, in the order in which batches pass them, with `source` and `sink`.
    pub bricks: Vec<Brick>,
    /// Where packets go.
    pub edges: Vec<Edge>,
    /// Bricks that share workers, in order.
    pub stages: Vec<Stage>,
    /// What the machine has left.
    pub host: Host,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its models are read, or it waits for what its packets are of.
    #[default]
    Starting,
    /// Packets are processed as they come.
    Running,
    /// It has ended.
    Over,
}

/// A brick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Brick {
    /// Identifier.
    pub id: String,
    /// Its kind in the catalogue; empty for `source` and `sink`.
    pub kind: String,
    /// `stateless`, `keyed` or `serial`; a serial one has one replica.
    pub state: String,
    /// Number of the stage that it belongs to.
    pub stage: usize,
    /// Packets that it handed on since the run began.
    pub packets: u64,
    /// Their bytes, as they were on the wire.
    pub bytes: u64,
    /// Bytes a second in the last tick.
    pub bytes_per_second: f64,
    /// How long packets waited for it and were with it in the last tick; none where none passed, and for `source` and `sink`.
    pub latency: Option<Latency>,
}

/// How long packets took, to an eighth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// Milliseconds of half of the packets at most.
    pub p50_ms: f64,
    /// Milliseconds of 99 of 100 packets at most.
    pub p99_ms: f64,
}

impl Latency {
    /// That of some packets, if there are any.
    pub(crate) fn of(passage: &Passage) -> Option<Self> {
        let ms = |part| passage.latency.quantile(part).as_secs_f64() * 1e3;
        (passage.packets > 0).then(|| Self { p50_ms: ms(0.5), p99_ms: ms(0.99) })
    }
}

/// A brick of a replica that runs outside of the process of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Elsewhere {
    /// The brick.
    pub brick: String,
    /// The name of the host; none for the host of the run.
    pub host: Option<String>,
    /// The number of the process; none on other hosts.
    pub process: Option<u32>,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.process) {
            (Some(host), _) => write!(f, "{} on host {host}", self.brick),
            (None, Some(process)) => write!(f, "{} in process {process}", self.brick),
            (None, None) => write!(f, "{} in another process", self.brick),
        }
    }
}

/// Packets go from one brick to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// The one.
    pub from: String,
    /// The other.
    pub to: String,
    /// Packets of this verdict alone; empty for all others.
    pub verdict: String,
    /// Packets a second of the stage of the one. Where ways part it is the sum of them.
    pub packets_per_second: f64,
}

/// Bricks that share workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stage {
    /// The bricks.
    pub bricks: Vec<String>,
    /// Packets a second through all replicas.
    pub packets_per_second: f64,
    /// Batches before it.
    pub queue: usize,
    /// These, as a part of all batches that may be on their way.
    pub queue_fill: f64,
    /// Part of the time that its busiest worker computed or would have, had it had a core.
    pub load: f64,
    /// Whether it is the stage that holds up the others most.
    pub is_bottleneck: bool,
    /// Bytes that its bricks keep from packet to packet.
    pub state_bytes: u64,
    /// Its workers.
    pub replicas: Vec<Replica>,
    /// How these share the work of a brick with state.
    pub shards: Vec<Shard>,
}

/// A worker of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Replica {
    /// Its name, by which it is drained.
    pub name: String,
    /// Useful-work ratio: part of the time that it computed.
    pub useful_work_ratio: f64,
    /// Part of the time that it could have computed but had no core.
    pub starved_ratio: f64,
    /// Packets a second that it handed on.
    pub packets_per_second: f64,
    /// Batches that wait for it.
    pub queue: usize,
    /// Milliseconds that a batch waited for it, on average.
    pub waiting_ms: f64,
    /// Milliseconds that it computed for a batch, on average.
    pub computing_ms: f64,
    /// Bytes that its bricks keep from packet to packet.
    pub state_bytes: u64,
    /// Bricks that panicked in it and were made anew.
    pub restarts: u64,
    /// Those of its bricks that run outside of the process of the run.
    pub elsewhere: Vec<Elsewhere>,
}

/// How replicas share a shard of a brick's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Shard {
    /// The brick.
    pub brick: String,
    /// The shard, from 0.
    pub shard: usize,
    /// Slots of each replica.
    pub slots: Vec<u64>,
    /// Packets of each replica in the tick.
    pub packets: Vec<u64>,
}

/// What a machine has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Cores that the run may use.
    pub cores: f64,
    /// Cores that are in use, by it and others.
    pub used: f64,
    /// Cores that a hypervisor gave to other machines.
    pub stolen: f64,
    /// Bytes of memory that are left.
    pub memory_bytes: u64,
}

/// Where every packet went: received = scored + rejected + dropped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Packets that the source delivered, or knows that it lost.
    pub received: u64,
    /// Packets that got a score and a verdict.
    pub scored: u64,
    /// Packets that could not be scored.
    pub rejected: Vec<Loss>,
    /// Packets that were dropped.
    pub dropped: Vec<Loss>,
    /// Packets above the threshold that were judged.
    pub alerts: u64,
    /// Packets that were scored but not judged.
    pub warming_up: u64,
}

/// Packets that went no further, for a reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Loss {
    /// The reason.
    pub reason: String,
    /// How many.
    pub packets: u64,
    /// Whether the graph wanted that: by a verdict, a rule or a rate.
    pub is_wanted: bool,
}

/// What everybody who follows is sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Update<G> {
    /// The graph.
    pub graph: G,
    /// Where packets went.
    pub counters: Counters,
    /// Events so far.
    pub events: u64,
    /// Incidents so far: those that have ended, and those that go on.
    pub incidents: u64,
}

impl Update<Graph> {
    /// That of a moment.
    pub fn of(facts: &Facts, moment: &Moment) -> Self {
        let open = moment.accounts.open.len() as u64;
        Self {
            graph: Graph::of(facts, moment),
            counters: Counters::of(&moment.accounts),
            events: moment.events,
            incidents: moment.closed + open,
        }
    }
}

impl RunState {
    /// That of a moment.
    pub fn of(moment: &Moment) -> Self {
        match (moment.is_over, &moment.snapshot) {
            (true, _) => Self::Over,
            (false, None) => Self::Starting,
            (false, Some(_)) => Self::Running,
        }
    }

    /// As the API writes it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Over => "over",
        }
    }
}

impl Counters {
    /// Those of a run.
    pub fn of(accounts: &Accounts) -> Self {
        let coverage = &accounts.coverage;
        let wanted = [DropReason::Verdict, DropReason::Policy, DropReason::RateLimit].map(DropReason::label);
        let loss = |(reason, packets): (&String, &u64)| Loss {
            is_wanted: wanted.contains(&reason.as_str()),
            reason: reason.clone(),
            packets: *packets,
        };
        Self {
            received: coverage.received,
            scored: coverage.scored,
            rejected: coverage.rejected.iter().map(loss).collect(),
            dropped: coverage.dropped.iter().map(loss).collect(),
            alerts: accounts.alerts,
            warming_up: accounts.warming_up,
        }
    }
}

impl Graph {
    /// That of a moment.
    pub fn of(facts: &Facts, moment: &Moment) -> Self {
        let none = Snapshot::default();
        let snapshot = moment.snapshot.as_deref().unwrap_or(&none);
        let rate = |packets: u64| packets as f64 / snapshot.span.max(1e-9);
        let (all, lately) = (of_bricks(facts, moment.passages()), of_bricks(facts, Some(&moment.lately)));
        let brick = |brick: &BrickFacts| Brick {
            id: brick.id.clone(),
            kind: brick.kind.clone(),
            state: brick.state.label().to_owned(),
            stage: snapshot.plan.stage_of(&brick.id).unwrap_or_default(),
            packets: match &*brick.id {
                Plan::SOURCE => moment.offered,
                Plan::SINK => moment.done,
                id => all.get(id).map_or(0, |passage| passage.packets),
            },
            bytes: all.get(&*brick.id).map_or(0, |passage| passage.bytes),
            bytes_per_second: lately.get(&*brick.id).map_or(0.0, |passage| rate(passage.bytes)),
            latency: lately.get(&*brick.id).filter(|_| brick.id != Plan::SINK).and_then(|of| Latency::of(of)),
        };
        let through = |id: &str| snapshot.plan.stage_of(id).and_then(|at| snapshot.stages.get(at));
        let edge = |edge: &legonf_engine::monitor::Edge| Edge {
            from: edge.from.clone(),
            to: edge.to.clone(),
            verdict: edge.verdict.clone(),
            packets_per_second: through(&edge.from).map_or(0.0, |stage| rate(stage.packets)),
        };
        Self {
            name: facts.graph.clone(),
            at: snapshot.at,
            span: snapshot.span,
            plan: snapshot.plan.to_string(),
            is_controlled: facts.is_controlled,
            is_paused: moment.is_paused,
            state: RunState::of(moment),
            is_over: moment.is_over,
            threshold: moment.accounts.threshold.or(facts.threshold),
            offered_per_second: rate(snapshot.offered),
            done_per_second: rate(snapshot.done),
            dropped_per_second: rate(snapshot.dropped),
            in_flight: snapshot.in_flight,
            credits: snapshot.credits,
            latency: Latency::of(&moment.lately.whole),
            bricks: facts.bricks.iter().map(brick).collect(),
            edges: facts.edges.iter().map(edge).collect(),
            stages: stages(snapshot, &moment.elsewhere),
            host: Host {
                cores: snapshot.host.cores,
                used: snapshot.host.used,
                stolen: snapshot.host.stolen,
                memory_bytes: snapshot.host.memory,
            },
        }
    }
}

/// What has passed each brick, and the sink.
fn of_bricks<'a>(facts: &'a Facts, passages: Option<&'a Passages>) -> BTreeMap<&'a str, &'a Passage> {
    let of_sink = passages.map(|passages| (Plan::SINK, &passages.whole));
    passages.into_iter().flat_map(|passages| facts.passed(passages)).chain(of_sink).collect()
}

/// The number of the stage whose busiest worker has most to do, if that is much.
fn bottleneck(snapshot: &Snapshot) -> Option<usize> {
    let loads = (0..snapshot.stages.len()).map(|stage| (snapshot.load(stage), stage));
    loads.filter(|(load, _)| *load >= BUSY).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, stage)| stage)
}

fn stages(snapshot: &Snapshot, elsewhere: &[Located]) -> Vec<Stage> {
    let bottleneck = bottleneck(snapshot);
    let rate = |packets: u64| packets as f64 / snapshot.span.max(1e-9);
    let outside = |bricks: &[String], number: usize| {
        let is_of = |(brick, replica, _): &&Located| *replica == number && bricks.contains(brick);
        let outside = |(brick, _, location): &Located| Elsewhere {
            brick: brick.clone(),
            host: location.host.clone(),
            process: location.process,
        };
        elsewhere.iter().filter(is_of).map(outside).collect()
    };
    let replica = |bricks: &[String], (number, worker): (usize, &WorkerLoad)| Replica {
        elsewhere: outside(bricks, number),
        name: worker.name.clone(),
        useful_work_ratio: worker.busy,
        starved_ratio: worker.starved,
        packets_per_second: rate(worker.packets),
        queue: worker.queue,
        waiting_ms: worker.waited * 1e3,
        computing_ms: worker.computing() * 1e3,
        state_bytes: worker.state_bytes,
        restarts: worker.restarts,
    };
    let stages = snapshot.plan.stages.iter().zip(&snapshot.stages).enumerate();
    let stage = |(at, (place, load)): (usize, (&legonf_core::Stage, &legonf_core::StageLoad))| Stage {
        bricks: place.bricks.clone(),
        packets_per_second: rate(load.packets),
        queue: load.queue,
        queue_fill: load.queue as f64 / snapshot.credits.max(1) as f64,
        load: snapshot.load(at),
        is_bottleneck: bottleneck == Some(at),
        state_bytes: load.state_bytes,
        replicas: snapshot.of_stage(at).enumerate().map(|of| replica(&place.bricks, of)).collect(),
        shards: load.shards.iter().map(|shard| shared(shard, place.replicas)).collect(),
    };
    stages.map(stage).collect()
}

fn shared(shard: &ShardLoad, replicas: usize) -> Shard {
    let mut slots = vec![0; replicas];
    for owner in &shard.owners {
        slots.get_mut(usize::from(*owner)).into_iter().for_each(|count| *count += 1);
    }
    Shard { brick: shard.brick.clone(), shard: shard.shard, slots, packets: shard.by_replica(replicas) }
}
