//! A folder of results.

use crate::failure::Failure;
use legonf_io::sink::{OutputFile, SeriesPlot};
use serde::Serialize;
use std::fmt::Display;
use std::path::Path;

/// A folder that is there.
pub struct Folder<'a>(&'a Path);

impl<'a> Folder<'a> {
    /// The folder of this path, made if it is not there.
    pub fn create(path: &'a Path) -> Result<Self, Failure> {
        let fault = |reason: &dyn Display| Failure::fault(format!("{}: {reason}", path.display()));
        if path.is_file() {
            return Err(fault(&"this is a file, expected a folder"));
        }
        std::fs::create_dir_all(path).map_err(|e| fault(&e))?;
        Ok(Self(path))
    }

    /// Writes a file.
    pub fn put(&self, name: &str, content: &str) -> Result<(), Failure> {
        let mut file = OutputFile::create(&self.0.join(name))?;
        file.put(content.as_bytes())?;
        Ok(file.finish()?)
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
