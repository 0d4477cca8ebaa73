//! Decisions as files of a folder.

use crate::{Coordination, CoordinationError, MAX_PROPOSAL, check_proposal, check_run};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Decisions in a folder: `RUN.decision` holds that of a run.
///
/// It is for processes of one host, or of hosts that share a file system with atomic hard links. A file gets its name only when it is
/// whole and on the disk, by `link`, which fails if the name is taken. Files stay there; they are a few bytes each.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Takes a folder that is there.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CoordinationError> {
        let path = path.into();
        match path.is_dir() {
            true => Ok(Self { path }),
            false => Err(CoordinationError::NoFolder(path)),
        }
    }

    fn file(&self, run: &str) -> PathBuf {
        self.path.join(format!("{run}.decision"))
    }

    /// Writes a proposal under the name of the decision, unless that is taken.
    fn propose(&self, target: &Path, proposal: &str) -> Result<(), CoordinationError> {
        let file = self.written(proposal)?;
        match fs::hard_link(file.path(), target) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(CoordinationError::file(target)(e)),
            _ => Ok(()),
        }
    }

    /// A proposal that is on the disk, without a name of its own.
    fn written(&self, proposal: &str) -> Result<NamedTempFile, CoordinationError> {
        let failed = || CoordinationError::file(&self.path);
        // The two sides may be different users.
        let mode = Permissions::from_mode(0o644);
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(".proposal-").permissions(mode);
        let mut file = builder.tempfile_in(&self.path).map_err(failed())?;
        file.write_all(proposal.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed())?;
        Ok(file)
    }

    /// The decision of a file, if that is there.
    fn standing(&self, target: &Path) -> Result<Option<String>, CoordinationError> {
        let file = match File::open(target) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(CoordinationError::file(target))?,
        };
        let mut text = String::new();
        let mut file = file.take(MAX_PROPOSAL as u64 + 1);
        match file.read_to_string(&mut text) {
            Err(e) if e.kind() != io::ErrorKind::InvalidData => {
                return Err(CoordinationError::file(target)(e));
            }
            Ok(1..=MAX_PROPOSAL) => {}
            _ => return Err(CoordinationError::Damaged(target.into())),
        }
        // An answer must outlast a crash of the host, whoever wrote the name.
        let folder = File::open(&self.path).and_then(|folder| folder.sync_all());
        folder.map_err(CoordinationError::file(&self.path))?;
        Ok(Some(text))
    }
}

impl Coordination for Folder {
    fn decide(&self, run: &str, proposal: &str) -> Result<String, CoordinationError> {
        check_run(run)?;
        check_proposal(proposal)?;
        let target = self.file(run);
        if let Some(decision) = self.standing(&target)? {
            return Ok(decision);
        }
        self.propose(&target, proposal)?;
        let gone = || CoordinationError::file(&target)(io::ErrorKind::NotFound.into());
        self.standing(&target)?.ok_or_else(gone)
    }

    fn decision(&self, run: &str) -> Result<Option<String>, CoordinationError> {
        check_run(run)?;
        self.standing(&self.file(run))
    }

    /// Writes a proposal that has no name, and takes it away.
    fn check(&self) -> Result<(), CoordinationError> {
        self.written("check").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_proposal_stands() {
        let folder = tempfile::tempdir().unwrap();
        let place = Folder::open(folder.path()).unwrap();
        assert_eq!(place.decision("run-1").unwrap(), None);
        assert_eq!(place.decide("run-1", "standby").unwrap(), "standby");
        assert_eq!(place.decide("run-1", "primary").unwrap(), "standby");
        assert_eq!(place.decision("run-1").unwrap().as_deref(), Some("standby"));
        // Another process, and another run.
        let again = Folder::open(folder.path()).unwrap();
        assert_eq!(again.decision("run-1").unwrap().as_deref(), Some("standby"));
        assert_eq!(again.decide("run-2", "primary").unwrap(), "primary");
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["run-1.decision", "run-2.decision"], "no temporary file is left");
    }

    #[test]
    fn a_name_of_a_run_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = Folder::open(folder.path()).unwrap();
        let long = "a".repeat(65);
        for run in ["", "..", "a/b", "../a", "A", "a.b", "a b", "ä", "a\n", &long] {
            let text = place.decide(run, "x").unwrap_err().to_string();
            assert!(
                text.contains("expected a name of up to 64 characters") && text.lines().count() == 1,
                "{text}"
            );
            assert!(matches!(place.decision(run), Err(CoordinationError::Run(_))));
        }
        assert!(place.decide(&long[1..], "x").is_ok());
    }

    #[test]
    fn what_is_no_decision_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let place = Folder::open(folder.path()).unwrap();
        for damaged in [&b""[..], b"\xff", &[b'x'; MAX_PROPOSAL + 1]] {
            fs::write(folder.path().join("r.decision"), damaged).unwrap();
            let text = place.decide("r", "x").unwrap_err().to_string();
            assert!(text.contains("r.decision: holds no decision"), "{text}");
        }
        assert!(matches!(place.decide("s", ""), Err(CoordinationError::Proposal(0))));
        assert!(place.decide("s", &"x".repeat(MAX_PROPOSAL)).is_ok());
        let missing = Folder::open(folder.path().join("none")).unwrap_err().to_string();
        assert!(
            missing.ends_with("none: not a folder, in which decisions are kept; make it first"),
            "{missing}"
        );
    }
}
