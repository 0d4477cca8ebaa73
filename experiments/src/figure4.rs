//! LEGO's Figure 4: what replicating the bottleneck brick brings.

mod report;
mod turns;
pub(crate) mod watch;

use crate::ExperimentError;
use crate::lap::{Laps, Track};
use clap::Args;
use legonf_controller::{Action, Config, Costs, Event, Model, Scaling};
use legonf_core::{Plan, Stage, State};
use legonf_datasets::generate;
use legonf_engine::agent::cores;
use legonf_engine::measure::{Trial, alone, median};
use legonf_engine::{EngineKind, Error, Execution, Folder, Network, Session, assemble_extraction};
use legonf_models::kitnet::{Precision, TrainConfig, Trainer};
use legonf_models::{Bundle, Provenance};
use legonf_runtime::Layout;
pub use report::{Report, text};
use report::{Run, picture};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use turns::{Medians, Round, Turn};
use watch::{Digest, Watch};

/// Engines by the name that the report has for them.
const ENGINES: [(&str, EngineKind, Option<Precision>); 3] = [
    ("generic", EngineKind::Onnx, None),
    ("fused", EngineKind::Kitnet, None),
    ("fused-f32", EngineKind::Kitnet, Some(Precision::F32)),
];
/// Fixed layouts that the controller's is compared with, beside the monolith and the bricks in a worker each.
const BEST: usize = 3;
/// Ticks of a plan from which its throughput is taken.
const SETTLED: u32 = 5;
/// Places of two of the fixed layouts.
const MONOLITH: usize = 0;
const PIPELINE: usize = 1;
/// Of the packets of a turn one in so many is compared: faster and slower layouts have more and fewer.
const COMPARED: u64 = 4;

/// Runs Kitsune over generated traffic as a monolith, as bricks in a worker each, and under the controller that starts from
/// there; with the generic network engine, and with legonf's own in double and in single precision. What the controller has come
/// to is then compared with the monolith, the bricks and the best fixed layouts, which are found by a look at all of them.
///
/// The machine may be slower in one moment than in the next. So all that is compared is run in turns, each for a moment, and a
/// ratio is the median of those of each turn. One turn is that of as many monoliths as there are cores, side by side, which share
/// nothing and have no common answer: what the cores can do together without hops.
#[derive(Args)]
pub struct Arguments {
    /// Time of each run under the controller, about.
    #[arg(long, alias = "seconds", default_value = "15s", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    round_time: Duration,
    /// Runs under the controller, each followed by some turns.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Turns of each round.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    turns: u32,
    /// Time of a layout in each turn, and of the first look at each fixed layout.
    #[arg(long, default_value = "500ms", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    look: Duration,
    /// Time between two looks of the controller.
    #[arg(long, default_value = "100ms", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    tick: Duration,
    /// Packets of the traffic that is repeated.
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(20_000..=10_000_000))]
    packets: u64,
    /// A folder for report.json, throughput.svg, and for each engine the event log of its last run.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What all runs of an engine share.
struct Case<'a> {
    arguments: &'a Arguments,
    trial: Trial<'a>,
    track: Arc<Track>,
    /// Packets of which the scores are compared.
    compared: u64,
}

/// One run.
struct Once {
    /// Packets, and seconds of the whole run.
    packets: u64,
    seconds: f64,
    digests: Vec<Digest>,
    events: Vec<Event>,
    lost: u64,
    checksum: u64,
    costs: Costs,
    /// Whether the controller was still comparing layouts at the end.
    undecided: bool,
}

impl Once {
    /// Packets a second of the whole run.
    fn pps(&self) -> f64 {
        self.packets as f64 / self.seconds
    }
}

