//! Models that are changed while a graph runs.
//!
//! A change has a place in the stream: packets before a number are judged by the old model, packets from it on by the new one. The
//! source closes a batch there, and each brick that holds a model looks at the number of a batch's first packet. So all replicas
//! agree without waiting for each other, and no packet is lost.

mod ends;
mod explainer;
mod renewable;

pub(crate) use ends::{Position, Stretches};
pub(crate) use explainer::Explainers;
use renewable::{Place, Renewable, Successor};

use crate::models::{ModelFile, Models, Trial};
use crate::supply::warmed;
use crate::{Error, Session, input};
use legonf_catalog::Takes;
use legonf_core::{Brick, State as Statefulness};
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

/// The models of a running graph, which can be changed. Clones are of the same graph.
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
    /// Models, the oldest that packets under way may need first.
    versions: Vec<Version>,
    /// The bricks that hold models.
    places: Vec<Weak<Place>>,
    changes: Vec<Change>,
    /// How many of these were told to the log.
    told: usize,
}

struct Version {
    from: Arc<AtomicU64>,
    /// The file of the model that is new.
    file: PathBuf,
    models: Models,
}

struct Change {
    from: Arc<AtomicU64>,
    swapped: Swapped,
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
        let first =
            Version { from: Arc::new(AtomicU64::new(0)), file: PathBuf::new(), models: models.clone() };
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
            swaps.prepare(session, model, Trial::Bounded, Arc::new(AtomicU64::new(*seq)))?;
        }
        Ok(swaps)
    }

    /// Changes a model while the graph runs: the new one is read and made ready, and judges from the next batch on that the source
    /// closes. Says from which packet on. A foreign network must have been tried by the caller ([`verify`](crate::verify)): here there
    /// is no bound on what it takes.
    ///
    /// # Errors
    /// If the model cannot be read, has another schema, or a brick cannot take it: the old one goes on. Also if the run ends before.
    pub fn swap(&self, session: &Session, given: &ModelFile) -> Result<Swapped, Error> {
        let _turn = locked(&self.0.turn);
        let from = Arc::new(AtomicU64::new(UNDECIDED));
        let swapped = self.prepare(session, given, Trial::Done, from.clone())?;
        *locked(&self.0.asked) = Some(from.clone());
        self.0.asks.store(true, Release);
        while from.load(Acquire) == UNDECIDED {
            if self.0.over.load(Relaxed) || session.is_stopped() {
                return Err(Error::refused("the run ended before the model came into force"));
            }
            std::thread::sleep(LOOK);
        }
        Ok(Swapped { seq: from.load(Acquire), ..swapped })
    }

    /// Reads a model and makes all bricks ready that are to hold it, for packets from a number on.
    fn prepare(
        &self,
        session: &Session,
        given: &ModelFile,
        trial: Trial,
        from: Arc<AtomicU64>,
    ) -> Result<Swapped, Error> {
        let latest = locked(&self.0.state).versions.last().map(|version| version.models.clone());
        let (models, network) = latest.unwrap_or_default().with(session, given, trial)?;
        let mut state = locked(&self.0.state);
        state.places.retain(|place| place.strong_count() > 0);
        let places: Vec<_> = state.places.iter().filter_map(Weak::upgrade).collect();
        let ready = places.iter().map(|place| self.0.successor(place, &models, &from));
        let ready: Vec<_> =
            ready.collect::<Result<_, _>>().map_err(|error| Error::file(&given.file, error))?;
        places.iter().zip(ready).try_for_each(|(place, successor)| place.follow(successor))?;
        let (model, name) = (input::file_name(&given.file), given.name.clone());
        let swapped = Swapped { seq: from.load(Relaxed), model, name, threshold: network.threshold() };
        state.changes.push(Change { from: from.clone(), swapped: swapped.clone() });
        state.versions.push(Version { from, file: given.file.clone(), models });
        Ok(swapped)
    }

    /// Makes a brick of the graph. One that takes something of a model is followed by those of later models.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn build(&self, brick: &BrickSpec) -> Result<Box<dyn Brick>, Error> {
        let shared = &self.0;
        let mut state = locked(&shared.state);
        let [first, later @ ..] = &*state.versions else { return Err(Error::refused("there is no model")) };
        let made = first.models.build(&shared.spec, brick, shared.threshold)?;
        let takes = legonf_catalog::takes(&brick.kind, &brick.config);
        // One with state takes no more of a model than the names of classes, which are the same in all: its state goes on.
        let has_state = made.descriptor().state != Statefulness::Stateless;
        if has_state || matches!(takes, Takes::Nothing | Takes::Configured) {
            return Ok(made);
        }
        let place = Arc::new(Place::new(brick.clone()));
        for version in later {
            let successor = shared.successor(&place, &version.models, &version.from);
            let successor = successor.map_err(|error| Error::file(&version.file, error))?;
            place.follow(successor)?;
        }
        state.places.push(Arc::downgrade(&place));
        Ok(Box::new(Renewable::new(made, place, self.clone())))
    }

    /// Changes that came into force and were not told of yet.
    pub(crate) fn news(&self) -> Vec<Swapped> {
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
    pub(crate) fn in_force(&self) -> Vec<Swapped> {
        self.0.in_force(&locked(&self.0.state))
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
    /// What follows the brick of a place: made of other models, ready for its first batch.
    fn successor(&self, place: &Place, models: &Models, from: &Arc<AtomicU64>) -> Result<Successor, Error> {
        let mut brick = warmed(models.build(&self.spec, &place.brick, self.threshold)?)?;
        place.bind(&mut *brick)?;
        Ok(Successor { from: from.clone(), brick })
    }

    fn in_force(&self, state: &State) -> Vec<Swapped> {
        let read = self.read.load(Acquire);
        let seq = |change: &Change| change.from.load(Acquire);
        let begun = state.changes.iter().take_while(|change| seq(change) < read);
        begun.map(|change| Swapped { seq: seq(change), ..change.swapped.clone() }).collect()
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
