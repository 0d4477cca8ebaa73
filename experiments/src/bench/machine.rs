//! What one core of this machine can do: multiply-adds and divisions from registers, and bytes read from memory.

use super::work::Work;
use legonf_engine::measure::{median, processor_time};
use legonf_models::kitnet::Precision;
use multiversion::multiversion;
use multiversion::target::match_target;
use serde::Serialize;
use std::hint::black_box;

/// Rates of one core.
#[derive(Clone, Serialize)]
pub struct Machine {
    /// Instruction set that these were measured with.
    pub instruction_set: &'static str,
    /// Peak rate in f64, 10⁹ operations a second; a fused multiply-add is two.
    pub peak_f64_gflops: f64,
    /// The same in f32.
    pub peak_f32_gflops: f64,
    /// Nanoseconds that a division in f64 takes, in full vectors.
    pub division_f64_ns: f64,
    /// The same in f32.
    pub division_f32_ns: f64,
    /// Nanoseconds that a square root in f64 takes, in full vectors.
    pub root_f64_ns: f64,
    /// Sequential reading of an array larger than the caches, 10⁹ bytes a second.
    pub memory_gb_per_s: f64,
    /// The same of an array that fits the caches next to the core.
    pub cache_gb_per_s: f64,
}

/// A stage that was measured.
#[derive(Clone, Copy)]
pub struct Done {
    /// Its work for a packet, in this precision.
    pub work: Work,
    pub precision: Precision,
    /// Nanoseconds that a packet took.
    pub ns: f64,
}

/// A stage that was faster than a rate of the core lets it be.
struct Excess {
    /// The bound's name.
    by: &'static str,
    precision: Precision,
    /// How many times as fast it was.
    times: f64,
}

/// Multiply-adds of each number in a sample.
const STEPS: usize = 1 << 15;
/// Divisions or roots of each number in a sample.
const SLOW_STEPS: usize = 1 << 12;
/// Numbers in the array that is read (256 MiB), and how many of them a sample reads.
const WORDS: usize = 1 << 25;
const PIECE: usize = 1 << 20;
/// Numbers in the array that is read from the caches: 256 KiB, about a column of features of a batch; and how often.
const CACHED: usize = 1 << 15;
const PASSES: usize = 8;
/// Samples that are taken one after the other.
const ROUND: usize = 12;
/// How often samples are taken anew where a stage was faster than they are.
const AGAIN: usize = 8;

impl Machine {
    /// Peak rate in this precision.
    pub fn peak_gflops(&self, precision: Precision) -> f64 {
        match precision {
            Precision::F64 => self.peak_f64_gflops,
            Precision::F32 => self.peak_f32_gflops,
        }
    }

    /// Nanoseconds of a division in this precision.
    pub fn division_ns(&self, precision: Precision) -> f64 {
        match precision {
            Precision::F64 => self.division_f64_ns,
            Precision::F32 => self.division_f32_ns,
        }
    }

    /// The stage that was fastest beyond its bound.
    fn exceeded(&self, done: &[Done]) -> Option<Excess> {
        let beyond = done.iter().map(|Done { work, precision, ns }| {
            let bound = work.bound(self, *precision);
            let times = bound.bound_ns / ns.max(f64::MIN_POSITIVE);
            Excess { by: bound.bound_by, precision: *precision, times }
        });
        beyond.filter(|excess| excess.times > 1.0).max_by(|a, b| a.times.total_cmp(&b.times))
    }

    /// Raises the rates that stages were faster than to what these show; names them.
    fn raise(&mut self, done: &[Done]) -> Vec<&'static str> {
        let mut raised = Vec::new();
        while let Some(Excess { by, precision, times }) = self.exceeded(done) {
            self.speed_up(by, precision, times * (1.0 + f64::EPSILON));
            if !raised.contains(&by) {
                raised.push(by);
            }
        }
        raised
    }

    fn speed_up(&mut self, by: &str, precision: Precision, times: f64) {
        match (by, precision) {
            ("arithmetic", Precision::F64) => self.peak_f64_gflops *= times,
            ("arithmetic", Precision::F32) => self.peak_f32_gflops *= times,
            ("memory", _) => self.memory_gb_per_s *= times,
            ("cache", _) => self.cache_gb_per_s *= times,
            _ => {
                self.division_f64_ns /= times;
                self.division_f32_ns /= times;
                self.root_f64_ns /= times;
            }
        }
    }
}

