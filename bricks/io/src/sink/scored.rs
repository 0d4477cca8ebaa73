//! What every sink of results reads from a batch.

use super::SinkError;
use legonf_core::{Batch, Timestamp, Verdict};

/// One packet's result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored {
    pub seq: u64,
    pub timestamp: Timestamp,
    pub score: f64,
    pub verdict: Verdict,
}

/// The results of a batch in arrival order: [`Columns::RESULTS`](legonf_core::Columns::RESULTS).
///
/// # Errors
/// [`SinkError::Mismatch`] when a packet has no score or no verdict.
pub(super) fn scored<'a>(
    batch: &'a Batch,
    name: impl Fn() -> String,
) -> Result<impl Iterator<Item = Scored> + 'a, SinkError> {
    let expected = batch.len();
    for (what, found) in [("scores", batch.scores.len()), ("verdicts", batch.verdicts.len())] {
        if found != expected {
            return Err(SinkError::Mismatch { path: name(), what, expected, found });
        }
    }
    let results = batch.scores.iter().zip(&batch.verdicts).enumerate();
    Ok(results.map(|(i, (&score, &verdict))| {
        let (seq, timestamp) = identity(batch, i);
        Scored { seq, timestamp, score, verdict }
    }))
}

/// Number and time of packet `index`, from whichever column has them.
fn identity(batch: &Batch, index: usize) -> (u64, Timestamp) {
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

    #[test]
    fn identity_comes_from_headers_or_packets() {
        let mut batch = Batch::default();
        batch.packets.push(5, Timestamp::new(1, 2), 60, LinkType::Ethernet, &[]);
        batch.scores.push(0.5);
        batch.verdicts.push(Verdict::Benign);
        let expected =
            Scored { seq: 5, timestamp: Timestamp::new(1, 2), score: 0.5, verdict: Verdict::Benign };
        assert_eq!(scored(&batch, String::new).unwrap().collect::<Vec<_>>(), [expected]);
        batch.headers.push(Headers { seq: 6, ..Headers::default() });
        assert_eq!(scored(&batch, String::new).unwrap().next().unwrap().seq, 6);
    }

    #[test]
    fn a_missing_column_is_an_error() {
        let mut batch = Batch::default();
        batch.headers.push(Headers::default());
        batch.scores.push(0.5);
        let error = scored(&batch, || "s.csv".into()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "cannot write s.csv: expected 1 verdicts and got 0; the graph and the sink do not fit together"
        );
    }
}
