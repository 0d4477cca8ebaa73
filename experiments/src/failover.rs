//! What becomes of packets while parts of a graph die: replicas in processes of their own, agents, and the link to a host.

mod faults;
mod graph;
mod seen;

use crate::ExperimentError;
use crate::figure4::Learnt;
use crate::lap::Track;
use crate::offer::{Load, Offer};
use clap::Args;
use faults::{Fault, Victims};
use graph::{GraphFault, Graphs};
use legonf_core::Plan;
use legonf_datasets::generate;
use legonf_engine::measure::Trial;
use legonf_engine::{Error, Execution, Extent, Placement, Session};
use legonf_runtime::Layout;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use seen::Seen;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The layout: two replicas of the extractor, which is what dies.
pub(crate) const LAYOUT: &str = "source batching | extractor x2 | mapping autoencoder decision sink";
/// The same with one.
pub(crate) const LAYOUT_OF_ONE: &str = "source batching | extractor | mapping autoencoder decision sink";

/// Kills, freezes and cuts off parts of Kitsune's graph while packets flow (StatelessNF, chapter 4): replicas of the extractor in processes of their
/// own, the agent of another host, which here is a process on loopback, and the process of the graph itself, which has a hot standby. A link is cut in a
/// network namespace, where that may be made.
///
/// Packets come by the clock, as from an interface. Every one must be scored once, with the bits that one thread gives.
#[derive(Args)]
pub struct Arguments {
    /// Packets a second that are offered.
    #[arg(long, default_value = "50k", value_name = "PPS", value_parser = legonf_engine::arguments::rate)]
    rate: f64,
    /// Time of each case.
    #[arg(long, default_value = "3s", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    time: Duration,
    /// How long a part may be silent before it counts as lost.
    #[arg(long, default_value = "300ms", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    lease: Duration,
    /// Further faults at random: of any kind but a cut link, at any time.
    #[arg(long, default_value_t = 0, value_name = "N")]
    faults: u32,
    /// Seed of what is random.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    seed: u64,
}

/// What was found.
#[derive(Serialize)]
pub struct Report {
    /// Packets a second that were offered.
    rate: f64,
    lease_ms: f64,
    /// Over all cases: packets that were not scored, that were scored again, and the greatest difference of a score to that of one
    /// thread.
    lost: u64,
    repeated: u64,
    deviation: f64,
    /// The longest from the moment when a loss was seen until the replica had answered what it was asked then.
    recovery_ms: f64,
    cases: Vec<Case>,
    /// Cases that were left out, and why.
    skipped: Vec<String>,
}

/// One case.
#[derive(Serialize)]
struct Case {
    name: &'static str,
    /// Faults that were brought about, and losses that the runtime saw.
    faults: usize,
    losses: u64,
    packets: u64,
    lost: u64,
    repeated: u64,
    deviation: f64,
    /// Of half of the losses, of 99 of 100, and the longest.
    recovery_ms_median: f64,
    recovery_ms_p99: f64,
    recovery_ms: f64,
    /// The longest time without a result: until the loss was seen, and until the replica was back.
    outage_ms: f64,
}

impl Report {
    /// Why the promise does not hold, if so.
    pub fn failure(&self) -> Option<String> {
        let broken = self.lost > 0 || self.repeated > 0 || self.deviation != 0.0;
        // A fault at random may come while a replica is being made anew, which then is one loss.
        let expected = |case: &Case| if case.name == AT_RANDOM { case.faults * 9 / 10 } else { case.faults };
        let unseen = self.cases.iter().find(|case| case.losses < expected(case) as u64).map(|case| case.name);
        match (broken, unseen) {
            (true, _) => Some(format!(
                "{} packets lost, {} repeated, deviation {}; please report this",
                self.lost, self.repeated, self.deviation
            )),
            (false, Some(name)) => Some(format!("{name}: fewer losses were seen than faults brought about")),
            (false, None) => None,
        }
    }
}

/// Runs the cases.
///
/// # Errors
/// If a run does not come to its end.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let config = generate::Config {
        packets: 100_000,
        rate: 10_000.0,
        seed: arguments.seed,
        ..generate::Config::default()
    };
    let track = Arc::new(Track::generate(config)?);
    let learnt = Learnt::of(session, &track)?;
    let bench = Bench { arguments, trial: learnt.trial(session, Execution::default())?, track };
    let (mut cases, mut skipped) = (Vec::new(), Vec::new());
    let mut planned = vec![
        ("process killed", vec![Fault::KillProcess; 3]),
        ("process frozen", vec![Fault::FreezeProcess]),
        ("agent killed", vec![Fault::KillAgent]),
        ("agent frozen", vec![Fault::FreezeAgent]),
        ("link cut", vec![Fault::CutLink]),
    ];
    if arguments.faults > 0 {
        planned.push((AT_RANDOM, vec![Fault::AnyProcess; arguments.faults as usize]));
    }
    let of_parts = planned.len() as u64;
    let bar = session.begin("failover", Extent::Packets(of_parts + GraphFault::ALL.len() as u64));
    for (number, (name, faults)) in planned.into_iter().enumerate() {
        match Victims::of(session, &faults) {
            Ok(victims) => cases.push(bench.case(name, &faults, &victims)?),
            Err(reason) => skipped.push(format!("{name}: {reason}")),
        }
        bar.update(legonf_core::Progress::default(), number as u64 + 1);
    }
    let graphs = bench.graphs(&learnt.file())?;
    for (number, fault) in GraphFault::ALL.into_iter().enumerate() {
        cases.push(graphs.case(fault)?);
        bar.update(legonf_core::Progress::default(), of_parts + number as u64 + 1);
    }
    let most = |of: fn(&Case) -> f64| cases.iter().map(of).fold(0.0, f64::max);
    Ok(Report {
        rate: arguments.rate,
        lease_ms: milliseconds(arguments.lease),
        lost: cases.iter().map(|case| case.lost).sum(),
        repeated: cases.iter().map(|case| case.repeated).sum(),
        deviation: most(|case| case.deviation),
        recovery_ms: most(|case| case.recovery_ms),
        cases,
        skipped,
    })
}

