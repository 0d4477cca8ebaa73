//! Commands of the documentation, run or only parsed.

use crate::common::root;
use crate::markdown::{Block, Page};
use crate::shelf;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Reasons for which commands are only parsed (`needs=REASON`).
const REASONS: [&str; 7] = ["build", "data", "interface", "network", "root", "time", "run"];

/// Other programs that such commands name.
const OTHERS: [&str; 7] = ["install", "journalctl", "mdbook", "openssl", "ssh", "sudo", "systemctl"];

/// The folder of the command.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_legonf")).parent().expect("a folder").to_owned()
}

fn bash(line: &str, folder: &Path, path: &str) -> Output {
    let mut bash = Command::new("/bin/bash");
    bash.args(["-o", "pipefail", "-c", line]).current_dir(folder).stdin(Stdio::null());
    bash.env("PATH", path).env_remove("COLUMNS").output().expect("bash starts")
}

/// Runs the commands of a page in a folder of their own, and says what went wrong.
pub fn run(page: &Page) -> Vec<String> {
    let desk = shelf::desk();
    let mut wrong = Vec::new();
    for block in &page.blocks {
        if let Some(name) = block.attribute("file") {
            shelf::provide(&block.text, desk.path());
            fs::write(desk.path().join(name), &block.text).expect("room");
        }
        if block.attribute("needs").is_none() {
            wrong.extend(run_block(page, block, desk.path()));
        }
    }
    wrong
}

fn run_block(page: &Page, block: &Block, folder: &Path) -> Vec<String> {
    let steps = match block.language.as_str() {
        "sh" => block.lines().map(|(line, command)| Step { line, command, shown: None }).collect(),
        "console" => console(block),
        _ => Vec::new(),
    };
    steps.iter().filter_map(|step| step.run(folder).err().map(|error| page.at(step.line, &error))).collect()
}

/// A command, with the output that is shown of it.
struct Step<'a> {
    line: usize,
    command: &'a str,
    shown: Option<String>,
}

impl Step<'_> {
    fn run(&self, folder: &Path) -> Result<(), String> {
        shelf::provide(self.command, folder);
        let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap_or_default());
        let output = bash(self.command, folder, &path);
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{}: {}: {error}", self.command, output.status));
        }
        match &self.shown {
            Some(shown) if !agree(shown, &told) => Err(format!("{}: prints\n{told}", self.command)),
            _ => Ok(()),
        }
    }
}

/// The commands of a block whose lines begin with `$ `, each with the lines below it.
fn console(block: &Block) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (line, text) in block.lines() {
        match (text.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { line, command, shown: Some(String::new()) }),
            (None, Some(Step { shown: Some(shown), .. })) => {
                shown.push_str(text);
                shown.push('\n');
            }
            _ => panic!("line {line}: output without a command"),
        }
    }
    steps
}

/// Whether an output has the words that are shown of it, where `...` stands for any.
pub fn agree(shown: &str, told: &str) -> bool {
    let told: Vec<_> = told.split_whitespace().collect();
    // Whether the words shown so far can be the first of those told, for each number of these.
    let mut fits: Vec<bool> = (0..=told.len()).map(|count| count == 0).collect();
    for word in shown.split_whitespace() {
        fits = if word == "..." {
            let first = fits.iter().position(|fit| *fit).unwrap_or(fits.len());
            (0..fits.len()).map(|count| count >= first).collect()
        } else {
            (0..fits.len()).map(|count| count > 0 && fits[count - 1] && told[count - 1] == word).collect()
        };
    }
    fits[told.len()]
}

/// Parses the commands of a page that cannot be run, and those in its sentences; says what is wrong, and counts the former by their reasons.
pub fn parse(page: &Page) -> (Vec<String>, Vec<String>) {
    let (mut wrong, mut reasons) = (Vec::new(), Vec::new());
    for block in &page.blocks {
        let Some(reason) = block.attribute("needs") else { continue };
        if !REASONS.contains(&reason) {
            wrong.push(page.at(block.line, &format!("needs={reason} is none of {REASONS:?}")));
        }
        for (line, command) in block.lines() {
            wrong.extend(parsed(command).err().map(|error| page.at(line, &error)));
            reasons.push(reason.to_owned());
        }
    }
    for (line, span) in page.code() {
        let known = match span.split_whitespace().next() {
            Some("legonf") => parsed(&span),
            Some(option) if option.starts_with("--") => known(option),
            _ => Ok(()),
        };
        wrong.extend(known.err().map(|error| page.at(line, &error)));
    }
    (wrong, reasons)
}

/// Whether the command takes a line: with `--help` at its end it parses what is before, and does nothing.
fn parsed(command: &str) -> Result<(), String> {
    if let Some(script) = command.strip_prefix("./").and_then(|rest| rest.split(' ').next()) {
        let mode = fs::metadata(root().join(script)).map_err(|error| format!("{script}: {error}"))?;
        return if mode.permissions().mode() & 0o111 == 0 {
            Err(format!("{script} is no program"))
        } else {
            Ok(())
        };
    }
    static STUBS: OnceLock<TempDir> = OnceLock::new();
    let stubs = STUBS.get_or_init(stubs).path();
    let output = bash(command, stubs, &stubs.display().to_string());
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command}: {error}")) }
}

/// Programs that do nothing, and one that only parses.
fn stubs() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let real = env!("CARGO_BIN_EXE_legonf");
    let parser =
        format!("#!/bin/bash\n[ \"$1\" = help ] && exec '{real}' \"$@\"\nexec '{real}' \"$@\" --help\n");
    write(&folder.path().join("legonf"), &parser);
    OTHERS.iter().for_each(|name| write(&folder.path().join(name), "#!/bin/bash\n"));
    folder
}

fn write(path: &Path, script: &str) {
    fs::write(path, script).expect("room");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Whether some command has an option.
fn known(option: &str) -> Result<(), String> {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    let all = KNOWN.get_or_init(options);
    let name = option.split('=').next().unwrap_or(option);
    if all.contains(name) { Ok(()) } else { Err(format!("{name} is an option of no command")) }
}

/// Options of the commands that the documentation is about.
fn options() -> BTreeSet<String> {
    let commands = [
        "train kitsune",
        "train classifier",
        "calibrate",
        "replay",
        "run",
        "live",
        "record",
        "hosts",
        "profile",
        "plan",
        "events",
        "top",
        "split",
        "features",
        "flows",
        "model swap",
        "graph show",
        "model import",
        "dataset generate",
        "dataset compose",
        "dataset fetch",
        "cluster accept",
        "cluster join",
    ];
    let help = |command: &str| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_legonf")).args(command.split(' ')).arg("--help").output();
        String::from_utf8(output.expect("the command starts").stdout).expect("text")
    };
    let is_option = |word: &&str| word.starts_with("--");
    let pages: String = commands.iter().map(|command| help(command)).collect();
    let words = pages.split(|c: char| !c.is_alphanumeric() && c != '-').filter(is_option);
    words.map(str::to_owned).collect()
}
