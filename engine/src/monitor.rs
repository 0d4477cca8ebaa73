//! A run as others see it while it goes on, and changes that they ask for.
//!
//! The thread that watches a run shows snapshots here, and the sink says where packets went whenever it was asked. Both copy and go on:
//! neither waits for who reads, and nothing is copied for each packet.

mod change;
mod control;
mod packets;
mod renewing;
mod sink;
mod suppressing;

pub use crate::suppression::{NewSuppression, Suppressed, SuppressionChange};
pub use change::{Change, Refusal};
pub(crate) use control::Monitored;
pub(crate) use renewing::Renewing;
pub(crate) use sink::Accounting;
pub(crate) use suppressing::SuppressionChanges;

use crate::Error;
use crate::placement::{Located, Locations};
use legonf_controller::Event;
use legonf_core::{Coverage, Incident, Passage, Passages, Plan, Snapshot, State as BrickState};
use legonf_runtime::{BrickSpec, GraphSpec};
use packets::{Chunk, Kept};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Events that are kept; older ones go.
const EVENTS: usize = 1_000;
/// Incidents that have ended and are kept; older ones go.
const INCIDENTS: usize = 1_000;
/// Changes that wait at once.
const WAITING: usize = 16;

/// What begins with a run, once it has given up its privileges.
type Start = Box<dyn FnOnce(&Arc<Monitor>) -> io::Result<()> + Send>;

/// Hears what became of a change.
type Answer = Box<dyn FnOnce(Result<Done, Refusal>) + Send>;

/// A run as others see it.
pub struct Monitor {
    start: Mutex<Option<Start>>,
    facts: OnceLock<Facts>,
    seen: Mutex<Seen>,
    /// Whether the sink is to say where packets went.
    is_due: AtomicBool,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether more than the layout can change.
    is_changeable: bool,
    renewing: OnceLock<Renewing>,
    /// Whether somebody waits for another model or threshold.
    is_renewing: AtomicBool,
    kept: Mutex<Kept>,
    /// Whether it has ended, and is played again.
    is_played: bool,
    /// Where instances of bricks run.
    locations: OnceLock<Arc<Locations>>,
}

/// What does not change while a run goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Name of the graph.
    pub graph: String,
    /// Bricks, in the order in which batches pass them, with [`Plan::SOURCE`] and [`Plan::SINK`] at the ends.
    pub bricks: Vec<BrickFacts>,
    /// Where packets go.
    pub edges: Vec<Edge>,
    /// Scores above it are alerts at the beginning; none where there can be none.
    pub threshold: Option<f64>,
    /// Whether a controller decides on the layout, too.
    pub is_controlled: bool,
    /// Whether a stage may have more replicas than there are cores.
    pub may_oversubscribe: bool,
}

/// A brick of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrickFacts {
    /// Identifier.
    pub id: String,
    /// Its kind; empty for the ends.
    pub kind: String,
    /// Its state; serial, too, where its work cannot be divided among replicas.
    pub state: BrickState,
}

/// Packets go from one brick to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The one.
    pub from: String,
    /// The other.
    pub to: String,
    /// Packets of this verdict alone; empty for all others.
    pub verdict: String,
}

/// Where packets went, as the sink knows it.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// All packets so far.
    pub coverage: Coverage,
    /// Those above the threshold that were judged.
    pub alerts: u64,
    /// Those that were scored but not judged.
    pub warming_up: u64,
    /// Incidents that go on, those with most packets first.
    pub open: Vec<Incident>,
    /// The threshold by which packets are judged, once it has changed.
    pub threshold: Option<f64>,
    /// What was suppressed, by rule.
    pub suppressed: Vec<Suppressed>,
}

/// An event with its number, from 0.
pub type Numbered<T> = (u64, Arc<T>);

