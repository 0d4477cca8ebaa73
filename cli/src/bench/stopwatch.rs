//! Time spent in the source and in each brick.

use legonf_core::{Batch, Brick, BrickError, Descriptor, Fault, Progress, Source};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Name of the source among the stages.
pub const SOURCE: &str = "source";

/// A stage's name and its nanoseconds so far.
type Stage = (String, Arc<AtomicU64>);

/// Puts a clock around stages; one reading for each batch costs less than a nanosecond a packet.
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

    /// Nanoseconds of each stage, times `scale`.
    pub fn nanoseconds(&self, scale: f64) -> Vec<f64> {
        let scaled = |spent: &AtomicU64| spent.load(Ordering::Relaxed) as f64 * scale;
        self.with(|stages| stages.iter().map(|(_, spent)| scaled(spent)).collect())
    }

    fn stage(&self, id: &str) -> Arc<AtomicU64> {
        let spent = Arc::<AtomicU64>::default();
        self.with(|stages| stages.push((id.to_owned(), spent.clone())));
        spent
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Stage>) -> T) -> T {
        work(&mut self.stages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Watched<T> {
    inner: T,
    spent: Arc<AtomicU64>,
}

impl<T> Watched<T> {
    fn time<R>(&mut self, work: impl FnOnce(&mut T) -> R) -> R {
        let start = Instant::now();
        let result = work(&mut self.inner);
        self.spent.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }
}

impl Brick for Watched<Box<dyn Brick>> {
    fn descriptor(&self) -> Descriptor {
        self.inner.descriptor()
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.time(|brick| brick.process(batch))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.inner.counters()
    }
}

impl Source for Watched<Box<dyn Source>> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.time(|source| source.fill(batch))
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }
}
