//! What stands where an output is to go.

use crate::OutputError;
use crate::partial::{check_vacant, partial_name};
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Whether an output may replace a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// A file with content stays; the output is refused.
    Keep,
    /// A file gives way to the output.
    Replace,
}

/// Where an output goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// Standard output, by `-` or by a name of it.
    StandardOutput,
    /// A device or a pipe, which is written in place.
    Special,
    /// A regular file of this name.
    Regular {
        /// Its name, with links resolved.
        target: PathBuf,
        /// Partial file beside it.
        partial: PathBuf,
        /// Length and permission bits of the file that stands there.
        old: Option<(u64, u32)>,
    },
}

impl Place {
    /// Looks at what `path` names. A symbolic link stands for what it leads to.
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::StandardOutput);
        }
        match fs::metadata(path) {
            Ok(found) if found.is_file() && is_standard(&found) => Ok(Self::StandardOutput),
            Ok(found) if found.is_file() => {
                let old = Some((found.len(), found.permissions().mode() & 0o777));
                Self::regular(path.canonicalize()?, old)
            }
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.file_type().is_socket() => Err(OutputError::Socket.into()),
            Ok(_) => Ok(Self::Special),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
                Ok(to) => Err(OutputError::Dangling(to).into()),
                Err(_) => Self::regular(path.to_owned(), None),
            },
            Err(error) => Err(error),
        }
    }

    fn regular(target: PathBuf, old: Option<(u64, u32)>) -> io::Result<Self> {
        let partial = partial_name(&target).ok_or(io::ErrorKind::IsADirectory)?;
        Ok(Self::Regular { target, partial, old })
    }
}

/// Looks whether an output can go to `path`, before there is anything to write. An empty file holds nothing to keep.
///
/// # Errors
/// [`OutputError::Exists`] where a file with content is to be kept; otherwise what opening the output would say.
pub fn check(path: &Path, existing: Existing) -> io::Result<()> {
    let Place::Regular { target, partial, old } = Place::of(path)? else { return Ok(()) };
    if existing == Existing::Keep && old.is_some_and(|(length, _)| length > 0) {
        return Err(OutputError::Exists.into());
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    if !fs::metadata(folder.unwrap_or(Path::new(".")))?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    check_vacant(&partial).map(drop)
}

/// Whether an output of this name is a regular file, rather than one that is written in place.
///
/// # Errors
/// What opening the output would say.
pub fn goes_to_file(path: &Path) -> io::Result<bool> {
    Ok(matches!(Place::of(path)?, Place::Regular { .. }))
}

/// Whether `path` is `-` or another name of standard output, such as `/dev/stdout`.
pub fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-" || fs::metadata(path).is_ok_and(|found| !found.is_dir() && is_standard(&found))
}

fn is_standard(found: &Metadata) -> bool {
    let own = rustix::fs::fstat(io::stdout().as_fd());
    own.is_ok_and(|own| (own.st_dev, own.st_ino) == (found.dev(), found.ino()))
}
