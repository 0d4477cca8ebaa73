//! The command line, from the words that were given to what they ask for.

use crate::failure::Failure;
use crate::{Arguments, config, help, meant};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use legonf_output::{one_line, printable};
use std::ffi::OsString;
use std::process::ExitCode;

/// Why there is no command to run.
pub enum Refusal {
    /// The parser says what is wrong, or prints the help that was asked for.
    Parser(Box<clap::Error>),
    /// A line that says what was meant.
    Meant(String),
    /// The configuration file is not in order.
    Fault(Failure),
}

/// Reads a command line, the program's name first, and the configuration file that it names.
pub fn parse(given: Vec<OsString>) -> Result<Arguments, Refusal> {
    let given = config::merged(given).map_err(Refusal::Fault)?;
    let parsed = command(&given)
        .try_get_matches_from(&given)
        .and_then(|mut matches| Arguments::from_arg_matches_mut(&mut matches));
    match meant::advice(&given, parsed.as_ref().err()) {
        Some(line) => Err(Refusal::Meant(line)),
        None => parsed.map_err(|error| Refusal::Parser(Box::new(error))),
    }
}

/// The command with the help that fits a screen, or the whole of it where that is asked for.
fn command(given: &[OsString]) -> Command {
    let command = Arguments::command();
    if given.iter().any(|word| word == "--help") { command } else { command.override_help(help::short()) }
}

/// What is understood of a command line whatever is wrong with it; nothing where it asks for help.
pub fn lenient(given: &[OsString]) -> Option<ArgMatches> {
    Arguments::command().ignore_errors(true).try_get_matches_from(given).ok()
}

/// The names of the subcommands that were given, and the arguments of the last of them.
pub fn innermost(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let (mut path, mut matches) = (Vec::new(), matches);
    while let Some((name, inner)) = matches.subcommand() {
        path.push(name);
        matches = inner;
    }
    (path, matches)
}

/// The subcommand of these names, with all options that it takes.
pub fn find(path: &[&str]) -> Option<Command> {
    let mut root = Arguments::command();
    root.build();
    let mut command = &root;
    for name in path {
        command = command.find_subcommand(name)?;
    }
    Some(command.clone())
}

impl Refusal {
    /// Prints the refusal and gives its exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Parser(error) => refuse(error),
            Self::Meant(line) => {
                eprintln!("legonf: {}", one_line(line));
                ExitCode::from(2)
            }
            Self::Fault(failure) => failure.report(),
        }
    }
}

/// Ends with what is wrong with the command line. It repeats what was given, and the shell may have put the name of
/// anyone's file there.
pub fn refuse(error: &clap::Error) -> ! {
    let message = error.to_string();
    if message == printable(&message) {
        error.exit()
    }
    eprint!("{}", printable(&message));
    std::process::exit(error.exit_code())
}
