//! A folder of results.

use crate::failure::Failure;
use crate::overwrite::write_text;
use legonf_io::sink::SeriesPlot;
use serde::Serialize;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A folder that is there.
pub struct Folder<'a>(&'a Path);

impl<'a> Folder<'a> {
    /// Refuses what is no folder, and, without `force`, a folder in which there is something.
    pub fn check(path: &Path, force: bool) -> Result<(), Failure> {
        let fault = |reason: &dyn Display| Failure::fault(format!("{}: {reason}", path.display()));
        match fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(fault(&"this is a file, expected a folder"))
            }
            Err(error) => Err(fault(&error)),
            Ok(_) if force => Ok(()),
            Ok(mut entries) => entries.next().map_or(Ok(()), |_| {
                Err(fault(&"exists already; give another folder, or --force to write into it"))
            }),
        }
    }

    /// The folder of this path, made if it is not there. Files of the same names are replaced.
    pub fn create(path: &'a Path) -> Result<Self, Failure> {
        Self::check(path, true)?;
        fs::create_dir_all(path).map_err(|e| Failure::fault(format!("{}: {e}", path.display())))?;
        Ok(Self(path))
    }

    /// Writes a file.
    pub fn put(&self, name: &str, content: &str) -> Result<(), Failure> {
        write_text(&self.0.join(name), content)
    }

    /// Writes `report.json`.
    pub fn report(&self, report: &impl Serialize) -> Result<(), Failure> {
        self.put("report.json", &format!("{}\n", serde_json::to_string_pretty(report)?))
    }

    /// Draws a plot as SVG.
    pub fn plot(&self, name: &str, plot: &SeriesPlot) -> Result<(), Failure> {
        Ok(plot.write_svg(&self.0.join(name))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_its_place_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(Failure::Fault(message)) = Folder::create(file.path()) else { panic!("a file is no folder") };
        assert!(message.ends_with("this is a file, expected a folder"), "{message}");
    }
}
