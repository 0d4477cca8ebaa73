//! The end of a graph that decides: counts, compares with the labels, and passes results on to the outputs.

use crate::{Error, input};
use legonf_core::{
    Batch, BindError, ColumnSpec, Coverage, Disposition, DropReason, Fault, Handle, Headers, Layout,
    Malformed, Sink, Timestamp, Verdict,
};
use legonf_decide::VERDICTS;
use legonf_decide::evaluate::{self, Evaluation, FalsePositives, ScoreSummary};
use legonf_infer::SCORES;
use legonf_io::labels::Labels;

/// Where a tally passes results on to.
pub trait Results: Send {
    /// Lets the packets of a batch leave, before they are counted.
    fn forward(&mut self, _: &Batch) {}

    /// Why a packet of that batch, by its place, could not leave after all, if so.
    fn unsent(&self, _: usize) -> Option<DropReason> {
        None
    }

    /// Takes one packet's result, with the truth where labels are given.
    fn packet(&mut self, timestamp: Timestamp, score: f64, verdict: Verdict, truth: Option<bool>);

    /// Takes a batch, after its packets.
    fn write(&mut self, batch: &Batch) -> Result<(), Fault>;

    /// The columns that it looks at, as in [`Sink::reads`].
    fn reads(&self) -> Vec<ColumnSpec>;

    /// As [`Sink::bind`].
    fn bind(&mut self, layout: &Layout) -> Result<(), BindError>;

    /// Alerts that were left out of what is written so far; none where no alerts are written at all.
    fn suppressed(&self) -> Option<u64>;

    /// Completes what is written, where the run cannot go on, with where its packets went.
    fn complete(&mut self, coverage: &Coverage) -> Result<(), Fault>;

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
    false_positives: FalsePositives,
    outputs: Option<R>,
    scored: Handle<Vec<f64>>,
    decided: Handle<Vec<Verdict>>,
    dispositions: Option<Handle<Vec<Disposition>>>,
    /// Packets of the last batch that bricks dropped, by reason.
    dropped: [u64; DropReason::ALL.len()],
}

