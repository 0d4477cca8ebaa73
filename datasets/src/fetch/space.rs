//! Free space.

use super::FetchError;
use std::path::Path;

/// Checks that `needed` more bytes fit beside `file`. A file system that does not say how full it is passes.
pub(super) fn require(file: &Path, needed: u64) -> Result<(), FetchError> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(system) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let available = system.f_bavail.saturating_mul(system.f_frsize);
    if needed > available {
        return Err(FetchError::Space { folder: folder.to_owned(), needed, available });
    }
    Ok(())
}
