//! What was promised of a graph, and what each brick may take of it.

use crate::error::demand;
use crate::{ControllerError, Costs, Model};
use legonf_core::{BATCH, ENGINE_ROWS};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The highest rate that can be promised, in packets a second.
const MOST_RATE: f64 = 1e12;
/// The longest latency that can be promised: a day.
const MOST_LATENCY_MS: f64 = 86_400_000.0;

/// An end-to-end promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sla {
    /// Packets a second that must be carried; beyond it nothing is replicated. None: as many as come.
    pub rate: Option<f64>,
    /// Milliseconds from source to sink that 99 of 100 packets may take. None: no matter.
    pub latency_ms: Option<f64>,
}

impl Sla {
    /// Checks both values.
    ///
    /// # Errors
    /// [`ControllerError::Range`] with the key and what would do.
    pub fn check(&self) -> Result<(), ControllerError> {
        let within = |value: Option<f64>, most: f64| value.is_none_or(|v| v > 0.0 && v <= most);
        let text = |value: Option<f64>| value.unwrap_or_default();
        let rate = within(self.rate, MOST_RATE);
        demand(rate, "rate", text(self.rate), "packets a second, above 0, at most 1e12")?;
        let latency = within(self.latency_ms, MOST_LATENCY_MS);
        demand(latency, "latency_ms", text(self.latency_ms), "milliseconds, above 0, at most a day")
    }

    /// Refuses what no plan on some cores can keep.
    ///
    /// # Errors
    /// [`ControllerError::Impossible`] where a batch computes for longer than the latency, the source or the sink is too
    /// slow for the rate, or all bricks together need more cores for it.
    pub fn check_possible(&self, costs: &Costs, cores: f64) -> Result<(), ControllerError> {
        if let Some(latency_ms) = self.latency_ms {
            deadlines(costs, latency_ms)?;
        }
        let Some(rate) = self.rate else { return Ok(()) };
        Model::new(costs, 1.0).plan_for(rate)?;
        let needed = rate * costs.total() / 1e9;
        if needed > cores {
            return Err(ControllerError::Impossible(format!(
                "{rate:.0} packets/s take {needed:.2} cores, and there are {cores:.1}"
            )));
        }
        Ok(())
    }
}

/// What one brick may take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deadline {
    /// The brick.
    pub id: String,
    /// Milliseconds for a batch, its wait included.
    pub ms: f64,
    /// Part of the whole.
    pub share: f64,
}

/// Divides a latency among the bricks of a graph in proportion to what they cost.
///
/// # Errors
/// If a batch takes longer than that even where nothing waits.
pub fn deadlines(costs: &Costs, latency_ms: f64) -> Result<Vec<Deadline>, ControllerError> {
    let total = costs.total();
    let least = total * costs.batch / 1e6;
    if least > latency_ms {
        return Err(ControllerError::Impossible(format!(
            "a batch of {:.0} packets computes for {least:.3} ms, and {latency_ms} ms are allowed",
            costs.batch
        )));
    }
    Ok(divide(costs, latency_ms))
}

/// The deadlines, whether they can be met or not.
pub(crate) fn divide(costs: &Costs, latency_ms: f64) -> Vec<Deadline> {
    let total = costs.total().max(f64::MIN_POSITIVE);
    let deadline = |brick: &crate::Cost| {
        let share = brick.ns / total;
        Deadline { id: brick.id.clone(), ms: share * latency_ms, share }
    };
    costs.bricks.iter().map(deadline).collect()
}

/// How long the first packet of a batch may wait for the batch to be full: the deadline of the bricks that make batches (the
/// source and the one behind it), less the time for which they compute on a full one. Bricks of which nothing is known are
/// taken to cost the same.
pub fn patience(costs: &Costs, batching: &[String], latency_ms: f64) -> Duration {
    let share = match costs.total() {
        0.0 => batching.len() as f64 / costs.bricks.len().max(1) as f64,
        total => costs.sum(batching) / total,
    };
    let left = latency_ms - costs.total() * costs.batch / 1e6;
    Duration::try_from_secs_f64(share * left.max(0.0) / 1e3).unwrap_or_default()
}

/// The longest that a worker with all bricks shall work on a batch: so long waits what waits for the end of a batch, such as the
/// packets of slots that move.
const BATCH_MS: f64 = 1.0;

/// Packets that make a batch full: as many times [`ENGINE_ROWS`] as one worker does in a millisecond with all bricks, one at least, and at
/// most [`BATCH`] packets.
pub fn full(costs: &Costs) -> usize {
    let total = costs.total();
    let packets = if total > 0.0 { (BATCH_MS * 1e6 / total) as usize } else { BATCH };
    (packets / ENGINE_ROWS * ENGINE_ROWS).clamp(ENGINE_ROWS, BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cost;
    use crate::costs::tests::kitsune;

    #[test]
    fn deadlines_are_in_proportion_to_cost_and_add_up() {
        let deadlines = deadlines(&kitsune(), 5.0).unwrap();
        let sum: f64 = deadlines.iter().map(|d| d.ms).sum();
        assert!((sum - 5.0).abs() < 1e-12);
        let of = |id: &str| deadlines.iter().find(|d| d.id == id).unwrap().ms;
        assert!((of("network") / of("extractor") - 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_batch_waits_within_the_deadline_of_those_that_make_it() {
        let (costs, batching) = (kitsune(), ["source".to_owned(), "batching".to_owned()]);
        let ms = |costs: &Costs, latency| patience(costs, &batching, latency).as_secs_f64() * 1e3;
        // The deadline is 100 / 2650 of 10 ms, and a full batch takes these two 25.6 µs.
        let deadline: f64 = deadlines(&costs, 10.0).unwrap()[..2].iter().map(|deadline| deadline.ms).sum();
        assert!((ms(&costs, 10.0) - (deadline - 0.0256)).abs() < 1e-6);
        // What takes longer than is allowed even so waits for nothing.
        assert_eq!(ms(&costs, 0.1), 0.0);
        let facts = costs.bricks.iter().map(|brick| (brick.id.clone(), brick.state));
        assert!((ms(&Costs::unknown("", 256, facts), 9.0) - 3.0).abs() < 1e-6);
        assert_eq!(ms(&Costs::default(), f64::MAX), 0.0);
    }

    #[test]
    fn a_batch_is_about_a_millisecond_of_work_at_most() {
        let of = |ns: f64| full(&Costs { bricks: vec![Cost { ns, ..Cost::default() }], ..Costs::default() });
        assert_eq!([of(7000.0), of(2650.0), of(1e6), full(&Costs::default())], [128, BATCH, 64, BATCH]);
    }

    #[test]
    fn what_no_plan_can_keep_is_refused() {
        let check = |rate, latency_ms, cores| Sla { rate, latency_ms }.check_possible(&kitsune(), cores);
        assert_eq!(check(Some(300e3), Some(1.0), 1.0), Ok(()));
        for (rate, latency, cores, words) in [
            (Some(400e3), None, 1.0, "400000 packets/s take 1.06 cores, and there are 1.0"),
            (Some(50e6), None, 1e6, "one `source`"),
            (None, Some(0.5), 1e6, "computes for 0.678 ms"),
        ] {
            let error = check(rate, latency, cores).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_sla_below_the_work_itself_is_impossible() {
        let error = deadlines(&kitsune(), 0.5).unwrap_err().to_string();
        assert!(error.contains("256 packets computes for 0.678 ms, and 0.5 ms are allowed"), "{error}");
    }
}
