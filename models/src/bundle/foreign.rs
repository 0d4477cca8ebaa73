//! Somebody else's ONNX model: its bytes as they are, and what has to be known to run it.

use super::metadata::PREFIX;
use super::proto::{DOUBLE, Dimension, FLOAT, Graph, Model as Proto, Property, ValueInfo};
use super::{classes, external, wire};
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
    /// How normal it is: one value a row. The score is its negative, as for scikit-learn's decision functions.
    Normality,
    /// The row as the network puts it together again: one value a feature. The score is the RMSE between both.
    Reconstruction,
    /// How probable each class is, as a probability or a logit: one value a class. There is no score.
    Classes,
}

impl Meaning {
    /// The word that stands for it in files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Normality => "normality",
            Self::Reconstruction => "reconstruction",
            Self::Classes => "class",
        }
    }

    /// What a word stands for.
    pub fn of_label(label: &str) -> Option<Self> {
        [Self::Score, Self::Normality, Self::Reconstruction, Self::Classes]
            .into_iter()
            .find(|meaning| meaning.label() == label)
    }
}

/// A network that was not made here. Any engine that reads ONNX can run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The ONNX file as it was imported.
    pub onnx: Vec<u8>,
    /// Name of the input: rows of features (`f32` or `f64`), or images.
    pub input: String,
    /// Name of the output that is used.
    pub output: String,
    /// What that output says of a row.
    pub meaning: Meaning,
    /// Number of features of a row; 0 where it takes images.
    pub features: usize,
    /// Names of the classes, in the order of the output's values; none but for [`Meaning::Classes`].
    pub classes: Vec<String>,
}

/// What is known of a network before it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the output that is used. Without it that is the one named `rmse` or `score`, the only output, or the only one of
    /// numbers with a fraction.
    pub output: Option<String>,
    /// Names of the classes. Without any they are those that the file names itself, where it has a classifier.
    pub classes: Vec<String>,
    /// Whether it takes images: an input of any shape.
    pub image: bool,
    /// Whether its score says how normal a row is. It is taken to do so where it is an outlier detector by skl2onnx.
    pub normality: bool,
}

impl Foreign {
    /// [`import`](Self::import) of a network that scores rows of features by the output of this name.
    ///
    /// # Errors
    /// As there.
    pub fn new(onnx: Vec<u8>, output: Option<&str>) -> Result<Self, Defect> {
        Self::import(onnx, &Wanted { output: output.map(str::to_owned), ..Wanted::default() })
    }

    /// Looks at an ONNX model: its only input is taken as features, or as an image, and one of its outputs as what is `wanted`. It is
    /// taken for a reconstruction where the file says that it is as wide as the input, and for classes where these have names.
    ///
    /// # Errors
    /// When the model is not ONNX, has too many parts, needs another file, has been imported before, or has no such input
    /// and output.
    pub fn import(onnx: Vec<u8>, wanted: &Wanted) -> Result<Self, Defect> {
        let (proto, graph) = parsed(&onnx)?;
        let (input, features) = if wanted.image { (image(&graph)?, 0) } else { features(&graph)? };
        let output = chosen(&graph, wanted.output.as_deref())?;
        let classes =
            if wanted.classes.is_empty() { classes::stated(&graph, &output) } else { wanted.classes.clone() };
        let meaning = match (meaning(&graph, &output, features), wanted.normality) {
            _ if wanted.image && classes.is_empty() => {
                return Err(Defect::new(
                    &output,
                    "of an image is taken for classes: name them with --classes",
                ));
            }
            (Meaning::Score, true) => Meaning::Normality,
            (_, true) => {
                return Err(Defect::new(&output, "is no score, so it says of no row how normal it is"));
            }
            _ if !classes.is_empty() => Meaning::Classes,
            (Meaning::Score, _) if classes::is_outlier_detector(&proto, &graph) => Meaning::Normality,
            (meaning, _) => meaning,
        };
        Ok(Self { onnx, input, output, meaning, features, classes })
    }

    /// Whether it takes images in place of features.
    pub fn takes_images(&self) -> bool {
        self.features == 0
    }

