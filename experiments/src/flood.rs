//! A spoofed flood, and an hour of packets: memory, throughput, and whether a scan is still found.

mod detector;
pub(crate) mod load;
mod phases;

use crate::ExperimentError;
use clap::Args;
use detector::{Detector, Lesson};
use legonf_datasets::generate::{Attack, Config};
use legonf_decide::calibrate::DEFAULT_CONFIDENCE;
use legonf_decide::evaluate::BenignShare;
use legonf_engine::arguments::{Expected, rate, time};
use legonf_engine::{Error, Extent, Folder, Session};
use legonf_extract::Limits;
use legonf_io::sink::SeriesPlot;
use load::{Outcome, Sample, Share, Traffic};
use phases::{Phase, Phases};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What both experiments take.
#[derive(Args)]
struct Common {
    /// Feature schema: kitsune-115-clean, or kitsune-115 and kitsune-py-100, which reproduce what was published.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// Source streams in each of 4,096 slots, for each table keyed by a source address.
    #[arg(long, default_value_t = Limits::default().sources_per_slot, value_name = "N")]
    sources_per_slot: u32,
    /// Pairs of hosts in each slot.
    #[arg(long, default_value_t = Limits::default().channels_per_slot, value_name = "N")]
    channels_per_slot: u32,
    /// Pairs of sockets in each slot.
    #[arg(long, default_value_t = Limits::default().sockets_per_slot, value_name = "N")]
    sockets_per_slot: u32,
    /// Benign packets before training, 1,000 a second: the slowest statistics forget half in 100 seconds.
    #[arg(long, default_value_t = 600_000, value_name = "N")]
    settling_packets: u64,
    /// Packets that train the ensemble.
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    training_packets: u64,
    /// Packets a second of a telnet scan that goes on all the time.
    #[arg(long, default_value_t = 100.0, value_name = "PPS")]
    scan_rate: f64,
    /// Seed of the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder for report.json, memory.svg and throughput.svg.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Arguments of `legonf experiment flood`.
#[derive(Args)]
pub struct Flood {
    /// Packets of the flood, and so its distinct sources.
    #[arg(long, default_value_t = 100_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    packets: u32,
    /// Packets of the flood a second.
    #[arg(long, default_value_t = 100_000.0, value_name = "PPS", value_parser = rate)]
    rate: f64,
    #[command(flatten)]
    common: Common,
}

/// Whole seconds, 1,000,000 at most.
fn soaking(text: &str) -> Result<Duration, Expected> {
    let bounds = Duration::from_secs(1)..=Duration::from_secs(1_000_000);
    let time = time(text).ok().filter(|time| bounds.contains(time) && time.subsec_nanos() == 0);
    time.ok_or(Expected("a time of whole seconds, such as 1h, and of 1,000,000 at most"))
}

/// Arguments of `legonf experiment soak`.
#[derive(Args)]
pub struct Soak {
    /// Packet time after the warm-up.
    #[arg(long, alias = "seconds", default_value = "1h", value_name = "TIME", value_parser = soaking)]
    duration: Duration,
    #[command(flatten)]
    common: Common,
}

/// What a flood did.
#[derive(Serialize)]
pub struct FloodReport {
    schema: String,
    limits: Limits,
    threshold: f64,
    false_positive_bound: f64,
    distinct_sources: u64,
    without_flood: Outcome,
    with_flood: Outcome,
    /// The flood while the tables fill, and when they are full.
    phases: Option<Phases>,
    /// Throughput without the flood divided by that with it, from bytes to verdict, over both phases.
    slowdown: f64,
    /// The same of parser and extractor alone.
    extraction_slowdown: f64,
}

/// What an hour of packets took.
#[derive(Serialize)]
pub struct SoakReport {
    schema: String,
    limits: Limits,
    threshold: f64,
    false_positive_bound: f64,
    seconds: u64,
    run: Outcome,
    /// Growth of the process from a tenth of the run to its end, in bytes.
    resident_growth: Option<i64>,
    /// The same of the extractor's state.
    state_growth: i64,
}

/// Benign packets a second.
const RATE: f64 = 1000.0;
const MIB: f64 = 1024.0 * 1024.0;

impl Common {
    fn limits(&self) -> Limits {
        let (sources, channels, sockets) =
            (self.sources_per_slot, self.channels_per_slot, self.sockets_per_slot);
        Limits {
            sources_per_slot: sources,
            channels_per_slot: channels,
            sockets_per_slot: sockets,
            ..Limits::default()
        }
    }

