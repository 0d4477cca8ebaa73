//! What is read as it is at this moment.

use super::{Counters, Graph, Latency, Problem, RunState, Shared};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;
use utoipa::ToSchema;

/// One second of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Point {
    /// Seconds since the run began.
    pub at: f64,
    /// Packets a second that the source gave.
    pub offered_per_second: f64,
    /// Packets a second whose results were written.
    pub done_per_second: f64,
    /// Packets a second that were lost for want of capacity.
    pub dropped_per_second: f64,
    /// Alerts a second.
    pub alerts_per_second: f64,
    /// How long packets took from the source to the sink; none where none came there.
    pub latency: Option<Latency>,
    /// The highest score; none where nothing was scored.
    pub peak_score: Option<f64>,
    /// The threshold by which packets were judged; none where there is none.
    pub threshold: Option<f64>,
    /// Incidents that went on.
    pub open_incidents: u64,
    /// Workers of all stages.
    pub workers: u64,
}

/// The last ten minutes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HistoryList {
    /// Second by second, the oldest first.
    pub points: Vec<Point>,
}

/// The graph: bricks, replicas, where each runs, throughput, queues, slots and the bottleneck
#[utoipa::path(get, path = "/api/v1/graph", responses((status = 200, description = "The graph", body = Graph)))]
pub(super) async fn graph(State(shared): State<Shared>) -> Json<Graph> {
    Json(Graph::of(shared.monitor.facts(), &shared.monitor.moment()))
}

/// Where every packet went
#[utoipa::path(get, path = "/api/v1/counters", responses((status = 200, description = "Received = scored + rejected + dropped", body = Counters)))]
pub(super) async fn counters(State(shared): State<Shared>) -> Json<Counters> {
    Json(Counters::of(&shared.monitor.moment().accounts))
}

/// The last ten minutes, second by second
#[utoipa::path(get, path = "/api/v1/history", responses((status = 200, description = "The oldest first", body = HistoryList)))]
pub(super) async fn history(State(shared): State<Shared>) -> Json<HistoryList> {
    let points = shared.history.lock().unwrap_or_else(PoisonError::into_inner).points();
    Json(HistoryList { points })
}

/// Whether the process answers
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It does", body = String)))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Whether packets are processed
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, description = "They are", body = String),
    (status = 503, description = "Not yet, or not any more", body = Problem)
))]
pub(super) async fn ready(State(shared): State<Shared>) -> Result<&'static str, Problem> {
    let reason = match RunState::of(&shared.monitor.moment()) {
        RunState::Over => "the run is over",
        RunState::Starting => "the run is starting",
        RunState::Running => return Ok("ok\n"),
    };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason))
}
