//! StatelessNF's Figure 4.8: goodput while a load rises and falls, and a second replica on another host comes and goes.

use crate::ExperimentError;
use crate::elasticity::{self, Sample, Steps};
use crate::offer::Load;
use crate::other_hosts::{self, Agent, Namespace};
use clap::Args;
use legonf_controller::{Config, Event};
use legonf_engine::{Address, Error, Execution, Folder, Place, Placement, Session, Site};
use legonf_io::sink::SeriesPlot;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// The hosts: that of the graph, and that of the second replica.
const HOSTS: [&str; 2] = ["a", "b"];

/// Rates up to the top; the load falls by the same ones.
const RATES: u32 = 10;

/// Of the lesser of what one worker and two replicas carry, the part that is offered at the top.
const TOP: f64 = 0.35;

/// Milliseconds after which a batch that is not full is closed: batches of a few packets would cost a call to the other host each.
const HOLD_MS: f64 = 8.0;

/// When the paper scales out and in, in steps: at 25 s and 75 s, with steps of 5 s.
const OUT: usize = 5;
const IN: usize = 15;

/// Offers a load that rises in ten steps and falls in ten (StatelessNF, Figure 4.8) to Kitsune, which begins with one worker. With the
/// sixth step a second replica comes, whose extractor runs on another host, and with the sixteenth it goes. So half of the
/// extractor's state moves there and back while packets flow.
///
/// As in the paper the steps say when, and not the controller: it replicates what is overloaded, and here nothing is, so that all
/// that is offered can be carried. The top is a part of what one worker and two replicas carry, as measured first. The other host is
/// a network namespace with certificates, where this may be made, and else a process on loopback.
#[derive(Args)]
pub struct Arguments {
    /// Time of each of twenty steps.
    #[arg(long, alias = "seconds", default_value = "5s", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    step: Duration,
    /// Time between two looks of the controller.
    #[arg(long, default_value = "50ms", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    tick: Duration,
    /// A folder for report.json and goodput.svg.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One step, in packets a second.
#[derive(Serialize)]
struct Step {
    offered: f64,
    goodput: f64,
}

/// What was found.
#[derive(Serialize)]
pub struct Report {
    /// What the other host is.
    host: &'static str,
    step_s: f64,
    /// Packets a second that one worker carries, and two replicas on two hosts, and of the top.
    of_one: f64,
    of_two: Option<f64>,
    top: f64,
    packets: u64,
    lost: u64,
    /// Greatest difference of a score to that of one worker; nothing where packets were lost.
    deviation: Option<f64>,
    latency_ms_max: f64,
    /// Seconds at which a second replica was in force, and one worker again; those of the paper, in steps as long as these.
    scaled_out_s: Vec<f64>,
    scaled_in_s: Vec<f64>,
    paper_out_s: f64,
    paper_in_s: f64,
    moved_slots: u64,
    losses: u64,
    /// Seconds of processor time that the other host spent, with those in which it was measured what two replicas carry.
    other_host_s: f64,
    steps: Vec<Step>,
    #[serde(skip)]
    curve: Vec<(f64, f64)>,
}

/// The host of the second replica.
struct Host {
    agent: Agent,
    _namespace: Option<Namespace>,
    certificates: Option<TempDir>,
}

impl Host {
    fn start(session: &Session) -> Result<Self, ExperimentError> {
        match Namespace::new(0) {
            Ok(namespace) => {
                let certificates = other_hosts::cluster(session, &HOSTS)?;
                let agent = Agent::within(&namespace, &certificates.path().join(HOSTS[1]))?;
                Ok(Self { agent, _namespace: Some(namespace), certificates: Some(certificates) })
            }
            Err(error) => {
                session.observer.note(&format!("the other host is a process on loopback: {error}"));
                Ok(Self { agent: Agent::on_loopback()?, _namespace: None, certificates: None })
            }
        }
    }

    fn placement(&self) -> Placement {
        let name = HOSTS[1].to_owned();
        // The extractor holds the state; bricks without state stay, since their columns would go to and fro for nothing.
        let place = Place { brick: "extractor".into(), replica: Some(1), site: Site::Host(name.clone()) };
        Placement {
            places: vec![place],
            hosts: vec![Address { name, address: self.agent.address.clone() }],
            cluster: self.certificates.as_ref().map(|folder| folder.path().join(HOSTS[0])),
            ..Placement::default()
        }
    }
}

/// The steps to a top.
fn staircase(top: f64) -> Steps {
    let rising = (1..=RATES).map(|rate| top * f64::from(rate) / f64::from(RATES));
    let rates = rising.clone().chain(rising.rev()).collect();
    Steps { rates, low: Config::default().low, by_hand: Some([OUT, IN]) }
}

/// Runs the experiment.
///
/// # Errors
/// If a score differs from that of one worker, the other host does not start, a run does not come to its end, or nothing can be
/// written.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    session.check_folder(arguments.out.as_deref())?;
    let host = Host::start(session)?;
    let inner = elasticity::Arguments {
        step: arguments.step,
        unit: None,
        top: None,
        ring: 500_000,
        hold: Some(HOLD_MS),
        latency: None,
        tick: arguments.tick,
        execution: Execution::default(),
        placement: host.placement(),
        out: None,
    };
    let top = |[one, two]: [f64; 2]| TOP * (two / one).min(1.0);
    let (found, load) = elasticity::offered(&inner, session, top, staircase)?;
    let spent = host.agent.processor_time().map_err(Error::from)?;
    let report = report(found, &load, &host, spent);
    if let Some(folder) = &arguments.out {
        let folder = Folder::create(folder)?;
        folder.report(&report)?;
        folder.plot("goodput.svg", &plot(&report, &load))?;
    }
    Ok(report)
}

