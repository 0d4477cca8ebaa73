//! The result folder of a replay.

use super::ScoreFormat;
use crate::folder::write_text;
use crate::summary::Summary;
use crate::tally::Results;
use crate::{Error, Session};
use legonf_core::{
    BATCH, Batch, BindError, ColumnSpec, Coverage, Explain, Fault, Layout, Sink, Timestamp, Verdict,
};
use legonf_io::Content;
use legonf_io::sink::{
    AlertPcap, AlertRate, Eve, ForwardedFiles, RunStats, ScorePlot, ScoresCsv, ScoresParquet, StatsHandle,
};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the folder is made for.
pub struct Purpose<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Format of the scores.
    pub format: ScoreFormat,
    /// What is replayed.
    pub content: Content,
    /// Title of the plot.
    pub title: String,
    /// Scores above this are anomalous.
    pub threshold: Option<f64>,
    /// Says why a packet is anomalous.
    pub explain: Option<Box<dyn Explain>>,
    /// How many alerts are written.
    pub rate: AlertRate,
    /// The ports by which packets leave; none where the graph forwards them as they came.
    pub ports: Vec<String>,
}

/// Every file of the folder. None has its name before it is whole.
pub struct Outputs {
    folder: PathBuf,
    table: Box<dyn Sink>,
    eve: Eve,
    /// None where there are no packets.
    alerts: Option<AlertPcap>,
    /// None where the graph forwards no packets.
    forwarded: Option<ForwardedFiles>,
    ports: Vec<String>,
    stats: StatsHandle,
    plot: ScorePlot,
    scores: &'static str,
    session: Session,
}

impl Outputs {
    /// Makes the folder and opens its files.
    pub fn create(session: &Session, purpose: Purpose<'_>) -> Result<Self, Error> {
        let folder = purpose.folder.to_owned();
        make(session, &folder)?;
        let threshold = purpose.threshold.unwrap_or(f64::INFINITY);
        // Rows of a table have no time, and so no rate.
        let rate = if purpose.content == Content::Packets { purpose.rate } else { AlertRate::ALL };
        let eve = Eve::create(&folder.join("eve.json"), threshold, purpose.explain)?.limited(rate);
        let stats = eve.stats();
        let (scores, table): (_, Box<dyn Sink>) = match purpose.format {
            ScoreFormat::Csv => ("scores.csv", Box::new(ScoresCsv::create(&folder.join("scores.csv"))?)),
            ScoreFormat::Parquet => {
                ("scores.parquet", Box::new(ScoresParquet::create(&folder.join("scores.parquet"))?))
            }
        };
        let plot = ScorePlot::new(purpose.title, threshold);
        let (alerts, plot) = match purpose.content {
            Content::Packets => (Some(AlertPcap::create(&folder.join("alerts.pcapng"))?), plot),
            Content::Features => (None, plot.over_rows()),
        };
        let ports = if purpose.content == Content::Packets { purpose.ports } else { Vec::new() };
        let forwarded = forwarded(session, &folder, &ports)?;
        Ok(Self { folder, table, eve, alerts, forwarded, ports, stats, plot, scores, session: *session })
    }

    /// Completes the tables and draws the plots.
    fn finish(&mut self, coverage: &Coverage, counters: BTreeMap<String, u64>) -> Result<Vec<String>, Error> {
        self.stats.set(RunStats { coverage: coverage.clone(), counters });
        for sink in self.sinks() {
            sink.finish()?;
        }
        let note = |text: &str| self.session.observer.note(text);
        match &self.alerts {
            None => note("the input is a table of features, so there is no alerts.pcapng and no time"),
            Some(alerts) if alerts.skipped() > 0 => {
                note("the input has no packets' bytes, so alerts.pcapng is empty");
            }
            Some(_) => {}
        }
        if self.forwarded.as_ref().is_some_and(|forwarded| forwarded.skipped() > 0) {
            note("the input has no packets' bytes, so nothing is forwarded");
        }
        self.plot.write_svg(&self.folder.join("scores.svg"))?;
        if let Some(text) = self.plot.write_png(&self.folder.join("scores.png"))? {
            note(text);
        }
        let names = [self.scores, "eve.json", "alerts.pcapng", "scores.svg", "scores.png"].into_iter();
        let written = names.filter(|name| self.alerts.is_some() || *name != "alerts.pcapng");
        let forwarded = self.ports.iter().map(|port| format!("{FORWARDED}/{}", ForwardedFiles::name(port)));
        Ok(written.map(Into::into).chain(forwarded).map(|name: String| self.path(&name)).collect())
    }

