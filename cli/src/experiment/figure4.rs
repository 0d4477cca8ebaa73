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
use legonf_core::{Column, Columns, Plan, Stage};
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
/// Fixed layouts that the controller's is compared with, beside the monolith and the bricks in a worker each.
const BEST: usize = 3;
/// Ticks of a plan that are enough to have come to rest.
const SETTLED: u32 = 5;

/// Runs Kitsune over generated traffic as a monolith, as bricks in a worker each, and under the controller that starts from
/// there; with the generic network engine, and with legonf's own in double and in single precision. What the controller has come
/// to is then compared with the monolith, the bricks and the best fixed layouts, which are found by a look at all of them.
///
/// The machine may be slower in one moment than in the next. So all that is compared is run in turns, each for a moment, and a
/// ratio is the median of those of each turn. One turn is that of as many monoliths as there are cores, side by side, which share
/// nothing and have no common answer: no layout can carry more than the cores do then, but for what it saves.
#[derive(Args)]
pub struct Arguments {
    /// Seconds of each run under the controller, about.
    #[arg(long, default_value_t = 10.0, value_name = "S", value_parser = crate::plan::positive)]
    seconds: f64,
    /// Runs under the controller, each followed by some turns.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Turns of each round.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,
    /// Seconds of a layout in each turn, and of the first look at each fixed layout.
    #[arg(long, default_value_t = 0.5, value_name = "S", value_parser = crate::plan::positive)]
    look: f64,
    /// Arithmetic of the features: `reference` or `fast`.
    #[arg(long, default_value = "reference")]
    arithmetic: Arithmetic,
    /// Seconds between two looks of the controller.
    #[arg(long, default_value_t = 0.1, value_name = "S", value_parser = crate::plan::positive)]
    tick: f64,
    /// Packets of the traffic that is repeated.
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(20_000..=10_000_000))]
    packets: u64,
    /// A folder for report.json, throughput.svg, and for each engine the event log of its last run.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Throughput of a layout, in packets a second: medians.
#[derive(Clone, Debug, Serialize)]
struct Rate {
    plan: String,
    pps: f64,
    /// Over that of the monolith, turn by turn.
    speedup: f64,
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
    /// Packets a second under the controller, before its first action and after its last.
    before_pps: f64,
    under_control_pps: f64,
    /// The layouts that it came to, round by round, in turns with the others.
    after: Rate,
    plans: Vec<String>,
    /// As many monoliths as there are cores, side by side.
    independent: Rate,
    /// Fixed layouts that were looked at.
    layouts: usize,
    /// The best of them, the monolith and the bricks in a worker each, the best first.
    fixed: Vec<Rate>,
    /// `after` over `original`, turn by turn, in all and in the round where it was least, and over `before_pps`.
    speedup: f64,
    least_speedup: f64,
    gain: f64,
    /// Part of what independent monoliths carry.
    of_independent: f64,
    /// Part by which `after` is behind the best fixed layout, turn by turn, in all and in the round where it was most.
    behind_best: f64,
    most_behind_best: f64,
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
    turns: u32,
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

/// Packets a second of one turn.
struct Turn {
    /// Of the fixed layouts.
    fixed: Vec<f64>,
    /// Of the controller's.
    after: f64,
    /// Of independent monoliths together.
    independent: f64,
}

/// A run under the controller, the layout that it came to, and the turns behind it.
struct Round {
    controlled: Once,
    plan: Plan,
    turns: Vec<Turn>,
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
    let Arguments { packets, rounds, turns, .. } = *arguments;
    let cores = cores();
    let report = Report { paper: "nearly doubled (LEGO, Figure 4)", cores, packets, rounds, turns, runs };
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
        (case.packets, case.compared) = (packets(self.look), packets(self.look));
        let (looked, best) = case.look(&probe.costs)?;
        let layouts: Vec<_> = [Layout::Fused, Layout::Pipeline].into_iter().chain(best).collect();
        let mut faults = Faults::default();
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            case.packets = packets(self.seconds);
            let controlled = case.once(&Layout::Pipeline, Scaling::Brick)?;
            case.packets = packets(self.look);
            faults.note(&controlled);
            let plan = settled(&controlled).map_or_else(Plan::default, |digest| digest.plan.clone());
            let turn = |_| case.turn(&layouts, &Layout::Stages(plan.clone()), &mut faults);
            let turns = (0..self.turns).map(turn).collect::<Result<_, _>>()?;
            rounds.push(Round { controlled, plan, turns });
        }
        let run = conclude(name, looked, &case.plans(&layouts)?, &rounds, &faults);
        Ok((run, rounds.pop().map_or_else(Vec::new, |round| round.controlled.events)))
    }
}

