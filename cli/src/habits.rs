//! One meaning a flag: what holds of the options of all commands.

use crate::Arguments;
use clap::builder::ValueParser;
use clap::{Arg, Command, CommandFactory};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Options whose value differs between commands, and why.
const EXCEPTIONS: [(&str, &str); 4] = [
    ("out", "a file, or a folder for commands that write several"),
    ("schema", "an import takes features of one's own, and images, too"),
    ("hosts", "generated traffic has a number of them, and a plan is given a file of theirs"),
    ("model", "NAME= tells apart the models of a graph file that has several"),
];

/// An option as one command has it.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    short: Option<char>,
    value: String,
    kind: String,
}

impl Shape {
    fn of(arg: &Arg) -> Self {
        let names: Vec<_> =
            arg.get_value_names().unwrap_or_default().iter().map(|name| name.to_string()).collect();
        let takes = arg.get_action().takes_values();
        let kind = if takes { kind(arg.get_value_parser()) } else { "switch".into() };
        Self { short: arg.get_short(), value: if takes { names.join(" ") } else { String::new() }, kind }
    }
}

/// What a value is, whatever its width.
fn kind(parser: &ValueParser) -> String {
    let id = parser.type_id();
    let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
    match () {
        () if numbers.iter().any(|number| id == *number) => "a whole number".into(),
        () if id == TypeId::of::<f64>() => "a number".into(),
        () if id == TypeId::of::<Duration>() => "a time".into(),
        () if id == TypeId::of::<PathBuf>() => "a path".into(),
        () => format!("{id:?}"),
    }
}

/// Every option of every command, with the command's name, hidden ones and other spellings among them.
fn options() -> Vec<(String, String, Arg)> {
    fn walk(command: &Command, name: &str, out: &mut Vec<(String, String, Arg)>) {
        for arg in command.get_arguments() {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            for long in arg.get_long().into_iter().chain(aliases) {
                out.push((long.to_owned(), name.to_owned(), arg.clone()));
            }
        }
        for inner in command.get_subcommands() {
            walk(inner, &format!("{name} {}", inner.get_name()), out);
        }
    }
    let mut out = Vec::new();
    walk(&Arguments::command(), "legonf", &mut out);
    out
}

#[test]
fn options_of_one_name_are_spelled_and_valued_alike() {
    let mut known: BTreeMap<String, (String, Shape)> = BTreeMap::new();
    for (long, command, arg) in options() {
        let here = Shape::of(&arg);
        let (there, first) = known.entry(long.clone()).or_insert_with(|| (command.clone(), here.clone()));
        let mut same = here.clone();
        if EXCEPTIONS.iter().any(|(name, _)| *name == long) {
            (same.value, same.kind) = (first.value.clone(), first.kind.clone());
        }
        // A former spelling has no letter of its own.
        if arg.get_long() != Some(&*long) {
            same.short = first.short;
        }
        assert_eq!(same, *first, "--{long} of {command} and of {there}");
    }
    for (name, why) in EXCEPTIONS {
        assert!(known.contains_key(name), "--{name} ({why}) is not there any more");
    }
}

#[test]
fn one_letter_stands_for_one_option() {
    let mut known: BTreeMap<char, String> = BTreeMap::new();
    for (_, command, arg) in options() {
        if let (Some(short), Some(long)) = (arg.get_short(), arg.get_long()) {
            let first = known.entry(short).or_insert_with(|| long.to_owned());
            assert_eq!(first, long, "-{short} of {command}");
        }
    }
}

#[test]
fn results_go_where_out_says_in_every_command() {
    for (long, command, arg) in options() {
        if long == "out" {
            assert_eq!(arg.get_short(), Some('o'), "{command}");
            let value = Shape::of(&arg).value;
            assert!(value == "FILE" || value == "DIR", "{command}: {value}");
        }
    }
}

#[test]
fn the_clap_tree_is_in_order() {
    Arguments::command().debug_assert();
}