    fn lesson(&self) -> Lesson {
        Lesson {
            settling: self.settling_packets,
            feature_mapping: 5000,
            training: self.training_packets,
            calibration: 20_000,
        }
    }

    /// Second at which the attacks begin: a little after the last packet to learn from, since gaps are random.
    fn start(&self) -> f64 {
        self.lesson().packets() as f64 / RATE * 1.05
    }

    /// Traffic with a scan after the warm-up and `seconds` more of it.
    fn scanned(&self, seconds: f64) -> Config {
        let start = self.start();
        let packets = (start + seconds) * RATE + seconds * self.scan_rate;
        let scan = Some(Attack { start, rate: self.scan_rate });
        Config { seed: self.seed, packets: packets as u64, rate: RATE, scan, ..Config::default() }
    }

    fn traffic(&self, config: Config) -> Result<Traffic, ExperimentError> {
        let (schema, limits) = (self.schema.clone(), self.limits());
        Traffic::new(config, &legonf_extract::Config { schema, limits, ..Default::default() })
    }

    fn detector(&self) -> Result<Detector, ExperimentError> {
        let config = Config { packets: self.lesson().packets(), ..self.scanned(0.0) };
        Detector::train(&mut self.traffic(Config { scan: None, ..config })?, self.lesson())
    }

    fn measure(
        &self,
        name: &'static str,
        config: Config,
        detector: &mut Detector,
        session: &Session,
    ) -> Result<Outcome, ExperimentError> {
        let bar = session.begin(name, Extent::Packets(config.packets));
        let outcome = load::run(self.traffic(config)?, self.lesson().packets(), detector, &*bar, session)?;
        drop(bar);
        if outcome.state_bytes > outcome.state_bytes_bound {
            let (now, most) = (outcome.state_bytes, outcome.state_bytes_bound);
            return Err(
                Error::refused(format!("the state takes {now} bytes, above its bound of {most}")).into()
            );
        }
        Ok(outcome)
    }

