//! Who asks a run that serves.

use crate::api::Problem;
use crate::{Address, ServerError, Token};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::Agent;

/// Bytes of an answer, at most.
const LONGEST: u64 = 16 << 20;
/// Bytes of a capture, at most.
const LARGEST: u64 = 64 << 20;
/// How long a request may take: longer than the server waits for a change.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks a [`Server`](crate::Server).
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    address: Address,
    token: Option<Token>,
}

impl Client {
    /// A client of the server that listens there. It speaks to that machine alone, whatever proxies are set.
    pub fn new(address: Address, token: Option<Token>) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None);
        Self { agent: config.build().into(), address, token }
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// If nobody answers, or what is answered is a refusal or not what was expected.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServerError> {
        self.read(self.agent.get(self.url(path)).call())
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ServerError> {
        let json = serde_json::to_string(body).map_err(|error| self.silent(error))?;
        let mut request = self.agent.post(self.url(path)).header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        self.read(request.send(json))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &[u8],
    ) -> Result<T, ServerError> {
        let mut request = self.agent.post(self.url(path)).header("content-type", "application/octet-stream");
        request = query.iter().fold(request, |request, (key, value)| request.query(key, value));
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        self.read(request.send(body))
    }

    /// Fetches bytes for which the token is needed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn fetch(&self, path: &str) -> Result<Vec<u8>, ServerError> {
        let mut request = self.agent.get(self.url(path));
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        let mut answer = request.call().map_err(|error| self.silent(error))?;
        if answer.status().as_u16() != 200 {
            return self.read(Ok(answer));
        }
        let bytes = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        bytes.map_err(|error| self.silent(error))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn silent(&self, reason: impl ToString) -> ServerError {
        ServerError::Silent { address: self.address.to_string(), reason: reason.to_string() }
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, ServerError> {
        let mut answer = answer.map_err(|error| self.silent(error))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LONGEST).read_to_string();
        let body = body.map_err(|error| self.silent(error))?;
        if status == 200 {
            return serde_json::from_str(&body).map_err(|error| self.silent(error));
        }
        let reason = serde_json::from_str(&body).map(|problem: Problem| problem.error);
        Err(ServerError::Refused {
            status,
            reason: reason.unwrap_or_else(|_| format!("HTTP status {status}")),
        })
    }
}
