use super::*;
use crate::numeric::normal_quantile;

/// `scores`, one packet each `seconds`.
fn benign(scores: impl IntoIterator<Item = f64>, seconds: i64) -> BenignScores {
    let mut benign = BenignScores::default();
    for (i, score) in scores.into_iter().enumerate() {
        benign.push(score, Timestamp::new(1_700_000_000 + i as i64 * seconds, 0)).unwrap();
    }
    benign
}

fn whole_numbers(count: u32) -> impl Iterator<Item = f64> {
    (1..=count).rev().map(f64::from)
}

#[test]
fn the_quantile_leaves_what_the_bound_allows() {
    let method = Method::Quantile { false_positive_rate: 0.01, confidence: 0.95 };
    let found = benign(whole_numbers(1_000), 1).calibrate(method, Check::NONE).unwrap();
    // P(X <= 4) = 0.0287 and P(X <= 5) = 0.0661 for X binomial with n = 1000, p = 0.01.
    assert_eq!((found.threshold, found.samples, found.samples_above), (996.0, 1_000, 4));
    assert!(found.false_positive_bound > 0.009 && found.false_positive_bound <= 0.01);
    assert_eq!((found.log_mean, found.log_sd), (None, None));
}

/// A hundred scores a second, of minutes with these levels, which rise by one in each.
fn minutes(levels: impl IntoIterator<Item = f64>) -> BenignScores {
    let mut benign = BenignScores::default();
    for (minute, level) in levels.into_iter().enumerate() {
        for at in 0..6_000_i64 {
            let time =
                Timestamp::new(1_700_000_000 + minute as i64 * 60 + at / 100, (at % 100) as u32 * 10_000_000);
            benign.push(level + at as f64 / 6_000.0, time).unwrap();
        }
    }
    benign
}

#[test]
fn the_worst_minute_sets_the_threshold_at_a_quarter_of_the_bound() {
    let method = Method::MinuteQuantile { false_positive_rate: 0.01, confidence: 0.95 };
    let levels = (0..12).map(|minute| if minute == 4 { 1.5 } else { 1.0 });
    let found = minutes(levels).calibrate(method, Check::NONE).unwrap();
    // Fifteen of 6,000 are a quarter of a hundredth.
    assert_eq!(
        (found.threshold, found.samples_above, found.minutes),
        (1.5 + 5_984.0 / 6_000.0, 15, Some(12))
    );
    assert_eq!((found.false_positive_bound, found.method.label()), (0.01, "minute-quantile"));
    // Never below the quantile of all, which needs room for its confidence.
    let few = benign(whole_numbers(1_000), 1);
    let plain = Method::Quantile { false_positive_rate: 0.01, confidence: 0.95 };
    let [of_minutes, of_all] =
        [method, plain].map(|method| few.calibrate(method, Check::NONE).unwrap().threshold);
    assert!(of_minutes >= of_all, "{of_minutes} {of_all}");
    assert!(benign(whole_numbers(298), 1).calibrate(method, Check::NONE).is_err());
}

#[test]
fn a_held_out_minute_above_twice_the_bound_is_refused() {
    let method = Method::MinuteQuantile { false_positive_rate: 0.01, confidence: 0.95 };
    let calm = minutes([1.0; 20]).calibrate(method, Check::default()).unwrap();
    assert_eq!((calm.held_out.unwrap().above, calm.seen), (75, false));
    // Of the five minutes held out one has 136 of 6,000 above the threshold, and all together 0.65%.
    let restless = || minutes((0..20).map(|minute| if minute == 17 { 1.02 } else { 1.0 }));
    let error = restless().calibrate(method, Check::default()).unwrap_err();
    assert!(
        matches!(error, DecideError::Restless { claimed: 0.02, .. }) && error.yields_to_force(),
        "{error}"
    );
    assert!(error.to_string().starts_with("the quantile does not hold in every minute: 2.27%"), "{error}");
    let forced = restless().calibrate(method, Check { force: true, ..Check::default() }).unwrap();
    assert!(forced.seen && forced.false_positive_bound > 0.01);
}

#[test]
fn too_few_scores_say_how_many_are_needed() {
    let method = Method::Quantile { false_positive_rate: 0.01, confidence: 0.95 };
    let error = benign(whole_numbers(298), 1).calibrate(method, Check::NONE).unwrap_err();
    assert_eq!(error, DecideError::TooFewSamples { have: 298, need: 299 });
    let found = benign(whole_numbers(299), 1).calibrate(method, Check::NONE).unwrap();
    assert_eq!((found.threshold, found.samples_above), (299.0, 0));
}

