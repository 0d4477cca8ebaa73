//! Stream time: a capture's clock without its faults.

use crate::{Batch, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far behind the latest packet another may come and be taken for one that was only overtaken: packets of several
/// interfaces, and of several cores, come so.
const REORDERING: i64 = 1_000_000_000;

/// The longest gap between two packets that is taken for time that has passed: ten half-lives of the slowest statistic
/// (a decay of 0.01 a second), of which a thousandth is left behind it.
pub const LONGEST_GAP: Duration = Duration::from_secs(1_000);

const MOST: i64 = LONGEST_GAP.as_nanos() as i64;

/// The latest beginning of a stream (the year 2116): from there it can go on for as long again.
const LATEST_BEGIN: i64 = i64::MAX / 2;

/// What a capture's clock did that no clock does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFaults {
    /// Packets up to a second behind one that came before. They keep their time.
    pub reordered: u64,
    /// Times that the clock went further back.
    pub steps_back: u64,
    /// Times that it went ahead by more than [`LONGEST_GAP`], or back to what it was before a step back.
    pub jumps: u64,
    /// Nanoseconds of all steps back.
    pub back: u64,
    /// Nanoseconds of all jumps, which are no time of the stream.
    pub ahead: u64,
    /// Number of the first packet of which any of this is said.
    pub first: Option<u64>,
}

impl ClockFaults {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The counts by name, as bricks have counters.
    pub fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("clock-reordered", self.reordered),
            ("clock-steps-back", self.steps_back),
            ("clock-jumps", self.jumps),
        ]
    }
}

/// Turns the time stamps of packets, in the order of arrival, into stream time: the first one, and from there the sum of
/// all plausible gaps.
///
/// Stream time is the time stamp plus a *shift*, 0 at first. A packet up to a second behind the latest one keeps that
/// shift. One further behind (a step back) or more than [`LONGEST_GAP`] ahead (a jump) changes it, so that the stream goes
/// on as if the packet had come at once. Where a later packet fits the shift before such a change, that shift holds
/// again: one wrong time stamp costs nothing, and two clocks in one capture are told apart. Any `i64` is fine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Whether there was a packet since the beginning of this capture, and of all.
    ticking: bool,
    begun: bool,
    begin: i64,
    /// Time stamp of the latest packet, and its stream time.
    latest: i64,
    now: i64,
    /// The shift before the last change.
    before: Option<i64>,
    faults: ClockFaults,
    /// The stream time of the latest packet before the batch that was marked last.
    #[serde(skip)]
    passed: Option<i64>,
}

impl Clock {
    /// Takes the next packet, by its number and time stamp, and gives the nanoseconds from there to its stream time. The sum
    /// wraps around: [`Headers::stream_time`](crate::Headers::stream_time) adds so.
    #[inline]
    pub fn shift(&mut self, seq: u64, time: Timestamp) -> i64 {
        let time = time.as_nanos();
        let gap = time.saturating_sub(self.latest);
        if self.ticking && (0..=REORDERING).contains(&gap) {
            return self.pass(time, gap);
        }
        self.look(seq, time, gap)
    }

    /// [`shift`](Self::shift), as the stream time itself.
    pub fn stream_time(&mut self, seq: u64, time: Timestamp) -> Timestamp {
        Timestamp::from_nanos(time.as_nanos().wrapping_add(self.shift(seq, time)))
    }

    /// Notes the shift of every packet of a batch, in `packets` or, where these are none, in `headers`. Rows of a table
    /// have no times.
    pub fn mark(&mut self, batch: &mut Batch) {
        self.passed = self.begun.then_some(self.now);
        if !batch.packets.is_empty() {
            batch.packets.shift_each(|seq, time| self.shift(seq, time));
        } else if !batch.timeless {
            batch
                .headers
                .iter_mut()
                .for_each(|packet| packet.shift = self.shift(packet.seq, packet.timestamp));
        }
    }

    /// Expects the first packet of another capture: wherever its clock stands, no time passes in between.
    #[must_use]
    pub fn next_capture(self) -> Self {
        Self { ticking: false, before: None, ..self }
    }

