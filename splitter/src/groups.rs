//! A set of state groups: what is to be split.

use crate::SplitError;
use legonf_core::{Field, Key, KeyError, Keyed, PacketKinds, Schema, StateGroup};
use serde::Deserialize;
use std::collections::HashSet;

/// The most groups of a set.
pub const MAX_GROUPS: usize = 64;

/// The state groups of one extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSet {
    name: String,
    groups: Vec<StateGroup>,
    decays: Vec<Vec<String>>,
}

/// A group file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default, rename = "group")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    fields: Vec<String>,
    #[serde(default)]
    both_directions: bool,
    packets: Option<Vec<String>>,
    coupled: Option<String>,
    #[serde(default)]
    decays: Vec<f64>,
    #[serde(default, rename = "except")]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    packets: Vec<String>,
    fields: Vec<String>,
    #[serde(default)]
    both_directions: bool,
}

impl GroupSet {
    /// The groups of an extractor with this name.
    ///
    /// # Errors
    /// If there is none or too many, two share a name, or one has no packet or two keys for a packet.
    pub fn new(name: impl Into<String>, groups: Vec<StateGroup>) -> Result<Self, SplitError> {
        if groups.is_empty() {
            return Err(SplitError::NoGroup);
        }
        if groups.len() > MAX_GROUPS {
            return Err(SplitError::TooManyGroups(groups.len()));
        }
        let mut names = HashSet::new();
        for group in &groups {
            if !names.insert(group.name.as_str()) {
                return Err(SplitError::DuplicateGroup(group.name.clone()));
            }
            check(group)?;
        }
        let decays = vec![Vec::new(); groups.len()];
        Ok(Self { name: name.into(), groups, decays })
    }

    /// The groups of an extractor with this schema, whose features' decay rates are known.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of_schema(schema: &Schema, groups: Vec<StateGroup>) -> Result<Self, SplitError> {
        let mut set = Self::new(&schema.name, groups)?;
        for (group, decays) in set.groups.iter().zip(&mut set.decays) {
            for feature in schema.features.iter().filter(|f| f.group == group.name) {
                let decay = feature.decay.map_or_else(|| "-".into(), |d| d.to_string());
                if !decays.contains(&decay) {
                    decays.push(decay);
                }
            }
        }
        Ok(set)
    }

    /// Reads a group file: `name`, and a `[[group]]` for each group with `name`, `fields`, and where needed
    /// `both_directions`, `packets`, `coupled`, `decays`, and an `[[group.except]]` with `packets`, `fields` and
    /// `both_directions` for packets with another key.
    ///
    /// # Errors
    /// If it is not TOML, has unknown keys or fields, or the groups contradict themselves.
    pub fn from_toml(text: &str) -> Result<Self, SplitError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count();
            SplitError::Syntax { line, message: error.message().replace('\n', "; ") }
        })?;
        let decays = file.groups.iter().map(|g| g.decays.iter().map(f64::to_string).collect()).collect();
        let groups: Result<Vec<_>, _> = file.groups.iter().map(read).collect();
        Ok(Self { decays, ..Self::new(file.name, groups?)? })
    }

    /// Name of the extractor or schema.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups, in their declared order.
    pub fn groups(&self) -> &[StateGroup] {
        &self.groups
    }

    /// Decay rates of a group's features, each a state machine of its own; empty where they are not known.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn decays(&self, group: usize) -> &[String] {
        &self.decays[group]
    }

    /// Why the groups that are coupled are so, by name.
    pub fn coupled(&self) -> impl Iterator<Item = (&str, &str)> {
        self.groups.iter().filter_map(|g| Some((g.name.as_str(), g.coupled.as_deref()?)))
    }
}

fn check(group: &StateGroup) -> Result<(), SplitError> {
    let mut seen = PacketKinds::NONE;
    for keyed in &group.keys {
        let packets = keyed.packets.and(seen);
        if !packets.is_empty() {
            return Err(SplitError::Contradiction { group: group.name.clone(), packets });
        }
        if keyed.packets.is_empty() {
            return Err(SplitError::NoPacket(group.name.clone()));
        }
        seen = seen.or(keyed.packets);
    }
    if seen.is_empty() { Err(SplitError::NoPacket(group.name.clone())) } else { Ok(()) }
}

