//! Names, groups and units of the 100 columns (kitsune-py-100.md §2).

use crate::damp::LAMBDAS;
use legonf_core::{Feature, Schema, Unit};

/// Number of columns.
pub(super) const WIDTH: usize = 100;
/// First column of each group.
pub(super) const MI: usize = 0;
pub(super) const HH: usize = 15;
pub(super) const JITTER: usize = 50;
pub(super) const SOCKETS: usize = 65;

const SINGLE: [&str; 3] = ["weight", "mean", "var"];
const PAIR: [&str; 7] = ["weight", "mean", "var", "radius", "magnitude", "cov", "pcc"];
const BLOCKS: [(&str, &[&str]); 4] = [("MI", &SINGLE), ("HH", &PAIR), ("HH_jit", &SINGLE), ("HpHp", &PAIR)];

/// The schema `kitsune-py-100`.
pub(crate) fn schema() -> Schema {
    let blocks = BLOCKS.iter().flat_map(|(group, statistics)| {
        LAMBDAS.iter().flat_map(move |&decay| statistics.iter().map(move |s| feature(group, decay, s)))
    });
    Schema { name: "kitsune-py-100".into(), features: blocks.collect() }
}

fn feature(group: &str, decay: f64, statistic: &str) -> Feature {
    let name = format!("{group}_L{decay}_{statistic}");
    let unit = unit(group == "HH_jit", statistic);
    Feature { name, group: group.into(), statistic: statistic.into(), unit, decay: Some(decay) }
}

fn unit(jitter: bool, statistic: &str) -> Unit {
    match (statistic, jitter) {
        ("weight", _) => Unit::Packets,
        ("mean", true) => Unit::Seconds,
        ("var", true) => Unit::SecondsSquared,
        ("mean" | "magnitude", _) => Unit::Bytes,
        ("pcc", _) => Unit::One,
        _ => Unit::BytesSquared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_start_where_the_extractor_writes_them() {
        let schema = schema();
        let at = |i: usize| schema.features[i].name.as_str();
        assert_eq!(schema.len(), WIDTH);
        assert_eq!((at(MI), at(HH), at(HH + 7)), ("MI_L5_weight", "HH_L5_weight", "HH_L3_weight"));
        assert_eq!(
            (at(JITTER), at(SOCKETS), at(99)),
            ("HH_jit_L5_weight", "HpHp_L5_weight", "HpHp_L0.01_pcc")
        );
        assert_eq!(schema.features[HH + 3].unit, Unit::BytesSquared);
    }
}
