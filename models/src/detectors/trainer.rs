//! How detectors are made of benign rows.

use super::sample::{MOST_ROWS, Sample};
use super::{
    Bins, BoxPlot, CELLS, Detector, Ecod, Forest, Hbos, MeanZ, Member, Method, Nearest, Pca, Scratch, Tail,
    sample_quantile,
};
use crate::kitnet::{Defect, MAX_FEATURES};
use legonf_core::{Rows, Schema, count};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The fewest rows that a detector is made of.
pub const FEWEST_ROWS: usize = 20;
/// Runs of rows that follow each other. The tails of an ensemble are those of every fifth, by members made of the others.
const RUNS: usize = 40;
const FIFTH: usize = 5;
/// Half-lives of training after which an ensemble looks at a statistic: its weight is then three quarters of what it comes to. What
/// has not settled goes on growing behind the training, which a row that is told from those of training by each feature takes for odd.
const HALF_LIVES: f64 = 2.0;

/// How a detector was trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// What it is.
    pub method: Method,
    /// Number of features of a row.
    pub features: usize,
    /// Seed of the sample, and of isolation forests.
    pub seed: u32,
    /// Rows of the sample that it was made of.
    pub sampled: u64,
}

/// Why there is no detector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// The input ended early.
    #[error("a detector takes {} or more to train on, without NaN, and {} came", count(FEWEST_ROWS as u64, "packet"), .0)]
    NotEnough(u64),
    /// A number grew beyond all bounds.
    #[error("the features are too large to train on ({0})")]
    Unbounded(#[from] Defect),
}

/// A detector that was made, and the score of each row of its sample with what was said of the row.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The detector.
    pub detector: Detector,
    /// How it was trained.
    pub config: DetectorConfig,
    /// Mark and score of each sampled row, in order.
    pub scores: Vec<(u64, f64)>,
}

/// Takes rows, and keeps a sample of them. Every method makes a detector of the same one.
#[derive(Clone, Debug)]
pub struct Trainer {
    features: usize,
    seed: u32,
    sample: Sample,
    used: u64,
    skipped: u64,
    /// The decay rate of each feature, where that is known.
    decays: Vec<Option<f64>>,
    /// How long the training has lasted, where that is known.
    lasted: Option<Duration>,
}

impl Trainer {
    /// A trainer on rows of so many features.
    ///
    /// # Panics
    /// If there is no feature, or more than [`MAX_FEATURES`].
    pub fn new(features: usize, seed: u32) -> Self {
        assert!((1..=MAX_FEATURES).contains(&features), "a schema has 1 to {MAX_FEATURES} features");
        let sample = Sample::new(features, MOST_ROWS, seed);
        Self { features, seed, sample, used: 0, skipped: 0, decays: vec![None; features], lasted: None }
    }

    /// The same with the decay rates of a schema, so that an ensemble knows which statistics had time to settle.
    ///
    /// # Panics
    /// If the schema has another number of features.
    #[must_use]
    pub fn with_decays(mut self, schema: &Schema) -> Self {
        assert_eq!(schema.len(), self.features, "the schema is that of the rows");
        self.decays = schema.features.iter().map(|feature| feature.decay).collect();
        self
    }

    /// Says how much stream time has passed from the first packet to the row that was taken last.
    pub fn lasted(&mut self, time: Duration) {
        self.lasted = Some(time);
    }

    /// The features that a method looks at: of an ensemble those that had time to settle, if there are any.
    fn looks_at(&self, method: Method) -> Vec<bool> {
        let all = vec![true; self.features];
        let Some(seconds) = self.lasted.filter(|_| method == Method::Ensemble).map(|time| time.as_secs_f64())
        else {
            return all;
        };
        let settled = |decay: &Option<f64>| decay.is_none_or(|rate| rate * seconds >= HALF_LIVES);
        let settled: Vec<bool> = self.decays.iter().map(settled).collect();
        if settled.contains(&true) { settled } else { all }
    }

    /// Rows used, and rows passed over since a value was not a finite number.
    pub fn progress(&self) -> (u64, u64) {
        (self.used, self.skipped)
    }

    /// Takes a row, and what is to be known of it later; whether it is used.
    ///
    /// # Panics
    /// If the row is of another width.
    pub fn train(&mut self, row: &[f64], mark: u64) -> bool {
        if !row.iter().all(|cell| cell.is_finite()) {
            self.skipped += 1;
            return false;
        }
        self.used += 1;
        self.sample.push(row, mark);
        true
    }

