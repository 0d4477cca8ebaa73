//! Which replica owns which slot.

use crate::SplitError;
use legonf_core::SLOTS;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// The owner of every slot, as of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    epoch: u64,
    replicas: usize,
    owners: Box<[u16]>,
}

/// A slot that changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The slot.
    pub slot: usize,
    /// The replica that has its state.
    pub from: u16,
    /// The replica that gets it.
    pub to: u16,
}

impl Owners {
    /// Epoch 0: slots dealt out in turn, so that each replica has as many.
    ///
    /// # Errors
    /// If there is no replica, or more than slots.
    pub fn even(replicas: usize) -> Result<Self, SplitError> {
        Self::new(0, replicas, (0..SLOTS).map(|slot| (slot % replicas.max(1)) as u16).collect())
    }

    /// The owners as of `epoch`.
    ///
    /// # Errors
    /// If there is no replica or more than slots, or an owner is none of them.
    ///
    /// # Panics
    /// If `owners` are not as many as there are slots.
    pub fn new(epoch: u64, replicas: usize, owners: Vec<u16>) -> Result<Self, SplitError> {
        assert_eq!(owners.len(), SLOTS, "an owner for every slot");
        if !(1..=SLOTS).contains(&replicas) {
            return Err(SplitError::Replicas(replicas));
        }
        let stray = owners.iter().enumerate().find(|(_, owner)| usize::from(**owner) >= replicas);
        match stray {
            Some((slot, owner)) => Err(SplitError::Owner { slot, owner: *owner, last: replicas - 1 }),
            None => Ok(Self { epoch, replicas, owners: owners.into() }),
        }
    }

    /// How often the owners have changed.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Number of replicas.
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// The owner of a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub fn owner(&self, slot: usize) -> u16 {
        self.owners[slot]
    }

    /// What must move for `next` to hold, by slot.
    pub fn moves_to(&self, next: &Self) -> Vec<Move> {
        let changed = (0..SLOTS).filter(|slot| self.owner(*slot) != next.owner(*slot));
        changed.map(|slot| Move { slot, from: self.owner(slot), to: next.owner(slot) }).collect()
    }
}

/// Where a controller publishes new owners and a dispatcher finds them, at its next batch.
///
/// The dispatcher reads one number a batch; only where that has changed it takes the lock, and where that is held just
/// then it takes the new owners a batch later, rather than wait.
#[derive(Debug)]
pub struct Switch {
    epoch: AtomicU64,
    owners: Mutex<Arc<Owners>>,
}

impl Switch {
    /// A switch at these owners.
    pub fn new(owners: Owners) -> Self {
        Self { epoch: AtomicU64::new(owners.epoch), owners: Mutex::new(Arc::new(owners)) }
    }

    /// Publishes new owners; those of an older or the same epoch are ignored. Returns whether they were published.
    pub fn publish(&self, owners: Owners) -> bool {
        let mut current = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = owners.epoch > current.epoch;
        if newer {
            self.epoch.store(owners.epoch, Ordering::Release);
            *current = Arc::new(owners);
        }
        newer
    }

    /// The owners, where they are newer than of `epoch`.
    pub fn newer_than(&self, epoch: u64) -> Option<Arc<Owners>> {
        if self.epoch.load(Ordering::Acquire) <= epoch {
            return None;
        }
        match self.owners.try_lock() {
            Ok(owners) => Some(owners.clone()),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner().clone()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dealt_out_evenly() {
        let owners = Owners::even(3).unwrap();
        let of = |replica| (0..SLOTS).filter(|slot| owners.owner(*slot) == replica).count();
        assert_eq!([of(0), of(1), of(2)], [1366, 1365, 1365]);
    }

    #[test]
    fn numbers_of_replicas_that_cannot_be_are_refused() {
        for replicas in [0, SLOTS + 1] {
            let error = Owners::even(replicas).unwrap_err().to_string();
            assert!(error.starts_with(&format!("replicas = {replicas}: expected 1 to 4096")), "{error}");
        }
        assert!(Owners::even(SLOTS).is_ok());
        let error = Owners::new(1, 2, vec![2; SLOTS]).unwrap_err().to_string();
        assert_eq!(error, "slot 0 is owned by replica 2: expected 0 to 1");
    }

    #[test]
    fn only_newer_owners_are_published_and_found() {
        let owners = |epoch| Owners::new(epoch, 2, vec![(epoch % 2) as u16; SLOTS]).unwrap();
        let switch = Switch::new(owners(3));
        assert!(!switch.publish(owners(3)) && switch.newer_than(3).is_none());
        assert!(switch.publish(owners(4)));
        let found = switch.newer_than(3).unwrap();
        assert_eq!((found.epoch(), owners(3).moves_to(&found).len()), (4, SLOTS));
        assert_eq!(owners(3).moves_to(&found)[7], Move { slot: 7, from: 1, to: 0 });
    }
}
