//! What a run did in the last minutes, second by second.

use crate::api::{Latency, Point};
use legonf_core::Passages;
use legonf_engine::monitor::Moment;
use std::collections::VecDeque;
use std::sync::Arc;

/// Seconds between two points.
const EVERY: f64 = 1.0;
/// Points that are kept: ten minutes.
pub const KEPT: usize = 600;

/// Figures of a run over time.
#[derive(Debug, Default)]
pub struct History {
    points: VecDeque<Point>,
    last: Option<Sums>,
    /// What had passed the bricks then.
    passages: Option<Arc<Passages>>,
    peak: Option<f64>,
}

/// Packets since the run began.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    at: f64,
    offered: u64,
    done: u64,
    dropped: u64,
    alerts: u64,
}

impl History {
    /// Takes a moment, with the highest score since the one before, and the threshold with which the run began.
    pub fn add(&mut self, moment: &Moment, peak: Option<f64>, threshold: Option<f64>) {
        self.peak = [self.peak, peak].into_iter().flatten().reduce(f64::max);
        let Some(snapshot) = &moment.snapshot else { return };
        let now = Sums {
            at: snapshot.at,
            offered: moment.offered,
            done: moment.done,
            dropped: moment.dropped,
            alerts: moment.accounts.alerts,
        };
        let passages = &snapshot.passages;
        let last = self.last.unwrap_or_default();
        if now.at < last.at + EVERY {
            return;
        }
        let rate = |of: fn(&Sums) -> u64| of(&now).saturating_sub(of(&last)) as f64 / (now.at - last.at);
        let point = Point {
            at: now.at,
            offered_per_second: rate(|sums| sums.offered),
            done_per_second: rate(|sums| sums.done),
            dropped_per_second: rate(|sums| sums.dropped),
            alerts_per_second: rate(|sums| sums.alerts),
            latency: passages.as_deref().and_then(|now| match &self.passages {
                Some(before) => Latency::of(&now.since(before).whole),
                None => Latency::of(&now.whole),
            }),
            peak_score: self.peak.take(),
            threshold: moment.accounts.threshold.or(threshold),
            open_incidents: moment.accounts.open.len() as u64,
            workers: snapshot.workers.len() as u64,
        };
        (self.last, self.passages) = (Some(now), passages.clone());
        if self.points.len() >= KEPT {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// All points, in order.
    pub fn points(&self) -> Vec<Point> {
        self.points.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Snapshot;

    #[test]
    fn a_point_is_of_a_second_and_there_are_so_many() {
        let mut history = History::default();
        for tick in 1..=10 * (KEPT as u64 + 5) {
            let at = tick as f64 / 10.0;
            let snapshot = Some(Arc::new(Snapshot { at, ..Snapshot::default() }));
            let moment = Moment { snapshot, offered: 20 * tick, done: 10 * tick, ..Moment::default() };
            history.add(&moment, (tick % 10 == 3).then_some(at), None);
        }
        let points = history.points();
        assert_eq!(points.len(), KEPT);
        assert!(points.iter().all(|point| (point.offered_per_second - 200.0).abs() < 25.0), "{points:?}");
        let last = points.last().unwrap();
        assert_eq!(last.peak_score, Some(KEPT as f64 + 4.3));
    }
}
