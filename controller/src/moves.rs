//! One step from a plan to another.

use legonf_core::{Plan, Stage};
use std::ops::Range;

/// `plan` with other replicas of a stage.
pub(crate) fn resized(plan: &Plan, stage: usize, replicas: usize) -> Plan {
    let mut plan = plan.clone();
    plan.stages[stage].replicas = replicas;
    plan
}

/// `plan` with a stage and the next one in one worker.
pub(crate) fn fused(plan: &Plan, stage: usize) -> Plan {
    let mut plan = plan.clone();
    let next = plan.stages.remove(stage + 1);
    plan.stages[stage].bricks.extend(next.bricks);
    plan
}

/// `plan` with a stage in parts, each with a worker of its own.
pub(crate) fn parted(plan: &Plan, stage: usize, parts: &[Range<usize>]) -> Plan {
    let bricks = &plan.stages[stage].bricks;
    let part = |range: &Range<usize>| Stage { bricks: bricks[range.clone()].to_vec(), replicas: 1 };
    let mut stages = plan.stages.clone();
    stages.splice(stage..=stage, parts.iter().map(part));
    Plan { stages, ..Plan::default() }
}

/// The division of bricks into two or three neighbouring parts whose greatest weight is the least; the fewest parts of
/// equally good ones. A part is weighed by `weight`.
pub(crate) fn best_parts(bricks: usize, weight: impl Fn(Range<usize>) -> f64) -> Option<Vec<Range<usize>>> {
    let two = (1..bricks).map(|cut| vec![0..cut, cut..bricks]);
    let cuts = (1..bricks).flat_map(|first| (first + 1..bricks).map(move |second| (first, second)));
    let three = cuts.map(|(first, second)| vec![0..first, first..second, second..bricks]);
    let heaviest = |parts: &Vec<Range<usize>>| parts.iter().cloned().map(&weight).fold(0.0, f64::max);
    two.chain(three).min_by(|a, b| heaviest(a).total_cmp(&heaviest(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_every_brick() {
        let plan: Plan = "source a b c sink".parse().unwrap();
        let parts = parted(&plan, 0, &[0..2, 2..3, 3..5]);
        assert_eq!(parts.to_string(), "source a | b | c sink");
        assert_eq!(resized(&parts, 1, 3).to_string(), "source a | b x3 | c sink");
        assert_eq!(fused(&fused(&parts, 0), 0), plan);
    }

    #[test]
    fn the_heaviest_brick_is_set_apart() {
        let weights = [50.0, 50.0, 500.0, 2000.0, 5.0, 45.0];
        let sum = |part: Range<usize>| weights[part].iter().sum();
        assert_eq!(best_parts(6, sum).unwrap(), [0..3, 3..4, 4..6]);
        assert_eq!(best_parts(1, sum), None);
        let equal = |part: Range<usize>| part.len() as f64;
        assert_eq!(best_parts(2, equal).unwrap(), [0..1, 1..2]);
    }
}