    /// Expects the next packet of the same stream in another run: time and age go on, and faults are counted anew.
    #[must_use]
    pub fn resumed(self) -> Self {
        Self { faults: ClockFaults::default(), ..self }
    }

    /// Nanoseconds from the first packet of the stream to one of this stream time; 0 for what is before.
    #[inline]
    pub fn age(&self, time: Timestamp) -> u64 {
        let begin = i128::from(self.begin);
        u64::try_from(i128::from(time.as_nanos()) - begin).unwrap_or(0)
    }

    /// The latest stream time of each packet and all before it, of the batch that was [marked](Self::mark) last, in nanoseconds.
    /// Rows of a table have 0.
    pub fn watermarks(&self, batch: &Batch, watermarks: &mut Vec<i64>) {
        watermarks.clear();
        if batch.timeless {
            return watermarks.resize(batch.len(), 0);
        }
        let mut latest = self.passed.unwrap_or(i64::MIN);
        let mut next = |time: Timestamp| {
            latest = latest.max(time.as_nanos());
            latest
        };
        match batch.packets.is_empty() {
            true => watermarks.extend(batch.headers.iter().map(|packet| next(packet.stream_time()))),
            false => watermarks.extend(batch.packets.iter().map(|(packet, _)| next(packet.stream_time()))),
        }
    }

    /// Nanoseconds of stream time between the first packet and the latest.
    pub fn elapsed(&self) -> u64 {
        self.now.wrapping_sub(self.begin).cast_unsigned()
    }

    /// What was wrong with the time stamps so far.
    pub fn faults(&self) -> ClockFaults {
        self.faults
    }

    /// Time passes, by `gap` from 0.
    #[inline]
    fn pass(&mut self, time: i64, gap: i64) -> i64 {
        (self.latest, self.now) = (time, self.now.saturating_add(gap));
        self.now.wrapping_sub(time)
    }

    /// What is no gap of up to a second.
    #[cold]
    fn look(&mut self, seq: u64, time: i64, gap: i64) -> i64 {
        if !self.ticking {
            return self.start(time);
        }
        if (-REORDERING..0).contains(&gap) {
            self.faults.reordered += 1;
            self.faults.first.get_or_insert(seq);
            return self.now.wrapping_sub(self.latest);
        }
        if let Some(ahead) = self.fits_before(time).filter(|ahead| gap < 0 || *ahead < gap) {
            self.count(seq, gap, ahead);
            return self.turn(time, ahead);
        }
        if (0..=MOST).contains(&gap) {
            return self.pass(time, gap);
        }
        self.count(seq, gap, 0);
        self.turn(time, 0)
    }

    fn start(&mut self, time: i64) -> i64 {
        if !self.begun {
            (self.begin, self.now) = (time.min(LATEST_BEGIN), time.min(LATEST_BEGIN));
        }
        (self.begun, self.ticking) = (true, true);
        self.pass(time, 0)
    }

    /// How far ahead of the stream a time stamp is by the shift before the last change, if that is plausible.
    fn fits_before(&self, time: i64) -> Option<i64> {
        let ahead = time.wrapping_add(self.before?).saturating_sub(self.now);
        (-REORDERING..=MOST).contains(&ahead).then_some(ahead)
    }

    fn count(&mut self, seq: u64, gap: i64, passed: i64) {
        let faults = &mut self.faults;
        faults.first.get_or_insert(seq);
        if gap < 0 {
            faults.steps_back += 1;
            faults.back = faults.back.saturating_add(gap.unsigned_abs());
        } else {
            faults.jumps += 1;
            faults.ahead = faults.ahead.saturating_add(gap.abs_diff(passed));
        }
    }

    /// Changes the shift: this time stamp is so far ahead of the stream, or behind it.
    fn turn(&mut self, time: i64, ahead: i64) -> i64 {
        self.before = Some(self.now.wrapping_sub(self.latest));
        (self.latest, self.now) = (time, self.now.saturating_add(ahead));
        let shift = self.now.wrapping_sub(time);
        // The latest packet is still that with the greatest stream time.
        let behind = ahead.min(0).saturating_neg();
        (self.latest, self.now) = (time.saturating_add(behind), self.now.saturating_add(behind));
        shift
    }
}

#[cfg(test)]
mod tests;
