//! How quiet a model made by the defaults is on benign traffic, minute by minute.

mod kitsune;
mod report;
pub(crate) mod traffic;

pub use report::{Minute, Report, Run, text};

use crate::ExperimentError;
use clap::Args;
use kitsune::Kitsune;
use legonf_core::Progress;
use legonf_datasets::generate::Config;
use legonf_engine::arguments::rate;
use legonf_engine::{Error, Extent, Session};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use traffic::Traffic;

/// Trains, calibrates and scores benign traffic, all by the defaults, and says what share of the packets of every minute is above
/// the threshold, once the statistics have settled.
///
/// Without captures the traffic is that of `legonf dataset generate`, of so many seeds. Training takes the first packets, as `legonf
/// train` does; the next ten minutes, or half of what is left if that is less, set the threshold, as `legonf calibrate` does; then
/// all packets are scored. The exit code is 1 where a minute has a share of more than twice the bound that the threshold stands for.
#[derive(Args)]
pub struct Arguments {
    /// Benign captures instead of generated traffic.
    #[arg(value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Read only the first N packets of each capture, such as those before an attack.
    #[arg(long, value_name = "N", requires = "captures")]
    limit: Option<u64>,
    /// Seeds of generated traffic: so many from the first on.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_name = "SEED", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    first_seed: u64,
    /// Minutes of generated traffic.
    #[arg(long, default_value_t = 60, value_name = "M", value_parser = clap::value_parser!(u64).range(12..=10_000))]
    minutes: u64,
    /// Packets a second of generated traffic.
    #[arg(long, default_value_t = 1000.0, value_name = "PPS", value_parser = rate)]
    rate: f64,
    /// Feature schema.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// Packets that train the ensemble at least. Default: those of `legonf train`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    training_packets: Option<u64>,
    /// Runs at a time; each takes a core and, for an hour of generated traffic, 100 MiB. Default: one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Runs the experiment.
///
/// # Errors
/// If a capture cannot be read or is too short, a model cannot be made, or the session is stopped.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let schema = legonf_extract::schema_by_name(&arguments.schema)?;
    let traffic = arguments.traffic();
    let bar = session.begin("quiet", Extent::Packets(traffic.len() as u64));
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((at, traffic)) = claim(&next, &traffic) {
            let training_packets = arguments.training_packets;
            let run = Kitsune { session, schema: &schema, traffic, training_packets }.run();
            found.lock().map_err(|_| ExperimentError::Panicked)?.push((at, run?));
        }
        Ok::<_, ExperimentError>(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.threads(traffic.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| ExperimentError::Panicked)?)
    })?;
    bar.update(Progress::default(), traffic.len() as u64);
    let mut runs = found.into_inner().map_err(|_| ExperimentError::Panicked)?;
    runs.sort_by_key(|(at, _)| *at);
    Ok(Report::of(&schema, runs.into_iter().map(|(_, run)| run).collect()))
}

/// The next one that nobody works on.
fn claim<'a>(next: &AtomicUsize, traffic: &'a [Traffic]) -> Option<(usize, &'a Traffic)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, traffic.get(at)?))
}

impl Arguments {
    fn traffic(&self) -> Vec<Traffic> {
        if self.captures.is_empty() {
            return (self.first_seed..self.first_seed + self.seeds)
                .map(|seed| Traffic::Generated(self.config(seed)))
                .collect();
        }
        let captured = |path: &PathBuf| Traffic::Captured { path: path.clone(), limit: self.limit };
        self.captures.iter().map(captured).collect()
    }

    fn config(&self, seed: u64) -> Config {
        let packets = (self.minutes as f64 * 60.0 * self.rate) as u64;
        Config { seed, packets, rate: self.rate, ..Config::default() }
    }

    fn threads(&self, runs: usize) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from).min(runs)
    }
}

/// What a capture that is too short lacks: packets and time that it has, and that training takes.
fn too_short(name: &str, (packets, span): (u64, Duration), needed: (u64, Duration)) -> ExperimentError {
    let (span, trained) = (span.as_secs(), needed.1.as_secs());
    let reason = format!(
        "{name}: too short: its {packets} packets last {span} s; training takes {} packets and {trained} s, and what follows is \
         calibrated and judged; give a longer capture, or lower --training-packets",
        needed.0
    );
    Error::refused(reason).into()
}
