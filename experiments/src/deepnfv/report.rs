//! DeepNFV's Table I and what was found beside it.

use super::mean;
use legonf_train::{Quality, Samples};
use serde::Serialize;

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

/// Figures of one split.
#[derive(Debug, Serialize)]
pub(super) struct Split {
    pub(super) seed: u64,
    /// Flows to learn from, to choose by, to judge by.
    pub(super) samples: [usize; 3],
    pub(super) cnn: Option<Quality>,
    pub(super) shipped: Option<Quality>,
    pub(super) forest: Quality,
    pub(super) cart: Quality,
    pub(super) deepnfv: Option<Quality>,
    /// The most frequent mistakes of what ships.
    pub(super) mistakes: Vec<Mistake>,
}

/// Flows of a class that were taken for another.
#[derive(Debug, Serialize)]
pub(super) struct Mistake {
    pub(super) class: String,
    pub(super) taken_for: String,
    pub(super) samples: u64,
}

impl Dataset {
    pub(super) fn of(name: &'static str, samples: &Samples, splits: Vec<Split>) -> Self {
        Self {
            name,
            classes: samples.classes.len(),
            flows: samples.len(),
            cnn: mean(&splits, |split| split.cnn),
            shipped: mean(&splits, |split| split.shipped),
            forest: mean(&splits, |split| Some(split.forest)),
            cart: mean(&splits, |split| Some(split.cart)),
            deepnfv: mean(&splits, |split| split.deepnfv),
            splits,
        }
    }

    fn text(&self) -> String {
        let Self { name, classes, flows, splits, .. } = self;
        let mut out = format!("{name}: {flows} flows of {classes} classes, {} splits\n", splits.len());
        let rows = [
            ("shipped (cnn and forest)", self.shipped),
            ("cnn", self.cnn),
            ("forest", self.forest),
            ("cart", self.cart),
            ("deepnfv", self.deepnfv),
        ];
        let found = rows.into_iter().filter_map(|(name, quality)| Some((name, quality?)));
        out.extend(found.map(|(name, quality)| line(name, quality.precision, quality.recall)));
        let mistakes = splits.iter().flat_map(|split| split.mistakes.iter().take(3));
        out.extend(mistakes.map(|m| format!("  {} {} taken for {}\n", m.samples, m.class, m.taken_for)));
        out
    }
}

fn line(name: &str, precision: f64, recall: f64) -> String {
    format!("  {name:<26} precision {precision:.3}  recall {recall:.3}\n")
}

/// The report in words.
pub fn text(report: &Report) -> String {
    let paper = PAPER.map(|(name, precision, recall)| line(name, precision, recall)).concat();
    let tables: String = report.datasets.iter().map(Dataset::text).collect();
    tables + "the paper (eight protocols, packets, other data):\n" + &paper
}
