//! What was decided, and why.

use super::{Problem, Shared};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use legonf_controller::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Events of an answer, at most.
const MOST: usize = 200;

/// An event of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventRow {
    /// Its number, from 0.
    pub number: u64,
    /// Seconds since the run began.
    pub at: f64,
    /// `start`, `decision`, `order`, `applied`, `violation`, `costs`, `swap` or `end`.
    pub event: String,
    /// In one line.
    pub text: String,
    /// As in the event log of `--events`: a decision with the figures behind it.
    pub details: serde_json::Value,
}

/// Events in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    /// The events, at most 200.
    pub events: Vec<EventRow>,
    /// The number from which on others follow.
    pub next: u64,
}

/// From where on.
#[derive(Debug, Deserialize)]
pub(super) struct Start {
    from: Option<u64>,
}

/// Decisions of the controller with the figures behind them, changes that were asked for, plans in force
#[utoipa::path(get, path = "/api/v1/events", params(
    ("from" = Option<u64>, Query, description = "Number of the first event that is wanted; the latest 200 without it")
), responses(
    (status = 200, description = "The oldest first", body = EventList),
    (status = 400, description = "No number", body = Problem)
))]
pub(super) async fn events(
    State(shared): State<Shared>,
    from: Result<Query<Start>, QueryRejection>,
) -> Result<Json<EventList>, Problem> {
    let Query(Start { from }) = from.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let all = shared.monitor.moment().events;
    let from = from.unwrap_or(all.saturating_sub(MOST as u64));
    let events = shared.monitor.events(from, MOST);
    let next = events.last().map_or(from.max(all), |(number, _)| number + 1);
    let events = events.iter().map(|(number, event)| EventRow::of(*number, event)).collect();
    Ok(Json(EventList { events, next }))
}

impl EventRow {
    /// An event with its number.
    pub fn of(number: u64, event: &Event) -> Self {
        let details = serde_json::to_value(event).unwrap_or_default();
        let kind = details["event"].as_str().unwrap_or_default().to_owned();
        let line = event.text();
        // The line of the log begins with the time.
        let text = line.split_once(" s  ").map_or(line.as_str(), |(_, text)| text).to_owned();
        Self { number, at: event.at(), event: kind, text, details }
    }
}
