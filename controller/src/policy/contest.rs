//! The layout that is held: which others are to have turns beside it and when, and what these may cost.

use super::bout::{Bout, CLEAR, Yield};
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
pub(super) struct Standing {
    pub plan: Plan,
    /// What it carried over what the one in force does; none before its first turn.
    pub ratio: Option<f64>,
    /// Seconds' worth of packets that a turn of it cost.
    pub cost: f64,
    /// Whether that was since things have changed.
    is_fresh: bool,
    /// Bouts in a row that it has lost clearly.
    losses: u32,
    /// When it may come again, in seconds since the run began.
    next: f64,
}

impl Standing {
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
pub(super) struct Account {
    saved: f64,
    most: f64,
    part: f64,
    turn: f64,
}

impl Account {
    /// An account that gets `part` of the time and is full with the cost of some turns.
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
pub(super) struct Contest {
    pub incumbent: Option<Plan>,
    pub bout: Option<Bout>,
    pub account: Account,
    /// What the layout in force did in the last ticks under pressure.
    pub yields: Vec<Yield>,
    /// What the one that is held carries, in packets a second, as far as is known.
    pub level: Option<f64>,
    standings: Vec<Standing>,
    intervals: Intervals,
    /// Until when no layout is challenged by one that has been seen.
    rests: f64,
    /// When things have changed last.
    changed: f64,
}

impl Contest {
    pub fn new(account: Account, intervals: Intervals) -> Self {
        Self {
            incumbent: None,
            bout: None,
            account,
            yields: Vec::new(),
            level: None,
            standings: Vec::new(),
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
        self.standings.retain(|standing| !same(&standing.plan, plan));
    }

    /// What is known of a layout.
    pub fn standing(&self, plan: &Plan) -> Option<&Standing> {
        self.standings.iter().find(|standing| same(&standing.plan, plan))
    }

    /// Whether a turn of a layout that is taken to cost so much can be afforded. Half of what can be saved is left for when things
    /// have changed.
    pub fn affords(&self, plan: &Plan, cost: f64) -> bool {
        let is_fresh = self.standing(plan).is_some_and(|standing| standing.is_fresh);
        self.account.affords(if is_fresh { cost + self.account.most / 2.0 } else { cost })
    }

    /// Layouts that carried about as much as the one in force, or more, when they were seen last.
    pub fn near(&self) -> impl Iterator<Item = &Plan> {
        let near = |standing: &&Standing| standing.ratio.is_none_or(|ratio| ratio >= CLEAR);
        self.standings.iter().filter(near).map(|standing| &standing.plan)
    }

    /// Whether a layout may challenge now. Those not seen since things have changed need not wait for each other.
    pub fn is_due(&self, plan: &Plan, at: f64) -> bool {
        let due = |standing: &Standing| at >= standing.next && (!standing.is_fresh || at >= self.rests);
        self.standing(plan).is_none_or(due)
    }

    /// Who comes first, by least: those not seen since things have changed, one thread that was never seen before all, and then the
    /// most promising; then who has waited longest. `expected` is what the cost model says that a layout carries over what the one
    /// in force does: where a layout was seen before things have changed, that and what it carried then count alike.
    pub fn order(&self, plan: &Plan, expected: f64) -> (bool, f64) {
        match self.standing(plan) {
            Some(standing) if standing.is_fresh => (true, standing.next),
            None if plan.workers() == 1 => (false, f64::NEG_INFINITY),
            standing => {
                let before = standing.and_then(|standing| standing.ratio);
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
            let turn = self.account.turn;
            self.standings.iter_mut().for_each(|standing| standing.forget(known / rate.max(1e-9), turn, at));
        }
    }

    /// The challenger takes the place of the layout that was in force.
    pub fn win(&mut self, bout: Bout, at: f64) {
        let ratio = bout.ratio().max(f64::MIN_POSITIVE);
        self.standings.retain(|standing| !same(&standing.plan, &bout.challenger));
        self.standings.iter_mut().for_each(|standing| standing.ratio = standing.ratio.map(|old| old / ratio));
        self.level = Some(bout.level.rate * ratio);
        if let Some(old) = self.incumbent.replace(bout.challenger) {
            self.remember(old, Some(1.0 / ratio), at + self.intervals.least);
        }
        self.rests = at + self.intervals.least;
    }

    /// The challenger goes, and comes again the later, the more often it has lost clearly.
    pub fn lose(&mut self, bout: Bout, at: f64) {
        let (ratio, cost) = (bout.ratio(), bout.cost());
        let before = self.standing(&bout.challenger).map_or(0, |standing| standing.losses);
        let losses = if ratio < CLEAR { (before + 1).min(16) } else { 0 };
        let wait = self.intervals.least * f64::from(1 << losses);
        self.remember(bout.challenger, Some(ratio), at + wait.min(self.intervals.most));
        if let Some(standing) = self.standings.last_mut() {
            (standing.losses, standing.cost) = (losses, cost);
        }
        self.rests = at + self.intervals.least;
    }

    fn remember(&mut self, plan: Plan, ratio: Option<f64>, next: f64) {
        self.standings.retain(|standing| !same(&standing.plan, &plan));
        if self.standings.len() >= REMEMBERED {
            self.standings.remove(0);
        }
        self.standings.push(Standing { plan, ratio, cost: 0.0, is_fresh: ratio.is_some(), losses: 0, next });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        text.parse().unwrap()
    }

    fn bout(needed: f64, ratios: &[f64]) -> Bout {
        let challenger = plan("source a sink");
        Bout {
            challenger,
            needed,
            level: Yield { rate: 1e6, ns: 1e3 },
            is_out: true,
            ratios: ratios.into(),
            lost: 0.1,
        }
    }

    fn contest() -> Contest {
        let mut contest = Contest::new(Account::new(0.02, 0.5), Intervals { least: 4.0, most: 30.0 });
        contest.adopt(&plan("source | a | sink"));
        contest
    }

    #[test]
    fn an_account_is_never_overdrawn_by_what_it_affords() {
        let mut account = Account::new(0.02, 0.5);
        assert!(account.affords(2.0) && !account.affords(2.1));
        account.pass(2.0, 1.0);
        assert!(account.affords(0.04) && !account.affords(0.05));
        // What is saved has an end.
        account.pass(1e6, 0.0);
        assert!(account.affords(2.0) && !account.affords(2.1));
    }

    #[test]
    fn who_loses_clearly_comes_again_later_each_time() {
        let (mut contest, fused) = (contest(), plan("source a sink"));
        assert!(contest.is_due(&fused, 0.0));
        let waits = (0..5).map(|turn| {
            let at = f64::from(turn) * 100.0;
            contest.lose(bout(1.0, &[0.5]), at);
            (0..).map(f64::from).find(|wait| contest.is_due(&fused, at + wait)).unwrap()
        });
        assert_eq!(waits.collect::<Vec<_>>(), [8.0, 16.0, 30.0, 30.0, 30.0]);
        contest.lose(bout(1.0, &[0.95, 0.97]), 500.0);
        assert!(contest.is_due(&fused, 504.0) && !contest.is_due(&fused, 503.0));
        assert!((contest.standing(&fused).unwrap().cost - 0.05).abs() < 1e-12);
    }

    #[test]
    fn where_the_layout_in_force_carries_another_rate_all_come_again() {
        let (mut contest, fused) = (contest(), plan("source a sink"));
        contest.lose(bout(1.0, &[0.5]), 10.0);
        contest.look(0.95e6, 11.0);
        assert!(!contest.is_due(&fused, 11.0));
        contest.look(0.85e6, 11.0);
        assert!(contest.is_due(&fused, 11.0));
    }

    #[test]
    fn the_winner_is_held_and_the_loser_known_beside_it() {
        let (mut contest, fused) = (contest(), plan("source a sink"));
        contest.win(bout(1.0, &[1.25, 1.25]), 10.0);
        assert!(contest.holds(&fused) && contest.standing(&fused).is_none());
        let old = contest.standing(&plan("source | a | sink")).unwrap();
        assert_eq!(old.ratio, Some(0.8));
        assert!(contest.near().next().is_none());
    }
}
