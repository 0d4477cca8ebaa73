//! `legonf bench graph`: the price of being bricks.

use super::busy::Watch;
use crate::ExperimentError;
use crate::figure4::{SCHEMA, learn, watch::Checksum};
use crate::lap::{Laps, Track};
use clap::Args;
use legonf_controller::{Config, Scaling};
use legonf_core::{
    BATCH, Batch, Brick, Layout as Columns, Pace, Plan, Rows, Sink, Snapshot, Source, Tiles, Verdict,
};
use legonf_datasets::generate;
use legonf_engine::agent::Agent;
use legonf_engine::agent::cores;
use legonf_engine::measure::{Trial, Work, hop_nanoseconds, median, process_time, processor_time};
use legonf_engine::{Error, Execution, Extent, Session};
use legonf_extract::{FEATURES, FeatureQuantization};
use legonf_infer::SCORES;
use legonf_models::kitnet::Scratch;
use legonf_runtime::{Control, Layout, PlanError};
use legonf_wire::PacketBatching;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Packets a batch for which a hop is measured.
const SIZES: [usize; 3] = [1, 32, BATCH];

/// Measures on generated traffic in memory what Kitsune as a graph of bricks costs beside the same work in plain function calls
/// (one worker, by processor time), what a hop between workers costs where these wait for each other and where they have work, how throughput goes on beyond a replica for each core,
/// and which part of a core the controller's snapshots take.
#[derive(Args)]
pub struct Arguments {
    /// Packets of a run.
    #[arg(long, default_value_t = 400_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    packets: u64,
    /// Rounds, of which the medians count.
    #[arg(long, default_value_t = 9, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// What a hop takes of processor time, on both of its sides.
#[derive(Serialize)]
struct Hop {
    packets: usize,
    ns_per_batch: f64,
    ns_per_packet: f64,
    /// The same where both sides have work, the sink more: what a hop takes before the bottleneck of a loaded graph.
    loaded_ns_per_batch: f64,
    loaded_ns_per_packet: f64,
}

/// Throughput with some replicas of all bricks between source and sink.
#[derive(Serialize)]
struct Crowd {
    replicas: usize,
    pps: f64,
    /// Of the throughput with a replica for each core.
    part: f64,
    /// Nanoseconds of processor time a packet.
    ns_per_packet: f64,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    packets: u64,
    rounds: u32,
    cores: usize,
    /// Nanoseconds of processor time a packet.
    plain_ns: f64,
    graph_ns: f64,
    /// What the graph takes beyond the plain functions, in percent of these.
    bricks_percent: f64,
    hops: Vec<Hop>,
    crowds: Vec<Crowd>,
    /// Least throughput with more replicas than cores, as a part of that with a replica for each core.
    oversubscribed_part: f64,
    /// Part of a core that snapshots every 100 ms take, in percent, with the most replicas.
    sampling_percent: f64,
    /// Whether all scores are the same bits.
    identical: bool,
    /// Feature schema, as LEGO's Figure 4 has it.
    schema: &'static str,
    /// Instruction sets of the features and of the network.
    instruction_sets: [&'static str; 2],
    /// What else the machine did meanwhile; none where nothing much.
    busy: Option<String>,
}

/// A run.
struct Once {
    seconds: f64,
    /// Processor time of the process.
    spent: Duration,
    checksum: u64,
}

/// What runs have in common.
struct Case<'a> {
    trial: Trial<'a>,
    track: Arc<Track>,
    packets: u64,
}

/// Measures.
///
/// # Errors
/// If a run does not come to its end.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let config = generate::Config { packets: 100_000, rate: 10_000.0, ..generate::Config::default() };
    let track = Arc::new(Track::generate(config)?);
    let network = learn(session, &track)?;
    let trial = Trial::built_in(session, &network, Execution::default())?;
    let case = Case { trial, track, packets: arguments.packets };
    let bar = session.begin("bench", Extent::Bytes);
    let report = arguments.measure(&case);
    drop(bar);
    report
}

