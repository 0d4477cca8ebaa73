//! The records of pairs of hosts seen lately, so that those of most packets need not be searched for.

use super::keys::Flow;
use crate::hash::same;
use crate::shard::Shards;
use legonf_core::{Headers, Mac};
use std::net::{IpAddr, Ipv4Addr};

/// Number of pairs that are remembered.
const KEPT: usize = 1 << KEPT_BITS;
const KEPT_BITS: u32 = 10;

/// Packets over which it is seen whether remembering pays, and how many such spans it rests where it does not.
const SPAN: usize = 1 << 13;
const REST: usize = 15;

/// Source and destination of a packet over IPv4 on a link layer, as most are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    mac: Mac,
}

/// What tells [`Ends`] apart.
type Words = [u64; 2];

impl Ends {
    /// Those of a packet, if it is one of these. Streams by source are those of all destinations: for these alone there is none.
    #[inline(always)]
    pub(crate) fn of(headers: &Headers, shards: Shards) -> Option<Self> {
        let Some(link) = &headers.link else { return None };
        match (headers.outer.src, headers.outer.dst) {
            (Some(IpAddr::V4(src)), Some(IpAddr::V4(dst))) => {
                let dst = if shards == Shards::SOURCES { Ipv4Addr::UNSPECIFIED } else { dst };
                Some(Self { src, dst, mac: link.src })
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn words(&self) -> Words {
        let Mac([a, b, c, d, e, f]) = self.mac;
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        [mac, u64::from(self.src.to_bits()) << 32 | u64::from(self.dst.to_bits())]
    }
}

/// What is the same for all packets from one host to another: their records in MI, H and HH.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pair {
    /// Numbers in the tables of MI, H and HH.
    pub(crate) numbers: [u32; 3],
    /// The packets' direction in HH.
    pub(crate) flow: Flow,
    /// The hash of the pair of addresses, and that part of it which the sockets' share.
    pub(crate) hashes: [u64; 2],
}

/// A pair that is remembered.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Entry {
    words: Words,
    /// That of the tables when it was entered; 0 in an empty entry.
    generation: u64,
    pair: Pair,
}

/// A memory of as many pairs as there are places; a new one takes that of another with the same hash.
#[derive(Debug)]
pub(crate) struct Pairs {
    entries: Box<[Entry; KEPT]>,
    /// Packets until the next look at whether remembering pays, and how many were not remembered since the last.
    left: usize,
    misses: usize,
    is_on: bool,
}

impl Pairs {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Self {
        Self { entries: Box::new([Entry::default(); KEPT]), left: SPAN, misses: 0, is_on: true }
    }

    /// Whether to ask for the pairs of the coming batch of so many packets: not where few were remembered lately.
    pub(crate) fn turn(&mut self, packets: usize) {
        if self.left == 0 {
            let pays = self.misses < SPAN * 3 / 4;
            self.left = if self.is_on && !pays { SPAN * REST } else { SPAN };
            self.is_on = pays || !self.is_on;
            self.misses = 0;
        }
        self.left = self.left.saturating_sub(packets);
    }

    /// A pair, if it is remembered and its records are still what they were in this generation of the tables.
    #[inline(always)]
    pub(crate) fn find(&self, ends: &Ends, generation: u64) -> Option<&Pair> {
        if !self.is_on {
            return None;
        }
        let words = ends.words();
        let entry = &self.entries[place(&words)];
        ((entry.generation == generation) & same(&entry.words, &words)).then_some(&entry.pair)
    }

    /// Remembers a pair that was not there.
    #[inline(always)]
    pub(crate) fn remember(&mut self, ends: &Ends, generation: u64, pair: Pair) {
        self.misses += 1;
        if self.is_on {
            let words = ends.words();
            self.entries[place(&words)] = Entry { words, generation, pair };
        }
    }
}

/// Where a pair is remembered.
#[inline(always)]
fn place([mac, addresses]: &Words) -> usize {
    let sum =
        mac.wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(addresses.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (sum >> (64 - KEPT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(src: u32, dst: u32) -> Ends {
        Ends { src: Ipv4Addr::from(src), dst: Ipv4Addr::from(dst), mac: Mac([2; 6]) }
    }

    fn pair(number: u32) -> Pair {
        Pair { numbers: [number; 3], ..Pair::default() }
    }

    #[test]
    fn a_pair_is_known_until_a_record_goes() {
        let mut pairs = Pairs::new();
        assert!(pairs.find(&ends(1, 2), 1).is_none());
        pairs.remember(&ends(1, 2), 1, pair(7));
        pairs.remember(&ends(2, 1), 1, pair(8));
        let number =
            |pairs: &Pairs, ends: &Ends, generation| pairs.find(ends, generation).map(|pair| pair.numbers[0]);
        assert_eq!(number(&pairs, &ends(1, 2), 1), Some(7));
        assert_eq!(number(&pairs, &ends(2, 1), 1), Some(8));
        assert_eq!(number(&pairs, &Ends { mac: Mac([4; 6]), ..ends(1, 2) }, 1), None);
        assert_eq!(number(&pairs, &ends(1, 2), 2), None);
    }

    #[test]
    fn pairs_of_which_few_return_are_not_asked_for() {
        let mut pairs = Pairs::new();
        pairs.remember(&ends(0, 0), 1, pair(7));
        let mut asked = 0;
        for at in 0..40 * SPAN as u32 {
            pairs.turn(1);
            asked += u32::from(pairs.find(&ends(0, 0), 1).is_some());
            pairs.remember(&ends(1, at), 1, pair(at));
            pairs.remember(&ends(0, 0), 1, pair(7));
        }
        assert!((2 * SPAN as u32..4 * SPAN as u32).contains(&asked), "{asked}");
        (0..SPAN * REST).for_each(|_| pairs.turn(1));
        (0..SPAN * 2).for_each(|_| pairs.turn(1));
        assert!(pairs.is_on);
    }

    #[test]
    fn only_packets_over_ipv4_and_ethernet_have_ends() {
        use legonf_core::{Layer, Link};
        let [v4, v6] = ["10.0.0.1", "::1"].map(|text| Some(text.parse().unwrap()));
        let packet = |src, dst, link| Headers {
            link,
            outer: Layer { src, dst, ..Layer::default() },
            ..Headers::default()
        };
        let link = Some(Link::default());
        assert!(Ends::of(&packet(v4, v4, link), Shards::ALL).is_some());
        for (src, dst, link) in [(v4, v4, None), (v6, v6, link), (v4, None, link), (None, v4, link)] {
            assert!(Ends::of(&packet(src, dst, link), Shards::ALL).is_none());
        }
    }
}