fn read(group: &Group) -> Result<StateGroup, SplitError> {
    let name = &group.name;
    let packets = group.packets.as_deref().map_or(Ok(PacketKinds::ALL), |list| kinds(name, list))?;
    let key = key(name, "fields", &group.fields, group.both_directions)?;
    let mut keys = vec![Keyed { packets, key }];
    let mut excepted = PacketKinds::NONE;
    for exception in &group.exceptions {
        let packets = kinds(name, &exception.packets)?;
        let twice = packets.and(excepted);
        if !twice.is_empty() {
            return Err(SplitError::Contradiction { group: name.clone(), packets: twice });
        }
        excepted = excepted.or(packets);
        let key = self::key(name, "except: fields", &exception.fields, exception.both_directions)?;
        keys.push(Keyed { packets, key });
    }
    keys[0].packets = packets.and(excepted.others());
    Ok(StateGroup { name: name.clone(), keys, coupled: group.coupled.clone() })
}

fn kinds(group: &str, names: &[String]) -> Result<PacketKinds, SplitError> {
    let wrong = |reason| SplitError::UnknownKind { group: group.into(), reason };
    PacketKinds::try_from(names.to_vec()).map_err(wrong)
}

fn key(group: &str, key: &str, fields: &[String], unordered: bool) -> Result<Key, SplitError> {
    let wrong = |reason: KeyError| SplitError::Key { group: group.into(), key: key.into(), reason };
    let fields: Result<Vec<Field>, _> = fields.iter().map(|f| f.parse()).collect();
    Key::new(&fields.map_err(wrong)?, unordered).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::PacketKind;

    fn refused(text: &str) -> String {
        GroupSet::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_says_what_a_declaration_says() {
        let text = "name = 'own'\n[[group]]\nname = 'pairs'\nfields = ['SrcIP', 'DstIP']\nboth_directions = true\n\
                    decays = [5, 0.1]\n[[group.except]]\npackets = ['arp']\nfields = ['SrcMAC']\n";
        let set = GroupSet::from_toml(text).unwrap();
        let pair = Key::new(&[Field::SrcIp, Field::DstIp], true).unwrap();
        let mac = Key::new(&[Field::SrcMac], false).unwrap();
        let expected = StateGroup::new("pairs", pair).except(PacketKinds::of(&[PacketKind::Arp]), mac);
        assert_eq!((set.name(), set.groups()), ("own", &[expected][..]));
        assert_eq!(set.decays(0), ["5", "0.1"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        let group = |rest: &str| format!("name = 'x'\n[[group]]\nname = 'g'\n{rest}");
        assert!(refused("name = 'x'").starts_with("there is no [[group]]"));
        assert!(
            refused(&group("fields = ['SourceIP']"))
                .contains("\"g\": fields: unknown field \"SourceIP\": expected")
        );
        assert!(refused(&group("fields = []")).contains("no fields"));
        assert!(
            refused(&group("fields = ['SrcIP']\nboth = true")).starts_with("line 5: unknown field `both`")
        );
        assert!(
            refused(&group("fields = ['SrcIP']\nboth_directions = true"))
                .contains("expected the same of source")
        );
        assert!(
            refused(&group("fields = ['SrcIP']\npackets = ['ipx']"))
                .contains("unknown kind of packet \"ipx\": expected arp")
        );
        assert!(refused(&group("fields = ['SrcIP']\npackets = []")).contains("applies to no packet"));
        let twice = "[[group.except]]\npackets = ['arp']\nfields = ['SrcMAC']\n".repeat(2);
        assert!(
            refused(&group(&format!("fields = ['SrcIP']\n{twice}"))).contains("two keys for the packets arp")
        );
        let many: String = (0..65).map(|i| format!("[[group]]\nname = '{i}'\nfields = ['VLAN']\n")).collect();
        assert_eq!(refused(&format!("name = 'x'\n{many}")), "65 groups: expected 64 at most");
        let again = group("fields = ['SrcIP']\n[[group]]\nname = 'g'\nfields = ['SrcIP']");
        assert!(refused(&again).contains("defined twice"));
    }
}
