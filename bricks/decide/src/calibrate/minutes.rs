//! Scores minute by minute.

use super::BenignScores;
use legonf_core::Clock;

const MINUTE: u64 = 60_000_000_000;
/// Part of a bound on the false-positive rate that the threshold leaves in each minute.
const PART: f64 = 0.25;
/// How many times the bound the share of a minute above the threshold may be.
pub const MOST: f64 = 2.0;

/// The scores of some benign traffic, divided by time.
pub(super) struct Minutes<'a>(Vec<&'a [f64]>);

impl<'a> Minutes<'a> {
    /// Divides scores into minutes of stream time. A part lasts a minute at least, and longer where that has fewer than
    /// `least` scores; what is left at the end is a part if it lasts half as long and has as many. Scores without times
    /// are one part.
    pub(super) fn of(benign: &'a BenignScores, least: usize) -> Self {
        let (mut clock, mut starts, mut begin) = (Clock::default(), vec![0], 0);
        let mut first = 0;
        for (at, time) in benign.times.iter().enumerate() {
            clock.shift(at as u64, *time);
            if clock.elapsed() - begin >= MINUTE && at - first >= least {
                starts.push(at);
                (first, begin) = (at, clock.elapsed());
            }
        }
        let is_short = clock.elapsed() - begin < MINUTE / 2 || benign.len() - first < least;
        if starts.len() > 1 && is_short {
            starts.pop();
        }
        let ends = starts.iter().skip(1).copied().chain([benign.len()]);
        Self(starts.iter().zip(ends).map(|(from, to)| &benign.scores[*from..to]).collect())
    }

    /// The fewest scores of a part of which a quarter of `rate` is one score.
    pub(super) fn least(rate: f64) -> usize {
        (1.0 / (rate * PART)).ceil() as usize
    }

    /// Number of parts.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The highest of the parts' quantiles, each of which has a quarter of `rate` above it.
    pub(super) fn highest_quantile(&self, rate: f64) -> f64 {
        let quantiles = self.0.iter().map(|scores| quantile(scores, rate * PART));
        quantiles.fold(f64::NEG_INFINITY, f64::max)
    }

    /// The largest share of a part that is above a threshold.
    pub(super) fn worst(&self, threshold: f64) -> f64 {
        let share = |scores: &&[f64]| {
            let above = scores.iter().filter(|score| **score > threshold).count();
            above as f64 / scores.len().max(1) as f64
        };
        self.0.iter().map(share).fold(0.0, f64::max)
    }
}

/// The lowest of some scores above which no more than this part of them lies.
fn quantile(scores: &[f64], part: f64) -> f64 {
    let above = ((scores.len() as f64 * part) as usize).min(scores.len().saturating_sub(1));
    let mut scores = scores.to_vec();
    let Some(at) = scores.len().checked_sub(above + 1) else { return f64::NEG_INFINITY };
    *scores.select_nth_unstable_by(at, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Timestamp;

    /// So many scores in each second, of the minutes' levels.
    fn benign(levels: &[f64], a_second: u32) -> BenignScores {
        let mut benign = BenignScores::default();
        for second in 0..60 * levels.len() as i64 {
            for at in 0..a_second {
                let level = levels[second as usize / 60];
                let time = Timestamp::new(1_700_000_000 + second, at * 1_000_000);
                benign.push(level + f64::from(at) * 1e-6, time).unwrap();
            }
        }
        benign
    }

    #[test]
    fn parts_are_minutes_or_longer() {
        let scores = benign(&[1.0, 2.0, 3.0], 10);
        assert_eq!(Minutes::of(&scores, 100).0.iter().map(|part| part.len()).collect::<Vec<_>>(), [600; 3]);
        // 900 scores take a minute and a half; the rest is a part of its own.
        assert_eq!(Minutes::of(&scores, 900).0.iter().map(|part| part.len()).collect::<Vec<_>>(), [900; 2]);
        assert_eq!(Minutes::of(&scores, 1_000).0.iter().map(|part| part.len()).collect::<Vec<_>>(), [1_800]);
        let mut timeless = BenignScores::default();
        (0..50).for_each(|at| timeless.push(f64::from(at), Timestamp::default()).unwrap());
        assert_eq!(
            (Minutes::of(&timeless, 10).len(), Minutes::of(&BenignScores::default(), 10).len()),
            (1, 1)
        );
    }

    #[test]
    fn the_highest_minute_decides() {
        let scores = benign(&[1.0, 5.0, 2.0], 100);
        let minutes = Minutes::of(&scores, Minutes::least(0.04));
        // Of 6,000 scores with 100 different values a hundredth, 60, is above the highest but one.
        assert_eq!((minutes.len(), minutes.highest_quantile(0.04)), (3, 5.0 + 98.0 * 1e-6));
        assert_eq!(minutes.worst(5.0 + 98.0 * 1e-6), 0.01);
        assert_eq!(minutes.worst(4.0), 1.0);
    }
}
