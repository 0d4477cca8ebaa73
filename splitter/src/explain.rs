//! Why a plan is as it is: the relations, the in-degrees, the granularities and what follows.

use crate::{GroupSet, Lattice, Mode, Plan, Relation};
use serde::Serialize;
use std::fmt::{self, Write};

/// A granularity with its place in the lattice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Granularity {
    /// Its key, and its packets where these are not all.
    pub name: String,
    /// The groups that have it.
    pub groups: Vec<String>,
    /// How many granularities include it (Algorithm 1).
    pub in_degree: usize,
    /// Its relation to each granularity, in order.
    pub relations: Vec<Relation>,
}

/// A group whose streams depend on one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coupled {
    /// Name of the group.
    pub group: String,
    /// Why.
    pub reason: String,
}

/// A part of the features that can be computed apart from all others, by replicas that see every packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Name of the group.
    pub group: String,
    /// Its decay rates, each apart from the others; empty where they are not known.
    pub decays: Vec<String>,
}

/// What was found out about a group set, and the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Name of the schema or group set.
    pub schema: String,
    /// The granularities, in the order in which groups declare them.
    pub granularities: Vec<Granularity>,
    /// Algorithm 1's result: those with in-degree 0.
    pub result: Vec<String>,
    /// Groups that no split of the traffic keeps whole.
    pub coupled: Vec<Coupled>,
    /// What is computed apart whatever the traffic, where the traffic cannot be split.
    pub parts: Vec<Part>,
    /// The plan.
    pub plan: Plan,
    /// Groups whose streams the plan divides.
    pub divided: Vec<String>,
}

/// Explains a plan for a group set.
pub fn explain(set: &GroupSet, plan: Plan) -> Explanation {
    let lattice = match plan.mode {
        Mode::Exact => Lattice::new(set),
        Mode::Approximate => Lattice::directed(set),
    };
    let result = lattice.granularities().iter().map(|e| lattice.elements()[*e].to_string()).collect();
    let coupled =
        set.coupled().map(|(group, why)| Coupled { group: group.into(), reason: why.into() }).collect();
    Explanation {
        schema: set.name().into(),
        granularities: granularities(set, &lattice),
        result,
        coupled,
        parts: if plan.is_whole() { parts(set) } else { Vec::new() },
        divided: plan.divided(set).into_iter().map(str::to_owned).collect(),
        plan,
    }
}

fn granularities(set: &GroupSet, lattice: &Lattice) -> Vec<Granularity> {
    let elements = lattice.elements();
    let degrees = lattice.in_degrees();
    let describe = |at: usize| Granularity {
        name: elements[at].to_string(),
        groups: elements[at].groups.iter().map(|g| set.groups()[*g].name.clone()).collect(),
        in_degree: degrees[at],
        relations: (0..elements.len()).map(|other| lattice.relation(at, other)).collect(),
    };
    (0..elements.len()).map(describe).collect()
}

fn parts(set: &GroupSet) -> Vec<Part> {
    let part = |(at, group): (usize, &legonf_core::StateGroup)| Part {
        group: group.name.clone(),
        decays: set.decays(at).to_vec(),
    };
    set.groups().iter().enumerate().map(part).collect()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f)?;
        writeln!(f, "\ngranularities (in-degree 0): {}", self.result.join(" and "))?;
        for Coupled { group, reason } in &self.coupled {
            writeln!(f, "{group} is coupled: {reason}")?;
        }
        if self.plan.is_whole() { self.whole(f) } else { self.shards(f) }
    }
}

