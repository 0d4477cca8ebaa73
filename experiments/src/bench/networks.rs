//! `legonf bench networks`: convolutional networks on one core.

mod made;
mod rows;

use super::busy::Watch;
use super::machine::{Done, Machine, Probe};
use super::work::Work;
use crate::ExperimentError;
use clap::Args;
use legonf_core::cells;
use legonf_engine::measure::processor_time;
use legonf_engine::{Error, Folder, Session};
use legonf_models::kitnet::Precision;
use legonf_models::{BranchRows, Engine, FeedForward, OnnxFile, write_atomic};
pub(crate) use made::Made;
use rows::{Flows, Source};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Measures legonf's own engine on convolutional networks that are made in code, or on those of files: rows/s of one core, by
/// processor time, at several batch sizes, beside the floating-point rate that the same run measured.
///
/// Operations are those that the engine does: a convolution that is computed by fewer products counts with these.
#[derive(Args)]
pub struct Arguments {
    /// Rounds over all networks and batch sizes; of each the fastest counts.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Seed of the weights.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only write the networks into this folder, each as one ONNX file.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Measure this network or classifier in ONNX in place of those made in code; may be repeated.
    #[arg(long, value_name = "FILE", conflicts_with = "export")]
    model: Vec<PathBuf>,
    /// Measure with these labelled flows as rows, in place of numbers that are made: a folder with a folder of captures for each class, or
    /// captures in such folders. Of a network that computes some of its parts for some rows alone, only real rows say how often.
    #[arg(long, value_name = "DIR|CAPTURES", requires = "model")]
    rows_of: Vec<PathBuf>,
    /// Of the flows take only those that training with the default shares holds out to judge by, with the seed of the first model.
    #[arg(long, requires = "rows_of")]
    held_out: bool,
    /// Bytes of traffic for each row, such as the mean of a flow: says the traffic that rows/s stand for.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    row_bytes: Option<u32>,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    seed: u64,
    instruction_set: &'static str,
    /// Peak rate of the core in f32, 10⁹ operations a second.
    peak_gflops: f64,
    /// What else the machine did meanwhile; none where nothing much.
    busy: Option<String>,
    /// Flows whose rows were measured; none where rows were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    flows: Option<usize>,
    networks: Vec<Measured>,
    /// Files that were written in place of measuring.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exported: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Measured {
    name: String,
    title: String,
    /// Of a network that was made in code.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<usize>,
    /// Floating-point operations of a row for which all parts are computed.
    flops: u64,
    /// Those of a row on average, of the rows that were measured.
    mean_flops: f64,
    /// Shares of the rows that were measured, for each part that is computed for some rows alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    computed: Vec<Share>,
    /// The first output of the first row that is measured, for comparison with other engines.
    first_row: Vec<f32>,
    batches: Vec<Rate>,
}

/// A part of a network that is computed for some rows alone.
#[derive(Serialize)]
struct Share {
    /// Its floating-point operations.
    flops: u64,
    /// The share of the rows for which it was computed.
    rows: f64,
}

#[derive(Serialize)]
struct Rate {
    batch: usize,
    rows_per_second: f64,
    gflops: f64,
    percent_of_peak: f64,
    /// The traffic whose rows are judged as fast, 10⁹ bits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    gbit_per_second: Option<f64>,
}

/// A network that is measured.
struct Subject {
    name: String,
    title: String,
    parameters: Option<usize>,
    engine: FeedForward,
    /// The parts that are computed for some rows alone, with the rows that are measured.
    branches: Vec<BranchRows>,
    /// Nanoseconds of a row, for each batch size.
    spent: [f64; BATCHES.len()],
}

const BATCHES: [usize; 3] = [1, 32, 256];
/// Rows of a part of a measurement, where rows are made; parts of a round.
const ROWS: usize = 256;
const PARTS: usize = 4;

/// DeepNFV's convolutional network, with weights from a seed.
pub(crate) fn deepnfv(seed: u64) -> Made {
    let [deepnfv, ..] = made::all(seed);
    deepnfv
}

/// Measures, or writes the networks.
///
/// # Errors
/// If a network cannot be read back or run, the session is stopped, or nothing can be written.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let made = made::all(arguments.seed);
    let mut report = Report {
        seed: arguments.seed,
        instruction_set: legonf_models::kitnet::instruction_set(),
        peak_gflops: 0.0,
        busy: None,
        flows: None,
        networks: Vec::new(),
        exported: Vec::new(),
    };
    if let Some(folder) = &arguments.export {
        report.exported = export(session, folder.clone(), &made)?;
        return Ok(report);
    }
    let source = match &arguments.rows_of[..] {
        [] => Source::Made,
        paths => Source::Flows(Flows::read(session, paths, arguments.seed_of_split()?)?),
    };
    report.flows = source.flows();
    let (mut host, mut probe) = (Watch::begin(), Probe::new());
    let mut subjects = subjects(&arguments.model, &made)?;
    for subject in &mut subjects {
        subject.branches = branches(&subject.engine, &source)?;
    }
    for _ in 0..arguments.rounds {
        for Subject { engine, spent, .. } in &mut subjects {
            for (batch, spent) in BATCHES.iter().zip(spent) {
                if session.is_stopped() {
                    return Err(Error::Interrupted("networks were not measured to the end".into()).into());
                }
                *spent = spent.min(nanoseconds(engine, &source, *batch)?);
            }
        }
        probe.sample();
    }
    let done: Vec<Done> = subjects.iter().flat_map(Subject::done).collect();
    let (machine, _) = probe.settle(&done);
    for subject in subjects {
        report.networks.push(measured(subject, &source, &machine, arguments.row_bytes)?);
    }
    report.peak_gflops = machine.peak_gflops(Precision::F32);
    report.busy = host.busy(Some(probe.spread()));
    Ok(report)
}

