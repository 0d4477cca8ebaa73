//! A classifier in one ONNX file, with what has to be known to use it.

use super::metadata::{self, Properties};
use super::proto::{Model as Proto, Property};
use super::{Check, Provenance, foreign, seal, wire};
use crate::ModelError;
use crate::error::shown;
use crate::file::{MAX_FILE_BYTES, read_bounded, write_atomic};
use crate::kitnet::Defect;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The kind of such files.
pub(crate) const KIND: &str = "classifier";
/// The version of the properties' format that is written and read.
const FORMAT_VERSION: &str = "1";
/// Names of a classifier's inputs and output.
pub const CLASSIFIER_PORTS: [&str; 4] = ["bytes", "statistics", "sequence", "probabilities"];

/// What a classifier was learnt from and how good it was on what it had not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// The network's architecture.
    pub architecture: String,
    /// Networks whose probabilities are averaged, and trees of the forest beside them.
    pub networks: usize,
    /// Trees of the forest.
    pub trees: usize,
    /// Seed of the training and of the split.
    pub seed: u64,
    /// What was never divided between the parts: `capture`, or `flow` where that was forced.
    pub split: String,
    /// What has to be said of that split, where it was forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Samples of the parts: training, validation, test.
    pub samples: [usize; 3],
    /// Precision and recall on the test part, averaged over the classes; none without a test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    /// See there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    /// How flows were gathered from captures, as a flow table is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flows: Option<String>,
}

/// A network that tells classes apart, with its card.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierBundle {
    /// The ONNX network, without what legonf says of it. Its inputs are some of `bytes` u8, `statistics` and `sequence` f32; its output
    /// is `probabilities` f32, one for each class.
    pub onnx: Vec<u8>,
    /// Names of the classes, in the order of the output.
    pub classes: Vec<String>,
    /// A row whose most probable class has a lower probability is of no known class. 0 to 1.
    pub unknown_below: f64,
    /// What it was learnt from.
    pub card: ModelCard,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl ClassifierBundle {
    /// Reads a classifier from a file.
    ///
    /// # Errors
    /// If the file cannot be read, is none, is cut short or was changed.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::from_bytes(&read_bounded(path, MAX_FILE_BYTES)?, &shown(path))
    }

    /// Reads a classifier from the content of a file; `file` names it in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, ModelError> {
        wire::check(bytes).and_then(|()| parse(bytes)).map_err(|defect| ModelError::invalid(file, defect))
    }

    /// What a file of so many bytes was found to be.
    pub(super) fn findings(&self, bytes: usize) -> Vec<Check> {
        let check = |part, finding| Check { part, finding };
        vec![
            check("file", format!("{bytes} bytes, complete, no unknown parts")),
            check("checksum", "agrees".into()),
            check("classes", format!("{}, unknown below {}", self.classes.len(), self.unknown_below)),
            check("card", format!("{}, divided by {}", self.card.architecture, self.card.split)),
        ]
    }

    /// The content of the file.
    ///
    /// # Errors
    /// Names the part that is not valid.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Defect> {
        self.validate()?;
        let mut p = Properties(Vec::new());
        p.text("kind", KIND);
        p.json("classes", &self.classes)?;
        p.json("unknown_below", &self.unknown_below)?;
        p.json("card", &self.card)?;
        p.json("provenance", &self.provenance)?;
        p.text("content_hash", metadata::sha256(&self.onnx));
        p.text("format_version", FORMAT_VERSION);
        let added = Proto { metadata_props: p.0, ..Proto::default() };
        let mut bytes = [self.onnx.as_slice(), &added.encode_to_vec()].concat();
        seal::put(&mut bytes);
        Ok(bytes)
    }

    /// Writes the file: whole, or not at all.
    ///
    /// # Errors
    /// If a part is not valid or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes().map_err(|defect| ModelError::invalid(&shown(path), defect))?;
        write_atomic(path, &bytes)
    }

    fn validate(&self) -> Result<(), Defect> {
        let mut names = self.classes.clone();
        names.sort();
        names.dedup();
        if names.len() != self.classes.len() || names.len() < 2 || names.iter().any(String::is_empty) {
            return Err(Defect::new(
                "legonf.classes",
                "expected two or more names, none empty or there twice",
            ));
        }
        if !(0.0..=1.0).contains(&self.unknown_below) {
            return Err(Defect::new(
                "legonf.unknown_below",
                format!("{}: expected 0 to 1", self.unknown_below),
            ));
        }
        Ok(())
    }
}

