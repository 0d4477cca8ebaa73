//! Distances to rows of training.

use super::Scale;
use super::kernel::fma;

/// Rows that stand for those of training.
pub const CORESET: usize = 500;
/// Rows that these are chosen from, at most.
const CANDIDATES: usize = 1 << 14;

/// Scores a row by the distance to the nearest row of a coreset, in standardised features, divided by the root of their number. The
/// coreset is chosen greedily: each is the row that is farthest from those before (k-centre).
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Mean and standard deviation of each feature.
    pub scale: Scale,
    /// The coreset: standardised rows.
    pub centres: Vec<Vec<f64>>,
}

impl Nearest {
    pub(crate) fn fit(rows: &[&[f64]]) -> Self {
        let scale = Scale::of(rows);
        let step = rows.len().div_ceil(CANDIDATES);
        let scaled: Vec<_> = rows.iter().step_by(step).map(|row| scale.apply(row)).collect();
        let mut distances = vec![f64::INFINITY; scaled.len()];
        let (mut centres, mut next) = (Vec::new(), 0);
        while centres.len() < CORESET && distances[next] > 0.0 {
            let centre = scaled[next].clone();
            let nearer =
                |(distance, row): (&mut f64, &Vec<f64>)| *distance = distance.min(squared(row, &centre));
            distances.iter_mut().zip(&scaled).for_each(nearer);
            centres.push(centre);
            let farther = |best: usize, at: usize| if distances[at] > distances[best] { at } else { best };
            next = (0..distances.len()).fold(0, farther);
        }
        Self { scale, centres }
    }

    #[inline(always)]
    pub(crate) fn score<const W: usize>(&self, x: &[[f64; W]], z: &mut [[f64; W]]) -> [f64; W] {
        for (feature, (z, cells)) in z.iter_mut().zip(x).enumerate() {
            *z = self.scale.lanes(feature, cells);
        }
        let mut nearest = [f64::INFINITY; W];
        for centre in &self.centres {
            let mut sums = [0.0; W];
            for (z, centre) in z.iter().zip(centre) {
                let deviation = z.map(|z| z - centre);
                sums = fma(&deviation, &deviation, &sums);
            }
            for lane in 0..W {
                nearest[lane] = if sums[lane] < nearest[lane] { sums[lane] } else { nearest[lane] };
            }
        }
        nearest.map(|sum| (sum / x.len() as f64).sqrt())
    }

    fn nearest(&self, z: &[f64]) -> &[f64] {
        let by_distance = |a: &&Vec<f64>, b: &&Vec<f64>| squared(z, a).total_cmp(&squared(z, b));
        self.centres.iter().min_by(by_distance).map_or(&[], Vec::as_slice)
    }

    /// The nearest row of the coreset.
    pub(crate) fn expected(&self, row: &[f64]) -> Vec<f64> {
        let of = self.scale.mean.iter().zip(&self.scale.inverse);
        let nearest = self.nearest(&self.scale.apply(row)).iter().zip(of);
        nearest.map(|(z, (mean, inverse))| z / inverse + mean).collect()
    }

    pub(crate) fn shares(&self, row: &[f64]) -> Vec<f64> {
        let z = self.scale.apply(row);
        self.nearest(&z).iter().zip(&z).map(|(centre, z)| (z - centre) * (z - centre)).collect()
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
