//! How a host joins a cluster: it gets its certificate over the network, by a token, and its private key never leaves it.
//!
//! The host with the authority's key [admits](Admission) others for some time. It makes a [`Token`]: a random secret, the time at which it expires,
//! and the fingerprint of the certificate that this side shows. The token goes to the new host by hand. The [new host](Joining) connects, and goes
//! on only if it meets the certificate of that fingerprint, so nobody between the two learns the secret. It shows a certificate of its own, signed by
//! itself: the handshake of TLS proves that it has the key. Behind the handshake it sends secret and name, and the answer is a certificate of
//! that key and name, with that of the authority.
//!
//! A certificate request (PKCS #10) would say no more, and to read one takes a parser of X.509 that is as large as all else here.

mod admission;
mod joining;
mod message;
mod token;
mod wire;

pub use admission::{Admission, Answered, Terms};
pub use joining::Joining;
pub use message::Refusal;
pub use token::{NoToken, Token};

use crate::tls::{TlsError, refused};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::io;

/// Bytes of a secret, and of a fingerprint.
const BYTES: usize = 32;

/// The SHA-256 of a certificate.
fn fingerprint(certificate: &[u8]) -> [u8; BYTES] {
    Sha256::digest(certificate).into()
}

/// A certificate that one side shows the other, signed by itself, with its key.
fn shown() -> Result<(CertificateDer<'static>, KeyPair), TlsError> {
    let key = KeyPair::generate().map_err(refused)?;
    let certificate = CertificateParams::default().self_signed(&key).map_err(refused)?;
    Ok((certificate.der().clone(), key))
}

fn private(key: &KeyPair) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::try_from(key.serialize_der()).map_err(refused)
}

/// Why a host has not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Another certificate than that of the token.
    #[error(
        "another one answers than the host that made the token: check the address, and take the token of the \
         `legonf cluster accept` that runs there now"
    )]
    Stranger,
    /// The other side says no.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing came in time.
    #[error("the other side does not answer in time: does `legonf cluster accept` listen there?")]
    Late,
    /// The connection was cut.
    #[error("the other side has closed the connection: does `legonf cluster accept` still run there?")]
    Closed,
    /// What came is no message of a join.
    #[error("what came is no message of a join: does `legonf cluster accept` listen there, in this version?")]
    Damaged,
    /// The certificate holds at another time than this host's.
    #[error(
        "the certificate that came does not hold now ({0}): set the clocks of both hosts, then join again"
    )]
    Clock(String),
    /// The certificate that came is not the one that was asked for.
    #[error("the certificate that came is not taken: {0}")]
    Certificate(String),
    /// A certificate cannot be made or read.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system says so, or TLS.
    #[error("{0}")]
    System(io::Error),
}

impl From<io::Error> for JoinError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, TimedOut, UnexpectedEof, WouldBlock,
        };
        match error.kind() {
            TimedOut | WouldBlock => Self::Late,
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Self::Closed,
            InvalidData => Self::of_tls(error),
            _ => Self::System(error),
        }
    }
}

impl JoinError {
    /// What TLS says of what came.
    fn of_tls(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(_)) => Self::Stranger,
            Some(rustls::Error::InvalidMessage(_)) => Self::Damaged,
            _ => Self::System(error),
        }
    }
}

#[cfg(test)]
mod tests;
