//! The configuration file: options of every command, which the command line overrides.

mod file;
mod template;

use crate::command_line::{find, innermost, lenient};
use crate::failure::{Failure, print};
use crate::{Arguments as Root, Style};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, Subcommand};
use file::{Setting, Settings};
use std::ffi::OsString;
use std::path::PathBuf;

/// The subcommands of `legonf config`.
#[derive(Subcommand)]
pub enum Subcommands {
    /// Check every table, key and value of a configuration file.
    Check(Check),
    /// Print a configuration file with every option of every command, commented out.
    Show,
}

/// Checks a configuration file whole, whatever command its options are for.
///
/// It is TOML: a table for each command, such as `[live]`, or `[train.kitsune]` for a command of two words. Its keys are the long names of
/// the command's options. A switch is true or false; an option that can be given several times, or has several values, is a list. Options
/// before the first table, such as quiet = true, are for all commands. `--config FILE` reads it, and what the command line says wins.
#[derive(Args)]
pub struct Check {
    /// The configuration file (TOML).
    file: PathBuf,
}

pub fn run(command: &Subcommands, style: Style) -> Result<(), Failure> {
    match command {
        Subcommands::Show => print(&template::text(&built())),
        Subcommands::Check(Check { file }) => {
            let number = Settings::read(&built(), file)?.number();
            let options = legonf_core::count(number as u64, "option");
            let name = legonf_output::one_line(&file.to_string_lossy()).into_owned();
            if style.quiet { Ok(()) } else { print(&format!("{name}: in order, {options}\n")) }
        }
    }
}

/// The whole command, with the options of all commands known to each.
fn built() -> Command {
    let mut root = Root::command();
    root.build();
    root
}

/// The words of the command line, with those options of its configuration file that they leave open.
pub fn merged(given: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let Some(matches) = lenient(&given) else { return Ok(given) };
    let Some(path) = matches.try_get_one::<PathBuf>("config").ok().flatten() else { return Ok(given) };
    let settings = Settings::read(&built(), path)?;
    let (names, inner) = innermost(&matches);
    let Some(command) = find(&names) else { return Ok(given) };
    let open = |setting: &&Setting| is_open(&command, inner, &setting.name);
    let more: Vec<_> =
        settings.of(&names).into_iter().filter(open).flat_map(|setting| setting.words.clone()).collect();
    Ok(inserted(given, &names, more))
}

/// Whether the command line neither gives an option nor one that excludes it.
fn is_open(command: &Command, matches: &ArgMatches, name: &str) -> bool {
    let Some(option) = command.get_arguments().find(|arg| arg.get_long() == Some(name)) else { return false };
    let is_given = |arg: &Arg| {
        matches.try_contains_id(arg.get_id().as_str()).is_ok()
            && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let excludes =
        |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b.get_id());
    !is_given(option)
        && !command
            .get_arguments()
            .any(|arg| is_given(arg) && (excludes(option, arg) || excludes(arg, option)))
}

