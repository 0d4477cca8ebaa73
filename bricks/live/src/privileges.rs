//! Rights that reading from an open interface does not need.

use crate::{LiveError, calls};
use caps::{CapSet, Capability};
use nix::unistd::{Uid, User, initgroups, setresgid, setresuid};
use std::ffi::CString;

/// A user of this system.
#[derive(Clone, Debug)]
pub struct Account(User);

impl Account {
    /// The user of this name, or of this number.
    ///
    /// # Errors
    /// [`LiveError::NoSuchUser`] where there is none.
    pub fn find(name: &str) -> Result<Self, LiveError> {
        let number = name.parse().map(Uid::from_raw).map(User::from_uid);
        let found = number.unwrap_or_else(|_| User::from_name(name));
        found.ok().flatten().map(Self).ok_or_else(|| LiveError::NoSuchUser { name: name.to_owned() })
    }
}

/// Connections that a process takes or makes after it has given up its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// None.
    None,
    /// Those to sockets that listen already.
    Listening,
    /// Those too, and further ones that it makes.
    Outgoing,
    /// Those too, and further ones to hosts and processes that run bricks: a process may be started and ended, and a host connected to.
    Hosts,
}

/// Gives up every capability, CAP_NET_RAW too, and the ways to get any back: by running a program (no_new_privs, and the bounding
/// set where the process may change it), and by the system calls of [`DENIED`](crate::DENIED). With an account, user and groups
/// become those of the account.
///
/// Holds for the calling thread and those that it starts afterwards: to be called before there are others.
///
/// # Errors
/// [`LiveError::Privileges`] when the system refuses.
pub fn give_up_privileges(account: Option<&Account>, connections: Connections) -> Result<(), LiveError> {
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        clear(CapSet::Bounding)?;
    }
    account.map_or(Ok(()), become_user)?;
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        clear(set)?;
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| refused("the way to new privileges", &error))?;
    calls::deny(connections)
}

fn clear(set: CapSet) -> Result<(), LiveError> {
    caps::clear(None, set).map_err(|error| refused("capabilities", &error))
}

/// Takes on user and groups of an account, for good.
fn become_user(Account(user): &Account) -> Result<(), LiveError> {
    let failed =
        |error: nix::Error| refused("the rights of the user that started this, which root alone can", &error);
    let name = CString::new(user.name.as_str()).map_err(|error| refused("the user", &error))?;
    initgroups(&name, user.gid).map_err(failed)?;
    setresgid(user.gid, user.gid, user.gid).map_err(failed)?;
    setresuid(user.uid, user.uid, user.uid).map_err(failed)
}

pub(crate) fn refused(what: &'static str, reason: &dyn std::fmt::Display) -> LiveError {
    LiveError::Privileges { what, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::fs;
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    #[test]
    fn nothing_is_left() {
        // In a thread of its own: other tests may need what they have.
        std::thread::spawn(|| {
            let had_bounding = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap();
            give_up_privileges(None, Connections::None).unwrap();
            give_up_privileges(None, Connections::None).unwrap();
            assert!(nix::sys::prctl::get_no_new_privs().unwrap());
            for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted, CapSet::Ambient] {
                assert!(caps::read(None, set).unwrap().is_empty(), "{set:?}");
            }
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(!had_bounding || status.contains("CapBnd:\t0000000000000000"), "{status}");
            assert!(status.contains("Seccomp:\t2"), "{status}");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_leads_to_new_rights_is_refused_and_what_a_run_needs_is_not() {
        std::thread::spawn(|| {
            give_up_privileges(None, Connections::None).unwrap();
            let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
            assert!(refused(Command::new("/bin/true").status().unwrap_err()));
            assert_eq!(unshare(CloneFlags::CLONE_NEWUSER), Err(nix::errno::Errno::EPERM));
            assert!(refused(TcpListener::bind("127.0.0.1:0").unwrap_err()));
            std::thread::spawn(|| fs::read("/proc/self/status").unwrap()).join().unwrap();
            assert!(!crate::interfaces().is_empty());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn who_has_bricks_elsewhere_starts_processes_and_reaches_hosts() {
        std::thread::spawn(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            give_up_privileges(None, Connections::Hosts).unwrap();
            let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
            child.kill().and_then(|()| child.wait()).unwrap();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(unshare(CloneFlags::CLONE_NEWUSER), Err(nix::errno::Errno::EPERM));
            let listens = TcpListener::bind("127.0.0.1:0").unwrap_err();
            assert_eq!(listens.kind(), io::ErrorKind::PermissionDenied);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn accounts_are_found_by_name_and_number() {
        for name in ["root", "0"] {
            assert!(Account::find(name).unwrap().0.uid.is_root(), "{name}");
        }
        let line = Account::find("nonesuch\u{1b}").unwrap_err().to_string();
        assert!(line.starts_with("--user nonesuch"), "{line}");
    }
}
