//! LEGO's Figure 4: what replicating the bottleneck brick brings.

pub mod watch;

use super::bars::{Group, svg};
use super::lap::{Laps, Track};
use crate::Style;
use crate::agent::host::cores;
use crate::failure::{Failure, print, print_json};
use crate::folder::Folder;
use crate::network::Network;
use crate::replay::{EngineKind, Execution};
use crate::trial::{Trial, alone, median};
use clap::Args;
use legonf_controller::{Action, Config, Costs, Event, Model, Scaling, State};
use legonf_core::{Column, Columns, Stage};
use legonf_datasets::generate;
use legonf_extract::Arithmetic;
use legonf_models::kitnet::{Precision, TrainConfig, Trainer};
use legonf_models::{Bundle, Provenance};
use legonf_runtime::{Graph, Layout};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use watch::{Digest, Watch};

/// Engines by the name that the report has for them.
const ENGINES: [(&str, EngineKind, Option<Precision>); 3] = [
    ("generic", EngineKind::Onnx, None),
    ("fused", EngineKind::Kitnet, None),
    ("fused-f32", EngineKind::Kitnet, Some(Precision::F32)),
];
/// Fixed layouts that are run as long as the others.
const BEST: usize = 3;
/// Ticks of a plan from which its throughput is taken.
const SETTLED: u32 = 5;

/// Runs Kitsune over generated traffic as a monolith, as bricks in a worker each, under the controller that starts from there,
/// and in fixed layouts; with the generic network engine, and with legonf's own in double and in single precision. All fixed
/// layouts are run for a moment, and the best of them as long as the others. Throughput is that on the wall and, since other
/// programs take their part of the cores, that which the processor time of the workers stands for.
#[derive(Args)]
pub struct Arguments {
    /// Seconds of each run, about.
    #[arg(long, default_value_t = 5.0, value_name = "S", value_parser = crate::plan::positive)]
    seconds: f64,
    /// Rounds over all runs; of each run the median counts.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Arithmetic of the features: `reference` or `fast`.
    #[arg(long, default_value = "reference")]
    arithmetic: Arithmetic,
    /// Seconds between two looks of the controller.
    #[arg(long, default_value_t = 0.1, value_name = "S", value_parser = crate::plan::positive)]
    tick: f64,
    /// Seconds of the first look at each fixed layout.
    #[arg(long, default_value_t = 0.5, value_name = "S", value_parser = crate::plan::positive)]
    look: f64,
    /// Packets of the traffic that is repeated.
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(20_000..=10_000_000))]
    packets: u64,
    /// A folder for report.json, throughput.svg, and for each engine the event log of its last run.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Throughput of a layout, in packets a second.
#[derive(Clone, Debug, Serialize)]
struct Rate {
    plan: String,
    /// On the wall, with whatever else this machine does.
    pps: f64,
    /// What the processor time of its workers stands for, on all cores of this machine.
    capacity: f64,
}

#[derive(Serialize)]
struct Run {
    engine: &'static str,
    /// The bottleneck that the controller found first.
    bottleneck: Vec<String>,
    /// One monolithic instance, in one worker.
    original: Rate,
    /// The monolith's parts in a worker each: all cores that its bottleneck lets it use.
    original_all_cores: Rate,
    /// Under the controller, before its first action and after its last.
    before: Rate,
    after: Rate,
    /// Fixed layouts that were looked at.
    layouts: usize,
    /// The best of them, the monolith and the bricks in a worker each, the best first.
    fixed: Vec<Rate>,
    /// `after` over `original`, and over `before`.
    speedup: f64,
    gain: f64,
    /// The same by processor time.
    speedup_by_processor_time: f64,
    gain_by_processor_time: f64,
    /// Part by which `after` is behind the best fixed layout, on the wall and by processor time.
    behind_best: f64,
    behind_best_by_processor_time: f64,
    /// Milliseconds from the first overloaded tick to a replica that has traffic.
    reaction_ms: f64,
    actions: usize,
    lost: u64,
    /// Whether every score has the same bits in every run.
    identical: bool,
}

#[derive(Serialize)]
struct Report {
    paper: &'static str,
    cores: usize,
    packets: u64,
    rounds: u32,
    runs: Vec<Run>,
}

