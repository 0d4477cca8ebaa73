//! A detector that was trained.

use super::tail::{self, Tail};
use super::{Bins, BoxPlot, CELLS, Ecod, Forest, Hbos, KNOTS, MeanZ, Method, Nearest, Pca};
use crate::kitnet::{Defect, MAX_FEATURES};

/// One detector, alone or of an ensemble.
#[derive(Clone, Debug, PartialEq)]
pub enum Member {
    /// Principal components.
    Pca(Pca),
    /// Empirical cumulative distributions, over the detector's bins.
    Ecod(Ecod),
    /// Histograms, over the detector's bins.
    Hbos(Hbos),
    /// An isolation forest.
    Forest(Forest),
    /// Distances from the mean.
    MeanZ(MeanZ),
    /// Box plots.
    BoxPlot(BoxPlot),
    /// Distances to a coreset.
    Nearest(Nearest),
}

/// A trained detector: one member, whose score is the detector's, or several. The score of several is the highest of their
/// [tails](Tail) and the mean of all. Immutable, shared by all workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    method: Method,
    typical: Vec<f64>,
    pub(super) bins: Option<Bins>,
    pub(super) members: Vec<Member>,
    /// What each cell of each feature adds to ECOD and to HBOS, where HBOS stands behind ECOD.
    pub(super) paired: Option<Vec<[[f64; 2]; CELLS]>>,
    pub(super) tails: Vec<Tail>,
    pub(super) values: [f64; KNOTS],
}

impl Member {
    /// Its method.
    pub fn method(&self) -> Method {
        match self {
            Self::Pca(pca) if pca.logarithmic => Method::LogPca,
            Self::Pca(_) => Method::Pca,
            Self::Ecod(_) => Method::Ecod,
            Self::Hbos(_) => Method::Hbos,
            Self::Forest(_) => Method::IsolationForest,
            Self::MeanZ(_) => Method::MeanZ,
            Self::BoxPlot(_) => Method::BoxPlot,
            Self::Nearest(_) => Method::NearestNeighbour,
        }
    }

    /// Number of trained numbers.
    fn parameters(&self) -> usize {
        match self {
            Self::Pca(pca) => pca.scale.mean.len() * (2 + pca.components.len()),
            Self::Ecod(Ecod { table }) | Self::Hbos(Hbos { table }) => table.as_flattened().len(),
            Self::Forest(forest) => 2 * forest.feature.len(),
            Self::MeanZ(mean_z) => 2 * mean_z.scale.mean.len(),
            Self::BoxPlot(plot) => 3 * plot.low.len(),
            Self::Nearest(nearest) => nearest.scale.mean.len() * (2 + nearest.centres.len()),
        }
    }

    /// What is wrong with a member for so many features, if anything is.
    fn check(&self, features: usize) -> Result<(), Defect> {
        let key = self.method().label();
        let check = |ok: bool, reason: &str| if ok { Ok(()) } else { Err(Defect::new(key, reason)) };
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        match self {
            Self::Pca(Pca { scale, components, .. })
            | Self::Nearest(Nearest { scale, centres: components }) => {
                check(
                    scale.is_finite() && components.iter().all(|row| finite(row)),
                    "has a number that is not finite",
                )?;
                check(components.iter().all(|row| row.len() == features), "has rows of another width")?;
                check(scale.mean.len() == features && components.len() <= MAX_FEATURES, "has another width")
            }
            Self::Ecod(Ecod { table }) | Self::Hbos(Hbos { table }) => {
                check(table.len() == features, "has another number of features")?;
                check(finite(table.as_flattened()), "has a number that is not finite")
            }
            Self::Forest(forest) => forest.check(features).map_or(Ok(()), |reason| check(false, reason)),
            Self::MeanZ(MeanZ { scale }) => {
                check(scale.mean.len() == features, "has another number of features")?;
                check(scale.is_finite(), "has a number that is not finite")
            }
            Self::BoxPlot(BoxPlot { low, high, inverse }) => {
                check(low.len() == features, "has another number of features")?;
                check([low, high, inverse].iter().all(|part| finite(part)), "has a number that is not finite")
            }
        }
    }

    fn needs_bins(&self) -> bool {
        matches!(self, Self::Ecod(_) | Self::Hbos(_))
    }
}

/// The tables of ECOD and of HBOS behind it as one.
fn pair(members: &[Member; 2]) -> Option<Vec<[[f64; 2]; CELLS]>> {
    let [Member::Ecod(ecod), Member::Hbos(hbos)] = members else { return None };
    let cells =
        |(ecod, hbos): (&[f64; CELLS], &[f64; CELLS])| std::array::from_fn(|cell| [ecod[cell], hbos[cell]]);
    Some(ecod.table.iter().zip(&hbos.table).map(cells).collect())
}

impl Detector {
    /// Puts a detector together: `typical` holds the median of each feature in training; an ensemble has a tail for each member.
    ///
    /// # Errors
    /// Names the part whose shape or numbers are wrong.
    pub fn new(
        method: Method,
        typical: Vec<f64>,
        bins: Option<Bins>,
        members: Vec<Member>,
        tails: Vec<Tail>,
    ) -> Result<Self, Defect> {
        let features = typical.len();
        let check =
            |ok: bool, key: &str, reason: &str| if ok { Ok(()) } else { Err(Defect::new(key, reason)) };
        check((1..=MAX_FEATURES).contains(&features), "features", "there are none, or too many")?;
        check(typical.iter().all(|value| value.is_finite()), "typical", "has a number that is not finite")?;
        let methods: Vec<_> = members.iter().map(Member::method).collect();
        check(methods == method.members(), "members", "are not those of the method")?;
        members.iter().try_for_each(|member| member.check(features))?;
        let needed = members.iter().any(Member::needs_bins);
        check(bins.is_some() == needed, "bins", "are missing, or not needed")?;
        let in_order = |bins: &Bins| bins.edges.len() == features && bins.is_in_order();
        check(bins.as_ref().is_none_or(in_order), "bins.edges", "do not rise, or are of other features")?;
        let expected = if members.len() > 1 { members.len() } else { 0 };
        check(tails.len() == expected, "tails", "are not one for each member")?;
        let rising = |tail: &Tail| tail.scores().is_sorted() && tail.scores().iter().all(|s| s.is_finite());
        check(tails.iter().all(rising), "tails", "have scores that are not finite or fall")?;
        let paired = members.array_windows().find_map(pair);
        Ok(Self { method, typical, bins, members, paired, tails, values: tail::values() })
    }

    /// What it is.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Number of features of a row.
    pub fn features(&self) -> usize {
        self.typical.len()
    }

    /// Median of each feature in training.
    pub fn typical(&self) -> &[f64] {
        &self.typical
    }

    /// The cells of each feature, where a member needs them.
    pub fn bins(&self) -> Option<&Bins> {
        self.bins.as_ref()
    }

    /// Its members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The tail of each member's scores, of an ensemble.
    pub fn tails(&self) -> &[Tail] {
        &self.tails
    }

    /// Number of trained numbers.
    pub fn parameters(&self) -> usize {
        let bins = self.bins.as_ref().map_or(0, |bins| bins.edges.as_flattened().len());
        bins + self.members.iter().map(Member::parameters).sum::<usize>() + self.tails.len() * KNOTS
    }
}
