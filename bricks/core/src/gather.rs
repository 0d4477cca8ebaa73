//! How packets that come one by one become batches.

use std::time::Duration;

/// Packets on their way into a batch. Time is theirs: a clock, or none at all.
pub trait Arrivals {
    /// Packets that are there by now for the batch.
    fn present(&mut self) -> usize;

    /// How long the first of them has waited; nothing where there is none.
    fn waited(&mut self) -> Duration;

    /// Waits for further packets, for about this long at most; `false` where the batch must not wait for any, since the
    /// input is over.
    fn rest(&mut self, most: Duration) -> bool;
}

/// Waits until there are `full` packets for a batch, or some of which the first has waited for `patience`, which is the
/// deadline of the brick that batches; gives how many there are: none only where the input is over.
pub fn gather(arrivals: &mut impl Arrivals, full: usize, patience: Duration) -> usize {
    loop {
        let present = arrivals.present();
        let left = patience.saturating_sub(arrivals.waited());
        if present >= full || present > 0 && left.is_zero() {
            return present;
        }
        if !arrivals.rest(left) {
            return arrivals.present();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BATCH;

    const PATIENCE: Duration = Duration::from_millis(5);

    /// A packet every so often, in virtual time.
    struct Trickle {
        now: Duration,
        every: Duration,
        /// Packets that went before, and that there are in all.
        taken: u32,
        end: u32,
    }

    impl Trickle {
        fn new(every: Duration, end: u32) -> Self {
            Self { now: Duration::ZERO, every, taken: 0, end }
        }

        fn batch(&mut self) -> (usize, Duration) {
            let packets = gather(self, BATCH, PATIENCE);
            self.taken += packets as u32;
            (packets, self.now)
        }
    }

    impl Arrivals for Trickle {
        fn present(&mut self) -> usize {
            let come = (self.now.as_nanos() / self.every.as_nanos()).min(self.end.into()) as u32;
            (come - self.taken).min(BATCH as u32) as usize
        }

        fn waited(&mut self) -> Duration {
            self.now.saturating_sub(self.every * (self.taken + 1))
        }

        fn rest(&mut self, most: Duration) -> bool {
            self.now += most.min(Duration::from_micros(500));
            self.taken + (self.present() as u32) < self.end
        }
    }

    #[test]
    fn a_trickle_comes_out_by_the_deadline_in_short_batches() {
        let mut trickle = Trickle::new(Duration::from_millis(2), 7);
        // The first comes after 2 ms and waits for 5, in which two others come.
        assert_eq!(trickle.batch(), (3, Duration::from_millis(7)));
        assert_eq!(trickle.batch(), (3, Duration::from_millis(13)));
        // The last one waits for nothing: the input is over.
        assert_eq!(trickle.batch(), (1, Duration::from_millis(14)));
        assert_eq!(trickle.batch().0, 0);
    }

    #[test]
    fn under_load_a_batch_is_full_at_once() {
        let mut flood = Trickle::new(Duration::from_micros(1), 100_000);
        assert_eq!(flood.batch(), (BATCH, Duration::from_micros(500)));
        // More than one batch waits by now: none of them waits for its deadline.
        assert_eq!(flood.batch(), (BATCH, Duration::from_micros(1000)));
        flood.now = Duration::from_millis(50);
        for _ in 0..100 {
            assert_eq!(flood.batch(), (BATCH, Duration::from_millis(50)));
        }
    }
}
