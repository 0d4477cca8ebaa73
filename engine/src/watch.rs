//! What is found of a run's packets beside their results: incidents, hosts, and how these compare with the labels.

use crate::Error;
use crate::monitor::{Monitor, SuppressionChanges};
use crate::scoring::Function;
use crate::suppression::{Suppressed, Suppression};
use legonf_core::{
    Batch, BindError, ColumnSpec, DropReason, Explain, Findings, Handle, Headers, Incident, Layout, Rows,
    Verdict,
};
use legonf_decide::evaluate::{SpanReport, Windows};
use legonf_decide::{HostReport, Hosts, IncidentCounts, IncidentOptions, Incidents, Seen};
use legonf_io::FEATURES;
use legonf_io::sink::{IncidentFile, SinkError};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How alerts become incidents, and which are not told of.
#[derive(Clone, Debug)]
pub struct Watching {
    /// A gap between two alerts of a source that ends its incident.
    pub gap: Duration,
    /// Whom alerts are not to be told of: a file of suppressions (TOML).
    pub suppress: Option<PathBuf>,
    /// A file of incidents: JSON, CSV or Parquet by its extension.
    pub incidents: Option<PathBuf>,
}

impl Default for Watching {
    fn default() -> Self {
        Self { gap: IncidentOptions::GAP, suppress: None, incidents: None }
    }
}

/// What a decision on one packet was.
pub(crate) struct Decided {
    pub score: f64,
    pub verdict: Verdict,
    pub dropped: Option<DropReason>,
    pub malicious: Option<bool>,
}

impl Decided {
    /// Of a packet that was dropped before it was decided.
    pub fn nothing(dropped: DropReason) -> Self {
        Self { score: f64::NAN, verdict: Verdict::REJECTED, dropped: Some(dropped), malicious: None }
    }
}

/// Watches a run.
#[derive(Debug)]
pub(crate) struct Watch {
    incidents: Incidents,
    suppression: Suppression,
    hosts: Option<Hosts>,
    windows: Option<Windows>,
    features: Option<Handle<Rows>>,
    findings: Findings,
    file: Option<(IncidentFile, String)>,
    /// Where it hears of other suppressions, and the number of the packet that comes next.
    changes: Option<SuppressionChanges>,
    next: u64,
}

/// Incidents of a run, in short.
#[derive(Clone, Debug, Serialize)]
pub struct IncidentSummary {
    /// How many.
    #[serde(flatten)]
    pub counts: IncidentCounts,
    /// Those of most weight, at most ten.
    pub top: Vec<Incident>,
}

/// What a watch has found in the end.
#[derive(Debug)]
pub(crate) struct Found {
    pub incidents: Vec<Incident>,
    pub counts: IncidentCounts,
    pub hosts: Option<HostReport>,
    pub figures: Option<SpanReport>,
    pub suppressed: Option<u64>,
    pub rules: Vec<Suppressed>,
}

/// Incidents of a summary, at most.
const TOP: usize = 10;

impl Found {
    /// The incidents for a summary.
    pub fn summary(&self) -> IncidentSummary {
        IncidentSummary { counts: self.counts, top: self.incidents.iter().take(TOP).cloned().collect() }
    }
}

impl Watching {
    /// Checks the name of the file of incidents, and reads that of suppressions, if there is one.
    ///
    /// # Errors
    /// If the one has no known format, or as [`Suppression::open`].
    pub(crate) fn suppression(&self) -> Result<Suppression, Error> {
        if let Some(path) = self.incidents.as_deref().filter(|path| !IncidentFile::knows(path)) {
            return Err(SinkError::UnknownTable { path: path.display().to_string() }.into());
        }
        self.suppress.as_deref().map_or_else(|| Ok(Suppression::default()), Suppression::open)
    }

    /// A watch of a function that decides on scores. With `files` incidents are explained.
    ///
    /// # Errors
    /// If the file of incidents cannot be made.
    pub(crate) fn watch(
        &self,
        function: &Function,
        suppression: Suppression,
        files: bool,
    ) -> Result<Watch, Error> {
        let seed = function.slot_seed().unwrap_or_default();
        let threshold = function.threshold.unwrap_or(f64::INFINITY);
        let explain = (files || self.incidents.is_some()).then(|| function.explainer()).flatten();
        let create =
            |path: &PathBuf| Ok::<_, Error>((IncidentFile::create(path)?, path.display().to_string()));
        let file = self.incidents.as_ref().map(create).transpose()?;
        let watch = Watch::new(IncidentOptions { gap: self.gap, threshold, seed }, explain);
        Ok(Watch { suppression, file, ..watch })
    }
}