    fn write(
        &self,
        report: &impl Serialize,
        memory: SeriesPlot,
        rates: SeriesPlot,
    ) -> Result<(), ExperimentError> {
        let Some(folder) = &self.out else { return Ok(()) };
        let folder = Folder::create(folder)?;
        folder.report(report)?;
        folder.plot("memory.svg", &memory)?;
        Ok(folder.plot("throughput.svg", &rates)?)
    }
}

/// Runs traffic without and with a flood.
///
/// # Errors
/// If the state exceeds its bound, the session is stopped, or nothing can be written.
pub fn flood(arguments: &Flood, session: &Session) -> Result<FloodReport, ExperimentError> {
    let common = &arguments.common;
    session.check_folder(common.out.as_deref())?;
    let mut detector = common.detector()?;
    let seconds = f64::from(arguments.packets) / arguments.rate;
    let quiet = common.scanned(600.0);
    let without_flood = common.measure("without the flood", quiet, &mut detector, session)?;
    let scanned = common.scanned(seconds);
    let with_flood = Config {
        // A little more, since gaps are random: every source comes at least once.
        packets: scanned.packets + u64::from(arguments.packets) * 1001 / 1000 + 1000,
        flood: Some(Attack { start: common.start(), rate: arguments.rate }),
        spoofed_sources: arguments.packets,
        ..scanned
    };
    let with_flood = common.measure("with the flood", with_flood, &mut detector, session)?;
    let calibration = detector.calibration();
    let report = FloodReport {
        schema: common.schema.clone(),
        limits: common.limits(),
        threshold: calibration.threshold,
        false_positive_bound: calibration.false_positive_bound,
        distinct_sources: with_flood.flood.packets.min(arguments.packets.into()),
        phases: Phases::of(&with_flood),
        slowdown: without_flood.packets_per_second / with_flood.packets_per_second,
        extraction_slowdown: without_flood.extraction_packets_per_second
            / with_flood.extraction_packets_per_second,
        without_flood,
        with_flood,
    };
    let rates = vec![("with the flood".to_owned(), &report.with_flood)];
    common.write(
        &report,
        memory(&report.with_flood, "a spoofed flood"),
        throughput(rates, &report.without_flood),
    )?;
    Ok(report)
}

/// What a flood did, in words.
pub fn flood_text(report: &FloodReport) -> String {
    let FloodReport { without_flood: before, with_flood: during, .. } = report;
    format!(
        "{} distinct sources in {} packets, {}\n\
         memory:     {:.0} MiB of at most {:.0} MiB; evicted: {}\n\
         throughput: {:.0} packets/s of processor time with the flood, {:.0} without: {:.2} times slower\n\
         {}\
         extraction: {:.0} packets/s with the flood, {:.0} without, parser and extractor alone: {:.2} times slower\n\
         scan:       {} with the flood, {} without\n\
         benign:     {} with the flood, {} without (the threshold stands for at most {:.2}%{})\n\
         flood:      {}\n",
        report.distinct_sources,
        during.packets,
        report.schema,
        during.state_bytes as f64 / MIB,
        during.state_bytes_bound as f64 / MIB,
        evicted(during),
        during.packets_per_second,
        before.packets_per_second,
        report.slowdown,
        phases_text(report),
        during.extraction_packets_per_second,
        before.extraction_packets_per_second,
        report.extraction_slowdown,
        alarms(&during.scan),
        alarms(&before.scan),
        alarms(&during.benign),
        alarms(&before.benign),
        report.false_positive_bound * 100.0,
        contradicted(&[&during.benign, &before.benign], report.false_positive_bound),
        alarms(&during.flood),
    )
}

/// What the phases of the flood took, in a line each.
fn phases_text(report: &FloodReport) -> String {
    let Some(Phases { filling, full }) = report.phases else { return String::new() };
    let slower = |phase: &Phase| {
        let quiet = &report.without_flood;
        format!(
            "{:.0} packets/s, {:.2} times slower (parser and extractor alone: {:.2} times)",
            phase.packets_per_second,
            quiet.packets_per_second / phase.packets_per_second,
            quiet.extraction_packets_per_second / phase.extraction_packets_per_second
        )
    };
    let filling = format!(
        "filling:    {}, in the first {} packets, for which the tables take {:.0} MiB of fresh memory: {:.0} ns a packet in the system\n",
        slower(&filling),
        filling.packets,
        filling.grown_bytes as f64 / MIB,
        filling.system_ns_per_packet
    );
    filling
        + &full.map_or_else(
            || {
                "full:       not reached: the tables grow to the end, and a longer flood slows down less\n"
                    .into()
            },
            |full| format!("full:       {}, in the {} packets after that\n", slower(&full), full.packets),
        )
}

fn evicted(outcome: &Outcome) -> String {
    let list: Vec<_> = outcome
        .evicted
        .iter()
        .map(|(name, count)| format!("{} {count}", name.strip_prefix("evicted-").unwrap_or(name)))
        .collect();
    list.join(", ")
}

fn alarms(share: &Share) -> String {
    format!("{:.2}% of {} above the threshold", share.rate * 100.0, share.packets)
}

/// A word where benign packets contradict the bound on them.
fn contradicted(benign: &[&Share], bound: f64) -> &'static str {
    let contradicts = |share: &&Share| {
        let Share { packets, alarms: above, .. } = **share;
        BenignShare { packets, above }.contradicts(bound, 1.0 - DEFAULT_CONFIDENCE)
    };
    if benign.iter().any(contradicts) { ", which these packets contradict" } else { "" }
}

