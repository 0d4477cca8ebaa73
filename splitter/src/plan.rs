//! Split plans: which packets go where, and which groups are computed there.

use crate::lattice::{Lattice, is_included};
use crate::{GroupSet, MAX_ROUTES, SplitError};
use legonf_core::{Key, Keyed, PacketKind, PacketKinds, StateGroup};
use serde::{Deserialize, Serialize};

/// What a plan promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every answer is the single instance's, bit for bit.
    Exact,
    /// One granularity for all groups; those that it divides deviate.
    Approximate,
}

/// A group's packets whose answers come over one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// Name of the group.
    pub group: String,
    /// Kinds of packets.
    pub packets: PacketKinds,
}

/// A way into a shard: the key that decides to which of its replicas a packet goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Packets that take it.
    pub packets: PacketKinds,
    /// The key.
    pub key: Key,
    /// The groups that it keeps whole.
    pub serves: Vec<Served>,
}

/// Replicas that compute some of the groups. Usually with one route; a second is for packets with another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// The ways in, the principal one first.
    pub routes: Vec<Route>,
}

impl Shard {
    /// Names of the groups that it computes.
    pub fn groups(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for served in self.routes.iter().flat_map(|route| &route.serves) {
            if !names.contains(&served.group.as_str()) {
                names.push(&served.group);
            }
        }
        names
    }
}

/// How the traffic of one extractor is split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name of the schema or group set.
    pub schema: String,
    /// What it promises.
    pub mode: Mode,
    /// Each packet goes to one replica of each shard (for every route that it takes).
    pub shards: Vec<Shard>,
}

impl Plan {
    /// The exact plan: one shard for each maximal element of the lattice, the groups divided among the shards.
    ///
    /// A group that has a maximal key of its own for some packets stays in one shard, which gets a second route for
    /// them. A group that several maximal elements include goes to the one that has the fewest groups yet.
    pub fn exact(set: &GroupSet) -> Self {
        let lattice = Lattice::new(set);
        let mut sharding = Sharding::new(&lattice);
        set.groups().iter().for_each(|group| sharding.place(group));
        Self { schema: set.name().into(), mode: Mode::Exact, shards: sharding.shards() }
    }

    /// LEGO's plan: a single granularity, of those that Algorithm 1 gives for directed keys the one that includes the
    /// most groups.
    pub fn approximate(set: &GroupSet) -> Self {
        let lattice = Lattice::directed(set);
        let elements = lattice.elements();
        let kept =
            |at: &usize| elements.iter().filter(|e| is_included(&e.keyed, &elements[*at].keyed)).count();
        let best = lattice.granularities().into_iter().rev().max_by_key(kept);
        Self::by_key(set, best.map_or(Key::ALL, |at| elements[at].keyed.key))
    }

    /// One shard with this granularity for all groups and packets.
    pub fn by_key(set: &GroupSet, key: Key) -> Self {
        let all = |group: &StateGroup| Served { group: group.name.clone(), packets: PacketKinds::ALL };
        let serves = set.groups().iter().map(all).collect();
        let route = Route { packets: PacketKinds::ALL, key, serves };
        let shards = vec![Shard { routes: vec![route] }];
        Self { schema: set.name().into(), mode: Mode::Approximate, shards }
    }

    /// Whether some shard can only be one replica: there is a group that no split of the traffic keeps whole.
    pub fn is_whole(&self) -> bool {
        self.shards.iter().flat_map(|shard| &shard.routes).any(|route| route.key.is_empty())
    }