/// A watch whose suppressions can change, if it is seen and the run is to change, with where changes go.
pub(crate) fn changing(
    monitor: Option<&Arc<Monitor>>,
    watch: Option<Watch>,
) -> (Option<Watch>, Option<SuppressionChanges>) {
    let is_open = watch.is_some() && monitor.is_some_and(|monitor| monitor.is_changeable());
    let changes = is_open.then(SuppressionChanges::default);
    (watch.map(|watch| watch.changing(changes.clone())), changes)
}

impl Watch {
    /// A watch without suppressions and files.
    pub fn new(options: IncidentOptions, explain: Option<Box<dyn Explain>>) -> Self {
        Self {
            incidents: Incidents::new(options, explain),
            suppression: Suppression::default(),
            hosts: None,
            windows: None,
            features: None,
            findings: Findings::default(),
            file: None,
            changes: None,
            next: 0,
        }
    }

    /// The same with suppressions that change while the run goes on.
    pub fn changing(self, changes: Option<SuppressionChanges>) -> Self {
        Self { changes, ..self }
    }

    /// The same with what is seen of each host.
    pub fn with_hosts(self, seed: u64) -> Self {
        Self { hosts: Some(Hosts::new(seed)), ..self }
    }

    /// The same with figures beside labels.
    pub fn with_labels(self) -> Self {
        Self { windows: Some(Windows::default()), ..self }
    }

    /// The columns that it looks at.
    pub fn reads(&self) -> Option<ColumnSpec> {
        self.incidents.explains().then_some(FEATURES)
    }

    /// As [`Sink::bind`](legonf_core::Sink::bind).
    pub fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = self.reads().map(|spec| layout.handle(&spec)).transpose()?;
        Ok(())
    }

    /// Packets are judged by another threshold from now on.
    pub fn set_threshold(&mut self, threshold: f64) {
        self.incidents.set_threshold(threshold);
    }

    /// Begins another batch.
    pub fn begin(&mut self, batch: &Batch) {
        self.findings.clear();
        self.next = batch.first_number().unwrap_or(self.next);
        self.tend();
        self.next += batch.headers.len() as u64;
    }

    /// Changes suppressions where that was asked for.
    pub fn tend(&mut self) {
        if let Some(changes) = &self.changes {
            changes.take(self.next, &mut self.suppression);
        }
    }

    /// What was suppressed so far, by rule.
    pub fn suppressed(&self) -> Vec<Suppressed> {
        self.suppression.told()
    }

    /// Takes what was decided of a packet of the batch.
    pub fn note(&mut self, batch: &Batch, place: usize, decided: &Decided) {
        let headers = &batch.headers[place];
        let Decided { score, verdict, dropped, malicious } = *decided;
        let is_alert = verdict == Verdict::ANOMALOUS;
        // What nobody explains is not looked up.
        let rows = self.features.filter(|_| is_alert).map(|features| batch.columns.get(features));
        let features = rows.filter(|rows| rows.len() == batch.len()).map(|rows| rows.row(place));
        let suppressed = is_alert && self.suppression.takes(headers);
        let seen = Seen { headers, score, verdict, dropped, malicious, features, suppressed };
        self.incidents.note(&seen, &mut self.findings);
        self.compare(headers, decided);
    }

    fn compare(&mut self, headers: &Headers, decided: &Decided) {
        let Decided { score, verdict, malicious, .. } = *decided;
        if verdict == Verdict::REJECTED {
            return;
        }
        if let Some(hosts) = &mut self.hosts {
            hosts.add(headers, score, verdict, malicious);
        }
        if let Some((windows, malicious)) = self.windows.as_mut().zip(malicious) {
            windows.push(headers, verdict, malicious);
        }
    }

    /// What was found of the batch.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Incidents that go on, up to so many of most packets.
    pub fn open(&self, most: usize) -> Vec<Incident> {
        self.incidents.open(most)
    }

    /// Ends the incidents that are open.
    pub fn end(&mut self) -> &Findings {
        self.changes.iter().for_each(SuppressionChanges::end);
        self.findings.clear();
        self.incidents.finish(&mut self.findings);
        &self.findings
    }

    /// What was found in all, in the file of incidents too, whose name is given.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn conclude(&mut self) -> Result<(Found, Option<String>), Error> {
        let incidents = self.incidents.ranked();
        let truths = || self.hosts.iter().flat_map(Hosts::truths);
        let right =
            incidents.iter().filter_map(|incident| incident.malicious.map(|packets| (packets > 0, true)));
        let figures = self.windows.map(|windows| windows.beside(truths(), right));
        let (suppressed, rules) = (self.suppression.alerts(), self.suppression.told());
        let name = self.file.take().map(|(mut file, name)| file.write(&incidents).map(|()| name));
        let (counts, hosts) = (self.incidents.counts(), self.hosts.as_ref().map(Hosts::report));
        let found = Found { incidents, counts, hosts, figures, suppressed, rules };
        Ok((found, name.transpose()?))
    }
}
