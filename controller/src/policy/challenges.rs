//! The layout that is held: which others are to have turns beside it and when, and what these may cost.

use super::challenge::{CLEAR, Challenge, Yield};
use legonf_core::Plan;

/// Turns whose whole cost may be saved up.
const SAVED: f64 = 4.0;
/// The layout in force carries so much more or less than it did: things have changed.
const CHANGED: f64 = 0.1;
/// Part of a tick in what the layout in force is taken to carry.
const LEARNT: f64 = 0.01;
/// Layouts that are remembered.
const REMEMBERED: usize = 32;

/// Whether two plans are one layout: slots on the move make no other of it.
pub(super) fn same(a: &Plan, b: &Plan) -> bool {
    a.stages == b.stages
}

/// What is known of a layout beside the one in force.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub plan: Plan,
    /// What it carried over what the one in force does; none before its first turn.
    pub ratio: Option<f64>,
    /// Seconds' worth of packets that a turn of it cost.
    pub cost: f64,
    /// Whether that was since things have changed.
    is_fresh: bool,
    /// Challenges in a row that it has lost clearly.
    losses: u32,
    /// When it may come again, in seconds since the run began.
    next: f64,
}

impl Candidate {
    /// The layout in force carries less by this factor, and this one may come again. What hops cost has changed, most likely: one
    /// thread is taken to carry what it did, and others to have changed as that in force.
    fn forget(&mut self, factor: f64, turn: f64, at: f64) {
        let factor = if self.plan.workers() == 1 { factor } else { 1.0 };
        self.ratio = self.ratio.map(|ratio| ratio * factor);
        self.cost = self.ratio.map_or(0.0, |ratio| (1.0 - ratio).max(0.0) * turn);
        (self.is_fresh, self.losses, self.next) = (false, 0, at);
    }
}

/// Seconds' worth of packets that turns of challengers may cost: some part of the time, and what was saved of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    saved: f64,
    most: f64,
    part: f64,
    turn: f64,
}

impl Budget {
    /// A budget that gets `part` of the time and is full with the cost of some turns.
    pub fn new(part: f64, turn: f64) -> Self {
        Self { saved: SAVED * turn, most: SAVED * turn, part, turn }
    }

    /// Takes in `span` seconds, of which this part of the packets was lost.
    pub fn pass(&mut self, span: f64, lost: f64) {
        self.saved = (self.saved + span * (self.part - lost)).min(self.most);
    }

    pub fn affords(&self, cost: f64) -> bool {
        self.saved >= cost
    }
}

/// Times between challenges, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    /// Between two challenges, and before a layout that has lost comes again; doubled with each clear loss.
    pub least: f64,
    /// Before a layout comes again, at most.
    pub most: f64,
}

/// The layout that is held, and those that are held against it.
#[derive(Clone, Debug)]
pub(super) struct Challenges {
    pub incumbent: Option<Plan>,
    pub current: Option<Challenge>,
    pub budget: Budget,
    /// What the layout in force did in the last ticks under pressure.
    pub yields: Vec<Yield>,
    /// What the one that is held carries, in packets a second, as far as is known.
    pub level: Option<f64>,
    candidates: Vec<Candidate>,
    intervals: Intervals,
    /// Until when no layout is challenged by one that has been seen.
    rests: f64,
    /// When things have changed last.
    changed: f64,
}

impl Challenges {
    pub fn new(budget: Budget, intervals: Intervals) -> Self {
        Self {
            incumbent: None,
            current: None,
            budget,
            yields: Vec::new(),
            level: None,
            candidates: Vec::new(),
            intervals,
            rests: f64::NEG_INFINITY,
            changed: f64::NEG_INFINITY,
        }
    }

    /// Whether a plan is the layout that has been found to carry most.
    pub fn holds(&self, plan: &Plan) -> bool {
        self.incumbent.as_ref().is_some_and(|held| same(held, plan))
    }

