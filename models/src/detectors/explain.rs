//! Why a detector found a packet anomalous.

use super::{Detector, Member};
use legonf_core::{Explain, Explanation, FeatureShare, GroupShare, Schema};
use std::sync::Arc;

/// Explains scores of a [`Detector`] in terms of a schema: for each member, in the place of an autoencoder, the features that add
/// most to its score. Where a member reconstructs no row, the median of a feature in training is what was expected.
#[derive(Clone, Debug)]
pub struct DetectorExplainer {
    detector: Arc<Detector>,
    schema: Arc<Schema>,
}

impl DetectorExplainer {
    /// An explainer of `detector`, whose features `schema` names; `None` when their numbers differ.
    pub fn new(detector: Arc<Detector>, schema: Arc<Schema>) -> Option<Self> {
        (detector.features() == schema.len()).then_some(Self { detector, schema })
    }

    fn group(&self, member: usize, (score, share): (f64, f64), row: &[f64], top: usize) -> GroupShare {
        let (shares, expected) = self.shares(&self.detector.members()[member], row);
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]));
        let features = order.into_iter().take(top).filter(|feature| shares[*feature] > 0.0);
        let features =
            features.map(|feature| self.feature(feature, expected[feature], row[feature])).collect();
        GroupShare { autoencoder: member, rmse: score, share, features }
    }

    /// What each feature adds to a member's score, and what was expected of it.
    fn shares(&self, member: &Member, row: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let typical = || self.detector.typical().to_vec();
        match member {
            Member::Pca(pca) => (pca.shares(row), pca.reconstruct(row)),
            Member::Nearest(nearest) => (nearest.shares(row), nearest.expected(row)),
            Member::MeanZ(mean_z) => (mean_z.shares(row), mean_z.scale.mean.clone()),
            Member::BoxPlot(plot) => (plot.shares(row), typical()),
            Member::Forest(forest) => (forest.shares(row), typical()),
            Member::Ecod(ecod) => (self.of_cells(&ecod.table, row), typical()),
            Member::Hbos(hbos) => (self.of_cells(&hbos.table, row), typical()),
        }
    }

    /// What the cell of each feature adds beyond what the most frequent one does.
    fn of_cells<const C: usize>(&self, table: &[[f64; C]], row: &[f64]) -> Vec<f64> {
        let Some(bins) = self.detector.bins() else { return vec![0.0; row.len()] };
        let share = |(feature, table): (usize, &[f64; C])| {
            let least = table.iter().copied().fold(f64::INFINITY, f64::min);
            table[bins.cell(feature, row[feature])] - least
        };
        table.iter().enumerate().map(share).collect()
    }

    fn feature(&self, column: usize, expected: f64, observed: f64) -> FeatureShare {
        let feature = &self.schema.features[column];
        FeatureShare {
            feature: feature.name.clone(),
            words: feature.words(),
            group: feature.group.clone(),
            decay: feature.decay,
            expected,
            observed,
        }
    }
}

impl Explain for DetectorExplainer {
    fn explain(&self, features: &[f64], top: usize) -> Explanation {
        if features.len() != self.detector.features() || !features.iter().all(|cell| cell.is_finite()) {
            return Explanation::default();
        }
        let members = self.detector.member_scores(features);
        let sum: f64 = members.iter().map(|(_, value)| value).sum();
        let share = |value: f64| if sum > 0.0 { value / sum } else { 0.0 };
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|a, b| members[*b].1.total_cmp(&members[*a].1));
        let group = |member: usize| {
            let (score, value) = members[member];
            self.group(member, (score, share(value)), features, top)
        };
        Explanation { groups: order.into_iter().take(top).map(group).collect() }
    }
}
