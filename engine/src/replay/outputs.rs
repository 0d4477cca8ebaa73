//! The result folder of a replay.

use super::ScoreFormat;
use crate::folder::write_text;
use crate::playback;
use crate::summary::Summary;
use crate::tally::{Results, decides_on_scores};
use crate::watch::Found;
use crate::{Error, Session};
use legonf_core::{
    BATCH, Batch, BindError, ColumnSpec, Coverage, Explain, Fault, Findings, Layout, Sink, Timestamp, Verdict,
};
use legonf_decide::{HostReport, Shares};
use legonf_io::Content;
use legonf_io::sink::{
    AlertPcap, AlertRate, Eve, ForwardedFiles, HostStrips, IncidentFile, ResultColumns, RunStats, ScorePlot,
    ScoresCsv, ScoresParquet, StatsHandle, Strip, Theme,
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
    /// What the graph finds for each packet.
    pub results: ResultColumns,
    /// Whether it decides on scores, so that there can be alerts.
    pub alerts: bool,
    /// The ground of the plots.
    pub theme: Theme,
    /// Packets at the beginning of the capture that the model was trained on.
    pub trained: u64,
    /// Packets that its threshold comes from: the first, and the first behind them.
    pub calibrated: Option<(u64, u64)>,
    /// The ports by which packets leave; none where the graph forwards them as they came.
    pub ports: Vec<String>,
}

impl<'a> Purpose<'a> {
    /// A folder for what a graph finds of packets, without a title, as if nobody had asked for more.
    pub fn new(folder: &'a Path, layout: &Layout) -> Self {
        Self {
            folder,
            format: ScoreFormat::Csv,
            content: Content::Packets,
            title: String::new(),
            threshold: None,
            explain: None,
            rate: AlertRate::default(),
            results: ResultColumns::of(layout),
            alerts: decides_on_scores(layout),
            theme: Theme::Light,
            trained: 0,
            calibrated: None,
            ports: Vec::new(),
        }
    }
}

/// Every file of the folder. None has its name before it is whole.
pub struct Outputs {
    folder: PathBuf,
    table: Box<dyn Sink>,
    /// Name of the table's file.
    table_name: String,
    /// None where nothing is decided on scores.
    alerts: Option<Alerts>,
    /// None where the graph forwards no packets.
    forwarded: Option<ForwardedFiles>,
    ports: Vec<String>,
    session: Session,
}

/// What is written of decisions on scores.
struct Alerts {
    eve: Eve,
    stats: StatsHandle,
    /// None where there are no packets.
    packets: Option<AlertPcap>,
    plot: ScorePlot,
}

impl Alerts {
    fn create(purpose: Purpose<'_>) -> Result<Self, Error> {
        let threshold = purpose.threshold.unwrap_or(f64::INFINITY);
        // Rows of a table have no time, and so no rate.
        let rate = if purpose.content == Content::Packets { purpose.rate } else { AlertRate::ALL };
        let eve = Eve::create(&purpose.folder.join("eve.json"), threshold, purpose.explain)?.limited(rate);
        let stats = eve.stats();
        let plot = ScorePlot::new(purpose.title, threshold).on(purpose.theme).trained_on(purpose.trained);
        let plot = purpose.calibrated.map_or(plot.clone(), |(first, end)| plot.calibrated_on(first, end));
        let (packets, plot) = match purpose.content {
            Content::Packets => (Some(AlertPcap::create(&purpose.folder.join("alerts.pcapng"))?), plot),
            Content::Features => (None, plot.over_rows()),
        };
        Ok(Self { eve, stats, packets, plot })
    }

    fn sinks(&mut self) -> impl Iterator<Item = &mut (dyn Sink + 'static)> {
        let packets = self.packets.iter_mut().map(|packets| packets as &mut dyn Sink);
        std::iter::once(&mut self.eve as &mut dyn Sink).chain(packets)
    }

    fn write(&mut self, batch: &Batch, findings: &Findings) -> Result<(), Fault> {
        self.eve.write_found(batch, findings)?;
        let Some(packets) = &mut self.packets else { return Ok(()) };
        packets.write_some(batch, self.eve.written())
    }