/// What all runs of an engine share.
struct Case<'a> {
    arguments: &'a Arguments,
    trial: Trial<'a>,
    track: Arc<Track>,
    packets: u64,
    /// Packets of which the scores are compared.
    compared: u64,
}

/// One run.
struct Once {
    /// Packets a second of the whole run.
    pps: f64,
    digests: Vec<Digest>,
    events: Vec<Event>,
    lost: u64,
    checksum: u64,
    costs: Costs,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    if arguments.seconds < 10.0 * arguments.tick {
        return Err(Failure::fault("--seconds: the controller needs ten ticks (--tick) at least"));
    }
    let config =
        generate::Config { packets: arguments.packets, rate: 10_000.0, ..generate::Config::default() };
    let track = Arc::new(Track::generate(config)?);
    let network = learn(&track, arguments.arithmetic)?;
    let folder = arguments.out.as_deref().map(Folder::create).transpose()?;
    let mut runs = Vec::new();
    for (name, engine, precision) in ENGINES {
        let execution = Execution { engine: Some(engine), precision };
        let (run, events) = arguments.engine(name, execution, &network, &track)?;
        if let Some(folder) = &folder {
            folder.put(&format!("events-{name}.json"), &lines(&events))?;
        }
        runs.push(run);
    }
    let (cores, packets, rounds) = (cores(), arguments.packets, arguments.rounds);
    let report = Report { paper: "nearly doubled (LEGO, Figure 4)", cores, packets, rounds, runs };
    if let Some(folder) = folder {
        folder.report(&report)?;
        folder.put("throughput.svg", &picture(&report))?;
    }
    match style {
        Style { json: true, .. } => print_json(&report),
        Style { quiet: true, .. } => Ok(()),
        _ => print(&text(&report)),
    }
}

/// A line for each event.
pub fn lines(events: &[Event]) -> String {
    events.iter().map(|event| event.to_line() + "\n").collect()
}

