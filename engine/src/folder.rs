//! Results that are files of text, and folders of them.

use crate::Error;
use legonf_io::sink::{OutputFile, SeriesPlot, Timeline};
use legonf_output::Existing;
use serde::Serialize;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A folder that is there.
pub struct Folder<'a>(&'a Path);

impl<'a> Folder<'a> {
    /// Refuses what is no folder, and, where that is to be kept, a folder in which there is something.
    ///
    /// # Errors
    /// Names the folder.
    pub fn check(path: &Path, existing: Existing) -> Result<(), Error> {
        match fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(Error::file(path, "this is a file, expected a folder"))
            }
            Err(error) => Err(Error::file(path, error)),
            Ok(_) if existing == Existing::Replace => Ok(()),
            Ok(mut entries) => entries.next().map_or(Ok(()), |_| {
                Err(Error::file(path, "exists already; give another folder, or --force to write into it"))
            }),
        }
    }

    /// The folder of this path, made if it is not there. Files of the same names are replaced.
    ///
    /// # Errors
    /// If it is none and cannot be made.
    pub fn create(path: &'a Path) -> Result<Self, Error> {
        Self::check(path, Existing::Replace)?;
        fs::create_dir_all(path).map_err(|error| Error::file(path, error))?;
        Ok(Self(path))
    }

    /// Writes a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(&self, name: &str, content: &str) -> Result<(), Error> {
        write_text(&self.0.join(name), content)
    }

    /// Writes `report.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn report(&self, report: &impl Serialize) -> Result<(), Error> {
        self.put("report.json", &format!("{}\n", serde_json::to_string_pretty(report)?))
    }

    /// Draws a plot as SVG.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn plot(&self, name: &str, plot: &SeriesPlot) -> Result<(), Error> {
        Ok(plot.write_svg(&self.0.join(name))?)
    }

    /// Draws what a run did over time.
    ///
    /// # Errors
    /// As [`plot`](Self::plot).
    pub fn timeline(&self, name: &str, plot: &Timeline) -> Result<(), Error> {
        Ok(plot.write_svg(&self.0.join(name))?)
    }
}

/// Writes a file of text, whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    let mut file = OutputFile::create(path)?;
    file.put(text.as_bytes())?;
    Ok(file.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_its_place_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = Folder::create(file.path()).err().unwrap().to_string();
        assert!(message.ends_with("this is a file, expected a folder"), "{message}");
    }
}
