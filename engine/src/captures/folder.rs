//! Folders of captures.

use crate::Error;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// What the names of captures end with, before a rotation's number and the ending of a compression.
const ENDINGS: [&str; 5] = ["pcap", "pcapng", "cap", "dmp", "tsv"];
/// Endings of compressed files.
const COMPRESSED: [&str; 3] = [".gz", ".zst", ".zstd"];

/// A folder's captures, in the order of their names; any other path as it is.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let fault = |error: std::io::Error| Error::file(path, error.to_string());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if is_capture(&entry.file_name().to_string_lossy()) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        let reason = "this folder holds no capture: no file named *.pcap, *.pcapng, *.cap, *.dmp or *.tsv, also with .gz or .zst; \
             folders in it are not looked into";
        return Err(Error::file(path, reason));
    }
    files.sort_by(|a, b| by_name(a, b));
    Ok(files)
}

/// Whether a file of this name in a folder is taken for a capture: `a.pcap`, `a.pcapng.gz`, and `a.pcap3` or `a.pcap.3` of a rotation.
fn is_capture(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    if name.starts_with('.') {
        return false;
    }
    let name = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = name.strip_suffix('.').unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// A part of a name: digits, as a number of any length, or others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(usize, String),
    Text(String),
}

/// The order of file names in which `a.pcap2` comes before `a.pcap10`; that of whole paths where names are equal.
pub fn by_name(a: &Path, b: &Path) -> Ordering {
    let name = |path: &Path| parts(&path.file_name().unwrap_or_default().to_string_lossy());
    name(a).cmp(&name(b)).then_with(|| a.cmp(b))
}

fn parts(name: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        let digits = part.trim_start_matches('0');
        parts.push(if is_digit {
            Part::Number(digits.len(), digits.into())
        } else {
            Part::Text(part.into())
        });
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_known_by_their_names() {
        for name in
            ["a.pcap", "A.PCAPNG.GZ", "x.cap.zst", "t.pcap12", "t.pcap.3", "t.pcap007.gz", "k.pcap.tsv"]
        {
            assert!(is_capture(name), "{name}");
        }
        for name in [
            "labels.csv",
            "a.pcap.partial",
            "pcap",
            ".pcap",
            "pcap.txt",
            "12",
            "a.",
            "x.npz",
            "manifest.json",
        ] {
            assert!(!is_capture(name), "{name}");
        }
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names: Vec<PathBuf> =
            ["b.pcap", "a.pcap10", "a.pcap2", "a.pcap", "a_00003_x", "a_2_x", "z/a.pcap2"]
                .map(PathBuf::from)
                .into();
        names.sort_by(|a, b| by_name(a, b));
        let names: Vec<_> = names.iter().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["a.pcap", "a.pcap2", "z/a.pcap2", "a.pcap10", "a_2_x", "a_00003_x", "b.pcap"]);
    }
}
