//! Models of the published Python code (Kitsune-py), exported as JSON.

use super::{Autoencoder, Defect, KitNet, TrainConfig};
use serde::Deserialize;

/// The JSON of a trained Kitsune-py network. Fields that are not listed are ignored.
#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "FMgrace")]
    feature_mapping_packets: u64,
    #[serde(rename = "ADgrace")]
    training_packets: u64,
    #[serde(rename = "maxAE")]
    max_autoencoder_size: usize,
    learning_rate: f64,
    hidden_ratio: f64,
    seed: u32,
    n_features: usize,
    feature_map: Vec<Vec<usize>>,
    ensemble: Vec<ReferenceAutoencoder>,
    output: ReferenceAutoencoder,
}

#[derive(Deserialize)]
struct ReferenceAutoencoder {
    #[serde(rename = "W")]
    weights: Vec<Vec<f64>>,
    hbias: Vec<f64>,
    vbias: Vec<f64>,
    norm_min: Vec<f64>,
    norm_max: Vec<f64>,
}

impl ReferenceAutoencoder {
    fn into_autoencoder(self) -> Result<Autoencoder, Defect> {
        if let Some(row) = self.weights.iter().position(|row| row.len() != self.hbias.len()) {
            return Err(Defect::new(format!("W[{row}]"), format!("expected {} values", self.hbias.len())));
        }
        Ok(Autoencoder {
            weights: self.weights.concat(),
            hidden_bias: self.hbias,
            visible_bias: self.vbias,
            norm_min: self.norm_min,
            norm_max: self.norm_max,
        })
    }
}

impl KitNet {
    /// Reads a network of Kitsune-py from JSON: an object with `n_features`, `feature_map` (features of
    /// each autoencoder), `ensemble` and `output` (autoencoders with `W`, `hbias`, `vbias`, `norm_min`,
    /// `norm_max`), and the training options `FMgrace`, `ADgrace`, `maxAE`, `learning_rate`, `hidden_ratio`, `seed`.
    ///
    /// # Errors
    /// Names the part that is missing or wrong.
    pub fn from_reference_json(json: &str) -> Result<(Self, TrainConfig), Defect> {
        let reference: Reference =
            serde_json::from_str(json).map_err(|e| Defect::new("JSON", e.to_string()))?;
        let config = TrainConfig {
            features: reference.n_features,
            feature_mapping_packets: reference.feature_mapping_packets,
            training_packets: reference.training_packets,
            max_autoencoder_size: reference.max_autoencoder_size,
            learning_rate: reference.learning_rate,
            hidden_ratio: reference.hidden_ratio,
            seed: reference.seed,
        };
        let mut ensemble = Vec::with_capacity(reference.ensemble.len());
        for (i, autoencoder) in reference.ensemble.into_iter().enumerate() {
            ensemble.push(autoencoder.into_autoencoder().map_err(|d| d.within(&format!("ensemble[{i}]")))?);
        }
        let output = reference.output.into_autoencoder().map_err(|d| d.within("output"))?;
        Ok((Self::new(reference.n_features, reference.feature_map, ensemble, output)?, config))
    }
}
