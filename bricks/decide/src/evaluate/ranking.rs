//! Exact ranking measures: AUC and equal error rate.

/// Scores by truth.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    benign: Vec<f64>,
    malicious: Vec<f64>,
}

impl Ranking {
    /// Adds a finite score.
    pub(super) fn push(&mut self, score: f64, malicious: bool) {
        if malicious { self.malicious.push(score) } else { self.benign.push(score) }
    }

    /// AUC and equal error rate; `None` where one of the kinds is missing.
    pub(super) fn finish(mut self) -> (Option<f64>, Option<f64>) {
        if self.benign.is_empty() || self.malicious.is_empty() {
            return (None, None);
        }
        self.benign.sort_unstable_by(f64::total_cmp);
        self.malicious.sort_unstable_by(f64::total_cmp);
        (Some(self.auc()), Some(self.equal_error_rate()))
    }

    /// The groups of equal scores in rising order.
    fn groups(&self) -> Groups<'_> {
        Groups { benign: &self.benign, malicious: &self.malicious }
    }

    /// Counts pairs in whole halves, so that nothing is rounded before the one division.
    fn auc(&self) -> f64 {
        let (mut below, mut halves) = (0_u128, 0_u128);
        for (benign, malicious) in self.groups() {
            halves += malicious as u128 * (2 * below + benign as u128);
            below += benign as u128;
        }
        let pairs = 2 * self.benign.len() as u128 * self.malicious.len() as u128;
        halves as f64 / pairs as f64
    }

    /// Raises the threshold from below all scores until misses are no longer rarer than false alarms.
    fn equal_error_rate(&self) -> f64 {
        let (all_benign, all_malicious) = (self.benign.len() as f64, self.malicious.len() as f64);
        let (mut false_alarms, mut misses) = (1.0, 0.0);
        let (mut benign_below, mut malicious_below) = (0, 0);
        for (benign, malicious) in self.groups() {
            benign_below += benign;
            malicious_below += malicious;
            let next_false_alarms = (self.benign.len() - benign_below) as f64 / all_benign;
            let next_misses = malicious_below as f64 / all_malicious;
            if next_misses >= next_false_alarms {
                let (before, after) = (false_alarms - misses, next_misses - next_false_alarms);
                return false_alarms + (next_false_alarms - false_alarms) * (before / (before + after));
            }
            (false_alarms, misses) = (next_false_alarms, next_misses);
        }
        misses
    }
}

/// Numbers of benign and malicious packets of each distinct score, in rising order.
struct Groups<'a> {
    benign: &'a [f64],
    malicious: &'a [f64],
}

impl Iterator for Groups<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let score = match (self.benign.first(), self.malicious.first()) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => return None,
        };
        Some((take(&mut self.benign, score), take(&mut self.malicious, score)))
    }
}

/// Removes the scores that are at most `score` from the front and counts them.
fn take(sorted: &mut &[f64], score: f64) -> usize {
    let count = sorted.iter().take_while(|s| **s <= score).count();
    *sorted = &sorted[count..];
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(benign: &[f64], malicious: &[f64]) -> (f64, f64) {
        let ranking = Ranking { benign: benign.to_vec(), malicious: malicious.to_vec() };
        let (auc, eer) = ranking.finish();
        (auc.unwrap(), eer.unwrap())
    }

    #[test]
    fn separation_and_its_opposite() {
        assert_eq!(measures(&[1.0, 2.0], &[3.0, 4.0, 5.0]), (1.0, 0.0));
        assert_eq!(measures(&[3.0, 4.0], &[1.0, 2.0]), (0.0, 1.0));
    }

    #[test]
    fn equal_scores_count_half() {
        assert_eq!(measures(&[1.0; 7], &[1.0; 3]), (0.5, 0.5));
        assert_eq!(measures(&[0.0], &[-0.0]), (0.5, 0.5));
    }

    #[test]
    fn the_equal_error_rate_is_interpolated() {
        // False alarms fall 1, 1/2, 0 while misses rise 0, 0, 1 with the tie in one step.
        let (auc, eer) = measures(&[1.0, 2.0], &[2.0]);
        assert_eq!(auc, 0.75);
        assert!((eer - 1.0 / 3.0).abs() < 1e-15, "{eer}");
    }
}
