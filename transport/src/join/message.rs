//! What the two sides of a join say to each other: a version, and what is behind it in postcard.

use super::{BYTES, JoinError};
use serde::{Deserialize, Serialize};

/// The version of the messages, which is their first byte.
pub(super) const VERSION: u8 = 1;

/// What a host says that wants to join. Its key is that of its certificate.
#[derive(Serialize, Deserialize)]
pub(super) struct Request<'a> {
    pub secret: [u8; BYTES],
    pub name: &'a str,
}

/// What it is answered.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer<'a> {
    /// Certificates in DER.
    Joined {
        #[serde(borrow)]
        authority: &'a [u8],
        host: &'a [u8],
    },
    Refused(Refusal),
}

/// Why a host is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The message is of another version.
    #[error("the other host speaks version {0} of the messages of a join: run the same legonf on both")]
    Version(u8),
    /// The message is none.
    #[error("the message is not one of a join: run the same legonf on both hosts")]
    Message,
    /// The secret is another one.
    #[error("the token is not the one of this `legonf cluster accept`: take the one that it has printed")]
    Token,
    /// The token has expired.
    #[error("the token has expired: run `legonf cluster accept` again, and take its new token")]
    Expired,
    /// No host can have this name.
    #[error("this is no name of a host: give one of letters, digits, dots and dashes as --name")]
    Name,
    /// A host has this name.
    #[error(
        "a host of this name is in the cluster already: give another --name, or run `legonf cluster accept` again"
    )]
    Taken,
    /// The token is for hosts of other names.
    #[error("the token is for hosts of other names: join by a name that `legonf cluster accept` was given")]
    Unexpected,
    /// The key is not of the kind that this program makes.
    #[error("the key is not one of the curve P-256: run the same legonf on both hosts")]
    Key,
    /// The certificate could not be made.
    #[error("the other host cannot make a certificate, and says there why")]
    Fault,
}

/// A message as bytes.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>, JoinError> {
    postcard::to_extend(message, vec![VERSION]).map_err(|_| JoinError::Damaged)
}

/// The message of bytes.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    match bytes.split_first() {
        Some((&VERSION, message)) => postcard::from_bytes(message).map_err(|_| Refusal::Message),
        Some(_) => Err(Refusal::Version(VERSION)),
        None => Err(Refusal::Message),
    }
}
