//! Literal values computed with 40 digits (mpmath).

use super::*;

fn close(got: f64, expected: f64, relative: f64) {
    assert!((got - expected).abs() <= relative * expected.abs(), "{got:e} is not {expected:e}");
}

#[test]
fn normal_quantiles() {
    for (p, z) in [
        (0.5, 0.0),
        (0.9, 1.2815515655446006),
        (0.99, 2.3263478740408408),
        (0.999, 3.090232306167813),
        (0.999999, 4.753424308817087),
        (1e-12, -7.034483825301132),
        (1e-300, -37.0470962993612),
        (0.075, -1.439531470938456),
        (0.925, 1.4395314709384561),
    ] {
        close(normal_quantile(p), z, 4e-16);
    }
}

#[test]
fn binomial_tails() {
    for (k, n, p, expected) in [
        (0, 10, 0.1, 0.3486784401),
        (3, 10, 0.5, 0.171875),
        (9, 10, 0.5, 0.9990234375),
        (5, 1000, 0.01, 0.06613951160725197),
        (20, 1000, 0.01, 0.9985035184522908),
        (999, 1000, 0.99, 0.9999568287525893),
        (9_800, 10_000_000, 0.001, 0.022695426586163796),
        (50, 50_000, 0.0015, 0.0013933713187953252),
        (10_150, 10_000_000, 0.001, 0.9336659731105791),
    ] {
        close(binomial_cdf(k, n, p), expected, 1e-12);
    }
}

#[test]
fn binomial_tails_at_the_edges() {
    assert_eq!(binomial_cdf(7, 7, 0.3), 1.0);
    assert_eq!(binomial_cdf(3, 7, 0.0), 1.0);
    assert_eq!(binomial_cdf(3, 7, 1.0), 0.0);
    assert_eq!(binomial_cdf(1_000, 10_000_000, 0.5), 0.0);
}

#[test]
fn clopper_pearson_bounds() {
    for (k, n, alpha, expected) in [
        (0, 100, 0.05, 0.029513049607039935),
        (3, 1000, 0.05, 0.00773524471847946),
        (10, 100, 0.01, 0.191330285386031),
        (100, 1_000_000, 0.05, 0.0001180782053691365),
        (99, 100, 0.05, 0.9994871985837377),
    ] {
        close(binomial_upper_bound(k, n, alpha), expected, 1e-12);
    }
    assert_eq!(binomial_upper_bound(5, 5, 0.05), 1.0);
}

#[test]
fn the_largest_count_below_a_level() {
    assert_eq!(binomial_quantile_below(298, 0.01, 0.05), None);
    assert_eq!(binomial_quantile_below(299, 0.01, 0.05), Some(0));
    for (n, p) in [(1_000, 0.01), (100_000, 0.001), (50, 0.5)] {
        let k = binomial_quantile_below(n, p, 0.05).unwrap();
        assert!(binomial_cdf(k, n, p) <= 0.05 && binomial_cdf(k + 1, n, p) > 0.05);
    }
}

#[test]
fn poisson_tails() {
    for (k, mean, up_to, from) in [
        (0, 3.0, 0.049787068367863944, 1.0),
        (4, 10.0, 0.029252688076961072, 0.9896639493240743),
        (20, 10.0, 0.998411739338142, 0.0034543419758568078),
        (1, 0.001, 0.9999995003332084, 0.0009995001666250085),
        (9_500, 10_000.0, 2.3793771979994753e-7, 0.9999997743806506),
        (10_300, 10_000.0, 0.9986132822429136, 0.001432365367466765),
        (150, 100.0, 0.9999987669055809, 1.88421046603867e-6),
    ] {
        close(poisson_cdf(k, mean), up_to, 1e-12);
        close(poisson_upper_tail(k, mean), from, 1e-12);
    }
    assert_eq!((poisson_cdf(3, 0.0), poisson_cdf(3, f64::INFINITY), poisson_cdf(3, 1e300)), (1.0, 0.0, 0.0));
    assert_eq!((poisson_upper_tail(0, 0.0), poisson_upper_tail(1, 0.0)), (1.0, 0.0));
}

#[test]
fn poisson_bounds() {
    for (k, alpha, expected) in [
        (0, 0.05, 2.995732273553991),
        (4, 0.05, 9.153519026637573),
        (3, 0.1, 6.680783068255863),
        (100, 0.01, 125.83865288360526),
        (1_000_000, 0.05, 1001646.4227676168),
    ] {
        close(poisson_upper_bound(k, alpha), expected, 1e-12);
    }
    assert_eq!(poisson_quantile_below(9.16, 0.05, 100), Some(4));
    assert_eq!(poisson_quantile_below(9.15, 0.05, 100), Some(3));
    assert_eq!(
        (poisson_quantile_below(2.9, 0.05, 100), poisson_quantile_below(1e300, 0.05, 7)),
        (None, Some(6))
    );
}
