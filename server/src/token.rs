//! The secret that changes need.

use crate::ServerError;
use axum::http::{HeaderMap, HeaderValue, header};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// Characters of a token at least, and at most.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// A secret of 16 to 1,024 printable characters without blanks.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Reads a file that its owner alone can read. Blanks and line ends around the token do not count.
    ///
    /// # Errors
    /// If the file cannot be read, others may read it, or it holds no token.
    pub fn read(path: &Path) -> Result<Self, ServerError> {
        let named = |reason: String| ServerError::File {
            option: "--http-token",
            path: path.display().to_string(),
            reason,
        };
        let file = File::open(path).map_err(|error| named(error.to_string()))?;
        let mode = file.metadata().map_err(|error| named(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(named("others may read it, or write to it; run `chmod 600` on it".into()));
        }
        let mut text = String::new();
        let read = file.take(2 * LONGEST as u64).read_to_string(&mut text);
        read.map_err(|error| named(error.to_string()))?;
        let token = text.trim();
        let fits = (SHORTEST..=LONGEST).contains(&token.len());
        if !fits || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let expected =
                "16 to 1,024 printable characters without blanks, such as `openssl rand -hex 32` prints";
            return Err(named(format!("expected {expected}")));
        }
        Ok(Self(token.to_owned()))
    }

    /// Whether a value is the token, in a time that does not show how much of it is.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// Whether a request carries it.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        given.and_then(|given| given.strip_prefix(b"Bearer ")).is_some_and(|given| self.is(given))
    }

    /// What a request that carries it says.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

/// Says that there is one, not which.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_token_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Token::read(&path)
        };
        let token = read(" 0123456789abcdef\n", 0o600).unwrap();
        assert!(token.is(b"0123456789abcdef") && !token.is(b"0123456789abcdeF") && !token.is(b""));
        assert_eq!(
            (token.header().as_str(), format!("{token:?}").as_str()),
            ("Bearer 0123456789abcdef", "Token")
        );
        for (text, mode, words) in [
            ("0123456789abcdef", 0o644, "chmod 600"),
            ("short", 0o600, "16 to 1,024"),
            ("0123456789 abcdef", 0o600, "without blanks"),
            (&"x".repeat(5000), 0o600, "1,024"),
        ] {
            let line = read(text, mode).unwrap_err().to_string();
            assert!(line.contains(words) && line.contains("token"), "{line}");
        }
    }
}
