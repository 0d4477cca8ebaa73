//! Cores that workers are bound to.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The cores that this process may use, to be given to workers in turn; none where workers are not bound.
#[derive(Default)]
pub(crate) struct Cores {
    allowed: Vec<usize>,
    given: usize,
}

/// A core for one worker, or any.
pub(crate) struct Core(Option<usize>);

impl Cores {
    /// The cores of the calling thread; no binding where the system does not tell them.
    pub fn allowed() -> Self {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        let allowed = (0..CpuSet::count()).filter(|core| set.is_set(*core) == Ok(true)).collect();
        Self { allowed, given: 0 }
    }

    pub fn next(&mut self) -> Core {
        let core = self.allowed.get(self.given % self.allowed.len().max(1)).copied();
        self.given += 1;
        Core(core)
    }
}

impl Core {
    /// Binds the calling thread. A core that has gone meanwhile binds nothing: the work is done wherever there is one.
    pub fn pin(&self) {
        let Some(core) = self.0 else { return };
        let mut set = CpuSet::new();
        if set.set(core).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_take_the_allowed_cores_in_turn() {
        let mut cores = Cores::allowed();
        let count = cores.allowed.len();
        assert!(count > 0);
        let first = cores.next();
        (1..count).for_each(|_| _ = cores.next());
        assert_eq!(first.0, cores.next().0);
        std::thread::spawn(move || {
            first.pin();
            let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let bound: Vec<_> = (0..CpuSet::count()).filter(|core| set.is_set(*core) == Ok(true)).collect();
            assert_eq!(bound, [first.0.unwrap()]);
        })
        .join()
        .unwrap();
        assert_eq!(Cores::default().next().0, None);
    }
}
