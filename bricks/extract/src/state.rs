//! State on its way from one extractor to another, as bytes.
//!
//! Little-endian: `LGFX`, version, the schema's hash, shard, seed, tables; of each table its bound per
//! slot and its slots; at the end the CRC-32 of all before.

use crate::Shard;
use legonf_core::SchemaHash;

/// First bytes.
const MAGIC: &[u8; 4] = b"LGFX";
/// Version of the layout.
const VERSION: u16 = 2;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// Why state was not taken in. The extractor is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not such bytes, or not all of them.
    #[error("{0}: not the state of such a brick, or a damaged one; export it again")]
    Damaged(&'static str),
    /// Another extractor's.
    #[error("the state is of another {0} than this brick's: both need the same configuration")]
    Differs(&'static str),
    /// Slots that have streams already.
    #[error("slot {0} has streams here already: export it first")]
    Occupied(usize),
    /// More streams in a slot than the limit allows.
    #[error("slot {0} has more streams than this brick's limits allow")]
    Full(usize),
    /// The schema's extractor does not divide its state into slots.
    #[error("schema '{0}' does not divide its state into slots: use kitsune-115 or kitsune-115-clean")]
    Undivided(String),
    /// A shard that the extractor does not compute.
    #[error("this extractor does not compute the shard '{0:?}'")]
    NoShard(Shard),
    /// A part that the extractor was not divided into.
    #[error("this extractor has no part {0}: divide it first")]
    NoPart(usize),
    /// No such slot.
    #[error("slot {0}: expected 0 to {last}", last = crate::Slots::COUNT - 1)]
    NoSlot(usize),
}

/// What must be the same on both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) schema: SchemaHash,
    pub(crate) seed: u64,
}

/// Begins the bytes of a shard's state.
pub(crate) fn begin(origin: &Origin, shard: Shard) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend(origin.schema.to_string().bytes());
    out.push(shard as u8);
    out.extend(origin.seed.to_le_bytes());
    out
}

/// Ends them.
pub(crate) fn end(mut out: Vec<u8>) -> Vec<u8> {
    out.extend(crc32fast::hash(&out).to_le_bytes());
    out
}

/// Checks the bytes and their origin; what is left are the shard's tables.
pub(crate) fn open<'a>(bytes: &'a [u8], origin: &Origin) -> Result<(Shard, Reader<'a>), StateError> {
    let (body, checksum) =
        bytes.split_last_chunk::<CHECKSUM>().ok_or(StateError::Damaged("too few bytes"))?;
    if !body.starts_with(MAGIC) {
        return Err(StateError::Damaged("no mark at its start"));
    }
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(StateError::Damaged("the checksum differs"));
    }
    let mut reader = Reader(&body[MAGIC.len()..]);
    let same = |same: bool, what| if same { Ok(()) } else { Err(StateError::Differs(what)) };
    same(reader.u16()? == VERSION, "version of legonf")?;
    same(reader.bytes::<32>()? == *origin.schema.to_string().as_bytes(), "schema")?;
    let [shard] = reader.bytes()?;
    same(reader.u64()? == origin.seed, "seed")?;
    let shard = Shard::ALL.into_iter().find(|s| *s as u8 == shard);
    Ok((shard.ok_or(StateError::Damaged("no such shard"))?, reader))
}

/// Appends numbers.
pub(crate) fn put(out: &mut Vec<u8>, numbers: &[f64]) {
    out.extend(numbers.iter().flat_map(|x| x.to_bits().to_le_bytes()));
}

/// Appends words.
pub(crate) fn put_words(out: &mut Vec<u8>, words: &[u64]) {
    out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

/// Bytes that are still to be read.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The next bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(StateError::Damaged("it ends too early"))?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StateError> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, StateError> {
        self.bytes().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StateError> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StateError> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, StateError> {
        self.bytes().map(i64::from_le_bytes)
    }

    /// A byte that says yes or no.
    pub(crate) fn flag(&mut self) -> Result<bool, StateError> {
        match self.u8()? {
            bit @ (0 | 1) => Ok(bit == 1),
            _ => Err(StateError::Damaged("a flag is neither 0 nor 1")),
        }
    }

    pub(crate) fn words<const N: usize>(&mut self) -> Result<[u64; N], StateError> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.u64()?;
        }
        Ok(words)
    }

    /// Numbers; NaN and infinite ones are refused.
    pub(crate) fn numbers<const N: usize>(&mut self) -> Result<[f64; N], StateError> {
        let numbers = self.words()?.map(f64::from_bits);
        match numbers.iter().all(|x| x.is_finite()) {
            true => Ok(numbers),
            false => Err(StateError::Damaged("a number is not finite")),
        }
    }

    /// Whether everything was read.
    pub(crate) fn finish(&self) -> Result<(), StateError> {
        if self.0.is_empty() { Ok(()) } else { Err(StateError::Damaged("it is too long")) }
    }
}