/// One moment of a run.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Counts the moments that were shown.
    pub version: u64,
    /// What the workers did last; none before the first.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Where packets went.
    pub accounts: Arc<Accounts>,
    /// Packets since the run began: those that the source gave, those whose results the sink took, and those lost for want of capacity.
    pub offered: u64,
    /// Packets whose results the sink took.
    pub done: u64,
    /// Packets that were lost for want of capacity.
    pub dropped: u64,
    /// The counters of each brick, by its identifier and their names. They never fall, also while a brick goes from worker to worker.
    pub counters: BTreeMap<(String, &'static str), u64>,
    /// What has passed the bricks in the last tick.
    pub lately: Arc<Passages>,
    /// Incidents that have ended.
    pub closed: u64,
    /// Events so far.
    pub events: u64,
    /// Decisions of the controller by what was done.
    pub decisions: BTreeMap<&'static str, u64>,
    /// The policy of the controller (TOML), where there is one.
    pub policy: Option<Arc<str>>,
    /// Whether the controller was told to leave the layout as it is.
    pub is_paused: bool,
    /// Whether the run is over.
    pub is_over: bool,
    /// Instances of bricks that run elsewhere.
    pub elsewhere: Vec<Located>,
}

#[derive(Default)]
struct Seen {
    moment: Moment,
    /// The highest score since it was asked for last.
    peak: Option<f64>,
    events: VecDeque<Numbered<Event>>,
    incidents: VecDeque<Numbered<Incident>>,
}

/// A change that waits.
struct Waiting {
    change: Change,
    answer: Answer,
}

/// What a change has led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The plan in force.
    pub plan: Plan,
    /// How long it took to put it in force; nothing where it was in force already.
    pub took: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(list: &mut VecDeque<T>, new: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(new);
}

