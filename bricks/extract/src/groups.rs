//! The state groups of the schemas: by which keys an extractor's streams are told apart.

use crate::{ExtractError, Shard};
use legonf_core::{Field, Key, PacketKind, PacketKinds, StateGroup};

/// The state groups of the schema of this name, as its extractor keeps them.
///
/// # Errors
/// If there is no such schema; the message lists those that exist.
pub fn state_groups(schema: &str) -> Result<Vec<StateGroup>, ExtractError> {
    match schema {
        "kitsune-115" | "kitsune-115-clean" => Ok(kitsune_115()),
        "kitsune-py-100" => Ok(kitsune_py_100()),
        _ => Err(ExtractError::UnknownSchema { name: schema.into() }),
    }
}

/// The parts of an extractor that compute some groups.
pub fn shards_of(groups: &[&str]) -> Vec<Shard> {
    let computes = |shard: &Shard, group: &str| match shard {
        Shard::Sources => matches!(group, "MI" | "H"),
        Shard::Channels => matches!(group, "HH" | "HH_jit"),
        Shard::Sockets => group == "HpHp",
    };
    Shard::ALL.into_iter().filter(|shard| groups.iter().any(|group| computes(shard, group))).collect()
}

/// MI and H go by the source. The others keep both directions of a pair in one record: HH and HpHp compare them, and
/// HH_jit is part of HH's record. The sockets of ARP are MACs.
fn kitsune_115() -> Vec<StateGroup> {
    use Field::{DstIp, DstMac, DstPort, SrcIp, SrcMac, SrcPort};
    let arp = PacketKinds::of(&[PacketKind::Arp]);
    let sockets = StateGroup::new("HpHp", key(&[SrcIp, SrcPort, DstIp, DstPort], true));
    vec![
        StateGroup::new("MI", key(&[SrcMac, SrcIp], false)),
        StateGroup::new("H", key(&[SrcIp], false)),
        StateGroup::new("HH", key(&[SrcIp, DstIp], true)),
        StateGroup::new("HH_jit", key(&[SrcIp, DstIp], true)),
        sockets.except(arp, key(&[SrcMac, DstMac], true)),
    ]
}

/// Every packet of a source touches the streams of all its peers.
fn kitsune_py_100() -> Vec<StateGroup> {
    use Field::{DstIp, SrcIp, SrcMac, SrcPort};
    let linked = "a packet updates its source's links with all peers and ages their streams";
    let glued = "keys are texts put together without a separator, so that different pairs can be one stream";
    vec![
        StateGroup::new("MI", key(&[SrcMac, SrcIp], false)),
        StateGroup::new("HH", key(&[SrcIp], false)).coupled(linked),
        StateGroup::new("HH_jit", key(&[SrcIp, DstIp], false)).coupled(glued),
        StateGroup::new("HpHp", key(&[SrcIp, SrcPort], false)).coupled(linked),
    ]
}

fn key(fields: &[Field], unordered: bool) -> Key {
    Key::new(fields, unordered).expect("the fields above are distinct, and pairs have both ends")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SCHEMAS, schema_by_name};
    use std::collections::BTreeSet;

    #[test]
    fn every_feature_has_a_group_and_every_group_features() {
        for name in SCHEMAS {
            let (schema, groups) = (schema_by_name(name).unwrap(), state_groups(name).unwrap());
            let of_features: BTreeSet<_> = schema.features.iter().map(|f| f.group.as_str()).collect();
            let declared: BTreeSet<_> = groups.iter().map(|g| g.name.as_str()).collect();
            assert_eq!(of_features, declared, "{name}");
        }
        assert!(state_groups("nothing").is_err());
    }

    #[test]
    fn the_parts_that_compute_groups_have_their_columns() {
        let limits = crate::Limits::default();
        for groups in [&["MI", "H"][..], &["HH", "HH_jit", "HpHp"], &["HpHp", "MI"]] {
            let shards = shards_of(groups);
            let part = crate::build_shards("kitsune-115", limits, &shards).unwrap();
            let columns: Vec<_> = part.schema().features.iter().map(|f| f.name.clone()).collect();
            let whole = schema_by_name("kitsune-115").unwrap();
            let of_groups = whole
                .features
                .iter()
                .filter(|f| groups.contains(&f.group.as_str()) || (f.group == "H" && groups.contains(&"MI")));
            assert_eq!(columns, of_groups.map(|f| f.name.clone()).collect::<Vec<_>>());
        }
    }
}
