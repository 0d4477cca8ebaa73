//! Network functions: graph files, of which some ship with legonf.

use crate::{Error, models, reading};
use legonf_extract::FeatureQuantization;
use legonf_extract::flow::FlowTable;
use legonf_infer::{Autoencoder, Onnx};
use legonf_models::kitnet::Precision;
use legonf_runtime::{BrickSpec, GraphSpec};
use std::path::Path;

/// The network function that is run where none is named.
pub const DEFAULT: &str = "kitsune";

/// The same with the generic engine.
const GENERIC: &str = "kitsune-onnx";

/// The classifier of flows.
pub(crate) const CLASSIFIER: &str = "classifier";
/// The same with a detector that is no network.
const DETECTOR: &str = "kitsune-detector";

/// What executes the model of the default network function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The kernel of KitNET.
    KitNet,
    /// That of detectors that are no network.
    Detector,
    /// A generic engine.
    Generic,
}

impl Kernel {
    /// The network function that has it.
    const fn nf(self) -> &'static str {
        match self {
            Self::KitNet => DEFAULT,
            Self::Detector => DETECTOR,
            Self::Generic => GENERIC,
        }
    }
}

/// A network function by its name or its graph file; the default one where none is named.
///
/// # Errors
/// If there is neither, or the file is no graph.
pub fn open(nf: Option<&Path>) -> Result<GraphSpec, Error> {
    let nf = nf.unwrap_or(Path::new(DEFAULT));
    match nf.to_str().and_then(built_in) {
        Some(graph) => Ok(graph),
        None if !nf.exists() && nf.components().count() == 1 && nf.extension().is_none() => {
            let known: Vec<_> = legonf_catalog::NFS.iter().map(|nf| nf.name).collect();
            let reason = format!("no network function has this name (there are: {})", known.join(", "));
            Err(Error::refused(format!("{}: {reason}, and there is no such graph file", nf.display())))
        }
        None => reading::parsed(nf, reading::GRAPH, |text| {
            let graph = GraphSpec::from_toml(text)?;
            models::check(&graph).map(|()| graph)
        }),
    }
}

/// The name of a network function that ships; none of a graph file.
pub(crate) fn shipped(nf: Option<&Path>) -> Option<&str> {
    let Some(nf) = nf else { return Some(DEFAULT) };
    nf.to_str().filter(|name| built_in(name).is_some())
}

/// A graph whose extractor gives the features of a schema.
pub(crate) fn of_schema(mut graph: GraphSpec, schema: &str) -> GraphSpec {
    let extractors = graph.bricks.iter_mut().filter(|brick| brick.kind == FeatureQuantization::KIND);
    extractors.for_each(|brick| set(brick, "schema", schema));
    graph
}

