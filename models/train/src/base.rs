//! Weights of a model that training begins with (fine-tuning).

use crate::TrainError;
use crate::export::{Placing, part};
use crate::network::{Body, Network, Scaling};
use candle_core::Tensor;
use legonf_models::ClassifierBundle;
use legonf_models::onnx::{Weights, weights};
use std::path::Path;

/// Gives a network the weights of a model's first network. The last layer stays as it is where the model has other classes.
///
/// # Errors
/// If the model cannot be read, is of another architecture, or reads other features.
pub(crate) fn begin_with(network: &mut Network, path: &Path) -> Result<(), TrainError> {
    let base = ClassifierBundle::load(path)?;
    let (found, wanted) = (base.card.architecture.as_str(), network.architecture.name());
    if found != wanted {
        let reason = format!(
            "of the architecture `{found}`, not `{wanted}`: give --architecture {found}, or another model"
        );
        return Err(TrainError::file(path, reason));
    }
    let weights = Base { onnx: &base.onnx, path };
    for weight in &network.weights.named {
        let placing = Placing::of(network, &weight.name);
        let cells = weights.cells(&weight.name, &placing.dims)?;
        let Some(cells) = cells else {
            if weight.name.starts_with("classes.") {
                continue;
            }
            let reason = format!("its `{}` has another shape: it reads other features", weight.name);
            return Err(TrainError::file(path, reason));
        };
        let tensor = Tensor::from_vec(placing.back(&cells), weight.var.shape(), weight.var.device())?;
        weight.var.set(&tensor)?;
    }
    if let Body::Line(line) = &mut network.body {
        line.scaling = weights.scaling(&line.scaling)?;
    }
    Ok(())
}

struct Base<'a> {
    onnx: &'a [u8],
    path: &'a Path,
}

impl Base<'_> {
    /// The numbers of a weight; none where it has other dimensions.
    fn cells(&self, name: &str, dims: &[usize]) -> Result<Option<Vec<f32>>, TrainError> {
        let found = weights(self.onnx, &part(0, name));
        let found = found.map_err(|defect| TrainError::file(self.path, defect))?;
        let Weights { dims: has, values } =
            found.ok_or_else(|| TrainError::file(self.path, format!("has no `{name}` to begin with")))?;
        Ok((has == dims && values.len() == dims.iter().product::<usize>()).then_some(values))
    }

    fn scaling(&self, like: &Scaling) -> Result<Scaling, TrainError> {
        let part = |name: &str| {
            let cells = self.cells(&format!("scaling.{name}"), &[like.plus.len()])?;
            cells.ok_or_else(|| TrainError::file(self.path, "reads other features"))
        };
        Ok(Scaling {
            squash: part("squash")?,
            plus: part("plus")?,
            mean: part("mean")?,
            deviation: part("deviation")?,
        })
    }
}
