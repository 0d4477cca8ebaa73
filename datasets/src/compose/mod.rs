//! Composites: benign traffic of one capture with attack packets of others merged in.
//!
//! A real attack in a network where nobody recorded one: the attack's busiest addresses become hosts of the benign
//! capture, its times are shifted, and its packets get their place in the order of time. A composite is a fair test
//! set as long as everything that is said of it says *composite*; its [`Manifest`] does.
//!
//! Every capture is read twice, first for its addresses, then for its packets; whatever its length, a batch of
//! packets and at most 65,536 addresses of it are in memory.

mod config;
mod error;
mod hosts;
mod manifest;
mod mapping;
mod merge;
mod permutation;
mod rewrite;
mod stream;
mod sum;
mod survey;

pub use config::{Attack, Config, Input};
pub use error::ComposeError;
pub use manifest::{AttackPart, Became, Manifest, Output, Part};
pub use merge::Composer;
