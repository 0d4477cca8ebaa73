//! A training that was broken off, in a safetensors file.

use crate::Epoch;
use crate::TrainError;
use crate::fit::{Fit, Parts};
use crate::network::Network;
use crate::options::Options;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// The entry of the file's metadata that holds what is no tensor.
const HEAD: &str = "legonf.checkpoint";
/// Bytes of a checkpoint at most.
const MOST_BYTES: u64 = 1 << 30;

/// What a checkpoint holds beside tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    options: Options,
    samples: String,
    finished: usize,
    epochs: usize,
    stale: usize,
    steps: u64,
    best: f64,
    curve: Vec<Epoch>,
}

/// A checkpoint that was read.
pub(crate) struct Checkpoint {
    head: Head,
    bytes: Vec<u8>,
}

/// What tells samples apart from others.
fn fingerprint(parts: Parts<'_>) -> String {
    let mut digest = Sha256::new();
    for samples in [parts.training, parts.validation] {
        digest.update(samples.classes.join("\n"));
        for row in 0..samples.len() {
            digest.update((samples.labels()[row] as u64).to_le_bytes());
            digest.update(samples.bytes(row));
            samples.sequence(row).iter().for_each(|cell| digest.update(cell.to_le_bytes()));
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tensors by name, as bytes.
type Named = Vec<(String, Vec<usize>, Vec<u8>)>;

fn put<'a>(
    named: &mut Named,
    prefix: &str,
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
) -> candle_core::Result<()> {
    for (name, tensor) in tensors {
        let cells = tensor.flatten_all()?.to_vec1::<f32>()?;
        let bytes = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        named.push((format!("{prefix}.{name}"), tensor.dims().to_vec(), bytes));
    }
    Ok(())
}

fn weights(network: &Network) -> impl Iterator<Item = (&str, &Tensor)> {
    network.weights.named.iter().map(|weight| (&*weight.name, weight.var.as_tensor()))
}

impl Checkpoint {
    /// Writes what training has come to: whole, or not at all.
    pub(crate) fn save(
        path: &Path,
        parts: Parts<'_>,
        finished: &[Network],
        fit: &Fit,
        curve: &[Epoch],
    ) -> Result<(), TrainError> {
        let mut named = Vec::new();
        for (member, network) in finished.iter().enumerate() {
            put(&mut named, &format!("finished{member}"), weights(network))?;
        }
        let names = || fit.network.weights.named.iter().map(|weight| &*weight.name);
        put(&mut named, "now", weights(&fit.network))?;
        put(&mut named, "first", names().zip(&fit.moments.first))?;
        put(&mut named, "second", names().zip(&fit.moments.second))?;
        let best = fit.best.as_ref();
        put(&mut named, "best", names().zip(best.iter().flat_map(|(_, best)| best)))?;
        let head = Head {
            options: parts.options.clone(),
            samples: fingerprint(parts),
            finished: finished.len(),
            epochs: fit.epochs,
            stale: fit.stale,
            steps: fit.moments.steps,
            best: best.map_or(f64::MAX, |(loss, _)| *loss),
            curve: curve.to_vec(),
        };
        let bytes = encode(&named, &head).map_err(|reason| TrainError::file(path, reason))?;
        Ok(legonf_models::write_atomic(path, &bytes)?)
    }

    /// Reads the checkpoint of this very training.
    ///
    /// # Errors
    /// If the file is no checkpoint, or one of another architecture, of other options or of other samples.
    pub(crate) fn load(path: &Path, parts: Parts<'_>) -> Result<Self, TrainError> {
        let bytes = legonf_models::read_bounded(path, MOST_BYTES)?;
        let not = |reason: &dyn ToString| {
            TrainError::file(path, format!("not a checkpoint of a classifier: {}", reason.to_string()))
        };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| not(&error))?;
        let head = metadata.metadata().as_ref().and_then(|entries| entries.get(HEAD));
        let head: Head =
            serde_json::from_str(head.ok_or_else(|| not(&"it has no head"))?).map_err(|error| not(&error))?;
        let (found, wanted) = (head.options.architecture.name(), parts.options.architecture.name());
        if found != wanted {
            let reason = format!(
                "of the architecture `{found}`, not `{wanted}`: give its options, or begin anew with --force"
            );
            return Err(TrainError::file(path, reason));
        }
        let same = head.options == *parts.options && head.samples == fingerprint(parts);
        if !same || head.finished >= head.options.members.max(1) {
            let reason =
                "of another training: resume with its samples and options, or begin anew with --force";
            return Err(TrainError::file(path, reason));
        }
        Ok(Self { head, bytes })
    }

    pub(crate) fn finished(&self) -> usize {
        self.head.finished
    }

    pub(crate) fn into_curve(self) -> Vec<Epoch> {
        self.head.curve
    }

    /// A network that has been trained to its end.
    pub(crate) fn network(&self, fit: Fit, path: &Path) -> Result<Network, TrainError> {
        let tensors = self.tensors(&format!("finished{}", fit.member), &fit.network, path)?;
        set(&fit.network, &tensors)?;
        Ok(fit.network)
    }

    /// The network in training, as it was; none where it had come to its end.
    pub(crate) fn fit(&self, mut fit: Fit, path: &Path) -> Result<Option<Fit>, TrainError> {
        let tensors = self.tensors("now", &fit.network, path)?;
        set(&fit.network, &tensors)?;
        fit.moments.first = self.tensors("first", &fit.network, path)?;
        if !fit.moments.second.is_empty() {
            fit.moments.second = self.tensors("second", &fit.network, path)?;
        }
        fit.best = Some((self.head.best, self.tensors("best", &fit.network, path)?));
        (fit.moments.steps, fit.epochs, fit.stale) = (self.head.steps, self.head.epochs, self.head.stale);
        Ok(Some(fit))
    }

    fn tensors(&self, prefix: &str, network: &Network, path: &Path) -> Result<Vec<Tensor>, TrainError> {
        let all = SafeTensors::deserialize(&self.bytes).map_err(|error| TrainError::file(path, error))?;
        weights(network)
            .map(|(name, weight)| tensor(&all, &format!("{prefix}.{name}"), weight, path))
            .collect()
    }
}

/// A tensor of a file, where it has the shape of `like`.
fn tensor(all: &SafeTensors<'_>, name: &str, like: &Tensor, path: &Path) -> Result<Tensor, TrainError> {
    let view = all.tensor(name).map_err(|error| TrainError::file(path, format!("{name}: {error}")))?;
    if view.dtype() != Dtype::F32 || view.shape() != like.dims() {
        return Err(TrainError::file(
            path,
            format!("{name}: expected f32 {:?}, found {:?}", like.dims(), view.shape()),
        ));
    }
    let cells =
        view.data().chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
    Ok(Tensor::from_vec(cells.collect::<Vec<f32>>(), like.shape(), &Device::Cpu)?.to_device(like.device())?)
}

fn set(network: &Network, tensors: &[Tensor]) -> Result<(), TrainError> {
    let pairs = network.weights.named.iter().zip(tensors);
    Ok(pairs.into_iter().try_for_each(|(weight, tensor)| weight.var.set(tensor))?)
}

fn encode(named: &Named, head: &Head) -> Result<Vec<u8>, String> {
    let views = named.iter().map(|(name, shape, bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let head = serde_json::to_string(head).map_err(|error| error.to_string())?;
    let metadata = HashMap::from([(HEAD.to_owned(), head)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
}
