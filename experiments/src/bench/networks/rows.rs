//! Rows that networks are measured with.

use crate::ExperimentError;
use legonf_core::{Element, Rows, Storage};
use legonf_engine::{Error, LabelledFlows, Session};
use legonf_models::{CLASSIFIER_PORTS, Engine, FeedForward, Port};
use legonf_train::{Samples, Shares, Unit, split};
use std::path::PathBuf;

/// What training holds out by default.
const SHARES: Shares = Shares { validation: 0.1, test: 0.25 };

/// A column for each input of a network.
pub(super) type Columns = Vec<Box<dyn Storage>>;

/// Where rows come from.
pub(super) enum Source {
    /// Numbers that differ.
    Made,
    Flows(Flows),
}

/// Flows of captures.
pub(super) struct Flows(Samples);

impl Flows {
    /// Reads flows; with a seed those of them that training with it holds out to judge by.
    ///
    /// # Errors
    /// If they cannot be read or divided, or there is none.
    pub(super) fn read(
        session: &Session,
        paths: &[PathBuf],
        seed: Option<u64>,
    ) -> Result<Self, ExperimentError> {
        let samples = LabelledFlows::read(session, paths, &[])?.samples;
        let samples = match seed {
            None => samples,
            Some(seed) => {
                let parts = split(&samples, Unit::Capture, SHARES, seed).map_err(Error::from)?;
                samples.subset(&parts.test)
            }
        };
        if samples.is_empty() {
            return Err(Error::refused("the captures have no flows with payload").into());
        }
        Ok(Self(samples))
    }

    /// A column with rows of an input.
    fn column(&self, port: &Port, rows: std::ops::Range<usize>) -> Result<Box<dyn Storage>, ExperimentError> {
        let Self(samples) = self;
        let [bytes, statistics, sequence, _] = CLASSIFIER_PORTS;
        let column: Box<dyn Storage> = match port.name.as_str() {
            name if name == bytes => Box::new(Rows::of(rows.map(|row| samples.bytes(row)))),
            name if name == statistics => Box::new(Rows::of(rows.map(|row| samples.statistics(row)))),
            name if name == sequence => Box::new(Rows::of(rows.map(|row| samples.sequence(row)))),
            name => return Err(Error::refused(format!("flows have nothing for the input `{name}`")).into()),
        };
        Ok(column)
    }
}

impl Source {
    /// The number of flows.
    pub(super) fn flows(&self) -> Option<usize> {
        match self {
            Self::Made => None,
            Self::Flows(Flows(samples)) => Some(samples.len()),
        }
    }

    /// Batches of this size for a network: one of rows that are made, or all flows.
    pub(super) fn batches(&self, engine: &FeedForward, size: usize) -> Result<Vec<Columns>, ExperimentError> {
        let Self::Flows(flows) = self else { return Ok(vec![made(engine, size)]) };
        let count = flows.0.len();
        let batch = |start: usize| {
            let rows = start..count.min(start + size);
            engine.signature().inputs.iter().map(|port| flows.column(port, rows.clone())).collect()
        };
        (0..count).step_by(size).map(batch).collect()
    }
}

/// Rows of a batch.
pub(super) fn count(columns: &Columns) -> usize {
    columns.first().map_or(0, |column| column.filled())
}

/// Columns for the inputs of a network, of numbers that differ.
pub(super) fn made(engine: &FeedForward, rows: usize) -> Columns {
    let column = |port: &Port| -> Box<dyn Storage> {
        let width = port.width();
        let number = |cell: usize| (cell * 31 + cell / width * 17) % 251;
        let numbers = 0..rows * width;
        match port.element {
            Element::U8 => {
                let bytes: Vec<u8> = numbers.map(|cell| number(cell) as u8).collect();
                Box::new(Rows::of(bytes.chunks_exact(width)))
            }
            _ => {
                let numbers: Vec<f32> = numbers.map(|cell| number(cell) as f32 / 255.0).collect();
                Box::new(Rows::of(numbers.chunks_exact(width)))
            }
        }
    };
    engine.signature().inputs.iter().map(column).collect()
}