/// Runs traffic for so many seconds of packet time.
///
/// # Errors
/// As [`flood`].
pub fn soak(arguments: &Soak, session: &Session) -> Result<SoakReport, ExperimentError> {
    let common = &arguments.common;
    session.check_folder(common.out.as_deref())?;
    let mut detector = common.detector()?;
    let run = common.measure(
        "soaking",
        common.scanned(arguments.duration.as_secs_f64()),
        &mut detector,
        session,
    )?;
    let calibration = detector.calibration();
    let early = run.samples.get(run.samples.len() / 10);
    let growth =
        |value: fn(&Sample) -> Option<u64>| Some(value(run.samples.last()?)? as i64 - value(early?)? as i64);
    let report = SoakReport {
        schema: common.schema.clone(),
        limits: common.limits(),
        threshold: calibration.threshold,
        false_positive_bound: calibration.false_positive_bound,
        seconds: arguments.duration.as_secs(),
        resident_growth: growth(|s| s.resident_bytes),
        state_growth: growth(|s| Some(s.state_bytes)).unwrap_or(0),
        run,
    };
    let rates = vec![("packets/s".to_owned(), &report.run)];
    common.write(&report, memory(&report.run, "an hour's packets"), throughput(rates, &report.run))?;
    Ok(report)
}

/// What an hour of packets took, in words.
pub fn soak_text(report: &SoakReport) -> String {
    let run = &report.run;
    let resident =
        report.resident_growth.map_or("unknown".to_owned(), |b| format!("{:.2} MiB", b as f64 / MIB));
    format!(
        "{} packets of {} seconds, {}\n\
         memory:     state {:.1} MiB, grown by {:.2} MiB since a tenth of the run; process grown by {resident}\n\
         throughput: {:.0} packets/s of processor time, from bytes to verdict\n\
         scan:       {}\n\
         benign:     {} (the threshold stands for at most {:.2}%{})\n",
        run.packets,
        report.seconds,
        report.schema,
        run.state_bytes as f64 / MIB,
        report.state_growth as f64 / MIB,
        run.packets_per_second,
        alarms(&run.scan),
        alarms(&run.benign),
        report.false_positive_bound * 100.0,
        contradicted(&[&run.benign], report.false_positive_bound),
    )
}

fn curve(outcome: &Outcome, value: impl Fn(&Sample) -> Option<f64>) -> Vec<(f64, f64)> {
    outcome.samples.iter().filter_map(|s| Some((s.packets as f64 / 1e6, value(s)?))).collect()
}

fn memory(outcome: &Outcome, what: &str) -> SeriesPlot {
    let mib = |bytes: u64| bytes as f64 / MIB;
    SeriesPlot {
        title: format!("Memory under {what}"),
        across: "packets (millions)".into(),
        up: "memory (MiB)".into(),
        decades: false,
        series: vec![
            ("extractor's state".into(), curve(outcome, |s| Some(mib(s.state_bytes)))),
            ("whole process".into(), curve(outcome, |s| s.resident_bytes.map(mib))),
        ],
        bound: Some(("bound of the state".into(), mib(outcome.state_bytes_bound))),
    }
}

fn throughput(runs: Vec<(String, &Outcome)>, benign: &Outcome) -> SeriesPlot {
    let rate = |s: &Sample| Some(s.packets_per_second / 1e6);
    SeriesPlot {
        title: "Throughput from bytes to verdict, one thread, by processor time".into(),
        across: "packets (millions)".into(),
        up: "million packets a second".into(),
        decades: false,
        series: runs.into_iter().map(|(name, outcome)| (name, curve(outcome, rate))).collect(),
        bound: Some(("half of the rate without a flood".into(), benign.packets_per_second / 2e6)),
    }
}
