//! Models and thresholds that are changed while a graph runs.
//!
//! A change has a place in the stream: packets before a number are judged as before, packets from it on by the new model or threshold. The
//! source closes a batch there, and each brick that holds a model looks at the number of a batch's first packet. So all replicas
//! agree without waiting for each other, and no packet is lost.

mod ends;
mod explainer;
mod renewable;

pub(crate) use ends::{Position, Stretches};
pub(crate) use explainer::Explainers;
use renewable::{Place, Renewable, Successor};

use crate::models::{ModelFile, Models, Trial};
use crate::network::Network;
use crate::supply::warmed;
use crate::{Error, Session, input};
use legonf_catalog::Takes;
use legonf_controller::Event;
use legonf_core::{Brick, State as Statefulness};
use legonf_models::OnnxFile;
use legonf_runtime::{BrickSpec, GraphSpec};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// The number of a change that has no place in the stream yet.
const UNDECIDED: u64 = u64::MAX;
/// How often it is looked whether it has one.
const LOOK: Duration = Duration::from_millis(1);

/// A change that was planned before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Number of the first packet that the new model judges.
    pub seq: u64,
    /// The new model.
    pub model: ModelFile,
}

/// A model that came into force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Swapped {
    /// Number of the first packet that it judges.
    pub seq: u64,
    /// Name of its file.
    pub model: String,
    /// Its name in the graph, where the graph names models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its calibrated threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// A threshold that came into force.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewThreshold {
    /// Number of the first packet that is judged by it.
    pub seq: u64,
    /// Scores above it are anomalous.
    pub threshold: f64,
}

/// What came into force while a graph ran.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Renewal {
    Model(Swapped),
    Threshold(NewThreshold),
}

impl Renewal {
    /// The same from a packet on.
    fn at(self, seq: u64) -> Self {
        match self {
            Self::Model(swapped) => Self::Model(Swapped { seq, ..swapped }),
            Self::Threshold(new) => Self::Threshold(NewThreshold { seq, ..new }),
        }
    }

    /// The model, if it is one.
    pub fn model(self) -> Option<Swapped> {
        match self {
            Self::Model(swapped) => Some(swapped),
            Self::Threshold(_) => None,
        }
    }

    /// The threshold, if it is one.
    pub fn threshold(self) -> Option<NewThreshold> {
        match self {
            Self::Threshold(new) => Some(new),
            Self::Model(_) => None,
        }
    }

    /// As an event of the run, seen at this time.
    pub fn event(self, at: f64) -> Event {
        match self {
            Self::Model(Swapped { seq, model, name, .. }) => Event::Swap { at, seq, model, name },
            Self::Threshold(NewThreshold { seq, threshold }) => Event::Threshold { at, seq, threshold },
        }
    }
}

/// The models of a running graph and its threshold, which can be changed. Clones are of the same graph.
#[derive(Clone)]
pub struct Swaps(Arc<Shared>);

struct Shared {
    spec: GraphSpec,
    /// The threshold of decisions that name none, whatever their models say.
    threshold: Option<f64>,
    /// Changes that have a place in the stream.
    decided: AtomicU64,
    /// Whether the source is to give one a place.
    asks: AtomicBool,
    asked: Mutex<Option<Arc<AtomicU64>>>,
    /// Number of the next packet of the source, and of the first of the batch that is with the sink.
    read: AtomicU64,
    written: AtomicU64,
    /// Whether the run is over.
    over: AtomicBool,
    state: Mutex<State>,
    /// Changes come one after the other.
    turn: Mutex<()>,
}

struct State {
    /// Models and thresholds, the oldest that packets under way may need first.
    versions: Vec<Version>,
    /// The bricks that hold models.
    places: Vec<Weak<Place>>,
    changes: Vec<Change>,
    /// How many of these were told to the log.
    told: usize,
}

#[derive(Clone)]
struct Version {
    from: Arc<AtomicU64>,
    /// The file of the model that is new; empty where none is.
    file: PathBuf,
    models: Models,
    /// The threshold of decisions that name none, whatever their models say.
    threshold: Option<f64>,
}

