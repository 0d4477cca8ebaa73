//! Where the results of a live run go.

use crate::failure::Failure;
use crate::replay::tally::Results;
use legonf_core::{Batch, Column, Columns, Coverage, Explain, Fault, Sink, Timestamp, Verdict};
use legonf_io::sink::{AlertRate, Eve, LineStream, PacketFile, RunStats, ScoresCsv, SinkError, StatsHandle};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

/// What is wanted.
#[derive(Clone, Copy)]
pub struct Purpose<'a> {
    /// Alerts: a file, `-` or `unix:PATH`.
    pub eve: Option<&'a OsStr>,
    /// Size in bytes at which a file of alerts is rotated.
    pub rotate: Option<u64>,
    /// How many alerts are written.
    pub rate: AlertRate,
    /// Scores.
    pub scores: Option<&'a Path>,
    /// The packets themselves.
    pub record: Option<&'a Path>,
}

/// Every output that is wanted.
pub struct Outputs {
    eve: Option<(Eve, StatsHandle)>,
    scores: Option<ScoresCsv>,
    record: Option<PacketFile>,
    names: Vec<String>,
}

impl Purpose<'_> {
    /// Whether one of the outputs is standard output.
    pub fn takes_standard_output(&self) -> bool {
        let files = [self.scores, self.record].into_iter().flatten().map(Path::as_os_str);
        files.chain(self.eve).any(|name| name == "-")
    }
}

impl Outputs {
    /// Opens them.
    pub fn create(
        purpose: &Purpose<'_>,
        threshold: Option<f64>,
        explain: Option<Box<dyn Explain>>,
    ) -> Result<Self, Failure> {
        let files = [purpose.scores, purpose.record].into_iter().flatten().map(Path::as_os_str);
        let names = purpose.eve.into_iter().chain(files).filter(|name| *name != "-");
        let names = names.map(|name| name.to_string_lossy().into_owned()).collect();
        let threshold = threshold.unwrap_or(f64::INFINITY);
        let eve = purpose.eve.map(|target| LineStream::open(target, purpose.rotate)).transpose();
        let eve = eve.map_err(explain_root)?.map(|lines| Eve::over(Box::new(lines), threshold, explain));
        let eve = eve
            .map(|eve| eve.limited(purpose.rate))
            .map(|eve| (eve.stats(), eve))
            .map(|(stats, eve)| (eve, stats));
        let scores = purpose.scores.map(ScoresCsv::create).transpose().map_err(explain_root)?;
        let record = purpose.record.map(PacketFile::create).transpose().map_err(explain_root)?;
        Ok(Self { eve, scores, record, names })
    }

    /// Completes them, and names those that are files.
    pub fn finish(
        &mut self,
        coverage: &Coverage,
        counters: BTreeMap<String, u64>,
    ) -> Result<Vec<String>, Failure> {
        if let Some((eve, stats)) = &mut self.eve {
            stats.set(RunStats { coverage: coverage.clone(), counters });
            eve.finish()?;
        }
        self.scores.as_mut().map_or(Ok(()), Sink::finish)?;
        self.record.as_mut().map_or(Ok(()), PacketFile::finish)?;
        Ok(std::mem::take(&mut self.names))
    }
}

/// Root without capabilities may be refused where root is used to be let in.
fn explain_root(error: SinkError) -> Failure {
    let refused = matches!(&error, SinkError::Create { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
    if !refused {
        return error.into();
    }
    Failure::fault(format!(
        "{error}; all capabilities are given up once the interface is open, so write into a folder of the user that runs this"
    ))
}

impl Results for Outputs {
    fn packet(&mut self, _: Timestamp, _: f64, _: Verdict, _: Option<bool>) {}

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        if let Some((eve, _)) = &mut self.eve {
            eve.write(batch)?;
        }
        self.scores.as_mut().map_or(Ok(()), |scores| scores.write(batch))?;
        let Some(record) = &mut self.record else { return Ok(()) };
        batch.packets.iter().try_for_each(|(packet, bytes)| record.packet(packet, bytes))?;
        Ok(())
    }

    fn suppressed(&self) -> Option<u64> {
        self.eve.as_ref().map(|(eve, _)| eve.suppressed())
    }

    fn complete(&mut self, coverage: &Coverage) -> Result<(), Fault> {
        self.finish(coverage, BTreeMap::new()).map(drop).map_err(|failure| Fault::new(failure.to_string()))
    }

    fn reads(&self) -> Columns {
        let eve = self.eve.as_ref().map_or(Columns::NONE, |(eve, _)| eve.reads());
        let scores = self.scores.as_ref().map_or(Columns::NONE, Sink::reads);
        let record = self.record.as_ref().map_or(Columns::NONE, |_| Columns::of(&[Column::Packets]));
        eve.union(scores).union(record)
    }
}
