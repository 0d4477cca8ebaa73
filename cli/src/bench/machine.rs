//! What one core of this machine can do: multiply-adds and divisions from registers, and bytes read from memory.

use legonf_models::kitnet::Precision;
use multiversion::multiversion;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// Rates of one core.
#[derive(Serialize)]
pub struct Machine {
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

/// Independent chains of multiply-adds, enough to hide the latency of two units.
const CHAINS: usize = 12;
/// Multiply-adds of each chain in a run.
const STEPS: usize = 1 << 18;
/// Divisions or roots of each chain in a run.
const SLOW_STEPS: usize = 1 << 15;
/// Numbers in the array that is read: 256 MiB.
const WORDS: usize = 1 << 25;
/// Numbers in the array that is read from the caches: 256 KiB, about a column of features of a batch; and how often.
const CACHED: usize = 1 << 15;
const PASSES: usize = 64;
/// Runs of each measurement, of which the fastest counts.
const RUNS: usize = 9;

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

    /// Measures for about half a second.
    pub fn measure() -> Self {
        let double = fastest(|| black_box(chains_f64(black_box(0.999_999))));
        let single = fastest(|| black_box(chains_f32(black_box(0.999))));
        let divisions = fastest(|| black_box(divisions_f64(black_box(1.000_001))));
        let single_divisions = fastest(|| black_box(divisions_f32(black_box(1.001))));
        let roots = fastest(|| black_box(roots_f64(black_box(1.5))));
        let words = vec![1_u64; WORDS];
        let read = fastest(|| black_box(sum(black_box(&words))));
        let cached = fastest(|| {
            (0..PASSES).for_each(|_| {
                black_box(sum(black_box(&words[..CACHED])));
            });
        });
        let operations = |lanes: usize| (2 * CHAINS * lanes * STEPS) as f64;
        let slow = |lanes: usize| (CHAINS * lanes * SLOW_STEPS) as f64;
        Self {
            peak_f64_gflops: operations(F64_LANES) / double,
            peak_f32_gflops: operations(F32_LANES) / single,
            division_f64_ns: divisions / slow(F64_LANES),
            division_f32_ns: single_divisions / slow(F32_LANES),
            root_f64_ns: roots / slow(F64_LANES),
            memory_gb_per_s: (WORDS * size_of::<u64>()) as f64 / read,
            cache_gb_per_s: (PASSES * CACHED * size_of::<u64>()) as f64 / cached,
        }
    }
}

/// Nanoseconds of the fastest of [`RUNS`].
fn fastest<T>(mut work: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64
    };
    (0..RUNS).map(once).fold(f64::INFINITY, f64::min)
}

const F64_LANES: usize = 4;
const F32_LANES: usize = 8;

/// Defines a function that runs [`CHAINS`] chains of an operation over `$lanes` numbers each.
macro_rules! chains {
    ($name:ident, $float:ty, $lanes:expr, $steps:expr, |$x:ident, $y:ident| $operation:expr) => {
        #[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
        fn $name(factor: $float) -> [[$float; $lanes]; CHAINS] {
            let mut numbers: [[$float; $lanes]; CHAINS] = [[factor; $lanes]; CHAINS];
            for _ in 0..$steps {
                for number in &mut numbers {
                    for lane in number {
                        let ($x, $y) = (*lane, factor);
                        *lane = $operation;
                    }
                }
            }
            numbers
        }
    };
}

chains!(chains_f64, f64, F64_LANES, STEPS, |x, factor| x.mul_add(factor, 1e-6));
chains!(chains_f32, f32, F32_LANES, STEPS, |x, factor| x.mul_add(factor, 1e-6));
chains!(divisions_f64, f64, F64_LANES, SLOW_STEPS, |x, divisor| x / divisor);
chains!(divisions_f32, f32, F32_LANES, SLOW_STEPS, |x, divisor| x / divisor);
chains!(roots_f64, f64, F64_LANES, SLOW_STEPS, |x, _factor| x.sqrt());

#[multiversion(targets("x86_64+avx512f+avx512vl+avx2", "x86_64+avx2"))]
fn sum(words: &[u64]) -> u64 {
    let mut sums = [0_u64; 32];
    for chunk in words.as_chunks::<32>().0 {
        for (sum, word) in sums.iter_mut().zip(chunk) {
            *sum = sum.wrapping_add(*word);
        }
    }
    sums.iter().fold(0, |a, b| a.wrapping_add(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_positive_numbers() {
        let machine = Machine::measure();
        let rates = [
            machine.peak_f64_gflops,
            machine.peak_f32_gflops,
            machine.division_f64_ns,
            machine.division_f32_ns,
            machine.root_f64_ns,
            machine.memory_gb_per_s,
            machine.cache_gb_per_s,
        ];
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 0.0), "{rates:?}");
    }
}
