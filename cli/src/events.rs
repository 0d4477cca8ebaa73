//! `legonf events`: what the controller decided.

use crate::Style;
use crate::failure::{Failure, print_json, tell};
use crate::invalid::Invalid;
use clap::Args;
use legonf_controller::Event;
use legonf_engine::reading::{self, parsed};
use legonf_output::one_line;
use std::path::{Path, PathBuf};

/// Shows an event log of `legonf run --events` or `legonf live --events`, or the events of a run that was started with --http: each
/// decision with the figures behind it.
#[derive(Args)]
pub struct Arguments {
    /// The event log (a line of JSON for each event).
    #[cfg_attr(feature = "http", arg(required_unless_present = "http", conflicts_with = "http"))]
    #[cfg_attr(not(feature = "http"), arg(required = true))]
    file: Option<PathBuf>,
    /// Where the run listens: what it was given as --http.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<legonf_server::Address>,
    /// Take certificates of these authorities (PEM), such as authority.pem of `legonf cluster init`; without it those of public ones.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "http")]
    http_ca: Option<PathBuf>,
    /// The file with the token that the run was given as --http-token, where reading needs it.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "FILE", requires = "http")]
    http_token: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let events = arguments.events()?;
    if style.json {
        return print_json(&events);
    }
    let lines: Vec<_> = events.iter().map(|event| one_line(&event.text()).into_owned() + "\n").collect();
    tell(&lines.concat())
}

impl Arguments {
    /// Those of the file, or of the run.
    fn events(&self) -> Result<Vec<Event>, Failure> {
        #[cfg(feature = "http")]
        if let Some(address) = &self.http {
            return of_run(&crate::http::client(
                address,
                self.http_ca.as_deref(),
                self.http_token.as_deref(),
            )?);
        }
        let file = self.file.as_deref().unwrap_or(Path::new("-"));
        Ok(parsed(file, reading::EVENTS, events)?)
    }
}

/// All events that a run still has.
#[cfg(feature = "http")]
fn of_run(client: &legonf_server::Client) -> Result<Vec<Event>, Failure> {
    let (mut events, mut from) = (Vec::new(), 0);
    loop {
        let list: legonf_server::api::EventList = client.get(&format!("/api/v1/events?from={from}"))?;
        if list.events.is_empty() {
            return Ok(events);
        }
        from = list.next;
        for row in list.events {
            events.push(serde_json::from_value(row.details)?);
        }
    }
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
