//! A configuration file to start from.

use super::file::is_setting;
use clap::{Arg, Command};

/// A configuration file with every option of every command, commented out.
pub fn text(root: &Command) -> String {
    let mut text = String::from("# Options for all commands.\n");
    text.extend(own(root, None).map(setting));
    tables(root, root, &mut Vec::new(), &mut text);
    text
}

/// The options of a command that are not for all commands.
fn own<'a>(command: &'a Command, root: Option<&'a Command>) -> impl Iterator<Item = &'a Arg> {
    let is_global = move |arg: &&Arg| {
        root.is_none_or(|root| root.get_arguments().all(|known| known.get_id() != arg.get_id()))
    };
    command.get_arguments().filter(|arg| is_setting(arg) && !arg.is_hide_set()).filter(is_global)
}

fn tables<'a>(root: &Command, command: &'a Command, names: &mut Vec<&'a str>, text: &mut String) {
    let shown = |inner: &&Command| !inner.is_hide_set() && inner.get_name() != "help";
    for inner in command.get_subcommands().filter(shown) {
        names.push(inner.get_name());
        let mut settings = own(inner, Some(root)).peekable();
        if settings.peek().is_some() {
            *text += &format!("\n[{}]\n", names.join("."));
            text.extend(settings.map(setting));
        }
        tables(root, inner, names, text);
        names.pop();
    }
}

/// An option as a comment: the first line of its help, and its default or what it takes.
fn setting(option: &Arg) -> String {
    let help = option.get_help().map(|help| help.to_string()).unwrap_or_default();
    let name = option.get_long().unwrap_or_default();
    format!("# {}\n#{name} = {}\n", help.lines().next().unwrap_or_default(), value(option))
}

fn value(option: &Arg) -> String {
    if !option.get_action().takes_values() {
        return "false".into();
    }
    let defaults: Vec<_> =
        option.get_default_values().iter().map(|value| quoted(&value.to_string_lossy())).collect();
    let names = option.get_value_names().unwrap_or_default();
    match (&defaults[..], names) {
        ([one], _) => one.clone(),
        ([], [name]) => quoted(name),
        ([], names) => format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
        (several, _) => format!("[{}]", several.join(", ")),
    }
}

/// A number as it is, anything else in quotes.
fn quoted(text: &str) -> String {
    if text.parse::<f64>().is_ok() { text.to_owned() } else { toml::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::built;

    #[test]
    fn every_option_has_its_line_and_the_file_is_toml() {
        let shown = text(&built());
        for line in [
            "[train.kitsune]",
            "#training-time = \"TIME\"",
            "#size = [60, 1514]",
            "[dataset.fetch]",
            "#quiet = false",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
        }
        let uncommented: String = shown
            .lines()
            .map(|line| if line.starts_with("# ") { line } else { line.trim_start_matches('#') })
            .flat_map(|line| [line, "\n"])
            .collect();
        for text in [&shown, &uncommented] {
            toml::from_str::<toml::Table>(text).unwrap();
        }
    }

    #[test]
    fn the_defaults_that_are_shown_are_taken() {
        let shown = text(&built());
        let is_default =
            // Names of values are in capitals, or name the choices.
            |line: &&str| !line.starts_with("# ") && !line.chars().any(|c| c.is_ascii_uppercase() || c == '|');
        let defaults: String = shown
            .lines()
            .filter(is_default)
            .map(|line| format!("{}\n", line.trim_start_matches('#')))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("defaults.toml");
        std::fs::write(&path, &defaults).unwrap();
        let settings = crate::config::file::Settings::read(&built(), &path);
        assert!(settings.is_ok_and(|settings| settings.number() > 50), "{defaults}");
    }
}
