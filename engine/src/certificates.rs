//! Certificates by which the hosts of a cluster know each other.

use crate::{Error, Session};
use legonf_io::sink::SinkError;
use legonf_output::write_private;
use legonf_transport::tls::{self, Pem};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Makes an authority in a folder, and the certificate of the first host, which holds from now on for some time, and for its other
/// names and addresses, too.
///
/// # Errors
/// If there is one already, unless the session replaces files; if the name is none of a host, or the files cannot be written.
pub fn create(
    session: &Session,
    folder: &Path,
    name: &str,
    others: &[String],
    valid: Duration,
) -> Result<(), Error> {
    write(session, folder, &tls::create(name, others, SystemTime::now(), valid)?)
}

/// Makes the certificate of a further host in a folder of its own, by the authority in another.
///
/// # Errors
/// As [`create`], and if there is no authority.
pub fn issue(
    session: &Session,
    authority: &Path,
    folder: &Path,
    name: &str,
    others: &[String],
    valid: Duration,
) -> Result<(), Error> {
    write(session, folder, &tls::issue(authority, name, others, SystemTime::now(), valid)?)
}

/// Makes a folder, and refuses one that has some of these files already, unless the session replaces them; gives their paths.
pub(crate) fn prepare(session: &Session, folder: &Path, files: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::file(folder, error))?;
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    session.check_outputs(paths.iter().map(|path| &**path))?;
    Ok(paths)
}

/// Writes files into a folder: all of them, or none that was not there before.
pub(crate) fn write(session: &Session, folder: &Path, files: &[Pem]) -> Result<(), Error> {
    let names: Vec<&str> = files.iter().map(|pem| pem.file).collect();
    let paths = prepare(session, folder, &names)?;
    let new: Vec<_> = paths.iter().filter(|path| !path.exists()).collect();
    let written = paths.iter().zip(files).try_for_each(|(path, pem)| {
        let fault = |source| SinkError::Create { path: path.display().to_string(), source };
        Ok(write_private(path, pem.text.as_bytes()).map_err(fault)?)
    });
    if written.is_err() {
        // The fault is told of; what cannot be removed either adds nothing to it.
        new.into_iter().for_each(|path| drop(fs::remove_file(path)));
    }
    written
}
