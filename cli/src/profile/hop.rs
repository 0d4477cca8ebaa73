//! What handing a batch from one worker to the next takes.

use super::{Batch, Failure, Fault, Graph, Layout, Options, Sink, Source};
use crate::clock::process_time;
use legonf_core::{Headers, Progress};
use std::sync::atomic::AtomicBool;

/// Batches of a run.
const BATCHES: u64 = 40_000;
/// Runs of each layout, of which the median counts.
const RUNS: usize = 5;

/// Batches of one packet.
struct Ticks(u64);

impl Source for Ticks {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.0 < BATCHES {
            batch.headers.push(Headers { seq: self.0, ..Headers::default() });
            self.0 += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

struct Nothing;

impl Sink for Nothing {
    fn write(&mut self, _: &Batch) -> Result<(), Fault> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Nanoseconds of processor time a batch and hop, of both sides and of waking the other: what two workers take beyond one.
pub fn nanoseconds() -> Result<f64, Failure> {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        one.push(run(&Layout::Fused)?);
        two.push(run(&Layout::Pipeline)?);
    }
    one.sort_by(f64::total_cmp);
    two.sort_by(f64::total_cmp);
    Ok((two[RUNS / 2] - one[RUNS / 2]).max(0.0))
}

/// Nanoseconds of processor time a batch from a source to a sink.
fn run(layout: &Layout) -> Result<f64, Failure> {
    let never = AtomicBool::new(false);
    let before = process_time();
    let (mut graph, options) = (Graph::pass_through("hop"), Options::new(layout, &never));
    let outcome = legonf_runtime::run(&mut graph, &mut Ticks(0), &mut Nothing, options, &mut |_, _| {});
    let spent = process_time().saturating_sub(before);
    outcome.fault.map_or(Ok(spent.as_nanos() as f64 / BATCHES as f64), |fault| Err(Failure::fault(fault)))
}
