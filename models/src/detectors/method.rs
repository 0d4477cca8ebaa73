//! The names of the detectors.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a detector tells how unlike benign rows a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Reconstruction error by the principal components that hold 95% of the variance.
    Pca,
    /// The same of the logarithms of the features, by the components that hold 90%.
    LogPca,
    /// Empirical cumulative distribution, feature by feature (Li et al., "ECOD", TKDE 2022).
    Ecod,
    /// Histogram density, feature by feature (Goldstein and Dengel, "HBOS", 2012).
    Hbos,
    /// Isolation forest of 200 trees (Liu et al., ICDM 2008).
    IsolationForest,
    /// Mean distance from the mean, in standard deviations.
    MeanZ,
    /// Mean distance beyond the whiskers of each feature's box plot (Arp et al., USENIX Security 2022).
    BoxPlot,
    /// Distance to the nearest of 500 rows that cover those of training.
    NearestNeighbour,
    /// PCA of logarithms, ECOD and HBOS with bars on a logarithmic scale, over the features that had time to settle, joined by the
    /// tails of their scores.
    Ensemble,
}

/// What is the name of no detector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no detector (there are: {known})", known = Method::ALL.map(Method::label).join(", "))]
pub struct UnknownMethod(String);

impl Method {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ensemble,
        Self::Pca,
        Self::LogPca,
        Self::Ecod,
        Self::Hbos,
        Self::IsolationForest,
        Self::MeanZ,
        Self::BoxPlot,
        Self::NearestNeighbour,
    ];

    /// Its name in files and on command lines.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pca => "pca",
            Self::LogPca => "log-pca",
            Self::Ecod => "ecod",
            Self::Hbos => "hbos",
            Self::IsolationForest => "isolation-forest",
            Self::MeanZ => "mean-z",
            Self::BoxPlot => "box-plot",
            Self::NearestNeighbour => "nearest-neighbour",
            Self::Ensemble => "ensemble",
        }
    }

    /// The methods of its members: of an ensemble those that it joins, else itself.
    pub fn members(self) -> Vec<Self> {
        match self {
            Self::Ensemble => vec![Self::LogPca, Self::Ecod, Self::Hbos],
            alone => vec![alone],
        }
    }
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let found = Self::ALL.into_iter().find(|method| method.label() == text);
        found.ok_or_else(|| UnknownMethod(text.into()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
