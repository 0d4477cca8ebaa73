//! `legonf events`: what the controller decided.

use crate::Style;
use crate::failure::{Failure, print, print_json};
use clap::Args;
use legonf_controller::Event;
use legonf_engine::reading::{self, parsed};
use legonf_output::one_line;
use std::path::PathBuf;

/// Shows an event log of `legonf run --events` or `legonf live --events`: each decision with the figures behind it.
#[derive(Args)]
pub struct Arguments {
    /// The event log (a line of JSON for each event).
    file: PathBuf,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let events = parsed(&arguments.file, reading::EVENTS, events)?;
    if style.json {
        return print_json(&events);
    }
    let lines: Vec<_> = events.iter().map(|event| one_line(&event.text()).into_owned() + "\n").collect();
    print(&lines.concat())
}

fn events(text: &str) -> Result<Vec<Event>, String> {
    let event = |(index, line): (usize, &str)| {
        Event::from_line(line)
            .map_err(|error| format!("line {}: {error}; is this an event log of legonf run?", index + 1))
    };
    if text.trim().is_empty() {
        return Err("holds no event; legonf run --events writes an event log".into());
    }
    text.lines().enumerate().map(event).collect()
}
