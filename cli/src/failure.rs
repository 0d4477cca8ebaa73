//! How a command fails: one line on standard error and an exit code.

use std::error::Error;
use std::fmt::Display;
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
            Self::Fault(message) => {
                eprintln!("legonf: {}", printable(message));
                ExitCode::from(1)
            }
            Self::Interrupted(message) => {
                eprintln!("legonf: interrupted: {}", printable(message));
                ExitCode::from(130)
            }
            Self::ClosedPipe => ExitCode::from(141),
        }
    }
}

/// A message as one line: control characters, which come from a file's content or its name, as escapes.
pub fn printable(message: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    message.chars().map(escaped).collect()
}

/// Any error is a fault, but a closed pipe is what it is.
impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
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

/// Prints to standard output; a closed pipe is a [`Failure`], not a panic.
pub fn print(text: &str) -> Result<(), Failure> {
    use io::Write;
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints a value as JSON to standard output.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
