//! What Figure 4's runs came to, in words and as a picture.

use super::turns::Rate;
use crate::bars::{Group, svg};
use serde::Serialize;

/// What came of an engine's runs.
#[derive(Serialize)]
pub(super) struct Run {
    /// The engine.
    pub(super) engine: &'static str,
    /// The bottleneck that the controller found first.
    pub(super) bottleneck: Vec<String>,
    /// One monolithic instance, in one worker.
    pub(super) original: Rate,
    /// The monolith's parts in a worker each: all cores that its bottleneck lets it use.
    pub(super) original_all_cores: Rate,
    /// Packets a second under the controller, before its first action and after its last.
    pub(super) before_pps: f64,
    pub(super) under_control_pps: f64,
    /// The layouts that it came to, round by round, in turns with the others; and rounds in which it was still comparing some.
    pub(super) after: Rate,
    pub(super) plans: Vec<String>,
    pub(super) undecided: usize,
    /// As many monoliths as there are cores, side by side.
    pub(super) independent: Rate,
    /// Fixed layouts that were looked at.
    pub(super) layouts: usize,
    /// The best of them, the monolith and the bricks in a worker each, the best first.
    pub(super) fixed: Vec<Rate>,
    /// `after` over `original`, turn by turn, in all and in the round where it was least; and over the bricks in a worker each,
    /// from which the controller starts.
    pub(super) speedup: f64,
    pub(super) least_speedup: f64,
    pub(super) gain: f64,
    /// Part of what independent monoliths carry.
    pub(super) of_independent: f64,
    /// Part by which `after` is behind the best fixed layout, turn by turn, in all and in the round where it was most.
    pub(super) behind_best: f64,
    pub(super) most_behind_best: f64,
    /// Milliseconds from the first overloaded tick to a replica that has traffic.
    pub(super) reaction_ms: f64,
    pub(super) actions: usize,
    pub(super) lost: u64,
    /// Whether every score has the same bits in every run.
    pub(super) identical: bool,
}

/// What came of all runs.
#[derive(Serialize)]
pub struct Report {
    pub(super) paper: &'static str,
    pub(super) cores: usize,
    pub(super) packets: u64,
    pub(super) rounds: u32,
    pub(super) turns: u32,
    pub(super) runs: Vec<Run>,
}

/// A line for each layout, and what came of it.
pub fn text(report: &Report) -> String {
    let mut out = format!("{:<9} {:<44} {:>12} {:>9}\n", "engine", "layout", "packets/s", "speedup");
    for run in &report.runs {
        let mut line = |what: &str, rate: &Rate| {
            out += &format!("{:<9} {what:<44} {:>12.0} {:>9.2}\n", run.engine, rate.pps, rate.speedup);
        };
        line("original, one worker", &run.original);
        line("original, all cores that it can use", &run.original_all_cores);
        line("bricks, after the controller has acted", &run.after);
        if let Some(best) = run.fixed.first() {
            line(&format!("best of {} fixed layouts", run.layouts), best);
        }
        line(&format!("{} monoliths that share nothing", report.cores), &run.independent);
        out += &format!(
            "{:<9} bottleneck {} found and answered in {:.0} ms; then {}{}\n{:<9} speedup {:.2} ({:.2} in the least round; paper: {}), {:.0}% of {} monoliths; {:.1}% behind the best fixed layout ({:.1}% in \
             the worst round); under the controller {:.0} packets/s, and {:.0} before it acted; {} lost, scores {}\n",
            run.engine,
            run.bottleneck.join(" "),
            run.reaction_ms,
            run.after.plan,
            if run.undecided > 0 {
                " (layouts were still being compared: give it more --round-time)"
            } else {
                ""
            },
            run.engine,
            run.speedup,
            run.least_speedup,
            report.paper,
            run.of_independent * 100.0,
            report.cores,
            run.behind_best * 100.0,
            run.most_behind_best * 100.0,
            run.under_control_pps,
            run.before_pps,
            run.lost,
            if run.identical { "identical" } else { "DIFFER" }
        );
    }
    out
}

/// Bars, in multiples of the monolith.
pub(super) fn picture(report: &Report) -> String {
    let series = [
        "one worker",
        "its parts in a worker each",
        "under the controller",
        "best fixed layout",
        "a monolith a core",
    ];
    let group = |run: &Run| {
        let best = run.fixed.first().map_or(0.0, |rate| rate.speedup);
        let rates = [&run.original, &run.original_all_cores, &run.after].map(|rate| rate.speedup);
        let values = rates.into_iter().chain([best, run.independent.speedup]).collect();
        Group { name: format!("{} engine", run.engine), values }
    };
    let groups: Vec<_> = report.runs.iter().map(group).collect();
    let title = format!("LEGO's Figure 4 on {} cores (paper: {})", report.cores, report.paper);
    svg(&title, "packets a second, as a multiple of one worker", &series, &groups)
}
