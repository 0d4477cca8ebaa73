//! A file as stored: counted and, where it is compressed, decompressed.

use super::pipe::Waiter;
use crate::error::SourceErrorKind;
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Chain, Cursor, ErrorKind, Read};

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
const HEAD: usize = 4;

/// The longest zstd window that is taken into memory: 2 to this power, in bytes.
const ZSTD_WINDOW_LOG: u32 = 28;

/// What zstd says of a stream that it could read with other means, and the means.
const ZSTD_REMEDIES: [(&str, &str); 2] = [
    (
        "Frame requires too much memory for decoding",
        "its window is longer than 256 MiB; decompress it before, as in `zstd -dc --long=31 FILE | legonf ... -`",
    ),
    ("Dictionary mismatch", "it needs a dictionary; decompress it before, with `zstd -d -D DICTIONARY`"),
];

impl Stored {
    /// Finds out by its first bytes whether `inner` is compressed; `waiter` waits for them where it is a pipe.
    pub(crate) fn new(inner: Bytes, waiter: Option<&Waiter>) -> Result<Self, SourceErrorKind> {
        let mut counted = Counted { inner, bytes: 0 };
        let head = head(&mut counted, waiter)?;
        let (gzip, zstd) = (is_gzip(&head), is_zstd(&head));
        let raw = Cursor::new(head).chain(counted);
        if gzip {
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(raw))));
        }
        if zstd {
            let mut decoder = zstd::Decoder::new(raw)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            return Ok(Self::Zstd(Box::new(decoder)));
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
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.fault(error)),
            }
        }
    }

    /// Tells a damaged stream from a file that the operating system could not read.
    fn fault(&self, error: std::io::Error) -> SourceErrorKind {
        let compression = match self {
            Self::Plain(_) => return error.into(),
            _ if error.raw_os_error().is_some() || error.kind() == ErrorKind::WouldBlock => {
                return error.into();
            }
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        };
        if let Some(remedy) = zstd_remedy(&error) {
            return SourceErrorKind::Unsupported(format!("this zstd stream cannot be read here: {remedy}"));
        }
        let reason = match error.kind() {
            ErrorKind::UnexpectedEof => "it ends early".to_owned(),
            _ => error.to_string(),
        };
        SourceErrorKind::Compressed { compression, reason }
    }
}

/// The first bytes, fewer where the input is shorter.
fn head(input: &mut Counted, waiter: Option<&Waiter>) -> Result<Vec<u8>, SourceErrorKind> {
    let (mut head, mut buffer) = (Vec::new(), [0; HEAD]);
    while head.len() < HEAD {
        match (input.read(&mut buffer[head.len()..]), waiter) {
            (Ok(0), _) => break,
            (Ok(read), _) => {
                let start = head.len();
                head.extend_from_slice(&buffer[start..start + read]);
            }
            (Err(error), _) if error.kind() == ErrorKind::Interrupted => {}
            (Err(error), Some(waiter)) if error.kind() == ErrorKind::WouldBlock => waiter.wait()?,
            (Err(error), _) => return Err(error.into()),
        }
    }
    Ok(head)
}

/// How a stream can be read that is sound, but not for this decoder.
fn zstd_remedy(error: &std::io::Error) -> Option<&'static str> {
    let said = error.to_string();
    ZSTD_REMEDIES.iter().find(|(message, _)| said == *message).map(|(_, remedy)| *remedy)
}

fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

/// A zstd frame or a skippable frame before it.
fn is_zstd(head: &[u8]) -> bool {
    head == [0x28, 0xb5, 0x2f, 0xfd] || matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}
