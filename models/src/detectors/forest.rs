//! Isolation forests.

use crate::kitnet::Mt19937;

/// Trees of a forest.
pub const TREES: usize = 200;
/// Rows that a tree is grown from, at most.
const ROWS: usize = 256;

/// Scores a row by 1 − E / 2c: E is its mean path length over the trees, and c that of an unsuccessful search in a binary tree of as
/// many rows as each was grown from. (The customary 2^(−E / c) falls with E likewise.)
///
/// Nodes of all trees are numbered; a leaf is its own successor.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// The root of each tree.
    pub roots: Vec<u32>,
    /// For each node the feature that it looks at; 0 of a leaf.
    pub feature: Vec<u32>,
    /// For each node the value up to which the way goes to the left; 0 of a leaf.
    pub threshold: Vec<f64>,
    /// For each node its left and its right successor.
    pub next: Vec<[u32; 2]>,
    /// For each leaf the length of the path to it, and on to single rows where it has several; 0 of other nodes.
    pub length: Vec<f64>,
    /// The most nodes between a root and a leaf.
    pub depth: usize,
    /// 1 / 2c.
    pub factor: f64,
}

/// The mean path length of an unsuccessful search in a binary search tree of so many rows.
pub(crate) fn expected_length(rows: usize) -> f64 {
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = rows as f64;
            let harmonic = (n - 1.0).ln() + 0.577_215_664_901_532_9;
            2.0 * harmonic - 2.0 * (n - 1.0) / n
        }
    }
}

impl Forest {
    pub(crate) fn fit(rows: &[&[f64]], seed: u32) -> Self {
        let sampled = rows.len().min(ROWS);
        let limit = sampled.next_power_of_two().trailing_zeros() as usize;
        let mut forest = Self {
            roots: Vec::new(),
            feature: Vec::new(),
            threshold: Vec::new(),
            next: Vec::new(),
            length: Vec::new(),
            depth: 0,
            factor: 0.5 / expected_length(sampled),
        };
        let mut random = Mt19937::new(seed);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        for _ in 0..TREES {
            (0..sampled).for_each(|at| order.swap(at, at + random.below(rows.len() - at)));
            let mut part: Vec<&[f64]> = order[..sampled].iter().map(|row| rows[*row]).collect();
            let root = forest.grow(&mut part, (0, limit), &mut random);
            forest.roots.push(root);
        }
        forest.depth = depth(&forest.next);
        forest
    }

    /// Grows a tree below a node at some depth, down to a limit, and gives its number.
    fn grow(&mut self, rows: &mut [&[f64]], (depth, limit): (usize, usize), random: &mut Mt19937) -> u32 {
        let node = self.feature.len() as u32;
        self.feature.push(0);
        self.threshold.push(0.0);
        self.next.push([node; 2]);
        self.length.push(0.0);
        let split = if depth < limit && rows.len() > 1 { split(rows, random) } else { None };
        let Some((feature, threshold)) = split else {
            self.length[node as usize] = depth as f64 + expected_length(rows.len());
            return node;
        };
        rows.sort_by_key(|row| row[feature] > threshold);
        let (left, right) = rows.split_at_mut(rows.partition_point(|row| row[feature] <= threshold));
        let below = (depth + 1, limit);
        let next = [self.grow(left, below, random), self.grow(right, below, random)];
        self.feature[node as usize] = feature as u32;
        self.threshold[node as usize] = threshold;
        self.next[node as usize] = next;
        node
    }

    #[inline(always)]
    fn leaf(&self, root: u32, cell: impl Fn(usize) -> f64) -> u32 {
        let mut node = root;
        for _ in 0..self.depth {
            let at = node as usize;
            let right = cell(self.feature[at] as usize) > self.threshold[at];
            node = self.next[at][usize::from(right)];
        }
        node
    }

    #[inline(always)]
    pub(crate) fn score<const W: usize>(&self, x: &[[f64; W]]) -> [f64; W] {
        let mut sums = [0.0; W];
        for root in &self.roots {
            for (lane, sum) in sums.iter_mut().enumerate() {
                *sum += self.length[self.leaf(*root, |feature| x[feature][lane]) as usize];
            }
        }
        sums.map(|sum| 1.0 - sum / self.roots.len() as f64 * self.factor)
    }

    /// How much shorter paths are than expected, divided among the features on them.
    pub(crate) fn shares(&self, row: &[f64]) -> Vec<f64> {
        let mut shares = vec![0.0; row.len()];
        let longest = self.depth as f64;
        for root in &self.roots {
            let length = self.length[self.leaf(*root, |feature| row[feature]) as usize];
            let gain = (longest - length).max(0.0) / longest.max(1.0);
            let (mut node, mut passed) = (*root as usize, 0.0);
            while self.next[node][0] as usize != node {
                passed += 1.0;
                let feature = self.feature[node] as usize;
                shares[feature] += gain / (longest * passed);
                node = self.next[node][usize::from(row[feature] > self.threshold[node])] as usize;
            }
        }
        shares
    }

    /// Whether every node leads to nodes that there are, behind it.
    pub(crate) fn check(&self, features: usize) -> Option<&'static str> {
        let nodes = self.feature.len();
        let equal =
            [self.threshold.len(), self.next.len(), self.length.len()].iter().all(|len| *len == nodes);
        if !equal || self.roots.is_empty() || self.depth > 64 {
            return Some("has parts of different lengths");
        }
        let leads = |(node, next): (usize, &[u32; 2])| {
            next.iter().all(|next| (*next as usize) < nodes)
                && (next[0] as usize == node && next[1] as usize == node
                    || next.iter().all(|n| *n as usize > node))
        };
        let inside = self.roots.iter().all(|root| (*root as usize) < nodes)
            && self.feature.iter().all(|feature| (*feature as usize) < features);
        let finite = self.threshold.iter().chain(&self.length).chain([&self.factor]).all(|v| v.is_finite());
        let good = inside && finite && self.next.iter().enumerate().all(leads);
        (!good).then_some("has a node that leads nowhere")
    }
}

/// The most nodes between a root and a leaf, where successors have higher numbers.
pub(crate) fn depth(next: &[[u32; 2]]) -> usize {
    let mut depths = vec![0; next.len()];
    for (node, successors) in next.iter().enumerate() {
        for successor in successors.iter().map(|next| *next as usize).filter(|next| *next > node) {
            if let Some(below) = depths.get(successor).copied() {
                depths[successor] = below.max(depths[node] + 1);
            }
        }
    }
    depths.into_iter().max().unwrap_or(0)
}

/// A feature that differs among rows, and a value between its extremes; none where no feature does.
fn split(rows: &[&[f64]], random: &mut Mt19937) -> Option<(usize, f64)> {
    let range = |feature: usize| {
        let extremes = (f64::INFINITY, f64::NEG_INFINITY);
        rows.iter().fold(extremes, |(low, high), row| (row[feature].min(low), row[feature].max(high)))
    };
    let mut left: Vec<usize> = (0..rows[0].len()).collect();
    while !left.is_empty() {
        let feature = left.swap_remove(random.below(left.len()));
        let (low, high) = range(feature);
        if low < high {
            let threshold = random.uniform(low, high);
            return Some((feature, if threshold < high { threshold } else { low }));
        }
    }
    None
}
