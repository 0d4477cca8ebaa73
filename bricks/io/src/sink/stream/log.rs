//! A file that is appended to, under its own name.

use super::number::set_aside;
use super::{Framing, Loss, Rotation};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A file of whole units that others may rename, truncate or remove while it grows.
///
/// Nothing is gathered. What the disk does not take is counted as lost and leaves no part of a unit behind; the next units are
/// tried again.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    framing: Framing,
    /// Permission bits of new files.
    mode: u32,
    /// What each file begins with, and whether this one has it.
    head: Vec<u8>,
    headed: bool,
    rotation: Rotation,
    /// When the file was opened.
    begun: Instant,
    /// A file that could not be rotated grows until the next [`tend`](Self::tend).
    stuck: bool,
    /// Whether part of a unit could not be taken back.
    torn: bool,
    /// Whether opening the file anew failed and is to be tried again.
    reopening: bool,
    pub loss: Loss,
}

impl Log {
    /// Opens a file to append to it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path, framing: Framing, mode: u32) -> io::Result<Self> {
        let file = open(path, mode)?;
        let torn = framing == Framing::Lines && !ends_a_line(&file)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            framing,
            mode,
            head: Vec::new(),
            headed: false,
            rotation: Rotation::default(),
            begun: Instant::now(),
            stuck: false,
            torn,
            reopening: false,
            loss: Loss::default(),
        })
    }

    /// As [`open`](Self::open), where a file that holds something already makes way first: it becomes `NAME.1`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn fresh(path: &Path, framing: Framing, mode: u32, keep: Option<u64>) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0) {
            set_aside(path, keep)?;
        }
        Self::open(path, framing, mode)
    }

    /// Begins new files as `rotation` says.
    pub fn rotating(self, rotation: Rotation) -> Self {
        Self { rotation, ..self }
    }

    /// Adds to what each file begins with.
    pub fn begin_with(&mut self, head: &[u8]) {
        self.head.extend(head);
        let part = if self.headed { head.to_vec() } else { self.due_head() };
        self.write(&part, part.len());
    }

    /// Appends units.
    pub fn put(&mut self, mut units: &[u8]) {
        while !units.is_empty() {
            let (size, empty) = (self.size(), self.head.len() as u64);
            let most = self.rotation.size.filter(|_| !self.stuck).unwrap_or(u64::MAX);
            let room = most.saturating_sub(size.max(empty));
            let fitting = self.framing.fitting(units, room);
            if fitting == 0 && size > empty {
                self.turn();
                continue;
            }
            // A unit that is longer than a whole file gets one of its own.
            let length = if fitting == 0 { self.framing.first(units) } else { fitting };
            self.append(&units[..length], size);
            units = &units[length..];
        }
    }

    /// Goes on in the file that has the name now, which is made where there is none.
    pub fn reopen(&mut self) {
        match self.try_reopen() {
            Ok(()) => self.reopening = false,
            Err(error) => {
                self.reopening = true;
                self.loss.note(&error);
            }
        }
    }

    /// Tries again what failed, makes a file anew that was removed, and begins the next one where it is time.
    pub fn tend(&mut self) {
        self.stuck = false;
        let removed = self.file.metadata().is_ok_and(|file| file.nlink() == 0);
        if self.reopening || removed {
            self.reopen();
        }
        if self.rotation.time.is_some_and(|time| self.begun.elapsed() >= time) {
            self.begun = Instant::now();
            if self.size() > self.head.len() as u64 {
                self.turn();
            }
        }
    }

    /// Brings the file to the disk.
    ///
    /// # Errors
    /// When the system fails to.
    pub fn finish(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn try_reopen(&mut self) -> io::Result<()> {
        if self.has_its_name()? {
            return Ok(());
        }
        let file = open(&self.path, self.mode)?;
        self.torn = self.framing == Framing::Lines && !ends_a_line(&file)?;
        (self.file, self.headed, self.begun) = (file, false, Instant::now());
        let head = self.due_head();
        self.write(&head, head.len());
        Ok(())
    }

    /// Whether the file's name is still that of this file.
    fn has_its_name(&self) -> io::Result<bool> {
        let id = |found: fs::Metadata| (found.dev(), found.ino());
        match fs::metadata(&self.path) {
            Ok(found) => Ok(id(found) == id(self.file.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the file its number and begins the next one; one that others have renamed already is left as it is.
    fn turn(&mut self) {
        // It is complete; where it cannot be brought to the disk, the next writes say so.
        let _ = self.file.sync_data();
        let keep = self.rotation.keep;
        let turned =
            self.has_its_name().and_then(|ours| if ours { set_aside(&self.path, keep) } else { Ok(()) });
        if let Err(error) = turned.and_then(|()| self.try_reopen()) {
            self.loss.note(&error);
            self.stuck = true;
        }
    }

    /// The head, where the file does not have it: an empty one, or one of blocks that goes on with a new section.
    fn due_head(&self) -> Vec<u8> {
        let wanted = self.size() == 0 || self.framing == Framing::Blocks;
        if wanted { self.head.clone() } else { Vec::new() }
    }

    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Appends units that stay together, with what must be before them.
    fn append(&mut self, units: &[u8], size: u64) {
        if self.headed && size > 0 && !self.torn {
            return self.write(units, 0);
        }
        let mut bytes = Vec::new();
        if self.torn && size > 0 && self.framing == Framing::Lines {
            bytes.push(b'\n');
        }
        if size == 0 || !self.headed {
            bytes.extend(self.due_head());
        }
        let before = bytes.len();
        bytes.extend(units);
        self.write(&bytes, before);
    }

    /// Writes what must be before units, which is of so many bytes, and the units, or as many of them as there is room for; the others
    /// are lost.
    fn write(&mut self, bytes: &[u8], before: usize) {
        let Err((error, written)) = write_all(&mut self.file, bytes) else {
            (self.headed, self.torn) = (true, false);
            return;
        };
        let whole = self.framing.fitting(bytes, written as u64);
        self.headed = whole >= before && (self.headed || whole > 0);
        self.torn &= whole == 0;
        self.torn |= take_back(&self.file, written - whole).is_err();
        self.loss.add(self.framing.count(&bytes[whole.max(before)..]), &error);
    }
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    File::options().read(true).append(true).create(true).mode(mode).open(path)
}

/// Writes all bytes at the end of a file; a fault says how many of them are there.
fn write_all(file: &mut File, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((io::ErrorKind::WriteZero.into(), written)),
            Ok(length) => written += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((error, written)),
        }
    }
    Ok(())
}

/// Takes the last bytes back. A file that others have truncated meanwhile is not made longer.
fn take_back(file: &File, written: usize) -> io::Result<()> {
    let size = file.metadata()?.len();
    match size.checked_sub(written as u64) {
        Some(before) if written > 0 => file.set_len(before),
        _ => Ok(()),
    }
}

fn ends_a_line(mut file: &File) -> io::Result<bool> {
    let (size, mut last) = (file.metadata()?.len(), [b'\n']);
    if size > 0 {
        file.seek(SeekFrom::Start(size - 1))?;
        file.read_exact(&mut last)?;
    }
    Ok(last == [b'\n'])
}
