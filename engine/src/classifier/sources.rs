//! Where labelled flows come from: IDX files, a folder with a folder of captures for each class, or captures in such folders.

use super::flows::{self, Addresses, Labelled};
use crate::captures::captures_in;
use crate::{Error, Extent, Session, reading};
use legonf_core::{Mac, Progress};
use legonf_models::CaptureProvenance;
use legonf_train::{Samples, idx};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file in a class's folder that names the device by its MAC address: flows of others are left out (IoT Sentinel has it).
const DEVICE_FILE: &str = "_iotdevice-mac.txt";
/// Bytes of that file at most.
const DEVICE_BYTES: u64 = 64;

/// Flows with labels.
#[derive(Clone, Debug, Default)]
pub struct LabelledFlows {
    /// Bytes, statistics, sequences and labels.
    pub samples: Samples,
    /// The captures, with their hashes; of IDX files these.
    pub files: Vec<CaptureProvenance>,
    /// Addresses and ports of each flow; none of IDX files.
    pub(super) addresses: Vec<Addresses>,
}

impl LabelledFlows {
    /// Reads labelled flows: one folder with a folder for each class, or an IDX file with images (its labels beside it, or second), or
    /// captures whose folders are their classes. `names` are the classes of IDX labels.
    ///
    /// # Errors
    /// If there is none, or one cannot be read or has a label out of range.
    pub fn read(session: &Session, paths: &[PathBuf], names: &[String]) -> Result<Self, Error> {
        match paths {
            [images] if idx::is_images(images) => Self::of_idx(images, &idx::labels_beside(images), names),
            [images, labels] if idx::is_images(images) => Self::of_idx(images, labels, names),
            [folder] if folder.is_dir() => Self::of_captures(session, &in_folder(folder)?),
            captures => Self::of_captures(session, &by_folder(captures)?),
        }
    }

    fn of_idx(images: &Path, labels: &Path, names: &[String]) -> Result<Self, Error> {
        let samples = idx::read(images, labels, names)?;
        let files = [images, labels]
            .map(|path| CaptureProvenance::of_file(path, 0).map_err(|error| Error::file(path, error)));
        let files = files.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { samples, files, addresses: Vec::new() })
    }

    fn of_captures(session: &Session, captures: &[(String, PathBuf)]) -> Result<Self, Error> {
        let mut classes: Vec<String> = captures.iter().map(|(class, _)| class.clone()).collect();
        classes.sort();
        classes.dedup();
        let groups = captures.iter().map(|(_, path)| path.display().to_string()).collect();
        let label: BTreeMap<_, _> = classes.iter().cloned().zip(0..).collect();
        let mut found =
            Self { samples: Samples::new(classes, groups, flows::sequence_width()), ..Self::default() };
        let bar = session.begin("reading", Extent::Packets(captures.len() as u64));
        for (group, (class, capture)) in captures.iter().enumerate() {
            let labelled = Labelled { capture, label: label[class], group, device: device(capture)? };
            let packets = flows::add(session, labelled, &mut found.samples, &mut found.addresses)?;
            let origin =
                CaptureProvenance::of_file(capture, packets).map_err(|error| Error::file(capture, error))?;
            found.files.push(origin);
            bar.update(Progress::default(), group as u64 + 1);
        }
        Ok(found)
    }

    /// Refuses captures that are also in `others`, by their content.
    ///
    /// # Errors
    /// Names the first.
    pub fn check_apart(&self, others: &Self) -> Result<(), Error> {
        let twice =
            self.files.iter().find(|file| others.files.iter().any(|other| other.sha256 == file.sha256));
        twice.map_or(Ok(()), |file| {
            let reason = "is in both halves of the split: what was learnt from it would be judged by it; leave it out of one";
            Err(Error::refused(format!("{}: {reason}", file.name)))
        })
    }
}

/// The captures below a folder with a folder for each class.
fn in_folder(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let fault = |error: std::io::Error| Error::file(folder, error);
    let mut classes = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if entry.path().is_dir() {
            classes.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    if classes.is_empty() {
        let reason = "expected a folder with a folder of captures for each class, or an IDX file";
        return Err(Error::file(folder, reason));
    }
    classes.sort();
    let mut captures = Vec::new();
    for (class, folder) in classes {
        let within = captures_in(&folder)
            .map_err(|error| Error::refused(format!("class `{class}` has no samples: {error}")))?;
        captures.extend(within.into_iter().map(|capture| (class.clone(), capture)));
    }
    Ok(captures)
}

/// Captures by the folders that they lie in.
fn by_folder(captures: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, Error> {
    let class = |capture: &PathBuf| -> Result<(String, PathBuf), Error> {
        let whole = capture.canonicalize().map_err(|error| Error::file(capture, error))?;
        let folder = whole.parent().and_then(Path::file_name);
        let class =
            folder.ok_or_else(|| Error::file(capture, "lies in no folder that could name its class"))?;
        Ok((class.to_string_lossy().into_owned(), capture.clone()))
    };
    captures.iter().map(class).collect()
}

/// The device whose captures lie beside this one, where that is said.
fn device(capture: &Path) -> Result<Option<Mac>, Error> {
    let file = capture.with_file_name(DEVICE_FILE);
    if !file.exists() {
        return Ok(None);
    }
    let text = reading::text(&file, DEVICE_BYTES)?;
    let parts: Vec<_> = text.trim().split(':').map(|part| u8::from_str_radix(part, 16)).collect();
    match parts.into_iter().collect::<Result<Vec<_>, _>>().ok().and_then(|bytes| bytes.try_into().ok()) {
        Some(bytes) => Ok(Some(Mac(bytes))),
        None => Err(Error::file(&file, "expected a MAC address, such as b0:c5:54:25:5b:0e")),
    }
}