/// Packets that were lost, and whether all runs had the same scores.
#[derive(Default)]
struct Faults {
    lost: u64,
    checksum: Option<u64>,
    differ: bool,
}

impl Faults {
    fn note(&mut self, run: &Once) {
        self.lost += run.lost;
        self.differ |= *self.checksum.get_or_insert(run.checksum) != run.checksum;
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

    /// Runs all layouts, one after the other, and monoliths side by side.
    fn turn(&self, fixed: &[Layout], after: &Layout, faults: &mut Faults) -> Result<Turn, Failure> {
        let mut once = |layout: &Layout| -> Result<f64, Failure> {
            let run = self.once(layout, Scaling::Fixed)?;
            faults.note(&run);
            Ok(settled(&run).map_or(run.pps, Digest::pps))
        };
        let after = once(after)?;
        let fixed = fixed.iter().map(&mut once).collect::<Result<_, _>>()?;
        let side_by_side = || {
            std::thread::scope(|scope| {
                let run = || self.once(&Layout::Fused, Scaling::Fixed);
                let runs: Vec<_> = (0..cores()).map(|_| scope.spawn(run)).collect();
                let join = |run: std::thread::ScopedJoinHandle<'_, _>| {
                    run.join().map_err(|_| Failure::fault("a monolith has panicked"))?
                };
                runs.into_iter().map(join).collect::<Result<Vec<Once>, Failure>>()
            })
        };
        let independent = side_by_side()?.iter().map(|run| settled(run).map_or(run.pps, Digest::pps)).sum();
        Ok(Turn { fixed, after, independent })
    }

    /// The layouts as plans.
    fn plans(&self, layouts: &[Layout]) -> Result<Vec<Plan>, Failure> {
        let graph = self.trial.graph()?;
        Ok(layouts.iter().map(|layout| layout.plan(&graph)).collect())
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

/// Medians over the turns of some rounds.
struct Medians<'a>(&'a [Round]);

impl Medians<'_> {
    fn of(&self, pick: impl Fn(&Round, &Turn) -> f64) -> f64 {
        let turns = self.0.iter().flat_map(|round| round.turns.iter().map(move |turn| (round, turn)));
        median(turns.map(|(round, turn)| pick(round, turn)))
    }

    /// `after` over the monolith, which is the first of the fixed layouts.
    fn speedup(&self) -> f64 {
        self.of(|_, turn| turn.after / turn.fixed[0])
    }

    /// Part by which `after` is behind the fixed layout that it is most behind of. It is not behind its own.
    fn behind(&self, plans: &[Plan]) -> f64 {
        let behind = |(index, plan): (usize, &Plan)| {
            let ratio = |round: &Round, turn: &Turn| {
                if round.plan == *plan { 1.0 } else { turn.after / turn.fixed[index] }
            };
            1.0 - self.of(ratio)
        };
        plans.iter().enumerate().map(behind).fold(f64::NEG_INFINITY, f64::max)
    }

    fn rate(&self, plan: impl ToString, pick: impl Fn(&Turn) -> f64) -> Rate {
        let (pps, speedup) = (self.of(|_, turn| pick(turn)), self.of(|_, turn| pick(turn) / turn.fixed[0]));
        Rate { plan: plan.to_string(), pps, speedup }
    }
}

