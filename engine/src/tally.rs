//! The end of a graph that decides: counts, compares with the labels, and passes results on to the outputs.

use crate::fit::{Fit, Misfit};
use crate::monitor::Accounting;
use crate::playback::{Keeper, Kept};
use crate::summary::FlowCounts;
use crate::swap::Swaps;
use crate::watch::{Decided, Found, Watch};
use crate::{Error, input};
use legonf_core::{
    Batch, BindError, ColumnSpec, Coverage, Disposition, Dispositions, DropReason, Element, Fault, Findings,
    Handle, Layout, Malformed, Sink, Table, Timestamp, Verdict,
};
use legonf_decide::VERDICTS;
use legonf_decide::evaluate::{self, Evaluation, FalsePositives, ScoreSummary};
use legonf_infer::SCORES;
use legonf_io::labels::Labels;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Where a tally passes results on to.
pub trait Results: Send {
    /// Lets the packets of a batch leave, before they are counted.
    fn forward(&mut self, _: &Batch) {}

    /// Why a packet of that batch, by its place, could not leave after all, if so.
    fn unsent(&self, _: usize) -> Option<DropReason> {
        None
    }

    /// Hears by which threshold the packets that follow are judged, where it has changed.
    fn threshold(&mut self, _: f64) {}

    /// Takes what was decided of one packet by its score, with the truth where labels are given. Never called for a graph that
    /// decides on no score.
    fn packet(&mut self, timestamp: Timestamp, score: f64, verdict: Verdict, truth: Option<bool>);

    /// Takes a batch, after its packets, with what was found of it.
    fn write(&mut self, batch: &Batch, findings: &Findings) -> Result<(), Fault>;

    /// Takes the incidents that ended with the run.
    fn end(&mut self, findings: &Findings) -> Result<(), Fault>;

    /// The columns that it looks at, as in [`Sink::reads`].
    fn reads(&self) -> Vec<ColumnSpec>;

    /// As [`Sink::bind`].
    fn bind(&mut self, layout: &Layout) -> Result<(), BindError>;

    /// Alerts that were held back from what is written so far; none where no alerts are written at all.
    fn held_back(&self) -> Option<u64>;

    /// Completes what is written, where the run cannot go on, with where its packets went.
    fn complete(&mut self, coverage: &Coverage) -> Result<(), Fault>;

    /// Sees where all packets so far went: behind each batch, and now and then where none comes.
    fn account(&mut self, _: &Coverage) -> Result<(), Fault> {
        Ok(())
    }

