//! The brick that marks packets with a differentiated services code point.

use crate::ip::updated;
use crate::{CLASS, NfError, network, rewrite, rewrite_one, verdicts};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Handle, Layout, Packets, State, Verdict,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The largest code point.
const MAX_DSCP: u16 = 63;

/// Configuration of [`Dscp`]: `dscp`, `values`, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The code point that packets get, from 0 to 63: all, or those whose verdict is not among `values`. Default: they stay as they
    /// are.
    pub dscp: Option<u16>,
    /// The column of verdicts for `values`. Default `class`.
    pub by: Option<String>,
    /// Code points (0 to 63) by the label of a packet's verdict, or by `rejected`. Default none.
    pub values: BTreeMap<String, u16>,
}

/// Sets the differentiated services code point (RFC 2474) of IPv4 and IPv6 packets, and leaves the congestion bits (RFC 3168) as
/// they are. The checksum of IPv4 follows by the difference (RFC 1624), so that a wrong one stays wrong.
///
/// It looks into raw IP and into Ethernet frames, behind VLAN tags. Other packets stay as they are, and are counted.
#[derive(Clone, Debug)]
pub struct Dscp {
    /// What packets get whose verdict is not named.
    other: Option<u8>,
    /// The column of verdicts, and what their labels stand for; none where all packets get the same.
    by: Option<(ColumnSpec, Vec<(String, u8)>)>,
    /// The same by the places of labels, and last for what is rejected.
    points: Vec<Option<u8>>,
    verdicts: Handle<Vec<Verdict>>,
    unchanged: u64,
}

impl Dscp {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "dscp";

    /// What the graph needs to know of the brick; its own descriptor also has the column of verdicts that it goes by, if any.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "DSCP marking",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        writes: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If a code point is not in its range, or there is none.
    pub fn new(config: Config) -> Result<Self, NfError> {
        let other = config.dscp.map(|dscp| code_point("dscp", dscp)).transpose()?;
        let named = config.values.into_iter().map(|(label, value)| {
            let point = code_point(format!("values.{label}"), value)?;
            Ok((label, point))
        });
        let named: Vec<_> = named.collect::<Result<_, NfError>>()?;
        let by = match (config.by, other) {
            (by, _) if !named.is_empty() => Some((verdicts(by.as_deref().unwrap_or(CLASS)), named)),
            (Some(by), _) => return Err(NfError::By(by)),
            (None, None) => return Err(NfError::Marking),
            (None, Some(_)) => None,
        };
        Ok(Self { other, by, points: Vec::new(), verdicts: Handle::default(), unchanged: 0 })
    }

    /// What packets get by their verdicts.
    fn mark_each(&mut self, batch: &mut Batch) {
        let Batch { packets, headers, columns, .. } = batch;
        for (index, verdict) in columns.get(self.verdicts).iter().enumerate().take(packets.len()) {
            let Some(dscp) = self.points[verdict.place(self.points.len() - 1)] else { continue };
            let marked = rewrite_one(packets, headers, index, |packets, index| mark(packets, index, dscp));
            self.unchanged += u64::from(!marked);
        }
    }
}

/// A code point under a key of the configuration.
///
/// # Errors
/// If it is not in its range.
pub(crate) fn code_point(key: impl Into<Cow<'static, str>>, value: u16) -> Result<u8, NfError> {
    NfError::check(key, value, MAX_DSCP)?;
    Ok(value as u8)
}

/// Gives a packet a code point; says whether it is IP and whole enough for that.
pub(crate) fn mark(packets: &mut Packets, index: usize, dscp: u8) -> bool {
    let Some(at) = network(packets.record(index).link, packets.bytes(index)) else { return false };
    let bytes = &mut packets.bytes_mut(index)[at..];
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) if bytes.len() >= 20 => mark4(bytes, dscp),
        Some(6) if bytes.len() >= 40 => mark6(bytes, dscp),
        _ => return false,
    }
    true
}

