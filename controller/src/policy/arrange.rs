//! Layouts are held against each other by turns, and that which carries most stays.

use super::Policy;
use super::challenge::{Challenge, Outcome, Yield};
use super::challenges::same;
use super::detect::demand;
use super::grow::Bottleneck;
use crate::{Action, Decision, Forecast, Model, Scaling};
use legonf_core::{Plan, Snapshot, Stage};

/// Turns' worth of ticks in which it shows that things have changed.
const LONG: usize = 3;
/// Part of what two turns say of a hop's cost that is taken in.
const LEARNT: f64 = 0.5;
/// Part by which a layout must carry more than the one in force. One thread need not: what is no better than it goes.
const MARGIN: f64 = 0.03;

/// Why a layout is challenged: what was found, and what else might be done about it.
#[derive(Default)]
pub(super) struct Cause {
    /// The bottleneck, where one has been found.
    pub overloaded: Option<Bottleneck>,
    /// A plan that would relieve it.
    pub relief: Option<Plan>,
}

impl Policy {
    /// Lets another layout have a turn, where one is due and the budget affords it: one thread, those of which the cost model
    /// expects most, and those that were about as good. The layout in force must have been under pressure for as long as a turn.
    pub(super) fn challenge(&mut self, snapshot: &Snapshot, cause: Cause) -> Option<Decision> {
        if !self.may_challenge() {
            return None;
        }
        if !self.challenges.holds(&snapshot.plan) {
            self.challenges.adopt(&snapshot.plan);
        }
        let level = self.lately(1);
        self.challenges.look(self.lately(LONG).rate, snapshot.at);
        let present = self.forecast(snapshot, &snapshot.plan)?.capacity;
        let challenger = self.next_challenger(snapshot, cause.relief, present)?;
        let expected = self.forecast(snapshot, &challenger)?.capacity;
        let reason = match self.challenges.candidate(&challenger).and_then(|candidate| candidate.ratio) {
            Some(ratio) => {
                format!("by turns with another layout, which carried {ratio:.2} times as much last")
            }
            None => {
                format!("by turns with another layout, of which up to {expected:.0} packets/s are expected")
            }
        };
        let Bottleneck { stage, ticks } = cause.overloaded.or_else(|| self.heaviest(snapshot))?;
        let plan = Some(challenger.clone());
        let decision = self.decision(snapshot, stage, Action::Arrange, ticks, reason, plan);
        let needed = if challenger.workers() == 1 { 1.0 } else { 1.0 + MARGIN };
        self.challenges.current = Some(Challenge::new(challenger, needed, level));
        Some(decision)
    }

    /// The stage that costs most, where all cores are wanted and none has been found overloaded.
    fn heaviest(&self, snapshot: &Snapshot) -> Option<Bottleneck> {
        let burden = |stage: &usize| self.burden(snapshot, *stage);
        let heaviest = (0..snapshot.stages.len()).max_by(|a, b| burden(a).total_cmp(&burden(b)));
        heaviest.map(|stage| Bottleneck { stage, ticks: self.streaks.saturated })
    }

    fn may_challenge(&self) -> bool {
        let known = self.costs.total() > 0.0 && self.challenges.yields.len() >= self.config.trial as usize;
        let wanted = self.config.fuse && self.config.challenge > 0.0;
        known && wanted && self.config.scaling == Scaling::Brick
    }

    /// What the layout in force has done in as many ticks as some turns have, or in those that there were.
    fn lately(&self, turns: usize) -> Yield {
        let yields = &self.challenges.yields;
        Yield::of(&yields[yields.len().saturating_sub(turns * self.config.trial as usize)..])
    }

    fn forecast(&self, snapshot: &Snapshot, plan: &Plan) -> Option<Forecast> {
        Model::new(&self.costs, 1.0).forecast(plan, None, self.cores_left(snapshot)).ok()
    }

    /// The layout that has waited longest of those that are due and whose turn can be afforded.
    fn next_challenger(&self, snapshot: &Snapshot, relief: Option<Plan>, present: f64) -> Option<Plan> {
        let may = |plan: &Plan| {
            let due = self.challenges.is_due(plan, snapshot.at) && self.keeps_pinned(&snapshot.plan, plan);
            due && self.challenges.affords(plan, self.expected_cost(snapshot, plan, present))
        };
        let all = self.challengers(snapshot, relief, present).into_iter().filter(may);
        let expected =
            |plan: &Plan| self.forecast(snapshot, plan).map_or(0.0, |expected| expected.capacity / present);
        let order = |plan: &Plan| self.challenges.order(plan, expected(plan));
        all.min_by(|a, b| order(a).0.cmp(&order(b).0).then(order(a).1.total_cmp(&order(b).1)))
    }

