//! Decisions as keys of etcd.

mod gateway;
mod place;

use crate::{Coordination, CoordinationError, check_proposal, check_run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gateway::Gateway;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a decision is kept.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
const PREFIX: &str = "legonf/decisions/";

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// A request to one endpoint, connection and answer together. Default: 500 ms.
    pub attempt: Duration,
    /// All of them, over all endpoints. Default: 5 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { attempt: Duration::from_millis(500), total: Duration::from_secs(5) }
    }
}

/// Decisions in etcd 3.4 or newer, over its JSON gateway: the key `legonf/decisions/RUN` holds that of a run.
///
/// A decision is written by a transaction that compares the key's `create_revision` with 0, so it is written once. Reads are
/// linearizable. A request that fails or takes too long goes to the next endpoint. It may have been applied nevertheless; asked again,
/// etcd then answers with what it wrote.
///
/// A decision has a lease of 7 days, after which it goes. So a process that was stopped for longer must not propose one.
#[derive(Debug)]
pub struct Etcd {
    gateway: Gateway,
    total: Duration,
}

/// The answer to a range: what a key holds, or nothing.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Range {
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct KeyValue {
    value: String,
}

#[derive(Deserialize)]
struct Lease {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Transaction {
    succeeded: bool,
    responses: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    response_range: Option<Range>,
}

impl Etcd {
    /// Takes endpoints, and certificates if it is HTTPS: `http://HOST:PORT[,...]`, or
    /// `https://HOST:PORT[,...][,ca=FILE][,cert=FILE,key=FILE]`. Files are PEM. Without `ca`, Mozilla's authorities are trusted. Asks
    /// nothing yet.
    ///
    /// # Errors
    /// If this is not what the place says, or a file holds no certificate or key.
    pub fn open(place: &str, timeouts: Timeouts) -> Result<Self, CoordinationError> {
        Ok(Self { gateway: Gateway::new(place::parse(place)?, timeouts.attempt), total: timeouts.total })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.total
    }

    fn standing(&self, run: &str, deadline: Instant) -> Result<Option<String>, CoordinationError> {
        let range: Range = self.gateway.ask("kv/range", &json!({ "key": key(run) }), deadline)?;
        self.value(range)
    }

    fn value(&self, range: Range) -> Result<Option<String>, CoordinationError> {
        let Some(found) = range.kvs.into_iter().next() else { return Ok(None) };
        let bytes = STANDARD.decode(found.value).ok();
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty()) {
            Some(decision) => Ok(Some(decision)),
            None => Err(self.gateway.fault("a key holds no decision")),
        }
    }

    /// Writes a proposal, unless there is a decision; which of them stands.
    fn propose(&self, run: &str, proposal: &str, deadline: Instant) -> Result<String, CoordinationError> {
        let lease: Lease =
            self.gateway.ask("lease/grant", &json!({ "TTL": KEPT.as_secs().to_string() }), deadline)?;
        let key = key(run);
        let put = json!({ "key": key, "value": STANDARD.encode(proposal), "lease": lease.id });
        let transaction = json!({
            "compare": [{ "key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0" }],
            "success": [{ "request_put": put }],
            "failure": [{ "request_range": { "key": key } }],
        });
        let answer: Transaction = self.gateway.ask("kv/txn", &transaction, deadline)?;
        if answer.succeeded {
            return Ok(proposal.to_owned());
        }
        let range = answer.responses.into_iter().next().and_then(|operation| operation.response_range);
        self.value(range.unwrap_or_default())?
            .ok_or_else(|| self.gateway.fault("an answer holds no decision"))
    }
}

fn key(run: &str) -> String {
    STANDARD.encode(format!("{PREFIX}{run}"))
}

impl Coordination for Etcd {
    fn decide(&self, run: &str, proposal: &str) -> Result<String, CoordinationError> {
        check_run(run)?;
        check_proposal(proposal)?;
        let deadline = self.deadline();
        // Who comes later needs no lease.
        match self.standing(run, deadline)? {
            Some(decision) => Ok(decision),
            None => self.propose(run, proposal, deadline),
        }
    }

    fn decision(&self, run: &str) -> Result<Option<String>, CoordinationError> {
        check_run(run)?;
        self.standing(run, self.deadline())
    }
}
