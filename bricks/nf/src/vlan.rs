//! The brick that pushes or pops VLAN tags.

use crate::{ADDRESSES, NfError, TAG, TAGS, is_tag, rewrite};
use legonf_core::{Batch, Brick, BrickError, ColumnSpec, Descriptor, LinkType, Packets, State};
use serde::Deserialize;
use std::borrow::Cow;

/// The largest VLAN identifier; 4095 is reserved (IEEE 802.1Q §9.6).
const MAX_VID: u16 = 4094;
/// The largest priority code point.
const MAX_PRIORITY: u16 = 7;

/// Configuration of [`Vlan`]: `push` or `pop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// VLAN identifier of the tag that is pushed, from 0 (a tag that has a priority alone) to 4094. No default.
    pub push: Option<u16>,
    /// Its priority code point, from 0 to 7 (0); only where a tag is pushed.
    pub priority: Option<u16>,
    /// Whether the outermost tag is popped (no).
    #[serde(default)]
    pub pop: bool,
}

/// Pushes an IEEE 802.1Q tag behind the addresses of Ethernet frames, outside of those there are, or pops the outermost tag of
/// 802.1Q or 802.1ad.
///
/// The frame's length changes by four bytes, captured and on the wire. A tag does not count for the MTU, which is that of the
/// payload. Packets of other link types, those cut off before their EtherType, and, where a tag is popped, those without one stay
/// as they are, and are counted.
#[derive(Clone, Debug)]
pub struct Vlan {
    /// The tag that is pushed; none where one is popped.
    tag: Option<[u8; TAG]>,
    unchanged: u64,
}

impl Vlan {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "vlan";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "VLAN tagging",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        writes: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If not either a tag is pushed or one is popped, or a number is not in its range.
    pub fn new(config: Config) -> Result<Self, NfError> {
        let Config { push, priority, pop } = config;
        if push.is_some() == pop {
            return Err(NfError::Tag);
        }
        if let (true, Some(priority)) = (pop, priority) {
            return Err(NfError::Priority(priority));
        }
        let priority = priority.unwrap_or(0);
        NfError::check("push", push.unwrap_or(0), MAX_VID)?;
        NfError::check("priority", priority, MAX_PRIORITY)?;
        let tag = |vid: u16| {
            let [high, low] = (priority << 13 | vid).to_be_bytes();
            [TAGS[0][0], TAGS[0][1], high, low]
        };
        Ok(Self { tag: push.map(tag), unchanged: 0 })
    }
}

/// Whether a packet is an Ethernet frame whose EtherType was captured.
fn is_frame(packets: &Packets, index: usize) -> bool {
    packets.record(index).link == LinkType::Ethernet && packets.bytes(index).len() >= ADDRESSES + 2
}

fn push(packets: &mut Packets, index: usize, tag: [u8; TAG]) -> bool {
    if !is_frame(packets, index) {
        return false;
    }
    packets.push_front(index, TAG);
    let frame = packets.bytes_mut(index);
    frame.copy_within(TAG..TAG + ADDRESSES, 0);
    frame[ADDRESSES..ADDRESSES + TAG].copy_from_slice(&tag);
    true
}

fn pop(packets: &mut Packets, index: usize) -> bool {
    if !is_frame(packets, index) || !is_tag(packets.bytes(index), ADDRESSES) {
        return false;
    }
    packets.bytes_mut(index).copy_within(0..ADDRESSES, TAG);
    packets.pull_front(index, TAG);
    true
}

