//! Why there is no server, and why it does not answer.

use std::io;

/// A server that cannot be, or that a client does not reach.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It cannot listen.
    #[error("--http {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// There is no token in a file.
    #[error("--http-token {path}: {reason}")]
    Token {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Nobody answers a client.
    #[error("--http {address}: {reason}; expected a run with `--http {address}`")]
    Silent {
        /// Where it was asked.
        address: String,
        /// Why.
        reason: String,
    },
    /// A server refuses what a client asks for.
    #[error("{reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: String,
    },
}
