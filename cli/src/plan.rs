//! `legonf plan`: how many of which brick a rate needs.

mod hosts;

use crate::Style;
use crate::failure::{Failure, print_json, show, tell};
use crate::invalid::Invalid;
use crate::summary::tables;
use clap::Args;
use legonf_controller::{Costs, Deadline, Forecast, Model, StageForecast, deadlines};
use legonf_core::State;
use legonf_engine::arguments::{positive, rate};
use legonf_engine::{nf, read_costs};
use legonf_io::sink::SeriesPlot;
use serde::Serialize;
use std::path::PathBuf;

/// Says from what the bricks cost how many of which a rate needs, the throughput and the latency to expect, and which brick
/// is the next bottleneck. Nothing is run.
///
/// Workers are given a core each. Where a brick that keeps state is replicated, its traffic must be split by a key.
///
/// With --hosts it says which replicas run on other hosts, once the cores here do not suffice: those that move the fewest bytes
/// for what they compute, as far as the links carry them.
#[derive(Args)]
pub struct Arguments {
    /// Costs of `legonf profile`.
    #[arg(long, value_name = "FILE")]
    costs: PathBuf,
    /// Network function, by name or graph file (TOML), that must be the one that was profiled.
    #[arg(long, visible_alias = "graph", value_name = "NAME|FILE")]
    nf: Option<PathBuf>,
    /// Packets a second, such as 5Mpps, 300k or 1e6; without it as many as the cores carry.
    #[arg(long, value_name = "PPS", value_parser = rate)]
    rate: Option<f64>,
    /// Cores to plan for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    cores: u16,
    /// Part of the time that a worker may compute at most.
    #[arg(long, value_name = "PART", default_value_t = 0.9, value_parser = part)]
    load: f64,
    /// Milliseconds from source to sink that are promised; each brick gets its part of it.
    #[arg(long, value_name = "MS", value_parser = positive)]
    latency: Option<f64>,
    /// Other hosts, with their free cores and measured links: a file of `legonf cluster status --json`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["latency", "svg"])]
    hosts: Option<PathBuf>,
    /// Draw throughput over cores into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Throughput of the best plan on some cores.
#[derive(Clone, Copy, Serialize)]
struct Point {
    cores: usize,
    throughput: f64,
}

#[derive(Serialize)]
struct Report {
    graph: String,
    /// Packets a second that were asked for.
    rate: Option<f64>,
    cores: usize,
    /// Whether the cores carry the rate.
    feasible: bool,
    #[serde(flatten)]
    forecast: Forecast,
    deadlines: Vec<Deadline>,
    /// The dearest brick of the bottleneck, where it is an end of the graph: of that there is one, whatever the cores.
    undivided: Option<String>,
    /// Packets a second that the plan carries at most where every packet is an alert; none where that was not measured.
    flood_capacity: Option<f64>,
    /// The best plan for each number of cores.
    curve: Vec<Point>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results(arguments.svg.as_deref())?;
    let costs = read_costs(&arguments.costs)?;
    arguments.check_graph(&costs)?;
    if let Some(file) = &arguments.hosts {
        let report = hosts::Report::of(arguments, &costs, file)?;
        show(&report, hosts::Report::text, style)?;
        return if report.feasible { Ok(()) } else { Err(report.shortfall()) };
    }
    let report = arguments.report(&costs)?;
    if let Some(path) = &arguments.svg {
        picture(&report).write_svg(path)?;
    }
    match style {
        Style { json: true, .. } => print_json(&report)?,
        Style { quiet: true, .. } => {}
        _ => tell(&text(&report))?,
    }
    if report.feasible {
        return Ok(());
    }
    Err(Failure::fault(format!(
        "{:.0} packets/s need more than {} cores: these carry {:.0}",
        report.rate.unwrap_or_default(),
        report.cores,
        report.forecast.throughput
    )))
}

impl Arguments {
    /// Refuses costs of another graph.
    fn check_graph(&self, costs: &Costs) -> Result<(), Failure> {
        let Some(path) = &self.nf else { return Ok(()) };
        for brick in nf::open(Some(path))?.sequence()? {
            let named = |error| Failure::fault(format!("{}: {error}", self.costs.display()));
            costs.of(&brick.id).map_err(named)?;
        }
        Ok(())
    }

