//! Packet batching: raw packets in, parsed headers out (LEGO Table I).

use crate::packet;
use legonf_core::{Batch, Brick, BrickError, ColumnSpec, Descriptor, Headers, Malformed, State};
use serde::Deserialize;
use std::borrow::Cow;

/// Configuration of [`PacketBatching`]: there is nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Parses the headers of every packet of a batch and counts malformed packets by reason.
///
/// A batch that comes from its source with headers (Kitsune's TSV has no bytes) keeps them.
#[derive(Debug, Default)]
pub struct PacketBatching {
    malformed: [u64; Malformed::ALL.len()],
}

impl PacketBatching {
    /// The name of the kind in the catalogue and in graph files.
    pub const KIND: &str = "packet-batching";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "packet batching",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS]),
        writes: Cow::Borrowed(&[ColumnSpec::HEADERS]),
        state: State::Stateless,
    };

    /// Makes the brick.
    pub fn new(_config: Config) -> Self {
        Self::default()
    }

    fn count(&mut self, headers: &[Headers]) {
        for malformed in headers.iter().filter_map(|h| h.malformed) {
            self.malformed[malformed as usize] += 1;
        }
    }
}

impl Brick for PacketBatching {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if batch.headers.is_empty() {
            batch.headers.resize(batch.packets.len(), Headers::default());
            for (headers, (record, bytes)) in batch.headers.iter_mut().zip(batch.packets.iter()) {
                packet::fill(record, bytes, headers);
            }
        }
        self.count(&batch.headers);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        Malformed::ALL
            .iter()
            .map(|m| (m.label(), self.malformed[*m as usize]))
            .filter(|(_, n)| *n > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{ethernet, ip4, udp};
    use legonf_core::{LinkType, Timestamp};

    fn batch(frames: &[&[u8]]) -> Batch {
        let mut batch = Batch::default();
        for (seq, frame) in frames.iter().enumerate() {
            let timestamp = Timestamp::new(seq as i64, 5);
            batch.packets.push(seq as u64, timestamp, 1000, LinkType::Ethernet, frame);
        }
        batch
    }

    #[test]
    fn headers_stand_beside_their_packets() {
        let frame = ethernet(0x0800, &ip4(17, &udp(53, 4000)));
        let mut batch = batch(&[&frame, &frame[..20], &frame]);
        let mut brick = PacketBatching::new(Config {});
        brick.process(&mut batch).unwrap();
        assert_eq!(batch.headers.iter().map(|h| h.seq).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((batch.headers[2].timestamp, batch.headers[2].wire_len), (Timestamp::new(2, 5), 1000));
        assert_eq!(batch.headers[2].outer.ports, Some((53, 4000)));
        assert_eq!(brick.counters(), [("bad-ipv4", 1)]);
    }

    #[test]
    fn headers_from_the_source_are_left() {
        let given = Headers { seq: 9, malformed: Some(Malformed::BadArp), ..Headers::default() };
        let mut batch = Batch { headers: vec![given], ..Batch::default() };
        let mut brick = PacketBatching::new(Config {});
        brick.process(&mut batch).unwrap();
        assert_eq!(batch.headers, [given]);
        assert_eq!(brick.counters(), [("bad-arp", 1)]);
    }

    #[test]
    fn counters_follow_the_order_of_the_reasons() {
        for (index, malformed) in Malformed::ALL.into_iter().enumerate() {
            assert_eq!(malformed as usize, index);
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("").is_ok());
        assert!(toml::from_str::<Config>("size = 3").is_err());
    }
}
