//! Where instances of bricks run at this moment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where an instance of a brick runs that is not in the process of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name of a host; none for a process of its own on this host.
    pub host: Option<String>,
    /// The number of that process.
    pub process: Option<u32>,
}

/// A brick and the number of a replica, with where that instance runs.
pub type Located = (String, usize, Location);

/// Those that are elsewhere, by brick and replica. What a replica had that is not there any more stays until there is one again.
#[derive(Debug, Default)]
pub struct Locations(Mutex<BTreeMap<(String, usize), Location>>);

impl Locations {
    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, usize), Location>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance is elsewhere from now on, or here.
    pub(super) fn set(&self, brick: &str, replica: usize, location: Option<Location>) {
        let key = (brick.to_owned(), replica);
        match location {
            Some(location) => _ = self.known().insert(key, location),
            None => _ = self.known().remove(&key),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Located> {
        let known = self.known();
        known.iter().map(|((brick, replica), at)| (brick.clone(), *replica, at.clone())).collect()
    }
}
