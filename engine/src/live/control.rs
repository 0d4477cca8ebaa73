//! A socket on which a live run takes orders.

use crate::control::{Answer, Order, read_line};
use crate::swap::{Swapped, Swaps};
use crate::{Error, ModelFile, Session};
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long who speaks may take for an order.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody speaks.
const LOOK: Duration = Duration::from_millis(50);

/// A socket on which a run listens. When it is dropped, the socket goes.
pub(crate) struct ControlSocket {
    path: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A socket that listens, before anybody is answered. It goes where it is dropped before.
pub(super) struct Listener {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.listener.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Listens at a path, for its owner alone. A socket that nobody listens on any more makes way.
    ///
    /// # Errors
    /// If there is something else, or the socket cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let named = |error: io::Error| Error::file(path, error);
        make_way(path)?;
        let listener = UnixListener::bind(path).map_err(named)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(named)?;
        listener.set_nonblocking(true).map_err(named)?;
        Ok(Self { path: path.to_owned(), listener: Some(listener) })
    }

    /// Answers orders in a thread of its own.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn serve(mut self, session: &Session, swaps: Swaps) -> Result<ControlSocket, Error> {
        let (path, listener) = (self.path.clone(), self.listener.take());
        let (over, session) = (Arc::new(AtomicBool::new(false)), *session);
        let ends = over.clone();
        let serve = move || listener.iter().for_each(|listener| serve(listener, &session, &swaps, &ends));
        let thread = std::thread::Builder::new().name("control".into()).spawn(serve);
        let thread = thread.map_err(|error| Error::file(&path, error))?;
        Ok(ControlSocket { path, over, thread: Some(thread) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket that nobody listens on.
fn make_way(path: &Path) -> Result<(), Error> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if !found.file_type().is_socket() {
        return Err(Error::file(path, "there is a file already; expected a path for a new socket"));
    }
    if !UnixStream::connect(path).is_err_and(refused) {
        return Err(Error::file(path, "another run listens there; give each run a socket of its own"));
    }
    fs::remove_file(path).map_err(|error| Error::file(path, error))
}

fn serve(listener: &UnixListener, session: &Session, swaps: &Swaps, over: &AtomicBool) {
    while !over.load(Relaxed) {
        match listener.accept() {
            // Who goes away in the middle has nobody to answer to.
            Ok((stream, _)) => _ = answer(&stream, session, swaps),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

fn answer(mut stream: &UnixStream, session: &Session, swaps: &Swaps) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let answer = match serde_json::from_str(&read_line(stream)?) {
        Ok(Order::Swap { file, name }) => match swaps.swap(session, &ModelFile { name, file }) {
            Ok(swapped) => Answer::Swapped(swapped),
            Err(error) => Answer::Refused(error.to_string()),
        },
        Err(error) => Answer::Refused(format!("not an order: {error}")),
    };
    if let Answer::Swapped(Swapped { seq, model, .. }) = &answer {
        session.observer.note(&format!("the model {model} is in force from packet {seq} on"));
    }
    writeln!(stream, "{}", serde_json::to_string(&answer)?)
}
