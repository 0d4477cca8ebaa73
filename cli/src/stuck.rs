//! How the process ends where it cannot go on: a brick that does not come back, a defect that panics.

use crate::failure::Failure;
use crate::interrupt;
use legonf_core::Sink;
use legonf_engine::complete;
use legonf_output::one_line;
use legonf_runtime::{RunFault, is_contained};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::atomic::Ordering;

/// Completes the results as far as they have come and ends the process, since one of its threads cannot be ended.
pub fn end(fault: &RunFault, packets: u64, sink: Option<&mut dyn Sink>) {
    let reason = complete(fault, packets, sink);
    if std::io::stderr().is_terminal() {
        // A progress bar may be there, which nobody takes away any more.
        eprint!("\r\x1b[2K");
    }
    let interrupted = interrupt::install().load(Ordering::Relaxed);
    let failure = if interrupted {
        Failure::Interrupted(reason)
    } else {
        Failure::Fault(format!("{reason}; if it is only slow, --watchdog gives it longer"))
    };
    failure.report();
    std::process::exit(failure.code().into());
}

/// Says a panic in one line, if nobody else does: the runtime tells of those in its workers as the fault of the run. Where
/// LEGONF_BACKTRACE is set, all are told at length, as RUST_BACKTRACE says.
pub fn install_hook() {
    let at_length = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::env::var_os("LEGONF_BACKTRACE").is_some() {
            at_length(info);
        } else if let Some(line) = said(info, is_contained()) {
            eprintln!("legonf: {line}");
        }
    }));
}

fn said(info: &PanicHookInfo<'_>, contained: bool) -> Option<String> {
    let place =
        info.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
    let message = one_line(info.payload_as_str().unwrap_or("no message"));
    (!contained).then(|| format!("a defect: {message}{place}; please report this with the command"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn only_what_nobody_else_tells_is_said_and_in_one_line() {
        static SAID: Mutex<Vec<Option<String>>> = Mutex::new(Vec::new());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(|info| {
            SAID.lock().unwrap().extend([said(info, true), said(info, false)]);
        }));
        let panicked = std::thread::spawn(|| assert_eq!(1, 2)).join().is_err();
        std::panic::set_hook(before);
        let told = SAID.lock().unwrap().clone();
        let line = told[1].clone().unwrap();
        assert!(panicked && told[0].is_none() && line.lines().count() == 1, "{told:?}");
        assert!(
            line.starts_with("a defect: assertion `left == right` failed") && line.contains("stuck.rs:"),
            "{line}"
        );
    }
}
