//! Time spent in the source and in each brick.

use super::processor_time;
use legonf_core::{Batch, BindError, Brick, BrickError, Descriptor, Fault, Layout, Port, Progress, Source};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Name of the source among the stages.
pub const SOURCE: &str = "source";

/// A stage's nanoseconds so far, and how often it was timed.
#[derive(Default)]
struct Spent {
    nanoseconds: AtomicU64,
    times: AtomicU64,
}

/// A stage's name and what it has spent.
type Stage = (String, Arc<Spent>);

/// Puts a clock around stages: that of the thread's processor time. What its readings take is taken off.
#[derive(Default)]
pub struct Stopwatch {
    stages: Mutex<Vec<Stage>>,
}

impl Stopwatch {
    /// `brick` with a clock around it.
    pub fn watch(&self, id: &str, brick: Box<dyn Brick>) -> Box<dyn Brick> {
        Box::new(Watched { inner: brick, spent: self.stage(id) })
    }

    /// `source` with a clock around it.
    pub fn watch_source(&self, source: Box<dyn Source>) -> impl Source {
        Watched { inner: source, spent: self.stage(SOURCE) }
    }

    /// Names of the stages, in the order in which they were given.
    pub fn ids(&self) -> Vec<String> {
        self.with(|stages| stages.iter().map(|(id, _)| id.clone()).collect())
    }

    /// Nanoseconds of each stage, and of all readings of the clock.
    pub fn nanoseconds(&self) -> (Vec<f64>, f64) {
        let reading = cost_of_a_reading();
        self.with(|stages| {
            let times = |spent: &Spent| spent.times.load(Ordering::Relaxed) as f64;
            let net =
                |spent: &Spent| spent.nanoseconds.load(Ordering::Relaxed) as f64 - times(spent) * reading;
            let stages = || stages.iter().map(|(_, spent)| &**spent);
            let readings = 2.0 * reading * stages().map(times).sum::<f64>();
            (stages().map(|spent| net(spent).max(0.0)).collect(), readings)
        })
    }

    fn stage(&self, id: &str) -> Arc<Spent> {
        let spent = Arc::<Spent>::default();
        self.with(|stages| stages.push((id.to_owned(), spent.clone())));
        spent
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Stage>) -> T) -> T {
        work(&mut self.stages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Nanoseconds between two readings of the clock with nothing between them.
fn cost_of_a_reading() -> f64 {
    const READINGS: u32 = 1000;
    let start = processor_time();
    for _ in 1..READINGS {
        black_box(processor_time());
    }
    processor_time().saturating_sub(start).as_nanos() as f64 / f64::from(READINGS)
}

struct Watched<T> {
    inner: T,
    spent: Arc<Spent>,
}

impl<T> Watched<T> {
    fn time<R>(&mut self, work: impl FnOnce(&mut T) -> R) -> R {
        let start = processor_time();
        let result = work(&mut self.inner);
        let spent = processor_time().saturating_sub(start);
        self.spent.nanoseconds.fetch_add(spent.as_nanos() as u64, Ordering::Relaxed);
        self.spent.times.fetch_add(1, Ordering::Relaxed);
        result
    }
}

impl Brick for Watched<Box<dyn Brick>> {
    fn descriptor(&self) -> Descriptor {
        self.inner.descriptor()
    }

    fn ports(&self) -> Vec<Port> {
        self.inner.ports()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.time(|brick| brick.process(batch))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.inner.counters()
    }

    fn state_size(&self) -> u64 {
        self.inner.state_size()
    }
}

impl Source for Watched<Box<dyn Source>> {
    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.time(|source| source.fill(batch))
    }

    fn is_idle(&self) -> bool {
        self.inner.is_idle()
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }
}
