//! Somebody else's ONNX model: its bytes as they are, and what has to be known to run it.

use super::metadata::PREFIX;
use super::proto::{DOUBLE, Dimension, FLOAT, Graph, Model as Proto, Property, ValueInfo};
use super::{external, wire};
use crate::kitnet::{Defect, MAX_FEATURES};
use prost::Message;

/// Number of the field of a model that holds properties.
pub(crate) const METADATA_PROPS: u32 = 14;

/// What the output of a foreign network says of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// Its score: one value a row.
    #[default]
    Score,
    /// The row as the network puts it together again: one value a feature. The score is the RMSE between both.
    Reconstruction,
}

impl Meaning {
    /// The word that stands for it in files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Reconstruction => "reconstruction",
        }
    }

    /// What a word stands for.
    pub fn of_label(label: &str) -> Option<Self> {
        [Self::Score, Self::Reconstruction].into_iter().find(|meaning| meaning.label() == label)
    }
}

/// A network that was not made here. Any engine that reads ONNX can run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The ONNX file as it was imported.
    pub onnx: Vec<u8>,
    /// Name of the input: rows of features, `f32` or `f64`.
    pub input: String,
    /// Name of the output that the scores come from.
    pub output: String,
    /// What that output says of a row.
    pub meaning: Meaning,
    /// Number of features of a row.
    pub features: usize,
}

impl Foreign {
    /// Looks at an ONNX model: its only input is taken as the features; its output `output`, or where that
    /// is `None` the one named `rmse` or `score`, or its only output, as what the scores come from. The output is taken for a
    /// reconstruction where the file says that it is as wide as the input.
    ///
    /// # Errors
    /// When the model is not ONNX, has too many parts, needs another file, has been imported before, or has no such input
    /// and output.
    pub fn new(onnx: Vec<u8>, output: Option<&str>) -> Result<Self, Defect> {
        wire::check(&onnx)?;
        if let Some((tensor, file)) = external::first(&onnx)? {
            let reason = format!(
                "its numbers are in another file, {file:?}: import the model with that file beside it"
            );
            return Err(Defect::new(tensor, reason));
        }
        let proto = Proto::decode(&*onnx).map_err(|e| Defect::new("ONNX", e.to_string()))?;
        if proto.metadata_props.iter().any(|p| p.key.starts_with(PREFIX)) {
            return Err(Defect::new("metadata", "this is a legonf model already"));
        }
        let graph = proto.graph.ok_or_else(|| Defect::new("graph", "is missing: not ONNX, or cut short"))?;
        let (input, features) = features(&graph)?;
        let output = scores(&graph, output)?;
        let meaning = meaning(&graph, &output, features);
        Ok(Self { onnx, input, output, meaning, features })
    }

    /// The ONNX file with `properties` added and every byte of the original kept.
    pub(crate) fn with_properties(&self, properties: Vec<Property>) -> Vec<u8> {
        // Serialized protobuf messages of one type merge by concatenation.
        let added = Proto { metadata_props: properties, ..Proto::default() };
        [self.onnx.as_slice(), &added.encode_to_vec()].concat()
    }
}

/// Whether a file is an ONNX network in which nothing is legonf's. What is no ONNX at all is not.
///
/// # Errors
/// If it has a network whose numbers are in another file.
pub(crate) fn is_plain(file: &[u8]) -> Result<bool, Defect> {
    if wire::check(file).is_err() {
        return Ok(false);
    }
    let Ok(proto) = Proto::decode(file) else { return Ok(false) };
    let own = proto.metadata_props.iter().any(|p| p.key.starts_with(PREFIX));
    if own || proto.graph.is_none() {
        return Ok(false);
    }
    match external::first(file)? {
        Some((tensor, other)) => {
            let reason = format!("its numbers are in another file, {other:?}: put them into one");
            Err(Defect::new(tensor, reason))
        }
        None => Ok(true),
    }
}

/// The input that is not an initializer, and its number of columns.
fn features(graph: &Graph) -> Result<(String, usize), Defect> {
    let free = |value: &&ValueInfo| graph.initializer.iter().all(|t| t.name != value.name);
    let inputs: Vec<&ValueInfo> = graph.input.iter().filter(free).collect();
    let &[input] = inputs.as_slice() else {
        return Err(Defect::new("input", format!("expected one, found {}", inputs.len())));
    };
    let expected =
        || Defect::new(&input.name, "expected an input of float or double with shape [batch, features]");
    let (element, dims) = input.tensor().ok_or_else(expected)?;
    let [_, Dimension { value: Some(columns), .. }] = dims else { return Err(expected()) };
    let columns = usize::try_from(*columns).ok().filter(|c| (1..=MAX_FEATURES).contains(c));
    match columns {
        Some(columns) if [FLOAT, DOUBLE].contains(&element) => Ok((input.name.clone(), columns)),
        _ => Err(expected()),
    }
}

fn scores(graph: &Graph, wanted: Option<&str>) -> Result<String, Defect> {
    let names: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let named = |name: &str| names.iter().find(|n| **n == name).copied();
    let found = match (wanted, names.as_slice()) {
        (Some(name), _) => named(name),
        (None, [only]) => Some(*only),
        (None, _) => named("rmse").or_else(|| named("score")),
    };
    found
        .map(Into::into)
        .ok_or_else(|| Defect::new("output", format!("which of {names:?} holds the scores? Name it")))
}

/// What the graph says of an output's shape.
fn meaning(graph: &Graph, output: &str, features: usize) -> Meaning {
    let output = graph.output.iter().find(|o| o.name == output).and_then(ValueInfo::tensor);
    match output {
        Some((_, [_, Dimension { value: Some(columns), .. }]))
            if features > 1 && *columns == features as i64 =>
        {
            Meaning::Reconstruction
        }
        _ => Meaning::Score,
    }
}

/// The file without the properties that were added here: what had been imported.
pub(crate) fn without_properties(file: &[u8]) -> Result<Vec<u8>, Defect> {
    let mut kept = Vec::with_capacity(file.len());
    for field in wire::fields(file) {
        let field = field?;
        if !is_added(&field)? {
            kept.extend_from_slice(field.whole);
        }
    }
    Ok(kept)
}

/// Whether a field of the model is a property that was added here.
fn is_added(field: &wire::Field<'_>) -> Result<bool, Defect> {
    let Some(content) = field.content.filter(|_| field.tag == METADATA_PROPS) else { return Ok(false) };
    let property = Property::decode(content).map_err(|e| Defect::new("ONNX", e.to_string()))?;
    Ok(property.key.starts_with(PREFIX))
}
