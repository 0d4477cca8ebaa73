//! A file as stored: counted and, where it is compressed, decompressed.

use crate::error::SourceErrorKind;
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Chain, Cursor, Read};

/// What a capture is read from.
pub(crate) type Bytes = Box<dyn Read + Send>;

/// Counts the bytes that pass.
pub(crate) struct Counted {
    inner: Bytes,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

type Raw = Chain<Cursor<Vec<u8>>, Counted>;

/// A stream of decompressed bytes.
pub(crate) enum Stored {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
}

/// Enough of a file to know how it is compressed.
const HEAD: u64 = 4;

impl Stored {
    /// Finds out by its first bytes whether `inner` is compressed.
    pub(crate) fn new(inner: Bytes) -> Result<Self, SourceErrorKind> {
        let mut counted = Counted { inner, bytes: 0 };
        let mut head = Vec::new();
        counted.by_ref().take(HEAD).read_to_end(&mut head)?;
        let (gzip, zstd) = (is_gzip(&head), is_zstd(&head));
        let raw = Cursor::new(head).chain(counted);
        if gzip {
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(raw))));
        }
        if zstd {
            return Ok(Self::Zstd(Box::new(zstd::Decoder::new(raw)?)));
        }
        Ok(Self::Plain(raw))
    }

    /// Bytes read of the file as stored.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let raw = match self {
            Self::Plain(raw) => raw,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
        };
        raw.get_ref().1.bytes
    }

    /// Reads decompressed bytes; 0 at the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceErrorKind> {
        loop {
            let result = match self {
                Self::Plain(raw) => raw.read(buffer),
                Self::Gzip(decoder) => decoder.read(buffer),
                Self::Zstd(decoder) => decoder.read(buffer),
            };
            match result {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.fault(error)),
            }
        }
    }

    /// Tells a damaged stream from a file that the operating system could not read.
    fn fault(&self, error: std::io::Error) -> SourceErrorKind {
        let compression = match self {
            Self::Plain(_) => return error.into(),
            _ if error.raw_os_error().is_some() => return error.into(),
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        };
        let reason = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "it ends early".to_owned(),
            _ => error.to_string(),
        };
        SourceErrorKind::Compressed { compression, reason }
    }
}

fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// A zstd frame or a skippable frame before it.
fn is_zstd(head: &[u8]) -> bool {
    head == [0x28, 0xb5, 0x2f, 0xfd] || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}
