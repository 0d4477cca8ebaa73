//! Where data sets lie.

use crate::failure::Failure;
use clap::Args;
use std::path::PathBuf;

/// The folder of all data sets.
#[derive(Args)]
pub struct Place {
    /// Folder of the data sets, each in a folder of its own name; without it $XDG_DATA_HOME/legonf, or
    /// ~/.local/share/legonf.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Place {
    /// The folder that was given, or that of the user's data (XDG Base Directory Specification).
    pub fn root(&self) -> Result<PathBuf, Failure> {
        // A relative path in XDG_DATA_HOME is to be ignored, says the specification.
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").map(|home| home.join(".local/share"));
        let of_user = || absolute("XDG_DATA_HOME").or_else(home).map(|data| data.join("legonf"));
        self.dir.clone().or_else(of_user).ok_or_else(|| {
            Failure::fault("neither HOME nor XDG_DATA_HOME names a folder for data sets: give one with --dir")
        })
    }
}