/// Takes short samples of a core's rates: the fastest of each counts, since other work only slows.
pub struct Probe {
    words: Vec<u64>,
    /// Where the next piece of the large array begins.
    at: usize,
    /// Nanoseconds of an operation or a byte, of each rate.
    samples: [Vec<f64>; 7],
}

impl Probe {
    /// A probe that has taken its first samples.
    pub fn new() -> Self {
        let mut probe = Self { words: vec![1; WORDS], at: 0, samples: Default::default() };
        probe.sample();
        probe
    }

    /// Takes some samples of each rate, in some hundredths of a second.
    pub fn sample(&mut self) {
        (0..ROUND).for_each(|_| self.sample_once());
    }

    fn sample_once(&mut self) {
        let piece = &self.words[self.at..self.at + PIECE];
        let cached = &self.words[..CACHED];
        let passes = || (0..PASSES).map(|_| sum(black_box(cached))).fold(0, |a, b| a ^ b);
        // Once before, so that the caches hold it.
        black_box(sum(black_box(cached)));
        let of_cache = nanoseconds(passes) / (PASSES * size_of_val(cached)) as f64;
        let taken = [
            nanoseconds(|| fused_f64(black_box(0.999_999))) / (2 * STEPS * numbers_f64()) as f64,
            nanoseconds(|| fused_f32(black_box(0.999))) / (2 * STEPS * 2 * numbers_f64()) as f64,
            nanoseconds(|| divisions_f64(black_box(1.000_001))) / (SLOW_STEPS * numbers_f64()) as f64,
            nanoseconds(|| divisions_f32(black_box(1.001))) / (SLOW_STEPS * 2 * numbers_f64()) as f64,
            nanoseconds(|| roots_f64(black_box(1.5))) / (SLOW_STEPS * numbers_f64()) as f64,
            nanoseconds(|| sum(black_box(piece))) / size_of_val(piece) as f64,
            of_cache,
        ];
        self.samples.iter_mut().zip(taken).for_each(|(samples, taken)| samples.push(taken));
        self.at = (self.at + PIECE) % WORDS;
    }

    /// The rates of the fastest samples.
    fn machine(&self) -> Machine {
        let [double, single, division, single_division, root, memory, cache] =
            self.samples.each_ref().map(|samples| samples.iter().copied().fold(f64::INFINITY, f64::min));
        Machine {
            instruction_set: legonf_models::kitnet::instruction_set(),
            peak_f64_gflops: 1.0 / double,
            peak_f32_gflops: 1.0 / single,
            division_f64_ns: division,
            division_f32_ns: single_division,
            root_f64_ns: root,
            memory_gb_per_s: 1.0 / memory,
            cache_gb_per_s: 1.0 / cache,
        }
    }

    /// How many times as long as the fastest sample of arithmetic the median one takes.
    pub fn spread(&self) -> f64 {
        let [double, ..] = &self.samples;
        median(double.iter().copied()) / double.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The core's rates, none of them slower than what stages did, and which had to be raised to that.
    ///
    /// A stage can be faster than the samples where the machine was busy whenever they were taken: so they are taken anew first.
    pub fn settle(&mut self, done: &[Done]) -> (Machine, Vec<&'static str>) {
        for _ in 0..AGAIN {
            if self.machine().exceeded(done).is_none() {
                break;
            }
            self.sample();
        }
        let mut machine = self.machine();
        let raised = machine.raise(done);
        (machine, raised)
    }
}

/// Nanoseconds of processor time of some work.
fn nanoseconds<T>(work: impl FnOnce() -> T) -> f64 {
    let start = processor_time();
    black_box(work());
    processor_time().saturating_sub(start).as_nanos().max(1) as f64
}

/// Numbers in f64 that [`fused_f64`] and its like work on: twelve full vectors, enough to hide the latency of two units and no more
/// than there are registers.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn numbers_f64() -> usize {
    match_target! {
        "x86_64+avx512f" => 96,
        "x86_64+avx2+fma" => 48,
        _ => 24,
    }
}

