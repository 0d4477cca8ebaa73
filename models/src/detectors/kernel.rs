//! Execution of a detector in tiles of rows, a row in each lane, or row by row.
//!
//! Every lane computes alone and in one fixed order, so that neither the width of the tile nor a row's place in it changes a bit.

use super::{Detector, Member};
use legonf_core::Rows;
use multiversion::multiversion;

/// Rows of a tile.
const TILE: usize = 16;
/// Rows that take less one by one than as a tile.
const FEW: usize = 3;
/// Units that are computed together, their sums in registers.
pub(crate) const PANEL: usize = 4;

/// Memory of one worker. It may be used with any detector.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    tile: Buffers<TILE>,
    row: Buffers<1>,
}

/// Memory for rows in lanes.
#[derive(Clone, Debug, Default)]
struct Buffers<const W: usize> {
    features: Vec<[f64; W]>,
    scaled: Vec<[f64; W]>,
    cells: Vec<[u32; W]>,
    members: Vec<[f64; W]>,
}

impl<const W: usize> Buffers<W> {
    /// Makes room for a detector; allocates only when it is larger than any before.
    fn fit(&mut self, features: usize, members: usize) {
        self.features.resize(features, [0.0; W]);
        self.scaled.resize(features, [0.0; W]);
        self.cells.resize(features, [0; W]);
        self.members.resize(members, [0.0; W]);
    }
}

/// Weights of units over inputs, for [`PANEL`] units at a time: for each input one of each unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Panels {
    inputs: usize,
    weights: Vec<[f64; PANEL]>,
}

impl Panels {
    /// Units with a weight for each input; those that fill the last panel up have none.
    pub(crate) fn new(units: usize, inputs: usize, weight: impl Fn(usize, usize) -> f64) -> Self {
        let cell = |unit: usize, input: usize| if unit < units { weight(unit, input) } else { 0.0 };
        let panel = |panel: usize| (0..inputs).map(move |input| (panel * PANEL, input));
        let places = (0..units.div_ceil(PANEL)).flat_map(panel);
        let weights = places.map(|(first, input)| std::array::from_fn(|unit| cell(first + unit, input)));
        Self { inputs, weights: weights.collect() }
    }

    /// The sums of a panel's units in every lane.
    #[inline(always)]
    pub(crate) fn sums<const W: usize>(&self, panel: usize, x: &[[f64; W]]) -> [[f64; W]; PANEL] {
        let mut sums = [[0.0; W]; PANEL];
        for (weights, x) in self.weights[panel * self.inputs..][..self.inputs].iter().zip(x) {
            for unit in 0..PANEL {
                sums[unit] = fma(&[weights[unit]; W], x, &sums[unit]);
            }
        }
        sums
    }
}

/// a · b + c in every lane, rounded once.
#[inline(always)]
pub(crate) fn fma<const W: usize>(a: &[f64; W], b: &[f64; W], c: &[f64; W]) -> [f64; W] {
    let mut sums = *c;
    for lane in 0..W {
        sums[lane] = a[lane].mul_add(b[lane], c[lane]);
    }
    sums
}

/// The sum over features of what the cell of each adds.
#[inline(always)]
fn look_up<const W: usize, const C: usize>(table: &[[f64; C]], cells: &[[u32; W]]) -> [f64; W] {
    let mut sums = [0.0; W];
    for (table, cells) in table.iter().zip(cells) {
        for lane in 0..W {
            sums[lane] += table[cells[lane] as usize % C];
        }
    }
    sums
}

/// The sums over features of what the cell of each adds to two scores.
#[inline(always)]
fn look_up_pairs<const W: usize, const C: usize>(
    table: &[[[f64; 2]; C]],
    cells: &[[u32; W]],
) -> [[f64; 2]; W] {
    let mut sums = [[0.0; 2]; W];
    for (table, cells) in table.iter().zip(cells) {
        for lane in 0..W {
            let [first, second] = table[cells[lane] as usize % C];
            sums[lane][0] += first;
            sums[lane][1] += second;
        }
    }
    sums
}

/// What members work in: memory for standardised features, and the bins of the features.
struct Work<'a, const W: usize> {
    scaled: &'a mut [[f64; W]],
    cells: &'a [[u32; W]],
}

