//! The brick that computes statistics of each flow's first bytes.

use super::BYTES;
use super::config::{FlowError, within};
use super::statistics::{IMAGE_BYTES, STATISTICS, statistics};
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Handle, Layout, Rows, State,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Statistics of each flow's first bytes, in the order of [`statistic_names`](super::statistic_names).
pub const FLOW_STATISTICS: ColumnSpec = ColumnSpec::rows("flow-statistics", Element::F32).in_flows();

/// Configuration of [`FlowStatistics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of a row of `flow-bytes`, as the flow table has them. Default 784.
    pub bytes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { bytes: IMAGE_BYTES as u32 }
    }
}

/// Fills [`FLOW_STATISTICS`] of each row of the table of flows.
#[derive(Clone, Debug)]
pub struct FlowStatistics {
    bytes: usize,
    read: Handle<Rows<u8>>,
    filled: Handle<Rows<f32>>,
}

impl FlowStatistics {
    /// Name of the kind.
    pub const KIND: &'static str = "flow-statistics";

    /// What the graph needs to know of the brick; its own descriptor says how wide rows are.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "payload statistics",
        reads: Cow::Borrowed(&[BYTES]),
        writes: Cow::Borrowed(&[FLOW_STATISTICS]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If rows would have no byte, or too many.
    pub fn new(config: Config) -> Result<Self, FlowError> {
        let bytes = within("bytes", config.bytes.into(), 1.0, 65_535.0)? as usize;
        Ok(Self { bytes, read: Handle::default(), filled: Handle::default() })
    }
}

impl Brick for FlowStatistics {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (BYTES.of_width(self.bytes), FLOW_STATISTICS.of_width(STATISTICS));
        Descriptor { reads: vec![reads].into(), writes: vec![writes].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.read = layout.handle(&BYTES.of_width(self.bytes))?;
        self.filled = layout.handle(&FLOW_STATISTICS.of_width(STATISTICS))?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (bytes, filled) = batch.columns.get_two(self.read, self.filled);
        filled.reset(bytes.len(), STATISTICS);
        for (row, out) in bytes.iter().zip(filled.as_mut_slice().as_chunks_mut::<STATISTICS>().0) {
            statistics(row, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_each_flow() {
        let mut brick = FlowStatistics::new(Config { bytes: 8 }).unwrap();
        let layout = Layout::binding(&mut [&mut brick]).unwrap();
        let mut batch = Batch::new(&layout);
        for row in [b"ab\0\0\0\0\0\0", b"aaaaaaaa"] {
            batch.columns.get_mut(brick.read).append(8).copy_from_slice(row);
        }
        brick.process(&mut batch).unwrap();
        let filled = batch.columns.get(brick.filled);
        assert_eq!(
            (filled.row(0)[0], filled.row(0)[1], filled.row(1)[0], filled.row(1)[1]),
            (2.0, 1.0, 8.0, 0.0)
        );
        assert!(FlowStatistics::new(Config { bytes: 0 }).is_err());
    }
}
