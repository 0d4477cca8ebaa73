//! Properties of calibration and evaluation over generated scores.

use legonf_core::{Timestamp, Verdict};
use legonf_decide::DecideError;
use legonf_decide::calibrate::{BenignScores, Calibration, Check, Method};
use legonf_decide::evaluate::{Evaluation, ScoreSummary};
use legonf_decide::{Config, SampleResultQuantization};
use proptest::prelude::*;

/// SplitMix64, as a stream of numbers between 0 and 1.
fn uniform(mut state: u64) -> impl Iterator<Item = f64> {
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// Scores of packets, one a second.
fn benign(scores: impl IntoIterator<Item = f64>) -> BenignScores {
    let mut benign = BenignScores::default();
    for (i, score) in scores.into_iter().enumerate() {
        benign.push(score, Timestamp::new(i as i64, 0)).expect("generated scores are finite");
    }
    benign
}

fn calibrate(scores: impl IntoIterator<Item = f64>, method: Method) -> Calibration {
    benign(scores).calibrate(method, Check::NONE).expect("there are scores enough")
}

/// How often, in 2,000 samples of 500 scores, the true rate of false positives exceeds the bound.
fn share_of_broken_bounds(method: Method) -> f64 {
    let broken = (0..2_000).filter(|trial| {
        let found = calibrate(uniform(trial * 7_919 + 1).take(500), method);
        // Of uniform scores exactly this part lies above the threshold.
        1.0 - found.threshold > found.false_positive_bound
    });
    broken.count() as f64 / 2_000.0
}

#[test]
fn the_quantile_bound_holds_as_often_as_it_says() {
    let share = share_of_broken_bounds(Method::Quantile { false_positive_rate: 0.02, confidence: 0.95 });
    // Five percent, and three standard deviations of 2,000 trials.
    assert!(share <= 0.065, "{share}");
    assert!(share >= 0.035, "the bound is drawn too wide: {share}");
}

#[test]
fn the_alarm_budget_bound_holds_as_often_as_it_says() {
    // 500 packets, one a second: up to 6.68 alarms in their time are not contradicted by 3 at 90%, and 7.99 not by 4.
    let method = Method::AlarmBudget { alarms_per_day: 7.5 * 86_400.0 / 499.0, confidence: 0.9 };
    let share = share_of_broken_bounds(method);
    assert!((0.08..=0.12).contains(&share), "{share}");
}

/// How often, in 2,000 samples of 4,000 scores, a threshold is refused by what is held out.
fn share_of_refusals(method: Method, score: fn(f64) -> f64) -> f64 {
    let refused = (0..2_000).filter(|trial| {
        let scores = benign(uniform(trial * 7_919 + 1).take(4_000).map(score));
        match scores.calibrate(method, Check::default()) {
            Ok(_) => false,
            Err(DecideError::Contradicted { .. } | DecideError::TooManyAlarms { .. }) => true,
            Err(other) => panic!("{other}"),
        }
    });
    refused.count() as f64 / 2_000.0
}

#[test]
fn a_bound_that_holds_is_seldom_refused() {
    for method in [
        Method::Quantile { false_positive_rate: 0.01, confidence: 0.95 },
        Method::AlarmBudget { alarms_per_day: 800.0, confidence: 0.95 },
    ] {
        let share = share_of_refusals(method, |uniform| uniform);
        assert!(share <= 0.05, "{method:?}: {share}");
    }
}

#[test]
fn a_bound_that_does_not_hold_is_refused() {
    // Log-normal but for one packet in fifty, which scores a thousand times as high.
    let heavy = |uniform: f64| (3.0 * uniform + if uniform > 0.98 { 7.0 } else { 0.0 }).exp();
    let share = share_of_refusals(Method::LogNormal { false_positive_rate: 0.001 }, heavy);
    assert!(share > 0.99, "{share}");
}

/// Pairs of a malicious and a benign packet that the scores order rightly, equal ones counting half.
fn brute_force_auc(packets: &[(f64, bool)]) -> Option<f64> {
    let of = |truth| packets.iter().filter(move |(_, m)| *m == truth).map(|(s, _)| *s);
    let halves = |m: f64| of(false).map(move |b| if m > b { 2 } else { u64::from(m == b) }).sum::<u64>();
    let pairs = of(true).count() * of(false).count();
    (pairs > 0).then(|| of(true).map(halves).sum::<u64>() as f64 / (2 * pairs) as f64)
}

fn packets() -> impl Strategy<Value = Vec<(f64, bool)>> {
    // Few distinct values, so that ties are common.
    prop::collection::vec(((-20_i8..20).prop_map(|s| f64::from(s) / 4.0), any::<bool>()), 0..120)
}

proptest! {
    #[test]
    fn auc_is_the_share_of_pairs_in_order(packets in packets()) {
        let brick = SampleResultQuantization::new(Config::of(0.5)).expect("finite");
        let mut evaluation = Evaluation::default();
        packets.iter().for_each(|(s, m)| evaluation.push(*s, brick.decide(*s), *m));
        let report = evaluation.finish();
        prop_assert_eq!(report.auc, brute_force_auc(&packets));
        let alarms = packets.iter().filter(|(s, m)| *s > 0.5 && *m).count() as u64;
        prop_assert_eq!(report.confusion.true_positives, alarms);
        if let Some(eer) = report.eer {
            prop_assert!((0.0..=1.0).contains(&eer));
        }
    }

    #[test]
    fn the_order_of_packets_does_not_matter(packets in packets(), seed in any::<u64>()) {
        let report = |packets: &[(f64, bool)]| {
            let mut evaluation = Evaluation::default();
            packets.iter().for_each(|(s, m)| evaluation.push(*s, Verdict::BENIGN, *m));
            evaluation.finish()
        };
        let mut shuffled: Vec<_> = packets.iter().copied().zip(uniform(seed)).collect();
        shuffled.sort_by(|a, b| a.1.total_cmp(&b.1));
        let shuffled: Vec<_> = shuffled.into_iter().map(|(packet, _)| packet).collect();
        prop_assert_eq!(report(&packets), report(&shuffled));
    }

    #[test]
    fn a_quantile_keeps_its_rate_on_its_own_sample(
        scores in prop::collection::vec(-1e6..1e6_f64, 60..400),
        rate in 0.05..0.9_f64,
    ) {
        let found = calibrate(scores.clone(), Method::Quantile { false_positive_rate: rate, confidence: 0.95 });
        let above = scores.iter().filter(|s| **s > found.threshold).count();
        prop_assert_eq!(above, found.samples_above);
        prop_assert!(above as f64 <= rate * scores.len() as f64);
        prop_assert!(found.false_positive_bound <= rate * (1.0 + 1e-9));
        prop_assert!(found.false_positive_bound >= above as f64 / scores.len() as f64);
    }

    #[test]
    fn a_budget_is_kept_whatever_the_scores(
        scores in prop::collection::vec(prop_oneof![Just(1.0), 0.0..2.0_f64], 2..400),
        alarms in 3.0..20.0_f64,
    ) {
        let seconds = (scores.len() - 1) as f64;
        let method = Method::AlarmBudget { alarms_per_day: alarms / seconds * 86_400.0, confidence: 0.95 };
        let found = calibrate(scores.clone(), method);
        let above = scores.iter().filter(|s| **s > found.threshold).count();
        prop_assert!(above as f64 <= alarms, "{} above for {}", above, alarms);
    }

    #[test]
    fn percentiles_are_near_the_exact_ones(scores in prop::collection::vec(1e-9..1e9_f64, 1..500)) {
        let mut accumulator = ScoreSummary::default();
        scores.iter().for_each(|s| accumulator.push(*s));
        let got = accumulator.summary();
        let mut sorted = scores;
        sorted.sort_unstable_by(f64::total_cmp);
        for (percentile, part) in [(got.p50, 0.5), (got.p90, 0.9), (got.p99, 0.99), (got.p999, 0.999)] {
            let rank = ((sorted.len() as f64 * part).ceil() as usize).max(1);
            prop_assert!((percentile / sorted[rank - 1] - 1.0).abs() <= 1.0 / 4096.0);
        }
        prop_assert_eq!((got.min, got.max), (sorted[0], sorted[sorted.len() - 1]));
    }
}