impl Explanation {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.granularities.iter().map(|g| g.name.chars().count()).max().unwrap_or(0).max(11);
        write!(f, "{}\n\n   {:width$}  in-degree", self.schema, "granularity")?;
        (1..=self.granularities.len()).try_for_each(|n| write!(f, " {n:>2}"))?;
        writeln!(f, "  groups")?;
        for (at, g) in self.granularities.iter().enumerate() {
            write!(f, "{:>2} {:width$}  {:>9}", at + 1, g.name, g.in_degree)?;
            g.relations.iter().try_for_each(|r| write!(f, "  {}", r.sign()))?;
            writeln!(f, "  {}", g.groups.join(", "))?;
        }
        writeln!(
            f,
            "\n⊃ includes   ⊂ is included   ∩ overlaps: neither keeps the other whole   – no packet in common"
        )
    }

    fn shards(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.plan.shards.len();
        match self.plan.mode {
            Mode::Exact if count == 1 => writeln!(f, "exact plan: one result, so one shard")?,
            Mode::Exact => writeln!(
                f,
                "exact plan: {count} shards; each packet goes to one replica of each, the parts are joined by arrival number"
            )?,
            Mode::Approximate => writeln!(f, "approximate plan: a single granularity")?,
        }
        for (at, shard) in self.plan.shards.iter().enumerate() {
            writeln!(f, "  shard {}: {}", at + 1, shard.groups().join(", "))?;
            for route in &shard.routes {
                writeln!(f, "    {} packets by {}{}", route.packets, route.key, answers(shard, route))?;
            }
        }
        match self.divided[..] {
            [] => Ok(()),
            _ => writeln!(f, "not exact: it divides streams of {}", self.divided.join(", ")),
        }
    }

    fn whole(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no split of the traffic is exact, short of near-full replication: one instance must see all packets"
        )?;
        let counts = self.parts.iter().map(|part| part.decays.len().max(1));
        writeln!(
            f,
            "what is: by table and decay rate. Every packet to up to {} replicas, each of which computes its own part:",
            counts.sum::<usize>()
        )?;
        for part in &self.parts {
            let decays = part.decays.join(", ");
            let rates = if decays.is_empty() { String::new() } else { format!(" at each of {decays}") };
            writeln!(f, "  {}{rates}", part.group)?;
        }
        writeln!(f, "or, not exactly, a single granularity: --approximate")
    }
}

/// For a shard with several routes, which groups' answers a route gives.
fn answers(shard: &crate::Shard, route: &crate::Route) -> String {
    let mut text = String::new();
    if shard.routes.len() > 1 {
        let groups: Vec<_> = route.serves.iter().map(|s| s.group.as_str()).collect();
        // Writing to a String cannot fail.
        let _ = write!(text, ", for {}", groups.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Field, Key, StateGroup};

    fn set() -> GroupSet {
        let key = |fields: &[Field], unordered| Key::new(fields, unordered).unwrap();
        let source = StateGroup::new("H", key(&[Field::SrcIp], false));
        let pair = StateGroup::new("HH", key(&[Field::SrcIp, Field::DstIp], true));
        GroupSet::new("own", vec![source, pair]).unwrap()
    }

    #[test]
    fn the_text_names_relations_degrees_and_shards() {
        let text = explain(&set(), Plan::exact(&set())).to_string();
        for words in [
            "granularities (in-degree 0): SrcIP and {IP, IP}",
            " 1 SrcIP                0  =  ∩  H\n",
            "exact plan: 2 shards",
            "  shard 2: HH\n    all packets by {IP, IP}\n",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }

    #[test]
    fn what_deviates_is_said() {
        let text = explain(&set(), Plan::approximate(&set())).to_string();
        assert!(text.contains("all packets by SrcIP\nnot exact: it divides streams of HH\n"), "{text}");
    }

    #[test]
    fn what_cannot_be_split_is_offered_otherwise() {
        let text =
            "name = 'x'\n[[group]]\nname = 'HH'\nfields = ['SrcIP']\ncoupled = 'links'\ndecays = [5, 1]";
        let set = GroupSet::from_toml(text).unwrap();
        let text = explain(&set, Plan::exact(&set)).to_string();
        for words in [
            "HH is coupled: links",
            "no split of the traffic is exact",
            "up to 2 replicas",
            "HH at each of 5, 1",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }
}
