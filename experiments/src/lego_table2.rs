//! `legonf experiment lego-table2`: what a split of the traffic does to Kitsune's scores.

use crate::ExperimentError;
use crate::scaling::{self, Point, Scaling};
use crate::table2::{Copies, Options, Report, Table2};
use clap::Args;
use legonf_core::{Headers, Progress};
use legonf_engine::measure::processor_time;
use legonf_engine::{Error, Extent, Folder, Network, Session, headers, input, reading};
use legonf_extract::Config;
use legonf_io::sink::SeriesPlot;
use legonf_models::kitnet::KitNet;
use legonf_splitter::{GroupSet, Mode, Plan};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs a capture through a single Kitsune and through replicas in the runtime, however few cores there are: by each granularity of LEGO's Table II
/// (SrcMAC-SrcIP, SrcIP, SrcIP-DstIP, Socket) and by the exact plan of `legonf split`.
///
/// For each it says the average RMSE, beside the paper's, how far scores are from the single instance's, which alerts are
/// lost and gained, and how many packets each replica got. It fails where a score of the exact plan is not the single
/// instance's bit for bit. With --out the folder gets table2.md, table2.csv and table2.svg.
#[derive(Args)]
pub struct Arguments {
    /// Capture (pcap, pcapng or Kitsune's TSV).
    #[arg(long, value_name = "CAPTURE")]
    capture: PathBuf,
    /// Model of `legonf train`.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Replicas, 1 to 254.
    #[arg(long, default_value_t = 3, value_name = "N")]
    replicas: usize,
    /// Split by this plan (from `legonf split --json`) instead of the schema's exact one; it must be exact, too.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Leave the first N packets out of the averages: those that the model was trained on, say.
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: u64,
    /// Scores above this are alerts, instead of the model's calibrated threshold.
    #[arg(long, value_name = "RMSE")]
    threshold: Option<f64>,
    /// Place the exact plan's slots anew after every N packets, by the load that was measured, and move their state.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rebalance_every: Option<u64>,
    /// Also split by SrcIP with the fewest packets copied to a second replica that keep the mean absolute deviation of
    /// the scores within this bound. Reads the capture again.
    #[arg(long, value_name = "RMSE")]
    max_deviation: Option<f64>,
    /// Also measure what the parts of the exact plan and of LEGO's single granularity take of a processor at 1 to 64
    /// replicas, and project the throughput. Reads the capture again, into memory.
    #[arg(long)]
    scaling: bool,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// A folder for table2.md, table2.csv and table2.svg; with --scaling also scaling.md and scaling.svg.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Choices of copies that are tried, each with more of them; the last one copies all that deviate.
const ATTEMPTS: u32 = 3;

/// The middle way, as it was chosen and as it turned out.
#[derive(Serialize)]
struct Middle {
    bound: f64,
    #[serde(flatten)]
    copies: Copies,
    mean_absolute_deviation: f64,
    within_bound: bool,
}

/// What became of the capture.
#[derive(Serialize)]
pub struct Outcome {
    capture: String,
    schema: String,
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_copies: Option<Middle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<Vec<Point>>,
}

impl Outcome {
    /// The table in words, with the scaling below it where that was measured.
    pub fn text(&self) -> String {
        let points = self.scaling.as_ref();
        self.table() + &points.map_or(String::new(), |points| format!("\n{}", scaling::markdown(points)))
    }

    /// What a split that must not change anything has changed.
    pub fn failure(&self) -> Option<&str> {
        self.report.failure.as_deref()
    }

    fn table(&self) -> String {
        let middle = self.with_copies.as_ref();
        self.report.markdown() + &middle.map_or(String::new(), |middle| format!("\n{}\n", middle.text()))
    }
}

/// What every run of the experiment takes.
struct Experiment<'a> {
    session: Session,
    arguments: &'a Arguments,
    network: Network,
    kitnet: Arc<KitNet>,
    set: GroupSet,
    plan: Plan,
}

