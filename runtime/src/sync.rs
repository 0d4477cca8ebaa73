//! Queues and threads: the real ones, or those of a model checker, which runs them in one order after the other.

#[cfg(not(feature = "model"))]
use crossbeam_channel::RecvTimeoutError;
#[cfg(not(feature = "model"))]
pub(crate) use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
#[cfg(not(feature = "model"))]
pub(crate) use std::sync::atomic::AtomicUsize;
#[cfg(not(feature = "model"))]
pub(crate) use std::thread::{Scope, scope};

#[cfg(feature = "model")]
pub(crate) use model::{Queue as Receiver, Queue as Sender, bounded, unbounded};
#[cfg(feature = "model")]
pub(crate) use shuttle::sync::atomic::AtomicUsize;
#[cfg(feature = "model")]
pub(crate) use shuttle::thread::{Scope, scope};

use std::io;
use std::time::Duration;
#[cfg(not(feature = "model"))]
use std::time::Instant;

/// What came, and from which of two queues.
pub(crate) enum Either<T> {
    First(T),
    Second(T),
}

/// Takes what is there, from the first queue that has something, without waiting.
pub(crate) fn try_either<T>(first: &Receiver<T>, second: Option<&Receiver<T>>) -> Option<Either<T>> {
    let from_second = || second?.try_recv().ok().map(Either::Second);
    first.try_recv().ok().map(Either::First).or_else(from_second)
}

/// Microseconds for which a thread sleeps between looks before it waits until it is woken.
#[cfg(not(feature = "model"))]
const NAPS: [u64; 8] = [200, 200, 200, 400, 500, 1000, 1000, 1000];

/// Longer than giving the core up takes where nobody wants it, and than the system oversleeps.
#[cfg(not(feature = "model"))]
const YIELD: Duration = Duration::from_micros(2);
#[cfg(not(feature = "model"))]
const SLACK: Duration = Duration::from_micros(60);

/// Looks for something some times: at once, then after giving the core up to others, then between naps. Meanwhile a sender
/// wakes nobody: where a core sleeps with its thread that takes tens of microseconds of the sender's time (an interrupt from one
/// core to another leaves a virtual machine), and the worker that has the most to do would pay it for each batch.
///
/// `idled` is told how long others had the core between two looks that found nothing.
#[cfg(not(feature = "model"))]
fn patiently<T>(mut look: impl FnMut() -> Option<T>, mut idled: impl FnMut(Duration)) -> Option<T> {
    const SPINS: usize = 16;
    const YIELDS: usize = 4;
    for _ in 0..SPINS {
        let found = look();
        if found.is_some() {
            return found;
        }
        std::hint::spin_loop();
    }
    let naps = NAPS.map(Duration::from_micros).map(Some);
    for nap in std::iter::repeat_n(None, YIELDS).chain(naps) {
        let begin = Instant::now();
        match nap {
            None => std::thread::yield_now(),
            Some(nap) => std::thread::sleep(nap),
        }
        let found = look();
        if found.is_some() {
            return found;
        }
        idled(others_had(begin.elapsed(), nap));
    }
    None
}

/// How long others had the core while a thread gave it up or napped: what is beyond the time that this takes where nobody wants it.
#[cfg(not(feature = "model"))]
fn others_had(took: Duration, nap: Option<Duration>) -> Duration {
    took.saturating_sub(nap.map_or(YIELD, |nap| nap + SLACK))
}

/// Takes what comes next from a queue; nothing where it is closed. `idled` is told how long others had the core although there
/// was nothing to do.
#[cfg(not(feature = "model"))]
pub(crate) fn recv<T>(queue: &Receiver<T>, idled: impl FnMut(Duration)) -> Option<T> {
    patiently(|| queue.try_recv().ok(), idled).or_else(|| queue.recv().ok())
}