/// Runs all engines.
///
/// # Errors
/// If a run does not come to its end, or nothing can be written.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    if arguments.round_time < 10 * arguments.tick {
        return Err(Error::refused("--round-time: the controller needs ten ticks (--tick) at least").into());
    }
    session.check_folder(arguments.out.as_deref())?;
    let config =
        generate::Config { packets: arguments.packets, rate: 10_000.0, ..generate::Config::default() };
    let track = Arc::new(Track::generate(config)?);
    let network = learn(session, &track)?;
    let folder = arguments.out.as_deref().map(Folder::create).transpose()?;
    let mut runs = Vec::new();
    for (name, engine, precision) in ENGINES {
        let execution = Execution { engine: Some(engine), precision };
        let (run, events) = arguments.engine(session, (name, execution), &network, &track)?;
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
    Ok(report)
}

/// A line for each event.
pub(crate) fn lines(events: &[Event]) -> String {
    events.iter().map(|event| event.to_line() + "\n").collect()
}

/// LEGO's Kitsune is the published one: what reproduces its figures, and what is set beside that, takes its features.
pub(crate) const SCHEMA: &str = "kitsune-115";

/// Trains a network on the first packets of the track, over features of [`SCHEMA`].
pub(crate) fn learn(session: &Session, track: &Arc<Track>) -> Result<Network, ExperimentError> {
    Ok(Network::of(learn_bundle(session, track)?))
}

/// A model that was learnt from a track, in a file, so that processes and hosts can be given it.
pub(crate) struct Learnt {
    folder: TempDir,
    pub network: Network,
}

impl Learnt {
    pub fn of(session: &Session, track: &Arc<Track>) -> Result<Self, ExperimentError> {
        let folder = tempfile::tempdir().map_err(Error::from)?;
        learn_bundle(session, track)?.save(&file(&folder)).map_err(Error::from)?;
        let network = Network::load(session, &file(&folder))?;
        Ok(Self { folder, network })
    }

    /// Its file.
    pub fn file(&self) -> PathBuf {
        file(&self.folder)
    }

    /// The built-in graph around it.
    pub fn trial(&self, session: &Session, execution: Execution) -> Result<Trial<'_>, ExperimentError> {
        Ok(Trial::built_in(session, &self.network, execution)?.of_file(&file(&self.folder)))
    }
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("kitsune.onnx")
}

