//! How many requests are answered in a time.

use std::time::Instant;

/// A bucket of tokens: one for each request.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    most: f64,
    per_second: f64,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(most: f64, per_second: f64, now: Instant) -> Self {
        Self { tokens: most, most, per_second, filled: now }
    }

    /// Whether a request may be answered now.
    pub fn take(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + seconds * self.per_second).min(self.most);
        self.filled = now;
        let may = self.tokens >= 1.0;
        self.tokens -= if may { 1.0 } else { 0.0 };
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_answered_and_then_a_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3.0, 2.0, start);
        assert_eq!([0, 0, 0, 0].map(|_| bucket.take(start)), [true, true, true, false]);
        let later = start + Duration::from_millis(500);
        assert_eq!([bucket.take(later), bucket.take(later)], [true, false]);
        let long = start + Duration::from_secs(3600);
        assert_eq!((0..5).filter(|_| bucket.take(long)).count(), 3);
    }
}