/// As [`recv`]; `tend` is called every so often while nothing comes.
#[cfg(not(feature = "model"))]
pub(crate) fn recv_tending<T>(
    queue: &Receiver<T>,
    idled: impl FnMut(Duration),
    mut tend: impl FnMut(),
) -> Option<T> {
    const PERIOD: Duration = Duration::from_millis(100);
    let mut found = patiently(|| queue.try_recv().ok(), idled);
    while found.is_none() {
        match queue.recv_timeout(PERIOD) {
            Ok(item) => found = Some(item),
            Err(RecvTimeoutError::Timeout) => tend(),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    found
}

/// As [`recv`]: time does not pass in the model.
#[cfg(feature = "model")]
pub(crate) fn recv_tending<T>(
    queue: &Receiver<T>,
    idled: impl FnMut(Duration),
    _: impl FnMut(),
) -> Option<T> {
    recv(queue, idled)
}

/// Takes what comes next from a queue.
#[cfg(feature = "model")]
pub(crate) fn recv<T>(queue: &Receiver<T>, _: impl FnMut(Duration)) -> Option<T> {
    queue.recv().ok()
}

/// Whether something comes from a queue, or it is closed, within some time.
#[cfg(not(feature = "model"))]
pub(crate) fn ended<T>(queue: &Receiver<T>, patience: Duration) -> bool {
    !matches!(queue.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
}

/// Whether something comes from a queue within some time.
#[cfg(feature = "model")]
pub(crate) fn ended<T>(queue: &Receiver<T>, patience: Duration) -> bool {
    queue.recv_timeout(patience).is_ok()
}

/// Takes from the first queue that has something, and waits where none has; nothing where a queue is closed. `idled` is as for
/// [`recv`].
#[cfg(not(feature = "model"))]
pub(crate) fn recv_either<T>(
    first: &Receiver<T>,
    second: Option<&Receiver<T>>,
    idled: impl FnMut(Duration),
) -> Option<Either<T>> {
    if let Some(found) = patiently(|| try_either(first, second), idled) {
        return Some(found);
    }
    let never = crossbeam_channel::never();
    crossbeam_channel::select! {
        recv(first) -> item => item.ok().map(Either::First),
        recv(second.unwrap_or(&never)) -> item => item.ok().map(Either::Second),
    }
}

/// Takes from the first queue that has something; where none has, lets others go on.
#[cfg(feature = "model")]
pub(crate) fn recv_either<T>(
    first: &Receiver<T>,
    second: Option<&Receiver<T>>,
    _: impl FnMut(Duration),
) -> Option<Either<T>> {
    loop {
        match try_either(first, second) {
            None => shuttle::thread::yield_now(),
            found => return found,
        }
    }
}

/// Starts a named thread of a scope.
///
/// # Errors
/// If the system has no further thread.
#[cfg(not(feature = "model"))]
pub(crate) fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: String,
    body: impl FnOnce() + Send + 'scope,
) -> io::Result<()> {
    std::thread::Builder::new().name(name).spawn_scoped(scope, body).map(drop)
}

/// Starts a thread of a scope of the model.
///
/// # Errors
/// Never.
#[cfg(feature = "model")]
pub(crate) fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    _: String,
    body: impl FnOnce() + Send + 'scope,
) -> io::Result<()> {
    scope.spawn(body);
    Ok(())
}

#[cfg(feature = "model")]
mod model {
    use shuttle::sync::{Arc, Condvar, Mutex};
    use std::collections::VecDeque;
    use std::sync::PoisonError;
    use std::time::Duration;

    /// Both ends of a queue, with what the runtime uses of crossbeam's. A queue that its bound was wrong for is a defect.
    pub struct Queue<T> {
        items: Arc<(Mutex<VecDeque<T>>, Condvar)>,
        room: usize,
    }

    impl<T> Clone for Queue<T> {
        fn clone(&self) -> Self {
            Self { items: self.items.clone(), room: self.room }
        }
    }

    /// A queue that must never hold more than `room` items.
    pub fn bounded<T>(room: usize) -> (Queue<T>, Queue<T>) {
        let queue = Queue { items: Arc::new((Mutex::new(VecDeque::new()), Condvar::new())), room };
        (queue.clone(), queue)
    }

    /// A queue without a bound.
    pub fn unbounded<T>() -> (Queue<T>, Queue<T>) {
        bounded(usize::MAX)
    }

    impl<T> Queue<T> {
        pub fn send(&self, item: T) -> Result<(), ()> {
            let mut items = self.items.0.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(items.len() < self.room, "a queue has room for every batch");
            items.push_back(item);
            self.items.1.notify_one();
            Ok(())
        }

        pub fn try_send(&self, item: T) -> Result<(), ()> {
            if self.len() < self.room { self.send(item) } else { Err(()) }
        }

        pub fn recv(&self) -> Result<T, ()> {
            let mut items = self.items.0.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                match items.pop_front() {
                    Some(item) => return Ok(item),
                    None => items = self.items.1.wait(items).unwrap_or_else(PoisonError::into_inner),
                }
            }
        }

        pub fn try_recv(&self) -> Result<T, ()> {
            self.items.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front().ok_or(())
        }

        /// Time does not pass in the model: whoever waits lets the others go on for a while.
        pub fn recv_timeout(&self, _: Duration) -> Result<T, ()> {
            shuttle::thread::yield_now();
            self.try_recv()
        }

        pub fn len(&self) -> usize {
            self.items.0.lock().unwrap_or_else(PoisonError::into_inner).len()
        }
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use super::*;

    #[test]
    fn only_looks_that_find_nothing_count_as_idle() {
        let (sender, receiver) = bounded(1);
        let (mut looks, mut idle) = (0, Vec::new());
        sender.send(1).unwrap();
        assert_eq!(recv(&receiver, |time| idle.push(time)), Some(1));
        assert!(idle.is_empty());
        // Found at the 19th look: 16 without giving the core up, and two yields before the one that finds it.
        let found = patiently(
            || {
                looks += 1;
                (looks == 19).then_some(2)
            },
            |time| idle.push(time),
        );
        assert_eq!((found, idle.len()), (Some(2), 2));
        drop(sender);
        idle.clear();
        assert_eq!(recv(&receiver, |time| idle.push(time)), None);
        assert_eq!(idle.len(), 4 + NAPS.len());
        let others = |took, nap: Option<u64>| {
            others_had(Duration::from_micros(took), nap.map(Duration::from_micros)).as_micros()
        };
        assert_eq!([others(1, None), others(3002, None)], [0, 3000]);
        assert_eq!([others(255, Some(200)), others(4260, Some(200))], [0, 4000]);
    }
}
