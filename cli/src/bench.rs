//! `legonf bench`: how fast the bricks are on this machine, and how near to what it can do.

mod graph;
mod growth;
pub mod hop;
mod instructions;
mod machine;
pub mod stopwatch;

use crate::clock::process_time;
use crate::failure::{Failure, print, print_json};
use crate::input;
use crate::network::Network;
use crate::progress::Bar;
use crate::replay::{self, EngineKind, Execution};
use crate::summary::tables::fields;
use crate::{Style, interrupt};
use clap::{Args, Subcommand};
use legonf_core::{Batch, Fault, Progress, Sink};
use legonf_extract::Arithmetic;
use legonf_io::Content;
use legonf_runtime::{Layout, Options};
use machine::Machine;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use stopwatch::Stopwatch;

/// The subcommands of `legonf bench`.
#[derive(Subcommand)]
pub enum Command {
    /// Kitsune, file to score, in one thread: packets a second end to end and of each brick, beside the floating-point
    /// rate and memory bandwidth that the same run measured.
    Kitsune(Arguments),
    #[command(about = "What a packet costs as streams, batches and features grow, with plots")]
    Growth(growth::Arguments),
    #[command(
        about = "The price of being bricks: beside plain functions, for each hop, beyond a replica for each core"
    )]
    Graph(graph::Arguments),
}

/// Arguments of `legonf bench kitsune`.
#[derive(Args)]
pub struct Arguments {
    /// Capture; it is read once before the first run, so that it comes from the page cache.
    capture: PathBuf,
    /// Model of `legonf train` or `legonf model import`.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Runs, of which the median counts.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    execution: Execution,
    /// Arithmetic of the features; without it the one that the model was trained with.
    #[arg(long)]
    arithmetic: Option<Arithmetic>,
    /// Count instructions a packet too, by valgrind's callgrind (slow).
    #[arg(long)]
    instructions: bool,
}

/// What was measured; rates are medians over the runs, in packets a second of processor time of one core.
#[derive(Serialize)]
struct Report {
    capture: String,
    packets: u64,
    runs: u32,
    /// Reading records from the page cache and parsing their headers.
    parse_pps: f64,
    features_pps: f64,
    /// Feature mapping and network.
    network_pps: f64,
    end_to_end_pps: f64,
    model_load_to_first_score_ms: f64,
    bricks: Vec<BrickReport>,
    capture_bytes_per_packet: f64,
    instructions_per_packet: Option<f64>,
    machine: Machine,
    network: Option<Roofline>,
}

#[derive(Serialize)]
struct BrickReport {
    id: String,
    pps: f64,
    ns_per_packet: f64,
    share: f64,
}

/// The network against the core's floating-point rate in its precision.
#[derive(Serialize)]
struct Roofline {
    precision: String,
    flops_per_packet: f64,
    sigmoids_per_packet: u64,
    gflops: f64,
    percent_of_peak: f64,
}

/// Nanoseconds of processor time of one run: each stage's, and the whole.
struct Run {
    stages: Vec<f64>,
    total: f64,
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    match command {
        Command::Growth(arguments) => growth::run(arguments, style),
        Command::Graph(arguments) => graph::run(arguments, style),
        Command::Kitsune(arguments) => {
            let report = arguments.measure(style)?;
            if style.json { print_json(&report) } else { print(&table(&report)) }
        }
    }
}

