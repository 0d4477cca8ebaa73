//! Where the addresses of an attack go in the benign network.

use super::hosts::Hosts;
use super::permutation::{Kind, Permutation};
use legonf_core::Mac;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// A bijection of addresses: a table for those that become hosts, a seeded permutation for all others.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    forward: HashMap<IpAddr, IpAddr>,
    backward: HashMap<IpAddr, IpAddr>,
    permutation: Permutation,
    macs: HashMap<IpAddr, Mac>,
    gateway: Mac,
    /// The busiest addresses with the hosts that they become, in that order.
    chosen: Vec<(IpAddr, IpAddr)>,
}

/// The hosts that an address may become: of the same scope, whether private or not.
fn scope(address: IpAddr) -> Option<Kind> {
    Kind::of(address).map(|kind| if kind == Kind::Private4 { Kind::Public4 } else { kind })
}

impl Mapping {
    /// Maps the first of `busiest` onto hosts in an order drawn from `random`, as far as there are hosts.
    pub(super) fn new(busiest: &[IpAddr], hosts: &Hosts, random: &mut Xoshiro256PlusPlus) -> Self {
        let permutation = Permutation::new(random);
        let mut all: Vec<_> = hosts.macs.iter().map(|(address, _)| *address).collect();
        shuffle(&mut all, random);
        let mut free: BTreeMap<_, Vec<IpAddr>> = BTreeMap::new();
        all.into_iter().for_each(|host| free.entry(scope(host)).or_default().push(host));
        let mut this = Self {
            forward: HashMap::new(),
            backward: HashMap::new(),
            permutation,
            macs: hosts.macs.iter().copied().collect(),
            gateway: hosts.gateway,
            chosen: Vec::new(),
        };
        for &from in busiest {
            if let Some(to) = free.get_mut(&scope(from)).and_then(Vec::pop) {
                this.enter(from, to);
                this.chosen.push((from, to));
            }
        }
        free.into_values().flatten().for_each(|host| this.keep_apart(host));
        this
    }

    fn enter(&mut self, from: IpAddr, to: IpAddr) {
        self.forward.insert(from, to);
        self.backward.insert(to, from);
    }

    /// Closes the chain that leads away from a host that nobody became, so that no other address becomes it.
    fn keep_apart(&mut self, host: IpAddr) {
        let mut end = host;
        while let Some(next) = self.forward.get(&end) {
            end = *next;
        }
        self.enter(end, host);
    }

    /// Where an address goes. What the table takes from the permutation's images is made up for by following on
    /// from the address in whose place it is, so that the whole stays a bijection.
    pub(super) fn ip(&self, address: IpAddr) -> IpAddr {
        if let Some(to) = self.forward.get(&address) {
            return *to;
        }
        let mut to = self.permutation.apply(address);
        while let Some(from) = self.backward.get(&to) {
            to = self.permutation.apply(*from);
        }
        to
    }

    /// The MAC that frames of or for a mapped address bear: the host's own, or the gateway's.
    pub(super) fn mac(&self, mapped: IpAddr) -> Mac {
        self.macs.get(&mapped).copied().unwrap_or(self.gateway)
    }

    /// The busiest addresses with the hosts that they become.
    pub(super) fn chosen(&self) -> &[(IpAddr, IpAddr)] {
        &self.chosen
    }
}

/// Fisher and Yates' shuffle.
fn shuffle<T>(items: &mut [T], random: &mut Xoshiro256PlusPlus) {
    for last in (1..items.len()).rev() {
        let pick = ((u128::from(random.next_u64()) * (last as u128 + 1)) >> 64) as usize;
        items.swap(last, pick);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_xoshiro::rand_core::SeedableRng;
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    pub(in super::super) fn mapping<S: AsRef<str>>(busiest: &[S], hosts: &[S], seed: u64) -> Mapping {
        let parse = |list: &[S]| list.iter().map(|t| t.as_ref().parse().unwrap()).collect::<Vec<IpAddr>>();
        let macs = parse(hosts).into_iter().zip(1..).map(|(a, i)| (a, Mac([2, 0, 0, 0, 0, i]))).collect();
        let hosts = Hosts { gateway: Mac([2, 9, 9, 9, 9, 9]), macs };
        Mapping::new(&parse(busiest), &hosts, &mut Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    #[test]
    fn busy_addresses_become_hosts_of_their_scope() {
        let hosts = ["192.168.1.2", "192.168.1.3", "fe80::2", "2001:db8::2"];
        let m = mapping(&["6.6.6.6", "2001:db8:6::6", "10.0.0.9", "7.7.7.7"], &hosts, 1);
        let to = |text: &str| m.ip(text.parse().unwrap());
        let pair = HashSet::from([to("6.6.6.6"), to("10.0.0.9")]);
        assert_eq!(pair, hosts[..2].iter().map(|t| t.parse().unwrap()).collect());
        assert_eq!(to("2001:db8:6::6").to_string(), "2001:db8::2");
        assert_eq!(m.mac(to("2001:db8:6::6")), Mac([2, 0, 0, 0, 0, 4]));
        assert_eq!(m.mac(to("7.7.7.7")), Mac([2, 9, 9, 9, 9, 9]));
        assert_eq!(m.chosen().len(), 3);
    }

    proptest! {
        /// Attackers and hosts overlap, so that chains and cycles occur.
        #[test]
        fn no_two_addresses_become_one(
            busiest in prop::collection::hash_set(0..40_u32, 0..12),
            hosts in prop::collection::hash_set(0..40_u32, 0..20),
            seed: u64,
        ) {
            let text = |i: &u32| Ipv4Addr::from_bits(0xc0a8_0100 + i).to_string();
            let (busiest, hosts): (Vec<_>, Vec<_>) =
                (busiest.iter().map(text).collect(), hosts.iter().map(text).collect());
            let m = mapping(&busiest, &hosts, seed);
            let all: HashSet<_> =
                (0..2000).map(|i| m.ip(Ipv4Addr::from_bits(0xc0a8_0000 + i).into())).collect();
            prop_assert_eq!(all.len(), 2000);
            let count = m.chosen().len();
            prop_assert_eq!(count, busiest.len().min(hosts.len()));
        }
    }
}
