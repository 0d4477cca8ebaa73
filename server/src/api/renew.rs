//! Changes of what a run judges by: its threshold, its models, whom alerts are not told of, and the controller's policy.

use super::change::{Authorized, apply, given, late, problem, told};
use super::{Changed, Problem, Shared};
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use legonf_engine::ModelFile;
use legonf_engine::monitor::{Change, Monitor, NewSuppression, Refusal, Suppressed, SuppressionChange};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot::Sender;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long an answer waits for a change. One that comes into force later is in the events.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of a model, at most.
pub(crate) const MODEL: usize = 64 << 20;
/// Where models are sent to.
pub(crate) const MODEL_PATH: &str = "/api/v1/model";

/// Scores above it are to be alerts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The threshold.
    pub threshold: f64,
}

/// A change that is in force from a packet on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Renewed {
    /// The change, in words.
    pub change: String,
    /// Number of the first packet for which it holds.
    pub from_packet: u64,
}

/// Which model is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    /// Name of its file, by which the run tells of it.
    file: String,
    /// Which of the models that the graph names; none of a graph that names none.
    name: Option<String>,
}

/// Whose alerts are not to be told of: of at least one of address, prefix and port.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Suppress {
    /// An IP address.
    pub address: Option<String>,
    /// A network such as `10.0.0.0/8`, in place of an address.
    pub prefix: Option<String>,
    /// A port of either side.
    pub port: Option<u16>,
    /// A time of packets from which on it does not hold any more (RFC 3339).
    pub until: Option<String>,
    /// Why.
    pub comment: Option<String>,
}

/// A suppression is to hold no more.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSuppression {
    /// Its number, from 0.
    #[schema(maximum = 1_000_000)]
    pub number: usize,
}

/// A suppression and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuppressionRow {
    /// Its number, from 0.
    pub number: usize,
    /// Whom it is about.
    pub of: String,
    /// Up to when it holds, by the time of packets.
    pub until: Option<String>,
    /// Why.
    pub comment: Option<String>,
    /// Whether it was ended.
    pub is_ended: bool,
    /// Alerts that it suppressed.
    pub alerts: u64,
}

/// All suppressions of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuppressionList {
    /// In the order in which they came.
    pub suppressions: Vec<SuppressionRow>,
}

/// A policy of the controller.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// As in a file of `--policy` (TOML). Keys that are left out have their defaults.
    #[schema(max_length = 8192)]
    pub policy: String,
}

impl SuppressionRow {
    fn of(number: usize, told: &Suppressed) -> Self {
        let Suppressed { of, until, comment, is_ended, alerts, .. } = told.clone();
        Self { number, of, until, comment, is_ended, alerts }
    }
}

type Asked<T> = Result<Json<T>, JsonRejection>;
type Answered = Result<Json<Renewed>, Problem>;

/// Changes the threshold from the next batch of packets on
#[utoipa::path(post, path = "/api/v1/threshold", request_body = Threshold, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Renewed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn threshold(
    _: Authorized,
    State(shared): State<Shared>,
    asked: Asked<Threshold>,
) -> Answered {
    let Threshold { threshold } = given(asked)?;
    renew(&shared, move |monitor| {
        let new = monitor.set_threshold(threshold)?;
        Ok(Renewed { change: format!("threshold {threshold}"), from_packet: new.seq })
    })
    .await
}

