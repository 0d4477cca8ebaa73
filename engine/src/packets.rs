//! The headers of a capture, for work that needs no more of it.

use crate::{Error, Extent, Session, input};
use legonf_core::{Batch, Brick, Clock, Headers, count};
use legonf_wire::PacketBatching;
use std::path::Path;

/// Gives the headers of a capture's packets, batch by batch; an error of `each` ends that.
///
/// # Errors
/// If the capture cannot be read, the session is stopped, or `each` fails.
pub fn headers<E: From<Error>>(
    session: &Session,
    task: &'static str,
    capture: &Path,
    limit: Option<u64>,
    mut each: impl FnMut(&[Headers]) -> Result<(), E>,
) -> Result<(), E> {
    let bar = session.begin(task, Extent::Bytes);
    let mut source = input::open(session, capture, limit)?;
    let mut parser = PacketBatching::new(legonf_wire::Config {});
    let (mut batch, mut clock, mut packets) = (Batch::default(), Clock::default(), 0);
    loop {
        batch.clear();
        source.fill(&mut batch).map_err(Error::from)?;
        if batch.is_empty() && !source.is_idle() {
            return Ok(());
        }
        clock.mark(&mut batch);
        parser.process(&mut batch).map_err(Error::from)?;
        each(&batch.headers)?;
        packets += batch.headers.len() as u64;
        bar.update(source.progress(), packets);
        if session.is_stopped() {
            let packets = count(packets, "packet");
            return Err(Error::Interrupted(format!("stopped after {packets}; nothing was written")).into());
        }
    }
}
