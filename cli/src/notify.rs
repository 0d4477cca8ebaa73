//! Tells a service manager how a run is (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

/// Sends a state such as `READY=1`. Without a service manager, or where it does not listen, nothing happens.
pub fn notify(state: &str) {
    static MANAGER: OnceLock<Option<UnixDatagram>> = OnceLock::new();
    let manager = MANAGER.get_or_init(|| connect(&env::var_os("NOTIFY_SOCKET")?));
    if let Some(manager) = manager {
        // A manager that is gone must not end the run.
        let _ = manager.send(state.as_bytes());
    }
}

/// Whether the service manager wants to hear now and then that this process is alive.
pub fn is_watched() -> bool {
    let own = std::process::id().to_string();
    env::var_os("WATCHDOG_USEC").is_some()
        && env::var_os("WATCHDOG_PID").is_none_or(|process| process == OsStr::new(&own))
}

fn connect(name: &OsStr) -> Option<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_or_abstract() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        assert!(connect(path.as_os_str()).is_none());
        let name = format!("legonf-notify-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (receiver, name) in [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())] {
            connect(&name).unwrap().send(b"READY=1").unwrap();
            let mut buffer = [0; 16];
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 7);
        }
    }
}
