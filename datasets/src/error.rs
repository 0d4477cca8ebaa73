//! The crate's errors.

/// Why a data set cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DatasetError {
    /// A number of the generator's configuration is out of range.
    #[error("{key} = {value}: expected {expected}")]
    Config {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
}

impl DatasetError {
    /// The kind's name, also that of its metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Config { .. } => "bad-configuration",
        }
    }
}
