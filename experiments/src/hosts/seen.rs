//! A sink that notes every score, and how late every packet is.

use super::streams::{Load, Run};
use crate::deviation::deviation;
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Sink};
use legonf_infer::SCORES;
use std::sync::Arc;

/// What came.
pub(super) struct Seen {
    load: Load,
    run: Arc<Run>,
    /// Scores by the number of the packet; each batch goes on where the one before ended, or is out of order.
    pub scores: Vec<f64>,
    /// Packets that came out of order, or again.
    pub strays: u64,
    /// Milliseconds from when it was due, of each packet that came by the clock.
    pub late_ms: Vec<f32>,
    column: Handle<Vec<f64>>,
}

impl Seen {
    pub fn new(load: Load, run: Arc<Run>) -> Self {
        let (scores, strays, late_ms, column) = Default::default();
        Self { load, run, scores, strays, late_ms, column }
    }

    /// The greatest difference of a score to another run's; of two bit patterns of one value the least number.
    pub fn deviation(&self, other: &Self) -> f64 {
        let all = self.scores.iter().zip(&other.scores);
        all.map(|(found, expected)| deviation(*found, *expected)).fold(0.0, f64::max)
    }
}

impl Sink for Seen {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let now = self.run.now();
        for (headers, score) in batch.headers.iter().zip(batch.columns.get(self.column)) {
            if headers.seq != self.scores.len() as u64 {
                self.strays += 1;
                continue;
            }
            self.scores.push(*score);
            if let Some(now) = now.filter(|_| headers.seq >= self.load.first_timed()) {
                self.late_ms.push(((now - self.load.due(headers.seq)) * 1e3) as f32);
            }
        }
        self.run.took(batch.len() as u64);
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![ColumnSpec::HEADERS, SCORES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.column = layout.handle(&SCORES)?;
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
    fn one_bit_is_a_deviation() {
        let load = Load { streams: 1, at_once: 0, rate: 1.0 };
        let seen = |scores: &[f64]| Seen { scores: scores.to_vec(), ..Seen::new(load, Arc::default()) };
        let one = seen(&[1.0, 2.0]);
        assert_eq!(one.deviation(&seen(&[1.0, 2.0])), 0.0);
        assert_eq!(one.deviation(&seen(&[1.0, 2.5])), 0.5);
        assert!(one.deviation(&seen(&[f64::from_bits(1.0_f64.to_bits() + 1), 2.0])) > 0.0);
    }
}