    /// Groups with packets whose streams the plan divides: their answers deviate.
    pub fn divided<'a>(&self, set: &'a GroupSet) -> Vec<&'a str> {
        let divided = |g: &&StateGroup| PacketKind::ALL.iter().any(|kind| self.divides(g, *kind).is_some());
        set.groups().iter().filter(divided).map(|g| g.name.as_str()).collect()
    }

    /// The key by which the plan divides a group's streams of this kind of packet, if it does.
    fn divides(&self, group: &StateGroup, kind: PacketKind) -> Option<Key> {
        let own = group.keys.iter().find(|keyed| keyed.packets.holds(kind))?;
        let routes = self.shards.iter().flat_map(|shard| &shard.routes);
        let mut serving = routes.filter(|r| r.serves.iter().any(|s| serves(s, group, kind)));
        let key = serving.next()?.key;
        let kept = if group.coupled.is_some() { key.is_empty() } else { key.follows_from(&own.key) };
        (!kept).then_some(key)
    }

    /// Checks that the plan is for this group set: that it serves every group's packets once, and keeps its promise.
    ///
    /// # Errors
    /// Names the group that is not served or divided, or the schema that the plan is for.
    pub fn check(&self, set: &GroupSet) -> Result<(), SplitError> {
        if self.schema != set.name() {
            return Err(SplitError::Schema { plan: self.schema.clone(), schema: set.name().into() });
        }
        if let Some(shard) = self.shards.iter().find(|shard| shard.routes.len() > MAX_ROUTES) {
            return Err(SplitError::Routes(shard.routes.len()));
        }
        let known = |served: &&Served| !set.groups().iter().any(|g| g.name == served.group);
        if let Some(served) = self.served().find(known) {
            return Err(SplitError::UnknownGroup(served.group.clone()));
        }
        for (group, kind) in set.groups().iter().flat_map(|g| PacketKind::ALL.map(|kind| (g, kind))) {
            self.check_group(group, kind)?;
        }
        Ok(())
    }

    fn check_group(&self, group: &StateGroup, kind: PacketKind) -> Result<(), SplitError> {
        if !group.keys.iter().any(|keyed| keyed.packets.holds(kind)) {
            return Ok(());
        }
        let routes = self.shards.iter().flat_map(|shard| &shard.routes).filter(|r| r.packets.holds(kind));
        let times = routes.flat_map(|r| &r.serves).filter(|s| serves(s, group, kind)).count();
        if times != 1 {
            return Err(SplitError::Uncovered { group: group.name.clone(), kind: kind.label(), times });
        }
        match self.divides(group, kind) {
            Some(key) if self.mode == Mode::Exact => {
                Err(SplitError::Inexact { group: group.name.clone(), key })
            }
            _ => Ok(()),
        }
    }

    fn served(&self) -> impl Iterator<Item = &Served> {
        self.shards.iter().flat_map(|shard| &shard.routes).flat_map(|route| &route.serves)
    }
}

fn serves(served: &Served, group: &StateGroup, kind: PacketKind) -> bool {
    served.group == group.name && served.packets.holds(kind)
}

/// Groups on their way to shards: a route for each maximal element.
struct Sharding<'a> {
    lattice: &'a Lattice,
    maximal: Vec<usize>,
    routes: Vec<Route>,
    /// The shard of each route, as the number of its first route.
    shard: Vec<usize>,
}

impl<'a> Sharding<'a> {
    fn new(lattice: &'a Lattice) -> Self {
        let maximal = lattice.granularities();
        let route = |e: &usize| Route {
            packets: PacketKinds::NONE,
            key: lattice.elements()[*e].keyed.key,
            serves: Vec::new(),
        };
        let routes = maximal.iter().map(route).collect();
        let shard = (0..maximal.len()).collect();
        Self { lattice, maximal, routes, shard }
    }

    /// Gives each key of a group to a maximal element that includes it, and joins these in one shard.
    fn place(&mut self, group: &StateGroup) {
        let mut first = None;
        for keyed in &group.keys {
            let key = if group.coupled.is_some() { Key::ALL } else { keyed.key };
            let Some(at) = self.choose(&Keyed { key, ..*keyed }, first) else { continue };
            let route = &mut self.routes[at];
            route.packets = route.packets.or(keyed.packets);
            match route.serves.iter_mut().find(|served| served.group == group.name) {
                Some(served) => served.packets = served.packets.or(keyed.packets),
                None => route.serves.push(Served { group: group.name.clone(), packets: keyed.packets }),
            }
            self.join(*first.get_or_insert(at), at);
        }
    }

    /// The maximal element for a key: the one of the group's other keys where possible, else that with the fewest
    /// groups.
    fn choose(&self, keyed: &Keyed, first: Option<usize>) -> Option<usize> {
        let whole = |at: &usize| &self.lattice.elements()[self.maximal[*at]].keyed;
        let including = (0..self.maximal.len()).filter(|at| is_included(keyed, whole(at)));
        including.min_by_key(|at| (Some(*at) != first, self.routes[*at].serves.len(), *at))
    }

    fn join(&mut self, one: usize, other: usize) {
        let (from, to) = (self.shard[one].max(self.shard[other]), self.shard[one].min(self.shard[other]));
        self.shard.iter_mut().filter(|shard| **shard == from).for_each(|shard| *shard = to);
    }

    fn shards(self) -> Vec<Shard> {
        let Self { routes, shard, .. } = self;
        let mut shards: Vec<(usize, Shard)> = Vec::new();
        for (route, number) in routes.into_iter().zip(shard).filter(|(route, _)| !route.serves.is_empty()) {
            match shards.iter_mut().find(|(n, _)| *n == number) {
                Some((_, shard)) => shard.routes.push(route),
                None => shards.push((number, Shard { routes: vec![route] })),
            }
        }
        shards.into_iter().map(|(_, shard)| shard).collect()
    }
}