fn report(found: elasticity::Report, load: &Load, host: &Host, spent: Duration) -> Report {
    let (scaled_out_s, scaled_in_s) = scalings(&found.events);
    let carried = |at| carried(&found.samples, (load.end(), found.packets - found.lost), at);
    let steps = load.rates.iter().enumerate().map(|(number, offered)| {
        let begin = number as f64 * load.seconds;
        let goodput = (carried(begin + load.seconds) - carried(begin)) / load.seconds;
        Step { offered: *offered, goodput }
    });
    Report {
        host: if host.certificates.is_some() { "a namespace, with TLS" } else { "a process, on loopback" },
        step_s: load.seconds,
        of_one: found.unit,
        of_two: found.of_two,
        top: found.top,
        packets: found.packets,
        lost: found.lost,
        deviation: found.deviation,
        latency_ms_max: found.latency_ms_max,
        paper_out_s: OUT as f64 * load.seconds,
        paper_in_s: IN as f64 * load.seconds,
        scaled_out_s,
        scaled_in_s,
        moved_slots: found.incidents.moved_slots,
        losses: found.incidents.losses,
        other_host_s: spent.as_secs_f64(),
        steps: steps.collect(),
        curve: found.samples.iter().map(|sample| (sample.at, sample.done)).collect(),
    }
}

/// Packets that came out until some time; `last` is when all had.
fn carried(samples: &[Sample], last: (f64, u64), at: f64) -> f64 {
    let (mut count, mut before) = (0.0, 0.0);
    for sample in samples {
        let span = sample.at - before;
        if at <= sample.at {
            return count + sample.done * (at - before);
        }
        (count, before) = (count + sample.done * span, sample.at);
    }
    let rest = (last.1 as f64 - count).max(0.0);
    let part = if last.0 > before { ((at - before) / (last.0 - before)).min(1.0) } else { 1.0 };
    count + rest * part
}

/// When plans with more workers than before came into force, and with fewer.
fn scalings(events: &[Event]) -> (Vec<f64>, Vec<f64>) {
    let (mut more, mut fewer, mut workers) = (Vec::new(), Vec::new(), None);
    for event in events {
        let (at, plan) = match event {
            Event::Start { at, plan, .. } | Event::Applied { at, plan, refused: None, .. } => (*at, plan),
            _ => continue,
        };
        match workers {
            Some(before) if plan.workers() > before => more.push(at),
            Some(before) if plan.workers() < before => fewer.push(at),
            _ => {}
        }
        workers = Some(plan.workers());
    }
    (more, fewer)
}

fn plot(report: &Report, load: &Load) -> SeriesPlot {
    let thousands = |points: &[(f64, f64)]| points.iter().map(|(at, rate)| (*at, rate / 1e3)).collect();
    let edges = |(number, step): (usize, &Step)| {
        let offered = step.offered;
        [number, number + 1].map(|edge| (edge as f64 * load.seconds, offered))
    };
    let offered: Vec<_> = report.steps.iter().enumerate().flat_map(edges).collect();
    let mark = |name: &str, at: f64| (name.to_owned(), vec![(at, 0.0), (at, report.top / 1e3)]);
    let events = report.scaled_out_s.first().map(|at| mark("scaled out", *at));
    let events = events.into_iter().chain(report.scaled_in_s.last().map(|at| mark("scaled in", *at)));
    let rates = [("offered", thousands(&offered)), ("goodput", thousands(&report.curve))];
    SeriesPlot {
        title: "Goodput while scaling out to another host, and in".into(),
        across: "seconds".into(),
        up: "thousand packets a second".into(),
        decades: false,
        series: rates.map(|(name, points)| (name.to_owned(), points)).into_iter().chain(events).collect(),
        bound: None,
    }
}

/// The report as lines of text.
pub fn text(report: &Report) -> String {
    let times = |times: &[f64]| match times {
        [] => "never".to_owned(),
        times => times.iter().map(|at| format!("{at:.2} s")).collect::<Vec<_>>().join(", "),
    };
    let of_two = report.of_two.unwrap_or(0.0);
    let mut text = format!(
        "other host  {}; {:.2} s of processor time\n\
         carried     {:.0} packets/s by one worker, {of_two:.0} by two replicas on two hosts\n\
         top         {:.0} packets/s, {:.0}% of what one worker carries\n\
         scaled out  {} (the paper: {:.2} s)\n\
         scaled in   {} (the paper: {:.2} s)\n\
         slots       {} moved; {} bricks lost\n\
         packets     {}, {} lost, deviation {}; {:.2} ms late at most\n",
        report.host,
        report.other_host_s,
        report.of_one,
        report.top,
        100.0 * report.top / report.of_one,
        times(&report.scaled_out_s),
        report.paper_out_s,
        times(&report.scaled_in_s),
        report.paper_in_s,
        report.moved_slots,
        report.losses,
        report.packets,
        report.lost,
        report.deviation.map_or_else(|| "unknown".to_owned(), |value| value.to_string()),
        report.latency_ms_max,
    );
    for (number, Step { offered, goodput }) in report.steps.iter().enumerate() {
        let at = number as f64 * report.step_s;
        let _ = writeln!(text, "{at:>7.2} s   {offered:>9.0} offered {goodput:>9.0} goodput packets/s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_the_same_when_a_replica_comes_and_goes() {
        let Steps { rates, by_hand, .. } = staircase(0.8);
        assert_eq!((rates.len(), rates[9], rates[10], by_hand), (20, 0.8, 0.8, Some([5, 15])));
        assert_eq!((rates[OUT - 1], rates[OUT]), (rates[IN], rates[IN - 1]));
    }
}
