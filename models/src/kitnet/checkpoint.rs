//! A training that can be stopped and resumed without a bit of difference.

use super::correlation::Correlation;
use super::trainer::{Learnt, Networks};
use super::{Autoencoder, Defect, TrainConfig, Trainer, bits, check_map};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "legonf-kitnet-checkpoint";
const VERSION: u32 = 1;

/// The whole state of a [`Trainer`], for any serde format. Numbers that are learnt are kept as their bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    format: String,
    version: u32,
    config: TrainConfig,
    used: u64,
    skipped: u64,
    learnt: SavedLearnt,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedLearnt {
    Correlation(Correlation),
    Networks { map: Vec<Vec<usize>>, ensemble: Vec<SavedAutoencoder>, output: SavedAutoencoder },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAutoencoder {
    #[serde(with = "bits")]
    weights: Vec<f64>,
    #[serde(with = "bits")]
    hidden_bias: Vec<f64>,
    #[serde(with = "bits")]
    visible_bias: Vec<f64>,
    #[serde(with = "bits")]
    norm_min: Vec<f64>,
    #[serde(with = "bits")]
    norm_max: Vec<f64>,
}

impl From<Autoencoder> for SavedAutoencoder {
    fn from(a: Autoencoder) -> Self {
        let Autoencoder { weights, hidden_bias, visible_bias, norm_min, norm_max } = a;
        Self { weights, hidden_bias, visible_bias, norm_min, norm_max }
    }
}

impl From<SavedAutoencoder> for Autoencoder {
    fn from(a: SavedAutoencoder) -> Self {
        let SavedAutoencoder { weights, hidden_bias, visible_bias, norm_min, norm_max } = a;
        Self { weights, hidden_bias, visible_bias, norm_min, norm_max }
    }
}

impl Checkpoint {
    /// The options of the training.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Rows that the training was given: used and skipped.
    pub fn rows(&self) -> u64 {
        self.used + self.skipped
    }

    fn check(&self) -> Result<(), Defect> {
        if self.format != FORMAT {
            return Err(Defect::new("format", format!("expected {FORMAT}, found {}", self.format)));
        }
        if self.version != VERSION {
            return Err(Defect::new("version", format!("expected {VERSION}, found {}", self.version)));
        }
        self.config.validate().map_err(|e| Defect::new(format!("config.{}", e.option), e.expected))?;
        let mapped = matches!(self.learnt, SavedLearnt::Networks { .. });
        if self.used.checked_add(self.skipped).is_none() {
            return Err(Defect::new("skipped", format!("{} rows are more than there can be", self.skipped)));
        }
        let fits = self.used <= self.config.packets_needed()
            && mapped == (self.used > self.config.feature_mapping_packets);
        if fits { Ok(()) } else { Err(Defect::new("used", "does not fit what was learnt")) }
    }
}

impl Trainer {
    /// The state to resume from.
    pub fn to_checkpoint(&self) -> Checkpoint {
        let learnt = match &self.learnt {
            Learnt::Correlation(correlation) => SavedLearnt::Correlation(correlation.clone()),
            Learnt::Networks(networks) => SavedLearnt::Networks {
                map: networks.map.clone(),
                ensemble: networks.ensemble.autoencoders().into_iter().map(Into::into).collect(),
                output: networks.output.autoencoders().swap_remove(0).into(),
            },
        };
        let (config, used, skipped) = (self.config.clone(), self.used, self.skipped);
        Checkpoint { format: FORMAT.into(), version: VERSION, config, used, skipped, learnt }
    }

    /// Continues where the checkpoint was taken, with the same bits as if never stopped.
    ///
    /// # Errors
    /// When the checkpoint is of another format or version, or contradicts itself.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self, Defect> {
        checkpoint.check()?;
        let Checkpoint { config, used, skipped, learnt, .. } = checkpoint;
        let learnt = match learnt {
            SavedLearnt::Correlation(correlation) => resume_correlation(correlation, &config, used)?,
            SavedLearnt::Networks { map, ensemble, output } => {
                resume_networks(map, ensemble, output, &config)?
            }
        };
        Ok(Self { config, used, skipped, learnt })
    }
}

fn resume_correlation(correlation: Correlation, config: &TrainConfig, used: u64) -> Result<Learnt, Defect> {
    if correlation.fits(config.features, used) {
        Ok(Learnt::Correlation(correlation))
    } else {
        Err(Defect::new("learnt.correlation", "has another shape than `config` and `used` say"))
    }
}

fn resume_networks(
    map: Vec<Vec<usize>>,
    ensemble: Vec<SavedAutoencoder>,
    output: SavedAutoencoder,
    config: &TrainConfig,
) -> Result<Learnt, Defect> {
    let ensemble: Vec<Autoencoder> = ensemble.into_iter().map(Into::into).collect();
    let output: Autoencoder = output.into();
    check_map(&map, config.features, &ensemble, &output).map_err(|d| d.within("learnt"))?;
    for (index, autoencoder) in ensemble.iter().enumerate() {
        autoencoder.check_trained().map_err(|d| d.within(&format!("learnt.ensemble[{index}]")))?;
    }
    output.check_trained().map_err(|d| d.within("learnt.output"))?;
    Ok(Learnt::Networks(Box::new(Networks::new(map, &ensemble, output, config.learning_rate))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        let (features, feature_mapping_packets, training_packets) = (5, 20, 40);
        TrainConfig { features, feature_mapping_packets, training_packets, ..TrainConfig::default() }
    }

    fn row(i: u64) -> Vec<f64> {
        (0..5).map(|c| ((i * 7 + c * c * 3) % 13) as f64 / 3.0).collect()
    }

    fn resumed(trainer: &Trainer) -> Trainer {
        let text = serde_json::to_string(&trainer.to_checkpoint()).unwrap();
        Trainer::from_checkpoint(serde_json::from_str(&text).unwrap()).unwrap()
    }

    #[test]
    fn resuming_changes_no_bit() {
        let mut straight = Trainer::new(config()).unwrap();
        let mut broken = straight.clone();
        for i in 0..61 {
            let rmse = straight.train(&row(i));
            broken = resumed(&broken);
            assert_eq!(broken.train(&row(i)).to_bits(), rmse.to_bits());
        }
        assert_eq!(resumed(&broken).finish().unwrap(), straight.finish().unwrap());
    }

    #[test]
    fn contradictions_are_refused() {
        let mut trainer = Trainer::new(config()).unwrap();
        (0..30).for_each(|i| {
            trainer.train(&row(i));
        });
        let good = serde_json::to_value(trainer.to_checkpoint()).unwrap();
        let nan = serde_json::json!(f64::NAN.to_bits());
        let cases = [
            ("/format", serde_json::json!("x"), "format"),
            ("/version", serde_json::json!(2), "version"),
            ("/config/features", serde_json::json!(0), "config.features"),
            ("/used", serde_json::json!(3), "used"),
            ("/learnt/networks/map/0/0", serde_json::json!(77), "learnt.feature_map[0]"),
            ("/learnt/networks/output/weights", serde_json::json!([]), "learnt.output.weights"),
            ("/learnt/networks/output/hidden_bias/0", nan, "learnt.output.hidden_bias[0]"),
            ("/skipped", serde_json::json!(u64::MAX), "skipped"),
        ];
        for (pointer, value, key) in cases {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            let checkpoint = serde_json::from_value(bad).unwrap();
            assert_eq!(Trainer::from_checkpoint(checkpoint).unwrap_err().key, key);
        }
    }
}
