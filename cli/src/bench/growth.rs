//! `legonf bench growth`: what a packet costs as the work grows.

use crate::Style;
use crate::clock::processor_time;
use crate::experiment::load::Traffic;
use crate::failure::{Failure, print, print_json};
use crate::folder::Folder;
use crate::interrupt;
use crate::progress::Bar;
use crate::trial::median;
use clap::Args;
use legonf_core::{BATCH, Rows, Tiles};
use legonf_datasets::generate;
use legonf_extract::{Arithmetic, Limits};
use legonf_io::sink::SeriesPlot;
use legonf_models::kitnet::{KitNet, Precision, Scratch, TrainConfig, Trainer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Measures packets/s of one core, by processor time, as the work grows: features and their memory over the number of
/// streams, the network over the batch size and over the number of features.
///
/// Streams are generated flows, of which few carry most packets; each is met before the measurement begins. Beyond the
/// bounds of the tables streams are evicted, and counted.
#[derive(Args)]
pub struct Arguments {
    /// The most streams; 10,000,000 take about 8 GiB and some minutes.
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    max_streams: u32,
    /// Feature schema: kitsune-115, kitsune-115-clean or kitsune-py-100.
    #[arg(long, default_value = "kitsune-115")]
    schema: String,
    /// Seed of the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder for report.json, streams.svg, state.svg, batches.svg and features.svg.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: &'a str,
    streams: Vec<Streams>,
    batches: Vec<Batches>,
    features: Vec<Features>,
}

/// Parser and extractor at a number of streams.
#[derive(Serialize)]
struct Streams {
    streams: u32,
    arithmetic: String,
    /// Packets measured, after a warm-up in which every stream was met.
    packets: u64,
    packets_per_second: f64,
    state_bytes: u64,
    state_bytes_bound: u64,
    evicted: BTreeMap<&'static str, u64>,
}

/// The network at a number of rows in a batch.
#[derive(Serialize)]
struct Batches {
    rows: usize,
    precision: String,
    rows_per_second: f64,
}

/// The network at a number of features.
#[derive(Serialize)]
struct Features {
    features: usize,
    precision: String,
    rows_per_second: f64,
    ns_per_feature: f64,
}

/// Packets measured for each point over the streams.
const MEASURED: u64 = 1_000_000;
/// Flows that share a host, so that hosts have several peers.
const FLOWS_PER_HOST: u32 = 4;
/// Rows that a network runs on, and how often over.
const ROWS: usize = 1024;
const REPEATS: usize = 64;
/// Runs, of which the median counts.
const RUNS: usize = 5;
const BATCH_SIZES: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const PRECISIONS: [Precision; 2] = [Precision::F64, Precision::F32];
const FEATURE_COUNTS: [usize; 8] = [10, 20, 50, 100, 115, 200, 500, 1000];
const MIB: f64 = 1024.0 * 1024.0;

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let report = Report {
        schema: &arguments.schema,
        streams: arguments.streams(style)?,
        batches: batches()?,
        features: features()?,
    };
    arguments.write(&report)?;
    if style.json { print_json(&report) } else { print(&text(&report)) }
}

impl Arguments {
    fn streams(&self, style: Style) -> Result<Vec<Streams>, Failure> {
        let counts = (2..=7).map(|power| 10_u32.pow(power)).filter(|count| *count <= self.max_streams);
        let mut points = Vec::new();
        for streams in counts {
            for arithmetic in [Arithmetic::Reference, Arithmetic::Fast] {
                points.push(self.measure(streams, arithmetic, style)?);
            }
        }
        Ok(points)
    }