impl Arguments {
    fn measure(&self, case: &Case<'_>) -> Result<Report, ExperimentError> {
        let mut host = Watch::begin();
        let (mut plain, mut graph) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            plain.push(case.plain()?);
            graph.push(case.graph(&Layout::Fused, None)?);
        }
        let ns =
            |runs: &[Once]| median(runs.iter().map(|run| run.spent.as_nanos() as f64)) / self.packets as f64;
        let checksum = plain.first().map(|run| run.checksum);
        let mut identical = plain.iter().chain(&graph).all(|run| Some(run.checksum) == checksum);
        // Pair by pair: what else the machine does changes slowly.
        let ratios = plain
            .iter()
            .zip(&graph)
            .map(|(plain, graph)| graph.spent.as_secs_f64() / plain.spent.as_secs_f64());
        let bricks_percent = (median(ratios) - 1.0) * 100.0;
        let (crowds, same, sampling_percent) = self.crowds(case, checksum)?;
        identical &= same;
        let crowded = crowds.iter().filter(|crowd| crowd.replicas > cores());
        Ok(Report {
            packets: self.packets,
            rounds: self.rounds,
            cores: cores(),
            plain_ns: ns(&plain),
            graph_ns: ns(&graph),
            bricks_percent,
            hops: SIZES.into_iter().map(hop_of).collect::<Result<_, _>>()?,
            oversubscribed_part: crowded.map(|crowd| crowd.part).fold(f64::INFINITY, f64::min),
            crowds,
            sampling_percent,
            identical,
            schema: SCHEMA,
            instruction_sets: [
                legonf_extract::instruction_set(SCHEMA),
                legonf_models::kitnet::instruction_set(),
            ],
            busy: host.busy(None),
        })
    }

    /// Runs with more and more replicas; whether the scores are those of one, and what snapshots took with the most.
    fn crowds(
        &self,
        case: &Case<'_>,
        checksum: Option<u64>,
    ) -> Result<(Vec<Crowd>, bool, f64), ExperimentError> {
        let (mut crowds, mut same, mut sampling) = (Vec::new(), true, 0.0);
        let counts = [1, 2, 4, 8].map(|times| times * cores());
        for replicas in [1].into_iter().chain(counts) {
            let layout = case.trial.between(replicas)?;
            let mut runs = Vec::new();
            for _ in 0..self.rounds.div_ceil(3) {
                let mut sampled = case.sampled()?;
                runs.push(case.graph(&layout, Some(&mut sampled))?);
                sampling = sampled.percent();
            }
            same &= runs.iter().all(|run| Some(run.checksum) == checksum);
            let pps = median(runs.iter().map(|run| self.packets as f64 / run.seconds));
            let ns_per_packet =
                median(runs.iter().map(|run| run.spent.as_nanos() as f64)) / self.packets as f64;
            crowds.push(Crowd { replicas, pps, part: 0.0, ns_per_packet });
        }
        let full = crowds.iter().find(|crowd| crowd.replicas == cores()).map_or(1.0, |crowd| crowd.pps);
        crowds.iter_mut().for_each(|crowd| crowd.part = crowd.pps / full);
        Ok((crowds, same, sampling))
    }
}

fn hop_of(packets: usize) -> Result<Hop, ExperimentError> {
    let part = |batch: f64| batch / packets as f64;
    let ns_per_batch = hop_nanoseconds(packets, Work::NONE)?;
    let loaded_ns_per_batch = hop_nanoseconds(packets, Work::LOADED)?;
    let (ns_per_packet, loaded_ns_per_packet) = (part(ns_per_batch), part(loaded_ns_per_batch));
    Ok(Hop { packets, ns_per_batch, ns_per_packet, loaded_ns_per_batch, loaded_ns_per_packet })
}

