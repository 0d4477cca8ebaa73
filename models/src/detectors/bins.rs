//! Cells into which the values of each feature fall: those of ECOD and of HBOS at once.

use super::logarithm::{exponential, logarithm};
use super::sample_quantile;

/// Edges between the cells of a feature.
pub const EDGES: usize = 31;
/// Cells of a feature.
pub const CELLS: usize = EDGES + 1;
/// Bars of equal width of a histogram between a feature's extremes.
pub(crate) const BARS: usize = 10;
/// Edges of these bars, with one half a bar beyond each end.
const BAR_EDGES: usize = BARS + 3;
/// Ranks whose values are edges, where a feature has more values than there is room for: most of them in both tails.
const RANKS: [f64; EDGES - BAR_EDGES] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995,
    0.999,
];

/// For each feature the edges of its cells, rising, in `f32`; behind the last one stands infinity. A value, rounded to `f32`, is
/// in the cell whose number is that of the edges that are not above it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bins {
    /// The edges of each feature.
    pub edges: Vec<[f32; EDGES]>,
}

/// A feature's values in its cells.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    /// Values below each edge.
    pub(crate) below: [usize; EDGES],
    /// All values.
    pub(crate) count: usize,
    /// The bars between the extremes.
    pub(crate) bars: Bars,
}

impl Bins {
    /// Cells for features whose values are sorted.
    pub(crate) fn fit(columns: &[Vec<f64>], logarithmic: bool) -> Self {
        Self { edges: columns.iter().map(|column| edges(column, logarithmic)).collect() }
    }

    /// How the sorted values of a feature fill its cells.
    pub(crate) fn fill(&self, feature: usize, column: &[f64], logarithmic: bool) -> Filled {
        let below = |edge: f32| column.partition_point(|value| (*value as f32) < edge);
        let bars = Bars::of(column, logarithmic);
        Filled { below: self.edges[feature].map(below), count: column.len(), bars }
    }

    /// Numbers of the cells of rows in lanes.
    #[inline(always)]
    pub(crate) fn cells<const W: usize>(&self, x: &[[f64; W]], cells: &mut [[u32; W]]) {
        for ((edges, x), cells) in self.edges.iter().zip(x).zip(cells) {
            let x = x.map(|cell| cell as f32);
            let mut counts = [0; W];
            for edge in edges {
                for lane in 0..W {
                    counts[lane] += u32::from(x[lane] >= *edge);
                }
            }
            *cells = counts;
        }
    }

    /// The number of the cell that a value is in.
    pub(crate) fn cell(&self, feature: usize, value: f64) -> usize {
        let mut cell = [[0; 1]];
        let one = Self { edges: vec![self.edges[feature]] };
        one.cells(&[[value]], &mut cell);
        cell[0][0] as usize
    }

    /// Whether all edges are numbers that rise.
    pub(crate) fn is_in_order(&self) -> bool {
        let rising = |edges: &[f32; EDGES]| edges.is_sorted() && edges.iter().all(|edge| !edge.is_nan());
        self.edges.iter().all(rising)
    }
}

/// Bars of equal width between the extremes of a feature, or of its logarithm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bars {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Bars {
    /// Between the extremes of sorted values.
    fn of(column: &[f64], logarithmic: bool) -> Self {
        let (low, high) = (f64::from(column[0] as f32), f64::from(column[column.len() - 1] as f32));
        Self { low, high, logarithmic }
    }

    /// Edge `number`, from half a bar below the first bar to half a bar above the last.
    fn edge(&self, number: usize) -> f32 {
        let scale = |x: f64| if self.logarithmic { logarithm(x) } else { x };
        let unscale = |x: f64| if self.logarithmic { exponential(x) } else { x };
        let (low, high) = (scale(self.low), scale(self.high));
        let width = (high - low) / BARS as f64;
        let edge = match number {
            0 => unscale(low - width / 2.0),
            1 => self.low,
            last if last == BAR_EDGES - 1 => unscale(high + width / 2.0),
            last if last == BAR_EDGES - 2 => self.high,
            other => unscale(low + (other - 1) as f64 * width),
        };
        edge as f32
    }

    /// The bar that a cell that begins at `edge` lies in: 0 below all, 1 and 12 within half a bar of the ends, 13 above all.
    pub(crate) fn bar(&self, edge: f32) -> usize {
        (0..BAR_EDGES).filter(|number| self.edge(*number) <= edge).count()
    }

    /// The only value of a feature, where there is one.
    pub(crate) fn only(&self) -> Option<f64> {
        (self.low == self.high).then_some(self.low)
    }
}

fn edges(column: &[f64], logarithmic: bool) -> [f32; EDGES] {
    let bars = Bars::of(column, logarithmic);
    let mut edges: Vec<f32> = (0..BAR_EDGES).map(|number| bars.edge(number)).collect();
    // A value above the largest one has a cell of its own, however near it is.
    edges.push((bars.high as f32).next_up());
    sort(&mut edges);
    for edge in ranked(column) {
        if edges.len() == EDGES {
            break;
        }
        if !edges.contains(&edge) {
            edges.push(edge);
        }
    }
    sort(&mut edges);
    let infinite = |at: usize| edges.get(at).copied().unwrap_or(f32::INFINITY);
    std::array::from_fn(infinite)
}

/// Values that part a feature's distribution: all of them where they are few, else those at certain ranks, and behind one that stands
/// at two ranks the next number, so that it has a cell of its own.
fn ranked(column: &[f64]) -> Vec<f32> {
    let mut distinct: Vec<f32> = column.iter().map(|value| *value as f32).collect();
    distinct.dedup();
    if distinct.len() <= RANKS.len() / 2 {
        return distinct.iter().flat_map(|value| [*value, value.next_up()]).collect();
    }
    let at = RANKS.map(|rank| sample_quantile(column, rank) as f32);
    let repeated = at.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].next_up());
    let mut edges: Vec<f32> = at.into_iter().chain(repeated).collect();
    let mut seen = Vec::new();
    edges.retain(|edge| {
        !seen.contains(edge) && {
            seen.push(*edge);
            true
        }
    });
    edges
}

fn sort(edges: &mut Vec<f32>) {
    edges.sort_by(f32::total_cmp);
    edges.dedup();
}
