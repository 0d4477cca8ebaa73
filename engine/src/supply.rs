//! Further bricks for a graph that runs.

use crate::Error;
use crate::network::Network;
use legonf_catalog::{Context, build};
use legonf_core::{BATCH, Batch, Brick};
use legonf_runtime::GraphSpec;

/// Makes the bricks of a graph by their identifier, around a model where there is one.
pub struct Maker<'a> {
    /// The graph.
    pub spec: &'a GraphSpec,
    /// The model and the threshold to decide by.
    pub network: Option<(&'a Network, Option<f64>)>,
}

impl Maker<'_> {
    /// Makes a brick that has its model and its memory: a batch has gone through it.
    pub fn make(&self, id: &str) -> Result<Box<dyn Brick>, Error> {
        let found = self.spec.bricks.iter().find(|brick| brick.id == id);
        let found = found.ok_or_else(|| Error::refused(format!("the graph has no brick `{id}`")))?;
        let Some((network, threshold)) = self.network else {
            return Ok(build(&found.kind, &found.config, &Context::default())?);
        };
        let engine = || network.engine();
        let context = network.context(threshold, &engine);
        let mut brick = build(&found.kind, &found.config, &context)?;
        brick.process(&mut dry(network))?;
        Ok(brick)
    }

    /// [`make`](Self::make) with the words that the runtime takes for an error.
    pub fn supply(&self, id: &str) -> Result<Box<dyn Brick>, String> {
        self.make(id).map_err(|error| error.to_string())
    }
}

/// A batch of nothing but zeros, for bricks without state: each finds its columns filled.
fn dry(network: &Network) -> Batch {
    let mut batch = Batch::default();
    batch.features.reset(BATCH, network.schema().len());
    let mapped = network.kitnet().map_or(0, |kitnet| kitnet.mapped_width());
    batch.mapped.reset(BATCH, mapped);
    batch.scores.resize(BATCH, 0.0);
    batch
}