    fn report(&self, costs: &Costs) -> Result<Report, Failure> {
        let (model, cores) = (Model::new(costs, self.load), usize::from(self.cores));
        let point = |cores| model.best(cores).map(|(throughput, _)| Point { cores, throughput });
        let curve = (1..=cores).map(point).collect::<Result<Vec<_>, _>>()?;
        let asked = self.rate.map(|rate| model.plan_for(rate)).transpose()?;
        let fitting = asked.filter(|plan| plan.workers() <= cores);
        let feasible = self.rate.is_none() || fitting.is_some();
        let (plan, rate) = match fitting {
            Some(plan) => (plan, self.rate),
            None => model.best(cores).map(|(rate, plan)| (plan, Some(rate)))?,
        };
        let forecast = model.forecast(&plan, rate, f64::from(self.cores))?;
        let flooded = costs.flooded();
        let flooded =
            flooded.map(|costs| Model::new(&costs, self.load).forecast(&plan, None, f64::from(self.cores)));
        let flood_capacity = flooded.transpose()?.map(|forecast| forecast.capacity);
        let undivided = undivided(costs, &forecast.bottleneck);
        let deadlines = self.latency.map_or(Ok(Vec::new()), |latency| deadlines(costs, latency))?;
        Ok(Report {
            graph: costs.graph.clone(),
            rate: self.rate,
            cores,
            feasible,
            forecast,
            deadlines,
            undivided,
            flood_capacity,
            curve,
        })
    }
}

/// The dearest of some bricks, where there can be but one of it.
fn undivided(costs: &Costs, bricks: &[String]) -> Option<String> {
    let dearest = bricks.iter().filter_map(|id| costs.of(id).ok()).max_by(|a, b| a.ns.total_cmp(&b.ns))?;
    (dearest.state == State::Serial).then(|| dearest.id.clone())
}

/// The stages of a plan, a row each.
fn stages(forecast: &Forecast) -> String {
    let headings = ["bricks", "replicas", "ns/packet", "load", ""];
    let cells = |stage: &StageForecast| {
        let split = if stage.split { "(its traffic must be split)" } else { "" };
        let figures =
            [stage.replicas.to_string(), format!("{:.1}", stage.ns), format!("{:.0}%", stage.load * 100.0)];
        [stage.bricks.join(" ")].into_iter().chain(figures).chain([split.into()]).collect::<Vec<_>>()
    };
    let rows: Vec<_> = forecast.stages.iter().map(cells).collect();
    let line = |row: &[String]| {
        let text = format!("{:<40} {:>8} {:>10} {:>6}  {}", row[0], row[1], row[2], row[3], row[4]);
        text.trim_end().to_owned() + "\n"
    };
    tables::table(&headings, &rows, line)
}

fn text(report: &Report) -> String {
    let forecast = &report.forecast;
    let mut out = stages(forecast);
    for deadline in &report.deadlines {
        out += &format!("deadline of {:<28} {:>8.3} ms\n", deadline.id, deadline.ms);
    }
    let flood = report.flood_capacity.map_or_else(String::new, |capacity| {
        format!("flood       {capacity:.0} packets/s at most where every packet is an alert\n")
    });
    let undivided = report
        .undivided
        .as_ref()
        .map_or_else(String::new, |id| format!(": there is one `{id}`, which cannot be divided"));
    out + &format!(
        "plan        {}\nworkers     {} of {} cores\nthroughput  {:.0} packets/s, at most {:.0}\nlatency     {:.3} ms, {:.3} ms for 99 of 100 packets\nbottleneck  {}{undivided}\n{flood}",
        forecast.plan,
        forecast.workers,
        report.cores,
        forecast.throughput,
        forecast.capacity,
        forecast.latency_ms,
        forecast.latency_p99_ms,
        forecast.bottleneck.join(" ")
    )
}

fn picture(report: &Report) -> SeriesPlot {
    let points = report.curve.iter().map(|point| (point.cores as f64, point.throughput / 1e6)).collect();
    SeriesPlot {
        title: format!("{}: throughput to expect", report.graph),
        across: "cores".into(),
        up: "million packets a second".into(),
        decades: false,
        series: vec![("best plan".into(), points)],
        bound: report.rate.map(|rate| ("asked for".into(), rate / 1e6)),
    }
}

fn part(text: &str) -> Result<f64, Invalid> {
    let part = text.parse().ok().filter(|part| *part > 0.0 && *part <= 1.0);
    part.ok_or(Invalid::Value("a part of the time, above 0 and at most 1"))
}