/// Puts words behind the names of the subcommands. Before these stand options of all commands only, one of which has a value.
fn inserted(given: Vec<OsString>, names: &[&str], more: Vec<OsString>) -> Vec<OsString> {
    let (mut names, mut words) = (names.iter().peekable(), given.into_iter());
    let mut all: Vec<_> = words.by_ref().take(1).collect();
    while names.peek().is_some() {
        let Some(word) = words.next() else { break };
        let has_value = word == "--config";
        if !word.to_string_lossy().starts_with('-') {
            names.next();
        }
        all.push(word);
        all.extend(has_value.then(|| words.next()).flatten());
    }
    all.extend(more);
    all.extend(words);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn with(config: &str, line: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, config).unwrap();
        let line = line.replace("FILE", path.to_str().unwrap());
        let merged = merged(words(&line)).map_err(|failure| failure.to_string())?;
        let merged: Vec<_> = merged.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(merged.join(" ").replace(path.to_str().unwrap(), "FILE"))
    }

    #[test]
    fn options_of_the_file_stand_behind_the_command() {
        let config = "quiet = true\n[replay]\nmodel = \"m.onnx\"\nlimit = 5\n[train.kitsune]\nresume = true\nmax-autoencoder-size = 7";
        let line = with(config, "legonf --config FILE replay x.pcap --out r").unwrap();
        assert_eq!(line, "legonf --config FILE replay --limit=5 --model=m.onnx --quiet x.pcap --out r");
        let line = with(config, "legonf train kitsune x.pcap --config=FILE -o m").unwrap();
        assert_eq!(
            line,
            "legonf train kitsune --max-autoencoder-size=7 --quiet --resume x.pcap --config=FILE -o m"
        );
        assert_eq!(with(config, "legonf features x -o f").unwrap(), "legonf features x -o f");
    }

    #[test]
    fn the_command_line_wins() {
        let config = "[replay]\nlimit = 5\nno-warm-up = true\nalerts = \"all\"";
        let line = with(config, "legonf replay x --config FILE --limit 7 --warm-up 10m").unwrap();
        assert_eq!(line, "legonf replay --alerts=all x --config FILE --limit 7 --warm-up 10m");
        let line = with("quiet = true\n[replay]\nquiet = false", "legonf replay x --config FILE").unwrap();
        assert_eq!(line, "legonf replay x --config FILE");
    }

    #[test]
    fn lists_are_given_several_times_or_together() {
        let config = "[dataset.generate]\nsize = [60, 100]\nrate = \"5k\"\n[dataset.compose]\nattack = [\"a.pcap\", \"b.pcap,start=3\"]";
        let line = with(config, "legonf dataset generate --config FILE -o x").unwrap();
        assert_eq!(line, "legonf dataset generate --rate=5k --size 60 100 --config FILE -o x");
        let line = with(config, "legonf dataset compose x --config FILE").unwrap();
        assert_eq!(line, "legonf dataset compose --attack=a.pcap --attack=b.pcap,start=3 x --config FILE");
    }

    #[test]
    fn what_is_wrong_in_any_table_is_named_with_a_remedy() {
        for (config, expected) in [
            ("[repaly]\nlimit = 1", "[repaly]: there is no command 'repaly'; did you mean 'replay'?"),
            ("[replay]\nlimt = 1", "[replay] limt: there is no such option; did you mean 'limit'?"),
            (
                "[replay]\ncapture = \"x\"",
                "[replay] capture: there is no such option; legonf help replay lists them",
            ),
            ("[train.kitsune]\nresume = 1", "[train.kitsune] resume = 1: expected true or false"),
            ("[replay]\nlimit = \"many\"", "[replay] limit = \"many\": invalid digit found in string"),
            ("[replay]\nlimit = [1, 2]", "[replay] limit = [1, 2]: expected one value"),
            ("[replay]\nout = 5", "[replay] out = 5: expected a string in quotes"),
            (
                "[replay]\nscores-format = \"xls\"",
                "[replay] scores-format = \"xls\": expected csv or parquet",
            ),
            ("[hosts]\nrows = true", "[hosts] rows = true: expected a number or a string in quotes"),
            (
                "[dataset.generate]\nsize = [60]",
                "[dataset.generate] size = [60]: expected a list of 2 values",
            ),
            (
                "[calibrate]\nholdout = 2",
                "[calibrate] holdout = 2: expected a part of the packets from 0.01 to 0.99",
            ),
            ("replay = 5", "replay = 5: expected a table, [replay]"),
            ("config = \"x\"", "config: there is no such option"),
            ("[replay\n", "line 1: "),
        ] {
            let error = with(config, "legonf features x --config FILE -o y").unwrap_err();
            assert!(error.contains(&format!("c.toml: {expected}")), "{config}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let missing = merged(words("legonf replay x --config /nonesuch.toml")).unwrap_err().to_string();
        assert!(missing.contains("/nonesuch.toml"), "{missing}");
    }
}
