//! A capture through a network function: a score and a verdict for every packet.

mod outputs;

pub(crate) use outputs::{Outputs, Purpose};

use crate::agent::Agent;
use crate::captures::{Captures, Series};
use crate::monitor::{self, Accounting, Monitor, Monitored, Renewing};
use crate::network::Network;
use crate::scoring::{Function, Report, Scoring, ending};
use crate::standby;
use crate::steering::{Steering, Work};
use crate::summary::{Disturbances, Timing, with_clock};
use crate::suppression::Suppression;
use crate::tally::Tally;
use crate::watch::{Found, Watch, Watching, changing};
use crate::{Error, Extent, Session, input, seed};
use legonf_controller::Event;
use legonf_core::Source;
use legonf_decide::IncidentOptions;
use legonf_io::Content;
use legonf_io::labels::Labels;
use legonf_io::sink::{AlertRate, Theme};
use legonf_runtime::{Graph, GraphSpec, Outcome};
use std::path::PathBuf;
use std::sync::Arc;

/// Format of the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[allow(missing_docs, reason = "the formats' names say it all, also in the help of a command")]
pub enum ScoreFormat {
    #[default]
    Csv,
    Parquet,
}

/// A replay: what goes in, what scores it, and what is written. Two replays of one capture write the same bytes, whatever the
/// layout.
///
/// The folder gets `scores.csv` (or `.parquet`), `eve.json`, `alerts.pcapng`, `incidents.json`, `hosts.json`, `scores.svg`, `scores.png`
/// and `summary.json`. For a graph
/// that decides on no score it gets `verdicts.csv` (or `.parquet`) and `summary.json` alone. If bricks act on packets, it also
/// gets `forwarded/PORT.pcapng` for each port of the graph. A table of features in place of the capture starts at feature
/// mapping; it has no times and no packets.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Captures or tables of features.
    pub captures: Captures,
    /// What scores the packets.
    pub scoring: Scoring,
    /// Folder for the results; nothing is written without one.
    pub out: Option<PathBuf>,
    /// Format of the scores.
    pub scores: ScoreFormat,
    /// How many alerts are written.
    pub alerts: AlertRate,
    /// How alerts become incidents.
    pub watching: Watching,
    /// The ground of the plots.
    pub theme: Theme,
    /// Truth of every packet.
    pub labels: Option<PathBuf>,
    /// Read only the first packets.
    pub limit: Option<u64>,
    /// The controller that may change the layout meanwhile; without it the layout stays.
    pub steering: Option<Steering>,
    /// By which others see the run, and change its layout.
    pub monitor: Option<Arc<Monitor>>,
}

impl Replay {
    /// A replay of a whole capture, of which nothing is written.
    pub fn new(capture: impl Into<PathBuf>, scoring: Scoring) -> Self {
        Self {
            captures: Captures::from(capture.into()),
            scoring,
            out: None,
            scores: ScoreFormat::default(),
            alerts: AlertRate::default(),
            watching: Watching::default(),
            theme: Theme::Light,
            labels: None,
            limit: None,
            steering: None,
            monitor: None,
        }
    }

