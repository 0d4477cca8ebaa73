//! `legonf events`: what the controller decided.

use crate::Style;
use crate::failure::{Failure, print_json, tell};
use crate::invalid::Invalid;
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
    tell(&lines.concat())
}

fn events(text: &str) -> Result<Vec<Event>, Invalid> {
    let event = |(index, line): (usize, &str)| {
        Event::from_line(line).map_err(|error| Invalid::Event { line: index + 1, error })
    };
    if text.trim().is_empty() {
        return Err(Invalid::NoEvent);
    }
    text.lines().enumerate().map(event).collect()
}
