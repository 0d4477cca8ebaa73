//! Further bricks for a graph that runs.

use crate::network::Network;
use legonf_catalog::{Context, build};
use legonf_core::{BATCH, Batch, Brick, Columns, Layout, LayoutError};
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
    pub fn make(&self, id: &str) -> Result<Box<dyn Brick>, String> {
        let found = self.spec.bricks.iter().find(|brick| brick.id == id);
        let found = found.ok_or_else(|| format!("the graph has no brick `{id}`"))?;
        let Some((network, threshold)) = self.network else {
            return build(&found.kind, &found.config, &Context::default()).map_err(|e| e.to_string());
        };
        let engine = || network.engine();
        let context = network.context(threshold, &engine);
        let mut brick = build(&found.kind, &found.config, &context).map_err(|e| e.to_string())?;
        let mut dry = dry(&mut *brick, network.schema().len()).map_err(|e| e.to_string())?;
        brick.process(&mut dry).map_err(|e| e.to_string())?;
        Ok(brick)
    }
}

/// A batch in which the columns that a brick reads hold nothing but zeros, but for packets and headers; rows of a width that the
/// brick leaves open have so many cells. The brick is bound to it.
fn dry(brick: &mut dyn Brick, width: usize) -> Result<Batch, LayoutError> {
    let layout = Layout::binding(&mut [&mut *brick])?;
    let mut batch = Batch::new(&layout);
    let reads = layout.columns(&*brick.descriptor().reads);
    for index in reads.without(Columns::PACKETS.union(Columns::HEADERS)).iter() {
        let cells = layout.specs()[index].shape.width().unwrap_or(width);
        batch.column_mut(index).fill(BATCH, cells);
    }
    Ok(batch)
}
