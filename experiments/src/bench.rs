//! `legonf bench`: how fast the bricks are on this machine, and how near to what it can do.

mod busy;
pub mod graph;
pub mod growth;
mod instructions;
mod machine;
pub mod networks;
mod report;
mod role;
pub mod transport;
mod work;

use crate::ExperimentError;
use busy::Watch;
use clap::Args;
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Progress, Sink};
use legonf_engine::measure::{Meter, Stopwatch, Trial, alone, median, process_time};
use legonf_engine::{Error, Execution, Extent, Gauge, Network, Session, input};
use legonf_infer::SCORES;
use machine::Probe;
use report::{Measured, Passes, Run, Traffic, columns};
pub use report::{Report, rows};
use std::path::PathBuf;
use std::time::Instant;

/// What the keys of its report are.
pub const KEYS: &str = "\
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
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Runs, of which the median counts.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    execution: Execution,
    /// Count instructions a packet too, in all and of each stage: replays the first packets under valgrind's callgrind, twice,
    /// so that starting counts for nothing. Needs valgrind, whose processor has AVX2 at most.
    #[arg(long)]
    instructions: bool,
}

impl Arguments {
    /// Measures.
    ///
    /// # Errors
    /// If the capture holds no packet, or a run does not come to its end.
    pub fn run(&self, session: &Session) -> Result<Report, ExperimentError> {
        if self.instructions {
            instructions::check()?;
        }
        let first_score = self.first_score(session)?;
        let model = Network::load(session, &self.model)?;
        let trial = Trial::built_in(session, &model, self.execution)?;
        let (mut host, mut probe) = (Watch::begin(), Probe::new());
        let passes = self.passes(&trial, &mut probe)?;
        let packets = passes.traffic.packets;
        if packets == 0 {
            return Err(Error::file(&self.capture, "holds no packet to measure with").into());
        }
        let instructions =
            if self.instructions { Some(instructions::per_packet(session, self, packets)?) } else { None };
        let measured = Measured { arguments: self, trial: &trial, first_score, passes, instructions };
        Ok(measured.report(&mut host, &mut probe))
    }

    /// All runs, with samples of the core between them.
    fn passes(&self, trial: &Trial<'_>, probe: &mut Probe) -> Result<Passes, ExperimentError> {
        let (bar, meter) = (trial.session.begin("bench", Extent::Bytes), Meter::default());
        let (mut ids, mut runs, mut seen) = (Vec::new(), Vec::new(), Seen::default());
        // The run before the first that counts brings the capture into the page cache, and counts bytes.
        for number in 0..=self.runs {
            let watch = Stopwatch::default();
            seen = Seen::default();
            let counted = (number == 0).then_some(&meter);
            let run = self.once(trial, &watch, counted, &mut seen, &*bar)?;
            ids = watch.ids();
            if number > 0 {
                runs.push(run);
            }
            probe.sample();
        }
        let Seen { packets, progress, .. } = seen;
        let traffic = Traffic { packets, capture: progress.read_bytes, columns: columns(&meter) };
        Ok(Passes { ids, runs, traffic })
    }

    /// One pass from the file to the scores.
    fn once(
        &self,
        trial: &Trial<'_>,
        watch: &Stopwatch,
        meter: Option<&Meter>,
        seen: &mut Seen,
        bar: &dyn Gauge,
    ) -> Result<Run, ExperimentError> {
        let mut source = watch.watch_source(input::open(&trial.session, &self.capture, self.limit)?);
        let mut graph = trial.graph_with(|id, brick| {
            let brick = watch.watch(id, brick);
            match meter {
                Some(meter) => meter.watch(brick),
                None => brick,
            }
        })?;
        let start = process_time();
        let outcome = alone(&trial.session, &mut graph, &mut source, seen, &mut |_, _| {})?;
        let total = (process_time() - start).as_nanos() as f64;
        seen.progress = legonf_core::Source::progress(&source);
        bar.update(seen.progress, outcome.packets);
        let (stages, readings) = watch.nanoseconds();
        Ok(Run { stages, total: total - readings })
    }

    /// Milliseconds from opening the model to the score of the first packet: the median of as many tries as runs.
    fn first_score(&self, session: &Session) -> Result<f64, ExperimentError> {
        let tries = (0..self.runs).map(|_| self.first_score_once(session));
        Ok(median(tries.collect::<Result<Vec<_>, _>>()?))
    }

    fn first_score_once(&self, session: &Session) -> Result<f64, ExperimentError> {
        let start = Instant::now();
        let model = Network::load(session, &self.model)?;
        let mut graph = Trial::built_in(session, &model, self.execution)?.graph()?;
        let mut source = input::open(session, &self.capture, Some(1))?;
        alone(session, &mut graph, &mut *source, &mut Seen::default(), &mut |_, _| {})?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

/// Counts packets and forgets them.
#[derive(Default)]
struct Seen {
    scores: Handle<Vec<f64>>,
    packets: u64,
    progress: Progress,
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
