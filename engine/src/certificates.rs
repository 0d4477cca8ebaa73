//! Certificates by which the hosts of a cluster know each other.

use crate::Error;
use legonf_transport::tls;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Makes an authority in a folder, and the certificate of the first host, which holds from now on for some time.
///
/// # Errors
/// If there is one already, the name is none of a host, or the files cannot be written.
pub fn create(folder: &Path, name: &str, valid: Duration) -> Result<(), Error> {
    Ok(tls::create(folder, name, SystemTime::now(), valid)?)
}

/// Makes the certificate of a further host in a folder of its own, by the authority in another.
///
/// # Errors
/// As [`create`], and if there is no authority.
pub fn issue(authority: &Path, folder: &Path, name: &str, valid: Duration) -> Result<(), Error> {
    Ok(tls::issue(authority, folder, name, SystemTime::now(), valid)?)
}
