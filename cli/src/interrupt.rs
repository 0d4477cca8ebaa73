//! Ctrl-C: the first one ends the work in order, a second one at once.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Installs the handler and returns the flag that it sets.
pub fn install() -> &'static AtomicBool {
    // Only fails where a handler exists already, and then that one sets the same flag.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    &STOP
}
