//! `legonf bench`: how fast the bricks are on this machine, and how near to what it can do.

mod busy;
mod graph;
mod growth;
pub mod hop;
mod instructions;
mod machine;
mod report;
pub mod stopwatch;
mod work;

use crate::Style;
use crate::clock::process_time;
use crate::failure::{Failure, print, print_json};
use crate::input;
use crate::network::Network;
use crate::profile::meter::Meter;
use crate::progress::Bar;
use crate::replay::Execution;
use crate::trial::{Trial, alone, median};
use busy::Watch;
use clap::{Args, Subcommand};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Progress, Sink};
use legonf_extract::Arithmetic;
use legonf_infer::SCORES;
use machine::Probe;
use report::{Report, Run, Traffic, columns, report, table};
use std::path::PathBuf;
use std::time::Instant;
use stopwatch::Stopwatch;

/// The subcommands of `legonf bench`.
#[derive(Subcommand)]
pub enum Command {
    /// Kitsune, file to score, in one thread: packets a second end to end and of each brick, beside the floating-point
    /// rate and memory bandwidth that the same run measured.
    ///
    /// Bytes and floating-point operations of a packet are computed from what each stage reads and writes, and set beside
    /// what the core can do (the roofline): 100% is a stage that nothing but its arithmetic, or memory, or cache holds up.
    #[command(after_long_help = KEYS)]
    Kitsune(Arguments),
    #[command(about = "What a packet costs as streams, batches and features grow, with plots")]
    Growth(growth::Arguments),
    #[command(
        about = "The price of being bricks: beside plain functions, for each hop, beyond a replica for each core"
    )]
    Graph(graph::Arguments),
}

const KEYS: &str = "\
Keys of --json (rates: packets a second of processor time of one core, medians of the runs):
  parse_pps                     reading records from the page cache and parsing their headers
  features_pps                  computing features
  network_pps                   feature mapping and network
  end_to_end_pps                from the file to the scores
  model_load_to_first_score_ms  from opening the model to the score of the first packet
  capture_bytes_per_packet      bytes of the file
  instructions_per_packet       of a whole replay; null without --instructions
  bricks                        for the source and each brick:
    id, pps, ns_per_packet, share         its name, rate, time and part of the whole
    memory_bytes_per_packet               too many for caches: of the capture, of streams' state
    cache_bytes_per_packet                of the batch's columns that it reads and fills, weights
    flops_per_packet                      floating-point operations; null where not known
    divisions_per_packet, roots_per_packet   those among them
    bound_ns, bound_by                    least time for those at the machine's rates, and for which
    percent_of_roofline                   that time in percent of ns_per_packet
    instructions_per_packet               null without --instructions
  machine                       this core: peaks in GFLOP/s, ns of a division and a root, GB/s, by the
                                fastest of samples between the runs, and their instruction set
  raised                        rates that a stage was faster than, and that were raised to it
  busy                          what else the machine did meanwhile; null where nothing much
  instruction_sets              those that features and network ran with; null of the generic engine
  network                       a KitNET's products of weights alone, beside the core's peak rate";

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
    /// Count instructions a packet too, in all and of each stage: replays the first packets under valgrind's callgrind, twice,
    /// so that starting counts for nothing. Needs valgrind, whose processor has AVX2 at most.
    #[arg(long)]
    instructions: bool,
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
        if self.instructions {
            instructions::check()?;
        }
        let first_score = self.first_score()?;
        let model = Network::load(&self.model)?;
        let trial = Trial::built_in(&model, self.execution, self.arithmetic)?;
        let bar = Bar::new("bench", None, style.quiet);
        let (mut host, mut probe) = (Watch::begin(), Probe::new());
        let (mut ids, mut runs, mut packets, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        let meter = Meter::default();
        // The run before the first that counts brings the capture into the page cache, and counts bytes.
        for number in 0..=self.runs {
            let watch = Stopwatch::default();
            let mut seen = Seen::default();
            let counted = (number == 0).then_some(&meter);
            let run = self.once(&trial, &watch, counted, &mut seen, &bar)?;
            (packets, bytes) = (seen.packets, seen.progress.read_bytes);
            ids = watch.ids();
            if number > 0 {
                runs.push(run);
            }
            probe.sample();
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
        let traffic = Traffic { packets, capture: bytes, columns: columns(&meter) };
        Ok(report(
            self,
            &trial,
            first_score,
            &ids,
            &runs,
            &traffic,
            instructions.as_ref(),
            (&mut host, &mut probe),
        ))
    }

    /// One pass from the file to the scores.
    fn once(
        &self,
        trial: &Trial<'_>,
        watch: &Stopwatch,
        meter: Option<&Meter>,
        seen: &mut Seen,
        bar: &Bar,
    ) -> Result<Run, Failure> {
        let mut source = watch.watch_source(input::open(&self.capture, self.limit)?);
        let mut graph = trial.graph_with(|id, brick| {
            let brick = watch.watch(id, brick);
            match meter {
                Some(meter) => meter.watch(brick),
                None => brick,
            }
        })?;
        let start = process_time();
        let outcome = alone(&mut graph, &mut source, seen, &mut |_, _| {})?;
        let total = (process_time() - start).as_nanos() as f64;
        seen.progress = legonf_core::Source::progress(&source);
        bar.update(seen.progress, outcome.packets);
        let (stages, readings) = watch.nanoseconds();
        Ok(Run { stages, total: total - readings })
    }

    /// Milliseconds from opening the model to the score of the first packet: the median of as many tries as runs.
    fn first_score(&self) -> Result<f64, Failure> {
        let tries = (0..self.runs).map(|_| self.first_score_once());
        Ok(median(tries.collect::<Result<Vec<_>, _>>()?))
    }

    fn first_score_once(&self) -> Result<f64, Failure> {
        let start = Instant::now();
        let model = Network::load(&self.model)?;
        let mut graph = Trial::built_in(&model, self.execution, self.arithmetic)?.graph()?;
        let mut source = input::open(&self.capture, Some(1))?;
        alone(&mut graph, &mut *source, &mut Seen::default(), &mut |_, _| {})?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

/// Counts packets and forgets them.
#[derive(Default)]
struct Seen {
    packets: u64,
    progress: Progress,
    scores: Handle<Vec<f64>>,
}

impl Sink for Seen {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.packets += batch.columns.get(self.scores).len() as u64;
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![SCORES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.scores = layout.handle(&SCORES)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
