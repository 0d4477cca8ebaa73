//! Rights that reading from an open interface does not need.

use crate::LiveError;
use caps::CapSet;

/// Gives up every capability, CAP_NET_RAW too, and the way to get any back by running a program (no_new_privs).
///
/// Holds for the calling thread and those that it starts afterwards: to be called before there are others.
///
/// # Errors
/// [`LiveError::Privileges`] when the system refuses.
pub fn give_up_privileges() -> Result<(), LiveError> {
    let failed = |what, reason: String| LiveError::Privileges { what, reason };
    nix::sys::prctl::set_no_new_privs()
        .map_err(|error| failed("the way to new privileges", error.to_string()))?;
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| failed("capabilities", error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left() {
        // In a thread of its own: other tests may need what they have.
        std::thread::spawn(|| {
            give_up_privileges().unwrap();
            give_up_privileges().unwrap();
            assert!(nix::sys::prctl::get_no_new_privs().unwrap());
            for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted, CapSet::Ambient] {
                assert!(caps::read(None, set).unwrap().is_empty(), "{set:?}");
            }
        })
        .join()
        .unwrap();
    }
}
