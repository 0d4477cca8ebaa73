//! The side that hosts bricks for graphs of other processes.

use crate::agent::host::Host;
use crate::placement::{REMEDY, identity, make};
use crate::{Error, Session};
use legonf_transport::tls::Identity;
use legonf_transport::{AgentLoad, Channel, ChannelError, OtherSide, SharedMemory, Stream, serve};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use std::cell::OnceCell;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
#[cfg(feature = "live")]
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long whoever connects may take to say who it is.
pub(crate) const INTRODUCTION: Duration = Duration::from_secs(5);
/// How often it is looked whether the agent shall end, in milliseconds.
const LOOK: u8 = 50;
/// Bricks that an agent hosts at most.
const MOST: usize = 1024;

/// Hosts the brick for which this process was started, until that one ends: standard input is the socket, and standard output the shared memory.
///
/// # Errors
/// If they are not, or the channel breaks.
pub fn host_here(session: &Session) -> Result<(), Error> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let memory = io::stdout().as_fd().try_clone_to_owned()?;
    let opened = SharedMemory::open(OtherSide { socket, memory });
    let reason = "legonf starts this process itself, for a brick of a graph; `legonf agent --listen` waits for graphs of other hosts";
    let mut channel = opened.map_err(|error| Error::refused(format!("{reason} ({error})")))?;
    give_up(None, false)?;
    Ok(host(session, &mut channel, &AtomicU32::new(0))?)
}

/// How far the system holds this process to the files and connections that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// It opens no further file, but to report the load of the machine, and makes no connection.
    Full,
    /// The kernel knows some of the rules for that.
    Partial,
    /// The kernel has none.
    NoLandlock,
    /// This program is built without `live`, which has what gives up rights.
    NotBuilt,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no further files and connections (Landlock)",
            Self::Partial => "no further files (this kernel's Landlock has not all rules)",
            Self::NoLandlock => "files as its user may (this kernel has no Landlock)",
            Self::NotBuilt => "files as its user may (built without `live`)",
        })
    }
}

/// What the load of the machine is read from.
#[cfg(feature = "live")]
const LOAD: [&str; 4] = ["/proc/stat", "/proc/meminfo", "/proc/self", "/sys/fs/cgroup"];

/// Gives up all rights that hosting does not need, where this program is built to: before there are other threads, and before anything of others'
/// making is read.
pub(crate) fn give_up(user: Option<&str>, listens: bool) -> Result<Confinement, Error> {
    #[cfg(feature = "live")]
    {
        use legonf_live::{Account, Connections, confine, give_up_privileges};
        let account = user.map(Account::find).transpose()?;
        give_up_privileges(
            account.as_ref(),
            if listens { Connections::Listening } else { Connections::None },
        )?;
        Ok(match confine(&LOAD.map(Path::new))? {
            legonf_live::Confinement::Full => Confinement::Full,
            legonf_live::Confinement::Partial => Confinement::Partial,
            legonf_live::Confinement::None => Confinement::NoLandlock,
        })
    }
    #[cfg(not(feature = "live"))]
    if user.is_some() || listens && nix::unistd::Uid::effective().is_root() {
        let reason = "this program is built without `live`, which has what gives up rights: start it as the user that it is to run as";
        Err(Error::refused(reason))
    } else {
        Ok(Confinement::NotBuilt)
    }
}

/// Hosts the brick that is ordered over a channel, as one of so many.
fn host(session: &Session, channel: &mut dyn Channel, bricks: &AtomicU32) -> Result<(), ChannelError> {
    let (load, counted) = (Mutex::new(Host::begin()), OnceCell::new());
    let sample = || {
        let host = load.lock().unwrap_or_else(PoisonError::into_inner).sample();
        AgentLoad { host, bricks: bricks.load(Relaxed) }
    };
    let order = |order: &[u8]| {
        let made = make(session, order)?;
        counted.get_or_init(|| Counted::one(bricks));
        Ok(made)
    };
    serve(channel, &order, &sample)
}

/// A brick that counts until it is gone.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn one(bricks: &'a AtomicU32) -> Self {
        bricks.fetch_add(1, Relaxed);
        Self(bricks)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// An agent: it hosts bricks for graphs that run on other hosts.
#[derive(Clone, Debug)]
pub struct Hosting {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The folder of this host's certificates. Without it the agent listens on loopback alone.
    pub cluster: Option<PathBuf>,
    /// Go on as this user (name or number) once the socket listens.
    pub user: Option<String>,
}

