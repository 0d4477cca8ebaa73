//! DeepNFV's Table I and what was found beside it.

use legonf_train::{Quality, Samples};
use serde::{Deserialize, Serialize};

/// The paper's averages over eight protocols, whose unit is the packet: its network, and CART.
const PAPER: [(&str, f64, f64); 2] = [("CNN", 0.95, 0.95), ("CART", 0.87, 0.82)];

/// Figures of all data sets.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each data set.
    pub datasets: Vec<Dataset>,
    /// Passes over the samples at most.
    pub epochs: usize,
    /// Whether it was only to be seen that it runs.
    pub quick: bool,
}

/// Figures of a data set: means over its splits.
#[derive(Debug, Serialize)]
pub struct Dataset {
    pub(super) name: &'static str,
    pub(super) classes: usize,
    pub(super) flows: usize,
    pub(super) cnn: Option<Quality>,
    pub(super) shipped: Option<Quality>,
    pub(super) forest: Option<Quality>,
    pub(super) cart: Option<Quality>,
    pub(super) deepnfv: Option<Quality>,
    pub(super) splits: Vec<Split>,
}

/// Figures of one split; none of parts that were left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Split {
    pub(super) seed: u64,
    /// Flows to learn from, to choose by, to judge by.
    pub(super) samples: [usize; 3],
    pub(super) cnn: Option<Quality>,
    pub(super) shipped: Option<Quality>,
    pub(super) forest: Option<Quality>,
    pub(super) cart: Option<Quality>,
    pub(super) deepnfv: Option<Quality>,
    /// The forest's share in what ships, as it was chosen: 0 to 1.
    pub(super) forest_share: Option<f32>,
    /// Numbers that the networks of `cnn` have learnt.
    pub(super) parameters: Option<usize>,
    /// For each network of `cnn` the pass whose weights it has.
    pub(super) passes: Vec<usize>,
    /// The same of `deepnfv`.
    pub(super) deepnfv_passes: Vec<usize>,
    /// The most frequent mistakes of what ships; without it, of the forest.
    pub(super) mistakes: Vec<Mistake>,
}

/// Flows of a class that were taken for another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mistake {
    pub(super) class: String,
    pub(super) taken_for: String,
    pub(super) samples: u64,
}

/// A row of the table.
type Row = (&'static str, fn(&Split) -> Option<Quality>);
const ROWS: [Row; 5] = [
    ("shipped (cnn and forest)", |split| split.shipped),
    ("cnn", |split| split.cnn),
    ("forest", |split| split.forest),
    ("cart", |split| split.cart),
    ("deepnfv", |split| split.deepnfv),
];

/// The mean of a figure over splits; none where they have none.
fn mean(splits: &[Split], figure: fn(&Split) -> Option<Quality>) -> Option<Quality> {
    let all: Vec<_> = splits.iter().filter_map(figure).collect();
    (!all.is_empty()).then(|| Quality::mean(&all))
}

impl Dataset {
    pub(super) fn of(name: &'static str, samples: &Samples, splits: Vec<Split>) -> Self {
        let [shipped, cnn, forest, cart, deepnfv] = ROWS.map(|(_, figure)| mean(&splits, figure));
        let (classes, flows) = (samples.classes.len(), samples.len());
        Self { name, classes, flows, cnn, shipped, forest, cart, deepnfv, splits }
    }

    fn text(&self) -> String {
        let Self { name, classes, flows, splits, .. } = self;
        let mut out = format!("{name}: {flows} flows of {classes} classes, {} splits\n", splits.len());
        out.extend(ROWS.into_iter().filter_map(|(name, figure)| self.row(name, figure)));
        let mistakes = splits.iter().flat_map(|split| split.mistakes.iter().take(3));
        out.extend(mistakes.map(|m| format!("  {} {} taken for {}\n", m.samples, m.class, m.taken_for)));
        out
    }

    /// Means over the splits, with the least and the greatest beside them.
    fn row(&self, name: &str, figure: fn(&Split) -> Option<Quality>) -> Option<String> {
        let mean = mean(&self.splits, figure)?;
        let of = |part: fn(Quality) -> f64| {
            let all = self.splits.iter().filter_map(|split| figure(split).map(part));
            let (low, high) = all.fold((1.0, 0.0), |(low, high): (f64, f64), x| (low.min(x), high.max(x)));
            let spread = format!("({low:.3} to {high:.3})");
            format!("{:.3} {}", part(mean), if self.splits.len() > 1 { spread } else { String::new() })
        };
        let (precision, recall) = (of(|quality| quality.precision), of(|quality| quality.recall));
        Some(format!("  {name:<26} precision {precision}  recall {}\n", recall.trim_end()))
    }
}

/// The report in words.
pub fn text(report: &Report) -> String {
    let line =
        |(name, precision, recall)| format!("  {name:<26} precision {precision:.3}  recall {recall:.3}\n");
    let paper = PAPER.map(line).concat();
    let tables: String = report.datasets.iter().map(Dataset::text).collect();
    tables + "the paper (eight protocols, packets, other data):\n" + &paper
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_mean_and_the_spread_of_the_splits_that_have_them() {
        let quality = |precision, recall| Some(Quality { precision, recall });
        let splits = vec![
            Split { cnn: quality(0.9, 0.8), forest: quality(0.5, 0.5), ..Split::default() },
            Split { cnn: quality(0.7, 0.9), ..Split::default() },
        ];
        let dataset = Dataset::of("flows", &Samples::default(), splits);
        assert_eq!((dataset.deepnfv, dataset.forest), (None, quality(0.5, 0.5)));
        let text = dataset.text();
        let row =
            "cnn                        precision 0.800 (0.700 to 0.900)  recall 0.850 (0.800 to 0.900)\n";
        assert!(text.contains(row) && !text.contains("deepnfv"), "{text}");
    }
}
