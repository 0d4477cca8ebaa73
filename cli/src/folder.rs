//! A folder of results.

use crate::failure::Failure;
use legonf_io::sink::{OutputFile, SeriesPlot};
use serde::Serialize;
use std::path::Path;

/// A folder that is there.
pub struct Folder<'a>(&'a Path);

impl<'a> Folder<'a> {
    /// The folder of this path, made if it is not there.
    pub fn create(path: &'a Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(path).map_err(|e| Failure::fault(format!("{}: {e}", path.display())))?;
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
