//! Two layouts by turns: which of them carries more.

use legonf_core::Plan;

/// A challenger that carries less than this part of what the layout in force does has lost clearly, with one turn.
pub(super) const CLEAR: f64 = 0.9;
/// One that carries this part more than it must in each of two turns has won.
const SURE: f64 = 0.08;
/// After three turns the median decides, if it is so much above or below what is needed; else after more.
const NEAR: f64 = 0.03;
/// Turns at most.
const TURNS: usize = 5;

/// The middle of some values, the upper one of two; 0 where there are none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// What a layout did under pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Yield {
    /// Packets a second that it carried.
    pub rate: f64,
    /// Nanoseconds of processor time that a packet took, hops included.
    pub ns: f64,
}

impl Yield {
    /// The middle of some ticks.
    pub fn of(ticks: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> f64| median(ticks.iter().map(of).collect());
        Self { rate: middle(|tick| tick.rate), ns: middle(|tick| tick.ns) }
    }
}

/// What has come of some turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Open,
    Won,
    Lost,
}

/// A layout that is held against the one in force, turn by turn.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    pub challenger: Plan,
    /// What it must carry, over what the layout in force does, to take its place.
    pub needed: f64,
    /// What the layout in force did in its last turn.
    pub level: Yield,
    /// Whether it is the challenger's turn.
    pub is_out: bool,
    /// What the challenger carried in each turn, over what the other did in the turns before and behind it.
    pub ratios: Vec<f64>,
    /// Seconds' worth of packets that its turns have cost.
    pub lost: f64,
}

impl Challenge {
    /// A challenger that is to have its first turn, beside what the layout in force did in its last one.
    pub fn new(challenger: Plan, needed: f64, level: Yield) -> Self {
        Self { challenger, needed, level, is_out: true, ratios: Vec::new(), lost: 0.0 }
    }

    /// Sequential: what is clear ends early, and the median of the last turns decides the rest.
    pub fn outcome(&self) -> Outcome {
        let least = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.ratios.iter().copied().fold(0.0, f64::max);
        match self.ratios.len() {
            1 if most < CLEAR => Outcome::Lost,
            0 | 1 => Outcome::Open,
            2 if least >= self.needed + SURE => Outcome::Won,
            2 if most < self.needed - NEAR => Outcome::Lost,
            3 if self.ratio() >= self.needed + NEAR => Outcome::Won,
            3 if self.ratio() < self.needed - NEAR => Outcome::Lost,
            turns if turns < TURNS => Outcome::Open,
            _ if self.ratio() >= self.needed => Outcome::Won,
            _ => Outcome::Lost,
        }
    }

    /// The layout in force has had another turn: what the challenger carried between is held against the mean of both.
    pub fn back(&mut self, level: Yield) {
        if let Some(last) = self.ratios.last_mut() {
            *last *= self.level.rate / f64::midpoint(self.level.rate, level.rate).max(f64::MIN_POSITIVE);
        }
        (self.level, self.is_out) = (level, true);
    }

    /// What the challenger carries, over what the layout in force does.
    pub fn ratio(&self) -> f64 {
        median(self.ratios.clone())
    }

    /// Seconds' worth of packets that each of its turns cost.
    pub fn cost(&self) -> f64 {
        self.lost / self.ratios.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(needed: f64, ratios: &[f64]) -> Challenge {
        let level = Yield { rate: 1e6, ns: 1e3 };
        let challenger = "source a sink".parse().unwrap();
        Challenge { challenger, needed, level, is_out: true, ratios: ratios.into(), lost: 0.1 }
    }

    #[test]
    fn what_is_clear_ends_early_and_the_median_decides_the_rest() {
        let cases: [(&[f64], Outcome); 13] = [
            (&[], Outcome::Open),
            (&[0.89], Outcome::Lost),
            (&[0.91], Outcome::Open),
            (&[2.0], Outcome::Open),
            (&[0.95, 0.99], Outcome::Lost),
            (&[0.95, 1.01], Outcome::Open),
            (&[1.12, 1.2], Outcome::Won),
            (&[1.05, 1.2], Outcome::Open),
            (&[0.95, 1.2, 1.07], Outcome::Won),
            (&[0.95, 1.2, 0.99], Outcome::Lost),
            (&[0.95, 1.2, 1.04], Outcome::Open),
            (&[0.95, 1.2, 1.04, 1.05, 1.01], Outcome::Won),
            (&[0.95, 1.2, 1.02, 1.05, 1.01], Outcome::Lost),
        ];
        for (ratios, outcome) in cases {
            assert_eq!(challenge(1.03, ratios).outcome(), outcome, "{ratios:?}");
        }
        assert_eq!(challenge(1.0, &[0.95, 1.2, 1.04]).outcome(), Outcome::Won);
    }

    #[test]
    fn a_machine_that_slows_down_steadily_favours_none() {
        let mut challenge = challenge(1.0, &[0.9]);
        challenge.back(Yield { rate: 0.8e6, ns: 1e3 });
        assert!((challenge.ratios[0] - 1.0).abs() < 1e-9 && challenge.is_out);
    }
}
