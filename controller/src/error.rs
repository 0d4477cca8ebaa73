//! What can be wrong with a policy's configuration or with costs.

/// A configuration or a table of costs that cannot be used, in one line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ControllerError {
    /// The text is not TOML, or has a key or a type that is not expected.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line of the text, from 1.
        line: usize,
        /// What was found and expected.
        message: String,
    },
    /// A value is out of its range.
    #[error("{key} = {value}: expected {expected}")]
    Range {
        /// The key.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// What is to be left alone is no brick.
    #[error("pinned: there is no brick `{id}`; there are: {known}")]
    Pinned {
        /// What was named.
        id: String,
        /// The bricks.
        known: String,
    },
    /// A brick has no cost.
    #[error("the costs have no brick `{0}`; measure them with legonf profile on this graph")]
    NoCost(String),
    /// More cores than the host has.
    #[error(
        "cores = {wanted}: this host has {cores}; set oversubscribe = true to use as many workers all the same"
    )]
    Cores {
        /// Cores that were asked for.
        wanted: f64,
        /// Cores that there are.
        cores: f64,
    },
    /// No number of replicas carries the rate or meets the SLA.
    #[error("impossible: {0}")]
    Impossible(String),
}

/// Reads TOML.
///
/// # Errors
/// [`ControllerError::Syntax`] with the line.
pub(crate) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ControllerError> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count();
        ControllerError::Syntax { line, message: error.message().replace('\n', "; ") }
    })
}

/// Refuses a value that does not satisfy a condition.
pub(crate) fn demand(
    holds: bool,
    key: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> Result<(), ControllerError> {
    if holds { Ok(()) } else { Err(ControllerError::Range { key, value: value.to_string(), expected }) }
}
