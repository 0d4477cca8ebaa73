//! What an operator sees of a run while it goes on, and changes: an API, a page and metrics over HTTP.
//!
//! A [`Server`] answers in one thread of its own, from what a [`Monitor`](legonf_engine::monitor::Monitor) holds of the run. The run
//! waits for nobody: connections, requests and their sizes are bounded, and who does not read is dropped. Where it can be reached from
//! elsewhere it speaks TLS, and all that it answers needs a token. Changes need one anyway.
//!
//! A [`Client`] speaks to such a server.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
pub mod api;
mod client;
mod connections;
mod deadline;
mod encryption;
mod error;
mod history;
mod login;
mod metrics;
mod page;
mod played;
mod publish;
mod rate;
mod serve;
mod token;
#[cfg(feature = "otel")]
mod traces;

pub use address::{Address, NoAddress};
pub use api::openapi;
pub use client::Client;
pub use encryption::{Authority, Encryption};
pub use error::ServerError;
pub use serve::Server;
pub use token::Token;
#[cfg(feature = "otel")]
pub use traces::{Exporting, Traces};