fn conclude(engine: &'static str, layouts: usize, plans: &[Plan], rounds: &[Round], faults: &Faults) -> Run {
    let all = Medians(rounds);
    let each = || rounds.iter().map(|round| Medians(std::slice::from_ref(round)));
    let mut fixed: Vec<_> =
        plans.iter().enumerate().map(|(index, plan)| all.rate(plan, |turn| turn.fixed[index])).collect();
    let (original, original_all_cores) = (fixed[0].clone(), fixed[1].clone());
    fixed.sort_by(|a, b| b.speedup.total_cmp(&a.speedup));
    let controlled = || rounds.iter().map(|round| &round.controlled);
    let pps = |pick: fn(&Once) -> Option<&Digest>| median(controlled().filter_map(pick).map(Digest::pps));
    let (before_pps, under_control_pps) = (pps(|run| run.digests.first()), pps(settled));
    let last = rounds.last();
    let independent = all.rate(format!("{} of {}", cores(), original.plan), |turn| turn.independent);
    let made = |run: &Once| run.events.iter().filter(|event| acted(event)).count();
    Run {
        engine,
        bottleneck: last.and_then(|round| bottleneck(&round.controlled)).unwrap_or_default(),
        after: all.rate(last.map_or_else(String::new, |round| round.plan.to_string()), |turn| turn.after),
        plans: rounds.iter().map(|round| round.plan.to_string()).collect(),
        speedup: all.speedup(),
        least_speedup: each().map(|round| round.speedup()).fold(f64::INFINITY, f64::min),
        gain: under_control_pps / before_pps,
        of_independent: all.of(|_, turn| turn.after / turn.independent),
        behind_best: all.behind(plans),
        most_behind_best: each().map(|round| round.behind(plans)).fold(f64::NEG_INFINITY, f64::max),
        reaction_ms: controlled().filter_map(reaction).fold(0.0, f64::max),
        actions: last.map_or(0, |round| made(&round.controlled)),
        lost: faults.lost,
        identical: !faults.differ,
        before_pps,
        under_control_pps,
        original,
        original_all_cores,
        independent,
        layouts,
        fixed,
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
    let mut out = format!("{:<9} {:<44} {:>12} {:>9}\n", "engine", "layout", "packets/s", "speedup");
    for run in &report.runs {
        let mut line = |what: &str, rate: &Rate| {
            out += &format!("{:<9} {what:<44} {:>12.0} {:>9.2}\n", run.engine, rate.pps, rate.speedup);
        };
        line("original, one worker", &run.original);
        line("original, all cores that it can use", &run.original_all_cores);
        line("bricks, after the controller has acted", &run.after);
        if let Some(best) = run.fixed.first() {
            line(&format!("best of {} fixed layouts", run.layouts), best);
        }
        line(&format!("{} monoliths that share nothing", report.cores), &run.independent);
        out += &format!(
            "{:<9} bottleneck {} found and answered in {:.0} ms; then {}\n{:<9} speedup {:.2} ({:.2} in the least round; paper: {}), {:.0}% of {} monoliths; {:.1}% behind the best fixed layout ({:.1}% in \
             the worst round); under the controller {:.0} packets/s, and {:.0} before it acted; {} lost, scores {}\n",
            run.engine,
            run.bottleneck.join(" "),
            run.reaction_ms,
            run.after.plan,
            run.engine,
            run.speedup,
            run.least_speedup,
            report.paper,
            run.of_independent * 100.0,
            report.cores,
            run.behind_best * 100.0,
            run.most_behind_best * 100.0,
            run.under_control_pps,
            run.before_pps,
            run.lost,
            if run.identical { "identical" } else { "DIFFER" }
        );
    }
    out
}

fn picture(report: &Report) -> String {
    let series =
        ["original", "original, all cores", "bricks, after", "best fixed layout", "monoliths side by side"];
    let group = |run: &Run| {
        let best = run.fixed.first().map_or(0.0, |rate| rate.speedup);
        let rates = [&run.original, &run.original_all_cores, &run.after].map(|rate| rate.speedup);
        let values = rates.into_iter().chain([best, run.independent.speedup]).collect();
        Group { name: format!("{} engine", run.engine), values }
    };
    let groups: Vec<_> = report.runs.iter().map(group).collect();
    let title = format!("LEGO's Figure 4 on {} cores (paper: {})", report.cores, report.paper);
    svg(&title, "throughput, original = 1", &series, &groups)
}
