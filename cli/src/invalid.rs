//! What is wrong with a value of the command line, or with a line of a file that the command reads itself.

use legonf_core::PlanSyntax;
use legonf_engine::arguments::Expected;

/// Why a value is not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// It is of another form or out of its range.
    #[error("expected {0}")]
    Value(&'static str),
    /// The same, of a kind of value that the engine knows.
    #[error(transparent)]
    Expected(#[from] Expected),
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
