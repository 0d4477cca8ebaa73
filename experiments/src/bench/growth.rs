//! `legonf bench growth`: what a packet costs as the work grows.

mod network;
mod plots;
mod streams;

use super::busy::Watch;
use crate::ExperimentError;
use clap::Args;
use legonf_core::BATCH;
use legonf_engine::{Error, Folder, Session, reading};
use legonf_models::kitnet::Precision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Measures packets/s of one core, by processor time, as the work grows: features and their memory over the number of
/// streams, features and the network over the batch size, the network over the number of features.
///
/// Streams are generated flows, of which few carry most packets; each is met before the measurement begins. Beyond the
/// bounds of the tables streams are evicted, and counted.
#[derive(Args)]
pub struct Arguments {
    /// The most streams; 10,000,000 take about 8 GiB and some minutes.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    max_streams: u32,
    /// Feature schema: kitsune-115-clean, or kitsune-115 and kitsune-py-100, which reproduce what was published.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// Seed of the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds over all points; of each the fastest counts.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// A folder for report.json, streams.svg, state.svg, batches.svg and features.svg.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep what the report in --out has, and measure the points and rounds that it lacks.
    #[arg(long, requires = "out")]
    resume: bool,
    /// Begin no measurement after this time; --resume goes on there.
    #[arg(long, alias = "seconds", requires = "out", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    duration: Option<Duration>,
}

/// What was measured so far.
#[derive(Default, Serialize, Deserialize)]
pub struct Report {
    schema: String,
    seed: u64,
    points: Vec<Measured>,
    /// Instruction sets of the features and of the network, of the last run that measured.
    #[serde(default)]
    instruction_sets: [String; 2],
    /// What else the machine did while that ran; none where nothing much.
    #[serde(default)]
    busy: Option<String>,
    /// Measurements that are left of the plan.
    #[serde(skip)]
    left: usize,
}

/// What is measured by itself.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
enum Point {
    /// Rows through a network of so many features, in batches of [`BATCH`].
    Network { features: usize, precision: Precision },
    /// Rows through a network of 115 features.
    NetworkBatch { batch: usize, precision: Precision },
    /// Packets through parser and extractor, of [`STREAMS`] streams.
    ExtractionBatch { batch: usize },
    /// Packets through parser and extractor, in batches of [`BATCH`].
    Extraction { streams: u32 },
}

#[derive(Serialize, Deserialize)]
struct Measured {
    #[serde(flatten)]
    point: Point,
    /// Rounds so far.
    rounds: u32,
    /// Packets or rows a second of processor time of one core, in the fastest round: other work only slows.
    per_second: f64,
    /// The extractor's state, where it is the point's subject.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// What the extractor keeps after the measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    state_bytes: u64,
    state_bytes_bound: u64,
    evicted: BTreeMap<String, u64>,
}

/// Parts of a measurement, of which the fastest counts.
const PARTS: usize = 8;
/// Streams at which batch sizes are compared.
const STREAMS: u32 = 10_000;
const BATCH_SIZES: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const PRECISIONS: [Precision; 2] = [Precision::F64, Precision::F32];
const FEATURE_COUNTS: [usize; 8] = [10, 20, 50, 100, 115, 200, 500, 1000];
const MIB: f64 = 1024.0 * 1024.0;

/// Measures what is left of the plan, and draws the plots.
///
/// # Errors
/// If the report to go on with is of another plan, the session is stopped, or nothing can be written.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    // A report that is gone on with is in the folder.
    session.check_folder(arguments.out.as_deref().filter(|_| !arguments.resume))?;
    let folder = arguments.out.as_deref().map(Folder::create).transpose()?;
    let mut report = arguments.begin()?;
    let start = Instant::now();
    let mut host = Watch::begin();
    for (round, point) in arguments.plan() {
        if report.rounds(point) >= round {
            continue;
        }
        if arguments.duration.is_some_and(|duration| start.elapsed() > duration) {
            report.left += 1;
            continue;
        }
        let (per_second, state) = arguments.measure(session, point)?;
        report.add(point, per_second, state);
        if let Some(folder) = &folder {
            folder.report(&report)?;
        }
    }
    report.busy = host.busy(None);
    if let Some(folder) = folder {
        folder.report(&report)?;
        plots::plots(&report).iter().try_for_each(|(name, plot)| folder.plot(name, plot))?;
    }
    Ok(report)
}