impl Hosting {
    /// Hosts bricks until the session is stopped. `ready` is told where it listens, and how far it is held to
    /// what it has open.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn run(&self, session: &Session, ready: impl FnOnce(SocketAddr, Confinement)) -> Result<(), Error> {
        let identity = identity(self.cluster.as_deref())?;
        let listener = listen_for_hosts("--listen", self.listen, "an agent", identity.as_ref())?;
        let confinement = give_up(self.user.as_deref(), true)?;
        ready(listener.local_addr()?, confinement);
        let (hosted, bricks) = (Arc::new(()), Arc::new(AtomicU32::new(0)));
        while !session.is_stopped() {
            let Some((socket, from)) = accepted(session, &listener) else {
                wait_for_one(&listener)?;
                continue;
            };
            if Arc::strong_count(&hosted) > MOST {
                session.observer.note(&format!("{from}: refused: {MOST} bricks are hosted already"));
                continue;
            }
            let (session, identity, counted, bricks) =
                (*session, identity.clone(), hosted.clone(), bricks.clone());
            let work = move || {
                let _counted = counted;
                if let Err(error) = answer(&session, identity.as_ref(), socket, &bricks) {
                    session.observer.note(&format!("{from}: {error}"));
                }
            };
            // Not joined: who is still connected at the end is told by the end of the process.
            thread::Builder::new().name(format!("for {from}")).spawn(work)?;
        }
        Ok(())
    }
}

/// Listens at an address that an option gives: its connections are [looked for](accepted), not waited for.
///
/// # Errors
/// If the system does not let it.
pub(crate) fn listen(option: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    let refused = |error| Error::refused(format!("{option} {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The same for other hosts, which are [known](secured) by their certificates; without any only on loopback.
///
/// # Errors
/// As [`listen`], and if the address is beyond loopback and there are no certificates.
pub(crate) fn listen_for_hosts(
    option: &str,
    address: SocketAddr,
    who: &str,
    identity: Option<&Identity>,
) -> Result<TcpListener, Error> {
    if identity.is_none() && !address.ip().is_loopback() {
        let reason = format!("beyond loopback {who} needs certificates: {REMEDY}");
        return Err(Error::refused(format!("{option} {address}: {reason}")));
    }
    listen(option, address)
}

/// A connection that was accepted, as a stream of frames: over TLS, where hosts have certificates.
///
/// # Errors
/// If the other side is no host of the cluster.
pub(crate) fn secured(identity: Option<&Identity>, socket: TcpStream) -> Result<Stream, Error> {
    keep_alive(&socket)?;
    Ok(match identity {
        None => Stream::plain(socket)?,
        Some(identity) => identity.accept(socket, INTRODUCTION)?,
    })
}

/// The next connection, if there is one. One that fails is told of, and no other is looked for at once: the next may fail likewise.
pub(crate) fn accepted(session: &Session, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let found = listener.accept().and_then(|(socket, from)| {
        socket.set_nonblocking(false)?;
        Ok((socket, from))
    });
    match found {
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => {
            session.observer.note(&format!("a connection failed: {error}"));
            thread::sleep(Duration::from_millis(LOOK.into()));
            None
        }
    }
}

/// Waits until somebody connects, or until it is time to look whether the agent shall end.
pub(crate) fn wait_for_one(listener: &TcpListener) -> Result<(), Error> {
    let mut socket = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    match poll(&mut socket, PollTimeout::from(LOOK)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Has the system end a connection whose other side is gone without a word: what it asked for takes memory here.
fn keep_alive(socket: &TcpStream) -> Result<(), Error> {
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &10)?;
    setsockopt(socket, sockopt::TcpKeepInterval, &5)?;
    setsockopt(socket, sockopt::TcpKeepCount, &4)?;
    Ok(())
}

/// Answers whoever connected. One that goes without a word, as a probe does that looks whether the agent listens, is none to tell of.
fn answer(
    session: &Session,
    identity: Option<&Identity>,
    socket: TcpStream,
    bricks: &AtomicU32,
) -> Result<(), Error> {
    socket.set_read_timeout(Some(INTRODUCTION))?;
    if socket.peek(&mut [0]).is_ok_and(|bytes| bytes == 0) {
        return Ok(());
    }
    socket.set_read_timeout(None)?;
    let mut stream = secured(identity, socket)?;
    Ok(host(session, &mut stream, bricks)?)
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_load_of_the_machine_is_told_by_who_opens_no_file_any_more() {
        // In a thread of its own: other tests may need what they have.
        thread::spawn(|| {
            let before = Host::begin().sample();
            if give_up(None, true).unwrap() == Confinement::NoLandlock {
                println!("skipped: this kernel has no Landlock");
                return;
            }
            let own = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
            assert_eq!(own.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
            assert!(tempfile::tempdir().is_err());
            let mut host = Host::begin();
            let (first, second) = (host.sample(), host.sample());
            assert_eq!((first.cores, second.cores), (before.cores, before.cores));
            assert!(first.memory > 0, "{first:?}");
            assert!(host.tells_times(), "the times of the cores can be read");
        })
        .join()
        .unwrap();
    }
}
