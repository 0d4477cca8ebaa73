//! The packets of a network interface into a capture file, without a model.

use super::outputs::{is_set, open};
use super::upkeep::{Rounds, Upkeep};
use crate::{Error, Extent, Session};
use legonf_core::{Batch, Source};
use legonf_io::sink::{Framing, LineStream, Loss, PacketFile, Rotation, SinkError};
use legonf_live::{Account, Bounds, Connections, LiveConfig, LiveSource, Losses};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A recording of an interface, until the session is stopped or a bound is met.
///
/// Once the interface is open, and before there is a file, the process gives up all capabilities.
pub struct Recording {
    /// The interface and how it is listened to.
    pub config: LiveConfig,
    /// When it ends.
    pub bounds: Bounds,
    /// Go on as this user (name or number) once the interface is open.
    pub user: Option<String>,
    /// The capture (pcapng with nanoseconds); `-` is standard output. A file of this name becomes `NAME.1`.
    pub file: PathBuf,
    /// When the next file is begun.
    pub rotation: Rotation,
    /// Opens the file anew whenever it is set.
    pub reopen: &'static AtomicBool,
}

/// What was recorded: `received = written + dropped`.
#[derive(Debug, Serialize)]
pub struct Recorded {
    /// The interface.
    pub interface: String,
    /// The file.
    pub file: String,
    /// Packets that the interface delivered or is known to have lost.
    pub received: u64,
    /// Packets that are in files.
    pub written: u64,
    /// Packets that are not, by reason: the kernel's ring was full (`kernel`), the interface lost them (`interface`), the disk or the
    /// reader did not take them (`output`).
    pub dropped: BTreeMap<&'static str, u64>,
    /// How long it took.
    pub seconds: f64,
    /// How often the interface went down.
    pub interface_down: u64,
    /// Why packets were not written, or what else went wrong first with the file.
    pub trouble: Option<String>,
    /// Why it ended before it was told to, if it did.
    pub ended_early: Option<String>,
    /// The same as an error.
    #[serde(skip)]
    pub ended: Option<Error>,
}

impl Recording {
    /// Writes packets as they come, and completes the file.
    ///
    /// # Errors
    /// If the interface cannot be opened, or the file cannot be made or completed.
    pub fn run(&self, session: &Session) -> Result<Recorded, Error> {
        let interface = legonf_live::open(&self.config)?;
        let account = self.user.as_deref().map(Account::find).transpose()?;
        legonf_live::give_up_privileges(account.as_ref(), Connections::None)?;
        let stream = LineStream::fresh(&self.file, Framing::Blocks, self.rotation);
        let mut file = PacketFile::over(open(session, stream)?, "legonf record").map_err(unwritten)?;
        let mut source = LiveSource::new(interface, self.bounds, session.stop);
        let begun = Instant::now();
        let ended = self.write(session, &mut source, &mut file)?;
        file.finish().map_err(unwritten)?;
        Ok(self.recorded(&source.losses(), &mut file, begun.elapsed().as_secs_f64(), ended))
    }

    /// Writes all packets until the end, and says why it came early, if so.
    fn write(
        &self,
        session: &Session,
        source: &mut LiveSource,
        file: &mut PacketFile,
    ) -> Result<Option<Error>, Error> {
        let (bar, losses) = (session.begin("record", Extent::Endless), source.losses());
        let upkeep = Arc::new(Upkeep::default());
        let mut rounds = Rounds::begin(session, upkeep.clone(), None);
        let mut batch = Batch::default();
        let ended = loop {
            batch.clear();
            if let Err(fault) = source.fill(&mut batch) {
                break Some(fault.into());
            }
            if batch.is_empty() && !source.is_idle() {
                break None;
            }
            put(&batch, file).map_err(unwritten)?;
            rounds.look();
            self.tend(&upkeep, file)?;
            bar.update(source.progress(), file.written());
            bar.counts(None, losses.total());
        };
        rounds.end();
        Ok(ended)
    }

    /// Does what signals and the time ask for.
    fn tend(&self, upkeep: &Upkeep, file: &mut PacketFile) -> Result<(), Error> {
        if is_set(self.reopen) {
            file.output().reopen();
        }
        if upkeep.take_due() { file.output().tend().map_err(unwritten) } else { Ok(()) }
    }

    fn recorded(
        &self,
        losses: &Losses,
        file: &mut PacketFile,
        seconds: f64,
        ended: Option<Error>,
    ) -> Recorded {
        let Loss { units, reason } = file.output().loss();
        let lost = losses.by_reason().into_iter().chain([("output", units)]);
        Recorded {
            interface: self.config.interface.clone(),
            file: file.name(),
            received: file.written() + losses.total(),
            written: file.written().saturating_sub(units),
            dropped: lost.filter(|(_, packets)| *packets > 0).collect(),
            seconds,
            interface_down: losses.outages(),
            trouble: reason,
            ended_early: ended.as_ref().map(ToString::to_string),
            ended,
        }
    }
}

/// Hands the packets of a batch to the system.
fn put(batch: &Batch, file: &mut PacketFile) -> Result<(), SinkError> {
    batch.packets.iter().try_for_each(|(packet, bytes)| file.packet(packet, bytes))?;
    file.flush()
}

/// What it means that the file cannot be written: only the reader of standard output cannot come back.
fn unwritten(error: SinkError) -> Error {
    if error.is_closed_pipe() { Error::ClosedPipe } else { error.into() }
}
