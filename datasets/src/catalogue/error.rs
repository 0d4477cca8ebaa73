//! What can be wrong with a catalogue.

/// Why a catalogue or a choice from it is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// It is not TOML of the right shape.
    #[error("catalogue: {0}")]
    Syntax(String),
    /// An entry breaks a rule.
    #[error("catalogue: {entry}: {key}: {reason}")]
    Entry {
        /// The data set's name.
        entry: String,
        /// The key.
        key: &'static str,
        /// The rule.
        reason: &'static str,
    },
    /// There is no data set of that name.
    #[error("no data set is called {name}; `legonf dataset list` names them{}", near(.nearest))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that begin alike.
        nearest: Vec<String>,
    },
    /// The data set has no such file.
    #[error("{dataset} has no file {file}; it has {}", .files.join(", "))]
    UnknownFile {
        /// The data set.
        dataset: String,
        /// The name asked for.
        file: String,
        /// Those that it has.
        files: Vec<String>,
    },
}

fn near(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (is it {}?)", names.join(" or ")) }
}