/// Runs the capture through the single instance and through every split.
///
/// # Errors
/// If the model is no KitNET, the plan is not exact, the session is stopped, or nothing can be read or written.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Outcome, ExperimentError> {
    session.check_folder(arguments.out.as_deref())?;
    let experiment = Experiment::new(arguments, *session)?;
    let mut table = experiment.table()?;
    match arguments.rebalance_every {
        Some(every) => experiment.feed_and_rebalance(&mut table, every)?,
        None => experiment.feed(&mut table, "lego-table2")?,
    }
    let report = table.finish()?;
    let with_copies = match arguments.max_deviation {
        Some(bound) => Some(experiment.middle(bound, &table, &report)?),
        None => None,
    };
    let scaling = if arguments.scaling { Some(experiment.scaling()?) } else { None };
    let capture = input::file_name(&arguments.capture);
    let schema = experiment.set.name().to_owned();
    let outcome = Outcome { capture, schema, report, with_copies, scaling };
    experiment.write(&outcome)?;
    Ok(outcome)
}

impl<'a> Experiment<'a> {
    fn new(arguments: &'a Arguments, session: Session) -> Result<Self, ExperimentError> {
        let network = Network::load(&session, &arguments.model)?;
        let reason = "not a KitNET; this experiment needs one of `legonf train`";
        let other = || Error::file(&arguments.model, reason);
        let kitnet = network.kitnet().ok_or_else(other)?;
        let schema = legonf_extract::schema_by_name(&network.schema().name)?;
        let set = GroupSet::of_schema(&schema, legonf_extract::state_groups(&schema.name)?)?;
        let plan = match &arguments.plan {
            Some(path) => read(path, &set)?,
            None => Plan::exact(&set),
        };
        if let Some(bound) = arguments.max_deviation.filter(|bound| bound.is_nan() || *bound < 0.0) {
            let reason = format!("--max-deviation {bound}: expected a number of at least 0");
            return Err(Error::refused(reason).into());
        }
        let again = arguments.max_deviation.is_some() || arguments.scaling;
        if again && arguments.capture == Path::new("-") {
            let why = "--max-deviation and --scaling read the capture again, which standard input cannot be: give a file";
            return Err(Error::refused(why).into());
        }
        Ok(Self { session, arguments, network, kitnet, set, plan })
    }

    fn options(&self) -> Options {
        Options {
            replicas: self.arguments.replicas,
            threshold: self.arguments.threshold.or(self.network.threshold()),
            skip: self.arguments.skip,
            rebalanced: self.arguments.rebalance_every.is_some(),
            clock: processor_time,
        }
    }

    /// The model's extractor.
    fn config(&self) -> Config {
        Config { schema: self.network.schema().name.clone(), ..Config::default() }
    }

    fn table(&self) -> Result<Table2, ExperimentError> {
        Table2::new(&self.set, &self.plan, &self.config(), &self.kitnet, self.options())
    }

    fn scaling(&self) -> Result<Vec<Point>, ExperimentError> {
        let mut packets = Vec::new();
        self.read("reading", |headers| {
            packets.extend_from_slice(headers);
            Ok(())
        })?;
        let bar = self.session.begin("scaling", Extent::Packets(scaling::REPLICAS.len() as u64));
        let (config, network, clock) = (&self.config(), &self.kitnet, self.options().clock);
        let scaling = Scaling { config, set: &self.set, exact: &self.plan, network, clock };
        let mut done = 0;
        let points = scaling.measure(&packets, || {
            done += 1;
            bar.update(Progress::default(), done);
        });
        drop(bar);
        points
    }

    /// Runs the capture through a table.
    fn feed(&self, table: &mut Table2, name: &'static str) -> Result<(), ExperimentError> {
        self.read(name, |headers| {
            table.push(headers);
            Ok(())
        })
    }

    /// The same, with slots placed anew from time to time.
    fn feed_and_rebalance(&self, table: &mut Table2, every: u64) -> Result<(), ExperimentError> {
        let mut left = every;
        self.read("lego-table2", |mut headers| {
            while headers.len() as u64 >= left {
                let (now, later) = headers.split_at(left as usize);
                table.push(now);
                table.place_by_load()?;
                (headers, left) = (later, every);
            }
            left -= headers.len() as u64;
            table.push(headers);
            Ok(())
        })
    }

    fn read(
        &self,
        name: &'static str,
        each: impl FnMut(&[Headers]) -> Result<(), ExperimentError>,
    ) -> Result<(), ExperimentError> {
        headers(&self.session, name, &self.arguments.capture, self.arguments.limit, each)
    }