/// Trains a network on the first packets of the track.
pub fn learn(track: &Arc<Track>, arithmetic: Arithmetic) -> Result<Network, Failure> {
    let schema = legonf_extract::schema_by_name("kitsune-115")?;
    let training = TrainConfig {
        features: schema.len(),
        feature_mapping_packets: 2000,
        training_packets: 10_000,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(training.clone())?;
    let spec = crate::kitsune::extraction("kitsune-115", arithmetic);
    let (given, wanted) = (Columns::of(&[Column::Packets]), Columns::of(&[Column::Features]));
    let mut graph = Graph::assemble(&spec, given, wanted, |brick| {
        legonf_catalog::build(&brick.kind, &brick.config, &legonf_catalog::Context::default())
    })?;
    let (mut source, mut sink) = (Laps::new(track.clone(), 13_000), watch::Learn(&mut trainer));
    alone(&mut graph, &mut source, &mut sink, &mut |_, _| {})?;
    let model = legonf_models::Model::KitNet { network: trainer.finish()?.into(), training };
    let provenance = Provenance::default();
    let bundle = Bundle { model, schema, arithmetic: arithmetic.to_string(), calibration: None, provenance };
    Ok(Network::of(bundle, arithmetic))
}

impl Arguments {
    fn engine(
        &self,
        name: &'static str,
        execution: Execution,
        network: &Network,
        track: &Arc<Track>,
    ) -> Result<(Run, Vec<Event>), Failure> {
        let trial = Trial::built_in(network, execution, Some(self.arithmetic))?;
        let packets = self.packets / 4;
        let mut case = Case { arguments: self, trial, track: track.clone(), packets, compared: 0 };
        // A first run says how many packets take the time that is wanted, and what bricks cost.
        let probe = case.once(&Layout::Pipeline, Scaling::Fixed)?;
        let packets = |seconds: f64| ((probe.pps * seconds) as u64).max(10_000);
        case.packets = packets(self.look);
        let (looked, best) = case.look(&probe.costs)?;
        (case.packets, case.compared) = (packets(self.seconds), packets(self.seconds));
        let layouts: Vec<_> = [Layout::Fused, Layout::Pipeline].into_iter().chain(best).collect();
        let (mut fixed, mut controlled) = (Vec::new(), Vec::new());
        fixed.resize_with(layouts.len(), Vec::new);
        for _ in 0..self.rounds {
            for (layout, runs) in layouts.iter().zip(&mut fixed) {
                runs.push(case.once(layout, Scaling::Fixed)?);
            }
            // The controller takes some seconds to find its layout, which is to be measured then.
            case.packets = packets(self.seconds * 2.0);
            controlled.push(case.once(&Layout::Pipeline, Scaling::Brick)?);
            case.packets = packets(self.seconds);
        }
        let run = conclude(name, looked, &fixed, &controlled);
        Ok((run, controlled.pop().map_or_else(Vec::new, |run| run.events)))
    }
}

impl Case<'_> {
    /// Runs every way to put the bricks in stages for a moment, with replicas of the slowest stage where the costs say that
    /// they help. Gives how many there are, and the best.
    fn look(&self, costs: &Costs) -> Result<(usize, Vec<Layout>), Failure> {
        let may = |stage: &Stage| {
            stage.bricks.iter().all(|id| costs.of(id).is_ok_and(|cost| cost.state != State::Single))
        };
        let all = Model::new(costs, 1.0).layouts(cores() as f64, 2 * costs.bricks.len(), &may);
        let mut rates = Vec::new();
        for forecast in all {
            let layout = Layout::Stages(forecast.plan);
            let run = self.once(&layout, Scaling::Fixed)?;
            rates.push((run.pps, layout));
        }
        let looked = rates.len();
        rates.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok((looked, rates.into_iter().take(BEST).map(|(_, layout)| layout).collect()))
    }

    fn once(&self, layout: &Layout, scaling: Scaling) -> Result<Once, Failure> {
        let config =
            Config { scaling, tick: self.arguments.tick, cooldown: 0.3, ticks_down: 5, ..Config::default() };
        let mut watch = Watch::new(self.trial.agent(config)?);
        let mut source = Laps::new(self.track.clone(), self.packets);
        let mut sink = watch::Checksum::of_first(self.compared);
        let ran = self.trial.run(Some(&mut watch), layout, &mut source, &mut sink)?;
        let packets = ran.outcome.packets;
        let (lost, costs) = (source.given() - packets, watch.costs().clone());
        let (digests, events) = watch.finish(packets)?;
        Ok(Once { pps: packets as f64 / ran.seconds, digests, events, lost, checksum: sink.value(), costs })
    }
}

/// The medians of runs.
fn rate(runs: &[Once], pick: impl Fn(&Once) -> Option<&Digest>) -> Rate {
    let digests: Vec<_> = runs.iter().filter_map(pick).collect();
    let plan = digests.last().map_or_else(String::new, |digest| digest.plan.to_string());
    let capacity = |digest: &&Digest| digest.capacity(cores() as f64);
    let pps = median(digests.iter().map(|digest| digest.pps()));
    Rate { plan, pps, capacity: median(digests.iter().map(capacity)) }
}

fn conclude(engine: &'static str, layouts: usize, fixed: &[Vec<Once>], controlled: &[Once]) -> Run {
    let mut rates: Vec<_> = fixed.iter().map(|runs| rate(runs, settled)).collect();
    let (before, after) = (rate(controlled, |run| run.digests.first()), rate(controlled, settled));
    let (original, original_all_cores) = (rates[0].clone(), rates[1].clone());
    let most = rates.iter().map(|rate| rate.capacity).fold(0.0, f64::max);
    rates.sort_by(|a, b| b.pps.total_cmp(&a.pps));
    let made = |run: &Once| run.events.iter().filter(|event| acted(event)).count();
    let checksum = controlled.first().map(|run| run.checksum);
    let all = || fixed.iter().flatten().chain(controlled);
    Run {
        engine,
        bottleneck: controlled.last().and_then(bottleneck).unwrap_or_default(),
        speedup: after.pps / original.pps,
        gain: after.pps / before.pps,
        speedup_by_processor_time: after.capacity / original.capacity,
        gain_by_processor_time: after.capacity / before.capacity,
        behind_best: 1.0 - after.pps / rates[0].pps,
        behind_best_by_processor_time: 1.0 - after.capacity / most,
        reaction_ms: controlled.iter().filter_map(reaction).fold(0.0, f64::max),
        actions: controlled.last().map_or(0, made),
        lost: all().map(|run| run.lost).sum(),
        identical: all().all(|run| Some(run.checksum) == checksum),
        original,
        original_all_cores,
        before,
        after,
        layouts,
        fixed: rates,
    }
}

