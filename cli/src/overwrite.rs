//! Outputs are looked at before there is any work, and nothing is overwritten unasked.

use crate::Style;
use crate::failure::Failure;
use crate::folder::Folder;
use legonf_io::sink::{OutputFile, SinkError};
use legonf_output::{Existing, check, is_standard_output};
use std::path::Path;

impl Style {
    /// Refuses outputs that cannot be made, and, without --force, files that would be replaced.
    pub fn check_outputs<'a>(self, outputs: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        outputs.into_iter().try_for_each(|path| {
            let fault = |source| SinkError::Create { path: path.display().to_string(), source };
            Ok(check(path, existing).map_err(fault)?)
        })
    }

    /// [`check_outputs`](Self::check_outputs) for a command that also prints what it did: an output on standard output
    /// would be mixed with that.
    pub fn check_results<'a>(self, outputs: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
        outputs.into_iter().try_for_each(|path| {
            if !self.quiet && is_standard_output(path) {
                let reason = "standard output is for what the command prints, too; give --quiet";
                return Err(Failure::fault(format!("{}: {reason}, or name a file", path.display())));
            }
            self.check_outputs([path])
        })
    }

    /// Refuses a folder that cannot be made, and, without --force, one that is not empty.
    pub fn check_folder(self, folder: Option<&Path>) -> Result<(), Failure> {
        folder.map_or(Ok(()), |folder| Folder::check(folder, self.force))
    }
}

/// Writes a file of text.
pub fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = OutputFile::create(path)?;
    file.put(text.as_bytes())?;
    Ok(file.finish()?)
}
