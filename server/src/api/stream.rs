//! Updates as they come.

use super::{Graph, Problem, Shared, Update};
use crate::publish::Updates;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::timeout;

/// Those who follow at once, at most.
const FOLLOWERS: usize = 200;
/// How long nothing may be sent: a comment is, so that both sides see that the connection is there.
const SILENCE: Duration = Duration::from_secs(5);

/// One who follows, while it does.
struct Follower {
    all: Arc<AtomicUsize>,
    updates: Updates,
    first: bool,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Relaxed);
    }
}

/// Updates as server-sent events: the latest at once, and others as they come; who is slow misses some
#[utoipa::path(get, path = "/api/v1/stream", responses(
    (status = 200, description = "Events of the type `update`", body = Update<Graph>, content_type = "text/event-stream"),
    (status = 503, description = "Too many follow", body = Problem)
))]
pub(super) async fn stream(State(shared): State<Shared>) -> Result<Response, Problem> {
    let Shared { followers, updates, .. } = shared;
    let before = followers.fetch_add(1, Relaxed);
    let follower = Follower { all: followers, updates, first: true };
    if before >= FOLLOWERS {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many follow already; try again later",
        ));
    }
    let body = Body::from_stream(unfold(follower, |mut follower| async {
        let next = follower.next().await?;
        Some((Ok::<_, Infallible>(next), follower))
    }));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.first) {
            let latest = self.updates.borrow_and_update().clone();
            // A browser tries again after so many milliseconds.
            return Some(Bytes::from([b"retry: 2000\n\n", &latest[..]].concat()));
        }
        match timeout(SILENCE, self.updates.changed()).await {
            Ok(changed) => changed.ok().map(|()| self.updates.borrow_and_update().clone()),
            Err(_) => Some(Bytes::from_static(b": still here\n\n")),
        }
    }
}
