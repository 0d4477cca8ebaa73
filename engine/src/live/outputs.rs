//! Where the results of a live run go.

use super::transmission::Transmission;
use super::upkeep::Upkeep;
use crate::scoring::Function;
use crate::summary::Service;
use crate::tally::Results;
use crate::{Error, Session};
use legonf_core::{
    Batch, BindError, ColumnSpec, Coverage, DropReason, Fault, Findings, Layout, Sink, Timestamp, Verdict,
};
use legonf_io::sink::{
    AlertRate, Eve, Framing, LineStream, Lines, Loss, PacketFile, ResultColumns, Rotation, RunStats,
    ScoresCsv, SinkError, StatsHandle, Syslog, SyslogTarget,
};
use legonf_live::Losses;
use legonf_output::one_line;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is wanted.
#[derive(Clone, Copy)]
pub struct Purpose<'a> {
    /// Alerts: a file, `-` or `unix:PATH`.
    pub eve: Option<&'a OsStr>,
    /// When a file of alerts is rotated.
    pub rotation: Rotation,
    /// Alerts as syslog messages.
    pub syslog: Option<&'a SyslogTarget>,
    /// Alerts as messages of NATS.
    #[cfg(feature = "nats")]
    pub nats: Option<&'a legonf_io::sink::NatsTarget>,
    /// How many alerts are written.
    pub rate: AlertRate,
    /// Name of the interface that packets come from.
    pub interface: Option<&'a str>,
    /// Scores.
    pub scores: Option<&'a Path>,
    /// The packets themselves.
    pub record: Option<&'a Path>,
}

/// Every output that is wanted.
pub struct Outputs {
    eve: Option<(Eve, StatsHandle)>,
    /// The same records as messages.
    syslog: Option<(Eve, StatsHandle)>,
    /// The same records as messages of a broker.
    nats: Option<(Eve, StatsHandle)>,
    scores: Option<ScoresCsv>,
    record: Option<PacketFile>,
    transmission: Option<Transmission>,
    names: Vec<String>,
    /// Set by SIGHUP.
    hang_up: &'static AtomicBool,
    reopened: u64,
    /// Says now and then what is due with the outputs.
    upkeep: Arc<Upkeep>,
    /// What never came.
    losses: Losses,
    alerts: u64,
}

impl Purpose<'_> {
    /// Whether one of the outputs is standard output.
    pub fn takes_standard_output(&self) -> bool {
        let files = [self.scores, self.record].into_iter().flatten().map(Path::as_os_str);
        files.chain(self.eve).any(|name| name == "-")
    }
}

impl Outputs {
    /// Opens them for what a function finds; `hang_up` says that files are to be opened anew.
    pub fn create(
        session: &Session,
        purpose: &Purpose<'_>,
        function: &Function,
        hang_up: &'static AtomicBool,
    ) -> Result<Self, Error> {
        let files = [purpose.scores, purpose.record].into_iter().flatten().map(Path::as_os_str);
        let names = purpose.eve.into_iter().chain(files).filter(|name| *name != "-");
        let names = names.map(|name| name.to_string_lossy().into_owned()).collect();
        let threshold = function.threshold.unwrap_or(f64::INFINITY);
        let alerts = |lines: Box<dyn Lines>| {
            let eve = Eve::over(lines, threshold, function.explainer()).limited(purpose.rate);
            let eve = match purpose.interface {
                Some(interface) => eve.on_interface(interface.to_owned()),
                None => eve,
            };
            let stats = eve.stats();
            (eve, stats)
        };
        let eve = purpose.eve.map(|target| open(session, LineStream::open(target, purpose.rotation)));
        let eve = eve.transpose()?.map(alerts);
        let syslog = purpose.syslog.map(Syslog::open).transpose().map_err(explain_root)?;
        let syslog = syslog.map(|syslog| alerts(Box::new(syslog)));
        #[cfg(feature = "nats")]
        let nats = purpose.nats.map(legonf_io::sink::Nats::open).transpose()?;
        #[cfg(feature = "nats")]
        let nats = nats.map(|nats| alerts(Box::new(nats)));
        #[cfg(not(feature = "nats"))]
        let nats = None;
        let fresh = |path: Option<&Path>, framing| {
            path.map(|path| open(session, LineStream::fresh(path, framing, Rotation::default()))).transpose()
        };
        let scores = fresh(purpose.scores, Framing::Lines)?;
        let results = ResultColumns::of(function.layout());
        let scores = scores.map(|lines| ScoresCsv::over(lines, results)).transpose()?;
        let record = fresh(purpose.record, Framing::Blocks)?;
        let comment = format!("legonf live: slot seed {}", function.slot_seed().unwrap_or(0));
        let record = record.map(|blocks| PacketFile::over(blocks, &comment)).transpose()?;
        let (transmission, upkeep, losses) = (None, Arc::default(), Losses::default());
        let (reopened, alerts) = (0, 0);
        Ok(Self {
            eve,
            syslog,
            nats,
            scores,
            record,
            transmission,
            names,
            hang_up,
            reopened,
            upkeep,
            losses,
            alerts,
        })
    }

