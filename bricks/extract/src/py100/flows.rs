//! The streams of packets seen lately, so that most keys need not be spelt out.

use super::linked::Route;
use super::tuple::Tuple;
use legonf_core::prefetch::prefetch;

/// Number of packets' streams that are remembered.
const KEPT: usize = 1 << KEPT_BITS;
const KEPT_BITS: u32 = 13;

/// The streams of a packet, one set per table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) identity: u32,
    pub(super) channel: u32,
    pub(super) hosts: Route,
    pub(super) sockets: Route,
}

/// What identifies a packet's streams, in words.
pub(super) type Words = [u64; 7];

/// Where the flow of a packet is remembered, if it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    words: Words,
    at: usize,
}

impl Place {
    /// That of a packet.
    #[inline(always)]
    pub(super) fn of(tuple: &Tuple) -> Self {
        let words = tuple.words();
        Self { words, at: hash(&words) }
    }
}

/// A memory of as many flows as there are places; a new one takes that of another with the same hash.
#[derive(Clone, Debug)]
pub(super) struct Flows {
    places: Box<[Option<(Words, Flow)>]>,
}

impl Flows {
    /// Remembers nothing yet.
    pub(super) fn new() -> Self {
        Self { places: vec![None; KEPT].into() }
    }

    /// Forgets everything: the tables were renumbered.
    #[cold]
    pub(super) fn clear(&mut self) {
        self.places.fill(None);
    }

    /// Asks for a place.
    #[inline(always)]
    pub(super) fn prefetch(&self, place: &Place) {
        prefetch(&self.places[place.at]);
    }

    /// The flow at a place, if it is remembered.
    #[inline(always)]
    pub(super) fn peek(&self, place: &Place) -> Option<&Flow> {
        self.places[place.at].as_ref().filter(|(known, _)| *known == place.words).map(|(_, flow)| flow)
    }

    /// The flow of a packet, from `find` if it is not remembered.
    #[inline(always)]
    pub(super) fn get(&mut self, place: &Place, find: impl FnOnce() -> Flow) -> &mut Flow {
        let kept = &mut self.places[place.at];
        if !matches!(kept, Some((known, _)) if *known == place.words) {
            *kept = Some((place.words, find()));
        }
        match kept {
            Some((_, flow)) => flow,
            None => unreachable!("the place was filled above"),
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.places)
    }
}

fn hash(words: &Words) -> usize {
    let sum = words
        .iter()
        .fold(0_u64, |sum, word| (sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    ((sum ^ sum >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> (64 - KEPT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::super::tuple::Address;
    use super::*;

    #[test]
    fn a_flow_is_found_until_another_takes_its_place() {
        let route = Route { ends: [0; 2], link: Route::UNKNOWN };
        let flow = |identity| Flow { identity, channel: 0, hosts: route, sockets: route };
        let tuple = |i: u32| {
            let end = Address::Ip(std::net::Ipv4Addr::from_bits(i).into());
            Tuple { ends: [end, Address::None], ..Tuple::default() }
        };
        let place = |i| Place::of(&tuple(i));
        let mut flows = Flows::new();
        assert_eq!(flows.get(&place(1), || flow(1)).identity, 1);
        assert_eq!(flows.get(&place(1), || flow(2)).identity, 1);
        for i in 2..50_000 {
            assert_eq!(flows.get(&place(i), || flow(i)).identity, i);
        }
        assert_eq!(flows.peek(&place(49_999)).map(|flow| flow.identity), Some(49_999));
        flows.clear();
        assert!(flows.peek(&place(49_999)).is_none());
        assert_eq!(flows.get(&place(49_999), || flow(3)).identity, 3);
    }
}