/// A graph of a classifier: its network gets those of the inputs that it has, of flows as it was trained on.
///
/// # Errors
/// If the model says of flows what no flow table can do.
pub(crate) fn of_classifier(
    mut graph: GraphSpec,
    inputs: &[String],
    flows: Option<&str>,
) -> Result<GraphSpec, Error> {
    for brick in graph.bricks.iter_mut().filter(|brick| brick.kind == Onnx::KIND) {
        if let Some(toml::Value::Table(given)) = brick.config.get_mut("inputs") {
            given.retain(|name, _| inputs.iter().any(|input| input == name));
        }
    }
    let Some(flows) = flows else { return Ok(graph) };
    let flows: toml::Table = serde_json::from_str(flows)
        .map_err(|error| Error::refused(format!("legonf.card: flows: {error}")))?;
    for brick in graph.bricks.iter_mut().filter(|brick| brick.kind == FlowTable::KIND) {
        for (key, value) in &flows {
            brick.config.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(graph)
}

/// An error of a graph that cannot be put together, with the file that the graph comes from.
pub fn in_file(nf: Option<&Path>, error: impl Into<Error>) -> Error {
    let file = nf.filter(|nf| shipped(Some(nf)).is_none());
    let error = error.into();
    match file {
        Some(file) => Error::file(file, error),
        None => error,
    }
}

/// A network function that ships, by its name.
pub fn built_in(name: &str) -> Option<GraphSpec> {
    let nf = legonf_catalog::NFS.iter().find(|nf| nf.name == name)?;
    Some(GraphSpec::from_toml(nf.graph).expect("graphs that ship are tested"))
}

/// The part of Kitsune that turns packets into features of a schema.
pub fn extraction(schema: &str) -> GraphSpec {
    let mut graph = kitsune(DEFAULT, schema, None);
    let extractor = position(&graph, FeatureQuantization::KIND);
    graph.bricks.truncate(extractor + 1);
    graph.bricks[extractor].next.clear();
    graph
}

/// Kitsune for features of a schema, with a kernel; KitNET is executed in a precision that is chosen or the default one.
pub fn scoring(schema: &str, kernel: Kernel, precision: Option<Precision>) -> GraphSpec {
    kitsune(kernel.nf(), schema, precision)
}

/// The part of Kitsune that turns features into verdicts, as [`scoring`] does.
pub fn scoring_features(kernel: Kernel, precision: Option<Precision>) -> GraphSpec {
    let mut graph = scoring("", kernel, precision);
    let extractor = position(&graph, FeatureQuantization::KIND);
    graph.bricks.drain(..=extractor);
    graph
}

/// The precision in which a graph executes a KitNET; none where it has no such brick.
pub fn precision(graph: &GraphSpec) -> Option<String> {
    let brick = graph.bricks.iter().find(|brick| brick.kind == Autoencoder::KIND)?;
    let chosen = brick.config.get("precision").and_then(|value| value.as_str());
    Some(chosen.map_or_else(|| Precision::default().to_string(), Into::into))
}

fn kitsune(name: &str, schema: &str, precision: Option<Precision>) -> GraphSpec {
    let mut graph = of_schema(built_in(name).expect("it ships"), schema);
    let networks = graph.bricks.iter_mut().filter(|brick| brick.kind == Autoencoder::KIND);
    for (brick, precision) in networks.zip(precision) {
        set(brick, "precision", &precision.to_string());
    }
    graph
}

fn set(brick: &mut BrickSpec, key: &str, value: &str) {
    brick.config.insert(key.to_owned(), value.into());
}

fn position(graph: &GraphSpec, kind: &str) -> usize {
    graph.bricks.iter().position(|brick| brick.kind == kind).expect("Kitsune has such a brick")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(graph: &GraphSpec) -> Vec<String> {
        graph.sequence().unwrap().iter().map(|brick| brick.kind.clone()).collect()
    }

    #[test]
    fn kitsune_has_the_five_bricks_of_lego_figure_3() {
        let graph = scoring("kitsune-115", Kernel::KitNet, Some(Precision::F32));
        let expected = [
            "packet-batching",
            "feature-quantization",
            "feature-mapping",
            "autoencoder",
            "sample-result-quantization",
        ];
        assert_eq!(kinds(&graph), expected);
        assert_eq!(GraphSpec::from_toml(&graph.to_toml()).unwrap(), graph);
        assert_eq!(precision(&graph).as_deref(), Some("f32"));
        assert_eq!(kinds(&extraction("kitsune-115")), expected[..2]);
        assert_eq!(kinds(&scoring_features(Kernel::KitNet, None)), expected[2..]);
        for (kernel, kind) in [(Kernel::Generic, "onnx"), (Kernel::Detector, "detector")] {
            assert_eq!(kinds(&scoring_features(kernel, None)), [kind, "sample-result-quantization"]);
        }
    }

    #[test]
    fn every_network_function_that_ships_is_a_graph_of_known_bricks() {
        for nf in &legonf_catalog::NFS {
            let graph = built_in(nf.name).unwrap();
            for kind in kinds(&graph) {
                assert!(legonf_catalog::KINDS.iter().any(|known| known.kind == kind), "{}: {kind}", nf.name);
            }
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_refused_with_those_that_there_are() {
        let error = open(Some(Path::new("kitsun"))).unwrap_err().to_string();
        assert!(error.contains(
            "kitsun: no network function has this name (there are: kitsune, kitsune-onnx, kitsune-detector, classifier)"
        ));
        assert_eq!(open(Some(Path::new("kitsune"))).unwrap(), built_in("kitsune").unwrap());
        assert!(open(Some(Path::new("no/such.toml"))).unwrap_err().to_string().contains("no/such.toml"));
    }
}