/// The last plan of a run that was in force for some ticks; where none was, the one that was in force longest. A plan under which
/// nothing came out was over before its first batch was.
fn settled(run: &Once) -> Option<&Digest> {
    let working = || run.digests.iter().filter(|digest| digest.pps() > 0.0);
    let long = working().rfind(|digest| digest.ticks >= SETTLED);
    long.or_else(|| working().max_by_key(|digest| digest.ticks))
}

fn acted(event: &Event) -> bool {
    matches!(event, Event::Decision { decision, .. } if decision.action != Action::Refuse)
}

fn bottleneck(run: &Once) -> Option<Vec<String>> {
    run.events.iter().find_map(|event| match event {
        Event::Decision { decision, .. } => Some(decision.bricks.clone()),
        _ => None,
    })
}

/// Milliseconds from the beginning of the first overloaded tick to the plan in force that answers it.
fn reaction(run: &Once) -> Option<f64> {
    let begin = run.events.iter().find_map(|event| match event {
        Event::Decision { at, decision } if acted(event) => {
            let tick = run.digests.first().map_or(0.0, |digest| digest.tick);
            Some(at - f64::from(decision.figures.ticks) * tick)
        }
        _ => None,
    })?;
    let applied = run.events.iter().find_map(|event| match event {
        Event::Applied { at, .. } => Some(*at),
        _ => None,
    })?;
    Some((applied - begin) * 1e3)
}

fn text(report: &Report) -> String {
    let mut out = format!("{:<9} {:<44} {:>12} {:>16}\n", "engine", "layout", "packets/s", "by proc. time");
    for run in &report.runs {
        let mut line = |what: &str, rate: &Rate| {
            out += &format!("{:<9} {what:<44} {:>12.0} {:>16.0}\n", run.engine, rate.pps, rate.capacity);
        };
        line("original, one worker", &run.original);
        line("original, all cores that it can use", &run.original_all_cores);
        line("bricks, before the controller acts", &run.before);
        line("bricks, after", &run.after);
        if let Some(best) = run.fixed.first() {
            line(&format!("best of {} fixed layouts", run.layouts), best);
        }
        out += &format!(
            "{:<9} bottleneck {}; after it: {}; {:.1}% behind the best fixed layout: {}\n{:<9} speedup {:.2} ({:.2} by processor time), gain {:.2} ({:.2}), paper: {}; reaction {:.0} ms, \
             {} lost, scores {}\n",
            run.engine,
            run.bottleneck.join(" "),
            run.after.plan,
            run.behind_best * 100.0,
            run.fixed.first().map_or("", |rate| &rate.plan),
            run.engine,
            run.speedup,
            run.speedup_by_processor_time,
            run.gain,
            run.gain_by_processor_time,
            report.paper,
            run.reaction_ms,
            run.lost,
            if run.identical { "identical" } else { "DIFFER" }
        );
    }
    out
}

fn picture(report: &Report) -> String {
    let series = ["original", "original, all cores", "bricks, before", "bricks, after", "best fixed layout"];
    let group = |run: &Run| {
        let best = run.fixed.first().map_or(0.0, |rate| rate.capacity);
        let rates =
            [&run.original, &run.original_all_cores, &run.before, &run.after].map(|rate| rate.capacity);
        let values = rates.into_iter().chain([best]).map(|rate| rate / run.original.capacity).collect();
        Group { name: format!("{} engine", run.engine), values }
    };
    let groups: Vec<_> = report.runs.iter().map(group).collect();
    let title = format!("LEGO's Figure 4 on {} cores (paper: {})", report.cores, report.paper);
    svg(&title, "throughput, original = 1, by processor time", &series, &groups)
}
