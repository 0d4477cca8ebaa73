//! A sink that knows which packets came, with which scores, and when.

use crate::deviation::deviation;
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Sink};
use legonf_engine::Error;
use legonf_infer::SCORES;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// What came.
#[derive(Default)]
pub(super) struct Seen {
    packets: Vec<(u64, f64)>,
    last: Option<Instant>,
    longest: Duration,
    scores: Handle<Vec<f64>>,
}

/// How that differs from what should have come.
#[derive(Debug, PartialEq)]
pub(super) struct Compared {
    /// Packets that did not come.
    pub missing: u64,
    /// Packets that came more than once.
    pub repeated: u64,
    /// The greatest difference of a score; not a number where one is none and the other is.
    pub deviation: f64,
}

impl Seen {
    /// The scores by number, of packets that came once each.
    pub fn scores(self) -> Vec<f64> {
        self.packets.into_iter().map(|(_, score)| score).collect()
    }

    /// What a run has written as `scores.csv`.
    ///
    /// # Errors
    /// If it cannot be read, or has other columns.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file).map_err(|error| Error::file(file, error))?;
        let other = || Error::refused(format!("{}: not a table of scores", file.display()));
        let row = |line: &str| {
            let mut cells = line.split(',');
            // Behind the number comes the time.
            Some((cells.next()?.parse().ok()?, cells.nth(1)?.parse().ok()?))
        };
        let packets =
            text.lines().skip(1).map(|line| row(line).ok_or_else(other)).collect::<Result<_, _>>()?;
        Ok(Self { packets, ..Self::default() })
    }

    /// The longest time between two batches.
    pub fn longest_gap(&self) -> Duration {
        self.longest
    }

    /// Compares it with the scores of packets from 0 on.
    pub fn compare(&self, expected: &[f64]) -> Compared {
        let mut times: HashMap<u64, u64> = HashMap::new();
        let mut greatest = 0.0_f64;
        for (seq, score) in &self.packets {
            *times.entry(*seq).or_default() += 1;
            let other = expected.get(*seq as usize).copied().unwrap_or(f64::NAN);
            greatest = greatest.max(deviation(*score, other));
        }
        let missing = (0..expected.len() as u64).filter(|seq| !times.contains_key(seq)).count();
        let repeated = times.values().map(|times| times - 1).sum();
        Compared { missing: missing as u64, repeated, deviation: greatest }
    }
}

impl Sink for Seen {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let now = Instant::now();
        self.longest = self.last.replace(now).map_or(self.longest, |last| self.longest.max(now - last));
        let scores = batch.columns.get(self.scores).iter();
        self.packets.extend(batch.headers.iter().zip(scores).map(|(headers, score)| (headers.seq, *score)));
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![ColumnSpec::HEADERS, SCORES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.scores = layout.handle(&SCORES)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_twice_or_differs_is_found() {
        let compare = |packets: &[(u64, f64)]| {
            Seen { packets: packets.to_vec(), ..Seen::default() }.compare(&[1.0, 2.0, 3.0])
        };
        let whole = [(0, 1.0), (1, 2.0), (2, 3.0)];
        assert_eq!(compare(&whole), Compared { missing: 0, repeated: 0, deviation: 0.0 });
        assert_eq!(compare(&whole[1..]).missing, 1);
        assert_eq!(compare(&[whole[0], whole[1], whole[1], whole[1], whole[2]]).repeated, 2);
        assert_eq!(compare(&[whole[0], (1, 2.5), whole[2]]).deviation, 0.5);
        assert!(compare(&[(0, 1.0), (1, 2.0), (2, f64::from_bits(3.0_f64.to_bits() + 1))]).deviation > 0.0);
    }
}
