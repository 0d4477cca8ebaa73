//! Captures as they are asked for: files and folders, read as one stream, and which of their packets count.

mod folder;
mod peek;

use crate::{Error, Session, input};
use legonf_core::{Schema, Source};
use legonf_io::{Content, Filter, Filtered, Positions, SourceError, SourceErrorKind};
use legonf_models::CaptureProvenance;
use peek::Peeked;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Captures, and which of their packets count.
///
/// Several captures are one stream, in the order of the times of their first packets (of names, where these are equal), as if they
/// had been written into one file: packets are numbered on, and what is known of the traffic goes on. One file at a time is open. A
/// folder stands for the captures in it, told by their names. What comes through a pipe, and tables of features in the order given,
/// are read likewise, but a pipe alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// Files and folders; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// Only packets that this BPF expression takes; the others are no part of the stream. Needs libpcap (the feature `live`).
    pub filter: Option<String>,
}

/// One capture, all of whose packets count.
impl From<PathBuf> for Captures {
    fn from(path: PathBuf) -> Self {
        Self { paths: vec![path], filter: None }
    }
}

/// Captures that were found, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    files: Vec<PathBuf>,
    filter: Option<String>,
    /// Packets that the filter left out when it was [opened](Self::open_any).
    left_out: Arc<AtomicU64>,
}

impl Captures {
    /// Finds the captures and their order; with a schema, tables of its features too. A single file is not looked at yet, unless its
    /// packets are filtered.
    ///
    /// # Errors
    /// If a folder has none, one is given twice or cannot be read, they are of several kinds, a pipe is among several, or the filter
    /// is none, or not for their packets.
    pub(crate) fn find(&self, session: &Session, schema: Option<&Schema>) -> Result<Series, Error> {
        let files = self.files()?.concat();
        check_several(&files)?;
        self.series(session, files, schema)
    }

    /// The captures one by one, as spans of their own: in the order given, and those of a folder by their first packets.
    ///
    /// # Errors
    /// As [`find`](Self::find); but kinds may differ, a capture may come twice, and a pipe among others.
    pub(crate) fn spans(&self, session: &Session, schema: Option<&Schema>) -> Result<Vec<Series>, Error> {
        let mut spans = Vec::new();
        for files in self.files()? {
            let found = self.series(session, files, schema)?;
            spans
                .extend(found.files.iter().map(|file| Series { files: vec![file.clone()], ..found.apart() }));
        }
        Ok(spans)
    }

    /// The files that each path stands for.
    fn files(&self) -> Result<Vec<Vec<PathBuf>>, Error> {
        check(self.filter.as_deref())?;
        self.paths.iter().map(|path| folder::expand(path)).collect()
    }

    fn series(
        &self,
        session: &Session,
        mut files: Vec<PathBuf>,
        schema: Option<&Schema>,
    ) -> Result<Series, Error> {
        if files.len() > 1 || (self.filter.is_some() && can_be_read_twice(&files)) {
            files = self.ordered(session, files, schema)?;
        }
        Ok(Series { files, filter: self.filter.clone(), left_out: Arc::default() })
    }

    /// The files in the order of their first packets.
    fn ordered(
        &self,
        session: &Session,
        files: Vec<PathBuf>,
        schema: Option<&Schema>,
    ) -> Result<Vec<PathBuf>, Error> {
        let peeked = files.into_iter().map(|file| Peeked::open(session, file, schema));
        let mut peeked = peeked.collect::<Result<Vec<_>, _>>()?;
        peek::check(&peeked)?;
        if let Some(filter) = &self.filter {
            fit(filter, &peeked)?;
        }
        peek::sort(&mut peeked);
        Ok(peeked.into_iter().map(|one| one.file).collect())
    }
}

/// The captures in a folder, in the order of their names.
///
/// # Errors
/// If it has none or cannot be read.
pub(crate) fn captures_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    folder::expand(folder)
}

/// Refuses a file that is given twice, and a pipe among several.
fn check_several(files: &[PathBuf]) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for file in files.iter().filter(|_| files.len() > 1) {
        let found = std::fs::metadata(file).ok();
        if is_stream(file) {
            let reason = "a pipe or a device can only be read alone; give files, or it alone";
            return Err(Error::file(file, reason));
        }
        if found.is_some_and(|found| !known.insert((found.dev(), found.ino()))) {
            return Err(Error::file(file, "this capture is given twice; leave one out"));
        }
    }
    Ok(())
}

/// Whether a path is standard input, a pipe or a device, which can be read but once.
pub(crate) fn is_stream(path: &Path) -> bool {
    path == Path::new("-") || std::fs::metadata(path).is_ok_and(|found| !found.is_file())
}

fn can_be_read_twice(files: &[PathBuf]) -> bool {
    files.iter().all(|file| std::fs::metadata(file).is_ok_and(|found| found.is_file()))
}

/// Refuses what is no filter.
fn check(filter: Option<&str>) -> Result<(), Error> {
    filter.map_or(Ok(()), |filter| compile(filter).map(drop))
}

/// Refuses a filter that is not for the packets of a file: it has no packets, or is of a link type that the filter is not for.
fn fit(filter: &str, peeked: &[Peeked]) -> Result<(), Error> {
    let mut compiled = compile(filter)?;
    for one in peeked {
        if one.has_no_bytes() {
            let kind = SourceErrorKind::NoBytes;
            return Err(SourceError::new(one.file.display().to_string(), 0, kind).into());
        }
        if let Some(link) = one.link {
            compiled.fit(link).map_err(|error| Error::file(&one.file, error))?;
        }
    }
    Ok(())
}