    /// Seconds' worth of packets that a turn of a layout costs: as many as the last time, or by the cost model.
    fn expected_cost(&self, snapshot: &Snapshot, plan: &Plan, present: f64) -> f64 {
        let seen = self.challenges.candidate(plan).filter(|candidate| candidate.ratio.is_some());
        seen.map_or_else(
            || {
                let part = self.forecast(snapshot, plan).map_or(0.0, |expected| expected.capacity / present);
                (1.0 - part).clamp(0.0, 1.0) * self.config.turn()
            },
            |candidate| candidate.cost,
        )
    }

    /// One thread; what would relieve the bottleneck, the layouts of which the cost model expects most, and those that
    /// were about as good as the one in force.
    fn challengers(&self, snapshot: &Snapshot, relief: Option<Plan>, present: f64) -> Vec<Plan> {
        let bricks = snapshot.plan.stages.iter().flat_map(|stage| stage.bricks.clone()).collect();
        let one = Plan { stages: vec![Stage { bricks, replicas: 1 }], ..Plan::default() };
        let near = self.challenges.near().cloned();
        let all = [one].into_iter().chain(relief).chain(self.proposals(snapshot, present)).chain(near);
        let mut found: Vec<Plan> = Vec::new();
        for plan in all.filter(|plan| !same(plan, &snapshot.plan)) {
            if !found.iter().any(|other| same(other, &plan)) {
                found.push(plan);
            }
        }
        found
    }

    /// The layouts of which the cost model expects most, one for each number of hops: what a hop costs changes. What splitting
    /// costs depends on the traffic: the best layout with it is among them only where more is expected of it than of any other.
    fn proposals(&self, snapshot: &Snapshot, present: f64) -> Vec<Plan> {
        let (most, cores) = (self.most_workers(snapshot), self.cores_left(snapshot));
        let all = Model::new(&self.costs, 1.0).layouts(cores, most, &|stage| self.can_replicate(stage));
        let (split, whole): (Vec<_>, Vec<_>) = all.into_iter().partition(is_split);
        let most = whole.iter().map(|forecast| forecast.capacity).fold(present, f64::max);
        let hops = whole.first().map_or(0, |best| best.stages.len()) + 1;
        let mut best: Vec<_> = split.into_iter().filter(|split| split.capacity > most).take(1).collect();
        best.extend((2..=hops).filter_map(|count| whole.iter().find(|f| f.stages.len() == count).cloned()));
        best.sort_by(|a, b| b.capacity.total_cmp(&a.capacity));
        best.into_iter().map(|forecast| forecast.plan).collect()
    }

    /// Takes in what a hop costs, by the processor time of a packet in two layouts of the same moment.
    fn learn_hop(&mut self, held: (&Plan, Yield), other: (&Plan, Yield)) {
        let hops = |plan: &Plan| plan.stages.len() as f64 - 1.0;
        let divided =
            |plan: &Plan| plan.stages.iter().any(|stage| stage.replicas > 1 && self.keeps_state(stage));
        let more = hops(other.0) - hops(held.0);
        if self.config.refresh == 0.0 || more == 0.0 || divided(held.0) || divided(other.0) {
            return;
        }
        let found = ((other.1.ns - held.1.ns) / more * self.costs.batch).max(0.0);
        self.costs.hop_ns += LEARNT * (found - self.costs.hop_ns);
    }

    /// Waits until the layout in force has had its turn. Then it is the other one's, or it is clear which of them stays.
    pub(super) fn go_on(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        if self.challenges.yields.len() < self.config.trial as usize {
            return None;
        }
        let mut challenge = self.challenges.current.take()?;
        let turn = Yield::of(&std::mem::take(&mut self.challenges.yields));
        let held = self.challenges.incumbent.clone()?;
        let expected = if challenge.is_out { &challenge.challenger } else { &held };
        if !same(expected, &snapshot.plan) {
            return self.give_up(challenge, snapshot);
        }
        if !challenge.is_out {
            challenge.back(turn);
            let (plan, reason) =
                (challenge.challenger.clone(), format!("{:.0} packets/s; the other's turn", turn.rate));
            self.challenges.current = Some(challenge);
            return Some(self.arranged(snapshot, reason, Some(plan)));
        }
        challenge.ratios.push(turn.rate / challenge.level.rate.max(f64::MIN_POSITIVE));
        self.learn_hop((&held, challenge.level), (&challenge.challenger, turn));
        Some(self.judge(challenge, held, snapshot))
    }

