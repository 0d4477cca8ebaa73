//! What a capture begins with.

use super::folder::by_name;
use crate::{Error, Session, input};
use legonf_core::{Batch, LinkType, Schema, Timestamp};
use legonf_io::Content;
use std::path::PathBuf;

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Packets,
    /// Kitsune's TSV.
    Headers,
    /// Rows of features.
    Features,
}

impl Kind {
    const fn words(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Headers => "a table of headers",
            Self::Features => "a table of features",
        }
    }
}

/// A file, and its first packet.
pub struct Peeked {
    pub file: PathBuf,
    /// None of a capture without a packet.
    kind: Option<Kind>,
    first: Option<Timestamp>,
    /// Framing of its first packet.
    pub link: Option<LinkType>,
}

impl Peeked {
    /// Looks into a file.
    pub fn open(session: &Session, file: PathBuf, schema: Option<&Schema>) -> Result<Self, Error> {
        let (content, mut source) = match schema {
            Some(schema) => input::open_any(session, &file, Some(1), schema)?,
            None => (Content::Packets, input::open(session, &file, Some(1))?),
        };
        if content == Content::Features {
            return Ok(Self { file, kind: Some(Kind::Features), first: None, link: None });
        }
        let mut batch = Batch::default();
        source.fill(&mut batch)?;
        let packet = batch.packets.iter().next().map(|(packet, _)| *packet);
        let headers = batch.headers.first();
        let kind = packet.map(|_| Kind::Packets).or(headers.map(|_| Kind::Headers));
        let first = packet.map(|packet| packet.timestamp).or(headers.map(|headers| headers.timestamp));
        Ok(Self { file, kind, first, link: packet.map(|packet| packet.link) })
    }

    /// Whether there is nothing in it that a filter could be asked of.
    pub fn has_no_bytes(&self) -> bool {
        self.kind.is_some_and(|kind| kind != Kind::Packets)
    }
}

/// Refuses files of several kinds.
pub fn check(files: &[Peeked]) -> Result<(), Error> {
    let mut known = files.iter().filter_map(|one| Some((one, one.kind?)));
    let Some((first, kind)) = known.next() else { return Ok(()) };
    let Some((other, of)) = known.find(|(_, other)| *other != kind) else { return Ok(()) };
    let (file, is, was) = (first.file.display(), of.words(), kind.words());
    let reason = format!("holds {is}, and {file} {was}; give files of one kind");
    Err(Error::file(&other.file, reason))
}

/// Puts captures into the order of their first packets; those without a packet come last, and tables without times stay as they are.
pub fn sort(files: &mut [Peeked]) {
    if files.iter().all(|one| one.kind != Some(Kind::Features)) {
        let place = |one: &Peeked| (one.first.is_none(), one.first.map(Timestamp::as_nanos));
        files.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| by_name(&a.file, &b.file)));
    }
}
