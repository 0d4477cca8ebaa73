//! The brick that turns anomaly scores into verdicts.

use crate::DecideError;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Handle, Layout, State, Verdict,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// Verdicts.
pub const VERDICTS: ColumnSpec = ColumnSpec::of_scores("verdicts");
/// Anomaly scores.
const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);

/// Configuration of [`SampleResultQuantization`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Scores above this are anomalous. In the unit of the scores (for Kitsune: RMSE of normalized features).
    /// No default: it comes from a calibration.
    pub threshold: f64,
    /// The column of scores, one `f64` for each item. Default `scores`.
    #[serde(default = "scores")]
    pub scores: String,
    /// The column of verdicts that is filled. Default `verdicts`.
    #[serde(default = "verdicts")]
    pub verdicts: String,
    /// Seconds of stream time from the first packet on in which no score is compared with the threshold: the statistics behind it have
    /// not settled. Default 0 in a graph file; a run sets it where the file does not (`--warm-up`, `--no-warm-up`).
    #[serde(default)]
    pub warm_up: f64,
}

impl Config {
    /// A threshold for scores in the default columns.
    pub fn of(threshold: f64) -> Self {
        Self { threshold, scores: scores(), verdicts: verdicts(), warm_up: 0.0 }
    }
}

fn scores() -> String {
    SCORES.name.into_owned()
}

fn verdicts() -> String {
    VERDICTS.name.into_owned()
}

/// Sample-result quantization (LEGO §III-A, Table I): a verdict for every score.
///
/// A score above the threshold is [`Verdict::ANOMALOUS`], one at or below it [`Verdict::BENIGN`], and one that is
/// not a finite number [`Verdict::REJECTED`]. Any other score of the warm-up is [`Verdict::WARMING_UP`].
#[derive(Clone, Debug)]
pub struct SampleResultQuantization {
    config: Config,
    /// Nanoseconds of the warm-up.
    warm_up: u64,
    ages: Handle<Vec<u64>>,
    scores: Handle<Vec<f64>>,
    verdicts: Handle<Vec<Verdict>>,
}