/// The networks of the files, or those made in code where there are none.
fn subjects(files: &[PathBuf], made: &[Made]) -> Result<Vec<Subject>, ExperimentError> {
    let spent = [f64::INFINITY; BATCHES.len()];
    let of_made = |made: &Made| {
        let (name, title) = (made.name.to_owned(), made.title.to_owned());
        let engine = FeedForward::open(&made.onnx)?;
        Ok(Subject { name, title, parameters: Some(made.parameters), engine, branches: Vec::new(), spent })
    };
    let of_file = |path: &PathBuf| {
        let (name, title) = (path.file_stem().unwrap_or_default(), path.display());
        let engine = match OnnxFile::load(path).map_err(Error::from)? {
            OnnxFile::Bundle(bundle) => FeedForward::from_bundle(&bundle)?,
            OnnxFile::Classifier(classifier) => FeedForward::open(&classifier.onnx)?,
            OnnxFile::Network(onnx) => FeedForward::open(&onnx)?,
        };
        let (name, title) = (name.to_string_lossy().into_owned(), title.to_string());
        Ok(Subject { name, title, parameters: None, engine, branches: Vec::new(), spent })
    };
    if files.is_empty() { made.iter().map(of_made).collect() } else { files.iter().map(of_file).collect() }
}

fn export(session: &Session, folder: PathBuf, made: &[Made]) -> Result<Vec<PathBuf>, ExperimentError> {
    session.check_folder(Some(&folder))?;
    Folder::create(&folder)?;
    let write = |made: &Made| {
        let path = folder.join(format!("{}.onnx", made.name));
        write_atomic(&path, &made.onnx).map_err(Error::from)?;
        Ok(path)
    };
    made.iter().map(write).collect()
}

/// Nanoseconds of a row in batches of this size, in the fastest part.
fn nanoseconds(engine: &mut FeedForward, source: &Source, batch: usize) -> Result<f64, ExperimentError> {
    let (batches, mut outputs) = (source.batches(engine, batch)?, engine.signature().wanted());
    let rows: usize = batches.iter().map(rows::count).sum();
    engine.warm().map_err(Error::from)?;
    let mut fastest = f64::INFINITY;
    for _ in 0..PARTS {
        let (start, runs) = (processor_time(), ROWS.div_ceil(rows));
        for inputs in (0..runs).flat_map(|_| &batches) {
            engine.run(inputs, &mut outputs).map_err(Error::from)?;
        }
        let spent = (processor_time() - start).as_nanos() as f64;
        fastest = fastest.min(spent / (runs * rows) as f64);
    }
    Ok(fastest)
}

/// The parts that are computed for some rows alone, with how many of the rows these are.
fn branches(engine: &FeedForward, source: &Source) -> Result<Vec<BranchRows>, ExperimentError> {
    let (mut engine, mut outputs) = (engine.clone(), engine.signature().wanted());
    for inputs in source.batches(&engine, ROWS)? {
        engine.run(&inputs, &mut outputs).map_err(Error::from)?;
    }
    Ok(engine.branches())
}

/// The share of the rows for which a part was computed.
fn share(branch: &BranchRows) -> f64 {
    branch.computed as f64 / branch.passed.max(1) as f64
}

impl Subject {
    /// Floating-point operations of a row on average.
    fn mean_flops(&self) -> f64 {
        let saved = |branch: &BranchRows| (1.0 - share(branch)) * branch.operations as f64;
        self.engine.operations() as f64 - self.branches.iter().map(saved).sum::<f64>()
    }

    fn done(&self) -> [Done; BATCHES.len()] {
        let work = Work { flops_per_packet: Some(self.mean_flops()), ..Work::default() };
        self.spent.map(|ns| Done { work, precision: Precision::F32, ns })
    }
}