fn mark4(header: &mut [u8], dscp: u8) {
    let word = |header: &[u8], at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let before = word(header, 0);
    header[1] = dscp << 2 | header[1] & 3;
    let checksum = updated(word(header, 10), before, word(header, 0));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

fn mark6(header: &mut [u8], dscp: u8) {
    let class = dscp << 2 | (header[1] >> 4) & 3;
    header[0] = 0x60 | class >> 4;
    header[1] = class << 4 | header[1] & 0xf;
}

impl Brick for Dscp {
    fn descriptor(&self) -> Descriptor {
        let by = self.by.iter().map(|(column, _)| column.clone());
        let reads = Self::DESCRIPTOR.reads.iter().cloned().chain(by).collect();
        Descriptor { reads, ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let Some((column, named)) = &self.by else { return Ok(()) };
        self.verdicts = layout.handle(column)?;
        let labels = layout.get(&column.name).map_or(0, |spec| spec.labels.len());
        self.points = vec![self.other; labels + 1];
        for (label, point) in named {
            self.points[layout.label(&column.name, label)?] = Some(*point);
        }
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        match self.other {
            Some(dscp) if self.by.is_none() => {
                self.unchanged += rewrite(batch, |packets, index| mark(packets, index, dscp));
            }
            _ => self.mark_each(batch),
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("not-marked", self.unchanged)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::checksum;
    use crate::samples::{batch, reparsed, udp4, udp6};
    use legonf_core::LinkType;
    use proptest::prelude::*;

    fn brick(config: Config) -> Result<Dscp, NfError> {
        Dscp::new(config)
    }

    fn marked(link: LinkType, bytes: &[u8], dscp: u16) -> (Batch, u64) {
        let (mut some, mut brick) =
            (batch(&[(link, bytes, 99)]), brick(Config { dscp: Some(dscp), ..Config::default() }).unwrap());
        brick.process(&mut some).unwrap();
        assert_eq!(some.headers, reparsed(&some));
        (some, brick.unchanged)
    }

    proptest! {
        #[test]
        fn the_checksum_is_that_of_the_header(class in any::<u8>(), id in any::<u16>(), dscp in 0..64_u16) {
            let mut frame = udp4();
            frame[15] = class;
            frame[18..20].copy_from_slice(&id.to_be_bytes());
            frame[24..26].fill(0);
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            let (some, unchanged) = marked(LinkType::Ethernet, &frame, dscp);
            let found = some.packets.bytes(0);
            prop_assert_eq!((found[15], unchanged), ((dscp as u8) << 2 | class & 3, 0));
            prop_assert_eq!(checksum(&found[14..34]), 0);
            prop_assert_eq!((&found[..15], &found[26..]), (&frame[..15], &frame[26..]));
        }
    }

    #[test]
    fn six_has_its_class_across_two_bytes() {
        let mut packet = udp6();
        packet[..4].copy_from_slice(&[0x61, 0x2a, 0xbc, 0xde]);
        let (some, unchanged) = marked(LinkType::RawIp, &packet, 46);
        assert_eq!((&some.packets.bytes(0)[..4], unchanged), (&[0x6b, 0xaa, 0xbc, 0xde][..], 0));
        assert_eq!(some.packets.bytes(0)[4..], packet[4..]);
    }

    #[test]
    fn it_looks_behind_tags_and_leaves_the_rest() {
        let frame = udp4();
        let tagged = [&frame[..12], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2], &frame[12..]].concat();
        assert_eq!(marked(LinkType::Ethernet, &tagged, 8).0.packets.bytes(0)[23], 8 << 2);
        let arp = [&frame[..12], &[0x08, 0x06], &frame[14..]].concat();
        for (link, bytes) in [
            (LinkType::Ethernet, &arp[..]),
            (LinkType::Ethernet, &frame[..33]),
            (LinkType::Ethernet, &frame[..13]),
            (LinkType::RawIp, &[]),
            (LinkType::Null, &frame),
        ] {
            let (some, unchanged) = marked(link, bytes, 8);
            assert_eq!((some.packets.bytes(0), unchanged), (bytes, 1));
        }
    }

    /// A marker by class, and the columns of a classifier.
    fn by_class(dscp: Option<u16>, values: &[(&str, u16)]) -> (Dscp, Layout) {
        let values = values.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect();
        let classes = verdicts(CLASS).with_labels(["web", "video", "unknown"].map(str::to_owned));
        (brick(Config { dscp, by: None, values }).unwrap(), Layout::of([&classes]).unwrap())
    }

    #[test]
    fn the_class_says_which_code_point_a_packet_gets() {
        let frame = udp4();
        let tagged = |dscp, values: &[(&str, u16)]| {
            let (mut brick, layout) = by_class(dscp, values);
            brick.bind(&layout).unwrap();
            let mut some = batch(&[(LinkType::Ethernet, &frame[..], 60); 5]);
            let mut batch = Batch::new(&layout);
            (batch.packets, batch.headers) = (some.packets.clone(), std::mem::take(&mut some.headers));
            let classes = [Verdict::of(1), Verdict::of(0), Verdict::REJECTED, Verdict::of(2), Verdict::of(1)];
            *batch.columns.get_mut(brick.verdicts) = classes.to_vec();
            brick.process(&mut batch).unwrap();
            assert_eq!((&batch.headers, brick.unchanged), (&reparsed(&batch), 0));
            (0..5).map(|packet| batch.packets.bytes(packet)[15] >> 2).collect::<Vec<_>>()
        };
        assert_eq!(tagged(None, &[("video", 34), ("rejected", 1)]), [34, 0, 1, 0, 34]);
        assert_eq!(tagged(Some(8), &[("video", 34), ("web", 0)]), [34, 0, 8, 8, 34]);
    }

    #[test]
    fn what_is_no_marking_is_named() {
        let refused = |config| brick(config).unwrap_err().to_string();
        let (none, dscp) = (Config::default, Some(64));
        assert_eq!(refused(Config { dscp, ..none() }), "dscp = 64: expected a number from 0 to 63");
        let values = [("web".to_owned(), 70)].into();
        assert_eq!(refused(Config { values, ..none() }), "values.web = 70: expected a number from 0 to 63");
        assert!(refused(none()).starts_with("expected dscp = CODE POINT for all packets, or values = {"));
        let by = Some("class".to_owned());
        assert!(
            refused(Config { by, dscp: Some(1), ..none() }).starts_with("by = \"class\": expected values")
        );
        let (mut other, layout) = by_class(None, &[("game", 1)]);
        let error = other.bind(&layout).unwrap_err().to_string();
        assert_eq!(
            error,
            "the column class has no verdict named `game` (there are: web, video, unknown, rejected)"
        );
    }
}
