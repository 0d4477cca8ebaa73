//! Layouts in turns: ratios turn by turn, so that a moment in which the machine is slower counts for all of them.

use super::{MONOLITH, Once};
use legonf_core::Plan;
use legonf_engine::measure::median;
use serde::Serialize;

/// Throughput of a layout, in packets a second: medians.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    pub plan: String,
    pub pps: f64,
    /// Over that of the monolith, turn by turn.
    pub speedup: f64,
}

/// Packets a second of one turn.
pub struct Turn {
    /// Of the fixed layouts.
    pub fixed: Vec<f64>,
    /// Of the controller's.
    pub after: f64,
    /// Of independent monoliths together.
    pub independent: f64,
}

/// A run under the controller, the layout that it came to, and the turns behind it.
pub struct Round {
    pub controlled: Once,
    pub plan: Plan,
    pub turns: Vec<Turn>,
}

/// Medians over the turns of some rounds.
pub struct Medians<'a>(pub &'a [Round]);

impl Medians<'_> {
    pub fn of(&self, pick: impl Fn(&Round, &Turn) -> f64) -> f64 {
        let turns = self.0.iter().flat_map(|round| round.turns.iter().map(move |turn| (round, turn)));
        median(turns.map(|(round, turn)| pick(round, turn)))
    }

    /// Something of each turn over the monolith of that turn.
    pub fn over_monolith(&self, pick: impl Fn(&Turn) -> f64) -> f64 {
        self.of(|_, turn| pick(turn) / turn.fixed[MONOLITH])
    }

    /// Part by which the controller's layout is behind the fixed one that it is most behind of. It is not behind its own.
    pub fn behind(&self, plans: &[Plan]) -> f64 {
        let behind = |(index, plan): (usize, &Plan)| {
            let ratio = |round: &Round, turn: &Turn| {
                if round.plan == *plan { 1.0 } else { turn.after / turn.fixed[index] }
            };
            1.0 - self.of(ratio)
        };
        plans.iter().enumerate().map(behind).fold(f64::NEG_INFINITY, f64::max)
    }

    pub fn rate(&self, plan: impl ToString, pick: impl Fn(&Turn) -> f64) -> Rate {
        let (pps, speedup) = (self.of(|_, turn| pick(turn)), self.over_monolith(&pick));
        Rate { plan: plan.to_string(), pps, speedup }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_controller::Costs;

    fn round(plan: &str, turns: &[[f64; 4]]) -> Round {
        let controlled = Once {
            packets: 0,
            seconds: 1.0,
            digests: Vec::new(),
            events: Vec::new(),
            lost: 0,
            checksum: 0,
            costs: Costs::default(),
            undecided: false,
        };
        let turn = |[monolith, best, after, independent]: &[f64; 4]| Turn {
            fixed: vec![*monolith, *best],
            after: *after,
            independent: *independent,
        };
        Round { controlled, plan: plan.parse().unwrap(), turns: turns.iter().map(turn).collect() }
    }

    #[test]
    fn a_slow_moment_counts_for_all_layouts() {
        // The machine is half as fast in the second turn, and another third in the last.
        let turns = [[100.0, 190.0, 180.0, 195.0], [50.0, 95.0, 90.0, 97.0], [33.0, 62.0, 60.0, 66.0]];
        let rounds = [round("source | a | sink", &turns)];
        let medians = Medians(&rounds);
        assert!((medians.over_monolith(|turn| turn.after) - 1.8).abs() < 1e-9);
        let plans = ["source a sink", "source a | sink"].map(|plan| plan.parse().unwrap());
        let behind = medians.behind(&plans);
        assert!((behind - (1.0 - 90.0 / 95.0)).abs() < 1e-9, "{behind}");
        let best = medians.rate("best", |turn| turn.fixed[1]);
        assert_eq!((best.plan.as_str(), best.pps, best.speedup), ("best", 95.0, 1.9));
        // What the controller came to is not behind itself, whatever two measurements of it say.
        assert!(Medians(&[round("source a | sink", &turns)]).behind(&plans).abs() < 1e-9);
    }
}
