//! Suppressions that are asked for while a run goes on.

use super::{Refusal, lock};
use crate::suppression::{Suppression, SuppressionChange};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Changes that wait at once.
const WAITING: usize = 16;

/// Hears from which packet on a change is in force, and what it is in words.
type Answer = Box<dyn FnOnce(Result<(u64, String), Refusal>) + Send>;

/// Changes on their way to who suppresses. Clones are of the same run.
#[derive(Clone, Default)]
pub(crate) struct SuppressionChanges(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether something waits: looked at for each batch.
    is_due: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(SuppressionChange, Answer)>,
    is_over: bool,
    /// Changes in force that were not told of yet.
    news: Vec<(u64, String)>,
}

impl SuppressionChanges {
    /// Asks for a change, which comes into force at the next batch.
    ///
    /// # Errors
    /// [`Refusal::Busy`] and [`Refusal::Over`].
    pub fn ask(&self, change: SuppressionChange, answer: Answer) -> Result<(), Refusal> {
        let mut state = lock(&self.0.state);
        if state.is_over {
            return Err(Refusal::Over);
        }
        if state.waiting.len() >= WAITING {
            return Err(Refusal::Busy);
        }
        state.waiting.push((change, answer));
        self.0.is_due.store(true, Relaxed);
        Ok(())
    }

    /// Makes the changes that wait, for packets from this one on.
    pub fn take(&self, seq: u64, suppression: &mut Suppression) {
        if !self.0.is_due.load(Relaxed) {
            return;
        }
        let waiting = {
            let mut state = lock(&self.0.state);
            self.0.is_due.store(false, Relaxed);
            std::mem::take(&mut state.waiting)
        };
        for (change, answer) in waiting {
            let made = suppression.change(change);
            if let Ok(words) = &made {
                lock(&self.0.state).news.push((seq, words.clone()));
            }
            let refused = |error: crate::Error| Refusal::Impossible(error.to_string());
            answer(made.map(|words| (seq, words)).map_err(refused));
        }
    }

    /// Changes in force, each with its first packet, that were not told of yet.
    pub fn news(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut lock(&self.0.state).news)
    }

    /// The run is over: nothing more is changed.
    pub fn end(&self) {
        let waiting = {
            let mut state = lock(&self.0.state);
            state.is_over = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(|(_, answer)| answer(Err(Refusal::Over)));
    }
}

impl fmt::Debug for SuppressionChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuppressionChanges").finish_non_exhaustive()
    }
}
