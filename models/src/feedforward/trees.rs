//! Ensembles of decision trees, as `ai.onnx.ml` has them.

use super::activation::sigmoid;
use crate::kitnet::sigmoid::exp;

/// How a node compares a feature with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Leaf,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

impl Mode {
    /// That of a name in ONNX.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"LEAF" => Self::Leaf,
            b"BRANCH_LEQ" => Self::LessOrEqual,
            b"BRANCH_LT" => Self::Less,
            b"BRANCH_GTE" => Self::GreaterOrEqual,
            b"BRANCH_GT" => Self::Greater,
            b"BRANCH_EQ" => Self::Equal,
            b"BRANCH_NEQ" => Self::NotEqual,
            _ => return None,
        })
    }

    #[inline(always)]
    fn holds(self, feature: f32, value: f32) -> bool {
        match self {
            Self::LessOrEqual => feature <= value,
            Self::Less => feature < value,
            Self::GreaterOrEqual => feature >= value,
            Self::Greater => feature > value,
            Self::Equal => feature == value,
            Self::NotEqual => feature != value,
            Self::Leaf => false,
        }
    }
}

/// A node: where it leads, or where a leaf's weights are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) mode: Mode,
    /// Whether a feature that is not a number goes the way of those for which the comparison holds.
    pub(super) missing_holds: bool,
    pub(super) feature: u32,
    pub(super) value: f32,
    /// The next nodes where the comparison holds and where it does not; of a leaf the first of its weights and the one behind the last.
    pub(super) next: [u32; 2],
}

/// What becomes of the sums of the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// What becomes of the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    /// Softmax of those that are not zero.
    SoftmaxZero,
}

/// How two classes come from the one sum that a classifier of two classes may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pair {
    /// There is a sum for each output.
    No,
    /// The sum is the second class's part of one.
    Complement,
    /// The first class has the sum with the other sign.
    Negation,
}

/// An ensemble. The ways from the roots have no circle, and no index is out of bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trees {
    pub(super) features: usize,
    pub(super) roots: Vec<u32>,
    pub(super) nodes: Vec<Node>,
    /// Outputs and their weights, leaf after leaf.
    pub(super) weights: Vec<(u32, f32)>,
    pub(super) base: Vec<f32>,
    pub(super) outputs: usize,
    pub(super) aggregate: Aggregate,
    pub(super) transform: Transform,
    pub(super) pair: Pair,
}

impl Trees {
    /// Computes rows, one tree for all of them after the other.
    pub(super) fn run(&self, input: &[f32], output: &mut [f32]) {
        let start = match self.aggregate {
            Aggregate::Sum | Aggregate::Average => 0.0,
            Aggregate::Min => f32::INFINITY,
            Aggregate::Max => f32::NEG_INFINITY,
        };
        output.fill(start);
        for root in &self.roots {
            let rows = input.chunks_exact(self.features).zip(output.chunks_exact_mut(self.outputs));
            rows.for_each(|(row, output)| self.add(*root, row, output));
        }
        output.chunks_exact_mut(self.outputs).for_each(|row| self.finish(row));
    }

    fn add(&self, root: u32, row: &[f32], output: &mut [f32]) {
        let leaf = self.leaf(root, row);
        for (number, weight) in &self.weights[leaf.next[0] as usize..leaf.next[1] as usize] {
            // One sum of two outputs is at the second.
            let sum = &mut output[*number as usize];
            *sum = match self.aggregate {
                Aggregate::Sum | Aggregate::Average => *sum + weight,
                Aggregate::Min => sum.min(*weight),
                Aggregate::Max => sum.max(*weight),
            };
        }
    }

    #[inline(always)]
    fn leaf(&self, root: u32, row: &[f32]) -> Node {
        let mut node = self.nodes[root as usize];
        while node.mode != Mode::Leaf {
            let feature = row[node.feature as usize];
            let holds = node.mode.holds(feature, node.value) || node.missing_holds && feature.is_nan();
            node = self.nodes[node.next[usize::from(!holds)] as usize];
        }
        node
    }

    fn finish(&self, row: &mut [f32]) {
        if self.aggregate == Aggregate::Average {
            row.iter_mut().for_each(|sum| *sum /= self.roots.len() as f32);
        }
        row.iter_mut().zip(&self.base).for_each(|(sum, base)| *sum += base);
        match (self.pair, self.transform) {
            (Pair::No, transform) => transform.apply(row),
            (_, Transform::Logistic) => {
                row[0] = sigmoid(-row[1]);
                row[1] = sigmoid(row[1]);
            }
            (Pair::Complement, _) => row[0] = 1.0 - row[1],
            (Pair::Negation, transform) => {
                row[0] = -row[1];
                transform.apply(row);
            }
        }
    }
}

impl Transform {
    fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|sum| *sum = sigmoid(*sum)),
            Self::Softmax => softmax(row, |_| true),
            Self::SoftmaxZero => softmax(row, |sum| sum.abs() > 1e-7),
        }
    }
}

/// Parts of one by the exponentials of the sums that count; the others are 0.
fn softmax(row: &mut [f32], counts: impl Fn(f32) -> bool) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let part = |sum: f32| if counts(sum) { exp(f64::from(sum) - f64::from(most)) } else { 0.0 };
    let all: f64 = row.iter().map(|sum| part(*sum)).sum();
    row.iter_mut().for_each(|sum| *sum = (part(*sum) / all) as f32);
}
