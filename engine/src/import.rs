//! Models of other makers, and models that are checked.

use crate::{Error, Session, foreign, reading};
use legonf_models::kitnet::KitNet;
use legonf_models::{Bundle, Check, Foreign, MAX_FILE_BYTES, Model, Provenance, take_in};
use std::path::{Path, PathBuf};

/// A model of anyone's ONNX file, or of the JSON export of a Kitsune-py model. The network is run before anything is written.
#[derive(Clone, Debug)]
pub struct Import {
    /// ONNX file, or a JSON export. Weights in a file beside it are taken in.
    pub file: PathBuf,
    /// Where the model goes.
    pub output: PathBuf,
    /// Schema of the features that it takes, in its order.
    pub schema: String,
    /// Name of the output that the scores come from, where there are several.
    pub scores: Option<String>,
}

impl Import {
    /// Makes the model and saves it.
    ///
    /// # Errors
    /// If the network cannot run, mixes rows, or exceeds a bound; the line names the file and what it is.
    pub fn run(&self, session: &Session) -> Result<Bundle, Error> {
        let schema = legonf_extract::schema_by_name(&self.schema)?;
        let model = read(session, &self.file, self.scores.as_deref())?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let provenance = Provenance {
            legonf: env!("CARGO_PKG_VERSION").into(),
            note: Some(format!("imported from {name}")),
            ..Provenance::default()
        };
        let bundle = Bundle { model, schema, calibration: None, provenance };
        bundle.save(&self.output)?;
        Ok(bundle)
    }
}

/// Checks every part of a model file against the others; a foreign network is run, too.
///
/// # Errors
/// If a part contradicts another, or the network cannot run.
pub fn verify(session: &Session, path: &Path) -> Result<Vec<Check>, Error> {
    let (bundle, mut checks) = Bundle::verify(path)?;
    if let Model::Foreign(network) = &bundle.model {
        foreign::check(session, network, path)?;
        let finding = "one score a row, the same whatever rows are beside it".into();
        checks.push(Check { part: "run", finding });
    }
    Ok(checks)
}

/// The network of a file that is to be imported.
fn read(session: &Session, file: &Path, scores: Option<&str>) -> Result<Model, Error> {
    let named = |reason: &dyn ToString| Error::file(file, reason.to_string());
    let bytes = reading::bytes(file, MAX_FILE_BYTES)?;
    if bytes.trim_ascii_start().starts_with(b"{") {
        let json = std::str::from_utf8(&bytes).map_err(|e| named(&e))?;
        let (network, training) = KitNet::from_reference_json(json).map_err(|e| named(&e))?;
        return Ok(Model::KitNet { network: network.into(), training });
    }
    let whole = take_in(&bytes, file.parent().unwrap_or(Path::new("."))).map_err(|e| named(&e))?;
    let mut network = Foreign::new(whole, scores).map_err(|e| named(&e))?;
    network.meaning = foreign::try_out(session, &network).map_err(|e| named(&e))?;
    Ok(Model::Foreign(network))
}
