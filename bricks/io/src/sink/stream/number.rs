//! Names for the files that make way for new ones.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Gives the file `NAME` the name `NAME.n`, with the number that follows on the highest there is. Nothing is overwritten.
///
/// # Errors
/// When the folder cannot be read, the file cannot be renamed, or no number is left.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    let number = next(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    fs::rename(path, PathBuf::from(name))
}

/// The first number that no file of this name or a later one has. A number that has no successor counts as none of ours.
fn next(path: &Path) -> io::Result<u64> {
    let taken = numbers(path)?;
    let last = taken.iter().filter(|number| **number < u64::MAX).max().copied().unwrap_or(0);
    let next = last + 1;
    if taken.contains(&next) {
        return Err(io::Error::other("no number is left to rotate to"));
    }
    Ok(next)
}

/// The numbers that files of this name were given.
fn numbers(path: &Path) -> io::Result<Vec<u64>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = path.file_name().map_or_else(OsString::new, OsStr::to_owned);
    prefix.push(".");
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let suffix = name.as_bytes().strip_prefix(prefix.as_bytes());
        numbers.extend(suffix.and_then(|n| std::str::from_utf8(n).ok()).and_then(|n| n.parse::<u64>().ok()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_the_highest_that_has_a_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        let touch = |name: &str| fs::write(dir.path().join(name), name).unwrap();
        assert_eq!(next(&path).unwrap(), 1);
        touch("eve.json.18446744073709551615");
        touch("eve.json.99999999999999999999999");
        touch("eve.json.gz");
        assert_eq!(next(&path).unwrap(), 1);
        touch("eve.json.41");
        touch("eve.json");
        set_aside(&path).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("eve.json.42")).unwrap(), "eve.json");
        touch("eve.json.18446744073709551614");
        assert!(next(&path).is_err());
    }
}
