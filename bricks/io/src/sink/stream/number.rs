//! Names for the files that make way for new ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Gives the file `NAME` the name `NAME.1`. What had this name becomes `NAME.2`, and so on as far as there are such files in a row;
/// beyond `keep` of them the oldest are removed. Numbers behind a gap are left as they are.
///
/// # Errors
/// When a file cannot be renamed or removed.
pub(super) fn set_aside(path: &Path, keep: Option<u64>) -> io::Result<()> {
    let last = (1..).take_while(|number| is_there(&numbered(path, *number))).last().unwrap_or(0);
    for number in (1..=last).rev() {
        let name = numbered(path, number);
        if keep.is_some_and(|keep| number >= keep) {
            fs::remove_file(name)?;
        } else {
            fs::rename(name, numbered(path, number + 1))?;
        }
    }
    fs::rename(path, numbered(path, 1))
}

/// Whether something has a name, also a link that leads nowhere.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbered files of a folder and what they hold.
    fn turned(others: &[u64], keep: Option<u64>, times: u64) -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        others.iter().for_each(|number| fs::write(numbered(&path, *number), "old").unwrap());
        for time in 1..=times {
            fs::write(&path, time.to_string()).unwrap();
            set_aside(&path, keep).unwrap();
        }
        let entry = |entry: io::Result<fs::DirEntry>| entry.unwrap().path();
        let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(entry).collect();
        files.sort();
        let suffix = |path: &Path| path.extension().unwrap().to_string_lossy().into_owned();
        files.iter().map(|path| (suffix(path), fs::read_to_string(path).unwrap())).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }

    #[test]
    fn the_newest_is_the_first_and_nothing_is_overwritten() {
        assert_eq!(turned(&[], None, 3), pairs(&[("1", "3"), ("2", "2"), ("3", "1")]));
        assert_eq!(turned(&[2, 4], None, 2), pairs(&[("1", "2"), ("2", "1"), ("3", "old"), ("4", "old")]));
        let limit = u64::MAX.to_string();
        assert_eq!(turned(&[u64::MAX], None, 1), pairs(&[("1", "1"), (&limit, "old")]));
    }

    #[test]
    fn the_oldest_go_where_only_some_are_kept() {
        assert_eq!(turned(&[], Some(2), 4), pairs(&[("1", "4"), ("2", "3")]));
        assert_eq!(turned(&[1, 2, 3, 9], Some(2), 1), pairs(&[("1", "1"), ("2", "old"), ("9", "old")]));
        assert_eq!(turned(&[], Some(1), 2), pairs(&[("1", "2")]));
    }

    #[test]
    fn names_that_are_no_number_of_ours_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("eve.json");
        let others = ["eve.json.01", "eve.json.+1", "eve.json.gz"].map(|name| dir.path().join(name));
        others.iter().chain([&path]).for_each(|path| fs::write(path, "x").unwrap());
        set_aside(&path, Some(1)).unwrap();
        assert!(others.iter().all(|path| path.exists()) && numbered(&path, 1).exists());
    }
}
