//! Write-once decisions: which of a primary and its standby goes on.
//!
//! A primary and its standby that lose sight of each other cannot tell a death from a cut link. So both propose a decision to a place
//! outside of both, and exactly one proposal stands: the place is one write-once register for each run. It holds a value once and for all,
//! and is linearizable: whoever asks after an answer was given gets the same answer (Herlihy, "Wait-Free Synchronization", TOPLAS 1991,
//! §3: a compare-and-swap register decides between any number of processes).
//!
//! An error is no answer. The proposal may have been written or not, so who gets an error must not go on; it may ask again.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod folder;

pub use error::CoordinationError;
#[cfg(feature = "etcd")]
pub use etcd::{Etcd, Timeouts};
pub use folder::Folder;

/// Characters of a run's name at most.
pub const MAX_RUN: usize = 64;
/// Bytes of a proposal at most.
pub const MAX_PROPOSAL: usize = 1024;

/// Where a primary and its standby settle which of them goes on.
pub trait Coordination: Send + Sync {
    /// Proposes a decision of a run. The answer is the one that stands: the first that was proposed (write-once, linearizable).
    ///
    /// A name of a run has up to [`MAX_RUN`] characters of `a-z`, `0-9` and `-`; a proposal has 1 to [`MAX_PROPOSAL`] bytes. Proposals
    /// of two sides must differ, since the answer is all that tells them apart.
    ///
    /// # Errors
    /// If the name or the proposal is not as stated, or the place cannot be reached. Then it is unknown which decision stands, if any.
    fn decide(&self, run: &str, proposal: &str) -> Result<String, CoordinationError>;

    /// The decision of a run, if there is one (a linearizable read).
    ///
    /// # Errors
    /// If the name is not as stated, or the place cannot be reached.
    fn decision(&self, run: &str) -> Result<Option<String>, CoordinationError>;

    /// Checks that a decision could be made now: who relies on the place should learn of a fault before there is need of it.
    ///
    /// # Errors
    /// If the place cannot be reached, or not be written to as far as that shows.
    fn check(&self) -> Result<(), CoordinationError> {
        self.decision("check").map(drop)
    }
}

/// Opens a place where decisions are kept: the path of a [folder](Folder), or `etcd=` with endpoints of etcd and certificates, such as
/// `etcd=http://127.0.0.1:2379` (see `Etcd::open`). Nothing is asked yet.
///
/// # Errors
/// If there is no such folder, the endpoints or certificates are not as stated, or the program is built without the feature `etcd`.
pub fn open(place: &str) -> Result<Box<dyn Coordination>, CoordinationError> {
    match place.strip_prefix("etcd=") {
        Some(endpoints) => open_etcd(endpoints),
        None => Ok(Box::new(Folder::open(place)?)),
    }
}

#[cfg(feature = "etcd")]
fn open_etcd(endpoints: &str) -> Result<Box<dyn Coordination>, CoordinationError> {
    Ok(Box::new(Etcd::open(endpoints, Timeouts::default())?))
}

#[cfg(not(feature = "etcd"))]
fn open_etcd(_: &str) -> Result<Box<dyn Coordination>, CoordinationError> {
    Err(CoordinationError::NotBuiltIn)
}

/// Refuses names that could lead elsewhere.
fn check_run(run: &str) -> Result<(), CoordinationError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !run.is_empty() && run.len() <= MAX_RUN && run.bytes().all(allowed) {
        true => Ok(()),
        false => Err(CoordinationError::Run(run.into())),
    }
}

fn check_proposal(proposal: &str) -> Result<(), CoordinationError> {
    match proposal.len() {
        1..=MAX_PROPOSAL => Ok(()),
        bytes => Err(CoordinationError::Proposal(bytes)),
    }
}