impl<R: Results> Tally<R> {
    /// An empty tally.
    pub fn new(labels: Option<Labels>, outputs: Option<R>) -> Self {
        Self {
            coverage: Coverage::default(),
            scores: ScoreSummary::default(),
            alerts: 0,
            labels,
            evaluation: Evaluation::default(),
            false_positives: FalsePositives::default(),
            outputs,
            scored: Handle::default(),
            decided: Handle::default(),
            dispositions: None,
            dropped: Default::default(),
        }
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

    /// Those of them that were left out of what is written; none where no alerts are written at all.
    pub fn suppressed(&self) -> Option<u64> {
        self.outputs.as_ref().and_then(Results::suppressed)
    }

    /// The comparison with the labels. Takes it out of the tally.
    pub fn evaluation(&mut self) -> Option<evaluate::Report> {
        self.labels.as_ref().map(|_| std::mem::take(&mut self.evaluation).finish())
    }

    /// The benign packets by the labels, where they are given.
    pub fn false_positives(&self) -> Option<&FalsePositives> {
        self.labels.as_ref().map(|_| &self.false_positives)
    }

    /// Checks that there were exactly as many labels as packets.
    pub fn check_labels(&mut self) -> Result<(), Error> {
        let packets = self.coverage.received;
        self.labels.as_mut().map_or(Ok(()), |labels| labels.finish(packets)).map_err(input::label_error)
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

    /// Counts a packet that was decided of, and gives its label.
    fn count(
        &mut self,
        header: &Headers,
        score: f64,
        verdict: Verdict,
        dropped: Option<DropReason>,
    ) -> Result<Option<bool>, Fault> {
        match (dropped, verdict) {
            (Some(reason), _) => self.dropped[reason as usize] += 1,
            (None, Verdict::Rejected) if header.is_unread() => {
                self.coverage.reject(Malformed::LinkType.label(), 1);
            }
            (None, Verdict::Rejected) => self.coverage.reject(Coverage::NON_FINITE_SCORE, 1),
            (None, Verdict::Benign | Verdict::Anomalous) => self.coverage.score(1),
        }
        self.alerts += u64::from(verdict == Verdict::Anomalous);
        self.scores.push(score);
        let Some(malicious) = self.label()? else { return Ok(None) };
        self.evaluation.push(score, verdict, malicious);
        self.false_positives.push(verdict, malicious);
        Ok(Some(malicious))
    }

    /// The label of the next packet, where there are labels.
    fn label(&mut self) -> Result<Option<bool>, Fault> {
        self.labels.as_mut().map(Labels::require).transpose().map_err(Fault::new)
    }

    /// What happens to a packet.
    fn disposition(&self, batch: &Batch, place: usize) -> Disposition {
        let all = self.dispositions.map(|column| batch.columns.get(column));
        all.and_then(|all| all.get(place)).copied().unwrap_or_default()
    }

    /// Why a packet of a batch is dropped, by what bricks said or because it could not leave.
    fn dropped(&self, disposition: Disposition, place: usize) -> Option<DropReason> {
        disposition.dropped().or_else(|| self.outputs.as_ref()?.unsent(place))
    }
}

impl<R: Results> Sink for Tally<R> {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.outputs.iter_mut().for_each(|outputs| outputs.forward(batch));
        let (scores, verdicts) = (batch.columns.get(self.scored), batch.columns.get(self.decided));
        let rows = batch.headers.iter().zip(scores).zip(verdicts).enumerate();
        for (place, ((header, score), verdict)) in rows {
            let disposition = self.disposition(batch, place);
            let dropped = self.dropped(disposition, place);
            if let Some(reason) = dropped.filter(|_| disposition.is_unseen()) {
                self.dropped[reason as usize] += 1;
                self.label()?;
                continue;
            }
            let malicious = self.count(header, *score, *verdict, dropped)?;
            if let Some(outputs) = &mut self.outputs {
                outputs.packet(header.timestamp, *score, *verdict, malicious);
            }
        }
        self.coverage.lose_all(&std::mem::take(&mut self.dropped));
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.write(batch))
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        let outputs = self.outputs.as_ref().map(Results::reads).unwrap_or_default();
        Some(outputs.into_iter().chain([SCORES, VERDICTS, ColumnSpec::DISPOSITION]).collect())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.scored = layout.handle(&SCORES)?;
        self.decided = layout.handle(&VERDICTS)?;
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION).ok();
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.bind(layout))
    }

    fn tend(&mut self) -> Result<(), Fault> {
        self.outputs.as_mut().map_or(Ok(()), Results::tend)
    }

    /// Completes the outputs of a run that cannot go on; of others more is known, and they are completed with that.
    fn finish(&mut self) -> Result<(), Fault> {
        let coverage = self.coverage.clone();
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.complete(&coverage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Port;

    /// Outputs that note what they are given, and cannot send the last packet.
    #[derive(Default)]
    struct Noted {
        scores: Vec<f64>,
        batches: usize,
    }

    impl Results for Noted {
        fn unsent(&self, place: usize) -> Option<DropReason> {
            (place == 5).then_some(DropReason::TooLong)
        }

        fn packet(&mut self, _: Timestamp, score: f64, _: Verdict, _: Option<bool>) {
            self.scores.push(score);
        }

        fn write(&mut self, _: &Batch) -> Result<(), Fault> {
            self.batches += 1;
            Ok(())
        }

        fn reads(&self) -> Vec<ColumnSpec> {
            Vec::new()
        }

        fn bind(&mut self, _: &Layout) -> Result<(), BindError> {
            Ok(())
        }

        fn suppressed(&self) -> Option<u64> {
            None
        }

        fn complete(&mut self, _: &Coverage) -> Result<(), Fault> {
            Ok(())
        }
    }

    #[test]
    fn what_bricks_drop_and_what_cannot_leave_is_dropped_by_its_reason() {
        use Verdict::{Anomalous, Benign, Rejected};
        let layout = Layout::of([&SCORES, &VERDICTS, &ColumnSpec::DISPOSITION]).unwrap();
        let mut batch = Batch::new(&layout);
        batch.headers = vec![Headers::default(); 6];
        let dropped = |reason| Disposition::Drop(reason);
        let (policy, verdict) = (dropped(DropReason::Policy), dropped(DropReason::Verdict));
        *batch.columns.get_mut(layout.handle(&SCORES).unwrap()) = vec![1.0, 9.0, 0.0, 2.0, f64::NAN, 3.0];
        *batch.columns.get_mut(layout.handle(&VERDICTS).unwrap()) =
            vec![Benign, Anomalous, Benign, Anomalous, Rejected, Benign];
        let forward = Disposition::Forward(Port(0));
        *batch.columns.get_mut(layout.handle(&ColumnSpec::DISPOSITION).unwrap()) =
            vec![forward, verdict, policy, forward, forward, forward];
        let labels = Labels::from_reader("labels", Box::new("0\n1\n1\n1\n0\n0\n".as_bytes())).unwrap();
        let mut tally = Tally::new(Some(labels), Some(Noted::default()));
        tally.bind(&layout).unwrap();
        tally.write(&batch).unwrap();
        let line = "6 received = 2 scored + 1 rejected (non-finite-score 1) + 3 dropped (policy 1, too-long 1, verdict 1)";
        assert_eq!((tally.coverage().to_string(), tally.alerts()), (line.to_owned(), 2));
        assert!(tally.coverage().is_complete() && tally.check_labels().is_ok());
        let noted = tally.outputs().unwrap();
        assert_eq!((noted.scores.len(), noted.batches), (5, 1));
        // What was dropped before it had a verdict is compared with no label.
        let confusion = tally.evaluation().unwrap().confusion;
        assert_eq!((confusion.true_positives, confusion.false_negatives), (2, 0));
    }
}