    /// Makes a detector of the rows so far.
    ///
    /// # Errors
    /// If there are fewer than [`FEWEST_ROWS`], or a feature is beyond all bounds.
    pub fn finish(&self, method: Method) -> Result<Fitted, TrainError> {
        let rows = self.sample.rows();
        if rows.len() < FEWEST_ROWS {
            return Err(TrainError::NotEnough(self.used));
        }
        let used = self.looks_at(method);
        let Made { typical, bins, members } = self.make(method, &rows, &used);
        let tails = if members.len() > 1 { self.tails(method, &rows, &used)? } else { Vec::new() };
        let detector = Detector::new(method, typical, bins, members, tails)?;
        let scores = scores(&detector, &rows);
        let config =
            DetectorConfig { method, features: self.features, seed: self.seed, sampled: rows.len() as u64 };
        Ok(Fitted { detector, config, scores: self.sample.marks().iter().copied().zip(scores).collect() })
    }

    fn make(&self, method: Method, rows: &[&[f64]], used: &[bool]) -> Made {
        let columns = columns(rows);
        let methods = method.members();
        let binned = methods.iter().any(|method| matches!(method, Method::Ecod | Method::Hbos));
        let bins = binned.then(|| Bins::fit(&columns, method == Method::Ensemble));
        let of = Sampled { rows, columns: &columns, bins: bins.as_ref(), used };
        let members = methods.iter().filter_map(|member| self.member(*member, method, &of)).collect();
        let typical = columns.iter().map(|column| sample_quantile(column, 0.5)).collect();
        Made { typical, bins, members }
    }

    /// The tail of each member's scores, of rows that it was not made of.
    fn tails(&self, method: Method, rows: &[&[f64]], used: &[bool]) -> Result<Vec<Tail>, Defect> {
        let run = (rows.len() / RUNS).max(1);
        let part = |held_out: bool| {
            let of = rows.iter().enumerate().filter(|(at, _)| (at / run % FIFTH == FIFTH - 1) == held_out);
            of.map(|(_, row)| *row).collect::<Vec<_>>()
        };
        let (made, held_out) = (self.make(method, &part(false), used), part(true));
        let tail = |member: &Member| Ok(Tail::fit(scores(&made.alone(member)?, &held_out)));
        made.members.iter().map(tail).collect()
    }

    /// A single detector, alone or a member of `whole`; none of an ensemble.
    fn member(&self, method: Method, whole: Method, of: &Sampled<'_>) -> Option<Member> {
        let Sampled { rows, columns, bins, used } = *of;
        Some(match method {
            Method::Pca => Member::Pca(Pca::fit(rows, used)),
            Method::LogPca => Member::Pca(Pca::fit_logarithms(rows, used)),
            Method::Ecod => Member::Ecod(Ecod { table: without(Ecod::fit(bins?, columns).table, used) }),
            Method::Hbos => {
                let hbos = Hbos::fit(bins?, columns, whole == Method::Ensemble);
                Member::Hbos(Hbos { table: without(hbos.table, used) })
            }
            Method::IsolationForest => Member::Forest(Forest::fit(rows, self.seed)),
            Method::MeanZ => Member::MeanZ(MeanZ::fit(rows)),
            Method::BoxPlot => Member::BoxPlot(BoxPlot::fit(columns)),
            Method::NearestNeighbour => Member::Nearest(Nearest::fit(rows)),
            Method::Ensemble => return None,
        })
    }
}

/// What members are made of: rows, the sorted values of each feature, cells where one needs them, and which features are used.
#[derive(Clone, Copy)]
struct Sampled<'a> {
    rows: &'a [&'a [f64]],
    columns: &'a [Vec<f64>],
    bins: Option<&'a Bins>,
    used: &'a [bool],
}

/// Members made of some rows, with what they share.
struct Made {
    typical: Vec<f64>,
    bins: Option<Bins>,
    members: Vec<Member>,
}

impl Made {
    /// One of the members as a detector.
    fn alone(&self, member: &Member) -> Result<Detector, Defect> {
        let bins = self.bins.clone().filter(|_| matches!(member, Member::Ecod(_) | Member::Hbos(_)));
        Detector::new(member.method(), self.typical.clone(), bins, vec![member.clone()], Vec::new())
    }
}

/// A table in which the cells of features that are not used add nothing.
fn without(mut table: Vec<[f64; CELLS]>, used: &[bool]) -> Vec<[f64; CELLS]> {
    let unused = table.iter_mut().zip(used).filter(|(_, used)| !**used);
    unused.for_each(|(cells, _)| *cells = [0.0; CELLS]);
    table
}

/// The sorted values of each feature.
fn columns(rows: &[&[f64]]) -> Vec<Vec<f64>> {
    let sorted = |feature: usize| {
        let mut column: Vec<f64> = rows.iter().map(|row| row[feature]).collect();
        column.sort_unstable_by(f64::total_cmp);
        column
    };
    (0..rows[0].len()).map(sorted).collect()
}

fn scores(detector: &Detector, rows: &[&[f64]]) -> Vec<f64> {
    let (mut scratch, mut scores, mut all) = (Scratch::default(), Vec::new(), Vec::with_capacity(rows.len()));
    for rows in rows.chunks(legonf_core::BATCH) {
        detector.score_rows(&Rows::of(rows.iter().copied()), &mut scratch, &mut scores);
        all.extend_from_slice(&scores);
    }
    all
}