impl Version {
    /// Whether a brick is another one in this version.
    fn renews(&self, brick: &BrickSpec) -> bool {
        !self.file.as_os_str().is_empty()
            || legonf_catalog::takes(&brick.kind, &brick.config) == Takes::Threshold
    }
}

struct Change {
    from: Arc<AtomicU64>,
    renewal: Renewal,
}

/// What a mutex holds: whoever panicked with it left it whole, since all is built before it is put there.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Swaps {
    /// The models of a graph, and changes that are planned.
    ///
    /// # Errors
    /// If a planned change is before another one or before the first packet, or its model does not fit.
    pub(crate) fn new(
        session: &Session,
        spec: &GraphSpec,
        models: &Models,
        threshold: Option<f64>,
        planned: &[Planned],
    ) -> Result<Self, Error> {
        let from = Arc::new(AtomicU64::new(0));
        let first = Version { from, file: PathBuf::new(), models: models.clone(), threshold };
        let (places, changes) = (Vec::new(), Vec::new());
        let state = State { versions: vec![first], places, changes, told: 0 };
        let swaps = Self(Arc::new(Shared {
            spec: spec.clone(),
            threshold,
            decided: AtomicU64::new(planned.len() as u64),
            asks: AtomicBool::new(false),
            asked: Mutex::default(),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            over: AtomicBool::new(false),
            state: Mutex::new(state),
            turn: Mutex::default(),
        }));
        let mut before = 0;
        for Planned { seq, model } in planned {
            if *seq <= before {
                let reason = "changes come one after the other, the first behind packet 0";
                return Err(Error::refused(format!("--swap {seq}={}: {reason}", model.file.display())));
            }
            before = *seq;
            let (models, network) = swaps.latest().models.with(session, model, Trial::Bounded)?;
            swaps.prepare_model(model, (models, network), Arc::new(AtomicU64::new(*seq)))?;
        }
        Ok(swaps)
    }

    /// What the last change has led to.
    fn latest(&self) -> Version {
        let state = locked(&self.0.state);
        // There is one always: the last is never forgotten.
        state.versions.last().cloned().unwrap_or_else(|| Version {
            from: Arc::default(),
            file: PathBuf::new(),
            models: Models::default(),
            threshold: self.0.threshold,
        })
    }

    /// Changes a model while the graph runs: the new one is read and made ready, and judges from the next batch on that the source
    /// closes. Says from which packet on. A foreign network must have been tried by the caller ([`verify`](crate::verify)): here there
    /// is no bound on what it takes.
    ///
    /// # Errors
    /// If the model cannot be read, has another schema, or a brick cannot take it: the old one goes on. Also if the run ends before.
    pub fn swap(&self, session: &Session, given: &ModelFile) -> Result<Swapped, Error> {
        self.swap_to(session, given, |models| models.with(session, given, Trial::Done))
    }

    /// The same with a model that was sent, and not in a file; `given` names it.
    ///
    /// # Errors
    /// As [`swap`](Self::swap).
    pub fn swap_sent(
        &self,
        session: &Session,
        given: &ModelFile,
        content: Vec<u8>,
    ) -> Result<Swapped, Error> {
        let content = OnnxFile::from_bytes(content, &given.file.display().to_string())?;
        self.swap_to(session, given, |models| models.with_content(given, content))
    }

    fn swap_to(
        &self,
        session: &Session,
        given: &ModelFile,
        read: impl FnOnce(&Models) -> Result<(Models, Network), Error>,
    ) -> Result<Swapped, Error> {
        let _turn = locked(&self.0.turn);
        let next = self.next()?;
        let swapped = self.prepare_model(given, read(&next.models)?, next.from.clone())?;
        Ok(Swapped { seq: self.wait(session, &next.from)?, ..swapped })
    }

    /// What follows the last change, from a packet on that is not decided yet.
    ///
    /// # Errors
    /// If the last change was planned and is still to come: changes come one after the other.
    fn next(&self) -> Result<Version, Error> {
        let latest = self.latest();
        let (from, read) = (latest.from.load(Acquire), self.0.read.load(Acquire));
        if from > read {
            let reason = format!("a change is planned for packet {from} (--swap), and {read} were read");
            return Err(Error::refused(reason));
        }
        Ok(Version { from: Arc::new(AtomicU64::new(UNDECIDED)), file: PathBuf::new(), ..latest })
    }

    /// Changes the threshold while the graph runs, from the next batch on that the source closes. It holds until it is changed again;
    /// a new model brings its own.
    ///
    /// # Errors
    /// If it is no finite number, no decision of the graph takes it, or the run ends before.
    pub fn set_threshold(&self, session: &Session, threshold: f64) -> Result<NewThreshold, Error> {
        let _turn = locked(&self.0.turn);
        let takes = |brick: &BrickSpec| legonf_catalog::takes(&brick.kind, &brick.config) == Takes::Threshold;
        if !threshold.is_finite() {
            return Err(Error::refused(format!("threshold {threshold}: expected a finite number")));
        }
        if !self.0.spec.bricks.iter().any(takes) {
            return Err(Error::refused(
                "no decision of the graph takes a threshold: it has none, or names its own in the graph file",
            ));
        }
        let next = Version { threshold: Some(threshold), ..self.next()? };
        let from = next.from.clone();
        self.prepare(next, Renewal::Threshold(NewThreshold { seq: UNDECIDED, threshold }))?;
        Ok(NewThreshold { seq: self.wait(session, &from)?, threshold })
    }

    /// Asks the source for a place in the stream, and waits for it.
    fn wait(&self, session: &Session, from: &Arc<AtomicU64>) -> Result<u64, Error> {
        *locked(&self.0.asked) = Some(from.clone());
        self.0.asks.store(true, Release);
        while from.load(Acquire) == UNDECIDED {
            if self.0.over.load(Relaxed) || session.is_stopped() {
                return Err(Error::refused("the run ended before the change came into force"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(from.load(Acquire))
    }

    /// Makes all bricks ready that are to hold a new model, for packets from a number on.
    fn prepare_model(
        &self,
        given: &ModelFile,
        (models, network): (Models, Network),
        from: Arc<AtomicU64>,
    ) -> Result<Swapped, Error> {
        let (model, name) = (input::file_name(&given.file), given.name.clone());
        let swapped = Swapped { seq: from.load(Relaxed), model, name, threshold: network.threshold() };
        let version = Version { from, file: given.file.clone(), models, threshold: self.0.threshold };
        self.prepare(version, Renewal::Model(swapped.clone()))?;
        Ok(swapped)
    }

    /// Makes all bricks ready that another version renews.
    fn prepare(&self, version: Version, renewal: Renewal) -> Result<(), Error> {
        let mut state = locked(&self.0.state);
        state.places.retain(|place| place.strong_count() > 0);
        let places = state.places.iter().filter_map(Weak::upgrade);
        let places: Vec<_> = places.filter(|place| version.renews(&place.brick)).collect();
        let ready = places.iter().map(|place| self.0.successor(place, &version));
        let ready: Vec<_> = ready.collect::<Result<_, _>>()?;
        places.iter().zip(ready).try_for_each(|(place, successor)| place.follow(successor))?;
        state.changes.push(Change { from: version.from.clone(), renewal });
        state.versions.push(version);
        Ok(())
    }

    /// Makes a brick of the graph. One that takes something of a model is followed by those of later models.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn build(&self, brick: &BrickSpec) -> Result<Box<dyn Brick>, Error> {
        let shared = &self.0;
        let mut state = locked(&shared.state);
        let [first, later @ ..] = &*state.versions else { return Err(Error::refused("there is no model")) };
        let made = first.models.build(&shared.spec, brick, first.threshold)?;
        let takes = legonf_catalog::takes(&brick.kind, &brick.config);
        // One with state takes no more of a model than the names of classes, which are the same in all: its state goes on.
        let has_state = made.descriptor().state != Statefulness::Stateless;
        if has_state || matches!(takes, Takes::Nothing | Takes::Configured) {
            return Ok(made);
        }
        let place = Arc::new(Place::new(brick.clone()));
        for version in later.iter().filter(|version| version.renews(brick)) {
            place.follow(shared.successor(&place, version)?)?;
        }
        state.places.push(Arc::downgrade(&place));
        Ok(Box::new(Renewable::new(made, place, self.clone())))
    }

    /// Changes that came into force and were not told of yet.
    pub(crate) fn news(&self) -> Vec<Renewal> {
        let mut state = locked(&self.0.state);
        let known = self.0.in_force(&state);
        let told = std::mem::replace(&mut state.told, known.len()).min(known.len());
        known.into_iter().skip(told).collect()
    }

    /// Whether a change is planned or came into force.
    pub(crate) fn is_changed(&self) -> bool {
        self.0.decided.load(Relaxed) > 0
    }

    /// All changes that came into force.
    pub(crate) fn in_force(&self) -> Vec<Renewal> {
        self.0.in_force(&locked(&self.0.state))
    }

    /// The threshold by which a packet is judged, once anything has changed.
    pub(crate) fn threshold_at(&self, seq: u64) -> Option<f64> {
        if !self.is_changed() {
            return None;
        }
        let state = locked(&self.0.state);
        let version = state.versions.iter().rfind(|version| version.from.load(Acquire) <= seq)?;
        let of_model = || version.models.main(&self.0.spec)?.network.threshold();
        version.threshold.or_else(of_model)
    }

    /// Forgets models that no packet under way needs any more: the sink has taken so many.
    pub(crate) fn passed(&self, packets: u64) {
        if self.0.decided.load(Relaxed) == 0 {
            return;
        }
        let mut state = locked(&self.0.state);
        while state.versions.get(1).is_some_and(|next| next.from.load(Acquire) <= packets) {
            state.versions.remove(0);
        }
    }

    /// The number of the last packet, once the run is over.
    fn last(&self) -> Option<u64> {
        let is_over = self.0.over.load(Relaxed);
        self.0.read.load(Acquire).checked_sub(1).filter(|_| is_over)
    }

    /// Says that the run is over.
    pub(crate) fn end(&self) {
        self.0.over.store(true, Relaxed);
    }
}

impl Shared {
    /// What follows the brick of a place: made of other models or with another threshold, ready for its first batch.
    fn successor(&self, place: &Place, version: &Version) -> Result<Successor, Error> {
        let named = |error: Error| match version.file.as_os_str().is_empty() {
            true => error,
            false => Error::file(&version.file, error),
        };
        let made = version.models.build(&self.spec, &place.brick, version.threshold);
        let mut brick = made.and_then(warmed).map_err(named)?;
        place.bind(&mut *brick)?;
        Ok(Successor { from: version.from.clone(), brick })
    }

    fn in_force(&self, state: &State) -> Vec<Renewal> {
        let read = self.read.load(Acquire);
        let seq = |change: &Change| change.from.load(Acquire);
        let begun = state.changes.iter().take_while(|change| seq(change) < read);
        begun.map(|change| change.renewal.clone().at(seq(change))).collect()
    }

    /// Gives a change that was asked for its place in the stream: from this packet on.
    fn decide(&self, seq: u64) {
        if !self.asks.load(Acquire) {
            return;
        }
        self.asks.store(false, Relaxed);
        if let Some(from) = locked(&self.asked).take() {
            from.store(seq, Release);
            self.decided.fetch_add(1, Release);
        }
    }

    /// The models for a packet.
    fn models_at(&self, seq: u64) -> Option<(u64, Models)> {
        let state = locked(&self.state);
        let version = state.versions.iter().rfind(|version| version.from.load(Acquire) <= seq)?;
        Some((version.from.load(Acquire), version.models.clone()))
    }
}