impl Arguments {
    /// An empty report, or the one to go on with.
    fn begin(&self) -> Result<Report, ExperimentError> {
        let schema = self.schema.clone();
        let sets = [legonf_extract::instruction_set(&schema), legonf_models::kitnet::instruction_set()];
        let instruction_sets = sets.map(str::to_owned);
        let fresh = Report { schema, seed: self.seed, instruction_sets, ..Report::default() };
        let path = self.out.as_ref().filter(|_| self.resume).map(|folder| folder.join("report.json"));
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(fresh) };
        let report = Report::read(&path)?;
        if (&report.schema, report.seed) != (&self.schema, self.seed) {
            let Report { schema, seed, .. } = report;
            let reason = format!("is of schema {schema} and seed {seed}: give these, or leave --resume out");
            return Err(Error::file(&path, reason).into());
        }
        Ok(Report { instruction_sets: fresh.instruction_sets, ..report })
    }

    /// Round by round all points, those first that take least.
    fn plan(&self) -> Vec<(u32, Point)> {
        let counts = (2..=7).map(|power| 10_u32.pow(power)).filter(|count| *count <= self.max_streams);
        let network = |features| PRECISIONS.map(|precision| Point::Network { features, precision });
        let batches = |batch| PRECISIONS.map(|precision| Point::NetworkBatch { batch, precision });
        let points: Vec<_> = FEATURE_COUNTS
            .into_iter()
            .flat_map(network)
            .chain(BATCH_SIZES.into_iter().flat_map(batches))
            .chain(BATCH_SIZES.map(|batch| Point::ExtractionBatch { batch }))
            .chain(counts.map(|streams| Point::Extraction { streams }))
            .collect();
        (1..=self.rounds).flat_map(|round| points.iter().map(move |point| (round, *point))).collect()
    }

    fn measure(&self, session: &Session, point: Point) -> Result<(f64, Option<State>), ExperimentError> {
        let case = |streams, batch| streams::Case { schema: &self.schema, seed: self.seed, streams, batch };
        Ok(match point {
            Point::Network { features, precision } => {
                (network::rows_per_second(&network::network(features)?, precision, BATCH), None)
            }
            Point::NetworkBatch { batch, precision } => {
                (network::rows_per_second(&network::network(115)?, precision, batch), None)
            }
            Point::ExtractionBatch { batch } => (case(STREAMS, batch).measure(session)?.0, None),
            Point::Extraction { streams } => {
                let (per_second, state) = case(streams, BATCH).measure(session)?;
                (per_second, Some(state))
            }
        })
    }
}

impl Report {
    fn read(path: &Path) -> Result<Self, ExperimentError> {
        let parse = |text: &str| serde_json::from_str(text);
        let remedy = |error| format!("{error}; leave --resume out");
        Ok(reading::parsed(path, reading::DOCUMENT, |text| parse(text).map_err(remedy))?)
    }

    /// How often a point was measured.
    fn rounds(&self, point: Point) -> u32 {
        self.points.iter().find(|measured| measured.point == point).map_or(0, |measured| measured.rounds)
    }

    fn add(&mut self, point: Point, per_second: f64, state: Option<State>) {
        match self.points.iter_mut().find(|measured| measured.point == point) {
            Some(measured) => {
                measured.rounds += 1;
                measured.per_second = measured.per_second.max(per_second);
            }
            None => self.points.push(Measured { point, rounds: 1, per_second, state }),
        }
    }
}

fn rate(count: u64, spent: Duration) -> f64 {
    count as f64 / spent.as_secs_f64().max(1e-9)
}

/// A line for each point, and what else there is to say.
pub fn text(report: &Report) -> String {
    let [features, network] = &report.instruction_sets;
    let mut text = format!(
        "{} with {features}; network with {network}, of 115 features but where it says how many\n",
        report.schema
    );
    for Measured { point, per_second, state, .. } in &report.points {
        let (what, million) = (point.to_string(), per_second / 1e6);
        // Writing to a String cannot fail.
        let _ = write!(text, "{what:<58} {million:>8.3} M/s");
        if let Some(state) = state {
            let (mib, evicted) = (state.state_bytes as f64 / MIB, state.evicted.values().sum::<u64>());
            let _ = write!(text, " {mib:>8.1} MiB of state, {evicted} evicted");
        }
        text.push('\n');
    }
    if let Some(busy) = &report.busy {
        let _ = writeln!(text, "{busy}");
    }
    let left = report.left;
    if left > 0 {
        let _ = writeln!(text, "{left} measurements are left for --resume");
    }
    text
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { features, precision } => write!(f, "network in {precision}, {features} features"),
            Self::NetworkBatch { batch, precision } => {
                write!(f, "network in {precision}, batches of {batch}")
            }
            Self::ExtractionBatch { batch } => write!(f, "parser and extractor, batches of {batch}"),
            Self::Extraction { streams } => write!(f, "parser and extractor, {streams} streams"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_goes_on_where_it_ended() {
        let (folder, session) = (tempfile::tempdir().unwrap(), Session::default());
        let mut arguments = Arguments {
            max_streams: 100,
            schema: "kitsune-115".into(),
            seed: 1,
            rounds: 2,
            out: Some(folder.path().to_owned()),
            resume: true,
            duration: Some(Duration::from_nanos(1)),
        };
        let mut report = arguments.begin().unwrap();
        let points = arguments.plan();
        assert_eq!(points.len(), 2 * (2 * FEATURE_COUNTS.len() + 3 * BATCH_SIZES.len() + 1));
        let (point, state) =
            (points[1].1, State { state_bytes: 1, state_bytes_bound: 2, evicted: BTreeMap::new() });
        let (per_second, none) = arguments.measure(&session, point).unwrap();
        assert!(per_second > 0.0 && none.is_none());
        report.add(point, per_second, None);
        report.add(point, per_second / 2.0, None);
        let streams = points[points.len() - 1].1;
        report.add(streams, 7.0, Some(state.clone()));
        Folder::create(folder.path()).unwrap().report(&report).unwrap();
        // The time is over: nothing more is measured, and what there is stays.
        run(&arguments, &session).unwrap();
        let kept = arguments.begin().unwrap();
        assert_eq!((kept.rounds(point), kept.rounds(streams), kept.rounds(points[0].1)), (2, 1, 0));
        assert_eq!((kept.points[0].per_second, &kept.points[1].state), (per_second, &Some(state)));
        assert!(folder.path().join("streams.svg").exists());
        arguments.seed = 2;
        assert!(arguments.begin().is_err_and(|error| error.to_string().contains("seed 1")));
    }
}