impl Case<'_> {
    /// The work of the bricks by the functions that they are made of, in one loop.
    fn plain(&self) -> Result<Once, ExperimentError> {
        let kitnet = self.trial.network.kitnet().ok_or_else(|| Error::refused("the network is no KitNET"))?;
        let mut parser = PacketBatching::new(legonf_wire::Config {});
        let schema = SCHEMA.to_owned();
        let config = legonf_extract::Config { schema, ..legonf_extract::Config::default() };
        let mut extractor = FeatureQuantization::new(&config)?;
        let columns = Columns::of([&FEATURES, &SCORES])?;
        let (mut batch, mut sink) = (Batch::new(&columns), Checksum::default());
        extractor.bind(&columns).and_then(|()| sink.bind(&columns))?;
        let features = columns.handle::<Rows>(&FEATURES)?;
        let scores = columns.handle::<Vec<f64>>(&SCORES)?;
        let (mut scratch, mut mapped, mut errors) = (Scratch::default(), Tiles::default(), Tiles::default());
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut source = Laps::new(self.track.clone(), self.packets);
        let (begin, before) = (Instant::now(), process_time());
        loop {
            batch.clear();
            source.fill(&mut batch)?;
            if batch.packets.is_empty() {
                break;
            }
            parser.process(&mut batch)?;
            extractor.process(&mut batch)?;
            kitnet.gather(batch.columns.get(features), &mut mapped);
            let scores = batch.columns.get_mut(scores);
            kitnet.score_rows(&mapped, &mut scratch, &mut errors, scores);
            verdicts.clear();
            let verdict = |score: &f64| if *score > f64::MAX { Verdict::ANOMALOUS } else { Verdict::BENIGN };
            verdicts.extend(scores.iter().map(verdict));
            sink.write(&batch)?;
        }
        let spent = process_time().saturating_sub(before);
        Ok(Once { seconds: begin.elapsed().as_secs_f64(), spent, checksum: sink.value() })
    }

    fn graph(&self, layout: &Layout, control: Option<&mut Sampled>) -> Result<Once, ExperimentError> {
        let (mut source, mut sink) = (Laps::new(self.track.clone(), self.packets), Checksum::default());
        let control = control.map(|control| control as &mut dyn Control);
        let ran = self.trial.run(control, layout, &mut source, &mut sink)?;
        Ok(Once { seconds: ran.seconds, spent: ran.spent, checksum: sink.value() })
    }

    /// A controller that looks and does nothing.
    fn sampled(&self) -> Result<Sampled, ExperimentError> {
        let config = Config { scaling: Scaling::Fixed, ..Config::default() };
        Ok(Sampled { agent: self.trial.agent(config)?, first: None, last: None })
    }
}

/// A controller with a look at the processor time of its thread, which does nothing but supervise.
struct Sampled {
    agent: Agent,
    first: Option<(Instant, Duration)>,
    last: Option<(Instant, Duration)>,
}

impl Sampled {
    /// Part of a core between the first and the last tick, in percent.
    fn percent(&self) -> f64 {
        let (Some(first), Some(last)) = (self.first, self.last) else { return 0.0 };
        let wall = (last.0 - first.0).as_secs_f64();
        if wall > 0.0 { last.1.saturating_sub(first.1).as_secs_f64() / wall * 100.0 } else { 0.0 }
    }
}

impl Control for Sampled {
    fn period(&self) -> Duration {
        self.agent.period()
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        let plan = self.agent.tick(snapshot);
        self.last = Some((Instant::now(), processor_time()));
        self.first = self.first.or(self.last);
        plan
    }

    fn pace(&self) -> Pace {
        self.agent.pace()
    }

    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
        self.agent.applied(plan, took, result);
    }
}

/// The report in words.
pub fn text(report: &Report) -> String {
    let mut out = format!(
        "one worker  {:.1} ns a packet as bricks, {:.1} as plain functions: {:+.2}%\n",
        report.graph_ns, report.plain_ns, report.bricks_percent
    );
    for hop in &report.hops {
        out += &format!(
            "hop         {:.1} ns a packet in batches of {} ({:.0} ns a batch; {:.0} before a sink that is always busy)\n",
            hop.ns_per_packet, hop.packets, hop.ns_per_batch, hop.loaded_ns_per_batch
        );
    }
    for crowd in &report.crowds {
        out += &format!(
            "replicas    {:>3} on {} cores: {:.0} packets/s, {:.2} of those with a replica for each core ({:.0} ns a packet)\n",
            crowd.replicas, report.cores, crowd.pps, crowd.part, crowd.ns_per_packet
        );
    }
    let identical = if report.identical { "identical" } else { "DIFFERENT" };
    out += &format!("snapshots   {:.2}% of a core\nscores      {identical}\n", report.sampling_percent);
    let [features, network] = report.instruction_sets;
    out += &format!("sets        features ({}) with {features}, network with {network}\n", report.schema);
    out + &report.busy.as_ref().map_or_else(String::new, |busy| format!("load        {busy}\n"))
}
