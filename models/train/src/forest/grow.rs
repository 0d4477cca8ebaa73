//! How a tree grows.

use super::{Features, Node, Tree};
use crate::Samples;
use crate::random::Random;

/// Steps of a feature's values at most; features with more values are told apart at so many places.
const STEPS: usize = 256;
/// Nodes with fewer samples are sorted, larger ones counted by step.
const SORTED: usize = 200;

/// Features of samples in steps, column by column.
pub(super) struct Table {
    /// The step of each sample's value, for each feature.
    columns: Vec<Vec<u8>>,
    /// For each feature the greatest value of each step but the last, and what stands between it and the next one.
    thresholds: Vec<Vec<f32>>,
    labels: Vec<usize>,
    pub(super) classes: usize,
    pub(super) width: usize,
}

impl Table {
    pub(super) fn of(samples: &Samples, features: Features) -> Self {
        let width = features.width(samples);
        let mut rows = Vec::with_capacity(samples.len() * width);
        (0..samples.len()).for_each(|at| features.of(samples, at, &mut rows));
        let column =
            |feature: usize| rows.iter().skip(feature).step_by(width.max(1)).copied().collect::<Vec<f32>>();
        let (columns, thresholds) = (0..width).map(|feature| steps(&column(feature))).unzip();
        Self { columns, thresholds, labels: samples.labels().to_vec(), classes: samples.classes.len(), width }
    }
}

/// The steps of a column's values, and the thresholds between steps.
fn steps(values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let between = |pair: &[f32]| {
        let middle = pair[0] + (pair[1] - pair[0]) / 2.0;
        if middle < pair[1] { middle } else { pair[0] }
    };
    let thresholds: Vec<f32> = if distinct.len() <= STEPS {
        distinct.windows(2).map(between).collect()
    } else {
        let mut at: Vec<f32> = (1..STEPS).map(|step| sorted[step * (sorted.len() - 1) / STEPS]).collect();
        at.dedup();
        at.retain(|value| *value < distinct[distinct.len() - 1]);
        at
    };
    let step = |value: &f32| thresholds.partition_point(|threshold| value > threshold) as u8;
    (values.iter().map(step).collect(), thresholds)
}

/// A decision that was looked at.
#[derive(Clone, Copy)]
struct Split {
    feature: usize,
    /// The last step that goes to the left.
    step: u8,
    /// The sum over both sides of the squared counts of classes over the samples: the higher, the purer.
    purity: f64,
}

/// Grows a tree of samples until its leaves are pure or no feature tells their samples apart.
pub(super) fn tree(table: &Table, mut rows: Vec<u32>, looked_at: usize, random: &mut Random) -> Tree {
    let mut tree = Tree { nodes: vec![Node::Leaf { shares: 0 }], shares: Vec::new() };
    let mut features: Vec<usize> = (0..table.width).collect();
    let mut open = vec![(0usize, 0..rows.len())];
    while let Some((node, range)) = open.pop() {
        let own = &mut rows[range.clone()];
        let Some(split) = best(table, own, looked_at, &mut features, random) else {
            tree.leaf(node, table, own);
            continue;
        };
        let column = &table.columns[split.feature];
        let middle = range.start + partition(own, |row| column[row as usize] <= split.step);
        let left = tree.nodes.len();
        let threshold = table.thresholds[split.feature][usize::from(split.step)];
        tree.nodes[node] = Node::Branch { feature: split.feature as u32, threshold, left: left as u32 };
        tree.nodes.extend([Node::Leaf { shares: 0 }; 2]);
        open.push((left + 1, middle..range.end));
        open.push((left, range.start..middle));
    }
    tree
}

/// Puts the rows that pass to the front; how many there are.
fn partition(rows: &mut [u32], passes: impl Fn(u32) -> bool) -> usize {
    let mut front = 0;
    for at in 0..rows.len() {
        if passes(rows[at]) {
            rows.swap(front, at);
            front += 1;
        }
    }
    front
}

impl Tree {
    fn leaf(&mut self, node: usize, table: &Table, rows: &[u32]) {
        self.nodes[node] = Node::Leaf { shares: self.shares.len() as u32 };
        let counts = counts(table, rows);
        self.shares.extend(counts.iter().map(|count| (f64::from(*count) / rows.len().max(1) as f64) as f32));
    }
}

