//! The headers of a capture, for commands that need no more of it.

use crate::failure::Failure;
use crate::progress::Bar;
use crate::{Style, input, interrupt};
use legonf_core::{Batch, Brick, Clock, Headers, count};
use legonf_wire::PacketBatching;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Gives the headers of a capture's packets, batch by batch; a failure of `each` ends that.
pub fn headers(
    capture: &Path,
    limit: Option<u64>,
    name: &'static str,
    style: Style,
    mut each: impl FnMut(&[Headers]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let bar = Bar::new(name, None, style.quiet);
    let (mut source, mut parser) =
        (input::open(capture, limit)?, PacketBatching::new(legonf_wire::Config {}));
    let (mut batch, mut clock) = (Batch::default(), Clock::default());
    let (mut packets, stop) = (0, interrupt::install());
    loop {
        batch.clear();
        source.fill(&mut batch)?;
        if batch.is_empty() && !source.is_idle() {
            bar.clear();
            return Ok(());
        }
        clock.mark(&mut batch);
        parser.process(&mut batch)?;
        each(&batch.headers)?;
        packets += batch.headers.len() as u64;
        bar.update(source.progress(), packets);
        if stop.load(Ordering::Relaxed) {
            let packets = count(packets, "packet");
            return Err(Failure::Interrupted(format!("stopped after {packets}; nothing was written")));
        }
    }
}
