//! The API: what is asked for, and what is answered.

mod answer;
mod change;
mod events;
mod graph;
mod incidents;
mod problem;
mod read;
pub(crate) mod renew;
mod stream;

pub use change::{Changed, Drain, MoveSlot, Pause, Pin, Scale};
pub use events::{EventList, EventRow};
pub use graph::{
    Brick, Counters, Edge, Elsewhere, Graph, Host, Latency, Loss, Replica, RunState, Shard, Stage, Update,
};
pub use incidents::{Feature, IncidentList, IncidentRow, Peer, Service};
pub use problem::Problem;
pub use read::{HistoryList, Point};

pub use renew::{EndSuppression, PolicyText, Renewed, Suppress, SuppressionList, SuppressionRow, Threshold};

use crate::history::History;
use crate::login::{self, Logins};
use crate::publish::Updates;
use crate::{Token, metrics, page};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use legonf_engine::monitor::Monitor;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What all answers are made from.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub monitor: Arc<Monitor>,
    pub history: Arc<Mutex<History>>,
    pub updates: Updates,
    pub token: Option<Token>,
    /// Browsers that may read; none where everybody may.
    pub logins: Option<Arc<Logins>>,
    /// Those who follow.
    pub followers: Arc<AtomicUsize>,
    /// How long the run was, in seconds, where it is played again.
    pub plays: Option<f64>,
}

impl Shared {
    pub fn new(
        monitor: Arc<Monitor>,
        history: Arc<Mutex<History>>,
        updates: Updates,
        token: Option<Token>,
        reads_need_token: bool,
    ) -> Self {
        let logins = reads_need_token.then(Arc::default);
        Self { monitor, history, updates, token, logins, followers: Arc::default(), plays: None }
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "legonf",
        description = "What a run of legonf does at this moment, and changes of its layout. Times `at` are seconds since the run began. \
                       Over TLS all but `/healthz` and `/readyz` needs the token. Where a replay is looked at again \
                       (`legonf serve`), every path takes `at`, in seconds of packet time, and shows the run as it was then."
    ),
    modifiers(&WithToken)
)]
struct Document;

/// Says how changes are let in.
struct WithToken;

impl Modify for WithToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(read::graph))
        .routes(routes!(read::counters))
        .routes(routes!(read::history))
        .routes(routes!(events::events))
        .routes(routes!(incidents::incidents))
        .routes(routes!(incidents::incident))
        .routes(routes!(incidents::packets))
        .routes(routes!(stream::stream))
        .routes(routes!(change::scale))
        .routes(routes!(change::drain))
        .routes(routes!(change::move_slot))
        .routes(routes!(change::controller))
        .routes(routes!(change::pin))
        .routes(routes!(renew::threshold))
        .routes(routes!(renew::model))
        .routes(routes!(renew::suppressions, renew::suppress))
        .routes(routes!(renew::end_suppression))
        .routes(routes!(renew::policy, renew::set_policy))
        .routes(routes!(read::alive))
        .routes(routes!(read::ready))
        .routes(routes!(metrics::metrics))
}

/// The description of the API (OpenAPI 3.1), as JSON.
pub fn openapi() -> String {
    routes().into_openapi().to_pretty_json().unwrap_or_default()
}

/// All paths that are answered.
pub(crate) fn router(shared: Shared) -> Router {
    paths().layer(from_fn_with_state(shared.clone(), login::guard)).with_state(shared)
}

/// The same, for anybody.
pub(crate) fn paths() -> Router<Shared> {
    let document = openapi();
    let unknown = || async {
        Problem::new(StatusCode::NOT_FOUND, "there is nothing here; /openapi.json lists the paths")
    };
    let method = || async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method") };
    let (router, _) = routes().split_for_parts();
    router
        .route("/openapi.json", get(move || async move { answer::json(document) }))
        .merge(page::router())
        .fallback(unknown)
        .method_not_allowed_fallback(method)
        .layer(DefaultBodyLimit::max(crate::serve::BODY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_every_field_is_described() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 21, "{:?}", paths.keys());
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["responses"].get("200").is_some(), "{method} {path}");
                assert!(operation["summary"].is_string(), "{method} {path}");
                let needs_token = method == "post" || path.ends_with("/packets");
                assert_eq!(operation["security"].is_array(), needs_token, "{method} {path}");
            }
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let refers = |described: &serde_json::Value| {
                let either = described["oneOf"].as_array().into_iter().flatten();
                either.chain([described]).any(|each| each.get("$ref").is_some())
            };
            for (field, described) in fields.filter(|(_, described)| !refers(described)) {
                assert!(described["description"].is_string(), "{name}.{field}");
            }
        }
    }
}