    /// Does what is due now and then, as [`Sink::tend`].
    fn tend(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// Whether a graph decides on scores, so that there can be alerts.
pub(crate) fn decides_on_scores(layout: &Layout) -> bool {
    [SCORES, VERDICTS].iter().all(|spec| layout.get(&spec.name).is_some())
}

/// Everything that is kept of a run besides the files: its size does not depend on the number of packets, but for
/// 8 bytes a packet where labels are given (the exact AUC needs every score).
pub struct Tally<R> {
    coverage: Coverage,
    scores: ScoreSummary,
    alerts: u64,
    warming_up: u64,
    labels: Option<Labels>,
    evaluation: Evaluation,
    false_positives: FalsePositives,
    outputs: Option<R>,
    /// None where there can be no alerts, or nobody asks.
    watch: Option<Watch>,
    /// None where nobody looks on.
    accounting: Option<Accounting>,
    /// Where it hears of another threshold, and the last one that it heard of.
    swaps: Option<Swaps>,
    threshold: Option<f64>,
    /// Scores and verdicts on them, where the graph has any.
    scored: Option<Handle<Vec<f64>>>,
    decided: Option<Handle<Vec<Verdict>>>,
    /// Other verdicts of the graph.
    classes: Vec<Classes>,
    /// Rows of flows, where the graph has any.
    flows: Option<Flows>,
    dispositions: Dispositions,
    /// Packets of the last batch that bricks dropped, by reason.
    dropped: [u64; DropReason::ALL.len()],
    /// Whether the model fits what it judges.
    fit: Fit,
    /// None where nobody will look at the run again.
    keeper: Option<Keeper>,
}

/// How often each verdict of a column was given.
#[derive(Clone, Debug)]
struct Classes {
    spec: ColumnSpec,
    verdicts: Handle<Vec<Verdict>>,
    /// Rows by label, and last those that were rejected.
    rows: Vec<u64>,
}

/// Rows of the table of flows.
#[derive(Clone, Debug)]
struct Flows {
    rows: u64,
    /// Those that came behind the last packet.
    open_at_end: u64,
    classes: Vec<Classes>,
}

impl Classes {
    /// Those of a table of a graph, but for verdicts on scores.
    fn of(layout: &Layout, table: Table) -> Result<Vec<Self>, BindError> {
        let is_one = |spec: &&ColumnSpec| {
            (spec.table, spec.element) == (table, Element::Verdict)
                && spec.shape.is_scalar()
                && spec.name != VERDICTS.name
        };
        let classes = |spec: &ColumnSpec| {
            let (verdicts, rows) = (layout.handle(spec)?, vec![0; spec.labels.len() + 1]);
            Ok(Self { spec: spec.clone(), verdicts, rows })
        };
        layout.specs().iter().filter(is_one).map(classes).collect()
    }

    /// Counts the verdict of a row, and says whether there is one.
    fn count(&mut self, batch: &Batch, row: usize) -> bool {
        let place = batch.columns.get(self.verdicts)[row].place(self.spec.labels.len());
        self.rows[place] += 1;
        place < self.spec.labels.len()
    }

    fn by_label(&self) -> BTreeMap<String, u64> {
        let counted = self.spec.words().zip(&self.rows).filter(|(_, rows)| **rows > 0);
        counted.map(|(label, rows)| (label.to_owned(), *rows)).collect()
    }

    fn by_column(all: &[Self]) -> BTreeMap<String, BTreeMap<String, u64>> {
        all.iter().map(|classes| (classes.spec.name.to_string(), classes.by_label())).collect()
    }
}

impl Flows {
    /// None where the graph has no column of flows.
    fn of(layout: &Layout) -> Result<Option<Self>, BindError> {
        let has_flows = layout.specs().iter().any(|spec| spec.table == Table::Flows);
        let classes = Classes::of(layout, Table::Flows)?;
        Ok(has_flows.then_some(Self { rows: 0, open_at_end: 0, classes }))
    }

    fn count(&mut self, batch: &Batch) {
        let rows = batch.rows(Table::Flows);
        self.classes.iter_mut().for_each(|classes| (0..rows).for_each(|row| _ = classes.count(batch, row)));
        self.rows += rows as u64;
        self.open_at_end += if batch.headers.is_empty() { rows as u64 } else { 0 };
    }
}

impl<R: Results> Tally<R> {
    /// An empty tally.
    pub fn new(labels: Option<Labels>, outputs: Option<R>) -> Self {
        Self {
            coverage: Coverage::default(),
            scores: ScoreSummary::default(),
            alerts: 0,
            warming_up: 0,
            labels,
            evaluation: Evaluation::default(),
            false_positives: FalsePositives::default(),
            outputs,
            watch: None,
            accounting: None,
            swaps: None,
            threshold: None,
            scored: None,
            decided: None,
            classes: Vec::new(),
            flows: None,
            dispositions: Dispositions::default(),
            dropped: Default::default(),
            fit: Fit::default(),
            keeper: None,
        }
    }

    /// The same, of a threshold that stands for this share of benign packets, if that is known.
    pub fn bounded(self, bound: Option<f64>) -> Self {
        Self { fit: Fit::new(bound), ..self }
    }

    /// How the model does not fit, if so; the run is over.
    pub fn fit(&mut self) -> Option<Misfit> {
        self.fit.decide();
        self.misfit().get().copied()
    }

    /// Where it is said, once it is known, that the model does not fit.
    pub fn misfit(&self) -> Arc<OnceLock<Misfit>> {
        self.fit.found()
    }

    /// The same tally, that gathers alerts into incidents.
    pub fn watched(self, watch: Option<Watch>) -> Self {
        Self { watch, ..self }
    }

    /// The same tally, that tells those who look on where packets went.
    pub fn monitored(self, accounting: Option<Accounting>) -> Self {
        Self { accounting, ..self }
    }

    /// The same tally of a graph whose threshold can change.
    pub fn following(self, swaps: Option<Swaps>) -> Self {
        Self { swaps, ..self }
    }

    /// Hears by which threshold the packets of a batch were judged.
    fn look_at_threshold(&mut self, batch: &Batch) {
        let Some((swaps, seq)) = self.swaps.as_ref().zip(batch.first_number()) else { return };
        let now = swaps.threshold_at(seq);
        let Some(threshold) = now.filter(|_| now != self.threshold) else { return };
        self.threshold = now;
        self.watch.iter_mut().for_each(|watch| watch.set_threshold(threshold));
        self.outputs.iter_mut().for_each(|outputs| outputs.threshold(threshold));
        self.accounting.iter_mut().for_each(|accounting| accounting.set_threshold(threshold));
    }

    /// The same tally, that keeps what is needed to look at the run again.
    pub fn kept(self) -> Self {
        Self { keeper: Some(Keeper::default()), ..self }
    }

    /// What was kept; none where nothing was, or no packet came.
    pub fn playback(&mut self) -> Option<Kept> {
        self.keeper.take()?.conclude(self.coverage.clone(), self.alerts, self.warming_up)
    }

    /// Notes where packets went before one of another second.
    fn keep(&mut self, time: Timestamp) {
        let Some(keeper) = self.keeper.as_mut().filter(|keeper| keeper.is_over(time)) else { return };
        let mut coverage = self.coverage.clone();
        coverage.lose_all(&self.dropped);
        keeper.next(time, coverage, self.alerts, self.warming_up);
    }

    /// Tells so, where it is due.
    fn tell(&mut self) {
        let Some(accounting) = self.accounting.as_mut().filter(|accounting| accounting.is_due()) else {
            return;
        };
        accounting.tell(&self.coverage, (self.alerts, self.warming_up), self.watch.as_ref());
    }

    /// Ends the incidents that are open, and says what was found in all, and in which file it is.
    pub fn found(&mut self) -> Result<(Option<Found>, Option<String>), Error> {
        self.end()?;
        let Some(watch) = &mut self.watch else { return Ok((None, None)) };
        let (found, file) = watch.conclude()?;
        Ok((Some(found), file))
    }

    fn end(&mut self) -> Result<(), Fault> {
        if let Some(accounting) = &mut self.accounting {
            accounting.end(&self.coverage, (self.alerts, self.warming_up));
        }
        let Some(watch) = &mut self.watch else { return Ok(()) };
        let findings = watch.end();
        self.accounting.iter().for_each(|accounting| accounting.found(findings));
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.end(findings))
    }

    /// Where every packet went.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Distribution of the scores; none where nothing was scored.
    pub fn scores(&self) -> Option<evaluate::Summary> {
        (self.coverage.scored > 0).then(|| self.scores.summary())
    }

    /// For each column of verdicts, but for those on scores, how many packets have which.
    pub fn classes(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        Classes::by_column(&self.classes)
    }

    /// What there was of flows, where the graph has rows of them.
    pub fn flows(&self) -> Option<FlowCounts> {
        let Flows { rows, open_at_end, classes } = self.flows.as_ref()?;
        Some(FlowCounts { rows: *rows, open_at_end: *open_at_end, classes: Classes::by_column(classes) })
    }

    /// Packets that were scored but not judged.
    pub fn warming_up(&self) -> u64 {
        self.warming_up
    }

    /// Packets above the threshold, but for those that were not judged.
    pub fn alerts(&self) -> u64 {
        self.alerts
    }

    /// Those of them that were held back from what is written; none where no alerts are written at all.
    pub fn held_back(&self) -> Option<u64> {
        self.outputs.as_ref().and_then(Results::held_back)
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

    /// Notes what was found of one packet, and what became of it.
    fn note(&mut self, batch: &Batch, packet: usize) -> Result<(), Fault> {
        self.keep(batch.headers[packet].stream_time());
        let disposition = self.dispositions.of(batch, packet);
        let dropped = self.dropped(disposition, packet);
        if let Some(reason) = dropped.filter(|_| disposition.is_unseen()) {
            self.dropped[reason as usize] += 1;
            self.watch.iter_mut().for_each(|watch| watch.note(batch, packet, &Decided::nothing(reason)));
            return self.label().map(drop);
        }
        let header = &batch.headers[packet];
        let score = self.scored.map(|scores| batch.columns.get(scores)[packet]);
        let verdict = self.decided.map(|verdicts| batch.columns.get(verdicts)[packet]);
        let undecided: u32 =
            self.classes.iter_mut().map(|classes| u32::from(!classes.count(batch, packet))).sum();
        let decided =
            verdict.map_or(score.is_none_or(f64::is_finite), |verdict| verdict != Verdict::REJECTED);
        match dropped {
            Some(reason) => self.dropped[reason as usize] += 1,
            None if header.is_unread() => self.coverage.reject(Malformed::LinkType.label(), 1),
            None if !decided => self.coverage.reject(Coverage::NON_FINITE_SCORE, 1),
            None if undecided > 0 => self.coverage.reject(Coverage::UNDECIDED, 1),
            None => {
                self.coverage.score(1);
                self.warming_up += u64::from(verdict == Some(Verdict::WARMING_UP));
            }
        }
        if let Some((accounting, score)) = self.accounting.as_mut().zip(score) {
            accounting.score(score);
        }
        if verdict == Some(Verdict::ANOMALOUS) {
            self.accounting.iter_mut().for_each(|accounting| accounting.keep(batch, packet));
        }
        if let Some((keeper, score)) = self.keeper.as_mut().zip(score) {
            keeper.score(score);
        }
        score.into_iter().for_each(|score| self.scores.push(score));
        let (Some(score), Some(verdict)) = (score, verdict) else { return Ok(()) };
        self.alerts += u64::from(verdict == Verdict::ANOMALOUS);
        self.fit.count(header.stream_time(), verdict);
        let malicious = self.compare(score, verdict)?;
        if let Some(watch) = &mut self.watch {
            watch.note(batch, packet, &Decided { score, verdict, dropped, malicious });
        }
        if let Some(outputs) = &mut self.outputs {
            outputs.packet(header.timestamp, score, verdict, malicious);
        }
        Ok(())
    }

    /// Compares one verdict with the truth, where labels are given.
    fn compare(&mut self, score: f64, verdict: Verdict) -> Result<Option<bool>, Fault> {
        let Some(malicious) = self.label()? else { return Ok(None) };
        self.evaluation.push(score, verdict, malicious);
        self.false_positives.push(verdict, malicious);
        Ok(Some(malicious))
    }

    /// The label of the next packet, where there are labels.
    fn label(&mut self) -> Result<Option<bool>, Fault> {
        self.labels.as_mut().map(Labels::require).transpose().map_err(Fault::new)
    }

    /// Why a packet of a batch is dropped, by what bricks said or because it could not leave.
    fn dropped(&self, disposition: Disposition, place: usize) -> Option<DropReason> {
        disposition.dropped().or_else(|| self.outputs.as_ref()?.unsent(place))
    }
}

impl<R: Results> Sink for Tally<R> {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.look_at_threshold(batch);
        self.outputs.iter_mut().for_each(|outputs| outputs.forward(batch));
        self.watch.iter_mut().for_each(|watch| watch.begin(batch));
        (0..batch.headers.len()).try_for_each(|packet| self.note(batch, packet))?;
        self.flows.iter_mut().for_each(|flows| flows.count(batch));
        self.coverage.lose_all(&std::mem::take(&mut self.dropped));
        self.tell();
        let none = Findings::default();
        let findings = self.watch.as_ref().map_or(&none, Watch::findings);
        self.accounting.iter().for_each(|accounting| accounting.found(findings));
        let Some(outputs) = &mut self.outputs else { return Ok(()) };
        outputs.write(batch, findings)?;
        outputs.account(&self.coverage)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        let outputs = self.outputs.as_ref().map(Results::reads).unwrap_or_default();
        let of_flows = self.flows.iter().flat_map(|flows| &flows.classes);
        let classes = self.classes.iter().chain(of_flows).map(|classes| classes.spec.clone());
        let own = [SCORES, VERDICTS, ColumnSpec::DISPOSITION].into_iter().chain(classes);
        let watched = self.watch.as_ref().and_then(Watch::reads);
        Some(outputs.into_iter().chain(own).chain(watched).collect())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.scored = layout.handle_if_any(&SCORES)?;
        self.decided = layout.handle_if_any(&VERDICTS)?;
        self.dispositions = Dispositions::bind(layout)?;
        self.classes = Classes::of(layout, Table::Packets)?;
        self.flows = Flows::of(layout)?;
        self.watch.as_mut().map_or(Ok(()), |watch| watch.bind(layout))?;
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.bind(layout))
    }

