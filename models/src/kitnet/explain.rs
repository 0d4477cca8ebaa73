//! Why a packet was found anomalous.

use super::{KitNet, Scratch};
use legonf_core::{Explain, Explanation, FeatureShare, GroupShare, Rows, Schema, Tiles};
use std::cell::RefCell;
use std::sync::Arc;

/// Explains scores of a [`KitNet`] in terms of a schema.
#[derive(Clone, Debug)]
pub struct Explainer {
    model: Arc<KitNet>,
    schema: Arc<Schema>,
    memory: RefCell<Memory>,
}

/// Memory for the kernel to run one row in.
#[derive(Clone, Debug, Default)]
struct Memory {
    row: Rows,
    mapped: Tiles,
    scratch: Scratch,
    errors: Tiles,
    scores: Vec<f64>,
}

impl Explainer {
    /// An explainer of `model`, whose features `schema` names; `None` when their numbers differ.
    pub fn new(model: Arc<KitNet>, schema: Arc<Schema>) -> Option<Self> {
        let memory = RefCell::default();
        (model.features() == schema.len()).then_some(Self { model, schema, memory })
    }

    fn group(&self, index: usize, features: &[f64], share: f64, top: usize) -> GroupShare {
        let (autoencoder, columns) = (&self.model.ensemble()[index], &self.model.feature_map()[index]);
        let inputs: Vec<f64> = columns.iter().map(|c| features[*c]).collect();
        let (x, z) = autoencoder.reconstruct(&inputs);
        let expected = |v: usize| z[v] * autoencoder.range(v) + autoencoder.norm_min[v];
        let features = largest(&deviations(&x, &z), top)
            .map(|v| self.feature(columns[v], expected(v), inputs[v]))
            .collect();
        GroupShare { autoencoder: index, rmse: autoencoder.rmse(&x, &z), share, features }
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

    /// The error of each autoencoder.
    fn errors(&self, features: &[f64]) -> Vec<f64> {
        let Memory { row, mapped, scratch, errors, scores } = &mut *self.memory.borrow_mut();
        row.reset(1, features.len());
        row.row_mut(0).copy_from_slice(features);
        self.model.gather(row, mapped);
        self.model.score_rows(mapped, scratch, errors, scores);
        errors.row(0).collect()
    }
}

impl Explain for Explainer {
    fn explain(&self, features: &[f64], top: usize) -> Explanation {
        if features.len() != self.model.features() {
            return Explanation::default();
        }
        let (x, z) = self.model.output().reconstruct(&self.errors(features));
        let deviations = deviations(&x, &z);
        let shares = shares(&deviations);
        let groups = largest(&deviations, top).map(|a| self.group(a, features, shares[a], top)).collect();
        Explanation { groups }
    }
}

fn deviations(x: &[f64], z: &[f64]) -> Vec<f64> {
    x.iter().zip(z).map(|(x, z)| (x - z).abs()).collect()
}

/// Each one's part of the sum of squares. Scaled by the largest first, so that no square overflows.
fn shares(deviations: &[f64]) -> Vec<f64> {
    let largest = deviations.iter().copied().fold(0.0, f64::max);
    let square = |d: &f64| if largest > 0.0 && largest.is_finite() { (d / largest).powi(2) } else { 0.0 };
    let sum: f64 = deviations.iter().map(square).sum();
    deviations.iter().map(|d| if sum > 0.0 { square(d) / sum } else { 0.0 }).collect()
}

/// Indices of the `top` largest values, the largest first; equal ones in index order.
fn largest(values: &[f64], top: usize) -> impl Iterator<Item = usize> {
    let mut largest: Vec<usize> = Vec::with_capacity(top + 1);
    for (index, value) in values.iter().enumerate() {
        let before = |other: &usize| values[*other].total_cmp(value).is_ge();
        let place = largest.partition_point(before);
        if place < top {
            largest.truncate(top - 1);
            largest.insert(place, index);
        }
    }
    largest.into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::small;
    use super::*;
    use legonf_core::{Feature, Unit};

    fn schema(len: usize) -> Arc<Schema> {
        let feature = |i| Feature {
            name: format!("f{i}"),
            group: "G".into(),
            statistic: "mean".into(),
            unit: Unit::Bytes,
            decay: Some(0.1),
        };
        Arc::new(Schema { name: "test".into(), features: (0..len).map(feature).collect() })
    }

    #[test]
    fn errors_of_all_autoencoders_have_the_bits_of_the_kernel() {
        let (model, rows) = small();
        let explainer = Explainer::new(Arc::new(model.clone()), schema(17)).unwrap();
        for row in &rows {
            let error = |(autoencoder, columns): (&super::super::Autoencoder, &Vec<usize>)| {
                let inputs: Vec<f64> = columns.iter().map(|column| row[*column]).collect();
                let (x, z) = autoencoder.reconstruct(&inputs);
                autoencoder.rmse(&x, &z)
            };
            let errors: Vec<f64> = model.ensemble().iter().zip(model.feature_map()).map(error).collect();
            assert_eq!(explainer.errors(row), errors);
        }
    }

    #[test]
    fn the_largest_come_first_and_equal_ones_in_their_order() {
        let values: Vec<f64> =
            (0..40).map(|i| f64::from(i * 7 % 11)).chain([f64::NAN, f64::INFINITY]).collect();
        for top in 0..50 {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            order.truncate(top);
            assert_eq!(largest(&values, top).collect::<Vec<_>>(), order, "{top}");
        }
    }

    #[test]
    fn the_feature_that_was_changed_comes_first() {
        let (model, rows) = small();
        let changed = model.feature_map()[1][0];
        let mut row = rows[0].clone();
        row[changed] = 1e6;
        let explanation = Explainer::new(Arc::new(model), schema(17)).unwrap().explain(&row, 3);
        assert!(explanation.groups.len() <= 3);
        let first = &explanation.groups[0];
        assert_eq!(first.autoencoder, 1);
        assert!(first.share > 0.9 && first.share <= 1.0, "{}", first.share);
        assert_eq!(first.features[0].feature, format!("f{changed}"));
        assert_eq!(first.features[0].observed, 1e6);
        assert!((0.0..20.0).contains(&first.features[0].expected));
    }

    #[test]
    fn odd_rows_and_schemas_are_answered() {
        let model = Arc::new(small().0);
        assert!(Explainer::new(model.clone(), schema(16)).is_none());
        let explainer = Explainer::new(model, schema(17)).unwrap();
        assert!(explainer.explain(&[0.0; 3], 3).groups.is_empty());
        let explanation = explainer.explain(&[f64::NAN; 17], 2);
        assert!(explanation.groups.iter().all(|g| g.share == 0.0));
    }
}