    /// The same, with packets that leave.
    pub fn over(self, transmission: Option<Transmission>) -> Self {
        Self { transmission, ..self }
    }

    /// The same, with packets that never came.
    pub fn without(self, losses: Losses) -> Self {
        Self { losses, ..self }
    }

    /// By which what is due is asked for.
    pub fn upkeep(&self) -> Arc<Upkeep> {
        self.upkeep.clone()
    }

    /// Those to which alerts go.
    fn alerting(&mut self) -> impl Iterator<Item = &mut (Eve, StatsHandle)> {
        self.eve.iter_mut().chain(&mut self.syslog).chain(&mut self.nats)
    }

    /// What happened to them, beside how often the interface went down.
    pub fn service(&mut self, interface_down: u64) -> Service {
        let mut service = Service { interface_down, reopened: self.reopened, ..Service::default() };
        if let Some(transmission) = &self.transmission {
            (service.sent, service.unsent_copies) = transmission.sent();
        }
        for (name, output) in self.each() {
            let Loss { units, reason } = output.loss();
            service.lost.insert(name, units);
            service.trouble.extend(reason.map(|reason| (name, reason)));
        }
        service
    }

    fn each(&mut self) -> impl Iterator<Item = (&'static str, &mut dyn Lines)> {
        let eve = self.eve.as_mut().map(|(eve, _)| ("eve", eve.output()));
        let syslog = self.syslog.as_mut().map(|(syslog, _)| ("syslog", syslog.output()));
        let nats = self.nats.as_mut().map(|(nats, _)| ("nats", nats.output()));
        let scores = self.scores.as_mut().map(|scores| ("scores", scores.output()));
        let record = self.record.as_mut().map(|record| ("record", record.output()));
        eve.into_iter().chain(syslog).chain(nats).chain(scores).chain(record)
    }

    /// Does what signals and the time ask for.
    fn heed(&mut self) -> Result<(), Fault> {
        if is_set(self.hang_up) {
            self.reopened += 1;
            self.each().for_each(|(_, output)| output.reopen());
        }
        if self.upkeep.take_due() {
            self.each().try_for_each(|(_, output)| output.tend())?;
        }
        Ok(())
    }

    /// Completes them, and names those that are files.
    pub fn finish(
        &mut self,
        coverage: &Coverage,
        counters: BTreeMap<String, u64>,
    ) -> Result<Vec<String>, Error> {
        for (eve, stats) in self.alerting() {
            stats.set(RunStats { coverage: coverage.clone(), counters: counters.clone() });
            eve.finish()?;
        }
        self.scores.as_mut().map_or(Ok(()), Sink::finish)?;
        self.record.as_mut().map_or(Ok(()), PacketFile::finish)?;
        Ok(std::mem::take(&mut self.names))
    }
}

/// Whether a flag was set, which it is no more then.
pub(super) fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Relaxed)
}