#[test]
fn equal_scores_lie_on_one_side() {
    let method = Method::Quantile { false_positive_rate: 0.5, confidence: 0.95 };
    let found = benign([2.0; 100], 1).calibrate(method, Check::NONE).unwrap();
    assert_eq!((found.threshold, found.samples_above), (2.0, 0));
}

#[test]
fn the_budget_counts_what_the_trace_can_show() {
    // Two days allow ten alarms, of which five or more may be seen with a probability of 97%.
    let method = Method::AlarmBudget { alarms_per_day: 5.0, confidence: 0.95 };
    let found = benign((0..=1_000).map(f64::from), 173).calibrate(method, Check::NONE).unwrap();
    assert_eq!((found.samples_above, found.threshold), (4, 996.0));
    // Nine alarms or so may be behind four that were seen: 9.15 in 173,000 s.
    let a_day = found.alarms_per_day.unwrap();
    assert!((a_day - 9.153_519 / (173_000.0 / 86_400.0)).abs() < 1e-5 && a_day <= 5.0, "{a_day}");
}

#[test]
fn a_budget_that_the_trace_is_too_short_for_says_how_long_it_must_be() {
    let method = Method::AlarmBudget { alarms_per_day: 10.0, confidence: 0.95 };
    let short = benign(whole_numbers(66), 1);
    let error = short.calibrate(method, Check::default()).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "10 alerts a day need at least 7 h 12 min of benign traffic without an alarm, 9 h 36 min with"
        ),
        "{error}"
    );
    assert!(error.contains("there are 65 s: give more, or allow 5310 alerts a day"), "{error}");
    // One second more than the rule of three asks for, and one less.
    let seconds = (-(0.05_f64.ln()) / 10.0 * 86_400.0) as u32;
    let found = benign(whole_numbers(seconds + 2), 1).calibrate(method, Check::NONE).unwrap();
    assert_eq!((found.threshold, found.samples_above), (f64::from(seconds + 2), 0));
    let a_day = found.alarms_per_day.unwrap();
    assert!(a_day <= 10.0 && a_day > 9.99, "{a_day}");
    assert!(benign(whole_numbers(seconds), 1).calibrate(method, Check::NONE).is_err());
}

#[test]
fn no_fit_promises_fewer_alarms_than_the_trace_can_show() {
    let scores = (0..1_000).map(|i| normal_quantile((f64::from(i) + 0.5) / 1_000.0).exp());
    let method = Method::LogNormal { false_positive_rate: 1e-9 };
    let found = benign(scores, 1).calibrate(method, Check::NONE).unwrap();
    // Three in 999 seconds without an alarm.
    assert_eq!(found.samples_above, 0);
    assert!((found.alarms_per_day.unwrap() - 2.995_732 / (999.0 / 86_400.0)).abs() < 1e-3);
}

/// Scores of which the first 75 of 100 are whole numbers, and the rest twice as high.
fn changed() -> BenignScores {
    let scores =
        (0..4_000).map(|i| if i < 3_000 { f64::from(i % 1_000) } else { f64::from(i % 1_000) * 2.0 });
    benign(scores, 1)
}

#[test]
fn what_held_out_scores_contradict_is_refused_and_stored_as_seen_only_by_force() {
    let method = Method::Quantile { false_positive_rate: 0.01, confidence: 0.95 };
    let error = changed().calibrate(method, Check::default()).unwrap_err();
    let DecideError::Contradicted { above, samples: 1_000, .. } = error else { panic!("{error}") };
    assert!(error.to_string().starts_with("the quantile does not hold: 50."), "{error}");
    let forced = changed().calibrate(method, Check { force: true, ..Check::default() }).unwrap();
    let held_out = forced.held_out.unwrap();
    assert_eq!((held_out.above, held_out.samples, forced.seen), (above, 1_000, true));
    assert_eq!(forced.false_positive_bound, held_out.false_positive_bound);
    assert!(forced.false_positive_bound > 0.5 && forced.alarms_per_day == held_out.alarms_per_day);
    let budget = Method::AlarmBudget { alarms_per_day: 1_000.0, confidence: 0.95 };
    let error = changed().calibrate(budget, Check::default()).unwrap_err();
    assert!(matches!(error, DecideError::TooManyAlarms { claimed: 1_000.0, .. }), "{error}");
}

