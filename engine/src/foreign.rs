//! Foreign networks are tried out before they are used, in a process of their own.
//!
//! What an engine needs in memory and time to make a plan of a network is known only once it has done so: constants are
//! folded, and one of ten bytes can stand for a tensor of terabytes. So another process of this program does it first, which
//! the system ends at a bound; whatever becomes of it, this one goes on and says what happened.

use crate::generic::GenericEngine;
use crate::session::program;
use crate::{Error, Session};
use legonf_core::ENGINE_ROWS;
use legonf_models::{Foreign, MAX_FILE_BYTES, Meaning};
use nix::libc::SIGXCPU;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

/// Bytes of memory (address space) at most for a network to be made ready and to run.
const MAX_MEMORY: u64 = 4 << 30;
/// Seconds of processor time at most for it.
const MAX_SECONDS: u64 = 60;

/// What is to be tried.
#[derive(Clone, Copy)]
struct Tried<'a> {
    onnx: &'a [u8],
    form: Form<'a>,
}

/// What a network is to be.
#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// Any inputs and outputs will do.
    Any,
    /// Rows of features are scored.
    Scoring {
        /// The output that scores come from.
        output: &'a str,
        /// Features of a row.
        features: usize,
    },
    /// An output has a value for each class.
    Classes {
        /// That output.
        output: &'a str,
        /// How many classes there are.
        classes: usize,
    },
}

impl Form<'_> {
    /// Arguments that say so.
    fn arguments(self) -> Vec<String> {
        let (output, count) = match self {
            Self::Any => return Vec::new(),
            Self::Scoring { output, features } => (output, format!("--features={features}")),
            Self::Classes { output, classes } => (output, format!("--class-count={classes}")),
        };
        vec![format!("--score-output={output}"), count]
    }
}

impl<'a> Tried<'a> {
    fn of(foreign: &'a Foreign) -> Self {
        let output = &foreign.output;
        let form = match foreign.meaning {
            Meaning::Classes => Form::Classes { output, classes: foreign.classes.len() },
            _ => Form::Scoring { output, features: foreign.features },
        };
        Self { onnx: &foreign.onnx, form }
    }
}

/// Makes a network ready and runs it, within bounds of memory and time. Says what its output means: whether a value a row is a score or
/// a normality, and whether values are those of classes, is as the model states.
///
/// # Errors
/// Says why it cannot be used: the operator that does not run, an output of another form, or the bound.
pub fn try_out(session: &Session, foreign: &Foreign) -> Result<Meaning, Error> {
    let found = within(session, Tried::of(foreign))?;
    Ok(match foreign.meaning {
        stated @ (Meaning::Normality | Meaning::Classes) if found == Meaning::Score => stated,
        _ => found,
    })
}

fn within(session: &Session, tried: Tried<'_>) -> Result<Meaning, Error> {
    let Some(arguments) = session.try_out else { return try_here(tried) };
    let output = match start(tried, arguments) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return try_here(tried),
        started => started
            .map_err(|error| Error::refused(format!("cannot be tried in a process of its own: {error}")))?,
    };
    let said = String::from_utf8_lossy(&output.stdout);
    match (output.status.success(), Meaning::of_label(said.trim())) {
        (true, Some(meaning)) => Ok(meaning),
        _ => Err(Error::refused(reason(output.status, &String::from_utf8_lossy(&output.stderr)))),
    }
}

/// As [`try_out`]; also compares what the output means with what the model states.
///
/// # Errors
/// In one line that begins with the file.
pub fn check(session: &Session, foreign: &Foreign, path: &Path) -> Result<(), Error> {
    let named = |reason: Error| Error::file(path, reason.to_string());
    let (stated, found) = (foreign.meaning.label(), try_out(session, foreign).map_err(named)?.label());
    if stated == found {
        return Ok(());
    }
    let reason = format!("its output is a {found}, not a {stated}; import the original again");
    Err(Error::file(path, reason))
}

/// As [`try_out`] for a network of any inputs and outputs.
///
/// # Errors
/// In one line that begins with the file.
pub(crate) fn check_network(session: &Session, onnx: &[u8], path: &Path) -> Result<(), Error> {
    let tried = within(session, Tried { onnx, form: Form::Any });
    tried.map(drop).map_err(|reason| Error::file(path, reason.to_string()))
}

fn start(tried: Tried<'_>, arguments: &[&str]) -> std::io::Result<Output> {
    let mut child = Command::new(program()?)
        .args(arguments)
        .args(tried.form.arguments())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that has ended already reads no further, and its status says why.
        let _ = input.write_all(tried.onnx);
    }
    child.wait_with_output()
}

/// Why the process did not end as it should.
fn reason(status: ExitStatus, errors: &str) -> String {
    let last = errors.lines().rev().find_map(|line| line.strip_prefix("legonf: "));
    match (status.code(), last) {
        (Some(1), Some(last)) => last.to_owned(),
        _ if status.signal() == Some(SIGXCPU) => {
            format!(
                "takes more than {MAX_SECONDS} s of processor time, the most that a network may take to be made ready"
            )
        }
        _ => format!(
            "takes more than {} MiB of memory, the most that a network may take, or broke the process that tried it ({status})",
            MAX_MEMORY >> 20
        ),
    }
}

/// What the process does that tries a network: lowers its own limits, reads the ONNX file from standard input, and says what the
/// output means. The program prints the label of that, and the line of an error behind `legonf: ` to standard error with exit code 1.
///
/// # Errors
/// As [`try_out`].
pub fn answer(form: Form<'_>) -> Result<Meaning, Error> {
    bound(Resource::RLIMIT_AS, MAX_MEMORY)?;
    bound(Resource::RLIMIT_CPU, MAX_SECONDS)?;
    bound(Resource::RLIMIT_CORE, 0)?;
    let mut onnx = Vec::new();
    std::io::stdin().lock().take(MAX_FILE_BYTES).read_to_end(&mut onnx)?;
    run_rows(Tried { onnx: &onnx, form })
}

/// Lowers a limit of this process.
fn bound(resource: Resource, most: u64) -> Result<(), Error> {
    let (soft, hard) = getrlimit(resource)?;
    Ok(setrlimit(resource, soft.min(most), hard.min(most))?)
}

/// Tries a network in this process, which may start no other: one that has given up its rights. The bound on memory holds
/// meanwhile.
fn try_here(tried: Tried<'_>) -> Result<Meaning, Error> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS)?;
    setrlimit(Resource::RLIMIT_AS, soft.min(MAX_MEMORY), hard)?;
    let ran = run_rows(tried);
    setrlimit(Resource::RLIMIT_AS, soft, hard)?;
    ran
}

/// Makes a network ready, runs rows through it, and says what its output means.
fn run_rows(Tried { onnx, form }: Tried<'_>) -> Result<Meaning, Error> {
    let mut engine = match form {
        Form::Scoring { output, features } => GenericEngine::new(onnx, output, features, ENGINE_ROWS)?,
        Form::Classes { output, classes } => GenericEngine::classifier(onnx, output, classes, ENGINE_ROWS)?,
        Form::Any => GenericEngine::open(onnx, ENGINE_ROWS)?,
    };
    engine.try_out()?;
    Ok(engine.meaning())
}
