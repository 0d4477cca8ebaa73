//! Which port a translation gets.

use super::popular::Popular;
use crate::chain::{Flow, Keyed};
use legonf_core::{Hasher, SLOTS, Socket, slot};
use std::net::IpAddr;

/// The sockets outside.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    addresses: Vec<IpAddr>,
    first: u16,
    count: u32,
    hasher: Hasher,
    popular: Popular,
}

impl Ports {
    pub fn new(addresses: &[IpAddr], [first, last]: [u16; 2], hasher: Hasher) -> Self {
        let count = u32::from(last - first) + 1;
        Self { addresses: addresses.to_vec(), first, count, hasher, popular: Popular::new(count) }
    }

    /// Whether an address is outside.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip)
    }

    /// A socket for a flow inside towards a remote one: the first that leaves the flow in its slot and is not taken, from one on that depends on the
    /// flow alone. Of one address one port in 4,096 does the first.
    pub fn find(
        &mut self,
        inside: &Keyed,
        remote: Socket,
        protocol: u8,
        is_taken: impl Fn(&Keyed) -> bool,
    ) -> Option<Socket> {
        let Self { addresses, first, count, hasher, popular } = self;
        let of_kind = |ip: &&IpAddr| ip.is_ipv4() == remote.ip.is_ipv4() && **ip != remote.ip;
        let addresses = || addresses.iter().filter(of_kind);
        let wanted = slot(inside.hash);
        let (start, turn) = (inside.hash as u32 % *count, (inside.hash >> 32) as usize);
        let turn = turn % addresses().count().max(1);
        for ip in addresses().skip(turn).chain(addresses().take(turn)) {
            let free = |step: u32| {
                let socket = Socket { ip: *ip, port: *first + step as u16 };
                let outside = Flow::between(socket, remote, protocol).keyed(hasher);
                (!is_taken(&outside)).then_some(socket)
            };
            let found = match popular.of((*ip, remote, protocol), wanted, hasher, *first) {
                Some(steps) => {
                    let (before, behind) =
                        steps.split_at(steps.partition_point(|step| u32::from(*step) < start));
                    behind.iter().chain(before).find_map(|step| free(u32::from(*step)))
                }
                None => {
                    let slots = Slots::new(*ip, remote, protocol, hasher);
                    let steps = (start..*count).chain(0..start);
                    steps.filter(|step| slots.of(*first + *step as u16) == wanted).find_map(free)
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// The slots of flows between two addresses and to a remote port, by their port outside: most of their key is the same.
pub(super) struct Slots<'a> {
    hasher: &'a Hasher,
    /// What the hash needs of the first four words, the last word without the port, and where that is in it.
    four: u64,
    last: u64,
    shift: u32,
}

impl<'a> Slots<'a> {
    pub fn new(ip: IpAddr, remote: Socket, protocol: u8, hasher: &'a Hasher) -> Self {
        let [none, all] =
            [0, u16::MAX].map(|port| Flow::between(Socket { ip, port }, remote, protocol).keyed(hasher).key);
        let [a, b, c, d, last] = none;
        // The addresses differ, so that the port changes nothing else.
        Self { hasher, four: hasher.four([a, b, c, d]), last, shift: (last ^ all[4]).trailing_zeros() }
    }

    #[inline]
    pub fn of(&self, port: u16) -> usize {
        slot(self.hasher.fifth(self.four, self.last | u64::from(port) << self.shift))
    }
}

/// The remote socket for which a slot was last found to have no port, and until when that is so unless a translation of the slot ends. It is no
/// state: what it spares is looking through all ports for each packet that gets none.
#[derive(Clone, Debug)]
pub(super) struct Exhausted(Vec<Option<(Socket, u8, i64)>>);

impl Default for Exhausted {
    fn default() -> Self {
        Self(vec![None; SLOTS])
    }
}

impl Exhausted {
    pub fn is_known(&self, slot: usize, remote: Socket, protocol: u8, now: i64) -> bool {
        self.0[slot].is_some_and(|(other, of, until)| (other, of) == (remote, protocol) && now < until)
    }

    pub fn note(&mut self, slot: usize, remote: Socket, protocol: u8, until: i64) {
        self.0[slot] = Some((remote, protocol, until));
    }

    pub fn forget(&mut self, slot: usize) {
        self.0[slot] = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sorted_ports_give_what_a_search_finds() {
        let (hasher, outside) = (Hasher::new(7), ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap()));
        let remote = Socket { ip: "198.51.100.1".parse().unwrap(), port: 80 };
        let mut many = Ports::new(&outside, [2000, 60_001], hasher);
        let mut taken = HashSet::new();
        for flow in 0..3000_u16 {
            let inside = Socket { ip: [10, 0, (flow >> 8) as u8, 1].into(), port: 1 + flow };
            let keyed = Flow::between(inside, remote, 6).keyed(&hasher);
            // One that knows no remote socket yet searches.
            let mut fresh = Ports::new(&outside, [2000, 60_001], hasher);
            let is_taken = |outside: &Keyed| taken.contains(&outside.key);
            let found = many.find(&keyed, remote, 6, is_taken);
            assert_eq!(found, fresh.find(&keyed, remote, 6, is_taken), "{flow}");
            taken.extend(found.map(|socket| Flow::between(socket, remote, 6).keyed(&hasher).key));
        }
        assert!(taken.len() > 2900, "{}", taken.len());
        let ends = (outside[0], remote, 6);
        assert!(many.popular.of(ends, 0, &hasher, 2000).is_some());
        assert!(many.popular.of((outside[0], remote, 17), 0, &hasher, 2000).is_none());
    }
}
