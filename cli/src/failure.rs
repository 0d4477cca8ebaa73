//! How a command fails: one line on standard error and an exit code.

use crate::Style;
use crate::summary::width::fit;
use legonf_experiments::ExperimentError;
use legonf_output::{one_line, printable, printable_json};
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

/// The reason why a command ends without its full result.
#[derive(Debug)]
pub enum Failure {
    /// A fault, in one line (exit code 1).
    Fault(String),
    /// Ctrl-C (exit code 130), with what was done before.
    Interrupted(String),
    /// The reader of standard output went away (exit code 141).
    ClosedPipe,
}

impl Failure {
    /// A fault from anything that can be shown.
    pub fn fault(message: impl Display) -> Self {
        Self::Fault(message.to_string())
    }

    /// Prints the failure and gives its exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Fault(message) => eprintln!("legonf: {}", one_line(message)),
            Self::Interrupted(message) => eprintln!("legonf: interrupted: {}", one_line(message)),
            Self::ClosedPipe => {}
        }
        ExitCode::from(self.code())
    }

    /// Its exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Fault(_) => 1,
            Self::Interrupted(_) => 130,
            Self::ClosedPipe => 141,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(message) | Self::Interrupted(message) => f.write_str(message),
            Self::ClosedPipe => f.write_str("the reader of the output went away"),
        }
    }
}

/// Any error is a fault, but a session that was stopped and a closed pipe are what they are.
impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        match of_engine(&error) {
            Some(legonf_engine::Error::Interrupted(kept)) => return Self::Interrupted(kept.clone()),
            Some(legonf_engine::Error::ClosedPipe) => return Self::ClosedPipe,
            _ => {}
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            let io = inner.downcast_ref::<io::Error>();
            if io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
                return Self::ClosedPipe;
            }
            cause = inner.source();
        }
        Self::Fault(error.to_string())
    }
}

/// The engine's error, if it is one.
fn of_engine<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a legonf_engine::Error> {
    match error.downcast_ref() {
        Some(ExperimentError::Engine(inner)) => Some(inner),
        _ => error.downcast_ref(),
    }
}

/// Prints to standard output what does nothing but to be seen; a closed pipe is a [`Failure`], not a panic.
pub fn print(text: &str) -> Result<(), Failure> {
    use io::Write;
    let mut out = io::stdout().lock();
    out.write_all(printable(text).as_bytes())?;
    Ok(out.flush()?)
}

/// Prints words, within the columns of the terminal.
pub fn tell(text: &str) -> Result<(), Failure> {
    print(&fit(text))
}

/// Prints a value as JSON to standard output.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&json(value)?)
}

/// Prints a report in the style that is asked for: as JSON, in words, or not at all.
pub fn show<R: serde::Serialize>(report: &R, text: fn(&R) -> String, style: Style) -> Result<(), Failure> {
    match style {
        Style { json: true, .. } => print_json(report),
        Style { quiet: true, .. } => Ok(()),
        _ => tell(&text(report)),
    }
}

/// A value as JSON for a terminal.
pub fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(printable_json(&serde_json::to_string_pretty(value)?).into_owned() + "\n")
}