#[test]
fn what_held_out_scores_do_not_contradict_keeps_its_bound_and_says_what_was_seen() {
    let method = Method::Quantile { false_positive_rate: 0.01, confidence: 0.95 };
    let scores = benign((0..4_000).map(|i| f64::from(i % 1_000)), 1);
    let found = scores.calibrate(method, Check::default()).unwrap();
    let held_out = found.held_out.unwrap();
    assert_eq!((found.samples, held_out.samples, found.seen), (3_000, 1_000, false));
    assert!(found.false_positive_bound <= 0.01 && held_out.rate() <= 0.01);
    let too_few =
        scores.calibrate(Method::Quantile { false_positive_rate: 1e-4, confidence: 0.95 }, Check::default());
    assert_eq!(too_few.unwrap_err(), DecideError::TooFewSamples { have: 4_000, need: 39_942 });
}

#[test]
fn force_takes_what_is_seen_where_a_bound_cannot_be_shown() {
    let check = Check { force: true, ..Check::default() };
    let budget = Method::AlarmBudget { alarms_per_day: 10.0, confidence: 0.95 };
    let found = benign(whole_numbers(400), 1).calibrate(budget, check).unwrap();
    assert_eq!((found.threshold, found.samples_above, found.seen), (400.0, 0, true));
    let seen = found.held_out.unwrap();
    assert_eq!((seen.above, seen.samples), (0, 100));
    // Three alarms at most in 99 seconds, not ten a day.
    assert!((found.alarms_per_day.unwrap() - 2.995_732 / (99.0 / 86_400.0)).abs() < 1e-2);
}

#[test]
fn a_few_packets_that_decide_the_threshold_are_named() {
    let scores = |high: &[usize]| {
        (0..4_000).map(|i| if high.contains(&i) { 1e6 } else { 1.0 + (i % 7) as f64 }).collect::<Vec<_>>()
    };
    let method = Method::AlarmBudget { alarms_per_day: 150.0, confidence: 0.95 };
    let found = benign(scores(&[17, 1_900]), 1).calibrate(method, Check::default()).unwrap();
    let named: Vec<_> = found.decided_by.iter().map(|extreme| (extreme.index, extreme.score)).collect();
    assert_eq!((named, found.threshold), (vec![(17, 1e6), (1_900, 1e6)], 1e6));
    assert_eq!(found.decided_by[0].timestamp, Timestamp::new(1_700_000_017, 0));
    // Where others decide, or many do, or only what is held out is high, there are none to name.
    let many: Vec<_> = (0..6).map(|i| i * 100).collect();
    for high in [&many[..], &[], &[3_500]] {
        let found = benign(scores(high), 1).calibrate(method, Check::default()).unwrap();
        assert_eq!(found.decided_by, [], "{high:?}");
    }
}

#[test]
fn a_budget_larger_than_the_trace_is_no_fault() {
    let method = Method::AlarmBudget { alarms_per_day: f64::MAX, confidence: 0.95 };
    let found = benign(whole_numbers(10), 1).calibrate(method, Check::NONE).unwrap();
    assert_eq!((found.threshold, found.samples_above), (1.0, 9));
}

#[test]
fn the_fit_recovers_a_log_normal() {
    // The quantiles of a log-normal with mean 2 and deviation 0.5 of the logarithms.
    let n = 10_000;
    let scores = (0..n).map(|i| (2.0 + 0.5 * normal_quantile((f64::from(i) + 0.5) / f64::from(n))).exp());
    let method = Method::LogNormal { false_positive_rate: 0.001 };
    let found = benign(scores, 1).calibrate(method, Check::NONE).unwrap();
    let (mean, sd) = (found.log_mean.unwrap(), found.log_sd.unwrap());
    assert!((mean - 2.0).abs() < 1e-12 && (sd - 0.5).abs() < 1e-3, "{mean} {sd}");
    assert!((found.threshold / (2.0 + 0.5 * 3.090232306167813_f64).exp() - 1.0).abs() < 2e-3);
    assert_eq!((found.false_positive_bound, found.samples_above), (0.001, 10));
}

