//! `legonf graph`: shows brick graphs.

use crate::Style;
use crate::failure::{Failure, print, print_json, tell};
use crate::scoring::ModelFiles;
use crate::summary::tables;
use crate::workers::Workers;
use clap::{Args, Subcommand};
use legonf_catalog::Takes;
use legonf_controller::{Costs, deadlines};
use legonf_core::{ColumnSpec, Descriptor, count};
use legonf_engine::optimize::{Change, Optimized, optimize};
use legonf_engine::{
    Checked, Execution, Scoring, check_graph, describe as describe_brick, nf, read_costs, write_text,
};
use legonf_output::{one_line, printable_json};
use legonf_runtime::{BrickSpec, GraphSpec, Wanted};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The subcommands of `legonf graph`.
#[derive(Subcommand)]
pub enum Command {
    /// Print a graph and what each brick reads and fills; without --nf that of Kitsune.
    Show(Arguments),
    /// Find what `legonf replay` would find wrong with a graph, without a capture.
    Check(CheckArguments),
    /// Bring a graph into fewer bricks with the same packets, drops and counters, and show it before and after.
    Optimize(OptimizeArguments),
    /// List the kinds of bricks that a graph file can name.
    Kinds,
}

/// Arguments of `legonf graph show`.
#[derive(Args)]
pub struct Arguments {
    /// Network function: the name of one that ships (`kitsune`, the default, `kitsune-detector` or `kitsune-onnx`), or a graph file (TOML).
    #[arg(long, visible_alias = "graph", value_name = "NAME|FILE")]
    nf: Option<PathBuf>,
    /// Print the graph as the TOML that --nf takes, to start a graph file of your own.
    #[arg(long)]
    toml: bool,
    /// What the bricks cost, of `legonf profile`.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Milliseconds from source to sink that are promised: shows what each brick may take of it, in proportion to cost.
    #[arg(long, value_name = "MS", requires = "costs", value_parser = legonf_engine::arguments::positive)]
    latency: Option<f64>,
    /// Draw the graph into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Looks for what a replay would find wrong before its first packet: in the graph file, its bricks and their configuration, the columns
/// that they read and fill, models, and the layout. Exit code 1 and one line say what is wrong. Where a model is needed and neither
/// given nor named in the file, bricks that take a network and the layout are not checked.
#[derive(Args)]
pub struct CheckArguments {
    /// Graph file (TOML), or the name of a network function that ships, such as `kitsune`.
    #[arg(value_name = "NAME|FILE")]
    graph: PathBuf,
    #[command(flatten)]
    models: ModelFiles,
    #[command(flatten)]
    workers: Workers,
    #[command(flatten)]
    execution: Execution,
}

/// Makes one fast path of the functions of a chain that lead to each other alone, and does once what occurs twice. Says what it changed; nothing is written.
#[derive(Args)]
pub struct OptimizeArguments {
    /// Graph file (TOML), or the name of a network function that ships.
    #[arg(value_name = "NAME|FILE")]
    graph: PathBuf,
    /// Print the graph that comes out, as the TOML that --nf takes.
    #[arg(long)]
    toml: bool,
}

/// A graph before and after.
#[derive(Serialize)]
struct Compared {
    before: Vec<Shown>,
    after: Vec<Shown>,
    changes: Vec<Change>,
}

/// One brick as it is shown.
#[derive(Serialize)]
struct Shown {
    id: String,
    kind: &'static str,
    /// The model of `[models]` that it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    title: &'static str,
    state: &'static str,
    reads: Vec<String>,
    fills: Vec<String>,
    /// Nanoseconds a packet.
    #[serde(skip_serializing_if = "Option::is_none")]
    ns: Option<f64>,
    /// Milliseconds that a batch may take in the brick, its wait included.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<f64>,
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    match command {
        Command::Show(arguments) => show(arguments, style),
        Command::Check(arguments) => check(arguments, style),
        Command::Optimize(arguments) => optimized(arguments, style),
        Command::Kinds => kinds(style),
    }
}

fn check(arguments: &CheckArguments, style: Style) -> Result<(), Failure> {
    let scoring = Scoring {
        models: arguments.models.files.clone(),
        graph: Some(arguments.graph.clone()),
        workers: arguments.workers.given(),
        execution: arguments.execution,
        ..Scoring::new("")
    };
    crate::failure::show(&check_graph(&style.session(), &scoring)?, checked, style)
}

/// What was checked, in a line.
fn checked(checked: &Checked) -> String {
    let (bricks, results) = (count(checked.bricks.len() as u64, "brick"), checked.results.join(", "));
    let results =
        if results.is_empty() { String::new() } else { format!(", results {}", one_line(&results)) };
    let layout = match &checked.workers {
        Some(plan) => format!("; layout {}", one_line(plan)),
        None => "; models and layout were not looked at: give --model".into(),
    };
    format!("ok: {bricks}{results}{layout}\n")
}

/// The bricks of a graph, which comes from a file or ships.
fn bricks(spec: &GraphSpec, from: Option<&Path>) -> Result<Vec<(String, Descriptor)>, Failure> {
    let describe = |brick: &BrickSpec| describe_brick(spec, brick);
    let checked =
        legonf_runtime::check(spec, &[ColumnSpec::PACKETS], Wanted::Results, describe, Descriptor::clone);
    Ok(checked.map_err(|error| nf::in_file(from, error))?)
}

fn optimized(arguments: &OptimizeArguments, style: Style) -> Result<(), Failure> {
    let from = Some(arguments.graph.as_path());
    let spec = nf::open(from)?;
    let shown = |spec: &GraphSpec| -> Result<Vec<Shown>, Failure> {
        Ok(bricks(spec, from)?.into_iter().map(|(id, descriptor)| describe(id, &descriptor)).collect())
    };
    let before = shown(&spec)?;
    let Optimized { graph, changes } = optimize(&spec).map_err(|error| nf::in_file(from, error))?;
    if arguments.toml {
        return print(&printable_json(&graph.to_toml()));
    }
    let compared = Compared { before, after: shown(&graph)?, changes };
    if style.json { print_json(&compared) } else { tell(&compared.text()) }
}

impl Compared {
    fn text(&self) -> String {
        let Self { before, after, changes } = self;
        let title =
            |when: &str, bricks: &[Shown]| format!("{when}: {}\n", count(bricks.len() as u64, "brick"));
        let (was, is) = (title("before", before) + &table(before), title("after", after) + &table(after));
        let change = |change: &Change| match change {
            Change::Repeated { brick, before } => {
                format!("{} is done by {}\n", one_line(brick), one_line(before))
            }
            Change::Consolidated { bricks, into: [path, actions] } => {
                let bricks: Vec<_> = bricks.iter().map(|id| one_line(id)).collect();
                format!("{} are now {} and {}\n", bricks.join(", "), one_line(path), one_line(actions))
            }
        };
        let changes: String = changes.iter().map(change).collect();
        let changes = if changes.is_empty() { "nothing to change\n".to_owned() } else { changes };
        format!("{was}\n{is}\n{changes}")
    }
}

fn show(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results(arguments.svg.as_deref())?;
    let spec = nf::open(arguments.nf.as_deref())?;
    let bricks = bricks(&spec, arguments.nf.as_deref())?;
    if let Some(path) = &arguments.svg {
        write_text(path, &legonf_runtime::svg(&spec, &bricks))?;
    }
    if style.quiet && arguments.svg.is_some() {
        return Ok(());
    }
    if arguments.toml {
        // Strings in TOML have the escapes of JSON.
        return print(&printable_json(&spec.to_toml()));
    }
    let mut shown: Vec<_> = bricks.into_iter().map(|(id, descriptor)| describe(id, &descriptor)).collect();
    for brick in &mut shown {
        brick.model =
            spec.bricks.iter().find(|named| named.id == brick.id).and_then(|named| named.model.clone());
    }
    if let Some(path) = &arguments.costs {
        add_costs(&mut shown, &read_costs(path)?, arguments.latency)?;
    }
    if style.json { print_json(&shown) } else { tell(&(table(&shown) + &models(&spec))) }
}

/// A line for each model that a graph names, with the bricks that take it.
fn models(spec: &GraphSpec) -> String {
    let line = |(name, file): (&String, &String)| {
        let file = if file.is_empty() { format!("--model {name}=FILE") } else { one_line(file).to_string() };
        let takes = |brick: &&BrickSpec| brick.model.as_ref().is_none_or(|model| model == name);
        let is_named =
            |brick: &&BrickSpec| legonf_catalog::takes(&brick.kind, &brick.config) != Takes::Nothing;
        let bricks = spec.bricks.iter().filter(is_named).filter(takes);
        let bricks: Vec<_> = bricks.map(|brick| one_line(&brick.id)).collect();
        format!("model {}: {file}, of {}\n", one_line(name), bricks.join(", "))
    };
    spec.models.iter().map(line).collect()
}

fn add_costs(bricks: &mut [Shown], costs: &Costs, latency: Option<f64>) -> Result<(), Failure> {
    let deadlines = latency.map_or(Ok(Vec::new()), |latency| deadlines(costs, latency))?;
    for brick in bricks {
        brick.ns = Some(costs.of(&brick.id)?.ns);
        brick.deadline_ms =
            deadlines.iter().find(|deadline| deadline.id == brick.id).map(|deadline| deadline.ms);
    }
    Ok(())
}

fn kinds(style: Style) -> Result<(), Failure> {
    let kinds = &legonf_catalog::KINDS;
    let shown: Vec<_> = kinds.iter().map(|d| describe(d.kind.to_owned(), d)).collect();
    if style.json { print_json(&shown) } else { tell(&table(&shown)) }
}

fn describe(id: String, descriptor: &Descriptor) -> Shown {
    let names = |columns: &[ColumnSpec]| columns.iter().map(|column| column.name.to_string()).collect();
    let state = descriptor.state.label();
    let (reads, fills) = (names(&descriptor.reads), names(&descriptor.writes));
    Shown {
        id,
        kind: descriptor.kind,
        model: None,
        title: descriptor.title,
        state,
        reads,
        fills,
        ns: None,
        deadline_ms: None,
    }
}

fn table(bricks: &[Shown]) -> String {
    let headings = ["brick", "kind", "state", "reads", "fills"];
    let cells = |b: &Shown| {
        let ns = b.ns.map_or_else(String::new, |ns| format!(", {ns:.1} ns a packet"));
        let deadline = b.deadline_ms.map_or_else(String::new, |ms| format!(", deadline {ms:.3} ms"));
        let fills = b.fills.join(", ") + &ns + &deadline;
        vec![one_line(&b.id).into_owned(), b.kind.into(), b.state.into(), b.reads.join(", "), fills]
    };
    let rows: Vec<_> = bricks.iter().map(cells).collect();
    let line =
        |row: &[String]| format!("{:<28} {:<28} {:<10} {:<22} {}\n", row[0], row[1], row[2], row[3], row[4]);
    tables::table(&headings, &rows, line)
}
