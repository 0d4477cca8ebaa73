//! The brick that holds the traffic of each class to a rate.

use crate::dscp::{code_point, mark};
use crate::{CLASS, NfError, rewrite_one, verdicts};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Disposition, DropReason, Element, Handle,
    Headers, Layout, Packets, State, Verdict,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Configuration of [`RateLimit`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The column of verdicts. Default `class`.
    #[serde(default = "class")]
    pub by: String,
    /// What passes of each class, by the label of its verdict or by `rejected`. Classes that are not named pass whole. No default.
    pub limits: BTreeMap<String, Limit>,
    /// The code point (DSCP, 0 to 63) that packets get which do not fit. Default none: they are dropped.
    #[serde(default)]
    pub mark: Option<u16>,
}

fn class() -> String {
    CLASS.to_owned()
}

/// A rate and a burst: in bytes on the wire, or in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Bytes in a second of stream time; either these or packets. 0: nothing beyond the burst.
    pub bytes_per_second: Option<u64>,
    /// Packets in a second of stream time.
    pub packets_per_second: Option<u64>,
    /// Bytes, or packets, that pass at once, also when the stream begins. Default: those of a second. A packet with more bytes than
    /// the burst never fits.
    pub burst: Option<u64>,
}

/// Lets each class pass up to a rate: a token bucket for each, which fills by stream time. What does not fit is dropped, by the
/// reason [`DropReason::RateLimit`], or gets another code point.
///
/// All flows of a class share its bucket, so the brick is serial: packets take tokens in arrival order. No time passes with a packet
/// that was overtaken. Rows of a table, which have no time, all pass.
#[derive(Clone, Debug)]
pub struct RateLimit {
    by: ColumnSpec,
    named: Vec<(String, Bucket)>,
    mark: Option<u8>,
    /// By the places of labels, and last for what is rejected; none where all passes.
    buckets: Vec<Option<Bucket>>,
    verdicts: Handle<Vec<Verdict>>,
    dispositions: Handle<Vec<Disposition>>,
    exceeding: u64,
    unchanged: u64,
}

impl RateLimit {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "rate-limit";

    /// What the graph needs to know of the brick that drops; one that marks fills packets and headers instead.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "rate limiting",
        reads: Cow::Borrowed(&[
            ColumnSpec::scalar(CLASS, Element::Verdict),
            ColumnSpec::HEADERS,
            ColumnSpec::DISPOSITION,
        ]),
        writes: Cow::Borrowed(&[ColumnSpec::DISPOSITION]),
        state: State::Serial,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If a limit is not on either bytes or packets, or the code point is not in its range.
    pub fn new(config: Config) -> Result<Self, NfError> {
        let mark = config.mark.map(|mark| code_point("mark", mark)).transpose()?;
        let named = config.limits.into_iter().map(|(label, limit)| match Bucket::new(limit) {
            Some(bucket) => Ok((label, bucket)),
            None => Err(NfError::Limit(label)),
        });
        let (named, by) = (named.collect::<Result<_, _>>()?, verdicts(&config.by));
        let (verdicts, dispositions) = Default::default();
        Ok(Self { by, named, mark, buckets: Vec::new(), verdicts, dispositions, exceeding: 0, unchanged: 0 })
    }

    /// What is done to a packet that does not fit.
    fn exceed(&mut self, index: usize, batch: &mut Batch) {
        self.exceeding += 1;
        let Batch { packets, headers, columns, .. } = batch;
        match self.mark {
            Some(dscp) => {
                let change = |packets: &mut Packets, index| mark(packets, index, dscp);
                self.unchanged += u64::from(!rewrite_one(packets, headers, index, change));
            }
            None => columns.get_mut(self.dispositions)[index] = Disposition::Drop(DropReason::RateLimit),
        }
    }
}

/// Tokens are counted in billionths, which a nanosecond brings whole numbers of.
const WHOLE: u128 = 1_000_000_000;

/// The tokens of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// Whether a packet takes a token for each byte, or one.
    of_bytes: bool,
    /// Tokens a second, so billionths of one a nanosecond.
    rate: u64,
    /// Billionths that there can be, and that there are.
    most: u128,
    tokens: u128,
    /// The latest stream time of a packet.
    latest: Option<i64>,
}