fn counts(table: &Table, rows: &[u32]) -> Vec<u32> {
    let mut counts = vec![0; table.classes];
    rows.iter().for_each(|row| counts[table.labels[*row as usize]] += 1);
    counts
}

/// The best decision of `looked_at` features that tell rows apart, drawn in random order; all of them are one draw for a CART.
fn best(
    table: &Table,
    rows: &[u32],
    looked_at: usize,
    features: &mut [usize],
    random: &mut Random,
) -> Option<Split> {
    let all = counts(table, rows);
    if all.iter().filter(|count| **count > 0).count() < 2 {
        return None;
    }
    let mut found: Option<Split> = None;
    let mut seen = 0;
    for at in 0..features.len() {
        if seen == looked_at {
            break;
        }
        if looked_at < features.len() {
            let drawn = at + random.below(features.len() - at);
            features.swap(at, drawn);
        }
        let Some(split) = of_feature(table, rows, features[at], &all) else { continue };
        seen += 1;
        if found.is_none_or(|best| split.purity > best.purity) {
            found = Some(split);
        }
    }
    found
}

/// The best decision on a feature; none where all rows have one value.
fn of_feature(table: &Table, rows: &[u32], feature: usize, all: &[u32]) -> Option<Split> {
    let column = &table.columns[feature];
    let mut scan = Scan::new(feature, all, rows.len());
    if rows.len() < SORTED {
        let pair = |row: &u32| (column[*row as usize], table.labels[*row as usize] as u16);
        let mut sorted: Vec<(u8, u16)> = rows.iter().map(pair).collect();
        sorted.sort_unstable();
        for step in sorted.chunk_by(|a, b| a.0 == b.0) {
            step.iter().for_each(|(_, label)| scan.add(usize::from(*label), 1));
            scan.close(step[0].0);
        }
    } else {
        let mut counted = vec![0u32; STEPS * all.len()];
        let place = |row: &u32| usize::from(column[*row as usize]) * all.len() + table.labels[*row as usize];
        rows.iter().for_each(|row| counted[place(row)] += 1);
        for (step, counts) in counted.chunks_exact(all.len()).enumerate() {
            let before = scan.taken;
            counts
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .for_each(|(label, count)| scan.add(label, *count));
            if scan.taken > before {
                scan.close(step as u8);
            }
        }
    }
    scan.best
}

/// Steps of a feature from the lowest on.
struct Scan<'a> {
    feature: usize,
    all: &'a [u32],
    count: usize,
    /// Counts of the classes so far, the samples so far, and the sums of squares on both sides.
    left: Vec<u32>,
    taken: usize,
    squares_left: f64,
    squares_right: f64,
    best: Option<Split>,
}

impl<'a> Scan<'a> {
    fn new(feature: usize, all: &'a [u32], count: usize) -> Self {
        let squares_right = all.iter().map(|count| f64::from(*count) * f64::from(*count)).sum();
        Self {
            feature,
            all,
            count,
            left: vec![0; all.len()],
            taken: 0,
            squares_left: 0.0,
            squares_right,
            best: None,
        }
    }

    fn add(&mut self, label: usize, count: u32) {
        let (left, right) = (f64::from(self.left[label]), f64::from(self.all[label] - self.left[label]));
        let more = f64::from(count);
        self.squares_left += more * (2.0 * left + more);
        self.squares_right -= more * (2.0 * right - more);
        self.left[label] += count;
        self.taken += count as usize;
    }

    /// Everything up to `step` has been added.
    fn close(&mut self, step: u8) {
        let right = self.count - self.taken;
        if right == 0 {
            return;
        }
        let purity = self.squares_left / self.taken as f64 + self.squares_right / right as f64;
        if self.best.is_none_or(|best| purity > best.purity) {
            self.best = Some(Split { feature: self.feature, step, purity });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_the_order_of_values() {
        let (found, thresholds) = steps(&[3.0, 1.0, 1.0, 8.0]);
        assert_eq!((found, thresholds), (vec![1, 0, 0, 2], vec![2.0, 5.5]));
        let many: Vec<f32> = (0..5000).map(|at| ((at * 7919) % 5000) as f32).collect();
        let (found, thresholds) = steps(&many);
        assert!(thresholds.len() < STEPS && thresholds.is_sorted());
        for (value, step) in many.iter().zip(&found) {
            let step = usize::from(*step);
            assert!(step == 0 || *value > thresholds[step - 1]);
            assert!(step == thresholds.len() || *value <= thresholds[step]);
        }
    }
}