impl Monitor {
    /// Begins something with a run, such as a server: in the thread of the run, as soon as it has given up its privileges. What the run
    /// is of may be known later than that. `is_changeable` says whether the run is to be made ready for another model, threshold or
    /// suppressions.
    pub fn starting(
        is_changeable: bool,
        start: impl FnOnce(&Arc<Self>) -> io::Result<()> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            start: Mutex::new(Some(Box::new(start))),
            facts: OnceLock::new(),
            seen: Mutex::default(),
            is_due: AtomicBool::new(false),
            waiting: Mutex::default(),
            is_changeable,
            renewing: OnceLock::new(),
            is_renewing: AtomicBool::new(false),
            kept: Mutex::default(),
            is_played: false,
            locations: OnceLock::new(),
        })
    }

    /// A run that has ended, as it was at a moment, with the incidents that had ended then.
    pub(crate) fn played(facts: Facts, moment: Moment, incidents: VecDeque<Numbered<Incident>>) -> Arc<Self> {
        Arc::new(Self {
            start: Mutex::default(),
            facts: facts.into(),
            seen: Mutex::new(Seen { moment, incidents, ..Seen::default() }),
            is_due: AtomicBool::new(false),
            waiting: Mutex::default(),
            is_changeable: false,
            renewing: OnceLock::new(),
            is_renewing: AtomicBool::new(false),
            kept: Mutex::default(),
            is_played: true,
            locations: OnceLock::new(),
        })
    }

    /// What is known of the run; nothing before it begins.
    pub fn facts(&self) -> &Facts {
        static NOTHING: OnceLock<Facts> = OnceLock::new();
        self.facts.get().unwrap_or_else(|| NOTHING.get_or_init(Facts::default))
    }

    /// The latest moment.
    pub fn moment(&self) -> Moment {
        let moment = lock(&self.seen).moment.clone();
        let elsewhere = self.locations.get().map(|locations| locations.all()).unwrap_or_default();
        Moment { elsewhere, ..moment }
    }

    /// Where instances of bricks run from now on.
    pub(crate) fn locate(&self, locations: Option<Arc<Locations>>) {
        if let Some(locations) = locations {
            let _ = self.locations.set(locations);
        }
    }

    /// How many moments were shown.
    pub fn version(&self) -> u64 {
        lock(&self.seen).moment.version
    }

    /// The highest score since the last call; none where nothing was scored.
    pub fn take_peak(&self) -> Option<f64> {
        lock(&self.seen).peak.take()
    }

    /// Events from a number on, up to so many.
    pub fn events(&self, from: u64, most: usize) -> Vec<Numbered<Event>> {
        let seen = lock(&self.seen);
        seen.events.iter().filter(|(number, _)| *number >= from).take(most).cloned().collect()
    }

    /// The latest incidents that have ended, up to so many, the latest first.
    pub fn incidents(&self, most: usize) -> Vec<Numbered<Incident>> {
        lock(&self.seen).incidents.iter().rev().take(most).cloned().collect()
    }

    /// Asks for a change. What becomes of it is told once: at a tick of the run, or when it ends.
    ///
    /// # Errors
    /// [`Refusal::Busy`] where too many wait, [`Refusal::NotBegun`] and [`Refusal::Over`].
    pub fn ask(
        &self,
        change: Change,
        answer: impl FnOnce(Result<Done, Refusal>) + Send + 'static,
    ) -> Result<(), Refusal> {
        let mut waiting = lock(&self.waiting);
        match &lock(&self.seen).moment {
            _ if self.is_played => {
                return Err(Refusal::Impossible("this run has ended, and is played again".into()));
            }
            Moment { is_over: true, .. } => return Err(Refusal::Over),
            Moment { snapshot: None, .. } => return Err(Refusal::NotBegun),
            Moment { .. } => {}
        }
        if waiting.len() >= WAITING {
            return Err(Refusal::Busy);
        }
        waiting.push_back(Waiting { change, answer: Box::new(answer) });
        Ok(())
    }

    /// A capture (pcapng) of packets that raised the alerts of an incident, with their number. Of many incidents the latest packets are
    /// kept alone.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] where none are kept.
    pub fn packets_of(&self, incident: &Incident) -> Result<(Vec<u8>, u64), Refusal> {
        let chunks = lock(&self.kept).chunks();
        let captured = packets::capture(&chunks, incident);
        let (bytes, packets) = captured.map_err(|error| Refusal::NotApplied(error.to_string()))?;
        if packets == 0 {
            let reason =
                "no packets of this incident are kept: it is too old, of many sources, or its input has none";
            return Err(Refusal::Unknown(reason.into()));
        }
        Ok((bytes, packets))
    }

    fn keep(&self, chunk: Chunk) {
        lock(&self.kept).add(chunk);
    }

    /// Whether a run is to be made ready for another model, threshold or suppressions.
    pub(crate) fn is_changeable(&self) -> bool {
        self.is_changeable
    }

    /// Others may look, though there is nothing yet.
    fn open(self: &Arc<Self>) -> io::Result<()> {
        let start = lock(&self.start).take();
        start.map_or(Ok(()), |start| start(self))
    }

    /// The run begins.
    fn begin(&self, (facts, renewing): (Facts, Renewing)) {
        let _ = (self.facts.set(facts), self.renewing.set(renewing));
        lock(&self.seen).moment.version += 1;
    }

    /// The run is over. Who waits for a change hears so.
    pub(crate) fn end(&self) {
        {
            let mut seen = lock(&self.seen);
            seen.moment.is_over = true;
            seen.moment.version += 1;
        }
        for Waiting { answer, .. } in std::mem::take(&mut *lock(&self.waiting)) {
            answer(Err(Refusal::Over));
        }
    }

    fn next_waiting(&self) -> Option<Waiting> {
        lock(&self.waiting).pop_front()
    }

    fn pause(&self, is_paused: bool) {
        lock(&self.seen).moment.is_paused = is_paused;
    }

    fn set_policy(&self, policy: &str) {
        lock(&self.seen).moment.policy = Some(policy.into());
    }

    fn show(&self, snapshot: &Snapshot) {
        // Copied before others are kept out.
        let shown = Arc::new(snapshot.clone());
        let mut seen = lock(&self.seen);
        let moment = &mut seen.moment;
        moment.version += 1;
        moment.offered += snapshot.offered;
        moment.done += snapshot.done;
        moment.dropped += snapshot.dropped;
        if let Some(now) = &shown.passages {
            let before = moment.snapshot.as_ref().and_then(|snapshot| snapshot.passages.as_deref());
            for (id, passage) in self.facts().passed(now) {
                for (name, count) in &passage.counters {
                    let known = moment.counters.entry((id.to_owned(), name)).or_default();
                    *known = (*known).max(*count);
                }
            }
            moment.lately = before.map_or_else(|| now.clone(), |before| Arc::new(now.since(before)));
        }
        moment.snapshot = Some(shown);
        drop(seen);
        self.is_due.store(true, Relaxed);
    }

    fn log(&self, event: Event) {
        let mut seen = lock(&self.seen);
        let number = seen.moment.events;
        seen.moment.events += 1;
        if let Event::Decision { decision, .. } = &event {
            *seen.moment.decisions.entry(decision.action.label()).or_default() += 1;
        }
        keep(&mut seen.events, (number, Arc::new(event)), EVENTS);
    }

    fn account(&self, accounts: Accounts, peak: Option<f64>) {
        let accounts = Arc::new(accounts);
        let mut seen = lock(&self.seen);
        seen.moment.accounts = accounts;
        seen.moment.version += 1;
        seen.peak = [seen.peak, peak].into_iter().flatten().reduce(f64::max);
    }

    fn closed(&self, incident: &Incident) {
        let incident = Arc::new(incident.clone());
        let mut seen = lock(&self.seen);
        let number = seen.moment.closed;
        seen.moment.closed += 1;
        keep(&mut seen.incidents, (number, incident), INCIDENTS);
    }
}

