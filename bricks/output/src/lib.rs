//! Output files that are whole or visibly not, and text that is safe to show.
//!
//! Every output file of every crate is opened here, so that one set of rules holds for all: see [`Destination`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod destination;
mod error;
mod partial;
mod place;
mod text;

pub use destination::{Destination, write, write_private};
pub use error::OutputError;
pub use partial::{open_resumable, rename_new};
pub use place::{Existing, check, goes_to_file, is_standard_output};
pub use text::{one_line, printable, printable_json, xml};