    fn tend(&mut self) -> Result<(), Fault> {
        self.watch.iter_mut().for_each(Watch::tend);
        self.tell();
        let Some(outputs) = &mut self.outputs else { return Ok(()) };
        outputs.tend()?;
        outputs.account(&self.coverage)
    }

    /// Completes the outputs of a run that cannot go on; of others more is known, and they are completed with that.
    fn finish(&mut self) -> Result<(), Fault> {
        self.end()?;
        let coverage = self.coverage.clone();
        self.outputs.as_mut().map_or(Ok(()), |outputs| outputs.complete(&coverage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Headers, Port};

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

        fn write(&mut self, _: &Batch, _: &Findings) -> Result<(), Fault> {
            self.batches += 1;
            Ok(())
        }

        fn end(&mut self, _: &Findings) -> Result<(), Fault> {
            Ok(())
        }

        fn reads(&self) -> Vec<ColumnSpec> {
            Vec::new()
        }

        fn bind(&mut self, _: &Layout) -> Result<(), BindError> {
            Ok(())
        }

        fn held_back(&self) -> Option<u64> {
            None
        }

        fn complete(&mut self, _: &Coverage) -> Result<(), Fault> {
            Ok(())
        }
    }

    #[test]
    fn what_bricks_drop_and_what_cannot_leave_is_dropped_by_its_reason() {
        let [benign, anomalous, rejected] = [Verdict::BENIGN, Verdict::ANOMALOUS, Verdict::REJECTED];
        let layout = Layout::of([&SCORES, &VERDICTS, &ColumnSpec::DISPOSITION]).unwrap();
        let mut batch = Batch::new(&layout);
        batch.headers = vec![Headers::default(); 6];
        let dropped = |reason| Disposition::Drop(reason);
        let (policy, verdict) = (dropped(DropReason::Policy), dropped(DropReason::Verdict));
        *batch.columns.get_mut(layout.handle(&SCORES).unwrap()) = vec![1.0, 9.0, 0.0, 2.0, f64::NAN, 3.0];
        *batch.columns.get_mut(layout.handle(&VERDICTS).unwrap()) =
            vec![benign, anomalous, benign, anomalous, rejected, benign];
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
