//! `legonf bench networks`: convolutional networks on one core.

mod made;

use super::busy::Watch;
use super::machine::{Done, Machine, Probe};
use super::work::Work;
use crate::ExperimentError;
use clap::Args;
use legonf_core::{Element, Rows, Storage};
use legonf_engine::measure::processor_time;
use legonf_engine::{Error, Folder, Session};
use legonf_models::kitnet::Precision;
use legonf_models::{Engine, FeedForward, write_atomic};
use made::{BYTES, Made};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Measures legonf's own engine on convolutional networks that are made in code: rows/s of one core, by processor time, at several
/// batch sizes, beside the floating-point rate that the same run measured.
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
    networks: Vec<Measured>,
    /// Files that were written in place of measuring.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exported: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Measured {
    name: &'static str,
    title: &'static str,
    parameters: usize,
    /// Floating-point operations of a row.
    flops: u64,
    batches: Vec<Rate>,
}

#[derive(Serialize)]
struct Rate {
    batch: usize,
    rows_per_second: f64,
    gflops: f64,
    percent_of_peak: f64,
}

const BATCHES: [usize; 3] = [1, 32, 256];
/// Rows of a part of a measurement at least; parts of a round.
const ROWS: usize = 256;
const PARTS: usize = 4;

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
        networks: Vec::new(),
        exported: Vec::new(),
    };
    if let Some(folder) = &arguments.export {
        report.exported = export(session, folder.clone(), &made)?;
        return Ok(report);
    }
    let (mut host, mut probe) = (Watch::begin(), Probe::new());
    let mut spent = made.each_ref().map(|_| BATCHES.map(|_| f64::INFINITY));
    let engines = made.each_ref().map(|made| FeedForward::open(&made.onnx));
    let mut engines = engines.into_iter().collect::<Result<Vec<_>, _>>()?;
    for _ in 0..arguments.rounds {
        for (engine, spent) in engines.iter_mut().zip(&mut spent) {
            for (batch, spent) in BATCHES.iter().zip(spent) {
                if session.is_stopped() {
                    return Err(Error::Interrupted("networks were not measured to the end".into()).into());
                }
                *spent = spent.min(nanoseconds(engine, *batch)?);
            }
        }
        probe.sample();
    }
    let done: Vec<Done> =
        engines.iter().zip(&spent).flat_map(|(engine, spent)| spent.map(|ns| done(engine, ns))).collect();
    let (machine, _) = probe.settle(&done);
    let networks = made.iter().zip(&engines).zip(&spent);
    report.networks = networks
        .map(|((made, engine), spent)| measured(made, engine.operations(), spent, &machine))
        .collect();
    report.peak_gflops = machine.peak_gflops(Precision::F32);
    report.busy = host.busy(Some(probe.spread()));
    Ok(report)
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

/// Columns for the input of a network, of numbers that differ.
fn column(engine: &FeedForward, rows: usize) -> Box<dyn Storage> {
    let number = |cell: usize| (cell * 31 + cell / BYTES * 17) % 251;
    let cells = 0..rows * BYTES;
    match engine.signature().inputs[0].element {
        Element::U8 => {
            let bytes: Vec<u8> = cells.map(|cell| number(cell) as u8).collect();
            Box::new(Rows::of(bytes.chunks_exact(BYTES)))
        }
        _ => {
            let numbers: Vec<f32> = cells.map(|cell| number(cell) as f32 / 255.0).collect();
            Box::new(Rows::of(numbers.chunks_exact(BYTES)))
        }
    }
}

/// Nanoseconds of a row in batches of this size, in the fastest part.
fn nanoseconds(engine: &mut FeedForward, batch: usize) -> Result<f64, ExperimentError> {
    let (inputs, mut outputs) = ([column(engine, batch)], engine.signature().wanted());
    engine.warm().map_err(Error::from)?;
    let mut fastest = f64::INFINITY;
    for _ in 0..PARTS {
        let (start, runs) = (processor_time(), ROWS.div_ceil(batch));
        for _ in 0..runs {
            engine.run(&inputs, &mut outputs).map_err(Error::from)?;
        }
        let spent = (processor_time() - start).as_nanos() as f64;
        fastest = fastest.min(spent / (runs * batch) as f64);
    }
    Ok(fastest)
}

fn done(engine: &FeedForward, ns: f64) -> Done {
    let flops_per_packet = Some(engine.operations() as f64);
    Done { work: Work { flops_per_packet, ..Work::default() }, precision: Precision::F32, ns }
}

fn measured(made: &Made, flops: u64, spent: &[f64], machine: &Machine) -> Measured {
    let rate = |(batch, ns): (&usize, &f64)| {
        let gflops = flops as f64 / ns;
        let percent_of_peak = 100.0 * gflops / machine.peak_gflops(Precision::F32);
        Rate { batch: *batch, rows_per_second: 1e9 / ns, gflops, percent_of_peak }
    };
    let batches = BATCHES.iter().zip(spent).map(rate).collect();
    Measured { name: made.name, title: made.title, parameters: made.parameters, flops, batches }
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
    for Measured { title, parameters, flops, batches, .. } in &report.networks {
        let million = *flops as f64 / 1e6;
        let _ = writeln!(text, "{title}: {parameters} parameters, {million:.1} MFLOP a row");
        for Rate { batch, rows_per_second, gflops, percent_of_peak } in batches {
            let _ = writeln!(
                text,
                "  batches of {batch:<4} {rows_per_second:>9.0} rows/s {gflops:>7.1} GFLOP/s {percent_of_peak:>4.0}% of the peak"
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
            let (inputs, mut outputs) = ([column(&engine, 3)], engine.signature().wanted());
            engine.run(&inputs, &mut outputs).unwrap();
            let parts = legonf_core::cells::<f32>(&*outputs[0].column).unwrap();
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
        let arguments = Arguments { rounds: 1, seed: 1, export: Some(folder.path().join("networks")) };
        let report = run(&arguments, &Session::default()).unwrap();
        assert_eq!(report.exported.len(), 3);
        assert!(report.exported.iter().all(|path| path.exists()) && text(&report).contains("bytes.onnx"));
    }
}