#[test]
fn scores_that_cannot_be_fitted_say_why() {
    let fit = |scores: BenignScores| {
        scores.calibrate(Method::LogNormal { false_positive_rate: 0.01 }, Check::NONE).unwrap_err()
    };
    assert_eq!(fit(benign([3.0; 40], 1)), DecideError::ZeroVariance { samples: 40 });
    assert_eq!(fit(benign((0..40).map(f64::from), 1)), DecideError::NonPositive { count: 1 });
    assert_eq!(fit(benign([1.0, 2.0], 1)), DecideError::TooFewToFit { have: 2, need: MIN_FIT_SAMPLES });
    let wild = (0..40).map(|i| if i % 2 == 0 { 1e-300 } else { 1e300 });
    assert!(matches!(fit(benign(wild, 1)), DecideError::Overflow { .. }));
}

#[test]
fn what_is_no_sample_is_refused() {
    let method = Method::Quantile { false_positive_rate: 0.5, confidence: 0.5 };
    assert_eq!(BenignScores::default().calibrate(method, Check::NONE).unwrap_err(), DecideError::NoScores);
    let mut scores = benign([1.0], 1);
    let error = scores.push(f64::NAN, Timestamp::default()).unwrap_err();
    assert!(matches!(error, DecideError::NonFinite { index: 1, .. }));
    let budget = Method::AlarmBudget { alarms_per_day: 1.0, confidence: 0.95 };
    assert_eq!(benign([1.0; 5], 0).calibrate(budget, Check::NONE).unwrap_err(), DecideError::NoDuration);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(Method::LogNormal { false_positive_rate: rate }.validate().is_err());
        assert!(Method::Quantile { false_positive_rate: rate, confidence: 0.9 }.validate().is_err());
        assert!(Method::Quantile { false_positive_rate: 0.1, confidence: rate }.validate().is_err());
    }
    for alarms_per_day in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Method::AlarmBudget { alarms_per_day, confidence: 0.95 }.validate().is_err());
    }
    for share in [-0.1, 1.0, f64::NAN] {
        assert_eq!(Check { share, ..Check::default() }.validate().unwrap_err().label(), "bad-holdout");
    }
}

#[test]
fn a_span_of_time_is_the_sum_of_plausible_gaps() {
    let days = |times: [i64; 5]| {
        let mut scores = BenignScores::default();
        times.iter().for_each(|seconds| scores.push(1.0, Timestamp::new(*seconds, 0)).unwrap());
        (scores.days() * 86_400.0).round()
    };
    assert_eq!(days([0, 300, 600, 900, 1_200]), 1_200.0);
    // One packet of the year 2106; a clock that goes a year ahead, or back; ten days between the halves.
    assert_eq!(days([0, 300, 4_294_967_295, 900, 1_200]), 1_200.0);
    assert_eq!(days([0, 300, 600, 31_536_900, 31_537_200]), 900.0);
    assert_eq!(days([31_536_000, 31_536_300, 31_536_600, 900, 1_200]), 900.0);
    assert_eq!(days([0, 300, 864_300, 864_600, 864_900]), 900.0);
}

#[test]
fn a_clock_that_was_set_changes_no_alarm_budget() {
    let scores = || (0..=1_000).map(|at| f64::from(at * 7 % 1_001));
    let budget = |by: i64, from: i64| {
        let mut benign = BenignScores::default();
        for (score, at) in scores().zip(0..) {
            let seconds = at * 173 + if at < from { 0 } else { by };
            benign.push(score, Timestamp::new(1_700_000_000 + seconds, 0)).unwrap();
        }
        benign
            .calibrate(Method::AlarmBudget { alarms_per_day: 5.0, confidence: 0.95 }, Check::NONE)
            .unwrap()
            .threshold
    };
    for by in [31_536_000, -31_536_000, 864_000] {
        assert_eq!(budget(by, 500), budget(0, 0), "{by}");
    }
}

#[test]
fn a_calibration_survives_its_file() {
    let method = Method::AlarmBudget { alarms_per_day: 3.5, confidence: 0.99 };
    let found = benign(whole_numbers(150), 900).calibrate(method, Check::NONE).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), found);
    let method = r#"{"name": "quantile", "false_positive_rate": 0.001}"#;
    let expected = Method::Quantile { false_positive_rate: 0.001, confidence: DEFAULT_CONFIDENCE };
    assert_eq!(serde_json::from_str::<Method>(method).unwrap(), expected);
    assert!(serde_json::from_str::<Method>(r#"{"name": "quantile", "rate": 0.001}"#).is_err());
}
