//! What goes to everybody who looks on: made once, whoever they are.

use crate::api::{Graph, Update};
use crate::history::History;
use axum::body::Bytes;
use legonf_engine::monitor::Monitor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether there is something new.
const LOOK: Duration = Duration::from_millis(250);

/// The latest update, as a server-sent event.
pub type Updates = watch::Receiver<Bytes>;

/// Looks at a run for as long as the process lives.
pub async fn publish(monitor: Arc<Monitor>, history: Arc<Mutex<History>>, updates: watch::Sender<Bytes>) {
    let mut seen = None;
    loop {
        let version = monitor.version();
        if seen != Some(version) {
            seen = Some(version);
            let moment = monitor.moment();
            let peak = monitor.take_peak();
            history.lock().unwrap_or_else(PoisonError::into_inner).add(
                &moment,
                peak,
                monitor.facts().threshold,
            );
            updates.send_replace(event(&Update::of(monitor.facts(), &moment)));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An update as a server-sent event.
pub fn event(update: &Update<Graph>) -> Bytes {
    let json = serde_json::to_string(update).unwrap_or_default();
    Bytes::from(format!("event: update\ndata: {json}\n\n"))
}
