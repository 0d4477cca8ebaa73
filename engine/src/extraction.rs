//! Extraction: the feature matrix of a capture.

use crate::assembly::assemble_extraction;
use crate::captures::{Captures, Series};
use crate::models::Models;
use crate::scoring::whole;
use crate::summary::{ClockReport, flatten};
use crate::supply::Maker;
use crate::{Error, Extent, Session, Workers, nf};
use legonf_core::{Malformed, Schema, Sink};
use legonf_io::sink::Matrix;
use legonf_runtime::{Outcome, RunFault};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A row of features for every packet of a capture; that of a packet whose link type is not parsed is NaN.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// Captures.
    pub captures: Captures,
    /// Where the matrix goes; the ending (.npy, .csv or .parquet) names the format.
    pub output: PathBuf,
    /// Feature schema.
    pub schema: String,
    /// Read only the first packets.
    pub limit: Option<u64>,
    /// How bricks are laid out over threads.
    pub workers: Workers,
}

/// A matrix that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Extracted {
    /// Its file.
    pub output: String,
    /// Name of the feature schema.
    pub schema: String,
    /// Hash of the schema.
    pub schema_hash: String,
    /// Rows: packets.
    pub rows: u64,
    /// Rows of packets whose link type is not parsed.
    pub rejected: u64,
    /// Columns: features.
    pub columns: usize,
    /// Packets that the filter left out, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered_out: Option<u64>,
    /// Counters of the bricks that are not zero.
    pub counters: BTreeMap<String, u64>,
    /// What was wrong with the capture's clock; none where it was in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReport>,
}

impl Extraction {
    /// Writes the matrix. Where the capture ends in a fault, what came before is complete.
    ///
    /// # Errors
    /// If the capture cannot be read, the matrix cannot be written, or the session is stopped.
    pub fn run(&self, session: &Session) -> Result<Extracted, Error> {
        let schema = legonf_extract::schema_by_name(&self.schema)?;
        let spec = nf::extraction(&self.schema);
        let mut graph = assemble_extraction(&spec)?;
        self.workers.check(&mut graph)?;
        let series = self.captures.find(session, None)?;
        let mut source = series.open(session, self.limit)?;
        let mut matrix = Matrix::create(&self.output, &schema)?;
        let bar = session.begin("features", Extent::Bytes);
        let models = Models::default();
        let maker = Maker { spec: &spec, models: &models, threshold: None, swaps: None };
        let options = self.workers.options(session, Some(&maker));
        let mut observe = |progress, packets| bar.update(progress, packets);
        let outcome = legonf_runtime::run(&mut graph, &mut *source, &mut matrix, options, &mut observe);
        drop(bar);
        if !matches!(outcome.fault, Some(RunFault::Sink(_))) {
            matrix.finish()?;
        }
        let outcome =
            whole(outcome, |packets| format!("{} holds the {packets} before it", self.output.display()))?;
        Ok(self.extracted(&schema, &series, &outcome))
    }

    fn extracted(&self, schema: &Schema, series: &Series, outcome: &Outcome) -> Extracted {
        let counters = flatten(&outcome.counters);
        Extracted {
            output: self.output.display().to_string(),
            schema: schema.name.clone(),
            schema_hash: schema.hash().to_string(),
            rows: outcome.packets,
            columns: schema.len(),
            rejected: counters.get(Malformed::LinkType.label()).copied().unwrap_or(0),
            filtered_out: series.left_out(),
            counters,
            clock: ClockReport::of(&outcome.clock, &schema.name),
        }
    }
}
