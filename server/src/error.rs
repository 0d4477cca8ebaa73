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
    /// It can be reached from elsewhere, but not safely.
    #[error(
        "--http {address} is reached from elsewhere, which needs --http-certificate, --http-key and --http-token; or take 127.0.0.1 and \
         `ssh -L`"
    )]
    Unsafe {
        /// Where.
        address: String,
    },
    /// Others could read what a client says.
    #[error(
        "--http {address}: nothing would be encrypted; take https://{address}, with --http-ca where a private authority signed"
    )]
    Open {
        /// Where it was to be asked.
        address: String,
    },
    /// A file does not hold what it should.
    #[error("{option} {path}: {reason}")]
    File {
        /// The option that names it.
        option: &'static str,
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
    /// A client does not take the certificate of who answers.
    #[error("--http {address}: {reason}; --http-ca names the certificate of the authority that signed it")]
    Untrusted {
        /// Where it was asked.
        address: String,
        /// Why.
        reason: String,
    },
    /// There is no collector of traces at an address.
    #[error(
        "--otlp {endpoint}: expected the base address of a collector (OTLP over HTTP), such as http://127.0.0.1:4318"
    )]
    Collector {
        /// What was given.
        endpoint: String,
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
