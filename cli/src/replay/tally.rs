//! The end of a graph that decides: counts, compares with the labels, and passes results on to the outputs.

use legonf_core::{Batch, Columns, Coverage, Fault, Sink, Timestamp, Verdict};
use legonf_decide::evaluate::{self, Evaluation, ScoreSummary};
use legonf_io::labels::Labels;

/// Where a tally passes results on to.
pub trait Results: Send {
    /// Takes one packet's result, with the truth where labels are given.
    fn packet(&mut self, timestamp: Timestamp, score: f64, verdict: Verdict, truth: Option<bool>);

    /// Takes a batch, after its packets.
    fn write(&mut self, batch: &Batch) -> Result<(), Fault>;

    /// The columns that it looks at, as in [`Sink::reads`].
    fn reads(&self) -> Columns;

    /// Does what is due now and then, as [`Sink::tend`].
    fn tend(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Everything that is kept of a run besides the files: its size does not depend on the number of packets, but for
/// 8 bytes a packet where labels are given (the exact AUC needs every score).
pub struct Tally<R> {
    coverage: Coverage,
    scores: ScoreSummary,
    alerts: u64,
    labels: Option<Labels>,
    evaluation: Evaluation,
    outputs: Option<R>,
}

impl<R: Results> Tally<R> {
    /// An empty tally.
    pub fn new(labels: Option<Labels>, outputs: Option<R>) -> Self {
        let (coverage, scores, evaluation) = Default::default();
        Self { coverage, scores, alerts: 0, labels, evaluation, outputs }
    }

    /// Where every packet went.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Distribution of the scores; none where nothing was scored.
    pub fn scores(&self) -> Option<evaluate::Summary> {
        (self.coverage.scored > 0).then(|| self.scores.summary())
    }

    /// Packets above the threshold.
    pub fn alerts(&self) -> u64 {
        self.alerts
    }

    /// The comparison with the labels. Takes it out of the tally.
    pub fn evaluation(&mut self) -> Option<evaluate::Report> {
        self.labels.as_ref().map(|_| std::mem::take(&mut self.evaluation).finish())
    }

    /// Checks that there were exactly as many labels as packets. Takes the labels out of the tally.
    pub fn check_labels(&mut self) -> Result<(), String> {
        let labels = self.labels.take();
        let packets = self.coverage.received;
        labels.map_or(Ok(()), |labels| labels.finish(packets).map_err(|error| error.to_string()))
    }

    /// Counts packets that were lost before they could be scored.
    #[cfg(feature = "live")]
    pub fn lose(&mut self, reason: &str, packets: u64) {
        self.coverage.lose(reason, packets);
    }

    /// Where results are passed on to.
    pub fn outputs(&mut self) -> Option<&mut R> {
        self.outputs.as_mut()
    }

    fn count(&mut self, score: f64, verdict: Verdict) -> Result<Option<bool>, Fault> {
        match verdict {
            Verdict::Rejected => self.coverage.reject(Coverage::NON_FINITE_SCORE, 1),
            Verdict::Benign | Verdict::Anomalous => self.coverage.score(1),
        }
        self.alerts += u64::from(verdict == Verdict::Anomalous);
        self.scores.push(score);
        let Some(labels) = &mut self.labels else { return Ok(None) };
        let malicious = labels.require().map_err(Fault::new)?;
        self.evaluation.push(score, verdict, malicious);
        Ok(Some(malicious))
    }
}

impl<R: Results> Sink for Tally<R> {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        for ((header, score), verdict) in batch.headers.iter().zip(&batch.scores).zip(&batch.verdicts) {
            let malicious = self.count(*score, *verdict)?;
            if let Some(outputs) = &mut self.outputs {
                outputs.packet(header.timestamp, *score, *verdict, malicious);
            }
        }
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.write(batch))
    }

    fn reads(&self) -> Columns {
        let outputs = self.outputs.as_ref().map_or(Columns::NONE, Results::reads);
        outputs.union(Columns::RESULTS)
    }

    fn tend(&mut self) -> Result<(), Fault> {
        self.outputs.as_mut().map_or(Ok(()), Results::tend)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
