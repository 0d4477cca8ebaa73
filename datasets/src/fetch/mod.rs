//! Resumable, verified downloads over HTTP.
//!
//! A download grows in `FILE.partial`, with `FILE.partial.toml` beside it, which says of what it is the beginning;
//! it gets its name only when it is whole and its checksum, where one is known, is right. A transfer that breaks
//! off or stalls is tried again from where it was (`Range` with `If-Range`, RFC 9110), and from the start where
//! the server does not resume or has another file now.
//!
//! A server can neither fill the disk nor hold a download for ever: no more is written than the catalogue or else the
//! server says the file has, or than [`Options::max_size`] where neither does; a transfer slower than
//! [`Options::min_rate`] counts as a failed attempt, whatever it brings, as does one that brings less than 16 KiB;
//! heads and redirects are bounded, and nothing is decompressed.
//!
//! HTTP is `ureq`'s; what is here it does not do: going on, trying again, and these bounds. A build without the feature
//! `download` checks files, and says how to bring them.

mod digest;
#[cfg_attr(not(feature = "download"), path = "by_hand.rs")]
mod download;
mod error;
#[cfg(feature = "download")]
mod partial;
#[cfg(feature = "download")]
mod space;
#[cfg(feature = "download")]
mod transfer;

pub use digest::sha256_of;
pub use error::FetchError;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How a download behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long the server may send nothing, or less than [`min_rate`](Self::min_rate), before the connection is given up.
    pub stall: Duration,
    /// Attempts in a row that bring nothing new before the download is given up; at least one is made.
    pub attempts: u32,
    /// Pause after the first failed attempt; it doubles with each further one, up to a minute.
    pub pause: Duration,
    /// Bytes a second that must come on average over each [`stall`](Self::stall); 0 for any number.
    pub min_rate: u64,
    /// The most bytes of a file whose size neither the catalogue nor the server states.
    pub max_size: u64,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
    pub proxy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            attempts: 6,
            pause: Duration::from_secs(1),
            min_rate: 1024,
            max_size: 1 << 30,
            proxy: true,
        }
    }
}

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Address; one of `https:` is never redirected to `http:`.
    pub url: &'a str,
    /// Where the whole file goes; its folder is made.
    pub target: &'a Path,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// SHA-256 in 64 lower-case hexadecimal digits, where known.
    pub sha256: Option<&'a str>,
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes are there.
    Received {
        /// How many, with those of earlier runs.
        bytes: u64,
        /// Of how many, where known.
        total: Option<u64>,
    },
    /// An attempt failed; the next one follows after a pause.
    Waiting {
        /// Number of the failed attempt in a row, from 1.
        attempt: u32,
        /// After how many the download is given up.
        attempts: u32,
        /// Why it failed.
        reason: &'a str,
    },
    /// The checksum is being computed.
    Checking {
        /// Bytes done.
        bytes: u64,
        /// Of how many.
        total: u64,
    },
}

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Bytes in it.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Whether that was compared with a known one.
    pub verified: bool,
    /// Whether the file was there before.
    pub present: bool,
    /// Bytes that an earlier run had brought.
    pub resumed_from: u64,
}

/// Fetches a file, or the rest of it if an earlier run was broken off; a file that is there is only checked.
///
/// `stop` ends the download soon after it is set, with what came before ready to be resumed. `watch` hears how far
/// it is.
///
/// # Errors
/// Any [`FetchError`]; then there is no file under the target's name that was not there before.
pub fn fetch(
    item: &Item<'_>,
    options: &Options,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Fetched, FetchError> {
    if item.target.exists() {
        return check_present(item, stop, watch);
    }
    download::download(item, options, stop, watch)
}

fn check_present(
    item: &Item<'_>,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Fetched, FetchError> {
    let file = item.target;
    let total = std::fs::metadata(file).map_err(FetchError::file(file))?.len();
    let differs = |reason| FetchError::Present { file: file.to_owned(), reason };
    if let Some(expected) = item.size.filter(|size| *size != total) {
        return Err(differs(format!("this file has {total} bytes, expected {expected}")));
    }
    let (bytes, sha256) = sha256_of(file, stop, &mut |bytes| watch(Event::Checking { bytes, total }))?;
    if let Some(expected) = item.sha256.filter(|expected| *expected != sha256) {
        return Err(differs(format!("the SHA-256 of this file is {sha256}, expected {expected}")));
    }
    Ok(Fetched { bytes, sha256, verified: item.sha256.is_some(), present: true, resumed_from: bytes })
}

/// Where a download of `target` grows.
pub fn partial_path(target: &Path) -> PathBuf {
    appended(target, ".partial")
}

fn appended(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
