//! Names, groups and units of the 100 columns (kitsune-py-100.md §2).

use crate::schema::{self, SINGLE};
use legonf_core::Schema;

/// Number of columns.
pub(super) const WIDTH: usize = 100;
/// First column of each group.
pub(super) const MI: usize = 0;
pub(super) const HH: usize = 15;
pub(super) const JITTER: usize = 50;
pub(super) const SOCKETS: usize = 65;

const PAIR: &[&str] = &["weight", "mean", "var", "radius", "magnitude", "cov", "pcc"];
const BLOCKS: [(&str, &[&str]); 4] = [("MI", SINGLE), ("HH", PAIR), ("HH_jit", SINGLE), ("HpHp", PAIR)];

/// The schema `kitsune-py-100`.
pub(crate) fn schema() -> Schema {
    schema::schema("kitsune-py-100", &BLOCKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Unit;

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