fn measured(
    subject: Subject,
    source: &Source,
    machine: &Machine,
    row_bytes: Option<u32>,
) -> Result<Measured, ExperimentError> {
    let mean_flops = subject.mean_flops();
    let Subject { name, title, parameters, mut engine, branches, spent } = subject;
    let flops = engine.operations();
    let of_branch = |branch: &BranchRows| Share { flops: branch.operations, rows: share(branch) };
    let computed = branches.iter().map(of_branch).collect();
    let (batches, mut outputs) = (source.batches(&engine, 1)?, engine.signature().wanted());
    if let Some(first) = batches.first() {
        engine.run(first, &mut outputs).map_err(Error::from)?;
    }
    let first_row = outputs.first().and_then(|output| cells::<f32>(&*output.column));
    let first_row = first_row.unwrap_or_default().to_vec();
    let rate = |(batch, ns): (&usize, &f64)| {
        let gflops = mean_flops / ns;
        let percent_of_peak = 100.0 * gflops / machine.peak_gflops(Precision::F32);
        let gbit_per_second = row_bytes.map(|bytes| 8.0 * f64::from(bytes) / ns);
        Rate { batch: *batch, rows_per_second: 1e9 / ns, gflops, percent_of_peak, gbit_per_second }
    };
    let batches = BATCHES.iter().zip(&spent).map(rate).collect();
    Ok(Measured { name, title, parameters, flops, mean_flops, computed, first_row, batches })
}

impl Arguments {
    /// The seed by which flows are divided; none where all are taken.
    fn seed_of_split(&self) -> Result<Option<u64>, ExperimentError> {
        let Some(path) = self.model.first().filter(|_| self.held_out) else { return Ok(None) };
        match OnnxFile::load(path).map_err(Error::from)? {
            OnnxFile::Classifier(classifier) => Ok(Some(classifier.card.seed)),
            _ => {
                Err(Error::file(path, "is no classifier of legonf's, which would say how flows were divided")
                    .into())
            }
        }
    }
}

/// A line for each network and batch size.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for path in &report.exported {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", path.display());
    }
    if !report.networks.is_empty() {
        let (peak, set) = (report.peak_gflops, report.instruction_set);
        let _ = writeln!(text, "one core with {set}, peak rate {peak:.0} GFLOP/s in f32");
    }
    if let Some(flows) = report.flows {
        let _ = writeln!(text, "rows of {flows} flows");
    }
    for Measured { title, parameters, flops, mean_flops, computed, batches, .. } in &report.networks {
        let million = *flops as f64 / 1e6;
        let parameters = parameters.map(|count| format!("{count} parameters, ")).unwrap_or_default();
        let _ = writeln!(text, "{title}: {parameters}{million:.1} MFLOP a row");
        for Share { flops, rows } in computed {
            let (percent, part) = (100.0 * rows, *flops as f64 / 1e6);
            let _ = writeln!(text, "  {part:.1} MFLOP of them for {percent:.1}% of the rows");
        }
        if !computed.is_empty() {
            let _ = writeln!(text, "  {:.2} MFLOP a row on average", mean_flops / 1e6);
        }
        for Rate { batch, rows_per_second, gflops, percent_of_peak, gbit_per_second } in batches {
            let traffic = gbit_per_second.map(|rate| format!(" {rate:>7.2} Gb/s")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  batches of {batch:<4} {rows_per_second:>9.0} rows/s {gflops:>7.1} GFLOP/s {percent_of_peak:>4.0}% of the peak{traffic}"
            );
        }
    }
    if let Some(busy) = &report.busy {
        let _ = writeln!(text, "{busy}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_have_their_sizes_and_run_by_legonfs_own_engine() {
        let made = made::all(1);
        assert_eq!(made.each_ref().map(|made| made.parameters), [901_617, 226_136, 189_012]);
        for made in &made {
            let mut engine = FeedForward::open(&made.onnx).unwrap();
            let (inputs, mut outputs) = (rows::made(&engine, 3), engine.signature().wanted());
            engine.run(&inputs, &mut outputs).unwrap();
            let parts = cells::<f32>(&*outputs[0].column).unwrap();
            assert_eq!(parts.len(), 60);
            for row in parts.chunks_exact(20) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
            }
        }
        assert!(made[0].onnx != made::all(2)[0].onnx);
    }

    #[test]
    fn files_are_written_in_place_of_measuring() {
        let folder = tempfile::tempdir().unwrap();
        let export = Some(folder.path().join("networks"));
        let arguments = Arguments {
            rounds: 1,
            seed: 1,
            export,
            model: Vec::new(),
            rows_of: Vec::new(),
            held_out: false,
            row_bytes: None,
        };
        let report = run(&arguments, &Session::default()).unwrap();
        assert_eq!(report.exported.len(), 3);
        assert!(report.exported.iter().all(|path| path.exists()) && text(&report).contains("bytes.onnx"));

        let arguments = Arguments { export: None, model: vec![report.exported[1].clone()], ..arguments };
        let report = run(&Arguments { row_bytes: Some(7000), ..arguments }, &Session::default()).unwrap();
        let [only] = &report.networks[..] else { panic!("one network") };
        assert_eq!((&only.name[..], only.parameters, only.first_row.len()), ("deepnfv-small", None, 20));
        for rate in &only.batches {
            let traffic = rate.gbit_per_second.unwrap();
            assert!((traffic - rate.rows_per_second * 56e-6).abs() <= 1e-9 * traffic, "{traffic}");
        }
    }
}
