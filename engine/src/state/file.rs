//! The bytes of a file of state: pieces with a checksum behind them.

use crate::Error;
use legonf_io::sink::OutputFile;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// What the file begins with, version included.
const HEAD: &[u8] = b"legonf-state 1\n";
/// What a file of any version begins with.
const KIND: &[u8] = b"legonf-state ";
/// Bytes of the SHA-256.
const CHECKSUM: u64 = 32;
/// Bytes that are read at a time to be summed up.
const BLOCK: usize = 128 * 1024;

/// Why a file is no state.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("a state of another version of legonf; use that one, or warm up anew (--warm-up)")]
    Version,
    #[error("not a state of legonf; --state-out writes one")]
    Other,
    #[error(
        "its checksum differs from its content: it was cut short, changed or damaged; warm up anew (--warm-up)"
    )]
    Changed,
    #[error("not a regular file, which a state must be: it is read twice")]
    Special,
    #[error("the header is not one of a state: {0}")]
    Header(#[from] serde_json::Error),
    #[error("holds less or more state than its header says; warm up anew (--warm-up)")]
    Content,
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Writes pieces into a file that has its name only when it is whole.
pub struct Writer {
    out: OutputFile,
    digest: Sha256,
}

impl Writer {
    pub fn create(path: &Path) -> Result<Self, Error> {
        let mut writer = Self { out: OutputFile::create(path)?, digest: Sha256::new() };
        writer.put(HEAD)?;
        Ok(writer)
    }

    /// Appends a piece, behind its length.
    pub fn piece(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    /// Completes the file.
    pub fn finish(mut self) -> Result<(), Error> {
        self.out.put(&self.digest.finalize())?;
        Ok(self.out.finish()?)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.digest.update(bytes);
        Ok(self.out.put(bytes)?)
    }
}

/// Reads the pieces of a file whose checksum is right.
pub struct Reader {
    file: BufReader<File>,
    /// Bytes of pieces that are still to be read.
    left: u64,
}

impl Reader {
    /// Opens a file and reads all of it once, for its checksum.
    pub fn open(path: &Path) -> Result<Self, Damage> {
        // Before it is opened: that of a pipe waits for a writer.
        let len = std::fs::metadata(path)?;
        let len = if len.is_file() { len.len() } else { return Err(Damage::Special) };
        let mut file = File::open(path)?;
        check_head(&mut file)?;
        file.rewind()?;
        let body =
            len.checked_sub(CHECKSUM).filter(|body| *body >= HEAD.len() as u64).ok_or(Damage::Changed)?;
        check_sum(&mut file, body)?;
        file.seek(SeekFrom::Start(HEAD.len() as u64))?;
        Ok(Self { file: BufReader::new(file), left: body - HEAD.len() as u64 })
    }

    /// The next piece.
    pub fn piece(&mut self) -> Result<Vec<u8>, Damage> {
        let len = u64::from_le_bytes(self.array()?);
        self.left = self.left.checked_sub(len).ok_or(Damage::Content)?;
        // No more memory than there are bytes.
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(len).read_to_end(&mut bytes)?;
        if read as u64 == len { Ok(bytes) } else { Err(Damage::Changed) }
    }

    /// Checks that all was read.
    pub fn finish(&self) -> Result<(), Damage> {
        if self.left == 0 { Ok(()) } else { Err(Damage::Content) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.left = self.left.checked_sub(N as u64).ok_or(Damage::Content)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn check_head(file: &mut File) -> Result<(), Damage> {
    let mut head = Vec::new();
    file.take(HEAD.len() as u64).read_to_end(&mut head)?;
    match &*head {
        HEAD => Ok(()),
        other if other.starts_with(KIND) => Err(Damage::Version),
        _ => Err(Damage::Other),
    }
}

/// Compares the SHA-256 of so many bytes with that behind them.
fn check_sum(file: &mut File, body: u64) -> Result<(), Damage> {
    let (mut digest, mut left, mut block) = (Sha256::new(), body, vec![0; BLOCK]);
    while left > 0 {
        let most = left.min(BLOCK as u64) as usize;
        let read = file.read(&mut block[..most])?;
        if read == 0 {
            return Err(Damage::Changed);
        }
        digest.update(&block[..read]);
        left -= read as u64;
    }
    let mut stated = [0; CHECKSUM as usize];
    file.read_exact(&mut stated)?;
    if digest.finalize()[..] == stated { Ok(()) } else { Err(Damage::Changed) }
}