impl Brick for Vlan {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.unchanged += match self.tag {
            Some(tag) => rewrite(batch, |packets, index| push(packets, index, tag)),
            None => rewrite(batch, pop),
        };
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![(if self.tag.is_some() { "not-tagged" } else { "no-tag" }, self.unchanged)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{batch, reparsed, udp4};

    fn brick(push: Option<u16>, priority: u16, pop: bool) -> Result<Vlan, NfError> {
        Vlan::new(Config { push, priority: (priority > 0).then_some(priority), pop })
    }

    fn run(mut brick: Vlan, batch: &mut Batch) -> u64 {
        brick.process(batch).unwrap();
        brick.counters()[0].1
    }

    #[test]
    fn a_tag_is_pushed_outside_and_popped_again() {
        let frame = udp4();
        let before = batch(&[(LinkType::Ethernet, &frame, 60)]);
        let mut tagged = before.clone();
        assert_eq!(run(brick(Some(0x123), 5, false).unwrap(), &mut tagged), 0);
        let expected = [&frame[..12], &[0x81, 0x00, 0xa1, 0x23], &frame[12..]].concat();
        assert_eq!((tagged.packets.bytes(0), tagged.packets.record(0).wire_len), (&expected[..], 64));
        assert_eq!((&tagged.headers, tagged.headers[0].wire_len), (&reparsed(&tagged), 64));
        assert_eq!(tagged.headers[0].link.unwrap().vlan, Some(0x123));
        assert_eq!(tagged.headers[0].outer, before.headers[0].outer);
        // A second one goes outside of the first.
        let once = tagged.clone();
        run(brick(Some(7), 0, false).unwrap(), &mut tagged);
        assert_eq!(tagged.packets.bytes(0)[12..20], [0x81, 0x00, 0, 7, 0x81, 0x00, 0xa1, 0x23]);
        let pop = || brick(None, 0, true).unwrap();
        run(pop(), &mut tagged);
        assert_eq!((tagged.packets.bytes(0), &tagged.headers), (once.packets.bytes(0), &once.headers));
        run(pop(), &mut tagged);
        assert_eq!((tagged.packets.bytes(0), &tagged.headers), (&frame[..], &before.headers));
        assert_eq!(run(pop(), &mut tagged), 1);
        assert_eq!(tagged.packets.bytes(0), frame);
    }

    #[test]
    fn what_is_no_whole_frame_stays_and_is_counted() {
        let frame = udp4();
        let mut some = batch(&[
            (LinkType::RawIp, &frame[14..], 46),
            (LinkType::Ethernet, &frame[..13], 60),
            (LinkType::Ethernet, &frame[..14], 60),
            (LinkType::Ethernet, &[], 60),
        ]);
        assert_eq!(run(brick(Some(1), 0, false).unwrap(), &mut some), 3);
        let lengths: Vec<_> = some.packets.iter().map(|(r, bytes)| (r.wire_len, bytes.len())).collect();
        assert_eq!(lengths, [(46, frame.len() - 14), (60, 13), (64, 18), (60, 0)]);
        assert_eq!(some.headers, reparsed(&some));
        // A service tag is a tag, one that was cut off is none.
        let service = [&frame[..12], &[0x88, 0xa8, 0, 1], &frame[12..]].concat();
        let mut some = batch(&[(LinkType::Ethernet, &service, 64), (LinkType::Ethernet, &service[..15], 64)]);
        assert_eq!(run(brick(None, 0, true).unwrap(), &mut some), 1);
        assert_eq!((some.packets.bytes(0), some.packets.bytes(1)), (&frame[..], &service[..15]));
    }

    #[test]
    fn what_is_no_tag_is_named() {
        let error = |push, priority, pop| brick(push, priority, pop).unwrap_err().to_string();
        assert_eq!(error(Some(4095), 0, false), "push = 4095: expected a number from 0 to 4094");
        assert_eq!(error(Some(1), 8, false), "priority = 8: expected a number from 0 to 7");
        assert_eq!(
            error(None, 3, true),
            "priority = 3: a tag that is popped has its own; expected it beside push = VID"
        );
        for (push, pop) in [(None, false), (Some(1), true)] {
            assert_eq!(error(push, 0, pop), "expected either push = VID or pop = true");
        }
    }
}
