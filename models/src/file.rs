//! Reading files of bounded size, and writing them whole or not at all.

use crate::ModelError;
use crate::error::shown;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest model file in bytes (256 MiB).
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads a whole file of at most `limit` bytes. A device or a pipe is read no further than that either.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|source| ModelError::Read { file: shown(path), source })?;
    if bytes.len() as u64 > limit {
        return Err(ModelError::TooLarge { file: shown(path), limit });
    }
    Ok(bytes)
}

/// Writes a file so that at every moment either the old or the new content stands under its name; a device or a
/// pipe is written in place, and a link keeps leading to its file, by the rules of [`legonf_output::Destination`].
///
/// # Errors
/// When it cannot be written; the partial file is then removed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    legonf_output::write(path, bytes).map_err(|source| ModelError::Write { file: shown(path), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        write_atomic(&path, b"old").unwrap();
        std::fs::create_dir(folder.path().join("model.onnx.partial")).unwrap();
        let error = write_atomic(&path, b"new").unwrap_err().to_string();
        assert!(error.contains("model.onnx: cannot be written"), "{error}");
        assert_eq!(read_bounded(&path, 3).unwrap(), b"old");
    }

    #[test]
    fn what_has_no_end_is_read_up_to_the_limit() {
        let error = read_bounded(Path::new("/dev/zero"), 4096).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/zero: larger than 4096 bytes, the most that is read of such a file"
        );
        assert_eq!(error.label(), "model-too-large");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read_bounded(Path::new("no/such.onnx"), 3).unwrap_err();
        assert!(error.to_string().starts_with("no/such.onnx: cannot be read"), "{error}");
        assert_eq!(error.label(), "model-read");
    }
}
