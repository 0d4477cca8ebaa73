//! The token by which a host joins.

use super::BYTES;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a token begins with: what it is, and its version.
const PREFIX: &str = "LEGONF-JOIN-1-";
/// Bytes of a time, in seconds since 1970.
const TIME: usize = size_of::<u64>();
/// Bytes by which a token that was not pasted whole is told.
const CHECK: usize = 3;
const LEN: usize = TIME + 2 * BYTES + CHECK;

/// A secret that admits a host until it expires, and the fingerprint of who made it. It shows nothing of itself but by [`text`](Self::text).
#[derive(Clone)]
pub struct Token {
    pub(super) secret: [u8; BYTES],
    pub(super) fingerprint: [u8; BYTES],
    pub(super) expires: u64,
}

/// Text that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no whole token: paste the one that `legonf cluster accept` has printed")]
pub struct NoToken;

impl Token {
    pub(super) fn new(secret: [u8; BYTES], fingerprint: [u8; BYTES], expires: SystemTime) -> Self {
        let expires = expires.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self { secret, fingerprint, expires }
    }

    /// Whether it holds no more, by the clock of this host.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        now.duration_since(UNIX_EPOCH).is_ok_and(|now| now >= Duration::from_secs(self.expires))
    }

    /// The token as text of one word, which whoever reads it can use.
    pub fn text(&self) -> String {
        let bytes = [&self.expires.to_be_bytes()[..], &self.fingerprint, &self.secret].concat();
        let check = &Sha256::digest(&bytes)[..CHECK];
        PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode([&bytes, check].concat())
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(NoToken)?;
        let mut bytes = [0; LEN];
        // Bytes beyond those of a token have no room, and are refused.
        let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).map_err(|_| NoToken)?;
        let (told, check) = bytes.split_at(LEN - CHECK);
        if len != LEN || Sha256::digest(told)[..CHECK] != *check {
            return Err(NoToken);
        }
        let (expires, rest) = told.split_first_chunk().ok_or(NoToken)?;
        let (fingerprint, rest) = rest.split_first_chunk().ok_or(NoToken)?;
        let (secret, _) = rest.split_first_chunk().ok_or(NoToken)?;
        Ok(Self { secret: *secret, fingerprint: *fingerprint, expires: u64::from_be_bytes(*expires) })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRES: u64 = 1_800_000_000;

    fn token() -> Token {
        Token::new([7; BYTES], [9; BYTES], UNIX_EPOCH + Duration::from_secs(EXPIRES))
    }

    #[test]
    fn a_token_is_one_word_and_comes_back() {
        let text = token().text();
        assert_eq!(text.len(), PREFIX.len() + LEN / 3 * 4, "{text}");
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')), "{text}");
        let back: Token = format!(" {text}\n").parse().unwrap();
        assert_eq!((back.secret, back.fingerprint, back.expires), ([7; BYTES], [9; BYTES], EXPIRES));
    }

    #[test]
    fn what_is_no_whole_token_is_refused() {
        let text = token().text();
        for end in 0..text.len() {
            assert_eq!(text[..end].parse::<Token>().unwrap_err(), NoToken, "{end}");
        }
        let longer = format!("{text}{text}");
        let lower = text.to_lowercase();
        for wrong in [&longer, &lower, "", "LEGONF-JOIN-2-AAAA", "LEGONF-JOIN-1-ä", "LEGONF-JOIN-1-===="] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
        // Any letter that is mistaken for another one shows.
        for at in PREFIX.len()..text.len() {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = text.clone();
            changed.replace_range(at..=at, other);
            assert!(changed.parse::<Token>().is_err(), "{at}");
        }
    }

    #[test]
    fn a_token_expires() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let expired = [EXPIRES - 1, EXPIRES, EXPIRES + 1].map(|now| token().is_expired(at(now)));
        assert_eq!(expired, [false, true, true]);
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", token());
        assert_eq!(shown, format!("Token {{ expires: {EXPIRES}, .. }}"));
    }
}
