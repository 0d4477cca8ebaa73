//! The crate's errors.

use std::borrow::Cow;

/// Why a brick cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NfError {
    /// There is no such action.
    #[error("{label} = \"{action}\": expected drop, forward, forward:PORT or mirror:PORT")]
    Action {
        /// The verdict.
        label: String,
        /// What was found.
        action: String,
    },
    /// The graph has no such port.
    #[error("{label} = \"{action}\": the graph has no port `{port}`; add it to its ports = [{known}]")]
    Port {
        /// The verdict.
        label: String,
        /// What was found.
        action: String,
        /// The port.
        port: String,
        /// Those there are, in quotes.
        known: String,
    },
    /// A copy would leave by the port that the packet leaves by.
    #[error(
        "{label} = \"{action}\": packets leave by the first port themselves; name another one for their copies"
    )]
    Copy {
        /// The verdict.
        label: String,
        /// What was found.
        action: String,
    },
    /// A number is not in its range.
    #[error("{key} = {value}: expected a number from 0 to {most}")]
    Range {
        /// The key of the configuration.
        key: Cow<'static, str>,
        /// What it was set to.
        value: u16,
        /// The largest value.
        most: u16,
    },
    /// Nothing says which code point packets get.
    #[error(
        "expected dscp = CODE POINT for all packets, or values = {{ LABEL = CODE POINT }} by their verdicts"
    )]
    Marking,
    /// A column is named of which nothing is said.
    #[error("by = \"{0}\": expected values = {{ LABEL = CODE POINT }} beside it")]
    By(String),
    /// A limit is on nothing, or on two things.
    #[error("limits.{0}: expected either bytes_per_second or packets_per_second")]
    Limit(String),
    /// A tag is neither pushed nor popped, or both.
    #[error("expected either push = VID or pop = true")]
    Tag,
    /// A tag that is popped is given a priority.
    #[error("priority = {0}: a tag that is popped has its own; expected it beside push = VID")]
    Priority(u16),
}

impl NfError {
    /// Checks that the number of a key is not above the greatest one that it may have.
    ///
    /// # Errors
    /// [`Range`](Self::Range) if it is.
    pub(crate) fn check(key: impl Into<Cow<'static, str>>, value: u16, most: u16) -> Result<(), Self> {
        if value <= most { Ok(()) } else { Err(Self::Range { key: key.into(), value, most }) }
    }
}
