//! Interface description blocks: link type and clock of an interface.

use crate::linktype;
use crate::source::order::Order;
use legonf_core::{LinkType, Timestamp};

const NANOS: i128 = 1_000_000_000;

/// What the packets of an interface need to know of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interface {
    /// The link type; that of interfaces which are not parsed by its number.
    pub(super) link: LinkType,
    /// The most bytes captured of a packet.
    pub(super) snap_len: u32,
    /// How its time stamps are to be read.
    pub(super) clock: Clock,
}

impl Interface {
    /// Reads the body of an interface description block, at least 8 bytes.
    pub(super) fn parse(order: Order, body: &[u8]) -> Result<Self, &'static str> {
        let (fixed, options) = body.split_at(8);
        let number = order.u16(fixed);
        let snap_len = match order.u32(&fixed[4..]) {
            0 => u32::MAX,
            limit => limit,
        };
        let clock = Clock::parse(order, options)?;
        let link = linktype::from_number(number.into()).unwrap_or(LinkType::Unread(number));
        Ok(Self { link, snap_len, clock })
    }

    /// Whether its packets can be parsed.
    pub(super) fn is_read(&self) -> bool {
        !matches!(self.link, LinkType::Unread(_))
    }
}

/// Resolution and offset of an interface's time stamps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    resolution: Resolution,
    /// Nanoseconds to be added.
    offset: i128,
    /// Nanoseconds in a tick, if that is all there is to it; else 0.
    scale: u64,
}

/// Length of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Resolution {
    /// So many nanoseconds.
    Nanos(i128),
    /// One nanosecond divided by this.
    PartOfNano(i128),
    /// 2^-n seconds.
    Binary(u32),
}

impl Clock {
    /// Reads if_tsresol and if_tsoffset among the options of an interface.
    fn parse(order: Order, mut options: &[u8]) -> Result<Self, &'static str> {
        let mut clock = Self { resolution: Resolution::of(6), offset: 0, scale: 0 };
        while let Some((head, rest)) = options.split_first_chunk::<4>() {
            let (code, len) = (order.u16(head), usize::from(order.u16(&head[2..])));
            let padded = len.next_multiple_of(4);
            let value = rest.get(..padded).ok_or("an option is longer than its block")?;
            match (code, len) {
                (0, _) => break,
                (9, 1) => clock.resolution = Resolution::of(value[0]),
                (14, 8) => clock.offset = i128::from(order.u64(value).cast_signed()) * NANOS,
                (9, _) => return Err("if_tsresol is not 1 byte long"),
                (14, _) => return Err("if_tsoffset is not 8 bytes long"),
                _ => {}
            }
            options = &rest[padded..];
        }
        clock.scale = match clock.resolution {
            Resolution::Nanos(factor) if clock.offset == 0 => factor as u64,
            _ => 0,
        };
        Ok(clock)
    }

    /// [`timestamp`](Self::timestamp) of a clock and a time as they mostly are, or `None`.
    #[inline(always)]
    pub(super) fn usual_timestamp(&self, ticks: u64) -> Option<Timestamp> {
        let nanos = ticks.checked_mul(self.scale)?;
        (self.scale != 0).then_some(Timestamp::from_nanos(i64::try_from(nanos).ok()?))
    }

    /// The time that lies `ticks` after the epoch, rounded down to nanoseconds.
    #[inline]
    pub(super) fn timestamp(&self, ticks: u64) -> Timestamp {
        let nanos = self.resolution.nanos(ticks) + self.offset;
        Timestamp::from_nanos(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

impl Resolution {
    /// The meaning of an if_tsresol byte.
    fn of(byte: u8) -> Self {
        match byte {
            0..=9 => Self::Nanos(10_i128.pow(u32::from(9 - byte))),
            // 10^19 ticks of a nanosecond's part exceed 64 bits: any finer clock has not yet reached 1 ns.
            10..=127 => Self::PartOfNano(10_i128.pow(u32::from(byte - 9).min(20))),
            128.. => Self::Binary(u32::from(byte & 0x7f)),
        }
    }

    #[inline]
    fn nanos(self, ticks: u64) -> i128 {
        let ticks = i128::from(ticks);
        match self {
            Self::Nanos(factor) => ticks * factor,
            Self::PartOfNano(part) => ticks / part,
            Self::Binary(shift) => (ticks * NANOS) >> shift,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(resolution: u8, offset: i64, ticks: u64) -> i64 {
        let mut options = vec![9, 0, 1, 0, resolution, 0, 0, 0, 14, 0, 8, 0];
        options.extend(offset.to_le_bytes());
        options.extend([0; 4]);
        let clock = Clock::parse(Order::Little, &options).unwrap();
        let time = clock.timestamp(ticks);
        assert!(clock.usual_timestamp(ticks).is_none_or(|usual| usual == time));
        assert_eq!(
            clock.usual_timestamp(ticks).is_some(),
            resolution < 10 && offset == 0 && time.as_nanos() < i64::MAX
        );
        time.as_nanos()
    }

    #[test]
    fn clocks_of_every_resolution() {
        assert_eq!(time(6, 0, 1_700_000_000_123_456), 1_700_000_000_123_456_000);
        assert_eq!(time(9, 0, 1_700_000_000_123_456_789), 1_700_000_000_123_456_789);
        assert_eq!(time(0, 5, 7), 12_000_000_000);
        assert_eq!(time(12, 0, 1_999), 1);
        assert_eq!(time(29, 0, u64::MAX), 0);
        assert_eq!(time(127, 0, u64::MAX), 0);
        assert_eq!(time(0x80 | 10, 0, 1536), 1_500_000_000);
        assert_eq!(time(0x80 | 32, 0, (1_700_000_000 << 32) + (1 << 31)), 1_700_000_000_500_000_000);
        assert_eq!(time(0xff, 0, u64::MAX), 0);
        assert_eq!(time(9, -2, 500_000_000), -1_500_000_000);
    }

    #[test]
    fn impossible_times_saturate() {
        assert_eq!(time(0, i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(time(0, i64::MIN, 0), i64::MIN);
    }

    #[test]
    fn default_is_microseconds_and_end_of_options_ends() {
        let clock = Clock::parse(Order::Big, &[0, 0, 0, 0, 0, 9, 0, 1, 9, 0, 0, 0]).unwrap();
        assert_eq!(clock.timestamp(1).as_nanos(), 1000);
    }

    #[test]
    fn bad_options_are_refused() {
        assert!(Clock::parse(Order::Little, &[9, 0, 40, 0, 6, 0, 0, 0]).is_err());
        assert!(Clock::parse(Order::Little, &[9, 0, 2, 0, 6, 0, 0, 0]).is_err());
        assert!(Clock::parse(Order::Little, &[14, 0, 4, 0, 6, 0, 0, 0]).is_err());
    }
}
