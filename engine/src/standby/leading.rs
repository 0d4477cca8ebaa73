//! The source of a primary: a batch goes to the standby first.

use super::{OF_SOURCES, PRIMARY, Settling, Shared, StandbyReport};
use crate::Error;
use legonf_core::{Batch, BindError, Fault, Layout, Pace, Progress, Source};
use legonf_transport::standby::{Primary, StandbyError};

/// Packets of which a standby has each before it is given away.
pub(super) struct Leading {
    inner: Box<dyn Source>,
    /// None once the standby is lost, or nothing more comes.
    primary: Option<Primary>,
    standby: String,
    settling: Settling,
    report: Shared,
    /// Packets that the standby has.
    accepted: u64,
}

impl Leading {
    pub fn new(
        inner: Box<dyn Source>,
        primary: Primary,
        standby: String,
        settling: Settling,
        report: Shared,
    ) -> Self {
        Self { inner, primary: Some(primary), standby, settling, report, accepted: 0 }
    }

    /// Tells the standby what has come.
    fn tell(&mut self, batch: &Batch, is_fault: bool) -> Result<(), StandbyError> {
        let Some(primary) = &mut self.primary else { return Ok(()) };
        if !batch.is_empty() {
            primary.pass_on(batch, OF_SOURCES, self.accepted, self.inner.dropped())?;
            self.accepted += batch.len() as u64;
            return Ok(());
        }
        if !is_fault && self.inner.is_idle() {
            return primary.idle();
        }
        // The other side may be able to go on where this one is stopped, or its interface fails.
        let hands_over = is_fault || self.settling.session.is_stopped();
        // Whether it hears this or finds the connection closed, it comes to the same end.
        let _ = if hands_over { primary.hand_over() } else { primary.end() };
        self.leave(None);
        Ok(())
    }

    fn leave(&mut self, lost: Option<String>) {
        self.primary = None;
        *self.report.get() = StandbyReport::Primary { accepted: self.accepted, lost };
    }

    /// Goes on alone, unless the standby does.
    fn settle(&mut self, lost: StandbyError) -> Result<(), Fault> {
        let (standby, packets) = (self.standby.clone(), self.accepted);
        self.leave(Some(lost.to_string()));
        if self.settling.settle(PRIMARY).map_err(Fault::new)? {
            let note = format!(
                "standby `{standby}` is lost ({lost}): it does not have packet {packets} and those behind"
            );
            self.settling.session.observer.note(&note);
            return Ok(());
        }
        let reason = format!(
            "standby `{standby}` has gone on in place of this process, behind packet {packets} at the earliest"
        );
        Err(Fault::new(Error::refused(reason)))
    }
}

impl Source for Leading {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let filled = self.inner.fill(batch);
        let told = self.tell(batch, filled.is_err());
        if let Err(lost) = told {
            self.settle(lost).inspect_err(|_| batch.clear())?;
        }
        filled
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.inner.bind(layout)
    }

    fn is_idle(&self) -> bool {
        self.inner.is_idle()
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

impl Drop for Leading {
    /// A run that ends before its source does has not left the standby yet.
    fn drop(&mut self) {
        if let Some(mut primary) = self.primary.take() {
            let _ = primary.hand_over();
            self.leave(None);
        }
    }
}
