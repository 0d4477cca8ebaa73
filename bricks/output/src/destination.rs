//! Outputs that are whole or visibly not.

use crate::OutputError;
use crate::partial::{create, is_name_of, rename_new};
use crate::place::Place;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Permission bits of a new file, before the process's umask.
const MODE: u32 = 0o666;
/// Those of a file that its owner alone may read.
const PRIVATE: u32 = 0o600;

/// An open output.
///
/// - `-` and other names of standard output are standard output.
/// - A device or a pipe is written in place and never replaced; a socket is refused.
/// - A regular file is written to `NAME.partial` beside it, which [`finish`](Self::finish) brings to the disk and
///   renames. Without `finish` the file keeps that name. It replaces an older file if that was there when the output
///   was opened, and takes over its permissions; one that appeared later is left alone.
/// - A symbolic link stands for the file that it leads to, and stays; one that leads nowhere is refused.
/// - The partial file is made anew (`O_EXCL`, `O_NOFOLLOW`, mode 0666 less the umask) and locked. What an earlier run left under its
///   name is removed first if it is a file that no run is writing; anything else there is refused.
#[derive(Debug)]
pub struct Destination {
    file: File,
    growing: Option<Growing>,
}

/// A file that has not its name yet.
#[derive(Debug)]
struct Growing {
    partial: PathBuf,
    target: PathBuf,
    replaces: bool,
}

impl Destination {
    /// Opens an output. A pipe without a reader is waited for.
    ///
    /// # Errors
    /// An [`OutputError`] inside the [`io::Error`], or what the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, |old| old.unwrap_or(MODE))
    }

    /// As [`open`](Self::open); a regular file can be read by its owner alone, whoever could read an older one.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_private(path: &Path) -> io::Result<Self> {
        Self::open_with(path, |old| old.unwrap_or(PRIVATE) & PRIVATE)
    }

    /// `mode` gives the permission bits of a new file, by those of the older one that it replaces.
    fn open_with(path: &Path, mode: impl FnOnce(Option<u32>) -> u32) -> io::Result<Self> {
        match Place::of(path)? {
            Place::StandardOutput => {
                let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                Ok(Self { file, growing: None })
            }
            Place::Special => Self::in_place(path),
            Place::Regular { target, partial, old } => {
                let file = create(&partial, mode(old.map(|(_, mode)| mode)))?;
                let replaces = old.is_some();
                Ok(Self { file, growing: Some(Growing { partial, target, replaces }) })
            }
        }
    }

    fn in_place(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        if file.metadata()?.is_file() {
            return Err(OutputError::InTheWay(path.to_owned()).into());
        }
        Ok(Self { file, growing: None })
    }

    /// What the bytes are written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Name under which the bytes are kept until the end; none where they are written in place.
    pub fn partial(&self) -> Option<&Path> {
        self.growing.as_ref().map(|growing| &*growing.partial)
    }

    /// Brings a regular file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`OutputError::Appeared`] and [`OutputError::TakenAway`] inside the [`io::Error`], or what the system says.
    pub fn finish(&mut self) -> io::Result<()> {
        let Some(Growing { partial, target, replaces }) = &self.growing else { return Ok(()) };
        self.file.sync_all()?;
        if !is_name_of(partial, &self.file).unwrap_or(false) {
            return Err(OutputError::TakenAway(partial.clone()).into());
        }
        if *replaces { fs::rename(partial, target) } else { rename_new(partial, target) }
    }
}

/// Writes a whole output, so that at every moment either the old or the new content stands under its name.
///
/// # Errors
/// As [`Destination::open`] and [`Destination::finish`]; then the partial file is removed, but where another file has the
/// name.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_to(Destination::open(path)?, bytes)
}

/// [`write`](write()) of what its owner alone may read.
///
/// # Errors
/// As there.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_to(Destination::open_private(path)?, bytes)
}

fn write_to(mut out: Destination, bytes: &[u8]) -> io::Result<()> {
    let written = out.file.write_all(bytes).and_then(|()| out.finish());
    if let (Err(error), Some(growing)) = (&written, &out.growing)
        && error.kind() != io::ErrorKind::AlreadyExists
        && is_name_of(&growing.partial, &out.file).unwrap_or(false)
    {
        // The write has failed already; that its remains cannot be removed either adds nothing.
        let _ = fs::remove_file(&growing.partial);
    }
    written
}

#[cfg(test)]
mod tests;
