//! A stream with links to others.

use super::log;
use crate::py100::arithmetic::Lanes;
use crate::py100::sums::{Moments, Sums};

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
    /// Its number of events in the log.
    pub(super) sent: u32,
    /// Whether any residual of it ever was not zero.
    pub(super) lively: bool,
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
            sent: 0,
            lively: false,
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
    /// As of the stream's last packet.
    pub(super) moments: Moments,
    /// Squares of the variances.
    pub(super) var_squared: Lanes,
}

impl State {
    /// Before the first packet.
    pub(super) const EMPTY: Self = {
        let zero = [0.0; crate::damp::RATES];
        let moments = Moments { mean: zero, mean_squared: zero, var: zero };
        Self { sums: Sums::EMPTY, moments, var_squared: zero }
    };
}
