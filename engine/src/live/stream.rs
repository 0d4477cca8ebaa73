//! A capture that comes through standard input, as packets come.

use crate::{Error, Session, input};
use legonf_core::{Batch, BindError, Fault, Layout, Pace, Progress, Source};
use legonf_live::Bounds;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What stands for standard input in place of an interface.
pub(super) const STANDARD_INPUT: &str = "-";

/// A capture's packets as they come, which ends in order at its bounds or when the session is stopped, as an interface does.
pub(super) struct Stream {
    inner: Box<dyn Source>,
    stop: &'static AtomicBool,
    deadline: Option<Instant>,
    ended: bool,
}

impl Stream {
    /// Waits for the begin of the capture, from which on its duration counts.
    ///
    /// # Errors
    /// If it is none, or the session is stopped meanwhile.
    pub fn open(session: &Session, bounds: Bounds) -> Result<Self, Error> {
        let inner = input::open(session, Path::new(STANDARD_INPUT), bounds.packets)?;
        Ok(Self::over(inner, bounds, session.stop))
    }

    fn over(inner: Box<dyn Source>, bounds: Bounds, stop: &'static AtomicBool) -> Self {
        let deadline = bounds.duration.and_then(|duration| Instant::now().checked_add(duration));
        Self { inner, stop, deadline, ended: false }
    }

    fn is_over(&self) -> bool {
        self.is_stopped() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Source for Stream {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.ended |= self.is_over();
        if self.ended {
            return Ok(());
        }
        match self.inner.fill(batch) {
            // The same Ctrl-C has ended whoever writes, amid a packet as it may be.
            Err(_) if self.is_stopped() => {
                self.ended = true;
                Ok(())
            }
            filled => filled,
        }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn is_idle(&self) -> bool {
        !self.ended && self.inner.is_idle()
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }

    fn dropped(&self) -> u64 {
        self.inner.dropped()
    }

    fn pace(&mut self, pace: Pace) {
        self.inner.pace(pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Has nothing yet, or is cut off.
    struct Silent(bool);

    impl Source for Silent {
        fn fill(&mut self, _: &mut Batch) -> Result<(), Fault> {
            if self.0 { Err(Fault::new("cut off")) } else { Ok(()) }
        }

        fn is_idle(&self) -> bool {
            true
        }

        fn progress(&self) -> Progress {
            Progress { read_bytes: 0, total_bytes: None }
        }
    }

    fn fill(stream: &mut Stream) -> (bool, bool) {
        let mut batch = Batch::default();
        (stream.fill(&mut batch).is_ok(), stream.is_idle())
    }

    #[test]
    fn silence_is_no_end_and_a_bound_is() {
        static GOING: AtomicBool = AtomicBool::new(false);
        let mut stream = Stream::over(Box::new(Silent(false)), Bounds::default(), &GOING);
        assert_eq!(fill(&mut stream), (true, true));
        let bounds = Bounds { duration: Some(Duration::ZERO), packets: None };
        let mut stream = Stream::over(Box::new(Silent(false)), bounds, &GOING);
        assert_eq!(fill(&mut stream), (true, false));
        let mut stream = Stream::over(Box::new(Silent(true)), Bounds::default(), &GOING);
        assert!(!fill(&mut stream).0);
    }

    #[test]
    fn a_stream_that_is_cut_off_as_the_run_is_stopped_is_at_its_end() {
        static STOPPED: AtomicBool = AtomicBool::new(true);
        let mut stream = Stream::over(Box::new(Silent(true)), Bounds::default(), &STOPPED);
        assert_eq!(fill(&mut stream), (true, false));
    }
}