    /// [`finish`](Self::finish), and the summary behind that; names the files.
    pub fn conclude(
        &mut self,
        coverage: &Coverage,
        counters: BTreeMap<String, u64>,
        summary: &Summary,
    ) -> Result<Vec<String>, Error> {
        let mut written = self.finish(coverage, counters)?;
        written.push(self.summarize(summary)?);
        Ok(written)
    }

    /// Writes the summary, the last file: where it is, all the others are whole.
    fn summarize(&mut self, summary: &Summary) -> Result<String, Error> {
        write_text(&self.folder.join("summary.json"), &(serde_json::to_string_pretty(summary)? + "\n"))?;
        Ok(self.path("summary.json"))
    }

    fn sinks(&mut self) -> impl Iterator<Item = &mut (dyn Sink + 'static)> {
        let alerts = self.alerts.iter_mut().map(|alerts| alerts as &mut dyn Sink);
        let forwarded = self.forwarded.iter_mut().map(|forwarded| forwarded as &mut dyn Sink);
        [&mut *self.table, &mut self.eve as &mut dyn Sink].into_iter().chain(alerts).chain(forwarded)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Results for Outputs {
    fn packet(&mut self, timestamp: Timestamp, score: f64, verdict: Verdict, truth: Option<bool>) {
        self.plot.add(timestamp, score, verdict, truth);
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.table.write(batch)?;
        self.eve.write(batch)?;
        if let Some(alerts) = &mut self.alerts {
            alerts.write_some(batch, self.eve.written())?;
        }
        if let Some(forwarded) = &mut self.forwarded {
            forwarded.write(batch)?;
        }
        // What comes through a pipe is written as it comes; only there are batches not full before the end.
        if batch.len() < BATCH { self.sinks().try_for_each(|sink| sink.flush()) } else { Ok(()) }
    }

    fn suppressed(&self) -> Option<u64> {
        Some(self.eve.suppressed())
    }

    fn complete(&mut self, coverage: &Coverage) -> Result<(), Fault> {
        self.finish(coverage, BTreeMap::new()).map(drop).map_err(|error| Fault::new(error.to_string()))
    }

    fn reads(&self) -> Vec<ColumnSpec> {
        let alerts = self.alerts.as_ref().and_then(Sink::reads);
        let forwarded = self.forwarded.as_ref().and_then(Sink::reads);
        [self.table.reads(), self.eve.reads(), alerts, forwarded].into_iter().flatten().flatten().collect()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.sinks().try_for_each(|sink| sink.bind(layout))
    }
}

/// The folder of the packets that leave.
const FORWARDED: &str = "forwarded";

/// Opens the files of the packets that leave, where there are ports.
fn forwarded(session: &Session, folder: &Path, ports: &[String]) -> Result<Option<ForwardedFiles>, Error> {
    if ports.is_empty() {
        return Ok(None);
    }
    let folder = folder.join(FORWARDED);
    make(session, &folder)?;
    Ok(Some(ForwardedFiles::create(&folder, ports)?))
}

fn make(session: &Session, folder: &Path) -> Result<(), Error> {
    session.check_folder(Some(folder))?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::refused(format!("--out {}: {e}", folder.display())))
        }
        _ => Ok(()),
    }
}
