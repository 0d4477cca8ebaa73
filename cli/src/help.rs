//! `legonf help`: what fits a screen, and the rest a level down.

use crate::Arguments as Root;
use crate::command_line::{find, refuse};
use crate::failure::{Failure, print, tell};
use crate::summary::width;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};

/// What `legonf`, `legonf -h` and `legonf help` print.
const SHORT: &str = "\
legonf: which host does what it never did before, and since when

Start here:
  legonf record -i eth0 -o benign.pcapng --duration 30m
  legonf train kitsune benign.pcapng -o kitsune.onnx
  legonf calibrate kitsune.onnx other-benign.pcapng
  legonf replay suspicious.pcap --model kitsune.onnx --out results

Commands:
  train, calibrate        learn what is benign, and set the threshold
  replay, live            judge a capture, or an interface as packets come
  record, features, flows keep packets, or what is computed from them
  hosts, serve, model, audit   results by host, and in a browser; models
  graph, split            show and check network functions
  run, events, profile, plan   replay under the controller; costs and rates
  status, top, incidents       see a run that goes on
  scale, drain, controller, threshold, suppress   change it
  agent, cluster          bricks on other hosts, and their certificates
  dataset, compare        captures with labels; detectors side by side
  bench, experiment       measure this machine; the papers' figures
  config, completions, man, help

legonf help COMMAND lists the options of one, such as legonf help train kitsune.
legonf help all     lists the options of all commands and the exit codes.
";

/// Print this help, that of a command, or `all` of it.
#[derive(Args)]
pub struct Arguments {
    /// A command, such as `replay` or `train kitsune`; `all` is everything.
    #[arg(value_name = "COMMAND|all")]
    words: Vec<String>,
}

/// The help that fits a screen.
pub fn short() -> String {
    width::fit(SHORT)
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    match arguments.words.first().map(String::as_str) {
        None => print(&short()),
        Some("all") if arguments.words.len() == 1 => tell(&all()),
        Some(_) => tell(&of(&arguments.words)),
    }
}

/// The help of the program itself, with its exit codes, and that of each command.
fn all() -> String {
    let mut root = Root::command();
    root.build();
    let mut text = root.render_long_help().to_string();
    for command in root.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        text += &whole(command);
    }
    text
}

/// The help of a command and of what is below it.
fn whole(command: &mut clap::Command) -> String {
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let mut text = format!("\n{name}\n{}\n{}", "-".repeat(name.len()), command.render_long_help());
    for inner in command.get_subcommands_mut().filter(|inner| !inner.is_hide_set()) {
        if inner.get_name() != "help" {
            text += &whole(inner);
        }
    }
    text
}

/// The help of the command of this name. Another one ends as any wrong command line does.
fn of(words: &[String]) -> String {
    let names: Vec<_> = words.iter().map(String::as_str).collect();
    match find(&names) {
        Some(mut command) => command.render_long_help().to_string(),
        None => {
            let message = format!("there is no command '{}'; legonf help lists them", words.join(" "));
            refuse(&Root::command().error(ErrorKind::InvalidSubcommand, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_help_fits_a_screen_and_names_every_command() {
        assert!(SHORT.lines().count() <= 24, "{} lines", SHORT.lines().count());
        assert!(SHORT.lines().all(|line| line.chars().count() <= 80), "{SHORT}");
        let commands = SHORT.split_once("Commands:").unwrap().1;
        let words: Vec<_> = commands.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for command in Root::command().get_subcommands() {
            assert!(words.contains(&command.get_name()), "{}", command.get_name());
        }
    }

    #[test]
    fn the_rest_is_a_level_down() {
        let all = all();
        for text in ["Exit codes:", "--feature-mapping-packets", "--incident-gap", "legonf dataset fetch"] {
            assert!(all.contains(text), "{text}");
        }
        assert!(of(&["train".into(), "kitsune".into()]).contains("--training-time"));
    }
}