/// Others see from now on, if so, that a run starts.
///
/// # Errors
/// If what is to begin with it cannot.
pub(crate) fn open(monitor: Option<&Arc<Monitor>>) -> Result<(), Error> {
    let failed = |error: io::Error| Error::refused(format!("--http: {error}"));
    monitor.map_or(Ok(()), |monitor| monitor.open().map_err(failed))
}

/// A run begins that others see, if so.
pub(crate) fn begin(monitor: Option<&Arc<Monitor>>, begin: impl FnOnce() -> (Facts, Renewing)) {
    if let Some(monitor) = monitor {
        monitor.begin(begin());
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("graph", &self.facts().graph).finish_non_exhaustive()
    }
}

impl Moment {
    /// What has passed the bricks since the run began.
    pub fn passages(&self) -> Option<&Passages> {
        self.snapshot.as_ref()?.passages.as_deref()
    }
}

impl Facts {
    /// The ways of packets through a graph, from the source to the sink.
    pub(crate) fn edges(spec: &GraphSpec) -> Vec<Edge> {
        let edge = |from: &str, to: &str, verdict: &str| Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            verdict: verdict.to_owned(),
        };
        let leads = |brick: &BrickSpec, id: &str| {
            brick.next.iter().chain(brick.branch.values()).any(|next| next == id)
        };
        let mut edges = Vec::new();
        for brick in &spec.bricks {
            if !spec.bricks.iter().any(|other| leads(other, &brick.id)) {
                edges.insert(0, edge(Plan::SOURCE, &brick.id, ""));
            }
            edges.extend(brick.next.iter().map(|next| edge(&brick.id, next, "")));
            edges.extend(brick.branch.iter().map(|(verdict, next)| edge(&brick.id, next, verdict)));
            if brick.next.is_empty() {
                edges.push(edge(&brick.id, Plan::SINK, ""));
            }
        }
        edges
    }

    /// What has passed each brick, by its identifier.
    pub fn passed<'a>(&'a self, passages: &'a Passages) -> impl Iterator<Item = (&'a str, &'a Passage)> {
        let between = self.bricks.iter().filter(|brick| ![Plan::SOURCE, Plan::SINK].contains(&&*brick.id));
        between.map(|brick| &*brick.id).zip(&passages.bricks)
    }

    /// The same, whatever the layout may be.
    pub(crate) fn anywhere(mut self) -> Self {
        self.may_oversubscribe = false;
        self
    }

    /// A brick by its identifier.
    pub fn brick(&self, id: &str) -> Option<&BrickFacts> {
        self.bricks.iter().find(|brick| brick.id == id)
    }
}