    /// Says what has come of the challenger's turn.
    fn judge(&mut self, mut challenge: Challenge, held: Plan, snapshot: &Snapshot) -> Decision {
        let outcome = challenge.outcome();
        let ratio = format!("{:.2} times as many packets/s as {held}", challenge.ratio());
        let affords = self.challenges.budget.affords(challenge.cost());
        match outcome {
            Outcome::Won => {
                self.challenges.win(challenge, snapshot.at);
                self.arranged(snapshot, format!("{ratio}: stays"), None)
            }
            Outcome::Open if affords => {
                challenge.is_out = false;
                self.challenges.current = Some(challenge);
                let reason = format!("{ratio}; the other's turn");
                self.arranged(snapshot, reason, Some(held))
            }
            Outcome::Open | Outcome::Lost => {
                self.challenges.lose(challenge, snapshot.at);
                self.arranged(snapshot, format!("{ratio}: goes"), Some(held))
            }
        }
    }

    /// Another layout is in force than should be: the runtime has refused it, or something else has changed it.
    fn give_up(&mut self, mut challenge: Challenge, snapshot: &Snapshot) -> Option<Decision> {
        challenge.ratios.push(0.0);
        self.challenges.lose(challenge, snapshot.at);
        self.challenges.adopt(&snapshot.plan);
        None
    }

    fn arranged(&self, snapshot: &Snapshot, reason: String, plan: Option<Plan>) -> Decision {
        self.decision(snapshot, 0, Action::Arrange, self.config.trial, reason, plan)
    }

    /// Notes what the layout in force carries while it is under pressure: only the last ticks count. What a challenger's turn, or
    /// the way to another layout, costs is taken from the budget.
    pub(super) fn note_yield(&mut self, snapshot: &Snapshot) {
        if self.streaks.is_calm() && self.challenges.current.is_none() {
            self.challenges.yields.clear();
            return;
        }
        let spent: f64 = snapshot.workers.iter().map(|worker| worker.busy).sum();
        let ns = spent * snapshot.span * 1e9 / snapshot.done.max(1) as f64;
        self.challenges.yields.push(Yield { rate: self.carried(snapshot), ns });
        let old = self.challenges.yields.len().saturating_sub(LONG * self.config.trial as usize);
        self.challenges.yields.drain(..old);
    }

    /// Takes what a tick of a challenge cost from the budget.
    pub(super) fn charge(&mut self, snapshot: &Snapshot) {
        let is_out = self.challenges.current.as_ref().is_some_and(|challenge| challenge.is_out);
        let level =
            self.challenges.current.as_ref().map(|challenge| challenge.level.rate).or(self.challenges.level);
        let lost = match level {
            Some(level) if level > 0.0 && (is_out || self.rests.is_settling()) => {
                (1.0 - self.carried(snapshot) / level).clamp(0.0, 1.0)
            }
            _ => 0.0,
        };
        self.challenges.budget.pass(snapshot.span, lost);
        if let Some(challenge) = &mut self.challenges.current {
            challenge.lost += lost * snapshot.span;
        }
    }

    /// Cores but for those that others take all the time.
    fn cores_left(&self, snapshot: &Snapshot) -> f64 {
        (self.cores(snapshot) - self.loads.others).max(f64::MIN_POSITIVE)
    }

    /// Packets a second that a layout would carry if other programs, and other machines on its host, left it the cores that its
    /// workers wanted, but for those that they take all the time.
    fn carried(&self, snapshot: &Snapshot) -> f64 {
        let busy: f64 = snapshot.workers.iter().map(|worker| worker.busy).sum();
        let rate = snapshot.done as f64 / snapshot.span.max(1e-9);
        rate * (demand(snapshot).min(self.cores_left(snapshot)) / busy.max(1e-9)).max(1.0)
    }
}

fn is_split(forecast: &Forecast) -> bool {
    forecast.stages.iter().any(|stage| stage.split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_of_the_cores_is_no_fault_of_the_layout() {
        let policy = Policy::new(crate::Config::default(), Vec::new(), None);
        let carried = |starved: f64, used: f64, stolen: f64| {
            let worker = legonf_core::WorkerLoad { busy: 0.75, starved, ..Default::default() };
            let host = legonf_core::HostLoad { cores: 2.0, used, stolen, memory: 0 };
            let workers = vec![worker.clone(), worker];
            policy.carried(&Snapshot { span: 0.1, done: 75_000, workers, host, ..Snapshot::default() })
        };
        let near = |rate: f64, expected: f64| assert!((rate - expected).abs() < 1.0, "{rate}");
        near(carried(0.0, 1.5, 0.0), 750e3);
        // They wanted 1.8 cores and had 1.5, be it for other programs or for the hypervisor.
        near(carried(0.15, 1.8, 0.0), 900e3);
        near(carried(0.0, 1.5, 0.3), 900e3);
        // Half of what was in use was not theirs, and so is half of what was taken; and there are two cores.
        near(carried(0.0, 3.0, 0.3), 825e3);
        near(carried(0.5, 1.5, 0.5), 1e6);
    }
}