impl Arguments {
    fn measure(&self, style: Style) -> Result<Report, Failure> {
        let first_score = self.first_score()?;
        let model = Network::load(&self.model)?;
        let bar = Bar::new("bench", None, style.quiet);
        let (mut ids, mut runs, mut packets, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        // The run before the first that counts brings the capture into the page cache.
        for number in 0..=self.runs {
            let watch = Stopwatch::default();
            let mut seen = Seen::default();
            let run = self.once(&model, &watch, &mut seen, &bar)?;
            (packets, bytes) = (seen.packets, seen.progress.read_bytes);
            ids = watch.ids();
            if number > 0 {
                runs.push(run);
            }
        }
        bar.clear();
        if packets == 0 {
            return Err(Failure::fault(format!(
                "{}: holds no packet to measure with",
                self.capture.display()
            )));
        }
        let instructions =
            if self.instructions { Some(instructions::per_packet(self, packets)?) } else { None };
        let machine = Machine::measure();
        Ok(report(self, &model, first_score, &ids, &runs, (packets, bytes), instructions, machine))
    }

    /// One pass from the file to the scores.
    fn once(&self, model: &Network, watch: &Stopwatch, seen: &mut Seen, bar: &Bar) -> Result<Run, Failure> {
        let spec = replay::built_in(model, Content::Packets, self.execution, self.arithmetic)?;
        let mut source = watch.watch_source(input::open(&self.capture, self.limit)?);
        let mut graph =
            replay::assemble_with(&spec, Content::Packets, model, Some(f64::MAX), |id, brick| {
                watch.watch(id, brick)
            })?;
        let options = Options::new(&Layout::Fused, interrupt::install());
        let start = process_time();
        let outcome = legonf_runtime::run(&mut graph, &mut source, seen, options, &mut |_, _| {});
        let total = (process_time() - start).as_nanos() as f64;
        seen.progress = legonf_core::Source::progress(&source);
        bar.update(seen.progress, outcome.packets);
        match outcome.fault {
            Some(fault) => Err(Failure::fault(fault)),
            None if outcome.stopped => Err(Failure::Interrupted("nothing was measured to the end".into())),
            None => {
                let (stages, readings) = watch.nanoseconds();
                Ok(Run { stages, total: total - readings })
            }
        }
    }

    /// Milliseconds from opening the model to the score of the first packet: the median of as many tries as runs.
    fn first_score(&self) -> Result<f64, Failure> {
        let tries = (0..self.runs).map(|_| self.first_score_once());
        Ok(median(tries.collect::<Result<Vec<_>, _>>()?.into_iter()))
    }

    fn first_score_once(&self) -> Result<f64, Failure> {
        let start = Instant::now();
        let model = Network::load(&self.model)?;
        let spec = replay::built_in(&model, Content::Packets, self.execution, self.arithmetic)?;
        let mut graph = replay::assemble(&spec, Content::Packets, &model, Some(f64::MAX))?;
        let mut source = input::open(&self.capture, Some(1))?;
        let options = Options::new(&Layout::Fused, interrupt::install());
        let outcome =
            legonf_runtime::run(&mut graph, &mut *source, &mut Seen::default(), options, &mut |_, _| {});
        outcome.fault.map_or(Ok(start.elapsed().as_secs_f64() * 1e3), |fault| Err(Failure::fault(fault)))
    }
}

/// Counts packets and forgets them.
#[derive(Default)]
struct Seen {
    packets: u64,
    progress: Progress,
}

impl Sink for Seen {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.packets += batch.scores.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

#[allow(clippy::too_many_arguments)]
fn report(
    arguments: &Arguments,
    model: &Network,
    first_score: f64,
    ids: &[String],
    runs: &[Run],
    (packets, bytes): (u64, u64),
    instructions_per_packet: Option<f64>,
    machine: Machine,
) -> Report {
    let stage = |i: usize| median(runs.iter().map(|run| run.stages[i]));
    let total = median(runs.iter().map(|run| run.total));
    let pps = |nanoseconds: f64| packets as f64 / nanoseconds.max(1.0) * 1e9;
    let of = |names: &[&str]| {
        let chosen = ids.iter().enumerate().filter(|(_, id)| names.contains(&id.as_str()));
        pps(chosen.map(|(i, _)| stage(i)).sum())
    };
    let brick = |(i, id): (usize, &String)| BrickReport {
        id: id.clone(),
        pps: pps(stage(i)),
        ns_per_packet: stage(i) / packets as f64,
        share: stage(i) / total,
    };
    let network_pps = of(&["mapping", "autoencoder", "network"]);
    let network =
        model.kitnet().filter(|_| arguments.execution.engine != Some(EngineKind::Onnx)).map(|kitnet| {
            let layers = kitnet.ensemble().iter().chain([kitnet.output()]);
            let (flops, sigmoids) = layers.fold((0.0, 0), |(flops, sigmoids), layer| {
                let (visible, hidden) = (layer.visible(), layer.hidden());
                (flops + 4.0 * (visible * hidden) as f64, sigmoids + (visible + hidden) as u64)
            });
            let gflops = flops * of(&["autoencoder"]) / 1e9;
            let precision = arguments.execution.precision.unwrap_or_default();
            let percent_of_peak = gflops / machine.peak_gflops(precision) * 100.0;
            let precision = precision.to_string();
            Roofline {
                precision,
                flops_per_packet: flops,
                sigmoids_per_packet: sigmoids,
                gflops,
                percent_of_peak,
            }
        });
    Report {
        capture: arguments.capture.display().to_string(),
        packets,
        runs: arguments.runs,
        parse_pps: of(&[stopwatch::SOURCE, "batching"]),
        features_pps: of(&["extractor"]),
        network_pps,
        end_to_end_pps: pps(total),
        model_load_to_first_score_ms: first_score,
        bricks: ids.iter().enumerate().map(brick).collect(),
        capture_bytes_per_packet: bytes as f64 / packets as f64,
        instructions_per_packet,
        machine,
        network,
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(report: &Report) -> String {
    let rate = |pps: f64| format!("{:.3} M packets/s", pps / 1e6);
    let mut rows = vec![
        (
            "capture",
            format!("{} ({} packets, median of {} runs)", report.capture, report.packets, report.runs),
        ),
        ("end to end", rate(report.end_to_end_pps)),
        ("parse", format!("{}, reading included", rate(report.parse_pps))),
        ("features", rate(report.features_pps)),
        ("network", format!("{}, feature mapping included", rate(report.network_pps))),
    ];
    for brick in &report.bricks {
        let value = format!(
            "{:8.1} ns a packet, {:4.1}% of the whole, {}",
            brick.ns_per_packet,
            brick.share * 100.0,
            rate(brick.pps)
        );
        rows.push((&brick.id, value));
    }
    rows.push((
        "first score",
        format!("{:.2} ms after opening the model", report.model_load_to_first_score_ms),
    ));
    if let Some(instructions) = report.instructions_per_packet {
        rows.push(("instructions", format!("{instructions:.0} a packet")));
    }
    let machine = &report.machine;
    rows.push((
        "core",
        format!(
            "{:.1} GFLOP/s in f64, {:.1} in f32, {:.1} GB/s from memory, measured in this run",
            machine.peak_f64_gflops, machine.peak_f32_gflops, machine.memory_gb_per_s
        ),
    ));
    if let Some(network) = &report.network {
        let value = format!(
            "{:.0} FLOP and {} sigmoids a packet: {:.2} GFLOP/s, {:.1}% of the core's {} peak",
            network.flops_per_packet,
            network.sigmoids_per_packet,
            network.gflops,
            network.percent_of_peak,
            network.precision
        );
        rows.push(("roofline", value));
    }
    fields(&rows)
}