#[cfg(feature = "live")]
fn compile(filter: &str) -> Result<legonf_live::PacketFilter, Error> {
    Ok(legonf_live::PacketFilter::new(filter)?)
}

/// Stands for the filter that there is none of without libpcap.
#[cfg(not(feature = "live"))]
enum NoFilter {}

#[cfg(not(feature = "live"))]
impl NoFilter {
    fn fit(&mut self, _: legonf_core::LinkType) -> Result<(), std::convert::Infallible> {
        match *self {}
    }
}

#[cfg(not(feature = "live"))]
impl Filter for NoFilter {
    fn passes(&mut self, _: &legonf_core::PacketRecord, _: &[u8]) -> Result<bool, legonf_core::Fault> {
        match *self {}
    }
}

#[cfg(not(feature = "live"))]
fn compile(_: &str) -> Result<NoFilter, Error> {
    Err(Error::refused("--filter: this build has no libpcap; build it with the feature `live`"))
}

impl Series {
    /// Opens the captures, or tables with the features of `schema`, to read up to `limit` packets of those that count.
    ///
    /// # Errors
    /// If the first one cannot be read.
    pub fn open_any(
        &self,
        session: &Session,
        limit: Option<u64>,
        schema: &Schema,
    ) -> Result<(Content, Box<dyn Source>), Error> {
        self.counted(session, limit, Some(schema))
    }

    /// Opens the captures, which are no tables of features.
    ///
    /// # Errors
    /// As [`open_any`](Self::open_any).
    pub fn open(&self, session: &Session, limit: Option<u64>) -> Result<Box<dyn Source>, Error> {
        Ok(self.counted(session, limit, None)?.1)
    }

    /// Opens the captures once more; what the filter leaves out now is not counted.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_again(&self, session: &Session, limit: Option<u64>) -> Result<Box<dyn Source>, Error> {
        self.apart().open(session, limit)
    }

    /// The same captures with a count of their own.
    fn apart(&self) -> Self {
        Self { left_out: Arc::default(), ..self.clone() }
    }

    fn counted(
        &self,
        session: &Session,
        limit: Option<u64>,
        schema: Option<&Schema>,
    ) -> Result<(Content, Box<dyn Source>), Error> {
        let all = session.input(limit.filter(|_| self.filter.is_none()));
        let (content, source) = legonf_io::open_all(self.files.clone(), &all, schema)?;
        let Some(filter) = &self.filter else { return Ok((content, source)) };
        self.left_out.store(0, Ordering::Relaxed);
        let filtered = self.filtered(filter, source, limit)?.counting(self.left_out.clone());
        Ok((content, Box::new(filtered)))
    }

    fn filtered(&self, filter: &str, source: Box<dyn Source>, limit: Option<u64>) -> Result<Filtered, Error> {
        let compiled: Box<dyn Filter> = Box::new(compile(filter)?);
        Ok(Filtered::new(self.name(), source, compiled, limit))
    }

    /// The numbers that packets which pass the filter have in the captures; none where all pass.
    ///
    /// # Errors
    /// If the captures cannot be read twice.
    pub fn positions(&self, session: &Session, limit: Option<u64>) -> Result<Option<Positions>, Error> {
        let Some(filter) = &self.filter else { return Ok(None) };
        if !self.can_be_read_twice() {
            let reason = "labels are of all its packets, and it cannot be read twice to know which of them pass --filter; name a file";
            return Err(self.fault(reason));
        }
        let all = legonf_io::open_all(self.files.clone(), &session.input(None), None)?.1;
        Ok(Some(Positions::new(self.filtered(filter, all, limit)?)))
    }

    /// What is wrong with the captures.
    pub fn fault(&self, reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::File { file: self.name(), reason: reason.into() }
    }

    /// Whether what they hold can be read a second time.
    pub fn can_be_read_twice(&self) -> bool {
        can_be_read_twice(&self.files)
    }

    /// The files, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The filter, and how many packets did not pass it.
    pub fn filter(&self) -> Option<(&str, u64)> {
        Some((self.filter.as_deref()?, self.left_out.load(Ordering::Relaxed)))
    }

    /// How many packets did not pass the filter; none where there is no filter.
    pub fn left_out(&self) -> Option<u64> {
        self.filter().map(|(_, left_out)| left_out)
    }

    /// Names and SHA-256 of the captures, with the filter.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn origins(&self) -> Result<Vec<CaptureProvenance>, Error> {
        let origin = |file: &PathBuf| {
            input::origin(file).map(|origin| CaptureProvenance { filter: self.filter.clone(), ..origin })
        };
        self.files.iter().map(origin).collect()
    }

    /// Names of the files without their folders, where there are several.
    pub fn names(&self) -> Vec<String> {
        let names = self.files.iter().map(|file| input::file_name(file));
        names.filter(|_| self.files.len() > 1).collect()
    }

    /// What the captures are called where they are shown: by names without folders.
    pub fn title(&self) -> String {
        listed(self.files.iter().map(|file| input::file_name(file)).collect())
    }

    /// What the captures are called in messages: as they were given.
    fn name(&self) -> String {
        let shown = |file: &PathBuf| match file.as_os_str() == "-" {
            true => "standard input".to_owned(),
            false => file.display().to_string(),
        };
        listed(self.files.iter().map(shown).collect())
    }
}

/// Names of files, the first and the last where there are more than a few.
fn listed(names: Vec<String>) -> String {
    const FEW: usize = 4;
    match &*names {
        [first, .., last] if names.len() > FEW => format!("{first} to {last} ({} captures)", names.len()),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests;
