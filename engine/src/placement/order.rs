//! What another process needs to make a brick: the graph, its models, and which brick it is.

use crate::assembly::{AS_MADE, assemble};
use crate::models::Models;
use crate::seed;
use crate::supply::warmed;
use crate::{Error, Session};
use legonf_io::Content;
use legonf_runtime::GraphSpec;
use legonf_transport::Hosted;
use legonf_transport::standby::Agreement;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// An order for bricks of a graph.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The graph, in TOML.
    graph: String,
    /// Whether the input is a table of features.
    is_of_features: bool,
    models: Vec<Model>,
    threshold: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Model {
    name: Option<String>,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

impl Order {
    /// An order for bricks of a graph, with what is in the files of its models.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn new(
        spec: &GraphSpec,
        content: Content,
        models: &Models,
        threshold: Option<f64>,
    ) -> Result<Self, Error> {
        let model = |(name, file): (Option<&str>, &Path)| {
            let bytes = fs::read(file).map_err(|error| Error::file(file, error))?;
            Ok(Model { name: name.map(str::to_owned), bytes })
        };
        let models = models.files().map(model).collect::<Result<_, Error>>()?;
        let (graph, is_of_features) = (spec.to_toml(), content == Content::Features);
        Ok(Self { graph, is_of_features, models, threshold })
    }

    /// What the results of its graph depend on, each with a digest. Names of files are left out: they may differ between hosts.
    pub fn agreement(
        mut spec: GraphSpec,
        content: Content,
        models: &Models,
        threshold: Option<f64>,
    ) -> Result<Agreement, Error> {
        // It goes to a standby by itself.
        seed::remove(&mut spec);
        spec.models.values_mut().for_each(String::clear);
        let Self { graph, is_of_features, models, threshold } = Self::new(&spec, content, models, threshold)?;
        let digest = |name: &str, bytes: &[u8]| (name.to_owned(), Sha256::digest(bytes).into());
        let kind = if is_of_features { "features" } else { "packets" };
        let given = [
            digest("the graph", graph.as_bytes()),
            digest("the kind of input", kind.as_bytes()),
            digest("--threshold", format!("{threshold:?}").as_bytes()),
        ];
        let name = |model: &Model| {
            model.name.as_ref().map_or_else(|| "the model".to_owned(), |name| format!("model `{name}`"))
        };
        Ok(Agreement(
            given.into_iter().chain(models.iter().map(|model| digest(&name(model), &model.bytes))).collect(),
        ))
    }

    /// The order for one of the bricks, in bytes.
    pub fn of(&self, brick: &str) -> Vec<u8> {
        postcard::to_extend(&(brick, self), Vec::new()).expect("plain values into memory cannot fail")
    }
}

/// Makes a brick as ordered.
///
/// # Errors
/// If the bytes are no order, or the graph, a model or the brick is refused.
pub(crate) fn make(session: &Session, order: &[u8]) -> Result<Hosted, Error> {
    let (brick, order): (&str, Order) =
        postcard::from_bytes(order).map_err(|_| Error::refused("what was ordered is no brick"))?;
    let spec = GraphSpec::from_toml(&order.graph)?;
    let given = order.models.into_iter().map(|model| (model.name, model.bytes)).collect();
    let models = Models::ordered(session, &spec, given)?;
    let content = if order.is_of_features { Content::Features } else { Content::Packets };
    let graph = assemble(&spec, content, (&models, None), order.threshold, AS_MADE)?;
    let layout = graph.layout().clone();
    let node = graph.into_nodes().into_iter().find(|node| node.id == brick);
    let node = node.ok_or_else(|| Error::refused(format!("the graph has no brick `{brick}`")))?;
    Ok(Hosted { brick: warmed(node.brick)?, layout })
}