    /// Runs the capture through the graph, under a controller if there is one, and completes the outputs.
    ///
    /// Where the run ends early, by a fault of the capture or of a brick or because the session is stopped, what came before is
    /// complete, and the report says why.
    ///
    /// # Errors
    /// If nothing can be run, the labels are not those of the packets, or the results cannot be written.
    pub fn run(&self, session: &Session) -> Result<Report, Error> {
        let orders = self.steering.as_ref().map(Steering::orders).transpose()?;
        session.check_folder(self.out.as_deref())?;
        session.check_outputs(self.watching.incidents.as_deref())?;
        let suppression = self.watching.suppression()?;
        monitor::open(self.monitor.as_ref())?;
        let redundancy = self.scoring.redundancy()?;
        let opened = self.scoring.open(session)?;
        let schema = opened.schema()?;
        let series = self.captures.find(session, Some(&schema))?;
        let (content, source) = series.open_any(session, self.limit, &schema)?;
        self.scoring.warm_up.check(session, (&series, content), self.limit)?;
        let partner = standby::meet(redundancy, session, self.scoring.placement.lease)?;
        let scoring = self.scoring.seeded(partner.as_ref());
        let may_change = scoring.may_change(self.monitor.as_ref());
        let mut function =
            scoring.build_with(session, opened, content, may_change || !scoring.swaps.is_empty())?;
        if self.labels.is_some() && !function.decides_on_scores() {
            let reason =
                "the graph decides on no score, which labels could be compared with; leave --labels out";
            return Err(self.scoring.refused(reason));
        }
        let controlled = self.steering.as_ref().zip(orders);
        let agent = controlled.map(|(steering, orders)| steering.agent(orders, &mut function)).transpose()?;
        let labels = self.truth(session, &series)?;
        let (watch, suppressions) =
            changing(self.monitor.as_ref(), self.watch(content, &function, suppression)?);
        let (source, joined) = standby::join(partner, session, &function, (content, source))?;
        let outputs = self.outputs(session, (content, &series), &function)?;
        let accounting = self.monitor.as_ref().map(|monitor| Accounting::new(monitor, Box::new(|_| ())));
        let tally = Tally::new(labels, outputs)
            .bounded(function.bound())
            .watched(watch)
            .monitored(accounting)
            .following(function.swaps().cloned());
        let is_kept = self.out.is_some() && content == Content::Packets;
        let tally = if is_kept { tally.kept() } else { tally };
        let renewing = Renewing::new(session, function.swaps().cloned(), suppressions);
        self.monitor.iter().for_each(|monitor| monitor.locate(function.locations()));
        monitor::begin(self.monitor.as_ref(), || (function.monitored(agent.is_some()), renewing));
        let report = self.score(session, (function, series), agent, tally, source)?;
        Ok(Report { standby: joined.map(|joined| joined.report()), ..report })
    }

    fn score(
        &self,
        session: &Session,
        (mut function, series): (Function, Series),
        mut agent: Option<Agent>,
        mut tally: Tally<Outputs>,
        mut source: Box<dyn Source>,
    ) -> Result<Report, Error> {
        let bar = session.begin("replay", Extent::Bytes);
        let mut monitored = Monitored::new(agent.as_mut(), self.monitor.as_ref());
        let mut observe = |progress, packets| bar.update(progress, packets);
        let ran = function.run(
            session,
            monitored.control(),
            (&mut *source, &mut tally),
            session.stop,
            &mut observe,
        );
        drop(monitored);
        drop(bar);
        drop(source);
        let (outcome, timing) = ran?;
        self.check_labels(&mut tally, &outcome)?;
        self.conclude((&mut function, &series), tally, (outcome, timing), agent)
    }

    /// Completes the outputs, and says how the run ended.
    fn conclude(
        &self,
        (function, series): (&mut Function, &Series),
        mut tally: Tally<Outputs>,
        (mut outcome, timing): (Outcome, Timing),
        agent: Option<Agent>,
    ) -> Result<Report, Error> {
        let controller = agent.as_ref().map(Agent::ending);
        let (found, file) = tally.found()?;
        let mut summary =
            self.scoring.summary(series.title(), function, (&mut tally, found.as_ref()), &outcome);
        summary.read_from(series);
        let (disturbances, counters) = (Disturbances::of(&outcome), with_clock(&outcome));
        let whole = outcome.fault.is_none();
        let ended = ending(&mut outcome);
        summary.ended_early = ended.as_ref().map(ToString::to_string);
        let coverage = tally.coverage().clone();
        let playback = self.playback(function, &mut tally, found.as_ref())?;
        let found = (found.as_ref(), playback.as_deref());
        let completed =
            tally.outputs().map(|results| results.conclude((&coverage, counters), &summary, found));
        let decided = self.decided(agent, series, outcome.packets);
        let mut outputs = completed.transpose()?.unwrap_or_default();
        outputs.extend(file);
        self.scoring.save_state(function, (&outcome.clock, whole), &mut outputs)?;
        Ok(Report {
            summary,
            timing,
            disturbances,
            outputs,
            controller,
            service: None,
            standby: None,
            ended,
            decided,
        })
    }

    /// What is needed to look at the run again, which says nothing of its layout.
    fn playback(
        &self,
        function: &mut Function,
        tally: &mut Tally<Outputs>,
        found: Option<&Found>,
    ) -> Result<Option<String>, Error> {
        let Some(kept) = tally.playback() else { return Ok(None) };
        let incidents = found.map(|found| &*found.incidents).unwrap_or_default();
        Ok(Some(kept.text(function.monitored(false).anywhere(), incidents)?))
    }

