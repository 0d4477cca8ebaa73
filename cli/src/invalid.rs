//! What is wrong with a value of the command line, or with a line of a file that the command reads itself.

use legonf_core::PlanSyntax;

/// Why a value is not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// It is of another form or out of its range.
    #[error("expected {0}")]
    Value(&'static str),
    /// No layout.
    #[error("{0}; or one of the words fused and pipeline")]
    Layout(#[from] PlanSyntax),
    /// No option of an attack.
    #[error("'{0}': expected labels=FILE, start=SECONDS, speed=FACTOR or thin=N")]
    Option(String),
    /// An option of an attack is no number.
    #[error("{key} = '{value}': expected a number")]
    Number {
        /// The option.
        key: String,
        /// What was given.
        value: String,
    },
    /// A file without an event.
    #[error("holds no event; legonf run --events writes an event log")]
    NoEvent,
    /// No event in a line, counted from 1.
    #[error("line {line}: {error}; is this an event log of legonf run?")]
    Event {
        /// The line.
        line: usize,
        /// What the decoder found.
        error: serde_json::Error,
    },
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, Invalid> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    number.ok_or(Invalid::Value("a number above 0"))
}