    /// Draws the plots, and names the files.
    fn draw(&mut self, folder: &Path, session: &Session) -> Result<Vec<&'static str>, Error> {
        let note = |text: &str| session.observer.note(text);
        match &self.packets {
            None => note("the input is a table of features, so there is no alerts.pcapng and no time"),
            Some(packets) if packets.skipped() > 0 => {
                note("the input has no packets' bytes, so alerts.pcapng is empty");
            }
            Some(_) => {}
        }
        self.plot.write_svg(&folder.join("scores.svg"))?;
        if let Some(text) = self.plot.write_png(&folder.join("scores.png"))? {
            note(text);
        }
        let names = ["eve.json", "alerts.pcapng", "scores.svg", "scores.png"].into_iter();
        Ok(names.filter(|name| self.packets.is_some() || *name != "alerts.pcapng").collect())
    }
}

impl Outputs {
    /// Makes the folder and opens its files.
    pub fn create(session: &Session, purpose: Purpose<'_>) -> Result<Self, Error> {
        let folder = purpose.folder.to_owned();
        make(session, &folder)?;
        let name = if purpose.alerts { "scores" } else { "verdicts" };
        let results = purpose.results.clone();
        let (table_name, table): (_, Box<dyn Sink>) = match purpose.format {
            ScoreFormat::Csv => {
                let name = format!("{name}.csv");
                let table = ScoresCsv::create(&folder.join(&name), results)?;
                (name, Box::new(table))
            }
            ScoreFormat::Parquet => {
                let name = format!("{name}.parquet");
                let table = ScoresParquet::create(&folder.join(&name), results)?;
                (name, Box::new(table))
            }
        };
        let ports = if purpose.content == Content::Packets { purpose.ports.clone() } else { Vec::new() };
        let forwarded = forwarded(session, &folder, &ports)?;
        let alerts = purpose.alerts.then(|| Alerts::create(purpose)).transpose()?;
        Ok(Self { folder, table, table_name, alerts, forwarded, ports, session: *session })
    }

    /// Completes the tables and draws the plots.
    fn finish(&mut self, coverage: &Coverage, counters: BTreeMap<String, u64>) -> Result<Vec<String>, Error> {
        if let Some(alerts) = &self.alerts {
            alerts.stats.set(RunStats { coverage: coverage.clone(), counters });
        }
        for sink in self.sinks() {
            sink.finish()?;
        }
        let mut written = vec![self.path(&self.table_name)];
        if let Some(alerts) = &mut self.alerts {
            let drawn = alerts.draw(&self.folder, &self.session)?;
            written.extend(drawn.into_iter().map(|name| self.path(name)));
        }
        if self.forwarded.as_ref().is_some_and(|forwarded| forwarded.skipped() > 0) {
            self.session.observer.note("the input has no packets' bytes, so nothing is forwarded");
        }
        let forwarded = self.ports.iter().map(|port| format!("{FORWARDED}/{}", ForwardedFiles::name(port)));
        written.extend(forwarded.map(|name| self.path(&name)));
        Ok(written)
    }

    /// [`finish`](Self::finish), and the summary behind that; names the files.
    pub fn conclude(
        &mut self,
        (coverage, counters): (&Coverage, BTreeMap<String, u64>),
        summary: &Summary,
        (found, playback): (Option<&Found>, Option<&str>),
    ) -> Result<Vec<String>, Error> {
        if let Some((alerts, found)) = self.alerts.as_mut().zip(found) {
            alerts.plot.mark(&found.incidents);
            alerts.plot.show(found.hosts.as_ref().map(strips).unwrap_or_default());
        }
        let mut written = self.finish(coverage, counters)?;
        if let Some(found) = found {
            written.extend(self.tell(found)?);
        }
        if let Some(playback) = playback {
            write_text(&self.folder.join(playback::FILE), playback)?;
            written.push(self.path(playback::FILE));
        }
        written.push(self.summarize(summary)?);
        Ok(written)
    }

    /// Writes incidents and hosts.
    fn tell(&mut self, found: &Found) -> Result<Vec<String>, Error> {
        IncidentFile::create(&self.folder.join(INCIDENTS))?.write(&found.incidents)?;
        let mut written = vec![self.path(INCIDENTS)];
        if let Some(hosts) = &found.hosts {
            write_text(&self.folder.join(HOSTS), &(serde_json::to_string_pretty(hosts)? + "\n"))?;
            written.push(self.path(HOSTS));
        }
        Ok(written)
    }