    /// Chooses what to copy and runs the capture again to see how that turns out.
    fn middle(&self, bound: f64, table: &Table2, report: &Report) -> Result<Middle, ExperimentError> {
        let counted = report.scored.saturating_sub(report.skipped);
        let pairs = table.pairs().ok_or_else(|| Error::refused("no split by SrcIP was measured"))?;
        let config = self.config();
        let (mut aim, mut attempt) = (bound, 1);
        loop {
            let copies = pairs.choose(aim, counted);
            let mut again = Table2::copying(&self.set, &copies.pairs, &config, &self.kitnet, self.options())?;
            self.feed(&mut again, "with copies")?;
            let deviation = again.finish()?.rows.last().map_or(0.0, |row| row.mean_absolute_deviation);
            if deviation <= bound || attempt == ATTEMPTS {
                let within_bound = deviation <= bound;
                return Ok(Middle { bound, copies, mean_absolute_deviation: deviation, within_bound });
            }
            // Packets that are keyed otherwise than by pairs of hosts (ARP) deviate all the same: copy more.
            attempt += 1;
            aim = if attempt == ATTEMPTS { 0.0 } else { (aim - (deviation - bound)).max(0.0) };
        }
    }

    fn write(&self, outcome: &Outcome) -> Result<(), ExperimentError> {
        let Some(folder) = &self.arguments.out else { return Ok(()) };
        let (folder, report) = (Folder::create(folder)?, &outcome.report);
        let points = outcome.scaling.as_deref();
        let mut files =
            vec![("table2.md", outcome.table()), ("table2.csv", report.csv()), ("table2.svg", report.svg())];
        files.extend(points.map(|points| ("scaling.md", scaling::markdown(points))));
        for (name, content) in files {
            folder.put(name, &content)?;
        }
        Ok(points.map_or(Ok(()), |points| folder.plot("scaling.svg", &curve(points)))?)
    }
}

fn curve(points: &[Point]) -> SeriesPlot {
    let series = |split: fn(&Point) -> &scaling::Split| {
        points.iter().map(|p| (p.replicas as f64, split(p).projected_packets_per_second / 1e6)).collect()
    };
    let single = points.iter().map(|p| p.single_packets_per_second / 1e6).fold(0.0, f64::max);
    SeriesPlot {
        title: "Packets scored with a core for each replica: a projection from processor time".into(),
        across: "replicas".into(),
        up: "million packets a second".into(),
        decades: true,
        series: vec![
            ("exact plan, projected".into(), series(|p| &p.exact)),
            ("single granularity, projected".into(), series(|p| &p.approximate)),
        ],
        bound: Some(("single instance, measured".into(), single)),
    }
}

impl Middle {
    fn text(&self) -> String {
        let Copies { pairs_copied, pairs_seen, packets_copied, packets_copied_at_least, .. } = &self.copies;
        let kept = if self.within_bound { "within" } else { "NOT within" };
        format!(
            "SrcIP with copies: {packets_copied} packets of {pairs_copied} of {pairs_seen} pairs of hosts go to a second \
             replica (no choice of whole pairs needs fewer than {packets_copied_at_least}); mean absolute deviation {:.3e}, \
             {kept} the bound {}.",
            self.mean_absolute_deviation, self.bound
        )
    }
}

/// Reads a plan, or what `legonf split --json` prints around it.
fn read(path: &Path, set: &GroupSet) -> Result<Plan, ExperimentError> {
    let text = reading::text(path, reading::DOCUMENT)?;
    let named = |reason: &dyn std::fmt::Display| Error::file(path, reason.to_string());
    let mut value: serde_json::Value = serde_json::from_str(&text).map_err(|e| named(&e))?;
    let value = value.get_mut("plan").map(serde_json::Value::take).unwrap_or(value);
    let plan: Plan = serde_json::from_value(value).map_err(|e| named(&format!("plan: {e}")))?;
    plan.check(set).map_err(|e| named(&e))?;
    if plan.mode != Mode::Exact {
        return Err(named(&"mode = \"approximate\": expected \"exact\"").into());
    }
    Ok(plan)
}
