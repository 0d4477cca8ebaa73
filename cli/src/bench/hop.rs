//! What handing a batch from one worker to the next takes.

use crate::clock::process_time;
use crate::failure::Failure;
use crate::trial::median;
use legonf_core::{Batch, Columns, Fault, Headers, Progress, Sink, Source};
use legonf_runtime::{Graph, Layout, Options};
use std::sync::atomic::AtomicBool;

/// Batches of a run.
const BATCHES: u64 = 40_000;
/// Runs of each layout, of which the median counts.
const RUNS: usize = 5;

/// Batches of some packets.
struct Ticks {
    batches: u64,
    packets: usize,
    next: u64,
}

impl Source for Ticks {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.batches == 0 {
            return Ok(());
        }
        self.batches -= 1;
        for _ in 0..self.packets {
            batch.headers.push(Headers { seq: self.next, ..Headers::default() });
            self.next += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// A sink that looks at every packet, so that its headers come to it.
#[derive(Default)]
struct Look(u64);

impl Sink for Look {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.0 = batch.headers.iter().fold(self.0, |sum, headers| sum.wrapping_add(headers.seq));
        Ok(())
    }

    fn reads(&self) -> Columns {
        Columns::NONE
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Nanoseconds of processor time a hop of a batch of so many packets, of both sides and of waking the other: what two workers
/// take beyond one.
pub fn nanoseconds(packets: usize) -> Result<f64, Failure> {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        one.push(run(&Layout::Fused, packets)?);
        two.push(run(&Layout::Pipeline, packets)?);
    }
    Ok((median(two) - median(one)).max(0.0))
}

/// Nanoseconds of processor time a batch from a source to a sink.
fn run(layout: &Layout, packets: usize) -> Result<f64, Failure> {
    let never = AtomicBool::new(false);
    let before = process_time();
    let (mut graph, options) = (Graph::pass_through("hop"), Options::new(layout, &never));
    let (mut source, mut sink) = (Ticks { batches: BATCHES, packets, next: 0 }, Look::default());
    let outcome = legonf_runtime::run(&mut graph, &mut source, &mut sink, options, &mut |_, _| {});
    let spent = process_time().saturating_sub(before);
    outcome.fault.map_or(Ok(spent.as_nanos() as f64 / BATCHES as f64), |fault| Err(Failure::fault(fault)))
}
