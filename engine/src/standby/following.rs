//! The source of a standby: packets of its primary, and then its own.

use super::{OF_SOURCES, STANDBY, Settling, Shared, StandbyReport};
use crate::{Error, Session};
use legonf_coordination::Coordination;
use legonf_core::{Batch, BindError, Fault, Layout, Pace, Progress, Source};
use legonf_transport::standby::{Heard, Replica, StandbyError};
use std::sync::Arc;
use std::time::Instant;

/// Packets that a primary took, and those behind them from a source of its own once the primary is lost.
pub(super) struct Following {
    /// What goes on, at the packet behind those of the primary.
    successor: Box<dyn Source>,
    phase: Phase,
    pace: Pace,
    idle: bool,
    dropped: u64,
    settling: Settling,
    report: Shared,
}

enum Phase {
    Following(Box<Replica>),
    Leading,
    Ended,
}

impl Following {
    pub fn new(
        session: &Session,
        successor: Box<dyn Source>,
        replica: Replica,
        coordination: Arc<dyn Coordination>,
        report: Shared,
    ) -> Self {
        let settling = Settling { session: *session, run: replica.run().to_owned(), coordination };
        let (phase, pace) = (Phase::Following(Box::new(replica)), Pace::default());
        Self { successor, phase, pace, idle: false, dropped: 0, settling, report }
    }

    /// Goes on where the primary ended.
    fn take_over(&mut self, lost: Option<StandbyError>) -> Result<(), Fault> {
        let Phase::Following(replica) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return Ok(());
        };
        let (accepted, since) = (replica.accepted(), Instant::now());
        let reason = lost.as_ref().map_or_else(|| "it has ended".to_owned(), ToString::to_string);
        self.note(&replica);
        drop(replica);
        if lost.is_some() && !self.settling.settle(STANDBY).map_err(Fault::new)? {
            let reason = format!(
                "the primary goes on without this standby, which has its packets up to {accepted} ({reason})"
            );
            return Err(Fault::new(Error::refused(reason)));
        }
        self.successor.skip(accepted)?;
        self.successor.pace(self.pace);
        self.phase = Phase::Leading;
        let took = since.elapsed().as_secs_f64() * 1e3;
        if let StandbyReport::Standby { takeover_ms, .. } = &mut *self.report.get() {
            *takeover_ms = Some(took);
        }
        self.settling
            .session
            .observer
            .note(&format!("the primary is lost ({reason}): going on at packet {accepted}"));
        Ok(())
    }

    /// Keeps what came from the primary, of which nothing more comes.
    fn note(&mut self, replica: &Replica) {
        let (accepted, dropped) = (replica.accepted(), replica.dropped());
        self.dropped = dropped;
        *self.report.get() = StandbyReport::Standby { accepted, dropped, takeover_ms: None };
    }

    fn end(&mut self) {
        if let Phase::Following(replica) = std::mem::replace(&mut self.phase, Phase::Ended) {
            self.note(&replica);
        }
    }
}

impl Drop for Following {
    /// A run may end before its source does.
    fn drop(&mut self) {
        self.end();
    }
}

impl Source for Following {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        self.idle = false;
        let replica = match &mut self.phase {
            Phase::Following(replica) => replica,
            Phase::Leading => return self.successor.fill(batch),
            Phase::Ended => return Ok(()),
        };
        let lost = match replica.hear(batch, OF_SOURCES) {
            Ok(Heard::Packets) => {
                self.dropped = replica.dropped();
                return Ok(());
            }
            Ok(Heard::Idle) => {
                self.idle = true;
                return Ok(());
            }
            Ok(Heard::End) => {
                self.end();
                return Ok(());
            }
            Ok(Heard::HandOver) => None,
            // It is this side that leaves.
            Err(_) if self.settling.session.is_stopped() => {
                self.end();
                return Ok(());
            }
            Err(lost) => Some(lost),
        };
        self.take_over(lost)?;
        self.successor.fill(batch)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.successor.bind(layout)
    }

    fn is_idle(&self) -> bool {
        match self.phase {
            Phase::Following(_) => self.idle,
            Phase::Leading => self.successor.is_idle(),
            Phase::Ended => false,
        }
    }

    fn progress(&self) -> Progress {
        self.successor.progress()
    }

    fn dropped(&self) -> u64 {
        self.dropped + self.successor.dropped()
    }

    fn pace(&mut self, pace: Pace) {
        self.pace = pace;
        if matches!(self.phase, Phase::Leading) {
            self.successor.pace(pace);
        }
    }
}