/// As a bundle, which can be saved.
fn learn_bundle(session: &Session, track: &Arc<Track>) -> Result<Bundle, ExperimentError> {
    let schema = legonf_extract::schema_by_name(SCHEMA)?;
    let training = TrainConfig {
        features: schema.len(),
        feature_mapping_packets: 2000,
        training_packets: 10_000,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(training.clone())?;
    let spec = legonf_engine::nf::extraction(SCHEMA);
    let mut graph = assemble_extraction(&spec)?;
    let (mut source, mut sink) = (Laps::new(track.clone(), 13_000), watch::Learn::new(&mut trainer));
    alone(session, &mut graph, &mut source, &mut sink, &mut |_, _| {})?;
    let model = legonf_models::Model::KitNet { network: trainer.finish()?.into(), training };
    let provenance = Provenance::default();
    Ok(Bundle { model, schema, calibration: None, provenance })
}

impl Arguments {
    fn engine(
        &self,
        session: &Session,
        (name, execution): (&'static str, Execution),
        network: &Network,
        track: &Arc<Track>,
    ) -> Result<(Run, Vec<Event>), ExperimentError> {
        let trial = Trial::built_in(session, network, execution)?;
        let mut case = Case { arguments: self, trial, track: track.clone(), compared: 0 };
        // A first run says how many packets take the time that is wanted, and what bricks cost.
        let probe = case.once(self.packets / 4, &Layout::Pipeline, Scaling::Fixed)?;
        let (of_run, of_turn) = (case.fit(probe.pps(), self.round_time), case.fit(probe.pps(), self.look));
        case.compared = of_turn.min(of_run) / COMPARED;
        let mut faults = Faults::default();
        let field = case.look(of_turn, &probe.costs, &mut faults)?;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let controlled = case.once(of_run, &Layout::Pipeline, Scaling::Brick)?;
            faults.note(&controlled);
            let Some(digest) = settled(&controlled) else {
                return Err(Error::refused("--round-time: too short a time, no packet came through").into());
            };
            let after = Contestant { plan: digest.plan.clone(), pps: digest.pps() };
            let turn = |_| case.turn(&field.best, &after, &mut faults);
            let turns = (0..self.turns).map(turn).collect::<Result<_, _>>()?;
            rounds.push(Round { controlled, plan: after.plan, turns });
        }
        let plans: Vec<_> = field.best.into_iter().map(|contestant| contestant.plan).collect();
        let run = conclude(name, field.looked, &plans, &rounds, &faults);
        Ok((run, rounds.pop().map_or_else(Vec::new, |round| round.controlled.events)))
    }
}

/// A layout, and what it carried when it was looked at.
struct Contestant {
    plan: Plan,
    pps: f64,
}

/// Fixed layouts.
struct Field {
    /// How many there are.
    looked: usize,
    /// The monolith, the bricks in a worker each, and the best of the others.
    best: Vec<Contestant>,
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
    /// Packets for which a layout that carries `pps` takes some time.
    fn fit(&self, pps: f64, time: Duration) -> u64 {
        ((pps * time.as_secs_f64()) as u64).max(10_000).max(self.compared)
    }

    /// Runs every way to put the bricks in stages for a moment, with replicas of the slowest stage where the costs say that
    /// they help.
    fn look(&self, packets: u64, costs: &Costs, faults: &mut Faults) -> Result<Field, ExperimentError> {
        let may = |stage: &Stage| {
            stage.bricks.iter().all(|id| costs.of(id).is_ok_and(|cost| cost.state != State::Serial))
        };
        let mut look = |plan: Plan| -> Result<Contestant, ExperimentError> {
            let run = self.once(packets, &Layout::Stages(plan.clone()), Scaling::Fixed)?;
            faults.note(&run);
            Ok(Contestant { pps: run.pps(), plan })
        };
        let graph = self.trial.graph()?;
        let ends = [Layout::Fused, Layout::Pipeline].map(|layout| layout.plan(&graph));
        let all = Model::new(costs, 1.0).layouts(cores() as f64, 2 * costs.bricks.len(), &may);
        let others = all.into_iter().map(|forecast| forecast.plan).filter(|plan| !ends.contains(plan));
        let mut others = others.map(&mut look).collect::<Result<Vec<_>, _>>()?;
        let looked = others.len() + ends.len();
        others.sort_by(|a, b| b.pps.total_cmp(&a.pps));
        let ends = ends.into_iter().map(look).collect::<Result<Vec<_>, _>>()?;
        let best = ends.into_iter().chain(others.into_iter().take(BEST)).collect();
        Ok(Field { looked, best })
    }

    /// Runs all layouts, one after the other, and monoliths side by side.
    fn turn(
        &self,
        fixed: &[Contestant],
        after: &Contestant,
        faults: &mut Faults,
    ) -> Result<Turn, ExperimentError> {
        let once = |contestant: &Contestant| {
            let packets = self.fit(contestant.pps, self.arguments.look);
            self.once(packets, &Layout::Stages(contestant.plan.clone()), Scaling::Fixed)
        };
        let mut alone = |contestant: &Contestant| -> Result<f64, ExperimentError> {
            let run = once(contestant)?;
            faults.note(&run);
            Ok(run.pps())
        };
        let after = alone(after)?;
        let rates = fixed.iter().map(&mut alone).collect::<Result<_, _>>()?;
        let together = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..cores()).map(|_| scope.spawn(|| once(&fixed[MONOLITH]))).collect();
            let join = |run: std::thread::ScopedJoinHandle<'_, _>| {
                run.join().map_err(|_| Error::refused("a monolith has panicked"))?
            };
            runs.into_iter().map(join).collect::<Result<Vec<Once>, ExperimentError>>()
        })?;
        together.iter().for_each(|run| faults.note(run));
        let packets: u64 = together.iter().map(|run| run.packets).sum();
        let seconds = together.iter().map(|run| run.seconds).fold(0.0, f64::max);
        Ok(Turn { fixed: rates, after, independent: packets as f64 / seconds })
    }

    fn once(&self, packets: u64, layout: &Layout, scaling: Scaling) -> Result<Once, ExperimentError> {
        let config = Config {
            scaling,
            tick: self.arguments.tick.as_secs_f64(),
            cooldown: 0.3,
            ticks_down: 5,
            ..Config::default()
        };
        let mut watch = Watch::new(self.trial.agent(config)?);
        let mut source = Laps::new(self.track.clone(), packets);
        let mut sink = watch::Checksum::of_first(self.compared);
        let ran = self.trial.run(Some(&mut watch), layout, &mut source, &mut sink)?;
        let packets = ran.outcome.packets;
        let (lost, costs, undecided) =
            (source.given() - packets, watch.costs().clone(), watch.is_undecided());
        let (digests, events) = watch.finish(packets)?;
        let (seconds, checksum) = (ran.seconds, sink.value());
        Ok(Once { packets, seconds, digests, events, lost, checksum, costs, undecided })
    }
}