impl SampleResultQuantization {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "sample-result-quantization";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "sample-result quantization",
        reads: Cow::Borrowed(&[SCORES]),
        writes: Cow::Borrowed(&[VERDICTS]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If the threshold is not a finite number, or the warm-up no time.
    pub fn new(config: Config) -> Result<Self, DecideError> {
        let (ages, scores, verdicts) = Default::default();
        if !config.threshold.is_finite() {
            return Err(DecideError::Threshold(config.threshold));
        }
        let time = Duration::try_from_secs_f64(config.warm_up).ok();
        let nanos = time.and_then(|time| u64::try_from(time.as_nanos()).ok());
        let warm_up = nanos.ok_or(DecideError::WarmUp(config.warm_up))?;
        Ok(Self { config, warm_up, ages, scores, verdicts })
    }

    fn reads(&self) -> ColumnSpec {
        ColumnSpec { name: self.config.scores.clone().into(), ..SCORES }
    }

    /// Whether it looks at the age of the stream. A brick without a warm-up does not, so that its graph need not have that column.
    fn warms_up(&self) -> bool {
        self.warm_up > 0
    }

    fn fills(&self) -> ColumnSpec {
        ColumnSpec { name: self.config.verdicts.clone().into(), ..VERDICTS }
    }

    /// The verdict for one score of a stream that has settled.
    pub fn decide(&self, score: f64) -> Verdict {
        if !score.is_finite() {
            Verdict::REJECTED
        } else if score > self.config.threshold {
            Verdict::ANOMALOUS
        } else {
            Verdict::BENIGN
        }
    }

    /// The verdict for one score of a stream of this age.
    fn decide_at(&self, score: f64, age: u64) -> Verdict {
        match self.decide(score) {
            Verdict::BENIGN | Verdict::ANOMALOUS if age < self.warm_up => Verdict::WARMING_UP,
            settled => settled,
        }
    }
}

impl Brick for SampleResultQuantization {
    fn descriptor(&self) -> Descriptor {
        let age = self.warms_up().then_some(ColumnSpec::AGE);
        let reads = [self.reads()].into_iter().chain(age).collect();
        Descriptor { reads, writes: vec![self.fills()].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.scores = layout.handle(&self.reads())?;
        self.verdicts = layout.handle(&self.fills())?;
        if self.warms_up() {
            self.ages = layout.handle(&ColumnSpec::AGE)?;
        }
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if self.warms_up() {
            let (ages, scores, verdicts) = batch.columns.get_three(self.ages, self.scores, self.verdicts);
            verdicts.clear();
            verdicts.extend(scores.iter().zip(&*ages).map(|(score, age)| self.decide_at(*score, *age)));
            return Ok(());
        }
        let (scores, verdicts) = batch.columns.get_two(self.scores, self.verdicts);
        verdicts.clear();
        verdicts.extend(scores.iter().map(|score| self.decide(*score)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brick(threshold: f64) -> SampleResultQuantization {
        SampleResultQuantization::new(Config::of(threshold)).unwrap()
    }

    fn verdicts(threshold: f64, scores: &[f64]) -> Vec<Verdict> {
        let mut brick = brick(threshold);
        let mut batch = Batch::new(&Layout::binding(&mut [&mut brick]).unwrap());
        *batch.columns.get_mut(brick.scores) = scores.to_vec();
        brick.process(&mut batch).unwrap();
        batch.columns.get(brick.verdicts).clone()
    }

    #[test]
    fn only_scores_above_the_threshold_are_anomalous() {
        let scores = [0.0, 0.5_f64.next_down(), 0.5, 0.5_f64.next_up(), f64::MAX, -1.0];
        assert_eq!(
            verdicts(0.5, &scores),
            [
                Verdict::BENIGN,
                Verdict::BENIGN,
                Verdict::BENIGN,
                Verdict::ANOMALOUS,
                Verdict::ANOMALOUS,
                Verdict::BENIGN
            ]
        );
    }

    #[test]
    fn nothing_is_judged_until_the_stream_is_old_enough() {
        let config = Config { warm_up: 400.0, ..Config::of(0.5) };
        let mut brick = SampleResultQuantization::new(config).unwrap();
        let mut batch = Batch::new(&Layout::binding(&mut [&mut brick]).unwrap());
        let settled = 400_000_000_000;
        *batch.columns.get_mut(brick.scores) = vec![0.1, 0.9, f64::NAN, 0.1, 0.9, 0.9];
        *batch.columns.get_mut(brick.ages) = vec![0, settled - 1, settled - 1, settled, settled, u64::MAX];
        brick.process(&mut batch).unwrap();
        let [warming_up, rejected] = [Verdict::WARMING_UP, Verdict::REJECTED];
        let expected =
            [warming_up, warming_up, rejected, Verdict::BENIGN, Verdict::ANOMALOUS, Verdict::ANOMALOUS];
        assert_eq!(batch.columns.get(brick.verdicts), &expected);
        assert_eq!(brick.descriptor().reads[1], ColumnSpec::AGE);
        let at_once = SampleResultQuantization::new(Config::of(0.5)).unwrap();
        assert_eq!(at_once.descriptor().reads.len(), 1);
        for warm_up in [-1.0, f64::NAN, f64::INFINITY, 1e12] {
            let error = SampleResultQuantization::new(Config { warm_up, ..Config::of(0.5) }).unwrap_err();
            assert!(error.to_string().starts_with("warm_up: "), "{error}");
        }
    }

    #[test]
    fn scores_that_are_no_numbers_are_rejected() {
        let scores = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(verdicts(0.5, &scores), [Verdict::REJECTED; 3]);
    }

    #[test]
    fn verdicts_keep_their_memory_and_forget_the_last_batch() {
        let mut brick = brick(1.0);
        let mut batch = Batch::new(&Layout::binding(&mut [&mut brick]).unwrap());
        batch.columns.get_mut(brick.scores).extend([2.0; 256]);
        brick.process(&mut batch).unwrap();
        let place = |verdicts: &Vec<Verdict>| (verdicts.as_ptr(), verdicts.capacity());
        let before = place(batch.columns.get(brick.verdicts));
        batch.columns.get_mut(brick.scores).fill(0.0);
        brick.process(&mut batch).unwrap();
        assert_eq!(batch.columns.get(brick.verdicts), &[Verdict::BENIGN; 256]);
        assert_eq!(place(batch.columns.get(brick.verdicts)), before);
    }

    #[test]
    fn a_threshold_must_be_a_number() {
        for threshold in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = SampleResultQuantization::new(Config::of(threshold)).unwrap_err();
            assert!(error.to_string().starts_with("threshold: "), "{error}");
        }
    }

    #[test]
    fn columns_have_the_names_of_the_configuration() {
        let config = Config { scores: "other".into(), verdicts: "second".into(), ..Config::of(1.0) };
        let mut brick = SampleResultQuantization::new(config).unwrap();
        let mut batch = Batch::new(&Layout::binding(&mut [&mut brick]).unwrap());
        batch.columns.get_mut(brick.scores).push(2.0);
        brick.process(&mut batch).unwrap();
        assert_eq!(batch.columns.get(brick.verdicts).len(), 1);
        let Descriptor { reads, writes, .. } = brick.descriptor();
        assert_eq!((&*reads[0].name, &*writes[0].name), ("other", "second"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"threshold": 0.5}"#).is_ok());
        assert!(serde_json::from_str::<Config>(r#"{"threshold": 0.5, "treshold": 1}"#).is_err());
        assert!(serde_json::from_str::<Config>("{}").is_err());
    }
}