    /// Writes the summary, the last file: where it is, all the others are whole.
    fn summarize(&mut self, summary: &Summary) -> Result<String, Error> {
        write_text(&self.folder.join("summary.json"), &(serde_json::to_string_pretty(summary)? + "\n"))?;
        Ok(self.path("summary.json"))
    }

    fn sinks(&mut self) -> impl Iterator<Item = &mut (dyn Sink + 'static)> {
        let forwarded = self.forwarded.iter_mut().map(|forwarded| forwarded as &mut dyn Sink);
        std::iter::once(&mut *self.table)
            .chain(self.alerts.iter_mut().flat_map(Alerts::sinks))
            .chain(forwarded)
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Results for Outputs {
    fn threshold(&mut self, threshold: f64) {
        self.alerts.iter_mut().for_each(|alerts| alerts.eve.set_threshold(threshold));
    }

    fn packet(&mut self, timestamp: Timestamp, score: f64, verdict: Verdict, truth: Option<bool>) {
        self.alerts.iter_mut().for_each(|alerts| alerts.plot.add(timestamp, score, verdict, truth));
    }

    fn write(&mut self, batch: &Batch, findings: &Findings) -> Result<(), Fault> {
        self.table.write(batch)?;
        self.alerts.as_mut().map_or(Ok(()), |alerts| alerts.write(batch, findings))?;
        self.forwarded.as_mut().map_or(Ok(()), |forwarded| forwarded.write(batch))?;
        // What comes through a pipe is written as it comes; only there are batches not full before the end.
        if batch.len() < BATCH { self.sinks().try_for_each(|sink| sink.flush()) } else { Ok(()) }
    }

    fn end(&mut self, findings: &Findings) -> Result<(), Fault> {
        self.alerts.as_mut().map_or(Ok(()), |alerts| alerts.eve.write_incidents(findings))
    }

    fn held_back(&self) -> Option<u64> {
        self.alerts.as_ref().map(|alerts| alerts.eve.held_back())
    }

    fn complete(&mut self, coverage: &Coverage) -> Result<(), Fault> {
        self.finish(coverage, BTreeMap::new()).map(drop).map_err(|error| Fault::new(error.to_string()))
    }

    fn reads(&self) -> Vec<ColumnSpec> {
        let eve = self.alerts.as_ref().and_then(|alerts| alerts.eve.reads());
        let packets = self.alerts.as_ref().and_then(|alerts| alerts.packets.as_ref()?.reads());
        let forwarded = self.forwarded.as_ref().and_then(Sink::reads);
        [self.table.reads(), eve, packets, forwarded].into_iter().flatten().flatten().collect()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.sinks().try_for_each(|sink| sink.bind(layout))
    }
}

/// The file of incidents.
pub(crate) const INCIDENTS: &str = "incidents.json";
/// The file of what was seen of each host.
pub(crate) const HOSTS: &str = "hosts.json";
/// Hosts that the plot shows, at most.
const SHOWN: usize = 10;
/// The folder of the packets that leave.
const FORWARDED: &str = "forwarded";

/// Opens the files of the packets that leave, where there are ports.
fn forwarded(session: &Session, folder: &Path, ports: &[String]) -> Result<Option<ForwardedFiles>, Error> {
    if ports.is_empty() {
        return Ok(None);
    }
    let folder = folder.join(FORWARDED);
    if folder.is_symlink() {
        let reason = "it is a link, and would lead the packets elsewhere; remove it";
        return Err(Error::refused(format!("--out {}: {reason}", folder.display())));
    }
    make(session, &folder)?;
    Ok(Some(ForwardedFiles::create(&folder, ports)?))
}

/// The hosts that the plot shows.
fn strips(report: &HostReport) -> HostStrips {
    let strip = |host: Shares| Strip { name: host.source.to_string(), shares: host.shares };
    let hosts = report.shares(SHOWN).into_iter().map(strip).collect();
    HostStrips { begin: report.begin, span: report.span_nanoseconds(), hosts }
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
