//! DeepNFV's Figure 4: what an instance of its network function costs as a thread, a process and a container.

mod container;
mod instance;

use crate::ExperimentError;
use clap::Args;
use instance::{Instance, Kind};
use legonf_core::Progress;
use legonf_engine::{Error, Extent, Session};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Starts and stops instances of DeepNFV's traffic classifier, a convolutional network of some 900,000 weights over images of 28 × 28
/// bytes, as threads, as processes and, where `runc` and a root file system are at hand, as containers.
///
/// All instances of a kind run at the same time. The root file system is a folder with the static binary alone, as
/// `packaging/build.sh oci` makes it. The backward pass of the paper's figure has no counterpart: instances do not learn.
#[derive(Args)]
pub struct Arguments {
    /// Instances of each kind.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    instances: u16,
    /// Images that each instance classifies.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// Root file system of the containers: a folder with `legonf`.
    #[arg(long, default_value = "target/package/rootfs", value_name = "DIR")]
    rootfs: PathBuf,
    /// What runs containers.
    #[arg(long, default_value = "runc", value_name = "PROGRAM")]
    runc: PathBuf,
    /// Be one instance, on standard input and output.
    #[arg(long, hide = true)]
    instance: bool,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    instances: u16,
    images: u32,
    /// Weights of the network.
    parameters: usize,
    kinds: Vec<Measured>,
    /// Why there are no containers, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_containers: Option<String>,
}

/// Medians over the instances of a kind, and the worst.
#[derive(Serialize)]
struct Measured {
    kind: &'static str,
    /// From nothing until the instance has its network and can be started, in milliseconds.
    initialise_ms: Spread,
    /// From the order to start until the first answer.
    start_ms: Spread,
    /// From the order to stop until the instance is gone.
    stop_ms: Spread,
    /// Memory of an instance alone, its share of what several use: MiB.
    memory_mib: Spread,
    /// Forward pass of one image, as the instance measures it: microseconds.
    pass_us: Spread,
    /// From sending an image until its class is back: microseconds.
    round_trip_us: Spread,
}

#[derive(Clone, Copy, Serialize)]
struct Spread {
    median: f64,
    worst: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |share: usize| values.get((values.len().max(1) - 1) * share / 100).copied().unwrap_or(0.0);
        Self { median: at(50), worst: at(100) }
    }
}

/// Runs the experiment, or is one of its instances.
///
/// # Errors
/// If an instance cannot be made or fails, or the session is stopped.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Option<Report>, ExperimentError> {
    if arguments.instance {
        instance::serve()?;
        return Ok(None);
    }
    let missing = container::missing(&arguments.runc, &arguments.rootfs);
    let mut kinds = vec![Kind::Thread, Kind::Process];
    if missing.is_none() {
        kinds.push(Kind::Container { runc: &arguments.runc, rootfs: &arguments.rootfs });
    }
    let bar = session.begin("figure 4", Extent::Packets(kinds.len() as u64 * u64::from(arguments.instances)));
    let mut measured = Vec::new();
    for kind in kinds {
        measured.push(arguments.measure(kind, session)?);
        let done = measured.len() as u64 * u64::from(arguments.instances);
        bar.update(Progress { read_bytes: done, total_bytes: None }, done);
    }
    Ok(Some(Report {
        instances: arguments.instances,
        images: arguments.images,
        parameters: instance::network().parameters,
        kinds: measured,
        without_containers: missing,
    }))
}

impl Arguments {
    fn measure(&self, kind: Kind<'_>, session: &Session) -> Result<Measured, ExperimentError> {
        let mut instances = Vec::new();
        let mut times: [Vec<f64>; 6] = Default::default();
        for number in 0..self.instances {
            if session.is_stopped() {
                return Err(Error::Interrupted("instances were not measured to the end".into()).into());
            }
            let (instance, taken) = Instance::make(kind, number)?;
            times[0].push(milliseconds(taken));
            instances.push(instance);
        }
        for instance in &mut instances {
            times[1].push(milliseconds(instance.start()?));
        }
        for instance in &mut instances {
            times[3].push(instance.memory()? as f64 / f64::from(1 << 20));
        }
        for instance in &mut instances {
            for image in 0..self.images {
                let (pass, round_trip) = instance.classify(image)?;
                times[4].push(pass.as_secs_f64() * 1e6);
                times[5].push(round_trip.as_secs_f64() * 1e6);
            }
        }
        for instance in instances {
            times[2].push(milliseconds(instance.stop()?));
        }
        let [initialise, start, stop, memory, pass, round_trip] = times.map(Spread::of);
        Ok(Measured {
            kind: kind.name(),
            initialise_ms: initialise,
            start_ms: start,
            stop_ms: stop,
            memory_mib: memory,
            pass_us: pass,
            round_trip_us: round_trip,
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The report for people.
pub fn text(report: &Report) -> String {
    let mut out = format!(
        "{} instances of a network of {} weights; median (worst)\n\n{:12}{:>18}{:>18}{:>18}\n",
        report.instances, report.parameters, "", "initialise, ms", "start, ms", "stop, ms"
    );
    let spread =
        |spread: Spread, digits: usize| format!("{:.digits$} ({:.digits$})", spread.median, spread.worst);
    for kind in &report.kinds {
        let cells = [kind.initialise_ms, kind.start_ms, kind.stop_ms].map(|of| spread(of, 2));
        let _ = writeln!(out, "{:12}{:>18}{:>18}{:>18}", kind.kind, cells[0], cells[1], cells[2]);
    }
    let _ = writeln!(out, "\n{:12}{:>18}{:>18}{:>18}", "", "memory, MiB", "pass, us", "round trip, us");
    for kind in &report.kinds {
        let cells = [spread(kind.memory_mib, 1), spread(kind.pass_us, 0), spread(kind.round_trip_us, 0)];
        let _ = writeln!(out, "{:12}{:>18}{:>18}{:>18}", kind.kind, cells[0], cells[1], cells[2]);
    }
    if let Some(why) = &report.without_containers {
        let _ = writeln!(out, "\nno containers: {why}");
    }
    out
}

/// What the system refused.
fn refused(what: &str, error: impl std::fmt::Display) -> ExperimentError {
    Error::refused(format!("{what}: {error}")).into()
}

/// A file that is named in a message.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
