//! What a flow table is to do.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When the row of a flow leaves, if the flow does not end before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// Its first bytes are there.
    Bytes,
    /// Its first packets are there.
    Packets,
    /// Either of both.
    #[default]
    Either,
    /// Both.
    Both,
    /// Not before the flow ends.
    End,
}

/// The longest timeout in seconds: a year.
pub const WAITS: f64 = 31_536_000.0;

/// A column of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Column {
    /// The first bytes of payload.
    Bytes,
    /// The first packets.
    Sequence,
    /// The numbers.
    Record,
}

/// Configuration of a [`FlowTable`](super::FlowTable).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// When the row of a flow leaves: `bytes`, `packets`, `either`, `both`, or `end` for a row with all of the flow. Default `either`.
    pub ready: Ready,
    /// The columns that are filled, of `bytes`, `sequence` and `record`. Default all.
    pub columns: Vec<Column>,
    /// Whether a flow that ends without payload has a row. Default true.
    pub empty: bool,
    /// Bytes of payload that a row holds, of both directions in the order of arrival, zeros behind them. From 1 to 65,535; default
    /// 784.
    pub bytes: u32,
    /// Packets of which a row holds length, direction and gap. From 1 to 255; default 32.
    pub packets: u32,
    /// The shape of a row of bytes, such as `[28, 28]`. Default: one dimension.
    pub shape: Vec<usize>,
    /// Whether the VLAN tells flows apart, too. Default false.
    pub vlan: bool,
    /// Whether the identifier of a tunnel tells flows apart, too. Default false.
    pub tunnel: bool,
    /// Seconds of stream time without a packet after which a flow is over. Default 60.
    pub idle: f64,
    /// Seconds of stream time after which a flow is over with its next packet, which begins another. Default 1,800.
    pub active: f64,
    /// Flows that a slot holds; the one without a packet for the longest time makes room. From 1 to 65,535; default 128.
    pub flows_per_slot: u32,
    /// Seed of the hash that assigns flows to slots. Default 1234.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ready: Ready::default(),
            columns: vec![Column::Bytes, Column::Sequence, Column::Record],
            empty: true,
            bytes: 784,
            packets: 32,
            shape: Vec::new(),
            vlan: false,
            tunnel: false,
            idle: 60.0,
            active: 1800.0,
            flows_per_slot: 128,
            seed: 1234,
        }
    }
}

/// What is wrong with the configuration of a brick of flows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FlowError {
    /// A number is out of its range.
    #[error("{key}: {found}; expected a number from {least} to {most}")]
    Range {
        /// The key.
        key: &'static str,
        /// What it was set to.
        found: f64,
        /// The smallest.
        least: f64,
        /// The largest.
        most: f64,
    },
    /// A shape holds another number of cells than there are.
    #[error("shape: {shape:?} has {found} cells, for {bytes} bytes")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// Its cells.
        found: usize,
        /// The bytes.
        bytes: u32,
    },
    /// No column would be filled, or one twice.
    #[error("columns: expected some of \"bytes\", \"sequence\" and \"record\", each once")]
    Columns,
    /// The classes of flows are not such.
    #[error("classes: '{0}' is empty, there twice, or the word for packets whose flow has no class yet")]
    Class(String),
}

/// Checks that a number is in its range.
pub(super) fn within(key: &'static str, found: f64, least: f64, most: f64) -> Result<f64, FlowError> {
    if (least..=most).contains(&found) {
        Ok(found)
    } else {
        Err(FlowError::Range { key, found, least, most })
    }
}

/// Seconds as nanoseconds.
pub(super) fn nanos(key: &'static str, seconds: f64) -> Result<i64, FlowError> {
    let seconds = within(key, seconds, 0.001, WAITS)?;
    Ok(Duration::from_secs_f64(seconds).as_nanos() as i64)
}

impl Config {
    /// Checks every number.
    ///
    /// # Errors
    /// Names the first key that is out of its range.
    pub fn check(&self) -> Result<(), FlowError> {
        within("bytes", self.bytes.into(), 1.0, 65_535.0)?;
        within("packets", self.packets.into(), 1.0, 255.0)?;
        within("flows_per_slot", self.flows_per_slot.into(), 1.0, 65_535.0)?;
        nanos("idle", self.idle)?;
        nanos("active", self.active)?;
        let twice = (1..self.columns.len()).any(|at| self.columns[..at].contains(&self.columns[at]));
        if self.columns.is_empty() || twice {
            return Err(FlowError::Columns);
        }
        let found = self.shape.iter().product();
        if !self.shape.is_empty() && found != self.bytes as usize {
            return Err(FlowError::Shape { shape: self.shape.clone(), found, bytes: self.bytes });
        }
        Ok(())
    }
}
