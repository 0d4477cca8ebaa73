//! What was meant by a command line that has a capture where a model belongs, and the like.

mod kind;

use crate::command_line::{find, innermost, lenient};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command};
use kind::Kind;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// An option that had another name: the command, the old name and the new one.
const RENAMED: [(&str, &str, &str); 6] = [
    ("live", "--latency", "--buffer-timeout"),
    ("record", "--latency", "--buffer-timeout"),
    ("replay", "--scores", "--scores-format"),
    ("run", "--scores", "--scores-format"),
    ("model import", "--scores", "--score-output"),
    ("hosts", "--limit", "--rows"),
];

/// A line on what was meant, where that can be told; the error is the parser's, if it found one.
pub fn advice(given: &[OsString], error: Option<&clap::Error>) -> Option<String> {
    if error.is_some_and(|error| !error.use_stderr()) {
        return None;
    }
    let matches = lenient(given)?;
    let (path, inner) = innermost(&matches);
    match error.map(clap::Error::kind) {
        Some(ErrorKind::InvalidSubcommand) => {
            no_command(&path, &word(error?, ContextKind::InvalidSubcommand)?)
        }
        Some(ErrorKind::UnknownArgument) => {
            renamed(&path, &word(error?, ContextKind::InvalidArg)?).or_else(|| misplaced(&path, inner))
        }
        Some(ErrorKind::InvalidValue) => {
            no_stream(&path, &word(error?, ContextKind::InvalidValue)?).or_else(|| misplaced(&path, inner))
        }
        _ => misplaced(&path, inner),
    }
}

/// A word of the command line that an error is about.
fn word(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        _ => None,
    }
}

/// A file in place of a subcommand.
fn no_command(path: &[&str], word: &str) -> Option<String> {
    let kind = Kind::of(word.as_ref())?;
    let meant = match (path, kind) {
        ([] | ["dataset" | "bench" | "experiment"], Kind::Capture) => {
            format!("legonf replay {word} --model MODEL")
        }
        (["train"], Kind::Capture) => format!("legonf train kitsune {word} -o MODEL"),
        ([] | ["model"], Kind::Model) => format!("legonf model show {word}"),
        ([], Kind::Results) => format!("legonf hosts {word}"),
        _ => return None,
    };
    Some(format!("{word} is {}, not a command; did you mean: {meant}", kind.noun()))
}

fn renamed(path: &[&str], word: &str) -> Option<String> {
    let (command, old) = (path.join(" "), word.split('=').next()?);
    let (.., new) = RENAMED.iter().find(|(of, name, _)| *of == command && *name == old)?;
    Some(format!("{old} of legonf {command} is {new} now; legonf help {command} lists the options"))
}

/// A capture where `live` takes an interface or `-`.
fn no_stream(path: &[&str], word: &str) -> Option<String> {
    let capture = *path == ["live"] && Kind::of(word.as_ref()) == Some(Kind::Capture);
    let meant = format!("legonf replay {word} --model MODEL");
    capture.then(|| format!("{word} is a capture, not an interface; did you mean: {meant}"))
}

/// Files that are given where another kind is expected.
fn misplaced(path: &[&str], matches: &ArgMatches) -> Option<String> {
    let command = find(path)?;
    let inputs: Vec<_> = command.get_arguments().filter_map(|arg| Some((arg, expected(arg)?))).collect();
    let given = || inputs.iter().flat_map(|(arg, kind)| values(arg, matches).map(move |v| (*kind, v)));
    let (wanted, value, kind) = given().find_map(|(wanted, value)| {
        let kind = Kind::of(value)?;
        (Some(kind) != wanted).then_some((wanted, value, kind))
    })?;
    let all: Vec<_> = given().filter_map(|(_, value)| Some((Kind::of(value)?, value))).collect();
    let place = wanted.map_or("an interface", Kind::noun);
    let name = value.to_string_lossy();
    Some(format!(
        "{name} is {}, not {place}; did you mean: {}",
        kind.noun(),
        retyped(path, &command, matches, &all)
    ))
}

/// The kind of file that an argument takes, `None` inside for an interface.
fn expected(arg: &Arg) -> Option<Option<Kind>> {
    match (arg.get_id().as_str(), arg.get_long()) {
        ("capture" | "captures" | "benign", _) => Some(Some(Kind::Capture)),
        (_, Some("model")) | ("model", None) => Some(Some(Kind::Model)),
        ("results", None) => Some(Some(Kind::Results)),
        (_, Some("interface")) => Some(None),
        _ => None,
    }
}

/// What was given for an argument; of `NAME=FILE` the file.
fn values<'a>(arg: &Arg, matches: &'a ArgMatches) -> impl Iterator<Item = &'a OsStr> {
    let raw = matches.try_get_raw(arg.get_id().as_str()).ok().flatten();
    raw.into_iter().flatten().map(|value| match value.to_str().and_then(|text| text.split_once('=')) {
        Some((_, file)) if !Path::new(value).exists() => OsStr::new(file),
        _ => value,
    })
}

