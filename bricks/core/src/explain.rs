//! Why a packet was found anomalous.

use serde::Serialize;

/// One feature's part in an anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureShare {
    /// Name in the schema.
    pub feature: String,
    /// What it measures, in words.
    pub words: String,
    /// State group it is computed from.
    pub group: String,
    /// Decay rate in 1/s, for damped statistics.
    pub decay: Option<f64>,
    /// What the network reconstructed, in the feature's own unit.
    pub expected: f64,
    /// What was observed.
    pub observed: f64,
}

/// One autoencoder's part in an anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupShare {
    /// Index of the autoencoder in the ensemble.
    pub autoencoder: usize,
    /// Its reconstruction error (RMSE).
    pub rmse: f64,
    /// Its part of the output's squared input deviation, between 0 and 1.
    pub share: f64,
    /// Its features, the largest deviation first.
    pub features: Vec<FeatureShare>,
}

/// Why one packet was found anomalous: the autoencoders with the largest share first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// The autoencoders, the largest share first.
    pub groups: Vec<GroupShare>,
}

/// Something that can say why a feature vector was scored as it was.
pub trait Explain: Send {
    /// Explains one packet from its feature vector (in the order of the schema), with at most `top`
    /// autoencoders and `top` features of each.
    fn explain(&self, features: &[f64], top: usize) -> Explanation;
}
