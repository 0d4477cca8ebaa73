//! Names, groups and units of the 115 columns (kitsune-115.md §2).

use super::Variant;
use crate::Shard;
use crate::schema::{self, SINGLE};
use crate::shard::Shards;
use legonf_core::Schema;

/// Number of columns.
#[cfg(test)]
const WIDTH: usize = 115;

const PAIR: &[&str] = &["weight", "mean", "std", "magnitude", "radius", "cov", "pcc"];
const BLOCKS: [(&str, &[&str]); 5] =
    [("MI", SINGLE), ("H", SINGLE), ("HH", PAIR), ("HH_jit", SINGLE), ("HpHp", PAIR)];

/// The schema of a variant: `kitsune-115` or `kitsune-115-clean`.
pub(crate) fn schema(variant: Variant) -> Schema {
    schema::schema(variant.name(), &BLOCKS)
}

/// The columns of some shards.
pub(crate) fn of_shards(mut schema: Schema, shards: Shards) -> Schema {
    let shard = |group: &str| match group {
        "MI" | "H" => Shard::Sources,
        "HpHp" => Shard::Sockets,
        _ => Shard::Channels,
    };
    schema.features.retain(|feature| shards.has(shard(&feature.group)));
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Unit;
    use std::collections::HashSet;

    #[test]
    fn columns_are_in_the_published_order() {
        let schema = schema(Variant::Published);
        let at = |i: usize| schema.features[i].name.as_str();
        assert_eq!((at(0), at(14), at(15)), ("MI_L5_weight", "MI_L0.01_var", "H_L5_weight"));
        assert_eq!((at(35), at(65), at(79)), ("HH_L5_cov", "HH_jit_L5_weight", "HH_jit_L0.01_var"));
        assert_eq!((at(80), at(107), at(114)), ("HpHp_L5_weight", "HpHp_L0.1_pcc", "HpHp_L0.01_pcc"));
        let names: HashSet<_> = schema.features.iter().map(|f| &f.name).collect();
        assert_eq!((schema.len(), names.len()), (WIDTH, WIDTH));
        for shard in Shard::ALL {
            let shards = Shards::of(&[shard]);
            assert_eq!(of_shards(schema.clone(), shards).len(), shards.width());
        }
    }

    #[test]
    fn the_variants_differ_in_name_and_hash() {
        let (published, clean) = (schema(Variant::Published), schema(Variant::Clean));
        assert_eq!(published.features, clean.features);
        assert_ne!(published.hash(), clean.hash());
    }

    #[test]
    fn jitter_is_in_seconds_and_radius_in_squares() {
        let schema = schema(Variant::Published);
        let unit = |name: &str| schema.features.iter().find(|f| f.name == name).unwrap().unit;
        assert_eq!((unit("HH_jit_L1_mean"), unit("HH_jit_L1_var")), (Unit::Seconds, Unit::SecondsSquared));
        assert_eq!((unit("HpHp_L1_radius"), unit("MI_L1_mean")), (Unit::BytesSquared, Unit::Bytes));
    }
}
