//! A seeded permutation of addresses that keeps their kind: public stays public, private stays private.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ROUNDS: usize = 4;

/// Kinds of addresses among which a rewritten one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// IPv4 of RFC 1918.
    Private4,
    /// Other IPv4 addresses of one host.
    Public4,
    /// IPv6 with link scope.
    LinkLocal6,
    /// Other IPv6 addresses of one host.
    Global6,
}

impl Kind {
    /// The kind of an address; `None` for one that means the same in every network (multicast, broadcast,
    /// loopback, unspecified, IPv4's 0.0.0.0/8 and 169.254.0.0/16).
    pub(super) fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(a) if is_special4(a) => None,
            IpAddr::V4(a) if a.is_private() => Some(Self::Private4),
            IpAddr::V4(_) => Some(Self::Public4),
            IpAddr::V6(a) if a.is_multicast() || a.is_loopback() || a.is_unspecified() => None,
            IpAddr::V6(a) if a.is_unicast_link_local() => Some(Self::LinkLocal6),
            IpAddr::V6(_) => Some(Self::Global6),
        }
    }
}

fn is_special4(a: Ipv4Addr) -> bool {
    a.octets()[0] == 0 || a.octets()[0] >= 224 || a.is_loopback() || a.is_link_local()
}

/// The permutation: a Feistel network over the address (IPv6: over its interface identifier), walked on until
/// the kind is the same again.
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    keys: [u64; ROUNDS],
}

impl Permutation {
    pub(super) fn new(random: &mut Xoshiro256PlusPlus) -> Self {
        Self { keys: std::array::from_fn(|_| random.next_u64()) }
    }

    /// Where an address goes; one without a kind stays.
    pub(super) fn apply(&self, address: IpAddr) -> IpAddr {
        let Some(kind) = Kind::of(address) else { return address };
        let mut at = self.step(address);
        while Kind::of(at) != Some(kind) {
            at = self.step(at);
        }
        at
    }

    fn step(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(a) => Ipv4Addr::from_bits(self.feistel(a.to_bits().into(), 16) as u32).into(),
            IpAddr::V6(a) => {
                let bits = a.to_bits();
                let low = self.feistel(bits as u64, 32);
                Ipv6Addr::from_bits(bits >> 64 << 64 | u128::from(low)).into()
            }
        }
    }

    /// A permutation of numbers of twice `half` bits.
    fn feistel(&self, value: u64, half: u32) -> u64 {
        let mask = (1_u64 << half) - 1;
        let (mut left, mut right) = (value >> half & mask, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << half | right
    }
}

/// The finalizer of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_xoshiro::rand_core::SeedableRng;
    use std::collections::HashSet;

    fn permutation(seed: u64) -> Permutation {
        Permutation::new(&mut Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    #[test]
    fn distinct_addresses_stay_distinct() {
        let p = permutation(3);
        let all: HashSet<_> =
            (0..300_000_u32).map(|i| p.apply(Ipv4Addr::from_bits(0x0afe_0000 + i).into())).collect();
        assert_eq!(all.len(), 300_000);
    }

    #[test]
    fn what_means_the_same_everywhere_stays() {
        for text in ["0.0.0.0", "255.255.255.255", "224.0.0.251", "127.0.0.1", "::", "::1", "ff02::1"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(permutation(1).apply(address), address);
        }
    }

    proptest! {
        #[test]
        fn the_kind_stays_and_the_seed_counts(bits: u32, low: u64) {
            let global = Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(low));
            for address in [IpAddr::V4(Ipv4Addr::from_bits(bits)), global.into()] {
                let to = permutation(1).apply(address);
                prop_assert_eq!(Kind::of(to), Kind::of(address));
                prop_assert_eq!(to, permutation(1).apply(address));
            }
            prop_assert_eq!(global.segments()[..4].to_vec(), match permutation(1).apply(global.into()) {
                IpAddr::V6(to) => to.segments()[..4].to_vec(),
                IpAddr::V4(_) => vec![],
            });
        }
    }
}
