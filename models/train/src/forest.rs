//! CART and random forests: trees of decisions on features, by Gini impurity.

mod grow;

use crate::Samples;
use crate::random::Random;
use legonf_extract::flow::{IMAGE_BYTES, STATISTICS};
use serde::{Deserialize, Serialize};

/// Which features of a flow trees decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// So many of its first bytes.
    pub bytes: usize,
    /// Statistics of its bytes.
    pub statistics: bool,
    /// Lengths, directions and gaps of its first packets.
    pub sequence: bool,
}

impl Features {
    /// Statistics and sequences, without the bytes themselves.
    pub const STRUCTURED: Self = Self { bytes: 0, statistics: true, sequence: true };
    /// Statistics and sequences, with as many of the first bytes as most protocols' headers have.
    pub const SHIPPED: Self = Self { bytes: 32, statistics: true, sequence: true };
    /// The bytes alone.
    pub const BYTES: Self = Self { bytes: IMAGE_BYTES, statistics: false, sequence: false };

    /// Features of a flow.
    pub fn width(self, samples: &Samples) -> usize {
        let (statistics, sequence) = (usize::from(self.statistics), usize::from(self.sequence));
        self.bytes + statistics * STATISTICS + sequence * samples.sequence_width
    }

    /// Puts the features of a flow into `row`.
    pub(crate) fn of(self, samples: &Samples, at: usize, row: &mut Vec<f32>) {
        row.extend(samples.bytes(at)[..self.bytes].iter().map(|byte| f32::from(*byte)));
        row.extend_from_slice(if self.statistics { samples.statistics(at) } else { &[] });
        row.extend_from_slice(if self.sequence { samples.sequence(at) } else { &[] });
    }
}

/// A node of a tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    /// Goes on at `left` where the feature is at most `threshold`, else at `left + 1`.
    Branch { feature: u32, threshold: f32, left: u32 },
    /// Ends: the shares of the classes are at this place.
    Leaf { shares: u32 },
}

/// A tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    /// The first node is the root.
    pub(crate) nodes: Vec<Node>,
    /// Shares of the classes, leaf by leaf.
    pub(crate) shares: Vec<f32>,
}

/// Trees whose shares are averaged: a random forest, or a single CART.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    pub(crate) features: Features,
    pub(crate) classes: usize,
    /// Features of a flow.
    pub(crate) width: usize,
    pub(crate) trees: Vec<Tree>,
}

impl Forest {
    /// Grows one tree of all samples, every feature looked at for every decision (CART).
    pub fn cart(samples: &Samples, features: Features) -> Self {
        let table = grow::Table::of(samples, features);
        let all: Vec<u32> = (0..samples.len() as u32).collect();
        let tree = grow::tree(&table, all, table.width, &mut Random::new(0));
        Self { features, classes: table.classes, width: table.width, trees: vec![tree] }
    }

    /// Grows a random forest: each tree of as many samples as there are, drawn with replacement, and for every decision the root of
    /// the number of features, drawn anew.
    pub fn random(samples: &Samples, features: Features, trees: usize, seed: u64) -> Self {
        let table = grow::Table::of(samples, features);
        let looked_at = (table.width as f64).sqrt().round().max(1.0) as usize;
        let grow = |number| {
            let mut random = Random::of(seed, number as u64);
            let drawn = (0..samples.len()).map(|_| random.below(samples.len()) as u32).collect();
            grow::tree(&table, drawn, looked_at, &mut random)
        };
        let trees = (0..trees).map(grow).collect();
        Self { features, classes: table.classes, width: table.width, trees }
    }

    /// Probabilities of the classes for every sample, row by row.
    pub fn probabilities(&self, samples: &Samples) -> Vec<f32> {
        let mut all = vec![0.0; samples.len() * self.classes];
        let mut row = Vec::with_capacity(self.width);
        for (at, out) in all.chunks_exact_mut(self.classes).enumerate() {
            row.clear();
            self.features.of(samples, at, &mut row);
            for tree in &self.trees {
                let shares = tree.shares(&row, self.classes);
                out.iter_mut().zip(shares).for_each(|(out, share)| *out += share);
            }
            out.iter_mut().for_each(|out| *out /= self.trees.len() as f32);
        }
        all
    }

    /// Decisions and leaves of all trees.
    pub fn nodes(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len()).sum()
    }
}

impl Tree {
    fn shares(&self, row: &[f32], classes: usize) -> &[f32] {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Branch { feature, threshold, left } => {
                    at = left as usize + usize::from(row[feature as usize] > threshold);
                }
                Node::Leaf { shares } => return &self.shares[shares as usize..][..classes],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Confusion;
    use crate::samples::Flow;

    /// Classes that bytes 0 and 1 tell together, with noise behind them.
    fn samples(count: usize, seed: u64) -> Samples {
        let mut random = Random::new(seed);
        let mut samples = Samples::new(["a", "b", "c"].map(String::from).to_vec(), Vec::new(), 0);
        for _ in 0..count {
            let mut bytes = [0u8; 12];
            bytes.iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            let label = match (bytes[0] > 100, bytes[1] > 60) {
                (true, true) => 0,
                (true, false) => 1,
                _ => 2,
            };
            samples.push(&Flow { bytes: &bytes, sequence: &[], label, group: 0 });
        }
        samples
    }

    fn accuracy(forest: &Forest, samples: &Samples) -> f64 {
        Confusion::of(&samples.classes, samples.labels(), &forest.probabilities(samples)).accuracy()
    }

    const FIRST: Features = Features { bytes: 12, statistics: false, sequence: false };

    #[test]
    fn trees_learn_what_features_tell() {
        let (training, test) = (samples(2000, 1), samples(500, 2));
        let cart = Forest::cart(&training, FIRST);
        assert_eq!(accuracy(&cart, &training), 1.0);
        assert!(accuracy(&cart, &test) > 0.98 && cart.nodes() < 30, "{}", cart.nodes());
        let forest = Forest::random(&training, FIRST, 20, 7);
        assert!(accuracy(&forest, &test) > 0.95);
        assert_eq!(forest, Forest::random(&training, FIRST, 20, 7));
        assert_ne!(forest, Forest::random(&training, FIRST, 20, 8));
    }

    #[test]
    fn shares_sum_to_one() {
        let training = samples(300, 3);
        let forest = Forest::random(&training, Features::STRUCTURED, 5, 1);
        let all = forest.probabilities(&training);
        assert!(all.chunks_exact(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    }
}
