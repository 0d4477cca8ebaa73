//! The crate's errors.

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
        key: &'static str,
        /// What it was set to.
        value: u16,
        /// The largest value.
        most: u16,
    },
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
    pub(crate) fn check(key: &'static str, value: u16, most: u16) -> Result<(), Self> {
        if value <= most { Ok(()) } else { Err(Self::Range { key, value, most }) }
    }
}
