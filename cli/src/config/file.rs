//! What a configuration file says, checked against the options that there are.

use crate::failure::Failure;
use clap::{Arg, ArgAction, Command};
use legonf_engine::reading;
use legonf_output::one_line;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// An option with the words that give it on the command line; none for a switch that is off.
#[derive(Debug)]
pub struct Setting {
    /// The option's long name.
    pub name: String,
    /// What to write on the command line.
    pub words: Vec<OsString>,
}

/// The settings of each table of a file, by the names of its command.
#[derive(Debug)]
pub struct Settings(Vec<(Vec<String>, Setting)>);

impl Settings {
    /// Reads a file, and checks all of it against the options of all commands.
    pub fn read(root: &Command, path: &Path) -> Result<Self, Failure> {
        let shown = one_line(&path.to_string_lossy()).into_owned();
        let text = reading::text(path, reading::TABLE)?;
        let fault = |reason: &str| Failure::fault(format!("{shown}: {}", one_line(reason)));
        let table: Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            fault(&format!("line {line}: {}; expected TOML", error.message()))
        })?;
        let mut settings = Self(Vec::new());
        settings.take(root, &table, &mut Vec::new()).map_err(|reason| fault(&reason.0))?;
        Ok(settings)
    }

    /// How many options the file gives.
    pub fn number(&self) -> usize {
        self.0.len()
    }

    /// The settings for a command: those of its table, and of the tables around it what that leaves open.
    pub fn of(&self, names: &[&str]) -> Vec<&Setting> {
        let mut found: Vec<&Setting> = Vec::new();
        for length in (0..=names.len()).rev() {
            let here = self.0.iter().filter(|(of, _)| *of == names[..length]).map(|(_, setting)| setting);
            let new: Vec<_> =
                here.filter(|setting| found.iter().all(|known| known.name != setting.name)).collect();
            found.extend(new);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn take(&mut self, command: &Command, table: &Table, names: &mut Vec<String>) -> Result<(), Reason> {
        for (key, value) in table {
            let place = Place { names, key };
            // `quiet` is an option of all commands, and a command of `experiment`.
            let option =
                option(command, key).filter(|_| !value.is_table() || subcommand(command, key).is_none());
            if let Some(option) = option {
                let words = words(option, key, value).map_err(|expected| place.value(value, &expected))?;
                self.0.push((names.clone(), Setting { name: key.clone(), words }));
            } else if let Some(inner) = subcommand(command, key) {
                let Value::Table(table) = value else { return Err(place.no_table(value)) };
                names.push(key.clone());
                self.take(inner, table, names)?;
                names.pop();
            } else {
                return Err(place.unknown(command, value));
            }
        }
        Ok(())
    }
}

/// What is wrong, and where.
struct Reason(String);

/// A key of a table.
struct Place<'a> {
    names: &'a [String],
    key: &'a str,
}

impl Place<'_> {
    /// The table's name and the key's, as the file has them.
    fn name(&self) -> String {
        match self.names {
            [] => self.key.to_owned(),
            names => format!("[{}] {}", names.join("."), self.key),
        }
    }

    fn value(&self, value: &Value, expected: &str) -> Reason {
        Reason(format!("{} = {value}: {expected}", self.name()))
    }

    fn no_table(&self, value: &Value) -> Reason {
        let table: Vec<_> = self.names.iter().map(String::as_str).chain([self.key]).collect();
        Reason(format!("{} = {value}: expected a table, [{}]", self.name(), table.join(".")))
    }

    fn unknown(&self, command: &Command, value: &Value) -> Reason {
        let is_table = value.is_table();
        let subcommands = || command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
        let options = || {
            command
                .get_arguments()
                .filter(|arg| is_setting(arg))
                .filter_map(|arg| Some(arg.get_long()?.to_owned()))
                .collect()
        };
        let known: Vec<String> = if is_table { subcommands() } else { options() };
        let remedy = match nearest(self.key, &known) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!(
                "{} lists them",
                ["legonf help"]
                    .into_iter()
                    .chain(self.names.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        };
        if is_table {
            let table: Vec<_> = self.names.iter().map(String::as_str).chain([self.key]).collect();
            return Reason(format!(
                "[{}]: there is no command '{}'; {remedy}",
                table.join("."),
                table.join(" ")
            ));
        }
        Reason(format!("{}: there is no such option; {remedy}", self.name()))
    }
}

