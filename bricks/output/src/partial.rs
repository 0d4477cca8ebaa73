//! Files that are not whole yet.

use crate::OutputError;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Name of the file in which the output of this name grows; none where `path` names no file.
pub(crate) fn partial_name(path: &Path) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(".partial");
    Some(path.with_file_name(name))
}

/// Makes the partial file anew and locks it: what an earlier run left is removed, and nothing but a file that was not
/// there before is written to.
pub(crate) fn create(path: &Path, mode: u32) -> io::Result<File> {
    if check_vacant(path)? {
        fs::remove_file(path)?;
    }
    let file = without_links().write(true).create_new(true).mode(mode).open(path).map_err(|error| {
        let beaten = error.kind() == io::ErrorKind::AlreadyExists;
        if beaten { OutputError::Busy(path.to_owned()).into() } else { error }
    })?;
    lock(&file, path)?;
    Ok(file)
}

/// Whether a partial file of an earlier run stands at `path`. Anything else there, or a run that still writes it, is an
/// error.
pub(crate) fn check_vacant(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Ok(found) if !found.is_file() => Err(OutputError::InTheWay(path.to_owned()).into()),
        found => found.and_then(|_| lock(&without_links().read(true).open(path)?, path)).map(|()| true),
    }
}

/// Opens the partial file of something that can be gone on with, and locks it. What it holds is kept.
///
/// # Errors
/// [`OutputError::InTheWay`] where a link or anything but a file stands there, [`OutputError::Busy`] where another run
/// writes it, or what the system says.
pub fn open_resumable(path: &Path) -> io::Result<File> {
    let open = || without_links().read(true).write(true).create(true).truncate(false).mode(0o666).open(path);
    let in_the_way = || io::Error::from(OutputError::InTheWay(path.to_owned()));
    let file = open().map_err(|error| {
        let link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if link { in_the_way() } else { error }
    })?;
    let found = file.metadata()?;
    // A file with a second name is not the download's own.
    if !found.is_file() || found.nlink() != 1 {
        return Err(in_the_way());
    }
    lock(&file, path)?;
    Ok(file)
}

/// Gives a file its name if nothing has that name.
///
/// # Errors
/// [`OutputError::Appeared`] where something has the name; or what the system says.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let appeared = || Err(OutputError::Appeared(from.to_owned()).into());
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => appeared(),
        // The file system cannot do both at once.
        Err(Errno::INVAL | Errno::NOSYS) if fs::symlink_metadata(to).is_ok() => appeared(),
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Whether `path` still is a name of `file`.
pub(crate) fn is_name_of(path: &Path, file: &File) -> io::Result<bool> {
    let (found, own) = (fs::symlink_metadata(path)?, file.metadata()?);
    Ok((found.dev(), found.ino()) == (own.dev(), own.ino()))
}

/// Options by which a link is not followed, and no pipe is waited for.
fn without_links() -> OpenOptions {
    let mut options = File::options();
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options
}

/// A run holds the lock while it writes. Where the file system has no locks, nothing is known of other runs.
fn lock(file: &File, path: &Path) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OutputError::Busy(path.to_owned()).into()),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}
