//! Requests to etcd's JSON gateway, over several endpoints.

use super::place::Place;
use crate::CoordinationError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

/// How the reason ends of a connection that broke.
const BROKEN: &str = "broken pipe";

/// Bytes of an answer at most, and of its head.
const LONGEST_ANSWER: u64 = 64 << 10;
const LONGEST_HEAD: usize = 16 << 10;
/// Characters of a reason that a server gives, at most.
const LONGEST_REASON: usize = 200;
/// The pause when every endpoint has failed.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Gateway {
    endpoints: Vec<String>,
    agent: Agent,
    attempt: Duration,
    /// The endpoint that answered last.
    answering: AtomicUsize,
}

/// Why an endpoint gives no answer.
enum Trouble {
    /// Another endpoint, or this one later, may give one.
    Passing(String),
    /// No endpoint will.
    Lasting(String),
}

/// What the gateway says of an error.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Gateway {
    pub(super) fn new(place: Place, attempt: Duration) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("legonf/", env!("CARGO_PKG_VERSION")))
            .max_redirects(0)
            .max_response_header_size(LONGEST_HEAD)
            .proxy(None);
        if let Some(tls) = place.tls {
            config = config.https_only(true).tls_config(tls);
        }
        let agent = config.build().into();
        Self { endpoints: place.endpoints, agent, attempt, answering: AtomicUsize::new(0) }
    }

    /// The answer to a request, of the first endpoint that gives one before the deadline.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        call: &str,
        request: &Value,
        deadline: Instant,
    ) -> Result<T, CoordinationError> {
        let first = self.answering.load(Ordering::Relaxed);
        let mut reason = None;
        for turn in 0.. {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let at = (first + turn) % self.endpoints.len();
            match self.attempt(&self.endpoints[at], call, request, left.min(self.attempt)) {
                Ok(answer) => {
                    self.answering.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Trouble::Lasting(reason)) => return Err(self.fault(&reason)),
                // An attempt that was cut short says less than one before it, and so does a connection that breaks: who refuses a certificate
                // closes it, and its reason may come too late.
                Err(Trouble::Passing(last))
                    if reason.is_none() || left >= self.attempt && !last.ends_with(BROKEN) =>
                {
                    reason = Some(last)
                }
                Err(Trouble::Passing(_)) => {}
            }
            if at + 1 == self.endpoints.len() {
                thread::sleep(PAUSE.min(left));
            }
        }
        Err(self.fault(reason.as_deref().unwrap_or("no time is left")))
    }

    fn attempt<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        call: &str,
        request: &Value,
        time: Duration,
    ) -> Result<T, Trouble> {
        let post = self.agent.post(format!("{endpoint}/v3/{call}")).content_type("application/json");
        let passing = |error| Trouble::Passing(format!("{endpoint}: {}", reason(error, time)));
        let config = post.config().timeout_global(Some(time));
        let mut response = config.build().send(request.to_string()).map_err(passing)?;
        let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec().map_err(passing)?;
        let status = response.status();
        if status.is_success() {
            let no_answer =
                |_| Trouble::Lasting(format!("{endpoint}: what answers is not etcd 3.4 or newer"));
            return serde_json::from_slice(&body).map_err(no_answer);
        }
        let text = format!("{endpoint}: {}", refusal(&body).unwrap_or_else(|| format!("HTTP {status}")));
        match status.as_u16() {
            408 | 429 | 500.. => Err(Trouble::Passing(text)),
            _ => Err(Trouble::Lasting(text)),
        }
    }

    pub(super) fn fault(&self, reason: &str) -> CoordinationError {
        CoordinationError::Etcd(reason.into())
    }
}

/// The reason in the first JSON value of a body; the gateway lets trailers follow.
fn refusal(body: &[u8]) -> Option<String> {
    let first = serde_json::Deserializer::from_slice(body).into_iter::<Refusal>().next()?.ok()?;
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    Some(first.error.chars().take(LONGEST_REASON).map(shown).collect())
}

fn reason(error: ureq::Error, time: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} ms", time.as_millis()),
        ureq::Error::HostNotFound => "the host is not found".into(),
        ureq::Error::Io(e) if e.get_ref().is_none() => e.kind().to_string(),
        ureq::Error::Io(e) => e.to_string(),
        ureq::Error::BodyExceedsLimit(bytes) => format!("an answer of more than {bytes} bytes"),
        other => other.to_string(),
    }
}
