//! What both families of damped statistics share in their schemas.

use crate::damp::LAMBDAS;
use legonf_core::{Feature, Schema, Unit};

/// Statistics of a stream of lengths or of gaps.
pub(crate) const SINGLE: &[&str] = &["weight", "mean", "var"];
/// Group of the gaps between packets; every other group is of lengths.
const JITTER: &str = "HH_jit";

/// The schema with these groups, each with its statistics at every decay rate.
pub(crate) fn schema(name: &str, groups: &[(&str, &[&str])]) -> Schema {
    let blocks = groups.iter().flat_map(|(group, statistics)| {
        LAMBDAS.iter().flat_map(move |&decay| statistics.iter().map(move |s| feature(group, decay, s)))
    });
    Schema { name: name.into(), features: blocks.collect() }
}

fn feature(group: &str, decay: f64, statistic: &str) -> Feature {
    let name = format!("{group}_L{decay}_{statistic}");
    let unit = unit(group == JITTER, statistic);
    Feature { name, group: group.into(), statistic: statistic.into(), unit, decay: Some(decay) }
}

fn unit(jitter: bool, statistic: &str) -> Unit {
    match (statistic, jitter) {
        ("weight", _) => Unit::Packets,
        ("mean", true) => Unit::Seconds,
        ("var", true) => Unit::SecondsSquared,
        ("mean" | "std" | "magnitude", _) => Unit::Bytes,
        ("pcc", _) => Unit::One,
        _ => Unit::BytesSquared,
    }
}
