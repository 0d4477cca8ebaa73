//! Ctrl-C and SIGTERM: the first one ends the work in order, a second one at once. SIGHUP: files are opened anew.

#[cfg(feature = "live")]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Once;
use std::sync::atomic::AtomicBool;

static STOP: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// Installs the handler, once, and returns the flag that it sets.
pub fn install() -> &'static AtomicBool {
    INSTALLED.call_once(|| {
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set. Only forbidden signals cannot be registered.
            let _ = flag::register_conditional_shutdown(signal, 130, &STOP);
            let _ = flag::register(signal, &STOP);
        }
    });
    &STOP
}

/// Has SIGHUP set a flag from now on, instead of ending the process.
#[cfg(feature = "live")]
pub fn hang_up() -> &'static AtomicBool {
    static HANG_UP: AtomicBool = AtomicBool::new(false);
    // Only forbidden signals cannot be registered.
    let _ = flag::register(SIGHUP, &HANG_UP);
    &HANG_UP
}
