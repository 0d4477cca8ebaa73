//! How a run ends of which a brick does not come back.

use legonf_core::Sink;
use legonf_runtime::RunFault;

/// Seconds that a brick may be at one batch where nothing else is said: the slowest networks take some for a batch.
pub const AFTER: u64 = 60;

/// Completes the results as far as they have come, since one of the threads cannot be ended, and says in a line what happened and
/// what is left. For [`Session::end`](crate::Session::end), which ends the process then.
pub fn complete(fault: &RunFault, packets: u64, sink: Option<&mut dyn Sink>) -> String {
    let kept = match sink.map(Sink::finish) {
        Some(Ok(())) => format!("the results are complete for the {packets} packets before it"),
        Some(Err(error)) => format!("the results are not complete: {error}"),
        None => format!("what the {packets} packets before it gave is in files named .partial"),
    };
    format!("{fault}; {kept}")
}