    fn measure(&self, streams: u32, arithmetic: Arithmetic, style: Style) -> Result<Streams, Failure> {
        // Four packets a stream: the rarest streams get half of the mean.
        let warm_up = (u64::from(streams) * 4).next_multiple_of(BATCH as u64);
        let config = generate::Config {
            seed: self.seed,
            packets: warm_up + MEASURED,
            hosts: (streams / FLOWS_PER_HOST).clamp(8, generate::MAX_HOSTS),
            flows: streams,
            rate: 100_000.0,
            ..generate::Config::default()
        };
        let bar = Bar::new("streams", Some(config.packets), style.quiet);
        let (schema, limits) = (self.schema.clone(), Limits::default());
        let extraction = legonf_extract::Config { schema, arithmetic, limits, ..Default::default() };
        let mut traffic = Traffic::new(config, &extraction)?;
        let (stop, mut start) = (interrupt::install(), None);
        while traffic.next()? {
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted("nothing was written".into()));
            }
            bar.update(legonf_core::Progress::default(), traffic.position());
            if start.is_none() && traffic.position() >= warm_up {
                start = Some((traffic.position(), traffic.busy()));
            }
        }
        bar.clear();
        let (from, before) = start.unwrap_or_default();
        let packets = traffic.position() - from;
        let (state, bound) = traffic.state_bytes();
        Ok(Streams {
            streams,
            arithmetic: arithmetic.to_string(),
            packets,
            packets_per_second: rate(packets, traffic.busy() - before),
            state_bytes: state as u64,
            state_bytes_bound: bound as u64,
            evicted: traffic.evicted(),
        })
    }

    fn write(&self, report: &Report<'_>) -> Result<(), Failure> {
        let Some(folder) = &self.out else { return Ok(()) };
        let folder = Folder::create(folder)?;
        folder.report(report)?;
        plots(report).iter().try_for_each(|(name, plot)| folder.plot(name, plot))
    }
}

/// Features that vary together, and so go to one autoencoder.
const TOGETHER: usize = 8;

/// A made-up row: groups of features that vary together, each with noise of its own.
fn row(number: usize, features: usize) -> Vec<f64> {
    let of_group = |c: usize| noise(number, c / TOGETHER, 0);
    (0..features).map(|c| 10.0 * of_group(c) + noise(number, c, 1)).collect()
}

