//! A run that has ended, as it was at any moment.

use crate::Token;
use crate::api::{self, Problem, Shared, Update};
use crate::history::{History, KEPT};
use crate::login;
use crate::publish::event;
use axum::Router;
use axum::extract::{Query, Request};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use legonf_engine::Playback;
use serde::Deserialize;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Which moment.
#[derive(Deserialize)]
struct Moment {
    at: Option<f64>,
}

/// All paths that are answered: those of a run, each with a moment. Without one it is the end.
pub(crate) fn router(playback: &Arc<Playback>, token: Option<Token>, reads_need_token: bool) -> Router {
    let (paths, end) = (api::paths(), shared(playback, playback.end(), token, reads_need_token));
    let (played, base) = (playback.clone(), end.clone());
    let answer = move |request: Request| {
        let (paths, at) = (paths.clone(), moment(request.uri(), played.end()));
        let shared = at.map(|at| Shared {
            logins: base.logins.clone(),
            ..shared(&played, at, base.token.clone(), false)
        });
        async move { respond(paths, shared, request).await }
    };
    Router::new().fallback(answer).layer(from_fn_with_state(end, login::guard))
}

async fn respond(paths: Router<Shared>, shared: Result<Shared, Problem>, request: Request) -> Response {
    match shared {
        Ok(shared) => match TowerToHyperService::new(paths.with_state(shared)).call(request).await {
            Ok(response) => response,
        },
        Err(problem) => problem.into_response(),
    }
}

fn moment(uri: &Uri, end: f64) -> Result<f64, Problem> {
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "at: expected seconds since the first packet");
    let Query(Moment { at }) = Query::try_from_uri(uri).map_err(|_| wrong())?;
    Some(at.unwrap_or(end)).filter(|at| at.is_finite() && *at >= 0.0).ok_or_else(wrong)
}

/// What is answered from at a moment.
fn shared(playback: &Playback, at: f64, token: Option<Token>, reads_need_token: bool) -> Shared {
    let monitor = playback.at(at);
    let mut history = History::default();
    let threshold = monitor.facts().threshold;
    // The first one is what the second is counted from, and goes.
    playback.moments(at, KEPT + 1).for_each(|(moment, peak)| history.add(&moment, peak, threshold));
    let (_, updates) = watch::channel(event(&Update::of(monitor.facts(), &monitor.moment())));
    let shared = Shared::new(monitor, Arc::new(Mutex::new(history)), updates, token, reads_need_token);
    Shared { plays: Some(playback.end()), ..shared }
}
