//! The connections of a server, of which there are so many at most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What is known of a connection.
#[derive(Clone, Debug)]
pub struct Activity {
    begin: Instant,
    /// Requests that are being answered.
    requests: Arc<AtomicUsize>,
    /// Microseconds from the begin to the last request.
    last: Arc<AtomicU64>,
}

impl Activity {
    pub fn begin() -> Self {
        Self { begin: Instant::now(), requests: Arc::default(), last: Arc::default() }
    }

    /// A request begins; it is over when what is given back is dropped.
    pub fn request(&self) -> Request {
        self.requests.fetch_add(1, Relaxed);
        self.last.store(self.begin.elapsed().as_micros() as u64, Relaxed);
        Request(self.requests.clone())
    }

    /// Since when nothing has been asked; none where something is being answered.
    fn idle_since(&self) -> Option<Instant> {
        let idle = self.requests.load(Relaxed) == 0;
        idle.then(|| self.begin + Duration::from_micros(self.last.load(Relaxed)))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Request(Arc<AtomicUsize>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// All connections. Where there are as many as may be, that which was idle for longest makes room.
#[derive(Debug)]
pub struct Connections {
    most: usize,
    next: AtomicU64,
    known: Mutex<HashMap<u64, (Activity, Option<AbortHandle>)>>,
}

/// A place among them, given back when it is dropped.
pub struct Place {
    all: Arc<Connections>,
    number: u64,
}

impl Connections {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, next: AtomicU64::new(0), known: Mutex::default() })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (Activity, Option<AbortHandle>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for another one; none where all others are at work.
    pub fn place(self: &Arc<Self>, activity: &Activity) -> Option<Place> {
        let mut known = self.known();
        if known.len() >= self.most {
            let idle =
                |(number, (activity, _)): (&u64, &(Activity, _))| Some((activity.idle_since()?, *number));
            let (_, longest) = known.iter().filter_map(idle).min()?;
            if let Some((_, Some(handle))) = known.remove(&longest) {
                handle.abort();
            }
        }
        let number = self.next.fetch_add(1, Relaxed);
        known.insert(number, (activity.clone(), None));
        Some(Place { all: self.clone(), number })
    }

    /// How one of them is ended.
    pub fn ends_by(&self, number: u64, handle: AbortHandle) {
        if let Some((_, ends)) = self.known().get_mut(&number) {
            *ends = Some(handle);
        }
    }
}

impl Place {
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.known().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_idle_for_longest_makes_room() {
        let all = Connections::new(2);
        let activities = [Activity::begin(), Activity::begin(), Activity::begin()];
        let first = all.place(&activities[0]).unwrap();
        let second = all.place(&activities[1]).unwrap();
        let at_work = activities[0].request();
        let third = all.place(&activities[2]).unwrap();
        let numbers = |all: &Connections| {
            let mut numbers: Vec<_> = all.known().keys().copied().collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(numbers(&all), [first.number(), third.number()]);
        let also = activities[2].request();
        assert!(all.place(&Activity::begin()).is_none(), "all are at work");
        drop((at_work, also, second));
        assert!(all.place(&Activity::begin()).is_some());
        drop(third);
    }
}
