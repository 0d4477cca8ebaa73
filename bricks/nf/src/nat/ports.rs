//! Which port a translation gets.

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
}

impl Ports {
    pub fn new(addresses: &[IpAddr], [first, last]: [u16; 2], hasher: Hasher) -> Self {
        Self { addresses: addresses.to_vec(), first, count: u32::from(last - first) + 1, hasher }
    }

    /// Whether an address is outside.
    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip)
    }

    /// A socket for a flow inside towards a remote one: the first that leaves the flow in its slot and is not taken, from one on that depends on the
    /// flow alone. Of one address one port in 4,096 does the first.
    pub fn find(
        &self,
        inside: &Keyed,
        remote: Socket,
        protocol: u8,
        is_taken: impl Fn(&Keyed) -> bool,
    ) -> Option<Socket> {
        let of_kind = |ip: &&IpAddr| ip.is_ipv4() == remote.ip.is_ipv4() && **ip != remote.ip;
        let addresses = || self.addresses.iter().filter(of_kind);
        let slot_inside = slot(inside.hash);
        let (start, turn) = (inside.hash as u32 % self.count, (inside.hash >> 32) as usize);
        let turn = turn % addresses().count().max(1);
        for ip in addresses().skip(turn).chain(addresses().take(turn)) {
            let slots = Slots::new(*ip, remote, protocol, &self.hasher);
            let ports = (start..self.count).chain(0..start).map(|step| self.first + step as u16);
            for port in ports.filter(|port| slots.of(*port) == slot_inside) {
                let socket = Socket { ip: *ip, port };
                if !is_taken(&Flow::between(socket, remote, protocol).keyed(&self.hasher)) {
                    return Some(socket);
                }
            }
        }
        None
    }
}

/// The slots of flows between two addresses and to a remote port, by their port outside: most of their key is the same.
struct Slots<'a> {
    hasher: &'a Hasher,
    /// What the hash needs of the first four words, the last word without the port, and where that is in it.
    four: u64,
    last: u64,
    shift: u32,
}

impl<'a> Slots<'a> {
    fn new(ip: IpAddr, remote: Socket, protocol: u8, hasher: &'a Hasher) -> Self {
        let [none, all] =
            [0, u16::MAX].map(|port| Flow::between(Socket { ip, port }, remote, protocol).keyed(hasher).key);
        let [a, b, c, d, last] = none;
        // The addresses differ, so that the port changes nothing else.
        Self { hasher, four: hasher.four([a, b, c, d]), last, shift: (last ^ all[4]).trailing_zeros() }
    }

    #[inline]
    fn of(&self, port: u16) -> usize {
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