/// Defines a function that does an operation so many times on each of [`numbers_f64`] numbers, or twice as many; and one that does it
/// on a given number of them.
///
/// The numbers are in one array: of arrays in an array compilers make vectors across, which they gather and scatter.
macro_rules! chains {
    ($name:ident, $of:ident, $float:ty, $times:expr, $steps:expr, |$x:ident, $y:ident| $operation:expr) => {
        #[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
        fn $name(y: $float) -> $float {
            match_target! {
                "x86_64+avx512f" => $of::<{ 96 * $times }>(y),
                "x86_64+avx2+fma" => $of::<{ 48 * $times }>(y),
                _ => $of::<{ 24 * $times }>(y),
            }
        }

        #[inline(always)]
        fn $of<const NUMBERS: usize>($y: $float) -> $float {
            let mut numbers = [$y; NUMBERS];
            for _ in 0..$steps {
                for number in &mut numbers {
                    let $x = *number;
                    *number = $operation;
                }
            }
            black_box(numbers)[0]
        }
    };
}

chains!(fused_f64, fused_f64_of, f64, 1, STEPS, |x, factor| x.mul_add(factor, 1e-6));
chains!(fused_f32, fused_f32_of, f32, 2, STEPS, |x, factor| x.mul_add(factor, 1e-6));
chains!(divisions_f64, divisions_f64_of, f64, 1, SLOW_STEPS, |x, divisor| x / divisor);
chains!(divisions_f32, divisions_f32_of, f32, 2, SLOW_STEPS, |x, divisor| x / divisor);
chains!(roots_f64, roots_f64_of, f64, 1, SLOW_STEPS, |x, _y| x.sqrt());

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum ^ word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_a_core() {
        let machine = Probe::new().machine();
        let rates = [machine.division_f64_ns, machine.division_f32_ns, machine.root_f64_ns];
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 0.0), "{rates:?}");
        // In full vectors of fused multiply-adds f32 is no slower than f64, and a cache than memory.
        assert!(
            machine.peak_f64_gflops > 0.0 && machine.peak_f32_gflops > 0.0 && machine.memory_gb_per_s > 0.0
        );
        assert!(machine.cache_gb_per_s > 0.0);
    }

    #[test]
    fn no_stage_is_faster_than_the_core() {
        let fast = |memory, cache, flops| Work {
            memory_bytes_per_packet: memory,
            cache_bytes_per_packet: cache,
            flops_per_packet: Some(flops),
            ..Work::default()
        };
        let done = |work, precision, ns| Done { work, precision, ns };
        // A millionth of a nanosecond is faster than any core.
        let all = [
            done(fast(100.0, 0.0, 0.0), Precision::F64, 1e-6),
            done(fast(0.0, 50.0, 0.0), Precision::F64, 1e-6),
            done(fast(0.0, 0.0, 1e3), Precision::F32, 1e-6),
            done(Work { divisions_per_packet: 3.0, ..Work::default() }, Precision::F64, 1e-6),
        ];
        let (machine, mut raised) = Probe::new().settle(&all);
        raised.sort_unstable();
        assert_eq!(raised, ["arithmetic", "cache", "divider", "memory"]);
        for Done { work, precision, ns } in all {
            assert!(work.bound(&machine, precision).bound_ns <= ns);
        }
        // A second is slower than any: nothing is raised.
        let slow = [done(fast(100.0, 50.0, 1e3), Precision::F64, 1e9)];
        assert_eq!(Probe::new().settle(&slow).1, [""; 0]);
    }
}