    /// What gathers alerts into incidents; none where there can be no alerts, or rows have neither time nor source.
    fn watch(
        &self,
        content: Content,
        function: &Function,
        suppression: Suppression,
    ) -> Result<Option<Watch>, Error> {
        if content != Content::Packets || !function.decides_on_scores() {
            let reason =
                "there are no incidents where packets have no scores; leave --incidents and --suppress out";
            let needless = self.watching.incidents.is_some() || self.watching.suppress.is_some();
            return if needless { Err(self.scoring.refused(reason)) } else { Ok(None) };
        }
        let watch =
            self.watching.watch(function, suppression, self.out.is_some() || self.monitor.is_some())?;
        let watch = if self.labels.is_some() { watch.with_labels() } else { watch };
        let hosts = self.labels.is_some() || self.out.is_some();
        let seed = function.slot_seed().unwrap_or_default();
        Ok(Some(if hosts { watch.with_hosts(seed) } else { watch }))
    }

    /// The labels, of the packets that count.
    fn truth(&self, session: &Session, series: &Series) -> Result<Option<Labels>, Error> {
        let Some(path) = &self.labels else { return Ok(None) };
        let labels = input::labels(session, path)?;
        Ok(Some(match series.positions(session, self.limit)? {
            Some(positions) => labels.at(positions),
            None => labels,
        }))
    }

    fn decided(&self, agent: Option<Agent>, series: &Series, packets: u64) -> Result<Vec<Event>, Error> {
        let Some((steering, mut agent)) = self.steering.as_ref().zip(agent) else { return Ok(Vec::new()) };
        let (graph, capture) = (self.scoring.graph_name(), series.title());
        steering.conclude(&mut agent, Work { graph, capture, packets })
    }

    fn outputs(
        &self,
        session: &Session,
        (content, series): (Content, &Series),
        function: &Function,
    ) -> Result<Option<Outputs>, Error> {
        let Some(folder) = &self.out else { return Ok(None) };
        let item = if content == Content::Features { "row" } else { "packet" };
        let known = function.known(series)?;
        let title = format!("{}: anomaly score of every {item}", series.title());
        let purpose = Purpose {
            format: self.scores,
            content,
            title,
            threshold: function.threshold,
            explain: function.explainer(),
            rate: self.alerts,
            theme: self.theme,
            trained: known.trained,
            calibrated: known.calibrated,
            ports: function.ports(),
            ..Purpose::new(folder, function.layout())
        };
        Ok(Some(Outputs::create(session, purpose)?))
    }

    /// Checks, before anything is said of them, that the labels were those of the packets.
    fn check_labels(&self, tally: &mut Tally<Outputs>, outcome: &Outcome) -> Result<(), Error> {
        // What ends before the capture leaves labels over, which is not a fault.
        let early = self.limit.is_some() || outcome.stopped || outcome.fault.is_some();
        if early { Ok(()) } else { tally.check_labels() }
    }
}

/// The tally of a replay of packets by a network, with the outputs that it writes into a folder, to be measured.
pub(crate) fn measured(
    session: &Session,
    folder: &std::path::Path,
    network: Option<&Network>,
    threshold: Option<f64>,
    (spec, graph): (&GraphSpec, &Graph),
) -> Result<Tally<Outputs>, Error> {
    let threshold = threshold.or(network.and_then(Network::threshold));
    let explain = network.and_then(Network::explainer);
    let ports = if graph.forwards() { spec.port_names() } else { Vec::new() };
    let purpose = Purpose { threshold, explain, ports, ..Purpose::new(folder, graph.layout()) };
    let alerts = purpose.alerts;
    let outputs = Outputs::create(session, purpose)?;
    let seed = seed::of(spec).unwrap_or_default();
    let options =
        IncidentOptions { gap: IncidentOptions::GAP, threshold: threshold.unwrap_or(f64::INFINITY), seed };
    let watch = alerts.then(|| Watch::new(options, network.and_then(Network::explainer)).with_hosts(seed));
    Ok(Tally::new(None, Some(outputs)).watched(watch))
}