/// The case of faults at random.
const AT_RANDOM: &str = "at random";

struct Bench<'a> {
    arguments: &'a Arguments,
    trial: Trial<'a>,
    track: Arc<Track>,
}

impl Bench<'_> {
    /// Runs packets while faults come about.
    fn case(&self, name: &'static str, faults: &[Fault], victims: &Victims) -> Result<Case, ExperimentError> {
        let Arguments { rate, time, lease, seed, .. } = *self.arguments;
        let mut placement = Placement { lease, ..Placement::default() };
        victims.place(&mut placement);
        // A fault at a time. Each may take a lease to be seen, and a while until a further process has had its time.
        let seconds = time.as_secs_f64().max(faults.len() as f64 * (0.5 + lease.as_secs_f64()) + 1.0);
        let load = Load { seconds, rates: vec![rate] };
        let expected = self.alone(&load)?;
        let layout: Layout =
            LAYOUT.parse::<Plan>().map(Layout::Stages).map_err(|error| Error::refused(error.to_string()))?;
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let start = Instant::now();
        let mut source =
            Offer::timed(load.clone(), self.track.clone(), start, u64::MAX, Duration::from_millis(2));
        let (dropped, mut seen) = (source.lost(), Seen::default());
        let trial = self.trial.placed(placement);
        let ran = thread::scope(|scope| {
            let attack = scope.spawn(|| victims.attack(faults, start, seconds, lease, random));
            let ran = trial.run(None, &layout, &mut source, &mut seen);
            attack.join().map(|attacked| (ran, attacked))
        });
        let (ran, attacked) =
            ran.map_err(|_| Error::refused("the thread that brings faults about panicked"))?;
        let (ran, faults) = (ran?, attacked?);
        let compared = seen.compare(&expected);
        Ok(Case {
            name,
            faults,
            losses: ran.outcome.losses.count,
            packets: expected.len() as u64,
            lost: compared.missing + dropped.load(std::sync::atomic::Ordering::Relaxed),
            repeated: compared.repeated,
            deviation: compared.deviation,
            recovery_ms_median: milliseconds(ran.outcome.losses.median),
            recovery_ms_p99: milliseconds(ran.outcome.losses.p99),
            recovery_ms: milliseconds(ran.outcome.losses.longest),
            outage_ms: milliseconds(seen.longest_gap()),
        })
    }

    /// What is needed to bring about faults of whole graphs.
    fn graphs(&self, model: &Path) -> Result<Graphs, ExperimentError> {
        let Arguments { rate, time, lease, .. } = *self.arguments;
        let load = Load { seconds: time.as_secs_f64(), rates: vec![rate] };
        let expected = self.alone(&load)?;
        Graphs::new(model, &load, &self.track, lease, expected)
    }

    /// The scores of one thread.
    fn alone(&self, load: &Load) -> Result<Vec<f64>, ExperimentError> {
        let (mut source, mut seen) = (Offer::at_once(load.clone(), self.track.clone()), Seen::default());
        self.trial.run(None, &Layout::Fused, &mut source, &mut seen)?;
        Ok(seen.scores())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The report as lines of text.
pub fn text(report: &Report) -> String {
    let mut text = format!("{:.0} packets/s offered, lease {:.0} ms\n\n", report.rate, report.lease_ms);
    let _ = writeln!(
        text,
        "case             faults  losses   packets  lost  repeated  deviation  recovery ms: half   of 99%  longest  outage ms"
    );
    for case in &report.cases {
        let Case { name, faults, losses, packets, lost, repeated, deviation, outage_ms, .. } = case;
        let Case { recovery_ms_median: half, recovery_ms_p99: most, recovery_ms: longest, .. } = case;
        let _ = writeln!(
            text,
            "{name:<16} {faults:>6}  {losses:>6}  {packets:>8}  {lost:>4}  {repeated:>8}  {deviation:>9}  {half:>17.1}  {most:>7.1}  {longest:>7.1}  {outage_ms:>9.1}"
        );
    }
    report.skipped.iter().for_each(|skipped| _ = writeln!(text, "skipped: {skipped}"));
    text
}
