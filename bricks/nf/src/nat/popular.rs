//! Ports by slot, for remote sockets that many flows go to.

use super::ports::Slots;
use legonf_core::{Hasher, SLOTS, Socket};
use std::net::IpAddr;

/// Remote sockets that are kept at most.
const KEPT: usize = 8;
/// Flows to a remote socket before its ports are sorted: that takes as long as some dozen searches.
const FLOWS: u32 = 16;

/// The address outside, the remote socket and the protocol of flows.
type Ends = (IpAddr, Socket, u8);

/// The ports of flows to some remote sockets, sorted by slot. It is no state: what it gives is what a search would find.
#[derive(Clone, Debug)]
pub(super) struct Popular(Vec<Remote>);

/// A remote socket that may be popular.
#[derive(Clone, Debug)]
struct Remote {
    ends: Option<Ends>,
    /// Flows to it, less those to others that would have its place.
    flows: u32,
    is_sorted: bool,
    /// The steps from the first port to all others, by slot and rising.
    steps: Vec<u16>,
    /// Where those of each slot begin.
    starts: Vec<u32>,
}

impl Popular {
    /// None yet, with room for so many ports.
    pub fn new(ports: u32) -> Self {
        let (steps, starts) = (vec![0; ports as usize], vec![0; SLOTS + 1]);
        Self(vec![Remote { ends: None, flows: 0, is_sorted: false, steps, starts }; KEPT])
    }

    /// The steps of a slot, rising, if flows with these ends are many.
    pub fn of(&mut self, ends: Ends, slot: usize, hasher: &Hasher, first: u16) -> Option<&[u16]> {
        let place = hasher.three([u64::from(ends.1.port), word(ends.1.ip), word(ends.0) ^ u64::from(ends.2)]);
        let remote = &mut self.0[place as usize % KEPT];
        if remote.ends != Some(ends) {
            remote.flows = remote.flows.saturating_sub(1);
            if remote.flows == 0 {
                (remote.ends, remote.flows, remote.is_sorted) = (Some(ends), 1, false);
            }
            return None;
        }
        remote.flows = remote.flows.saturating_add(1).min(FLOWS * 4);
        if !remote.is_sorted && remote.flows >= FLOWS {
            remote.sort(&Slots::new(ends.0, ends.1, ends.2, hasher), first);
        }
        let range = remote.starts[slot] as usize..remote.starts[slot + 1] as usize;
        remote.is_sorted.then(|| &remote.steps[range])
    }
}

impl Remote {
    /// Sorts all ports by their slots, by counting.
    fn sort(&mut self, slots: &Slots<'_>, first: u16) {
        let of = |step: u16| slots.of(first + step);
        let all = || (0..self.steps.len()).map(|step| step as u16);
        self.starts.fill(0);
        all().for_each(|step| self.starts[of(step) + 1] += 1);
        (0..SLOTS).for_each(|slot| self.starts[slot + 1] += self.starts[slot]);
        // Where the next of each slot goes is where the slot begins; afterwards that is where the next slot begins.
        for step in (0..self.steps.len()).map(|step| step as u16) {
            let start = &mut self.starts[of(step)];
            self.steps[*start as usize] = step;
            *start += 1;
        }
        self.starts.rotate_right(1);
        self.starts[0] = 0;
        self.is_sorted = true;
    }
}

/// An address in a word, for a place alone.
fn word(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            (bits >> 64) as u64 ^ bits as u64
        }
    }
}
