//! The special functions that calibration needs: the normal quantile, and the tails of the binomial and Poisson distributions.
//!
//! The tails are not those of `statrs`, which lose half of their digits where there are millions of trials.

use statrs::distribution::{ContinuousCDF, Normal};
use std::f64::consts::PI;

/// The quantile of the standard normal distribution: the `z` with `P(Z <= z) = p`, for `0 < p < 1`.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// `P(X <= k)` for `X` binomial with `n` trials of probability `p`.
///
/// The terms are summed from `k` away from the mean, where they fall faster than geometrically; their number
/// grows with the square root of `n`.
pub(crate) fn binomial_cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        1.0
    } else if p >= 1.0 {
        0.0
    } else if k as f64 > n as f64 * p {
        1.0 - lower_tail(n - k - 1, n, 1.0 - p)
    } else {
        lower_tail(k, n, p)
    }
}

/// The largest probability that `k` or fewer of `n` do not contradict at level `alpha`: the one-sided
/// Clopper-Pearson bound, with confidence `1 - alpha`.
pub(crate) fn binomial_upper_bound(k: u64, n: u64, alpha: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while high - low > f64::EPSILON * high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        let beyond = binomial_cdf(k, n, middle) <= alpha;
        (low, high) = if beyond { (low, middle) } else { (middle, high) };
    }
    high
}

/// The largest `k` with `P(X <= k) <= alpha`, if even `k = 0` is not too many.
pub(crate) fn binomial_quantile_below(n: u64, p: f64, alpha: f64) -> Option<u64> {
    largest_below(n, |k| binomial_cdf(k, n, p) <= alpha)
}

/// `P(X >= k)` for `X` binomial with `n` trials of probability `p`; accurate where it is small, too.
pub(crate) fn binomial_upper_tail(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        1.0
    } else if k > n {
        0.0
    } else {
        binomial_cdf(n - k, n, 1.0 - p)
    }
}

/// `P(X <= k)` for `X` of a Poisson distribution with this mean, 0 or more.
pub(crate) fn poisson_cdf(k: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    if !mean.is_finite() {
        return 0.0;
    }
    if k as f64 > mean {
        return 1.0 - poisson_terms(k + 1, mean, |at| Some((mean / (at + 1) as f64, at + 1)));
    }
    poisson_terms(k, mean, |at| Some((at as f64 / mean, at.checked_sub(1)?)))
}

/// `P(X >= k)` for `X` of a Poisson distribution with this mean; accurate where it is small, too.
pub(crate) fn poisson_upper_tail(k: u64, mean: f64) -> f64 {
    match k.checked_sub(1) {
        None => 1.0,
        Some(_) if mean <= 0.0 => 0.0,
        Some(_) if k as f64 > mean && mean.is_finite() => {
            poisson_terms(k, mean, |at| Some((mean / (at + 1) as f64, at + 1)))
        }
        Some(below) => 1.0 - poisson_cdf(below, mean),
    }
}

/// The largest mean that `k` or fewer do not contradict at level `alpha`: for 0 it is about 3 at 95% (the rule of three).
pub(crate) fn poisson_upper_bound(k: u64, alpha: f64) -> f64 {
    let (mut low, mut high) = (k as f64, 2.0 * (k as f64 - alpha.ln() + 1.0));
    while poisson_cdf(k, high) > alpha {
        high *= 2.0;
    }
    while high - low > f64::EPSILON * high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        let beyond = poisson_cdf(k, middle) <= alpha;
        (low, high) = if beyond { (low, middle) } else { (middle, high) };
    }
    high
}

/// The largest `k` below `end` with `P(X <= k) <= alpha` for a Poisson distribution, if even `k = 0` is not too many.
pub(crate) fn poisson_quantile_below(mean: f64, alpha: f64, end: u64) -> Option<u64> {
    largest_below(end, |k| poisson_cdf(k, mean) <= alpha)
}

/// The largest number below `end` that fits, if 0 does; all below it do, too.
fn largest_below(end: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if !fits(0) {
        return None;
    }
    let (mut low, mut high) = (0, end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        (low, high) = if fits(middle) { (middle, high) } else { (low, middle) };
    }
    Some(low)
}

/// The sum of the probabilities of a Poisson distribution from `k` on in the direction of `next`, which gives the ratio of a
/// neighbour's probability and the neighbour; away from the mean, where they fall.
fn poisson_terms(k: u64, mean: f64, next: impl Fn(u64) -> Option<(f64, u64)>) -> f64 {
    let (mut at, mut term, mut sum) = (k, poisson_pmf(k, mean), 0.0);
    loop {
        sum += term;
        let Some((ratio, neighbour)) = next(at) else { break };
        (at, term) = (neighbour, term * ratio);
        if term <= sum * f64::EPSILON / 16.0 {
            break;
        }
    }
    sum.min(1.0)
}

/// `P(X = k)` by Loader's saddle-point expansion.
fn poisson_pmf(k: u64, mean: f64) -> f64 {
    let x = k as f64;
    if k == 0 {
        (-mean).exp()
    } else {
        (-stirling_error(x) - deviance(x, mean)).exp() / (2.0 * PI * x).sqrt()
    }
}

/// The sum of the probabilities of `k`, `k - 1`, …, for `k` at or below the mean.
fn lower_tail(k: u64, n: u64, p: f64) -> f64 {
    let odds = (1.0 - p) / p;
    let (mut term, mut sum) = (binomial_pmf(k, n, p), 0.0);
    for i in (0..=k).rev() {
        sum += term;
        term *= i as f64 / (n - i + 1) as f64 * odds;
        if term <= sum * f64::EPSILON / 16.0 {
            break;
        }
    }
    sum.min(1.0)
}

/// `P(X = k)`, by Loader's saddle-point expansion, which keeps its accuracy for large `n`.
fn binomial_pmf(k: u64, n: u64, p: f64) -> f64 {
    let (x, all, rest) = (k as f64, n as f64, (n - k) as f64);
    if k == 0 {
        return (all * (-p).ln_1p()).exp();
    }
    if k == n {
        return p.powf(all);
    }
    let exponent = stirling_error(all)
        - stirling_error(x)
        - stirling_error(rest)
        - deviance(x, all * p)
        - deviance(rest, all * (1.0 - p));
    exponent.exp() * (all / (2.0 * PI * x * rest)).sqrt()
}

/// `ln n!` less Stirling's formula, for a whole `n` from 1.
fn stirling_error(n: f64) -> f64 {
    if n <= 15.0 {
        let factorial: f64 = (1..=n as u32).map(f64::from).product();
        return factorial.ln() - (n + 0.5) * n.ln() + n - 0.5 * (2.0 * PI).ln();
    }
    let s = 1.0 / (n * n);
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - s / 1188.0) * s) * s) * s) / n
}

/// `x ln(x / m) + m - x` without cancellation near `x = m`.
fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    if difference.abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() - difference;
    }
    let v = difference / (x + m);
    let (mut sum, mut term) = (difference * v, 2.0 * x * v);
    for odd in (3..).step_by(2) {
        term *= v * v;
        let next = sum + term / f64::from(odd);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

#[cfg(test)]
mod tests;