/// The command line with every file in its place.
fn retyped(path: &[&str], command: &Command, matches: &ArgMatches, all: &[(Kind, &OsStr)]) -> String {
    if command.get_arguments().any(|arg| arg.get_long() == Some("interface")) {
        let capture = all.iter().find(|(kind, _)| *kind == Kind::Capture);
        let capture = capture.map_or("CAPTURE".into(), |(_, name)| name.to_string_lossy());
        return format!("legonf replay {capture} --model MODEL");
    }
    let mut words = vec!["legonf".into(), path.join(" ")];
    for arg in command.get_arguments() {
        let of_kind = expected(arg).flatten();
        let names: Vec<_> = all
            .iter()
            .filter(|(kind, _)| Some(*kind) == of_kind)
            .map(|(_, name)| name.to_string_lossy())
            .collect();
        match (arg.is_positional(), of_kind) {
            (true, Some(kind)) if names.is_empty() => words.push(kind.placeholder().into()),
            (true, Some(_)) => words.push(names.join(" ")),
            (true, None) => {
                words.extend(values(arg, matches).map(|value| value.to_string_lossy().into_owned()))
            }
            (false, Some(Kind::Model)) => {
                words.push(format!("--model {}", names.first().map_or("MODEL", |name| name)));
            }
            _ => {}
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_line::{Refusal, parse};

    fn meant(line: &str) -> String {
        match parse(line.split(' ').map(OsString::from).collect()) {
            Err(Refusal::Meant(line)) => line,
            Err(Refusal::Parser(error)) => format!("the parser: {error}"),
            _ => "nothing".into(),
        }
    }

    #[test]
    fn a_file_in_the_wrong_place_is_told_where_it_belongs() {
        for (line, expected) in [
            (
                "legonf x.pcap",
                "x.pcap is a capture, not a command; did you mean: legonf replay x.pcap --model MODEL",
            ),
            ("legonf m.onnx", "m.onnx is a model, not a command; did you mean: legonf model show m.onnx"),
            (
                "legonf train x.pcap",
                "x.pcap is a capture, not a command; did you mean: legonf train kitsune x.pcap -o MODEL",
            ),
            (
                "legonf train x.pcap.gz -o m.onnx",
                "x.pcap.gz is a capture, not a command; did you mean: legonf train kitsune x.pcap.gz -o MODEL",
            ),
            (
                "legonf replay m.onnx",
                "m.onnx is a model, not a capture; did you mean: legonf replay CAPTURE --model m.onnx",
            ),
            (
                "legonf replay m.onnx --model x.pcap",
                "m.onnx is a model, not a capture; did you mean: legonf replay x.pcap --model m.onnx",
            ),
            (
                "legonf calibrate x.pcap",
                "x.pcap is a capture, not a model; did you mean: legonf calibrate MODEL x.pcap",
            ),
            (
                "legonf calibrate x.pcap m.onnx",
                "x.pcap is a capture, not a model; did you mean: legonf calibrate m.onnx x.pcap",
            ),
            (
                "legonf model show x.pcapng",
                "x.pcapng is a capture, not a model; did you mean: legonf model show MODEL",
            ),
            (
                "legonf features m.onnx -o f.npy",
                "m.onnx is a model, not a capture; did you mean: legonf features CAPTURE",
            ),
            (
                "legonf hosts x.pcap",
                "x.pcap is a capture, not a folder of results; did you mean: legonf hosts RESULTS",
            ),
            (
                "legonf run kitsune m.onnx",
                "m.onnx is a model, not a capture; did you mean: legonf run kitsune CAPTURE --model m.onnx",
            ),
            (
                "legonf replay x.pcap --scores parquet",
                "--scores of legonf replay is --scores-format now; legonf help replay lists the options",
            ),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
    }

    #[cfg(feature = "live")]
    #[test]
    fn a_capture_is_no_interface() {
        let line = meant("legonf live -i x.pcap --model m.onnx");
        assert_eq!(
            line,
            "x.pcap is a capture, not an interface; did you mean: legonf replay x.pcap --model MODEL"
        );
        assert!(
            meant("legonf record -i eth0 -o x.pcap --latency=5").starts_with("--latency of legonf record is")
        );
    }

    #[test]
    fn what_is_right_or_unknown_is_left_alone() {
        assert_eq!(meant("legonf replay x.pcap --model m.onnx"), "nothing");
        assert_eq!(meant("legonf replay x.pcap --model NAME=m.onnx"), "nothing");
        assert!(meant("legonf train benign").starts_with("the parser: "));
        assert!(meant("legonf replay x.pcap --modle m.onnx").contains("'--model'"));
    }
}
