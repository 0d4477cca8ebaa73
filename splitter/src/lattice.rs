//! Relations between the keys of state groups, and the granularities (LEGO §III-A, Algorithm 1).

use crate::GroupSet;
use legonf_core::{Key, Keyed, PacketKinds, StateGroup};
use serde::Serialize;
use std::fmt;

/// How one granularity stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// They are the same.
    Equal,
    /// The other is included in it: a split by it keeps the other's streams whole.
    Includes,
    /// It is included in the other.
    Included,
    /// Neither includes the other, and they share packets: no split by one keeps the other's streams whole.
    Overlaps,
    /// They share no packet.
    Apart,
}

impl Relation {
    /// The sign in tables.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Includes => "⊃",
            Self::Included => "⊂",
            Self::Overlaps => "∩",
            Self::Apart => "–",
        }
    }
}

/// A granularity: a key, the packets that it applies to, and the groups that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Packets and their key.
    pub keyed: Keyed,
    /// Numbers of the groups that are keyed so, in order.
    pub groups: Vec<usize>,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keyed { packets, key } = self.keyed;
        key.fmt(f)?;
        if packets.others().is_empty() { Ok(()) } else { write!(f, " ({packets})") }
    }
}

/// Whether a split by `whole` keeps all packets with an equal key of `part` together.
pub fn is_included(part: &Keyed, whole: &Keyed) -> bool {
    part.packets.within(whole.packets) && whole.key.follows_from(&part.key)
}

/// The relation of one granularity to another.
pub fn relation(one: &Keyed, other: &Keyed) -> Relation {
    match (is_included(other, one), is_included(one, other)) {
        (true, true) => Relation::Equal,
        (true, false) => Relation::Includes,
        (false, true) => Relation::Included,
        (false, false) if one.packets.and(other.packets).is_empty() => Relation::Apart,
        (false, false) => Relation::Overlaps,
    }
}

/// The partial order of a group set's granularities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lattice {
    elements: Vec<Element>,
}

impl Lattice {
    /// The granularities of these groups; a coupled group has that of all packets.
    pub fn new(set: &GroupSet) -> Self {
        let of_group = |group: &StateGroup| -> Vec<Keyed> {
            let key = |own| if group.coupled.is_some() { Key::ALL } else { own };
            group.keys.iter().map(|keyed| Keyed { key: key(keyed.key), ..*keyed }).collect()
        };
        Self::of(set, of_group)
    }

    /// The granularities as LEGO has them: the directed principal keys, what depends on the other direction, on other
    /// streams or on the kind of packet left aside.
    pub fn directed(set: &GroupSet) -> Self {
        let of_group = |group: &StateGroup| -> Vec<Keyed> {
            let principal = group.keys.iter().take(1);
            principal.map(|k| Keyed { packets: PacketKinds::ALL, key: k.key.directed() }).collect()
        };
        Self::of(set, of_group)
    }

    fn of(set: &GroupSet, keys: impl Fn(&StateGroup) -> Vec<Keyed>) -> Self {
        let mut elements: Vec<Element> = Vec::new();
        for (number, group) in set.groups().iter().enumerate() {
            for keyed in keys(group) {
                match elements.iter_mut().find(|e| e.keyed == keyed) {
                    Some(element) if element.groups.contains(&number) => {}
                    Some(element) => element.groups.push(number),
                    None => elements.push(Element { keyed, groups: vec![number] }),
                }
            }
        }
        Self { elements }
    }

    /// The granularities, in the order in which groups declare them.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The relation of element `one` to element `other`.
    ///
    /// # Panics
    /// If there are no such elements.
    pub fn relation(&self, one: usize, other: usize) -> Relation {
        relation(&self.elements[one].keyed, &self.elements[other].keyed)
    }

    /// Algorithm 1's edges: from each element to those that are included in it.
    pub fn edges(&self) -> Vec<(usize, usize)> {
        let all = 0..self.elements.len();
        let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
        pairs.filter(|(a, b)| self.relation(*a, *b) == Relation::Includes).collect()
    }

