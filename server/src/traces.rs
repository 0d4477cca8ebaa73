//! What a run decides and changes, as a trace for OpenTelemetry (OTLP over HTTP, in Protobuf).
//!
//! A run is one trace. Its root span has a child for each decision, order and other event; a plan that follows from a decision or an
//! order is a child of that, as long as it took to put it in force.

mod spans;

use crate::ServerError;
use legonf_engine::monitor::Monitor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spans::Trace;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use ureq::Agent;

/// How often it is looked whether there is something new, and a collector that does not answer is tried again.
const LOOK: Duration = Duration::from_millis(500);
/// How long a collector may take for an answer, and the last one after the end of a run.
const PATIENCE: Duration = Duration::from_secs(2);
/// Spans that wait for a collector, at most; what finds no room is counted as lost.
const WAITING: usize = 1_000;
/// Events that are read at once.
const EVENTS: usize = 200;

/// Who sends the trace of a run to a collector.
#[derive(Debug)]
pub struct Traces {
    agent: Agent,
    url: String,
}

/// A trace that is being sent.
#[derive(Debug)]
pub struct Exporting {
    /// Is dropped where the run is over.
    run: Sender<()>,
    sent: Receiver<()>,
}

impl Exporting {
    /// Waits until the last spans are with the collector, for two seconds at most. The run is over.
    pub fn finish(self) {
        drop(self.run);
        let _ = self.sent.recv_timeout(PATIENCE);
    }
}

impl Traces {
    /// For the collector at a base address such as `http://127.0.0.1:4318`. It need not be there yet.
    ///
    /// # Errors
    /// If that is no address of a server.
    pub fn new(endpoint: &str) -> Result<Self, ServerError> {
        let refused = || ServerError::Collector { endpoint: endpoint.to_owned() };
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let parsed: ureq::http::Uri = url.parse().map_err(|_| refused())?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none() {
            return Err(refused());
        }
        let config = Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).proxy(None);
        Ok(Self { agent: config.build().into(), url })
    }

    /// Sends what a run does from now on, in a thread of its own. The run never waits for it.
    ///
    /// # Errors
    /// If there can be no such thread.
    pub fn start(self, monitor: &Arc<Monitor>) -> io::Result<Exporting> {
        let (run, is_over) = channel();
        let (done, sent) = channel();
        let monitor = monitor.clone();
        let export = move || {
            self.export(&monitor, &is_over);
            drop(done);
        };
        std::thread::Builder::new().name("otlp".into()).spawn(export)?;
        Ok(Exporting { run, sent })
    }

    fn export(&self, monitor: &Monitor, is_over: &Receiver<()>) {
        let Some(mut trace) = Trace::begin() else { return };
        let (mut waiting, mut from) = (VecDeque::new(), 0);
        loop {
            let over = matches!(is_over.recv_timeout(LOOK), Err(RecvTimeoutError::Disconnected));
            let moment = monitor.moment();
            let Some(snapshot) = &moment.snapshot else {
                match over {
                    true => return,
                    false => continue,
                }
            };
            trace.at(snapshot.at);
            loop {
                let events = monitor.events(from, EVENTS);
                let Some((last, _)) = events.last() else { break };
                // Events that came faster than they were read are gone.
                trace.lost += events.first().map_or(0, |(first, _)| first.saturating_sub(from));
                from = last + 1;
                events.iter().for_each(|(_, event)| trace.take(event, &mut waiting));
            }
            while waiting.len() > WAITING {
                waiting.pop_front();
                trace.lost += 1;
            }
            if over {
                let graph = &monitor.facts().graph;
                waiting.push_back(trace.end(
                    graph,
                    moment.accounts.coverage.received,
                    moment.accounts.alerts,
                ));
                self.send_within(&mut waiting, PATIENCE);
                return;
            }
            let _ = self.send(&mut waiting);
        }
    }

    /// Tries until it succeeds, or time is over.
    fn send_within(&self, waiting: &mut VecDeque<Span>, most: Duration) {
        let end = Instant::now() + most;
        while self.send(waiting).is_err() && Instant::now() + LOOK / 5 < end {
            std::thread::sleep(LOOK / 5);
        }
    }

    /// Sends what waits; it waits on where the collector does not take it.
    fn send(&self, waiting: &mut VecDeque<Span>) -> Result<(), ureq::Error> {
        if waiting.is_empty() {
            return Ok(());
        }
        let request: ExportTraceServiceRequest = spans::request(waiting.iter().cloned().collect());
        let bytes = request.encode_to_vec();
        match self.agent.post(&self.url).header("content-type", "application/x-protobuf").send(&bytes[..]) {
            // What it does not understand it will not understand later.
            Ok(_) | Err(ureq::Error::StatusCode(400..=428 | 430..=499)) => {
                waiting.clear();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_has_an_address() {
        assert_eq!(Traces::new("http://127.0.0.1:4318/").unwrap().url, "http://127.0.0.1:4318/v1/traces");
        for wrong in ["", "127.0.0.1:4318", "grpc://a:4317", "http://", "a b"] {
            let line = Traces::new(wrong).unwrap_err().to_string();
            assert!(line.contains("--otlp") && line.contains("http://127.0.0.1:4318"), "{line}");
        }
    }
}
