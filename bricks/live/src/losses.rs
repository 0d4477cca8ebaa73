//! Packets that never came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an interface lost so far, by where; a clone shows the same numbers, also while the source is at work.
#[derive(Clone, Debug, Default)]
pub struct Losses(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    kernel: AtomicU64,
    interface: AtomicU64,
    outages: AtomicU64,
}

impl Losses {
    /// The reason under which packets are dropped that found the kernel's ring full.
    pub const KERNEL: &str = "kernel";
    /// The reason under which packets are dropped that the interface or its driver lost.
    pub const INTERFACE: &str = "interface";

    /// Every reason with its number of packets.
    pub fn by_reason(&self) -> [(&'static str, u64); 2] {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [(Self::KERNEL, value(&self.0.kernel)), (Self::INTERFACE, value(&self.0.interface))]
    }

    /// How often the interface was seen to be down.
    pub fn outages(&self) -> u64 {
        self.0.outages.load(Ordering::Relaxed)
    }

    /// All packets that were lost.
    pub fn total(&self) -> u64 {
        self.by_reason().iter().map(|(_, packets)| packets).sum()
    }

    pub(crate) fn add_outage(&self) {
        self.0.outages.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, kernel: u64, interface: u64) {
        self.0.kernel.store(kernel, Ordering::Relaxed);
        self.0.interface.store(interface, Ordering::Relaxed);
    }
}

/// A 64-bit count of something that is counted in 32 bits, which wrap around.
///
/// Right as long as it is read before 2^32 more have come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wide {
    total: u64,
    last: u32,
}

impl Wide {
    /// Takes a reading and gives the count.
    pub(crate) fn read(&mut self, now: u32) -> u64 {
        self.total += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_where_32_bits_end() {
        let mut wide = Wide::default();
        assert_eq!(wide.read(5), 5);
        assert_eq!(wide.read(u32::MAX), u64::from(u32::MAX));
        assert_eq!(wide.read(4), (1 << 32) + 4);
        assert_eq!(wide.read(4), (1 << 32) + 4);
    }

    #[test]
    fn a_clone_shows_the_same() {
        let losses = Losses::default();
        let other = losses.clone();
        losses.set(3, 4);
        assert_eq!((other.by_reason(), other.total()), ([("kernel", 3), ("interface", 4)], 7));
    }
}
