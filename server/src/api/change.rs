//! Changes of the layout.

use super::{Problem, Shared};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use legonf_core::SlotMove;
use legonf_engine::monitor::{Change, Done, Refusal};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot::{self, Sender};
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long an answer waits for a change. What is put in force later is in the events.
const PATIENCE: Duration = Duration::from_secs(10);

/// A brick is to have so many replicas.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The brick. Bricks that share its workers are scaled with it, where their work can be divided.
    pub brick: String,
    /// How many, from 1.
    #[schema(minimum = 1, maximum = 256)]
    pub replicas: usize,
}

/// A replica is to have no more work.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Its name. The last replica of a stage ends; another one gives its slots to the others, and stays without any.
    pub replica: String,
}

/// A slot of a brick's state is to go to another replica.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveSlot {
    /// The brick.
    pub brick: String,
    /// The shard of its work, from 0.
    #[serde(default)]
    #[schema(maximum = 63)]
    pub shard: usize,
    /// The slot, from 0.
    #[schema(maximum = 4095)]
    pub slot: u16,
    /// The replica that gets it, from 0.
    #[schema(maximum = 255)]
    pub to: u16,
}

/// The controller is to leave the layout as it is, or to go on.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Whether it is to leave it.
    pub is_paused: bool,
}

/// The controller is to leave a brick's stage alone, or no more.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The brick. Those that share its workers are left alone with it.
    pub brick: String,
    /// Whether it is to leave it alone.
    pub is_pinned: bool,
}

/// A change that is in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// The layout in force.
    pub plan: String,
    /// Slots that moved by name.
    pub moved_slots: usize,
    /// Milliseconds that it took; 0 where nothing was to be changed.
    pub took_ms: f64,
}

/// Who has the token.
pub(super) struct Authorized;

impl FromRequestParts<Shared> for Authorized {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let Some(token) = &shared.token else {
            let reason = "this run takes no changes; start it with --http-token FILE";
            return Err(Problem::new(StatusCode::FORBIDDEN, reason));
        };
        let given = parts.headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        match given.and_then(|given| given.strip_prefix(b"Bearer ")) {
            Some(given) if token.is(given) => Ok(Self),
            Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is another one")),
            None => {
                let reason = "changes need the token: Authorization: Bearer TOKEN";
                Err(Problem::new(StatusCode::UNAUTHORIZED, reason))
            }
        }
    }
}

type Asked<T> = Result<Json<T>, JsonRejection>;
type Answered = Result<Json<Changed>, Problem>;

/// Gives a brick so many replicas
#[utoipa::path(post, path = "/api/v1/scale", request_body = Scale, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Changed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn scale(_: Authorized, State(shared): State<Shared>, asked: Asked<Scale>) -> Answered {
    let Scale { brick, replicas } = given(asked)?;
    apply(&shared, Change::Scale { brick, replicas }).await
}

/// Takes a replica's work away
#[utoipa::path(post, path = "/api/v1/drain", request_body = Drain, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Changed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn drain(_: Authorized, State(shared): State<Shared>, asked: Asked<Drain>) -> Answered {
    let Drain { replica } = given(asked)?;
    apply(&shared, Change::Drain { replica }).await
}

/// Moves a slot of a brick's state to another replica
#[utoipa::path(post, path = "/api/v1/move", request_body = MoveSlot, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Changed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn move_slot(
    _: Authorized,
    State(shared): State<Shared>,
    asked: Asked<MoveSlot>,
) -> Answered {
    let MoveSlot { brick, shard, slot, to } = given(asked)?;
    apply(&shared, Change::Move { slot: SlotMove { brick, shard, slot, to } }).await
}

/// Lets the controller leave the layout as it is, or go on
#[utoipa::path(post, path = "/api/v1/controller", request_body = Pause, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Changed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn controller(_: Authorized, State(shared): State<Shared>, asked: Asked<Pause>) -> Answered {
    let Pause { is_paused } = given(asked)?;
    apply(&shared, Change::Pause { is_paused }).await
}

/// Lets the controller leave a brick's stage alone, or no more
#[utoipa::path(post, path = "/api/v1/pin", request_body = Pin, security(("token" = [])), responses(
    (status = 200, description = "It is in force", body = Changed),
    (status = "4XX", description = "Why nothing was changed", body = Problem),
    (status = "5XX", description = "Nothing was changed so far", body = Problem)
))]
pub(super) async fn pin(_: Authorized, State(shared): State<Shared>, asked: Asked<Pin>) -> Answered {
    let Pin { brick, is_pinned } = given(asked)?;
    apply(&shared, Change::Pin { brick, is_pinned }).await
}

pub(super) fn given<T>(asked: Asked<T>) -> Result<T, Problem> {
    asked.map(|Json(asked)| asked).map_err(|error| Problem::new(error.status(), error.body_text()))
}

pub(super) async fn apply(shared: &Shared, change: Change) -> Answered {
    let ask = |answer: Sender<_>| shared.monitor.ask(change, move |result| _ = answer.send(result));
    let Done { plan, took } = told(ask, PATIENCE).await?;
    Ok(Json(Changed {
        plan: plan.to_string(),
        moved_slots: plan.moves.len(),
        took_ms: took.as_secs_f64() * 1e3,
    }))
}

/// Asks a run for something, and waits for so long for what becomes of it. Who does not wait any more is told nothing.
pub(super) async fn told<T>(
    ask: impl FnOnce(Sender<Result<T, Refusal>>) -> Result<(), Refusal>,
    patience: Duration,
) -> Result<T, Problem> {
    let (sender, answer) = oneshot::channel();
    ask(sender).map_err(problem)?;
    match timeout(patience, answer).await {
        Ok(result) => result.unwrap_or(Err(Refusal::Over)).map_err(problem),
        Err(_) => Err(late()),
    }
}

pub(super) fn late() -> Problem {
    let reason = "the run has not come to it yet; the events will tell";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, reason)
}

pub(super) fn problem(refusal: Refusal) -> Problem {
    let status = match refusal {
        Refusal::Unknown(_) => StatusCode::NOT_FOUND,
        Refusal::Impossible(_) | Refusal::NotApplied(_) | Refusal::Over => StatusCode::CONFLICT,
        Refusal::Busy | Refusal::NotBegun => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, refusal.to_string())
}
