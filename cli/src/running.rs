//! `legonf status`, `incidents`, `scale` and `drain`: what a run does that was started with `--http`, and changes of its layout.

use crate::Style;
use crate::failure::{Failure, show};
use crate::http::{Changeable, Run};
use clap::Args;
use legonf_core::grouped;
use legonf_output::{one_line, write_private};
use legonf_server::api::{
    Changed, Counters, Drain, Graph, IncidentList, IncidentRow, Loss, RunState, Scale, Stage,
};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Shows what a run does at this moment: the layout, what each replica does, the bottleneck, and where packets went.
#[derive(Args)]
pub struct StatusArguments {
    #[command(flatten)]
    run: Run,
}

/// Shows the incidents of a run, those that go on first; or writes the packets that raised the alerts of one.
#[derive(Args)]
pub struct IncidentsArguments {
    /// Write the packets of this incident, by its number, as a capture (pcapng). The run keeps the latest 32 MiB of all incidents.
    #[arg(long, value_name = "ID", requires_all = ["out", "http_token"])]
    packets_of: Option<u64>,
    /// Where these packets go.
    #[arg(long, short, value_name = "FILE", requires = "packets_of")]
    out: Option<PathBuf>,
    #[command(flatten)]
    run: Run,
}

/// Gives a brick of a run so many replicas, with those bricks that share its workers. Packets flow on, and the results stay the same.
/// Under a controller the number may change again.
#[derive(Args)]
pub struct ScaleArguments {
    /// The brick; `legonf status` names them.
    brick: String,
    /// How many.
    replicas: usize,
    #[command(flatten)]
    run: Changeable,
}

/// Takes a replica's work away: the last replica of a stage ends, and another one gives its slots to the others.
#[derive(Args)]
pub struct DrainArguments {
    /// The replica, such as 'kitsune/feature-quantization#2'; `legonf status` names them.
    replica: String,
    #[command(flatten)]
    run: Changeable,
}

/// What `legonf status` tells.
#[derive(Serialize)]
struct Status {
    graph: Graph,
    counters: Counters,
}

pub fn status(arguments: &StatusArguments, style: Style) -> Result<(), Failure> {
    let client = arguments.run.client()?;
    let status = Status { graph: client.get("/api/v1/graph")?, counters: client.get("/api/v1/counters")? };
    show(&status, Status::text, style)
}

pub fn incidents(arguments: &IncidentsArguments, style: Style) -> Result<(), Failure> {
    let IncidentsArguments { packets_of, out, run } = arguments;
    let client = run.client()?;
    if let (Some(id), Some(out)) = (packets_of, out) {
        style.check_results([&**out])?;
        let capture = client.fetch(&format!("/api/v1/incidents/{id}/packets"))?;
        let named = |error: std::io::Error| Failure::fault(format!("{}: {error}", out.display()));
        return write_private(out, &capture).map_err(named);
    }
    let list: IncidentList = client.get("/api/v1/incidents")?;
    show(&list, incident_lines, style)
}

pub fn scale(arguments: &ScaleArguments, style: Style) -> Result<(), Failure> {
    let ScaleArguments { brick, replicas, run } = arguments;
    let asked = Scale { brick: brick.clone(), replicas: *replicas };
    show(&run.client()?.post::<Changed>("/api/v1/scale", &asked)?, changed, style)
}

pub fn drain(arguments: &DrainArguments, style: Style) -> Result<(), Failure> {
    let asked = Drain { replica: arguments.replica.clone() };
    show(&arguments.run.client()?.post::<Changed>("/api/v1/drain", &asked)?, changed, style)
}

/// What is said of a change of the layout.
pub fn changed(changed: &Changed) -> String {
    let slots = match changed.moved_slots {
        0 => String::new(),
        slots => format!(", {slots} slots moved"),
    };
    format!("in force    {} (after {:.2} ms{slots})\n", one_line(&changed.plan), changed.took_ms)
}

fn incident_lines(list: &IncidentList) -> String {
    let line = |incident: &IncidentRow| {
        let state = if incident.is_open { "goes on" } else { "ended" };
        let peak = format!("peak {:.3} over {:.3}", incident.peak_score, incident.threshold);
        format!(
            "{:<8} {state:<8} {:<7} {} ({peak})\n",
            incident.id,
            incident.severity,
            one_line(&incident.text)
        )
    };
    match list.incidents.len() {
        0 => "no incidents\n".into(),
        _ => list.incidents.iter().map(line).collect(),
    }
}

impl Status {
    fn text(&self) -> String {
        let Self { graph, counters } = self;
        let mut out = String::new();
        // Writing to a String cannot fail.
        if graph.state == RunState::Starting {
            return "state       starting: models are read, or nothing has come yet\n".into();
        }
        let (name, state) = (one_line(&graph.name), graph.state.label());
        let _ = writeln!(out, "graph       {name}, {state}, after {:.1} s", graph.at);
        let paused = if graph.is_paused { " (the controller is paused)" } else { "" };
        let _ = writeln!(out, "layout      {}{paused}", one_line(&graph.plan));
        let _ = writeln!(
            out,
            "packets/s   {} offered, {} done, {} dropped",
            rounded(graph.offered_per_second),
            rounded(graph.done_per_second),
            rounded(graph.dropped_per_second)
        );
        graph.stages.iter().for_each(|stage| out.push_str(&lines(stage)));
        let _ = writeln!(out, "coverage    {}", coverage(counters));
        let _ = writeln!(out, "alerts      {}", grouped(counters.alerts));
        out
    }
}

/// A line for each replica of a stage.
fn lines(stage: &Stage) -> String {
    let mark = if stage.is_bottleneck { ", the bottleneck" } else { "" };
    let line = |replica: &legonf_server::api::Replica| {
        let places: String =
            replica.elsewhere.iter().map(|place| format!(", {}", one_line(&place.to_string()))).collect();
        format!(
            "replica     {}: useful work {:.0}%, {} packets/s, {} batches wait{mark}{places}\n",
            one_line(&replica.name),
            100.0 * replica.useful_work_ratio,
            rounded(replica.packets_per_second),
            replica.queue
        )
    };
    stage.replicas.iter().map(line).collect()
}

/// Where packets went, in a line.
pub fn coverage(counters: &Counters) -> String {
    let Counters { received, scored, rejected, dropped, .. } = counters;
    format!(
        "{} received = {} scored + {} rejected{} + {} dropped{}",
        grouped(*received),
        grouped(*scored),
        grouped(sum(rejected)),
        reasons(rejected),
        grouped(sum(dropped)),
        reasons(dropped)
    )
}

/// A rate as a whole number.
pub fn rounded(rate: f64) -> impl std::fmt::Display {
    grouped(rate.round().max(0.0) as u64)
}

fn sum(losses: &[Loss]) -> u64 {
    losses.iter().map(|loss| loss.packets).sum()
}

fn reasons(losses: &[Loss]) -> String {
    let each: Vec<_> =
        losses.iter().map(|loss| format!("{} {}", one_line(&loss.reason), loss.packets)).collect();
    if each.is_empty() { String::new() } else { format!(" ({})", each.join(", ")) }
}
