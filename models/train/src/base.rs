//! Weights of a model that training begins with (fine-tuning).

use crate::export::{Placing, part};
use crate::network::{Network, Steps};
use crate::{Architecture, TrainError};
use candle_core::Tensor;
use legonf_models::ClassifierBundle;
use legonf_models::onnx::{Weights, weights};
use std::path::Path;

/// A model whose first network's weights training begins with.
pub(crate) struct Base<'a> {
    onnx: Vec<u8>,
    path: &'a Path,
}

impl<'a> Base<'a> {
    /// Reads the model.
    ///
    /// # Errors
    /// If it cannot be read, or is of another architecture.
    pub(crate) fn read(path: &'a Path, wanted: Architecture) -> Result<Self, TrainError> {
        let base = ClassifierBundle::load(path)?;
        let (found, wanted) = (base.card.architecture.as_str(), wanted.name());
        if found != wanted {
            let reason = format!(
                "of the architecture `{found}`, not `{wanted}`: give --architecture {found}, or another model"
            );
            return Err(TrainError::file(path, reason));
        }
        Ok(Self { onnx: base.onnx, path })
    }

    /// Gives a network the weights. The last layer stays as it is where the model has other classes.
    ///
    /// # Errors
    /// If the model reads other features.
    pub(crate) fn give(&self, network: &Network) -> Result<(), TrainError> {
        for weight in &network.weights.named {
            let placing = Placing::of(network, &weight.name);
            let Weights { dims, values } = self.weights(&weight.name)?;
            if dims != placing.dims {
                if weight.name.starts_with("classes.") {
                    continue;
                }
                let reason = format!("its `{}` has another shape: it reads other features", weight.name);
                return Err(TrainError::file(self.path, reason));
            }
            let tensor = Tensor::from_vec(placing.back(&values), weight.var.shape(), weight.var.device())?;
            weight.var.set(&tensor)?;
        }
        Ok(())
    }

    /// The steps that the model makes of `structured` numbers of a row.
    ///
    /// # Errors
    /// If it makes none, or of more numbers.
    pub(crate) fn steps(&self, structured: usize) -> Result<Steps, TrainError> {
        let part = |name: &str| Ok::<_, TrainError>(self.weights(&format!("steps.{name}"))?.values);
        let steps = Steps {
            columns: part("columns")?.into_iter().map(|column| column as u32).collect(),
            low: part("low")?,
            width: part("width")?,
        };
        if !steps.fit(structured) {
            return Err(TrainError::file(self.path, "it reads other features"));
        }
        Ok(steps)
    }

    /// Numbers of the first network.
    fn weights(&self, name: &str) -> Result<Weights, TrainError> {
        let found = weights(&self.onnx, &part(0, name));
        let found = found.map_err(|defect| TrainError::file(self.path, defect))?;
        let whole = found.filter(|weights| weights.values.len() == weights.dims.iter().product::<usize>());
        whole.ok_or_else(|| TrainError::file(self.path, format!("has no `{name}` to begin with")))
    }
}