/// An output that was opened, with a word where nobody reads it yet.
pub(super) fn open(
    session: &Session,
    opened: Result<LineStream, SinkError>,
) -> Result<Box<dyn Lines>, Error> {
    let output = opened.map_err(explain_root)?;
    if !output.is_read() {
        let note = "nobody reads yet; 4 MiB are kept, and what goes beyond is counted as lost";
        session.observer.note(&format!("{}: {note}", one_line(&output.name())));
    }
    Ok(Box::new(output))
}

/// Root without capabilities may be refused where root is used to be let in.
fn explain_root(error: SinkError) -> Error {
    let refused = matches!(&error, SinkError::Create { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied);
    if !refused {
        return error.into();
    }
    Error::refused(format!(
        "{error}; all capabilities are given up once the interface is open, so write into a folder of the user that runs this, or whom --user names"
    ))
}

impl Results for Outputs {
    fn threshold(&mut self, threshold: f64) {
        self.alerting().for_each(|(eve, _)| eve.set_threshold(threshold));
    }

    fn forward(&mut self, batch: &Batch) {
        self.transmission.iter_mut().for_each(|transmission| transmission.send(batch));
    }

    fn unsent(&self, place: usize) -> Option<DropReason> {
        self.transmission.as_ref()?.unsent(place)
    }

    fn packet(&mut self, _: Timestamp, _: f64, verdict: Verdict, _: Option<bool>) {
        self.alerts += u64::from(verdict == Verdict::ANOMALOUS);
    }

    fn write(&mut self, batch: &Batch, findings: &Findings) -> Result<(), Fault> {
        self.heed()?;
        self.upkeep.show_alerts(self.alerts);
        self.alerting().try_for_each(|(eve, _)| eve.write_found(batch, findings))?;
        self.scores.as_mut().map_or(Ok(()), |scores| scores.write(batch))?;
        let Some(record) = &mut self.record else { return Ok(()) };
        batch.packets.iter().try_for_each(|(packet, bytes)| record.packet(packet, bytes))?;
        Ok(record.flush()?)
    }

    fn tend(&mut self) -> Result<(), Fault> {
        self.heed()
    }

    fn end(&mut self, findings: &Findings) -> Result<(), Fault> {
        self.alerting().try_for_each(|(eve, _)| eve.write_incidents(findings))
    }

    fn account(&mut self, coverage: &Coverage) -> Result<(), Fault> {
        let Some((at, uptime)) = self.upkeep.take_stats() else { return Ok(()) };
        let mut stats = RunStats { coverage: coverage.clone(), ..RunStats::default() };
        let lost = self.losses.by_reason();
        lost.into_iter().for_each(|(reason, packets)| stats.coverage.lose(reason, packets));
        self.alerting().try_for_each(|(eve, _)| Ok(eve.tell(&stats, at, uptime)?))
    }

    fn held_back(&self) -> Option<u64> {
        self.eve.as_ref().or(self.syslog.as_ref()).or(self.nats.as_ref()).map(|(eve, _)| eve.held_back())
    }

    fn complete(&mut self, coverage: &Coverage) -> Result<(), Fault> {
        self.finish(coverage, BTreeMap::new()).map(drop).map_err(|error| Fault::new(error.to_string()))
    }

    fn reads(&self) -> Vec<ColumnSpec> {
        let eve = self.eve.as_ref().or(self.syslog.as_ref()).or(self.nats.as_ref());
        let eve = eve.and_then(|(eve, _)| eve.reads());
        let scores = self.scores.as_ref().and_then(Sink::reads);
        let record = self.record.as_ref().map(|_| vec![ColumnSpec::PACKETS]);
        let transmission = self.transmission.as_ref().map(|_| Transmission::reads().into());
        [eve, scores, record, transmission].into_iter().flatten().flatten().collect()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.alerting().try_for_each(|(eve, _)| eve.bind(layout))?;
        self.transmission.as_mut().map_or(Ok(()), |transmission| transmission.bind(layout))?;
        self.scores.as_mut().map_or(Ok(()), |scores| scores.bind(layout))
    }
}