/// A number in 0 <= x < 1 that depends on every bit of its arguments.
fn noise(a: usize, b: usize, c: usize) -> f64 {
    let mixed = [a, b, c].into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, word| {
        let product = (hash ^ word as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        product ^ (product >> 29)
    });
    (mixed.wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as f64 / (1_u64 << 24) as f64
}

fn network(features: usize) -> Result<KitNet, Failure> {
    let config = TrainConfig {
        features,
        feature_mapping_packets: 200,
        training_packets: 50,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config)?;
    for number in 0..=250 {
        trainer.train(&row(number, features));
    }
    Ok(trainer.finish()?)
}

fn mapped(network: &KitNet, rows: std::ops::Range<usize>) -> Tiles {
    let rows: Vec<_> = rows.map(|number| row(number, network.features())).collect();
    let mut mapped = Tiles::default();
    network.gather(&Rows::of(rows.iter().map(Vec::as_slice)), &mut mapped);
    mapped
}

/// Rows a second of one core, in batches of `size`: the median of [`RUNS`].
fn rows_per_second(network: &KitNet, precision: Precision, size: usize) -> f64 {
    let batches: Vec<Tiles> =
        (0..ROWS).step_by(size).map(|start| mapped(network, start..start + size)).collect();
    let (mut scratch, mut errors, mut scores) = (Scratch::default(), Tiles::default(), Vec::new());
    median((0..RUNS).map(|_| {
        let start = processor_time();
        for batch in batches.iter().cycle().take(batches.len() * REPEATS) {
            network.score_rows_in(precision, batch, &mut scratch, &mut errors, &mut scores);
        }
        rate((ROWS * REPEATS) as u64, processor_time() - start)
    }))
}

fn batches() -> Result<Vec<Batches>, Failure> {
    let network = network(115)?;
    let point = |rows, precision: Precision| Batches {
        rows,
        precision: precision.to_string(),
        rows_per_second: rows_per_second(&network, precision, rows),
    };
    Ok(BATCH_SIZES.iter().flat_map(|rows| PRECISIONS.map(|precision| point(*rows, precision))).collect())
}

fn features() -> Result<Vec<Features>, Failure> {
    let mut points = Vec::new();
    for features in FEATURE_COUNTS {
        let network = network(features)?;
        points.extend(PRECISIONS.map(|precision| {
            let rows_per_second = rows_per_second(&network, precision, 256);
            let ns_per_feature = 1e9 / rows_per_second / features as f64;
            Features { features, precision: precision.to_string(), rows_per_second, ns_per_feature }
        }));
    }
    Ok(points)
}

fn rate(count: u64, spent: Duration) -> f64 {
    count as f64 / spent.as_secs_f64().max(1e-9)
}

fn text(report: &Report<'_>) -> String {
    let mut text = format!(
        "{}, parser and extractor\n   streams  arithmetic  M packets/s  state, MiB  evicted\n",
        report.schema
    );
    // Writing to a String cannot fail.
    for point in &report.streams {
        let _ = writeln!(
            text,
            "{:>10}  {:<10}  {:>11.3}  {:>10.1}  {}",
            point.streams,
            point.arithmetic,
            point.packets_per_second / 1e6,
            point.state_bytes as f64 / MIB,
            point.evicted.values().sum::<u64>(),
        );
    }
    text.push_str("\nnetwork of 115 features\n     batch  in   M rows/s\n");
    for Batches { rows, precision, rows_per_second } in &report.batches {
        let _ = writeln!(text, "{rows:>10}  {precision}  {:>8.3}", rows_per_second / 1e6);
    }
    text.push_str("\nnetwork, batches of 256\n  features  in   M rows/s  ns a feature\n");
    for Features { features, precision, rows_per_second, ns_per_feature } in &report.features {
        let rate = rows_per_second / 1e6;
        let _ = writeln!(text, "{features:>10}  {precision}  {rate:>8.3}  {ns_per_feature:>12.2}");
    }
    text
}

/// The plots and the names of their files.
fn plots(report: &Report<'_>) -> [(&'static str, SeriesPlot); 4] {
    let over_streams = |value: fn(&Streams) -> f64| {
        ["reference", "fast"].map(|arithmetic| {
            let points = report.streams.iter().filter(|p| p.arithmetic == arithmetic);
            (arithmetic.to_owned(), points.map(|p| (f64::from(p.streams), value(p))).collect())
        })
    };
    let plot = |title: &str, across: &str, up: &str, series: Vec<(String, Vec<(f64, f64)>)>| SeriesPlot {
        title: title.into(),
        across: across.into(),
        up: up.into(),
        decades: true,
        series,
        bound: None,
    };
    let bound = report.streams.first().map(|p| p.state_bytes_bound as f64 / MIB);
    let batches = PRECISIONS.map(|precision| {
        let points = report.batches.iter().filter(|p| p.precision == precision.to_string());
        (precision.to_string(), points.map(|p| (p.rows as f64, p.rows_per_second / 1e6)).collect())
    });
    let features = PRECISIONS.map(|precision| {
        let points = report.features.iter().filter(|p| p.precision == precision.to_string());
        (precision.to_string(), points.map(|p| (p.features as f64, p.ns_per_feature)).collect())
    });
    let [reference, _] = over_streams(|p| p.state_bytes as f64 / MIB);
    [
        (
            "streams.svg",
            plot(
                "Parser and extractor over the number of streams, one core",
                "streams",
                "million packets a second",
                over_streams(|p| p.packets_per_second / 1e6).into(),
            ),
        ),
        (
            "state.svg",
            SeriesPlot {
                bound: bound.map(|mib| ("bound".into(), mib)),
                ..plot("State of the extractor", "streams", "memory (MiB)", vec![reference])
            },
        ),
        (
            "batches.svg",
            plot(
                "Network of 115 features over the batch size, one core",
                "rows in a batch",
                "million rows a second",
                batches.into(),
            ),
        ),
        (
            "features.svg",
            plot(
                "Network over the number of features, batches of 256, one core",
                "features",
                "ns a feature",
                features.into(),
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_a_positive_rate() {
        let arguments = Arguments { max_streams: 100, schema: "kitsune-115".into(), seed: 1, out: None };
        let style = Style { quiet: true, json: false };
        let point = arguments.measure(100, Arithmetic::Fast, style).unwrap();
        assert!(point.packets == MEASURED && point.packets_per_second > 0.0);
        assert!(point.state_bytes > 0 && point.state_bytes <= point.state_bytes_bound);
        assert!(rows_per_second(&network(12).unwrap(), Precision::F32, 4) > 0.0);
    }
}
