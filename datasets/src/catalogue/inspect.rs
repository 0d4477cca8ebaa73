//! What of a data set is in a folder.

use super::{Dataset, RemoteFile};
use crate::fetch::{FetchError, partial_path, sha256_of};
use serde::Serialize;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// How a file compares with the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its checksum is the known one.
    Ok,
    /// It is not there.
    Missing,
    /// Only the beginning of it is there, from a download that was broken off.
    Partial,
    /// Its size or its checksum is not the known one.
    Differs,
    /// It is there, but the catalogue knows no checksum to compare with.
    Unknown,
}

/// What was found of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it is looked for.
    pub path: PathBuf,
    /// How it compares.
    pub status: Status,
    /// Bytes that are there, also of a partial file.
    pub bytes: Option<u64>,
    /// Its SHA-256, unless its size already differs.
    pub sha256: Option<String>,
    /// Whether it is fetched only when it is named.
    pub optional: bool,
}

/// Compares a file of a data set below `root` with the catalogue. `watch` hears how many bytes are read of how
/// many.
///
/// # Errors
/// [`FetchError::File`] if it cannot be read, [`FetchError::Unchecked`] once `stop` is set.
pub fn inspect(
    dataset: &Dataset,
    file: &RemoteFile,
    root: &Path,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(u64, u64),
) -> Result<Finding, FetchError> {
    let path = dataset.folder(root).join(&file.name);
    let finding = |status, bytes, sha256| Finding {
        path: path.clone(),
        status,
        bytes,
        sha256,
        optional: file.optional,
    };
    let Some(bytes) = length(&path)? else {
        let partial = length(&partial_path(&path))?;
        let status = if partial.is_some() { Status::Partial } else { Status::Missing };
        return Ok(finding(status, partial, None));
    };
    if file.size.is_some_and(|size| size != bytes) {
        return Ok(finding(Status::Differs, Some(bytes), None));
    }
    let (bytes, found) = sha256_of(&path, stop, &mut |done| watch(done, bytes))?;
    let status = match &file.sha256 {
        None => Status::Unknown,
        Some(known) if *known == found => Status::Ok,
        Some(_) => Status::Differs,
    };
    Ok(finding(status, Some(bytes), Some(found)))
}

fn length(path: &Path) -> Result<Option<u64>, FetchError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(FetchError::file(path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn files_are_ok_missing_partial_different_or_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::built_in().unwrap();
        let dataset = catalogue.find("iot-23-8-1").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let file = RemoteFile { size: Some(3), sha256: Some(abc.into()), ..dataset.files[0].clone() };
        let look = |file: &RemoteFile| {
            let stop = AtomicBool::new(false);
            inspect(dataset, file, dir.path(), &stop, &mut |_, _| {}).unwrap()
        };
        let path = dir.path().join("iot-23-8-1").join(&file.name);
        let found = look(&file);
        assert_eq!((found.status, found.bytes), (Status::Missing, None));
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(partial_path(&path), b"a").unwrap();
        let found = look(&file);
        assert_eq!((found.status, found.bytes), (Status::Partial, Some(1)));
        fs::write(&path, b"abcd").unwrap();
        let found = look(&file);
        assert_eq!((found.status, found.bytes, found.sha256), (Status::Differs, Some(4), None));
        fs::write(&path, b"abd").unwrap();
        assert_eq!(look(&file).status, Status::Differs);
        fs::write(&path, b"abc").unwrap();
        let found = look(&file);
        assert_eq!((found.status, found.sha256.as_deref()), (Status::Ok, Some(abc)));
        let unknown = RemoteFile { size: None, sha256: None, ..file };
        let found = look(&unknown);
        assert_eq!((found.status, found.sha256.as_deref()), (Status::Unknown, Some(abc)));
    }
}
