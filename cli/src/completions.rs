//! `legonf completions`: what a shell needs to complete the command line.

use crate::Arguments as Root;
use crate::failure::{Failure, print};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints a script by which a shell completes commands, options and their values.
///
///   legonf completions bash > ~/.local/share/bash-completion/completions/legonf
///   legonf completions zsh > ~/.zfunc/_legonf
///   legonf completions fish > ~/.config/fish/completions/legonf.fish
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Root::command(), "legonf", &mut script);
    print(&String::from_utf8_lossy(&script))
}