    /// Takes what is in force now for the layout to be held: something else than a challenge has put it there.
    pub fn adopt(&mut self, plan: &Plan) {
        if let Some(old) = self.incumbent.replace(plan.clone()).filter(|old| !same(old, plan)) {
            self.remember(old, None, 0.0);
            self.level = None;
        }
        self.candidates.retain(|candidate| !same(&candidate.plan, plan));
    }

    /// What is known of a layout.
    pub fn candidate(&self, plan: &Plan) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| same(&candidate.plan, plan))
    }

    /// Whether a turn of a layout that is taken to cost so much can be afforded. Half of what can be saved is left for when things
    /// have changed.
    pub fn affords(&self, plan: &Plan, cost: f64) -> bool {
        let is_fresh = self.candidate(plan).is_some_and(|candidate| candidate.is_fresh);
        self.budget.affords(if is_fresh { cost + self.budget.most / 2.0 } else { cost })
    }

    /// Layouts that carried about as much as the one in force, or more, when they were seen last.
    pub fn near(&self) -> impl Iterator<Item = &Plan> {
        let near = |candidate: &&Candidate| candidate.ratio.is_none_or(|ratio| ratio >= CLEAR);
        self.candidates.iter().filter(near).map(|candidate| &candidate.plan)
    }

    /// Whether a layout may challenge now. Those not seen since things have changed need not wait for each other.
    pub fn is_due(&self, plan: &Plan, at: f64) -> bool {
        let due = |candidate: &Candidate| at >= candidate.next && (!candidate.is_fresh || at >= self.rests);
        self.candidate(plan).is_none_or(due)
    }

    /// Who comes first, by least: those not seen since things have changed, one thread that was never seen before all, and then the
    /// most promising; then who has waited longest. `expected` is what the cost model says that a layout carries over what the one
    /// in force does: where a layout was seen before things have changed, that and what it carried then count alike.
    pub fn order(&self, plan: &Plan, expected: f64) -> (bool, f64) {
        match self.candidate(plan) {
            Some(candidate) if candidate.is_fresh => (true, candidate.next),
            None if plan.workers() == 1 => (false, f64::NEG_INFINITY),
            candidate => {
                let before = candidate.and_then(|candidate| candidate.ratio);
                (false, -f64::midpoint(before.unwrap_or(expected), expected))
            }
        }
    }

    /// Takes in that the one in force now carries `rate`: where that is another than it was, all may come again.
    pub fn look(&mut self, rate: f64, at: f64) {
        let known = *self.level.get_or_insert(rate);
        self.level = Some(known + LEARNT * (rate - known));
        let differs = (rate / known.max(f64::MIN_POSITIVE) - 1.0).abs() > CHANGED;
        if differs && at >= self.changed + self.intervals.least {
            (self.level, self.rests, self.changed) = (Some(rate), at, at);
            let turn = self.budget.turn;
            self.candidates
                .iter_mut()
                .for_each(|candidate| candidate.forget(known / rate.max(1e-9), turn, at));
        }
    }

    /// The challenger takes the place of the layout that was in force.
    pub fn win(&mut self, challenge: Challenge, at: f64) {
        let ratio = challenge.ratio().max(f64::MIN_POSITIVE);
        self.candidates.retain(|candidate| !same(&candidate.plan, &challenge.challenger));
        self.candidates
            .iter_mut()
            .for_each(|candidate| candidate.ratio = candidate.ratio.map(|old| old / ratio));
        self.level = Some(challenge.level.rate * ratio);
        if let Some(old) = self.incumbent.replace(challenge.challenger) {
            self.remember(old, Some(1.0 / ratio), at + self.intervals.least);
        }
        self.rests = at + self.intervals.least;
    }

    /// The challenger goes, and comes again the later, the more often it has lost clearly.
    pub fn lose(&mut self, challenge: Challenge, at: f64) {
        let (ratio, cost) = (challenge.ratio(), challenge.cost());
        let before = self.candidate(&challenge.challenger).map_or(0, |candidate| candidate.losses);
        let losses = if ratio < CLEAR { (before + 1).min(16) } else { 0 };
        let wait = self.intervals.least * f64::from(1 << losses);
        self.remember(challenge.challenger, Some(ratio), at + wait.min(self.intervals.most));
        if let Some(candidate) = self.candidates.last_mut() {
            (candidate.losses, candidate.cost) = (losses, cost);
        }
        self.rests = at + self.intervals.least;
    }

    fn remember(&mut self, plan: Plan, ratio: Option<f64>, next: f64) {
        self.candidates.retain(|candidate| !same(&candidate.plan, &plan));
        if self.candidates.len() >= REMEMBERED {
            self.candidates.remove(0);
        }
        self.candidates.push(Candidate {
            plan,
            ratio,
            cost: 0.0,
            is_fresh: ratio.is_some(),
            losses: 0,
            next,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        text.parse().unwrap()
    }

    fn challenge(needed: f64, ratios: &[f64]) -> Challenge {
        let challenger = plan("source a sink");
        Challenge {
            challenger,
            needed,
            level: Yield { rate: 1e6, ns: 1e3 },
            is_out: true,
            ratios: ratios.into(),
            lost: 0.1,
        }
    }

    fn challenges() -> Challenges {
        let mut challenges = Challenges::new(Budget::new(0.02, 0.5), Intervals { least: 4.0, most: 30.0 });
        challenges.adopt(&plan("source | a | sink"));
        challenges
    }

    #[test]
    fn an_account_is_never_overdrawn_by_what_it_affords() {
        let mut budget = Budget::new(0.02, 0.5);
        assert!(budget.affords(2.0) && !budget.affords(2.1));
        budget.pass(2.0, 1.0);
        assert!(budget.affords(0.04) && !budget.affords(0.05));
        // What is saved has an end.
        budget.pass(1e6, 0.0);
        assert!(budget.affords(2.0) && !budget.affords(2.1));
    }

    #[test]
    fn who_loses_clearly_comes_again_later_each_time() {
        let (mut challenges, fused) = (challenges(), plan("source a sink"));
        assert!(challenges.is_due(&fused, 0.0));
        let waits = (0..5).map(|turn| {
            let at = f64::from(turn) * 100.0;
            challenges.lose(challenge(1.0, &[0.5]), at);
            (0..).map(f64::from).find(|wait| challenges.is_due(&fused, at + wait)).unwrap()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [8.0, 16.0, 30.0, 30.0, 30.0]);
        challenges.lose(challenge(1.0, &[0.95, 0.97]), 500.0);
        assert!(challenges.is_due(&fused, 504.0) && !challenges.is_due(&fused, 503.0));
        assert!((challenges.candidate(&fused).unwrap().cost - 0.05).abs() < 1e-12);
    }

    #[test]
    fn where_the_layout_in_force_carries_another_rate_all_come_again() {
        let (mut challenges, fused) = (challenges(), plan("source a sink"));
        challenges.lose(challenge(1.0, &[0.5]), 10.0);
        challenges.look(0.95e6, 11.0);
        assert!(!challenges.is_due(&fused, 11.0));
        challenges.look(0.85e6, 11.0);
        assert!(challenges.is_due(&fused, 11.0));
    }

    #[test]
    fn the_winner_is_held_and_the_loser_known_beside_it() {
        let (mut challenges, fused) = (challenges(), plan("source a sink"));
        challenges.win(challenge(1.0, &[1.25, 1.25]), 10.0);
        assert!(challenges.holds(&fused) && challenges.candidate(&fused).is_none());
        let old = challenges.candidate(&plan("source | a | sink")).unwrap();
        assert_eq!(old.ratio, Some(0.8));
        assert!(challenges.near().next().is_none());
    }
}