impl Bucket {
    /// A full bucket; none if the limit does not say of what.
    fn new(limit: Limit) -> Option<Self> {
        let (of_bytes, rate) = match (limit.bytes_per_second, limit.packets_per_second) {
            (Some(bytes), None) => (true, bytes),
            (None, Some(packets)) => (false, packets),
            _ => return None,
        };
        let most = u128::from(limit.burst.unwrap_or(rate)) * WHOLE;
        Some(Self { of_bytes, rate, most, tokens: most, latest: None })
    }

    /// Takes the tokens for a packet, if there are enough.
    fn take(&mut self, packet: &Headers) -> bool {
        self.fill(packet.stream_time().as_nanos());
        let cost = if self.of_bytes { u128::from(packet.wire_len) } else { 1 } * WHOLE;
        let left = self.tokens.checked_sub(cost);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    /// Adds what has come by this time.
    fn fill(&mut self, now: i64) {
        let latest = self.latest.unwrap_or(now);
        // 292 years at most, so that no product has more than 127 bits; 0 where the packet was overtaken.
        let passed = now.saturating_sub(latest).max(0).cast_unsigned();
        self.tokens = (self.tokens + u128::from(passed) * u128::from(self.rate)).min(self.most);
        self.latest = Some(latest.max(now));
    }
}

impl Brick for RateLimit {
    fn descriptor(&self) -> Descriptor {
        let (packets, headers) = (ColumnSpec::PACKETS, ColumnSpec::HEADERS);
        let (reads, writes) = match self.mark {
            Some(_) => (vec![self.by.clone(), packets.clone(), headers.clone()], vec![packets, headers]),
            None => (vec![self.by.clone(), headers, ColumnSpec::DISPOSITION], vec![ColumnSpec::DISPOSITION]),
        };
        Descriptor { reads: reads.into(), writes: writes.into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.verdicts = layout.handle(&self.by)?;
        if self.mark.is_none() {
            self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        }
        let labels = layout.get(&self.by.name).map_or(0, |spec| spec.labels.len());
        self.buckets = vec![None; labels + 1];
        for (label, bucket) in &self.named {
            self.buckets[layout.label(&self.by.name, label)?] = Some(*bucket);
        }
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if batch.timeless {
            return Ok(());
        }
        for index in 0..batch.headers.len() {
            let place = batch.columns.get(self.verdicts)[index].place(self.buckets.len() - 1);
            if self.buckets[place].as_mut().is_some_and(|bucket| !bucket.take(&batch.headers[index])) {
                self.exceed(index, batch);
            }
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let marks = self.mark.map(|_| ("not-marked", self.unchanged));
        [("rate-exceeded", self.exceeding)].into_iter().chain(marks).collect()
    }

    fn state_size(&self) -> u64 {
        size_of_val(&*self.buckets) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{reparsed, udp4};
    use legonf_core::{LinkType, Timestamp};
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    /// Runs the brick over packets of 46 bytes on the wire, of the class `web` unless told otherwise, in batches of some size; and
    /// says which fit.
    fn fitting(text: &str, packets: &[(i64, usize)], size: usize) -> (Vec<bool>, Batch) {
        let mut brick = RateLimit::new(config(text)).unwrap();
        let classes = verdicts(CLASS).with_labels(["web", "mail"].map(str::to_owned));
        let layout = Layout::of([&classes, &ColumnSpec::DISPOSITION]).unwrap();
        brick.bind(&layout).unwrap();
        let (mut fit, mut batch) = (Vec::new(), Batch::new(&layout));
        for part in packets.chunks(size) {
            batch.clear();
            let (frame, classes) = (udp4(), part.iter().map(|(_, class)| Verdict::of(*class)).collect());
            for (time, _) in part {
                batch.packets.push(0, Timestamp::from_nanos(*time), 46, LinkType::Ethernet, &frame);
            }
            batch.headers = reparsed(&batch);
            *batch.columns.get_mut(brick.verdicts) = classes;
            let dispositions = layout.handle::<Vec<Disposition>>(&ColumnSpec::DISPOSITION).unwrap();
            *batch.columns.get_mut(dispositions) = vec![Disposition::default(); part.len()];
            brick.process(&mut batch).unwrap();
            let dropped = Disposition::Drop(DropReason::RateLimit);
            fit.extend(batch.columns.get(dispositions).iter().map(|found| *found != dropped));
        }
        assert_eq!(batch.headers, reparsed(&batch));
        (fit, batch)
    }

    fn web(times: &[i64]) -> Vec<(i64, usize)> {
        times.iter().map(|time| (*time, 0)).collect()
    }

    #[test]
    fn a_burst_passes_and_then_what_the_rate_brings() {
        let limit = "limits.web = { packets_per_second = 2, burst = 3 }";
        let packets = web(&[0, 0, 0, 0, SECOND / 2 - 1, SECOND / 2, SECOND / 2, 9 * SECOND, 9 * SECOND]);
        let expected = [true, true, true, false, false, true, false, true, true];
        for size in [1, 2, 4, 9] {
            assert_eq!(fitting(limit, &packets, size).0, expected, "{size}");
        }
        // Each packet has 46 bytes: two fit at once, and a third after a second.
        let limit = "limits.web = { bytes_per_second = 46, burst = 92 }";
        let (fit, _) = fitting(limit, &web(&[0, 0, 0, SECOND - 1, SECOND]), 5);
        assert_eq!(fit, [true, true, false, false, true]);
    }

    #[test]
    fn each_class_has_its_own_and_others_pass() {
        let limits =
            "limits.web.packets_per_second = 1\nlimits.mail.packets_per_second = 0\nlimits.mail.burst = 1";
        let packets = [(0, 0), (0, 1), (0, 0), (SECOND, 1), (SECOND, 0), (SECOND, 7), (SECOND, 7)];
        // Nothing ever fills a bucket of the rate 0; what has no class here is rejected, which is not limited.
        assert_eq!(fitting(limits, &packets, 3).0, [true, true, false, false, true, true, true]);
        let limits = "limits.rejected = { packets_per_second = 0 }";
        assert_eq!(fitting(limits, &packets[4..], 3).0, [true, false, false]);
    }

    #[test]
    fn time_that_runs_back_brings_nothing() {
        let limit = "limits.web = { packets_per_second = 1, burst = 1 }";
        let (fit, _) = fitting(limit, &web(&[5 * SECOND, 0, 4 * SECOND, 6 * SECOND - 1, 6 * SECOND]), 2);
        assert_eq!(fit, [true, false, false, false, true]);
        let (fit, _) = fitting(limit, &web(&[i64::MAX, i64::MIN, i64::MAX]), 2);
        assert_eq!(fit, [true, false, false]);
        let most = "limits.web = { bytes_per_second = 9223372036854775807 }";
        assert_eq!(fitting(most, &web(&[i64::MIN, i64::MAX, i64::MAX]), 3).0, [true; 3]);
    }

    #[test]
    fn what_does_not_fit_can_be_marked_instead() {
        let limit = "mark = 10\nlimits.web = { packets_per_second = 0, burst = 2 }";
        let (fit, batch) = fitting(limit, &web(&[0, 1, 2, 3]), 4);
        assert_eq!(fit, [true; 4]);
        let points: Vec<_> = (0..4).map(|packet| batch.packets.bytes(packet)[15] >> 2).collect();
        assert_eq!(points, [0, 0, 10, 10]);
    }

    proptest! {
        #[test]
        fn no_span_of_time_has_more_than_its_share(times in proptest::collection::vec(0..5 * SECOND, 1..200)) {
            let mut times = times;
            times.sort_unstable();
            let (fit, _) = fitting("limits.web = { packets_per_second = 10, burst = 4 }", &web(&times), 64);
            let passed: Vec<_> = times.iter().zip(&fit).filter(|(_, fits)| **fits).map(|(time, _)| *time).collect();
            for (first, begin) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let most = 4 + (end - begin) * 10 / SECOND + 1;
                    prop_assert!(((last - first) as i64) < most, "{first} to {last}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for text in ["", "burst = 5", "bytes_per_second = 1\npackets_per_second = 1"] {
            let refused = RateLimit::new(config(&format!("[limits.web]\n{text}"))).unwrap_err().to_string();
            assert_eq!(refused, "limits.web: expected either bytes_per_second or packets_per_second");
        }
        let refused = RateLimit::new(config("mark = 64\nlimits = {}")).unwrap_err().to_string();
        assert_eq!(refused, "mark = 64: expected a number from 0 to 63");
        let mut other = RateLimit::new(config("limits.game.packets_per_second = 1")).unwrap();
        let classes = verdicts(CLASS).with_labels(["web".to_owned()]);
        let error = other.bind(&Layout::of([&classes, &ColumnSpec::DISPOSITION]).unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the column class has no verdict named `game` (there are: web, rejected)"
        );
    }
}
