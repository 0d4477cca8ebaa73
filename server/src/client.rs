//! Who asks a run that serves.

use crate::api::Problem;
use crate::{Address, Authority, ServerError, Token};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio_rustls::rustls;
use ureq::{Agent, RequestBuilder};

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
    /// A client of the server that listens there. It speaks to that machine alone, whatever proxies are set: over TLS where the address
    /// says so, or an authority is given. Without one it trusts the public ones.
    ///
    /// # Errors
    /// If anybody on the way could read what is said.
    pub fn new(
        address: Address,
        token: Option<Token>,
        authority: Option<Authority>,
    ) -> Result<Self, ServerError> {
        let address = if authority.is_some() { address.encrypted() } else { address };
        if !address.is_https() && !address.is_loopback() {
            return Err(ServerError::Open { address: address.to_string() });
        }
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None);
        let config = match authority {
            Some(authority) => config.tls_config(authority.config()),
            None => config,
        };
        Ok(Self { agent: config.build().into(), address, token })
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// If nobody answers, or what is answered is a refusal or not what was expected.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServerError> {
        self.read(self.signed(self.agent.get(self.url(path))).call())
    }

    /// Asks for a change.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ServerError> {
        let json = serde_json::to_string(body).map_err(|error| self.silent(error))?;
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        self.read(self.signed(request).send(json))
    }

    /// A request with the token, if there is one.
    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", token.header()),
            None => request,
        }
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
        let request = self.agent.post(self.url(path)).header("content-type", "application/octet-stream");
        let request = query.iter().fold(request, |request, (key, value)| request.query(key, value));
        self.read(self.signed(request).send(body))
    }

    /// Fetches bytes for which the token is needed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn fetch(&self, path: &str) -> Result<Vec<u8>, ServerError> {
        let request = self.signed(self.agent.get(self.url(path)));
        let mut answer = request.call().map_err(|error| self.failed(error))?;
        if answer.status().as_u16() != 200 {
            return self.read(Ok(answer));
        }
        let bytes = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        bytes.map_err(|error| self.silent(error))
    }

    fn url(&self, path: &str) -> String {
        self.address.url() + path
    }

    /// Why nobody answers as expected.
    fn failed(&self, error: ureq::Error) -> ServerError {
        match untrusted(&error) {
            Some(reason) => ServerError::Untrusted { address: self.address.to_string(), reason },
            None => self.silent(error),
        }
    }

    fn silent(&self, reason: impl ToString) -> ServerError {
        ServerError::Silent { address: self.address.to_string(), reason: reason.to_string() }
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, ServerError> {
        let mut answer = answer.map_err(|error| self.failed(error))?;
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

/// What is wrong with a certificate, if that is why there is no answer.
fn untrusted(error: &ureq::Error) -> Option<String> {
    let tls = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref()?,
        _ => return None,
    };
    matches!(tls, rustls::Error::InvalidCertificate(_)).then(|| tls.to_string())
}
