//! What a capture says about the hosts in it.

use super::permutation::Kind;
use legonf_core::{Headers, Mac};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

/// The most addresses of a capture that are told apart; a flood's further sources are not looked at.
pub(super) const MAX_ADDRESSES: usize = 1 << 16;

/// Addresses of a capture in the order in which they appear.
#[derive(Debug, Default)]
pub(super) struct Census {
    seen: HashMap<IpAddr, Seen>,
    /// Source addresses by the MAC that sent them.
    senders: BTreeMap<Mac, HashSet<IpAddr>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    order: usize,
    packets: u64,
    mac: Option<Mac>,
}

impl Census {
    /// Counts one packet in.
    pub(super) fn count(&mut self, headers: &Headers) {
        let (src, dst) = (headers.outer.src, headers.outer.dst);
        if let Some(src) = src.filter(|a| Kind::of(*a).is_some()) {
            let mac = headers.link.map(|l| l.src);
            if let Some(seen) = self.see(src) {
                seen.mac = seen.mac.or(mac);
                self.senders.entry(mac.unwrap_or_default()).or_default().insert(src);
            }
        }
        if let Some(dst) = dst.filter(|a| Kind::of(*a).is_some()) {
            self.see(dst);
        }
    }

    fn see(&mut self, address: IpAddr) -> Option<&mut Seen> {
        let order = self.seen.len();
        if order >= MAX_ADDRESSES && !self.seen.contains_key(&address) {
            return None;
        }
        let seen = self.seen.entry(address).or_insert(Seen { order, packets: 0, mac: None });
        seen.packets += 1;
        Some(seen)
    }

    /// Every address, that of most packets first; among equals the first seen.
    pub(super) fn busiest(&self) -> Vec<IpAddr> {
        let mut all: Vec<_> = self.seen.iter().collect();
        all.sort_by_key(|(_, seen)| (std::cmp::Reverse(seen.packets), seen.order));
        all.into_iter().map(|(address, _)| *address).collect()
    }

    /// The hosts of the network in which the capture was taken.
    pub(super) fn hosts(&self) -> Hosts {
        let gateway = self.gateway();
        let mut senders: Vec<_> = self.seen.iter().filter_map(|(a, s)| Some((s.order, *a, s.mac?))).collect();
        senders.sort_unstable_by_key(|(order, ..)| *order);
        let is_local = |address: IpAddr, mac: Mac| {
            matches!(Kind::of(address), Some(Kind::Private4 | Kind::LinkLocal6)) || mac != gateway
        };
        let local = senders.iter().filter(|(_, a, mac)| is_local(*a, *mac));
        Hosts { gateway, macs: local.map(|(_, a, mac)| (*a, *mac)).collect() }
    }

    /// The MAC behind which most addresses are; among equals the lowest.
    fn gateway(&self) -> Mac {
        let most = self.senders.iter().rev().max_by_key(|(_, addresses)| addresses.len());
        most.map_or(Mac([2, 0, 0, 0, 0, 1]), |(mac, _)| *mac)
    }
}

/// The hosts of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hosts {
    /// MAC of the router to everywhere else.
    pub(super) gateway: Mac,
    /// Address and MAC of each host, in the order in which they appear.
    pub(super) macs: Vec<(IpAddr, Mac)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Layer, Link};

    fn packet(mac: u8, src: &str, dst: &str) -> Headers {
        Headers {
            link: Some(Link { src: Mac([mac; 6]), ..Link::default() }),
            outer: Layer {
                src: Some(src.parse().unwrap()),
                dst: Some(dst.parse().unwrap()),
                ..Layer::default()
            },
            ..Headers::default()
        }
    }

    #[test]
    fn hosts_are_private_or_not_behind_the_gateway() {
        let mut census = Census::default();
        for (mac, src, dst) in [
            (2, "192.168.2.5", "8.8.8.8"),
            (4, "8.8.8.8", "192.168.2.5"),
            (4, "1.1.1.1", "192.168.2.5"),
            (4, "192.168.2.1", "255.255.255.255"),
            (6, "2001:db8::6", "ff02::1"),
        ] {
            census.count(&packet(mac, src, dst));
        }
        let hosts = census.hosts();
        let names: Vec<_> = hosts.macs.iter().map(|(a, m)| (a.to_string(), m.0[0])).collect();
        assert_eq!(
            names,
            [("192.168.2.5".to_owned(), 2), ("192.168.2.1".into(), 4), ("2001:db8::6".into(), 6)]
        );
        assert_eq!(hosts.gateway, Mac([4; 6]));
        assert_eq!(census.busiest()[0].to_string(), "192.168.2.5");
        assert_eq!(census.busiest()[1].to_string(), "8.8.8.8");
    }
}
