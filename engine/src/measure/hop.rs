//! What handing a batch from one worker to the next takes.

use super::{median, process_time};
use crate::Error;
use legonf_core::{Batch, ColumnSpec, Fault, Headers, Progress, Sink, Source};
use legonf_runtime::{Graph, Layout, Options};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;

/// Runs of each layout.
const RUNS: usize = 5;

/// How much both sides of a hop have to do besides.
#[derive(Clone, Copy)]
pub struct Work {
    /// Batches of a run.
    batches: u64,
    /// Steps of some arithmetic for a batch, of the source and of the sink.
    steps: [u32; 2],
}

impl Work {
    /// Nothing: each side waits for the other most of the time.
    pub const NONE: Self = Self { batches: 40_000, steps: [0; 2] };
    /// The sink takes three times as long as the source, some microseconds: batches wait for it, as they do before the bottleneck
    /// of a loaded graph.
    pub const LOADED: Self = Self { batches: 20_000, steps: [1000, 3000] };
}

fn step(steps: u32) {
    let mix =
        |sum: u64, step| black_box(sum.rotate_left(5) ^ u64::from(step)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    black_box((0..steps).fold(1, mix));
}

/// Batches of some packets.
struct Ticks {
    batches: u64,
    packets: usize,
    steps: u32,
    next: u64,
}

impl Source for Ticks {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.batches == 0 {
            return Ok(());
        }
        self.batches -= 1;
        step(self.steps);
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
struct Look {
    sum: u64,
    steps: u32,
}

impl Sink for Look {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        step(self.steps);
        self.sum = batch.headers.iter().fold(self.sum, |sum, headers| sum.wrapping_add(headers.seq));
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(Vec::new())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Nanoseconds of processor time a hop of a batch of so many packets, of both sides and of waking the other: what two workers
/// take beyond one.
///
/// # Errors
/// If a run fails.
pub fn nanoseconds(packets: usize, work: Work) -> Result<f64, Error> {
    let mut more = Vec::new();
    for _ in 0..RUNS {
        // Pair by pair: what else the machine does changes slowly.
        let one = run(&Layout::Fused, packets, work)?;
        more.push(run(&Layout::Pipeline, packets, work)? - one);
    }
    Ok(median(more).max(0.0))
}

/// Nanoseconds of processor time a batch from a source to a sink.
fn run(layout: &Layout, packets: usize, work: Work) -> Result<f64, Error> {
    let never = AtomicBool::new(false);
    let before = process_time();
    let (mut graph, options) = (Graph::pass_through("hop", &[])?, Options::new(layout, &never));
    let Work { batches, steps: [first, last] } = work;
    let mut source = Ticks { batches, packets, steps: first, next: 0 };
    let mut sink = Look { sum: 0, steps: last };
    let outcome = legonf_runtime::run(&mut graph, &mut source, &mut sink, options, &mut |_, _| {});
    let spent = process_time().saturating_sub(before);
    outcome.fault.map_or(Ok(spent.as_nanos() as f64 / batches as f64), |fault| Err(Error::Fault(fault)))
}
