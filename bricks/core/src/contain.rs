//! Panics that are caught: whoever catches one tells of it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of the calling thread is caught by [`guarded`], whose caller tells of it: the runtime in the fault of the run, a host of
/// bricks in its answer. A panic hook need say nothing of such a one.
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// Runs what may panic.
///
/// # Errors
/// The panic's message, in one line.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(before);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("no message").lines().map(str::trim).collect::<Vec<_>>().join("; ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_one_line_and_only_inside_is_it_contained() {
        assert!(!is_contained());
        assert_eq!(guarded(is_contained), Ok(true));
        let message = guarded(|| assert_eq!(1, 2, "unequal")).unwrap_err();
        assert_eq!(message, "assertion `left == right` failed: unequal; left: 1; right: 2");
        assert_eq!(guarded(|| guarded(|| panic!("inner")).is_err() && is_contained()), Ok(true));
        assert!(!is_contained());
    }
}