    /// The ONNX file with `properties` added and every byte of the original kept.
    pub(crate) fn with_properties(&self, properties: Vec<Property>) -> Vec<u8> {
        // Serialized protobuf messages of one type merge by concatenation.
        let added = Proto { metadata_props: properties, ..Proto::default() };
        [self.onnx.as_slice(), &added.encode_to_vec()].concat()
    }
}

/// A model that nothing of legonf is in yet, and its graph.
fn parsed(onnx: &[u8]) -> Result<(Proto, Graph), Defect> {
    wire::check(onnx)?;
    if let Some((tensor, file)) = external::first(onnx)? {
        let reason =
            format!("its numbers are in another file, {file:?}: import the model with that file beside it");
        return Err(Defect::new(tensor, reason));
    }
    let mut proto = Proto::decode(onnx).map_err(|e| Defect::new("ONNX", e.to_string()))?;
    if proto.metadata_props.iter().any(|p| p.key.starts_with(PREFIX)) {
        return Err(Defect::new("metadata", "this is a legonf model already"));
    }
    let graph = proto.graph.take();
    let graph = graph.ok_or_else(|| Defect::new("graph", "is missing: not ONNX, or cut short"))?;
    Ok((proto, graph))
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

/// The properties of an ONNX file; none of what is no such file.
pub(crate) fn properties(file: &[u8]) -> Option<Vec<Property>> {
    wire::check(file).ok()?;
    Proto::decode(file).ok().map(|proto| proto.metadata_props)
}

/// The only input that is not an initializer.
fn only_input(graph: &Graph) -> Result<&ValueInfo, Defect> {
    let free = |value: &&ValueInfo| graph.initializer.iter().all(|t| t.name != value.name);
    let inputs: Vec<&ValueInfo> = graph.input.iter().filter(free).collect();
    let &[input] = inputs.as_slice() else {
        return Err(Defect::new("input", format!("expected one, found {}", inputs.len())));
    };
    Ok(input)
}

/// The name of an input with a dimension for the rows, and at least one more.
fn image(graph: &Graph) -> Result<String, Defect> {
    let input = only_input(graph)?;
    match input.tensor() {
        Some((_, [_, _, ..])) => Ok(input.name.clone()),
        _ => Err(Defect::new(&input.name, "expected an input with shape [batch, ...]")),
    }
}

/// The input and its number of columns.
fn features(graph: &Graph) -> Result<(String, usize), Defect> {
    let input = only_input(graph)?;
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

/// The output of this name, or the one that can be meant.
fn chosen(graph: &Graph, wanted: Option<&str>) -> Result<String, Defect> {
    let names: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let named = |name: &str| names.iter().find(|n| **n == name).copied();
    let found = match (wanted, names.as_slice()) {
        (Some(name), _) => named(name),
        (None, [only]) => Some(*only),
        (None, _) => named("rmse").or_else(|| named("score")).or_else(|| only_numbers(graph)),
    };
    let of_tensors = |o: &&ValueInfo| o.r#type.as_ref().is_none_or(|t| t.tensor.is_some());
    let other = graph.output.iter().find(|o| !of_tensors(o) && found.is_none_or(|found| found == o.name));
    match (found, other) {
        (_, Some(other)) => {
            let reason = "is no tensor, as behind ZipMap: export the model without it (skl2onnx: options={\"zipmap\": False})";
            Err(Defect::new(&other.name, reason))
        }
        (Some(output), None) => Ok(output.to_owned()),
        (None, None) => {
            let reason = format!("which of {names:?} holds the scores or classes? Name it (--score-output)");
            Err(Defect::new("output", reason))
        }
    }
}

/// The only output of numbers with a fraction.
fn only_numbers(graph: &Graph) -> Option<&str> {
    let is_one = |o: &&ValueInfo| o.tensor().is_some_and(|(element, _)| [FLOAT, DOUBLE].contains(&element));
    let mut numbers = graph.output.iter().filter(is_one);
    numbers.next().filter(|_| numbers.next().is_none()).map(|output| output.name.as_str())
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
