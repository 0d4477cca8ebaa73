//! How long packets waited for slots on the move.

use std::time::Duration;

/// Packets that waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub time: Duration,
    pub packets: u64,
}