impl Detector {
    /// Scores rows of features: `scores` becomes one for each. Any batch size gives the same bits; in steady state nothing is allocated.
    ///
    /// # Panics
    /// If the rows are of another width than [`features`](Self::features).
    pub fn score_rows(&self, features: &Rows, scratch: &mut Scratch, scores: &mut Vec<f64>) {
        let width = self.features();
        assert!(features.is_empty() || features.width() == width, "rows are of this detector's features");
        scores.resize(features.len(), 0.0);
        scratch.tile.fit(width, self.members.len());
        scratch.row.fit(width, self.members.len());
        let tiles = features.as_slice().chunks(TILE * width).zip(scores.chunks_mut(TILE));
        for (rows, scores) in tiles {
            if scores.len() > FEW {
                tile(self, rows, &mut scratch.tile, scores);
            } else {
                let rows = rows.chunks_exact(width).zip(scores.chunks_mut(1));
                rows.for_each(|(cells, score)| row(self, cells, &mut scratch.row, score));
            }
        }
    }

    /// The score of one row of features, for tests and small tools: it allocates.
    ///
    /// # Panics
    /// If `features` is of another length than [`features`](Self::features).
    pub fn score(&self, features: &[f64]) -> f64 {
        let mut scores = Vec::new();
        self.score_rows(&Rows::of([features]), &mut Scratch::default(), &mut scores);
        scores[0]
    }

    /// The score of each member for one row, and what it adds to an ensemble's.
    pub(crate) fn member_scores(&self, features: &[f64]) -> Vec<(f64, f64)> {
        let mut buffers = Buffers::<1>::default();
        buffers.fit(self.features(), self.members.len());
        row(self, features, &mut buffers, &mut [0.0]);
        let tail = |(at, [score]): (usize, &[f64; 1])| {
            (*score, self.tails.get(at).map_or(1.0, |tail| tail.of(*score, &self.values)))
        };
        buffers.members.iter().enumerate().map(tail).collect()
    }

    #[inline(always)]
    fn score_lanes<const W: usize>(&self, rows: &[f64], buffers: &mut Buffers<W>, scores: &mut [f64]) {
        let width = self.features();
        let Buffers { features, scaled, cells, members } = buffers;
        for (lane, row) in rows.chunks_exact(width).take(W).enumerate() {
            features.iter_mut().zip(row).for_each(|(cells, cell)| cells[lane] = *cell);
        }
        // What is not finite makes this sum NaN, and all others have nothing added.
        let mut unfit = [0.0; W];
        for cells in &*features {
            for lane in 0..W {
                unfit[lane] += cells[lane] * 0.0;
            }
        }
        if let Some(bins) = &self.bins {
            bins.cells(features, cells);
        }
        let pairs = self.paired.as_ref().map(|table| look_up_pairs(table, cells));
        for (member, found) in self.members.iter().zip(members.iter_mut()) {
            *found = match (member, &pairs) {
                (Member::Ecod(_), Some(pairs)) => pairs.map(|[ecod, _]| ecod),
                (Member::Hbos(_), Some(pairs)) => pairs.map(|[_, hbos]| hbos),
                _ => self.score_member(member, features, &mut Work { scaled, cells }),
            };
        }
        for (lane, score) in scores.iter_mut().enumerate() {
            *score = self.joined(|member| members[member][lane]) + unfit[lane];
        }
    }

    /// The score of one member in every lane.
    #[inline(always)]
    fn score_member<const W: usize>(
        &self,
        member: &Member,
        features: &[[f64; W]],
        work: &mut Work<'_, W>,
    ) -> [f64; W] {
        match member {
            Member::Pca(pca) => pca.score(features, work.scaled),
            Member::Ecod(ecod) => look_up(&ecod.table, work.cells),
            Member::Hbos(hbos) => look_up(&hbos.table, work.cells),
            Member::Forest(forest) => forest.score(features),
            Member::MeanZ(mean_z) => mean_z.score(features),
            Member::BoxPlot(plot) => plot.score(features),
            Member::Nearest(nearest) => nearest.score(features, work.scaled),
        }
    }

    /// The score of a row whose members' are known.
    #[inline(always)]
    fn joined(&self, member: impl Fn(usize) -> f64) -> f64 {
        if self.tails.is_empty() {
            return member(0);
        }
        let (mut highest, mut sum) = (0.0, 0.0);
        for (at, tail) in self.tails.iter().enumerate() {
            let value = tail.of(member(at), &self.values);
            highest = if value > highest { value } else { highest };
            sum += value;
        }
        highest + sum / self.tails.len() as f64
    }
}

/// Scores up to [`TILE`] rows on the widest vectors of this processor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn tile(detector: &Detector, rows: &[f64], buffers: &mut Buffers<TILE>, scores: &mut [f64]) {
    detector.score_lanes(rows, buffers, scores);
}

/// Scores one row on the widest vectors of this processor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn row(detector: &Detector, row: &[f64], buffers: &mut Buffers<1>, scores: &mut [f64]) {
    detector.score_lanes(row, buffers, scores);
}
