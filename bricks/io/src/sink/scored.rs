//! What every sink of results reads from a batch.

use super::SinkError;
use crate::{SCORES, VERDICTS};
use legonf_core::{
    Batch, BindError, ColumnSpec, Disposition, Dispositions, Handle, Layout, Timestamp, Verdict,
};

/// One packet's result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored {
    pub seq: u64,
    pub timestamp: Timestamp,
    pub score: f64,
    pub verdict: Verdict,
    /// What happens to the packet. Where it [is unseen](Disposition::is_unseen), score and verdict mean nothing.
    pub disposition: Disposition,
}

/// Where a sink finds the results of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Results {
    scores: Handle<Vec<f64>>,
    verdicts: Handle<Vec<Verdict>>,
    dispositions: Dispositions,
}

impl Results {
    /// Their columns.
    pub fn columns() -> Vec<ColumnSpec> {
        vec![SCORES, VERDICTS, ColumnSpec::DISPOSITION]
    }

    /// As [`Sink::bind`](legonf_core::Sink::bind).
    pub fn bind(layout: &Layout) -> Result<Self, BindError> {
        let (scores, verdicts) = (layout.handle(&SCORES)?, layout.handle(&VERDICTS)?);
        Ok(Self { scores, verdicts, dispositions: Dispositions::bind(layout)? })
    }

    /// The results of a batch in arrival order.
    ///
    /// # Errors
    /// [`SinkError::Mismatch`] when a packet has no score or no verdict.
    pub fn of<'a>(
        self,
        batch: &'a Batch,
        name: impl Fn() -> String,
    ) -> Result<impl Iterator<Item = Scored> + 'a, SinkError> {
        let (scores, verdicts) = (batch.columns.get(self.scores), batch.columns.get(self.verdicts));
        let expected = batch.len();
        for (what, found) in [("scores", scores.len()), ("verdicts", verdicts.len())] {
            if found != expected {
                let what = what.to_owned();
                return Err(SinkError::Mismatch { path: name(), what, expected, found });
            }
        }
        let results = scores.iter().zip(verdicts).enumerate();
        Ok(results.map(move |(i, (&score, &verdict))| {
            let (seq, timestamp) = identity(batch, i);
            let disposition = self.dispositions.of(batch, i);
            Scored { seq, timestamp, score, verdict, disposition }
        }))
    }
}

/// Number and time of packet `index`, from whichever column has them.
pub(super) fn identity(batch: &Batch, index: usize) -> (u64, Timestamp) {
    match batch.headers.get(index) {
        Some(h) => (h.seq, h.timestamp),
        None => {
            let record = batch.packets.record(index);
            (record.seq, record.timestamp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Headers, LinkType};

    fn batch() -> (Batch, Results) {
        let layout = Layout::of(&Results::columns()).unwrap();
        (Batch::new(&layout), Results::bind(&layout).unwrap())
    }

    #[test]
    fn identity_comes_from_headers_or_packets() {
        let (mut batch, results) = batch();
        batch.packets.push(5, Timestamp::new(1, 2), 60, LinkType::Ethernet, &[]);
        batch.columns.get_mut(results.scores).push(0.5);
        batch.columns.get_mut(results.verdicts).push(Verdict::BENIGN);
        let (seq, timestamp, disposition) = (5, Timestamp::new(1, 2), Disposition::default());
        let expected = Scored { seq, timestamp, score: 0.5, verdict: Verdict::BENIGN, disposition };
        assert_eq!(results.of(&batch, String::new).unwrap().collect::<Vec<_>>(), [expected]);
        batch.headers.push(Headers { seq: 6, ..Headers::default() });
        assert_eq!(results.of(&batch, String::new).unwrap().next().unwrap().seq, 6);
    }

    #[test]
    fn a_missing_column_is_an_error() {
        let (mut batch, results) = batch();
        batch.headers.push(Headers::default());
        batch.columns.get_mut(results.scores).push(0.5);
        let error = results.of(&batch, || "s.csv".into()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "cannot write s.csv: expected 1 verdicts and got 0; the graph and the sink do not fit together"
        );
    }
}
