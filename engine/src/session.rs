//! What runs have of the program that they are in.

use crate::Error;
use crate::folder::Folder;
use legonf_core::Progress;
use legonf_io::sink::SinkError;
use legonf_io::{SourceOptions, Stop};
use legonf_output::{Existing, check};
use legonf_runtime::{End, Watchdog};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How the program that runs are in stops them, sees how far they are, and lets them write.
#[derive(Clone, Copy)]
pub struct Session {
    /// Ends all work in order once it is true.
    pub stop: &'static AtomicBool,
    /// Whether outputs replace files that exist, and go into folders that are not empty.
    pub existing: Existing,
    /// Sees how far work is.
    pub observer: &'static dyn Observer,
    /// Ends the process where a brick does not come back; [`complete`](crate::complete) completes the results first.
    pub end: End<'static>,
    /// Arguments by which this program, started anew, calls [`foreign::answer`](crate::foreign::answer): so a network of other
    /// makers is tried in a process of its own. Where there are none, it is tried in this process.
    pub try_out: Option<&'static [&'static str]>,
    /// Arguments by which this program, started anew, calls [`host_here`](crate::host_here): so a brick runs in a process of its own.
    pub host: Option<&'static [&'static str]>,
}

/// The file of this program, even where another one has taken its name: to start it anew.
///
/// # Errors
/// If the system does not tell.
pub(crate) fn program() -> io::Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() { Ok(own) } else { std::env::current_exe() }
}

/// Sees work that takes time.
pub trait Observer: Sync {
    /// Work begins; it is over when what is given back is dropped.
    fn begin(&self, task: &'static str, extent: Extent) -> Box<dyn Gauge>;

    /// Hears in a line what is no fault but should not go unnoticed.
    fn note(&self, text: &str);

    /// A live run is ready: its interface is open and its model is read.
    fn ready(&self) {}

    /// A live run is alive; called about once a second.
    fn alive(&self) {}

    /// A live run ends.
    fn ending(&self) {}
}

/// Sees how far work is.
pub trait Gauge {
    /// So much of the input has been read, and so many packets are through.
    fn update(&self, progress: Progress, packets: u64);

    /// So many alerts were raised so far, where any can be, and so many packets dropped.
    fn counts(&self, _alerts: Option<u64>, _dropped: u64) {}
}

/// By what it is told how far work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The bytes of the input.
    Bytes,
    /// Packets, of which there are so many.
    Packets(u64),
    /// Packets without an end in sight.
    Endless,
}

/// An observer that looks away.
pub struct Unobserved;

impl Observer for Unobserved {
    fn begin(&self, _: &'static str, _: Extent) -> Box<dyn Gauge> {
        Box::new(Self)
    }

    fn note(&self, _: &str) {}
}

impl Gauge for Unobserved {
    fn update(&self, _: Progress, _: u64) {}
}

/// Work that nobody stops or watches; outputs replace nothing, networks of other makers are tried in this process.
impl Default for Session {
    fn default() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        let (existing, observer) = (Existing::Keep, &Unobserved);
        Self { stop: &NEVER, existing, observer, end: &|_, _, _| {}, try_out: None, host: None }
    }
}

impl Session {
    /// Whether work is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Work begins that the observer may see.
    pub fn begin(&self, task: &'static str, extent: Extent) -> Box<dyn Gauge> {
        self.observer.begin(task, extent)
    }

    /// The watchdog of a run: once the session is stopped nothing is waited for as long as before.
    pub(crate) fn watchdog(&self, after: Duration) -> Watchdog<'static> {
        Watchdog { after, hurry: Some(self.stop), end: self.end }
    }

    /// How inputs are read, up to `limit` packets.
    pub(crate) fn input(&self, limit: Option<u64>) -> SourceOptions {
        SourceOptions { limit, stop: Stop::on(self.stop) }
    }

    /// Refuses outputs that cannot be made, and those that may not be replaced.
    ///
    /// # Errors
    /// Names the first of them.
    pub fn check_outputs<'a>(&self, outputs: impl IntoIterator<Item = &'a Path>) -> Result<(), Error> {
        outputs.into_iter().try_for_each(|path| {
            let fault = |source| SinkError::Create { path: path.display().to_string(), source };
            Ok(check(path, self.existing).map_err(fault)?)
        })
    }

    /// Refuses a folder that cannot be made, and one that is not empty where that matters.
    ///
    /// # Errors
    /// Names it.
    pub fn check_folder(&self, folder: Option<&Path>) -> Result<(), Error> {
        folder.map_or(Ok(()), |folder| Folder::check(folder, self.existing))
    }
}
