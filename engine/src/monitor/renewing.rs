//! Changes of what a run judges by: its models, its threshold, and whom alerts are not told of.

use super::suppressing::SuppressionChanges;
use super::{Monitor, Refusal, SuppressionChange};
use crate::swap::{NewThreshold, Swapped, Swaps};
use crate::{Error, ModelFile, Session};
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

/// What can change in a run.
pub(crate) struct Renewing {
    session: Session,
    swaps: Option<Swaps>,
    suppressions: Option<SuppressionChanges>,
}

impl Renewing {
    /// For a run of this session; none where it is not to change.
    pub fn new(session: &Session, swaps: Option<Swaps>, suppressions: Option<SuppressionChanges>) -> Self {
        Self { session: *session, swaps, suppressions }
    }
}

/// One change of models and thresholds at a time: who comes meanwhile is refused, so that threads that wait do not gather.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(is_taken: &'a AtomicBool) -> Result<Self, Refusal> {
        if is_taken.swap(true, Acquire) { Err(Refusal::Busy) } else { Ok(Self(is_taken)) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

impl fmt::Debug for Renewing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewing").finish_non_exhaustive()
    }
}

impl Monitor {
    /// Changes the threshold from the next batch on that the source closes, and waits for that.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] where the run cannot have another threshold, [`Refusal::Busy`] while somebody waits for another change, and
    /// [`Refusal::Over`].
    pub fn set_threshold(&self, threshold: f64) -> Result<NewThreshold, Refusal> {
        let (renewing, swaps) = self.swaps()?;
        let _turn = Turn::take(&self.is_renewing)?;
        let new = swaps.set_threshold(&renewing.session, threshold).map_err(|error| self.refusal(&error))?;
        let words = format!("the threshold {threshold} is in force from packet {} on", new.seq);
        renewing.session.observer.note(&words);
        Ok(new)
    }

    /// Changes a model, whose content was sent, likewise; `given` names it. A foreign network must have been tried before.
    ///
    /// # Errors
    /// As [`set_threshold`](Self::set_threshold); the old model goes on then.
    pub fn swap_model(&self, given: &ModelFile, content: Vec<u8>) -> Result<Swapped, Refusal> {
        let (renewing, swaps) = self.swaps()?;
        let _turn = Turn::take(&self.is_renewing)?;
        let swapped = swaps.swap_sent(&renewing.session, given, content);
        let swapped = swapped.map_err(|error| self.refusal(&error))?;
        let words = format!("the model {} is in force from packet {} on", swapped.model, swapped.seq);
        renewing.session.observer.note(&words);
        Ok(swapped)
    }

    /// Changes what is suppressed, from the next batch on that comes to the sink. What becomes of it is told once, with the number of the
    /// first packet for which it holds and the change in words.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] where there are no alerts, [`Refusal::Busy`] and [`Refusal::Over`].
    pub fn suppress(
        &self,
        change: SuppressionChange,
        answer: impl FnOnce(Result<(u64, String), Refusal>) + Send + 'static,
    ) -> Result<(), Refusal> {
        let suppressions = self.renewing.get().and_then(|renewing| renewing.suppressions.as_ref());
        let reason = || Refusal::Impossible("this run has no alerts that could be suppressed".into());
        suppressions.ok_or_else(reason)?.ask(change, Box::new(answer))
    }

    /// Changes of models and thresholds, and of suppressions, that came into force and were not told of yet.
    pub(super) fn renewed(&self, at: f64, all: bool) -> Vec<legonf_controller::Event> {
        let Some(renewing) = self.renewing.get() else { return Vec::new() };
        let suppressed = renewing.suppressions.iter().flat_map(SuppressionChanges::news);
        let suppressed =
            suppressed.map(|(seq, change)| legonf_controller::Event::Suppression { at, seq, change });
        let swaps = renewing.swaps.iter().filter(|_| all).flat_map(Swaps::news);
        swaps.map(|renewal| renewal.event(at)).chain(suppressed).collect()
    }

    fn swaps(&self) -> Result<(&Renewing, &Swaps), Refusal> {
        let renewing = self.renewing.get();
        let both = renewing.and_then(|renewing| Some((renewing, renewing.swaps.as_ref()?)));
        let reason = "the model and the threshold of this run cannot change: bricks of it run elsewhere, or it has a hot standby";
        both.ok_or_else(|| Refusal::Impossible(reason.into()))
    }

    fn refusal(&self, error: &Error) -> Refusal {
        if self.moment().is_over { Refusal::Over } else { Refusal::Impossible(error.to_string()) }
    }
}