/// The name that looks most like another.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let likeness = |known: &String| strsim::jaro_winkler(name, known);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.8).then_some(best)
}

/// Whether an argument can be set by a file.
pub fn is_setting(arg: &Arg) -> bool {
    let ends = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    arg.get_long().is_some_and(|name| name != "config") && !ends
}

fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| is_setting(arg) && arg.get_long() == Some(key))
}

fn subcommand<'a>(command: &'a Command, key: &str) -> Option<&'a Command> {
    let takes_options =
        |inner: &&Command| !inner.is_hide_set() && !matches!(inner.get_name(), "config" | "help");
    command.get_subcommands().filter(takes_options).find(|inner| inner.get_name() == key)
}

/// The words that give an option a value, or what was expected instead.
fn words(option: &Arg, name: &str, value: &Value) -> Result<Vec<OsString>, String> {
    if !option.get_action().takes_values() {
        let on = value.as_bool().ok_or("expected true or false")?;
        return Ok(if on { vec![format!("--{name}").into()] } else { Vec::new() });
    }
    let together = option.get_num_args().map_or(1, |range| range.min_values().max(1));
    let words: Vec<OsString> = match value {
        Value::Array(values) if together > 1 => {
            let values = values.iter().map(|value| scalar(option, value)).collect::<Result<Vec<_>, _>>()?;
            if values.len() != together {
                return Err(format!("expected a list of {together} values"));
            }
            [format!("--{name}")].into_iter().chain(values).map(OsString::from).collect()
        }
        Value::Array(values) if matches!(option.get_action(), ArgAction::Append) => {
            let word = |value| Ok(format!("--{name}={}", scalar(option, value)?).into());
            values.iter().map(word).collect::<Result<_, String>>()?
        }
        Value::Array(_) => return Err("expected one value".into()),
        _ if together > 1 => return Err(format!("expected a list of {together} values")),
        value => vec![format!("--{name}={}", scalar(option, value)?).into()],
    };
    check(option, name, &words)?;
    Ok(words)
}

/// The text of a value that is one number or string.
fn scalar(option: &Arg, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ if is_text(option) => Err("expected a string in quotes".into()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        _ => Err("expected a number or a string in quotes".into()),
    }
}

/// Whether an option takes any text, such as the name of a file.
fn is_text(option: &Arg) -> bool {
    let id = option.get_value_parser().type_id();
    id == std::any::TypeId::of::<PathBuf>()
        || id == std::any::TypeId::of::<String>()
        || id == std::any::TypeId::of::<OsString>()
}

/// Lets the option's own parser look at its values.
fn check(option: &Arg, name: &str, words: &[OsString]) -> Result<(), String> {
    let probe = Arg::new("value").long("value").action(option.get_action().clone());
    let probe = probe.value_parser(option.get_value_parser().clone());
    let probe = match option.get_num_args() {
        Some(range) => probe.num_args(range),
        None => probe,
    };
    // The probe has a name of its own.
    let renamed = words.iter().map(|word| {
        match word.to_str().and_then(|word| word.strip_prefix(&format!("--{name}"))) {
            Some(rest) if rest.is_empty() || rest.starts_with('=') => format!("--value{rest}").into(),
            _ => word.clone(),
        }
    });
    let parsed = Command::new("option").no_binary_name(true).arg(probe).try_get_matches_from(renamed);
    parsed.map(drop).map_err(|error| reason(option, &error))
}

/// Why a value is refused.
fn reason(option: &Arg, error: &clap::Error) -> String {
    let values = option.get_possible_values();
    let names: Vec<_> =
        values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name()).collect();
    match (std::error::Error::source(error), names.split_last()) {
        (_, Some((last, others @ [_, ..]))) => format!("expected {} or {last}", others.join(", ")),
        (Some(source), _) => source.to_string(),
        _ => "expected another value".into(),
    }
}
