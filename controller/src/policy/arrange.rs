//! Where no core is free, hops are what can be saved: layouts are tried, and the best stays.

use super::Policy;
use super::detect::wanted;
use crate::{Action, Decision, Forecast, Model, Scaling};
use legonf_core::{Plan, Snapshot};

/// Layouts that are tried of those that split the traffic of a brick with state, and of those that do not.
const SPLIT_TRIED: usize = 1;
const WHOLE_TRIED: usize = 3;
/// Part by which the cost model must expect more of a layout for any to be tried.
const GAIN: f64 = 0.005;
/// A layout is tried until the standard error of what it carries on average is at most this part, but not longer than so many times
/// [`Config::trial`](crate::Config): on a machine that others use too a few ticks say little.
const SURE: f64 = 0.015;
const LONGEST: usize = 4;
/// Part of the whole by which a brick's cost must have changed for layouts to be compared anew.
const DRIFT: f64 = 0.15;

/// Layouts that are tried one after the other: the model proposes, what comes out decides.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// Those to come, the most promising last.
    waiting: Vec<Plan>,
    /// Packets a second of those before, and from how many ticks that is known.
    seen: Vec<(Plan, f64, usize)>,
}

impl Trial {
    fn best(&self) -> Option<&(Plan, f64, usize)> {
        self.seen.iter().max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The best layout, taken out to be tried again, where fewer ticks than `few` speak for it: that which was in force when the
    /// trial began.
    fn doubtful(&mut self, few: usize) -> Option<Plan> {
        let plan = self.best().filter(|(_, _, ticks)| *ticks < few)?.0.clone();
        self.seen.retain(|(seen, _, _)| *seen != plan);
        Some(plan)
    }
}

impl Policy {
    /// Begins to try layouts, where it is known what bricks cost and the model expects more of one than of that in force.
    /// `overloaded` is the bottleneck, where one has been found; else it is the stage that costs most.
    pub(super) fn arrange(&mut self, snapshot: &Snapshot, overloaded: Option<usize>) -> Option<Decision> {
        let known = self.costs.total() > 0.0;
        if !known || !self.config.fuse || self.config.scaling != Scaling::Brick || self.has_arranged(snapshot)
        {
            return None;
        }
        let (most, cores) = (self.most_workers(snapshot), self.cores(snapshot));
        let model = Model::new(&self.costs, 1.0);
        let present = model.forecast(&snapshot.plan, None, cores).ok()?;
        let better = |forecast: &Forecast| forecast.capacity >= present.capacity * (1.0 + GAIN);
        let mut found = model.layouts(cores, most, &|stage| self.can_replicate(stage));
        found.retain(|forecast| forecast.plan != snapshot.plan);
        let best = found.first().filter(|forecast| better(forecast))?;
        let reason = format!(
            "the bottleneck, and no core is free: layouts with fewer hops are tried, of which up to {:.0} packets/s are expected",
            best.capacity
        );
        // What splitting costs depends on the traffic: the best without it are tried too, and the best with it only where more is
        // expected of it than of any of these.
        let (mut split, whole): (Vec<_>, Vec<_>) = found.into_iter().partition(is_split);
        let most = whole.iter().map(|forecast| forecast.capacity).fold(present.capacity, f64::max);
        split.retain(|forecast| forecast.capacity > most);
        let mut found: Vec<_> =
            split.into_iter().take(SPLIT_TRIED).chain(whole.into_iter().take(WHOLE_TRIED)).collect();
        found.sort_by(|a, b| b.capacity.total_cmp(&a.capacity));
        let mut waiting: Vec<_> = found.into_iter().rev().map(|forecast| forecast.plan).collect();
        let heaviest = |a: &usize, b: &usize| self.burden(snapshot, *a).total_cmp(&self.burden(snapshot, *b));
        let stage = overloaded.or_else(|| (0..snapshot.stages.len()).max_by(heaviest))?;
        let first = waiting.pop();
        let ticks = self.yields.len();
        let seen = vec![(snapshot.plan.clone(), median(std::mem::take(&mut self.yields)), ticks)];
        self.trial = Some(Trial { waiting, seen });
        Some(self.decision(snapshot, stage, Action::Arrange, self.saturated, reason, first))
    }