/// Whether a file's properties are those of a classifier.
pub(crate) fn is_one(properties: &[Property]) -> bool {
    metadata::optional_text(properties, "kind").is_ok_and(|kind| kind == Some(KIND))
}

fn parse(bytes: &[u8]) -> Result<ClassifierBundle, Defect> {
    let proto = Proto::decode(bytes).map_err(|error| Defect::new("ONNX", error.to_string()))?;
    let properties = &proto.metadata_props;
    let kind = metadata::text(properties, "kind")?;
    if kind != KIND {
        return Err(Defect::new("legonf.kind", format!("expected {KIND}, found {kind:?}")));
    }
    let version = metadata::text(properties, "format_version")?;
    if version != FORMAT_VERSION {
        let reason = format!(
            "{version:?} is not {FORMAT_VERSION}: written by another version of legonf; train it again"
        );
        return Err(Defect::new("legonf.format_version", reason));
    }
    seal::check(bytes)?;
    let bundle = ClassifierBundle {
        onnx: foreign::without_properties(bytes)?,
        classes: metadata::json(properties, "classes")?,
        unknown_below: metadata::json(properties, "unknown_below")?,
        card: metadata::json(properties, "card")?,
        provenance: metadata::json(properties, "provenance")?,
    };
    bundle.validate()?;
    if metadata::text(properties, "content_hash")? != metadata::sha256(&bundle.onnx) {
        return Err(Defect::new(
            "legonf.content_hash",
            "differs from the SHA-256 of the network: it was changed or damaged",
        ));
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::OnnxFile;
    use crate::onnx::Network;
    use legonf_core::Element;

    fn bundle() -> ClassifierBundle {
        let mut network = Network::new("n");
        network.input("statistics", Element::F32, &[2]);
        network.node("Softmax", &["statistics"], &["probabilities"], &[]);
        network.output("probabilities", Element::F32, Some(&[2]));
        ClassifierBundle {
            onnx: network.to_bytes(),
            classes: vec!["camera".into(), "plug".into()],
            unknown_below: 0.25,
            card: ModelCard {
                architecture: "classifier".into(),
                split: "capture".into(),
                ..ModelCard::default()
            },
            provenance: Provenance { legonf: "0".into(), ..Provenance::default() },
        }
    }

    #[test]
    fn a_classifier_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        bundle().save(&path).unwrap();
        assert_eq!(ClassifierBundle::load(&path).unwrap(), bundle());
        assert!(matches!(OnnxFile::load(&path).unwrap(), OnnxFile::Classifier(found) if *found == bundle()));
        let (found, checks) = OnnxFile::verify(&path).unwrap();
        assert!(matches!(found, OnnxFile::Classifier(found) if *found == bundle()));
        assert!(checks.iter().any(|check| check.finding == "2, unknown below 0.25"));
    }

    #[test]
    fn what_was_changed_cut_short_or_is_none_is_refused() {
        let bytes = bundle().to_bytes().unwrap();
        let refused = |bytes: &[u8]| ClassifierBundle::from_bytes(bytes, "m").unwrap_err().to_string();
        let mut changed = bytes.clone();
        let at = changed.windows(6).position(|window| window == b"camera").unwrap();
        changed[at] = b'C';
        assert!(refused(&changed).contains("legonf.checksum"), "{}", refused(&changed));
        assert!(refused(&bytes[..bytes.len() - 30]).starts_with("m: "));
        assert!(refused(&bundle().onnx).contains("legonf.kind"));
        assert!(refused(b"").starts_with("m: "));
        let twice = ClassifierBundle { classes: vec!["a".into(), "a".into()], ..bundle() };
        assert!(twice.to_bytes().unwrap_err().to_string().contains("legonf.classes"));
    }
}
