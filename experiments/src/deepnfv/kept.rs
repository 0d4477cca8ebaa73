//! What parts of a run came to, kept in a folder so that a run that was broken off loses little.

use crate::ExperimentError;
use legonf_engine::{Error, Session, write_text};
use legonf_output::Existing;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder of what was found.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) folder: &'a Path,
    pub(super) session: &'a Session,
    pub(super) dataset: &'static str,
}

/// A file of the folder.
#[derive(Serialize, Deserialize)]
struct File<G, F> {
    /// What it follows from.
    given: G,
    found: F,
}

impl Kept<'_> {
    pub(super) fn path(&self, part: &str, seed: u64, ending: &str) -> PathBuf {
        self.folder.join(format!("{}-{part}-{seed}.{ending}", self.dataset))
    }

    /// What a part came to; none where it is still to be made.
    ///
    /// # Errors
    /// If the file cannot be read, or follows from something else and is not to be replaced.
    pub(super) fn read<G, F>(&self, path: &Path, given: &G) -> Result<Option<F>, ExperimentError>
    where
        G: PartialEq + DeserializeOwned,
        F: DeserializeOwned,
    {
        if self.session.existing == Existing::Replace {
            return Ok(None);
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path, error).into()),
        };
        let file: File<G, F> = serde_json::from_str(&text).map_err(|error| Error::file(path, error))?;
        if file.given != *given {
            let reason = "is of other options or samples; give another folder, or --force to begin anew";
            return Err(Error::file(path, reason).into());
        }
        Ok(Some(file.found))
    }

    /// Keeps what a part came to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write<G: Serialize, F: Serialize>(
        path: &Path,
        given: &G,
        found: &F,
    ) -> Result<(), ExperimentError> {
        let text = serde_json::to_string_pretty(&File { given, found }).map_err(Error::from)?;
        Ok(write_text(path, &(text + "\n"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_again_unless_it_follows_from_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows-trees-3.json");
        let read = |existing: Existing, given: u64| {
            let session = Session { existing, ..Session::default() };
            let kept = Kept { folder: folder.path(), session: &session, dataset: "flows" };
            assert_eq!(kept.path("trees", 3, "json"), path);
            kept.read::<u64, f64>(&path, &given)
        };
        assert_eq!(read(Existing::Keep, 7).unwrap(), None);
        Kept::write(&path, &7_u64, &0.25).unwrap();
        assert_eq!(read(Existing::Keep, 7).unwrap(), Some(0.25));
        let refused = read(Existing::Keep, 8).unwrap_err().to_string();
        assert!(refused.contains("flows-trees-3.json: is of other options"), "{refused}");
        assert_eq!(read(Existing::Replace, 8).unwrap(), None);
    }
}