    /// Waits until the layout in force has been tried, and goes on to the next one, or at the end to the best.
    pub(super) fn go_on(&mut self, mut trial: Trial, snapshot: &Snapshot) -> Option<Decision> {
        if !is_known(&self.yields, self.config.trial as usize) {
            self.trial = Some(trial);
            return None;
        }
        let ticks = self.yields.len();
        let rate = median(std::mem::take(&mut self.yields));
        trial.seen.push((snapshot.plan.clone(), rate, ticks));
        let found = |plan: Plan, reason: String| {
            let changed = (plan != snapshot.plan).then_some(plan);
            self.decision(snapshot, 0, Action::Arrange, ticks as u32, reason, changed)
        };
        let next = trial.waiting.pop().or_else(|| trial.doubtful(self.config.trial as usize));
        if let Some(next) = next {
            let decision = found(next, format!("{rate:.0} packets/s; the next layout is tried"));
            self.trial = Some(trial);
            return Some(decision);
        }
        let (plan, most) = trial.best().map(|(plan, most, _)| (plan.clone(), *most))?;
        let reason = format!("{most:.0} packets/s are the most of {} layouts: {plan}", trial.seen.len());
        let decision = found(plan, reason);
        self.arranged = Some((snapshot.at, self.costs.clone()));
        Some(decision)
    }

    /// Notes what the layout in force carries while all cores are wanted; only the last ticks count.
    pub(super) fn note_yield(&mut self, snapshot: &Snapshot) {
        if self.saturated == 0 && self.trial.is_none() {
            self.yields.clear();
            return;
        }
        self.yields.push(self.carried(snapshot));
        let old = self.yields.len().saturating_sub(self.config.trial as usize * LONGEST);
        self.yields.drain(..old);
    }

    /// Packets a second that a layout would carry if other programs, and other machines on its host, left it the cores that its
    /// workers wanted. Cores that are stolen were in use: the workers lose their part of them.
    fn carried(&self, snapshot: &Snapshot) -> f64 {
        let demand: f64 = snapshot.workers.iter().map(wanted).sum();
        let busy: f64 = snapshot.workers.iter().map(|worker| worker.busy).sum();
        let lost = snapshot.host.stolen * busy / snapshot.host.used.max(busy).max(1e-9);
        let rate = snapshot.done as f64 / snapshot.span.max(1e-9);
        rate * ((demand + lost).min(self.cores(snapshot)) / busy.max(1e-9)).max(1.0)
    }

    /// Whether layouts have been compared, and nothing has changed since.
    fn has_arranged(&self, snapshot: &Snapshot) -> bool {
        self.arranged.as_ref().is_some_and(|(at, costs)| {
            snapshot.at < at + self.config.arrange_every || self.costs.drift(costs) < DRIFT
        })
    }
}

fn is_split(forecast: &Forecast) -> bool {
    forecast.stages.iter().any(|stage| stage.split)
}

/// Whether some ticks say what a layout carries: `few` at least, and as many more as they differ.
fn is_known(yields: &[f64], few: usize) -> bool {
    let mut sorted = yields.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    // Of a normal distribution 1.35 standard deviations lie between the quartiles.
    let quartile = |part: usize| sorted[count * part / 4];
    let error = || (quartile(3) - quartile(1)) / 1.35 / (count as f64).sqrt();
    count >= few && (count >= few * LONGEST || error() <= SURE * quartile(2))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
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

    #[test]
    fn what_wavers_is_looked_at_longer() {
        let ticks = |count: usize, wave: f64| -> Vec<f64> {
            (0..count).map(|tick| 1e6 * (1.0 + wave * (tick * 7 % 5) as f64 / 5.0)).collect()
        };
        let known = |wave: f64| (0..100).find(|count| is_known(&ticks(*count, wave), 5));
        assert_eq!([known(0.0), known(0.02), known(10.0)], [Some(5), Some(5), Some(20)]);
        let some = known(0.15).unwrap();
        assert!((6..20).contains(&some), "{some}");
    }
}
