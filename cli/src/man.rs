//! `legonf man`: manual pages.

use crate::Arguments as Root;
use crate::Style;
use crate::failure::{Failure, print};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use legonf_engine::write_text;
use legonf_output::one_line;
use std::path::{Path, PathBuf};

/// Prints the manual page of legonf; with a folder, writes one page for each command into it.
///
/// `man -l FILE` shows a page.
#[derive(Args)]
pub struct Arguments {
    /// Folder for the pages, such as ~/.local/share/man/man1; it is made if it is not there.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let mut root = Root::command();
    root.build();
    let Some(folder) = &arguments.folder else { return print(&page(&root)?) };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::fault(format!("{}: {error}", one_line(&folder.to_string_lossy()))))?;
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    let files: Vec<_> = pages.iter().map(|(name, _)| folder.join(name)).collect();
    style.check_outputs(files.iter().map(|file| &**file as &Path))?;
    for (file, (_, page)) in files.iter().zip(&pages) {
        write_text(file, page)?;
    }
    if style.quiet { Ok(()) } else { print(&format!("{} pages in {}\n", pages.len(), folder.display())) }
}

/// The page of a command and those of the commands below it, by the names of their files.
fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    pages.push((format!("{name}.1"), page(command)?));
    let shown = |inner: &&Command| !inner.is_hide_set() && inner.get_name() != "help";
    command.get_subcommands().filter(shown).try_for_each(|inner| collect(inner, pages))
}

fn page(command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone()).manual("legonf").render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