/// Changes a model from the next batch of packets on; the body is the new one, in ONNX
#[utoipa::path(post, path = "/api/v1/model", params(
    ("file" = String, Query, description = "Name of its file, by which the run tells of it"),
    ("name" = Option<String>, Query, description = "Which of the models that the graph names; none of a graph that names none")
), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Renewed),
    (status = "4XX", description = "Why nothing was changed; the old one goes on", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn model(
    _: Authorized,
    State(shared): State<Shared>,
    sent: Result<Query<Sent>, QueryRejection>,
    body: Body,
) -> Answered {
    let Query(Sent { file, name }) = sent.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let content = to_bytes(body, MODEL).await.map_err(|error| {
        let reason = format!("the model did not come whole, or has more than {MODEL} bytes: {error}");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
    })?;
    // A name alone: no file is opened.
    let file = Path::new(&file).file_name().map_or_else(|| PathBuf::from("model.onnx"), PathBuf::from);
    renew(&shared, move |monitor| {
        let swapped = monitor.swap_model(&ModelFile { name, file }, content.into())?;
        Ok(Renewed { change: format!("model {}", swapped.model), from_packet: swapped.seq })
    })
    .await
}

/// What is suppressed, and what that did
#[utoipa::path(get, path = "/api/v1/suppressions", responses((status = 200, description = "All suppressions", body = SuppressionList)))]
pub(super) async fn suppressions(State(shared): State<Shared>) -> Json<SuppressionList> {
    let accounts = shared.monitor.moment().accounts;
    let rows = accounts.suppressed.iter().enumerate();
    Json(SuppressionList {
        suppressions: rows.map(|(number, told)| SuppressionRow::of(number, told)).collect(),
    })
}

/// Suppresses alerts from the next batch of packets on
#[utoipa::path(post, path = "/api/v1/suppressions", request_body = Suppress, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Renewed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn suppress(
    _: Authorized,
    State(shared): State<Shared>,
    asked: Asked<Suppress>,
) -> Answered {
    let Suppress { address, prefix, port, until, comment } = given(asked)?;
    let new = NewSuppression { address, prefix, port, until, comment };
    change_suppressions(&shared, SuppressionChange::Add(new)).await
}

/// Ends a suppression from the next batch of packets on
#[utoipa::path(post, path = "/api/v1/suppressions/end", request_body = EndSuppression, security(("token" = [])), responses(
    (status = 200, description = "It is ended", body = Renewed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn end_suppression(
    _: Authorized,
    State(shared): State<Shared>,
    asked: Asked<EndSuppression>,
) -> Answered {
    let EndSuppression { number } = given(asked)?;
    change_suppressions(&shared, SuppressionChange::End { number }).await
}

/// The policy by which the controller decides
#[utoipa::path(get, path = "/api/v1/policy", responses(
    (status = 200, description = "The policy", body = PolicyText),
    (status = 404, description = "The run has no controller", body = Problem)
))]
pub(super) async fn policy(State(shared): State<Shared>) -> Result<Json<PolicyText>, Problem> {
    let policy = shared.monitor.moment().policy;
    let policy = policy.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "the run has no controller"))?;
    Ok(Json(PolicyText { policy: policy.to_string() }))
}

/// Lets the controller decide by another policy
#[utoipa::path(post, path = "/api/v1/policy", request_body = PolicyText, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Changed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn set_policy(
    _: Authorized,
    State(shared): State<Shared>,
    asked: Asked<PolicyText>,
) -> Result<Json<Changed>, Problem> {
    let PolicyText { policy } = given(asked)?;
    apply(&shared, Change::Policy { policy }).await
}

/// Makes a change in a thread of its own, since it waits for the source.
async fn renew(
    shared: &Shared,
    work: impl FnOnce(&Monitor) -> Result<Renewed, Refusal> + Send + 'static,
) -> Answered {
    let monitor = shared.monitor.clone();
    let task = tokio::task::spawn_blocking(move || work(&monitor));
    match timeout(PATIENCE, task).await {
        Ok(Ok(done)) => done.map(Json).map_err(problem),
        Ok(Err(error)) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        Err(_) => Err(late()),
    }
}

async fn change_suppressions(shared: &Shared, change: SuppressionChange) -> Answered {
    let ask = |answer: Sender<_>| shared.monitor.suppress(change, move |result| _ = answer.send(result));
    let (from_packet, change) = told(ask, PATIENCE).await?;
    Ok(Json(Renewed { change, from_packet }))
}
