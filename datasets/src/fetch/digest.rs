//! SHA-256 of files.

use super::FetchError;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;

/// Length and SHA-256 (64 lower-case hexadecimal digits) of a file. `watch` hears how many bytes are done.
///
/// # Errors
/// [`FetchError::File`] if it cannot be read, [`FetchError::Unchecked`] once `stop` is set.
pub fn sha256_of(
    path: &Path,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(u64),
) -> Result<(u64, String), FetchError> {
    let mut file = File::open(path).map_err(FetchError::file(path))?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; CHUNK], 0);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(FetchError::Unchecked { file: path.to_owned() });
        }
        let read = match file.read(&mut buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            read => read.map_err(FetchError::file(path))?,
        };
        if read == 0 {
            return Ok((bytes, hex(&hash.finalize())));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
        watch(bytes);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_fips_180() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, b"abc").unwrap();
        let (bytes, digest) = sha256_of(&path, &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert_eq!(bytes, 3);
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
