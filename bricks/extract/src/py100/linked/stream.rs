//! A stream with links to others.

use super::log;
use crate::damp::RATES;
use crate::py100::arithmetic::Rates;
use crate::py100::sums::Sums;

/// No link, or no state.
pub(super) const NONE: u32 = u32::MAX;

/// Where a stream stands. One that has never sent has no more than this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Time to which the sums are damped. Peers' packets after the stream's own are still to come.
    pub(super) time: f64,
    /// Its [`State`], or [`NONE`] before it has sent.
    pub(super) state: u32,
    /// Its last event in the log.
    pub(super) head: u32,
    /// The last event that its sums know of.
    pub(super) heard: u32,
    /// Whether any residual of it ever was not zero.
    pub(super) lively: bool,
    /// Whether it is told of its peers' packets by the lists below, rather than by [`Near`](super::near::Near).
    pub(super) far: bool,
    /// Events that it looked at lately without being concerned.
    pub(super) looked: u32,
    /// Its first link.
    pub(super) oldest: u32,
    /// Its last link; the others follow by [`Link::older`](super::link::Link::older).
    pub(super) newest: u32,
    /// First of its links whose other end has sent since this stream did.
    pub(super) behind: u32,
    /// First of its links whose other end has sent since this stream did not, and so must hear when it does.
    pub(super) listening: u32,
}

impl Stream {
    /// A stream that is first named at `time`.
    pub(super) fn new(time: f64) -> Self {
        Self {
            time,
            state: NONE,
            head: log::NONE,
            heard: log::NONE,
            lively: false,
            far: false,
            looked: 0,
            oldest: NONE,
            newest: NONE,
            behind: NONE,
            listening: NONE,
        }
    }
}

/// What a stream knows of its own packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) sums: Sums,
    /// What its peers read, as of the stream's last packet.
    pub(super) last: Last,
}

/// What is read of the other end of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    /// Squares of the means.
    pub(super) mean_squared: Rates,
    /// Squares of the variances.
    pub(super) var_squared: Rates,
    /// Roots of the variances.
    pub(super) deviation: Rates,
}

impl State {
    /// Before the first packet.
    pub(super) const EMPTY: Self = {
        let zero = [0.0; RATES];
        let last = Last { mean_squared: zero, var_squared: zero, deviation: zero };
        Self { sums: Sums::EMPTY, last }
    };
}
