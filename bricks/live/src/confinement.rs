//! Files and connections that a process needs no more once it has what it works with.

use crate::LiveError;
use crate::privileges::refused;
use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};
use std::path::Path;

/// The newest version of Landlock whose rules are asked for (Linux 6.12).
const NEWEST: ABI = ABI::V6;

/// How far the kernel holds a process to what it has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// It opens no further file and makes no TCP connection.
    Full,
    /// Files at least, but the kernel knows fewer rules than are asked for.
    Partial,
    /// Not at all: the kernel has no Landlock, or it is off.
    None,
}

/// Gives up every file that is not open yet, but to read some files and what is below some folders; those that are not there are left out. TCP
/// ports are not bound and not connected to any more, nor are processes outside signalled. What is open stays so, and a socket that listens still
/// takes connections.
///
/// Holds for the calling thread and those that it starts afterwards: to be called before there are others.
///
/// # Errors
/// [`LiveError::Privileges`] when the system refuses.
pub fn confine(readable: &[&Path]) -> Result<Confinement, LiveError> {
    let status = restrict(readable).map_err(|error| refused("files that are not open", &error))?;
    Ok(match status {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

fn restrict(readable: &[&Path]) -> Result<RulesetStatus, RulesetError> {
    let rules = path_beneath_rules(readable, AccessFs::ReadFile | AccessFs::ReadDir);
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(rules)?;
    Ok(ruleset.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::{ErrorKind, Read, Result};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    #[track_caller]
    fn denied<T>(tried: Result<T>) {
        assert_eq!(tried.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
    }

    #[test]
    fn what_is_open_stays_so_and_nothing_else_is_opened() {
        // In a thread of its own: other tests may need what they have.
        thread::spawn(|| {
            let own = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
            let mut open = File::open(own).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let outside = thread::scope(|scope| {
                let (go, wait) = std::sync::mpsc::channel();
                // This thread was there before, and is not held to anything.
                let outside = scope.spawn(move || {
                    wait.recv().unwrap();
                    TcpStream::connect(address).unwrap()
                });
                let readable = ["/proc/stat", "/proc/self", "/nonexistent"].map(Path::new);
                let confinement = confine(&readable).unwrap();
                if confinement == Confinement::None {
                    println!("skipped: this kernel has no Landlock");
                    go.send(()).unwrap();
                    drop(outside.join());
                    return None;
                }
                denied(fs::read(own));
                denied(fs::read_dir("/"));
                denied(fs::read("/proc/meminfo"));
                denied(File::create(std::env::temp_dir().join("legonf-confined")));
                denied(File::options().write(true).open("/dev/null"));
                // A thread that is started now is held to the same.
                thread::spawn(move || denied(fs::read(own))).join().unwrap();
                let mut text = String::new();
                open.read_to_string(&mut text).unwrap();
                assert!(text.contains("legonf-live"));
                ["/proc/stat", "/proc/self/cgroup"].iter().for_each(|file| drop(fs::read(file).unwrap()));
                if confinement == Confinement::Full {
                    denied(TcpListener::bind("127.0.0.1:0"));
                    denied(TcpStream::connect(address));
                }
                go.send(()).unwrap();
                listener.accept().unwrap();
                Some(outside.join().unwrap())
            });
            drop(outside);
        })
        .join()
        .unwrap();
    }
}
