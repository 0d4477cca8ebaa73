//! Models of other makers, and models that are checked.

use crate::{Error, Session, foreign, own_schema, reading};
use legonf_core::Schema;
use legonf_models::kitnet::KitNet;
use legonf_models::{
    Bundle, Check, Foreign, MAX_FILE_BYTES, Meaning, Model, OnnxFile, Provenance, Wanted, take_in,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A model of anyone's ONNX file, or of the JSON export of a Kitsune-py model. The network is run before anything is written.
#[derive(Clone, Debug)]
pub struct Import {
    /// ONNX file, or a JSON export. Weights in a file beside it are taken in.
    pub file: PathBuf,
    /// Where the model goes.
    pub output: PathBuf,
    /// Schema of the features that it takes, in its order: the name of one that legonf extracts, a file with features of one's own
    /// ([`own_schema`](crate::own_schema)), or `image`.
    pub schema: String,
    /// Name of the output that the scores or classes come from, where there are several.
    pub scores: Option<String>,
    /// Names of the classes, in the order of the output's values; where there are none they are those that the file states.
    pub classes: Vec<String>,
    /// Whether its score is the higher the more normal a row is.
    pub normality: bool,
}

impl Import {
    /// Makes the model and saves it.
    ///
    /// # Errors
    /// If the network cannot run, mixes rows, or exceeds a bound; the line names the file and what it is.
    pub fn run(&self, session: &Session) -> Result<Bundle, Error> {
        let schema = own_schema::find(&self.schema)?;
        let model = self.read(session, &schema)?;
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

    /// The network of the file.
    fn read(&self, session: &Session, schema: &Schema) -> Result<Model, Error> {
        let named = |reason: &dyn ToString| Error::file(&self.file, reason.to_string());
        let bytes = reading::bytes(&self.file, MAX_FILE_BYTES)?;
        if bytes.trim_ascii_start().starts_with(b"{") {
            let json = std::str::from_utf8(&bytes).map_err(|e| named(&e))?;
            let (network, training) = KitNet::from_reference_json(json).map_err(|e| named(&e))?;
            return Ok(Model::KitNet { network: network.into(), training });
        }
        check_classes(&self.classes)?;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let whole = take_in(&bytes, folder).map_err(|e| named(&e))?;
        let wanted = Wanted {
            output: self.scores.clone(),
            classes: self.classes.clone(),
            image: schema.is_empty(),
            normality: self.normality,
        };
        let mut network = Foreign::import(whole, &wanted).map_err(|e| named(&e))?;
        if network.features != schema.len() {
            let (features, columns, name) = (network.features, schema.len(), &schema.name);
            return Err(named(&format!("{name} has {columns} features, the model takes {features}")));
        }
        network.meaning = foreign::try_out(session, &network).map_err(|e| named(&e))?;
        Ok(Model::Foreign(network))
    }
}

/// Refuses names of classes of which one is empty or there twice.
fn check_classes(classes: &[String]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let wrong = classes.iter().find(|class| class.is_empty() || !seen.insert(*class));
    wrong.map_or(Ok(()), |class| {
        Err(Error::refused(format!(
            "--classes: '{class}' is empty or there twice; expected names such as web,mail,game"
        )))
    })
}

/// Checks every part of a model file against the others; a foreign network is run, too.
///
/// # Errors
/// If a part contradicts another, or the network cannot run.
pub fn verify(session: &Session, path: &Path) -> Result<Vec<Check>, Error> {
    let (found, mut checks) = OnnxFile::verify(path)?;
    let what = match &found {
        OnnxFile::Classifier(classifier) => {
            foreign::check_network(session, &classifier.onnx, path)?;
            "a probability for each class"
        }
        OnnxFile::Bundle(bundle) => match &bundle.model {
            Model::Foreign(network) => {
                foreign::check(session, network, path)?;
                if network.meaning == Meaning::Classes { "a value for each class" } else { "one score a row" }
            }
            _ => return Ok(checks),
        },
        OnnxFile::Network(_) => return Ok(checks),
    };
    checks.push(Check { part: "run", finding: format!("{what}, the same whatever rows are beside it") });
    Ok(checks)
}
