//! Random group sets.
#![allow(dead_code, clippy::unwrap_used)]

use legonf_core::{End, Key, Keyed, PacketKind, PacketKinds, StateGroup};
use legonf_splitter::GroupSet;
use proptest::prelude::*;

fn end() -> impl Strategy<Value = End> {
    (any::<bool>(), prop::sample::select(vec![0, 0, 8, 24, End::WHOLE]), any::<bool>())
        .prop_map(|(mac, ip, port)| End { mac, ip, port })
}

/// Any key, that of all packets included.
pub fn key() -> impl Strategy<Value = Key> {
    (end(), end(), any::<(bool, bool, bool, bool)>()).prop_map(
        |(src, dst, (protocol, vlan, tunnel, unordered))| {
            let unordered = unordered && !src.is_empty();
            Key { src, dst: if unordered { src } else { dst }, protocol, vlan, tunnel, unordered }
        },
    )
}

fn kinds() -> impl Strategy<Value = PacketKinds> {
    prop::sample::subsequence(PacketKind::ALL.to_vec(), 1..4).prop_map(|kinds| PacketKinds::of(&kinds))
}

fn group(number: usize) -> impl Strategy<Value = StateGroup> {
    let coupled = prop::option::weighted(0.05, Just("why".to_owned()));
    (key(), prop::option::of((kinds(), key())), prop::option::of(kinds()), coupled).prop_map(
        move |(key, other, only, coupled)| {
            let mut group = StateGroup::new(format!("g{number}"), key);
            if let Some((kinds, key)) = other {
                group = group.except(kinds, key);
            }
            if let Some(only) = only {
                let limited = |k: &Keyed| Keyed { packets: k.packets.and(only), ..*k };
                let keys: Vec<_> = group.keys.iter().map(limited).filter(|k| !k.packets.is_empty()).collect();
                group.keys = keys;
            }
            StateGroup { coupled, ..group }
        },
    )
}

/// Up to six groups.
pub fn group_set() -> impl Strategy<Value = GroupSet> {
    (1..6usize)
        .prop_flat_map(|count| (0..count).map(group).collect::<Vec<_>>())
        .prop_map(|groups| GroupSet::new("random", groups).unwrap())
}