    /// The edges that no others imply, for drawing.
    pub fn covers(&self) -> Vec<(usize, usize)> {
        let includes = |a, b| self.relation(a, b) == Relation::Includes;
        let implied = |(a, b): &(usize, usize)| {
            (0..self.elements.len()).any(|via| includes(*a, via) && includes(via, *b))
        };
        self.edges().into_iter().filter(|edge| !implied(edge)).collect()
    }

    /// Algorithm 1's in-degrees: how many elements each is included in.
    pub fn in_degrees(&self) -> Vec<usize> {
        let mut degrees = vec![0; self.elements.len()];
        self.edges().iter().for_each(|(_, to)| degrees[*to] += 1);
        degrees
    }

    /// Algorithm 1's result: the elements with in-degree 0, which no other includes.
    pub fn granularities(&self) -> Vec<usize> {
        let degrees = self.in_degrees();
        (0..degrees.len()).filter(|element| degrees[*element] == 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Field, PacketKind};

    fn key(fields: &[Field], unordered: bool) -> Key {
        Key::new(fields, unordered).unwrap()
    }

    fn names(lattice: &Lattice) -> Vec<String> {
        lattice.granularities().iter().map(|e| lattice.elements()[*e].to_string()).collect()
    }

    /// The four groups of LEGO §III-A.
    fn lego() -> GroupSet {
        use Field::{DstIp, DstPort, SrcIp, SrcMac, SrcPort};
        let group = |name, fields: &[Field]| StateGroup::new(name, key(fields, false));
        let groups = vec![
            group("SrcMAC-SrcIP", &[SrcMac, SrcIp]),
            group("SrcIP", &[SrcIp]),
            group("SrcIP-DstIP", &[SrcIp, DstIp]),
            group("Socket", &[SrcIp, SrcPort, DstIp, DstPort]),
        ];
        GroupSet::new("lego", groups).unwrap()
    }

    #[test]
    fn algorithm_1_gives_the_papers_answer_for_its_groups() {
        let lattice = Lattice::new(&lego());
        assert_eq!(names(&lattice), ["SrcIP"]);
        assert_eq!(lattice.in_degrees(), [1, 0, 1, 2]);
        assert_eq!(lattice.edges(), [(1, 0), (1, 2), (1, 3), (2, 3)]);
        assert_eq!(lattice.covers(), [(1, 0), (1, 2), (2, 3)]);
        assert_eq!(lattice.relation(0, 2), Relation::Overlaps);
    }

    #[test]
    fn reading_both_directions_gives_a_second_granularity() {
        let pair = StateGroup::new("HH", key(&[Field::SrcIp, Field::DstIp], true));
        let set = GroupSet::new("x", [lego().groups().to_vec(), vec![pair]].concat()).unwrap();
        assert_eq!(names(&Lattice::new(&set)), ["SrcIP", "{IP, IP}"]);
        assert_eq!(names(&Lattice::directed(&set)), ["SrcIP"]);
    }

    #[test]
    fn packets_with_another_key_are_a_granularity_of_their_own() {
        let arp = PacketKinds::of(&[PacketKind::Arp]);
        let groups = vec![
            StateGroup::new("HH", key(&[Field::SrcIp, Field::DstIp], true)),
            StateGroup::new("HpHp", key(&[Field::SrcIp, Field::DstIp], true))
                .except(arp, key(&[Field::SrcMac, Field::DstMac], true)),
        ];
        let lattice = Lattice::new(&GroupSet::new("x", groups).unwrap());
        assert_eq!(names(&lattice), ["{IP, IP}", "{MAC, MAC} (arp)"]);
        assert_eq!(lattice.relation(1, 2), Relation::Apart);
    }

    #[test]
    fn a_coupled_group_takes_all_packets() {
        let source = StateGroup::new("H", key(&[Field::SrcIp], false));
        let set = GroupSet::new(
            "x",
            vec![source.clone(), StateGroup { name: "HH".into(), ..source.coupled("links") }],
        );
        assert_eq!(names(&Lattice::new(&set.unwrap())), ["all packets"]);
    }
}