fn conclude(engine: &'static str, layouts: usize, plans: &[Plan], rounds: &[Round], faults: &Faults) -> Run {
    let all = Medians(rounds);
    let each = || rounds.iter().map(|round| Medians(std::slice::from_ref(round)));
    let mut fixed: Vec<_> =
        plans.iter().enumerate().map(|(index, plan)| all.rate(plan, |turn| turn.fixed[index])).collect();
    let (original, original_all_cores) = (fixed[MONOLITH].clone(), fixed[PIPELINE].clone());
    fixed.sort_by(|a, b| b.speedup.total_cmp(&a.speedup));
    let controlled = || rounds.iter().map(|round| &round.controlled);
    let pps = |pick: fn(&Once) -> Option<&Digest>| median(controlled().filter_map(pick).map(Digest::pps));
    let last = rounds.last();
    let after = all.rate(last.map_or_else(String::new, |round| round.plan.to_string()), |turn| turn.after);
    let made = |run: &Once| run.events.iter().filter(|event| acted(event)).count();
    Run {
        engine,
        bottleneck: last.and_then(|round| bottleneck(&round.controlled)).unwrap_or_default(),
        before_pps: pps(|run| run.digests.first()),
        under_control_pps: pps(settled),
        plans: rounds.iter().map(|round| round.plan.to_string()).collect(),
        undecided: controlled().filter(|run| run.undecided).count(),
        speedup: after.speedup,
        least_speedup: each()
            .map(|round| round.over_monolith(|turn| turn.after))
            .fold(f64::INFINITY, f64::min),
        gain: all.of(|_, turn| turn.after / turn.fixed[PIPELINE]),
        of_independent: all.of(|_, turn| turn.after / turn.independent),
        behind_best: all.behind(plans),
        most_behind_best: each().map(|round| round.behind(plans)).fold(f64::NEG_INFINITY, f64::max),
        reaction_ms: controlled().filter_map(reaction).fold(0.0, f64::max),
        actions: last.map_or(0, |round| made(&round.controlled)),
        lost: faults.lost,
        identical: !faults.differ,
        independent: all.rate(format!("{} of {}", cores(), original.plan), |turn| turn.independent),
        original,
        original_all_cores,
        after,
        layouts,
        fixed,
    }
}

/// The last plan of a run that was held for some ticks in all, when it was in force longest; where none was, the one that was in force
/// longest. A plan under which nothing came out was over before its first batch was.
fn settled(run: &Once) -> Option<&Digest> {
    let working = || run.digests.iter().filter(|digest| digest.pps() > 0.0 && !digest.is_turn);
    let ticks = |plan: &Plan| working().filter(|d| d.plan == *plan).map(|d| d.ticks).sum::<u32>();
    let last = working().rfind(|digest| ticks(&digest.plan) >= SETTLED);
    let last = last.and_then(|last| working().filter(|d| d.plan == last.plan).max_by_key(|d| d.ticks));
    last.or_else(|| working().max_by_key(|digest| digest.ticks))
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
