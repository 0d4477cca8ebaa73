//! Outputs are looked at before there is any work, and nothing is overwritten unasked.

use crate::Style;
use crate::failure::Failure;
use legonf_output::is_standard_output;
use std::path::Path;

impl Style {
    /// Refuses outputs that cannot be made, and, without --force, files that would be replaced.
    pub fn check_outputs<'a>(self, outputs: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
        Ok(self.session().check_outputs(outputs)?)
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
}
