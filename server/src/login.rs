//! Who may read where a run can be reached from elsewhere: programs by the token, browsers by a cookie that they get for it.

use crate::api::{Problem, Shared};
use crate::page::login;
use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Name of the cookie. By its prefix browsers take it over TLS alone, from this host alone and for all paths.
const COOKIE: &str = "__Host-legonf";
/// Browsers that are let in at once, at most, and for how long each is.
const MOST: usize = 64;
const VALID: Duration = Duration::from_secs(12 * 3600);
/// What everybody may read: whether the process answers, and what the form looks like.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/login", "/logout", "/page/page.css"];

/// What a browser keeps.
type Secret = [u8; 32];

/// The browsers that are let in.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<VecDeque<(Secret, Instant)>>);

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Given {
    token: String,
}

impl Logins {
    fn known(&self) -> MutexGuard<'_, VecDeque<(Secret, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a browser in; the oldest of too many is let out. Nothing where the system has no randomness.
    fn begin(&self, now: Instant) -> Option<String> {
        let mut secret = Secret::default();
        getrandom::fill(&mut secret).ok()?;
        let mut known = self.known();
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back((secret, now));
        Some(secret.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Which of them it is. The time does not show how much of a secret is right.
    fn find(known: &VecDeque<(Secret, Instant)>, given: &str, now: Instant) -> Option<usize> {
        let given = secret(given)?;
        let is = |(secret, begun): &(Secret, Instant)| {
            bool::from(secret.ct_eq(&given)) & (now.saturating_duration_since(*begun) < VALID)
        };
        known.iter().map(is).collect::<Vec<_>>().into_iter().position(|is| is)
    }

    fn is_in(&self, given: &str, now: Instant) -> bool {
        Self::find(&self.known(), given, now).is_some()
    }

    fn end(&self, given: &str, now: Instant) {
        let mut known = self.known();
        if let Some(at) = Self::find(&known, given, now) {
            known.remove(at);
        }
    }
}

fn secret(text: &str) -> Option<Secret> {
    let mut secret = Secret::default();
    let is_hex = text.len() == 2 * secret.len() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return None;
    }
    for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(secret)
}

/// The cookie of a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Lets those in who have the token or the cookie, where reading needs one.
pub(crate) async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(logins) = &shared.logins else { return next.run(request).await };
    let headers = request.headers();
    let is_in = || {
        let token = shared.token.as_ref().is_some_and(|token| token.is_in(headers));
        token || cookie(headers).is_some_and(|given| logins.is_in(given, Instant::now()))
    };
    let path = request.uri().path();
    if OPEN.contains(&path) || is_in() {
        return next.run(request).await;
    }
    if path == "/" && request.method() == Method::GET {
        return (StatusCode::UNAUTHORIZED, login(None)).into_response();
    }
    let reason = "reading needs the token, too: Authorization: Bearer TOKEN";
    Problem::new(StatusCode::UNAUTHORIZED, reason).into_response()
}

/// Gives a browser its cookie.
pub(crate) async fn enter(State(shared): State<Shared>, Form(given): Form<Given>) -> Response {
    let Some((logins, token)) = shared.logins.as_ref().zip(shared.token.as_ref()) else {
        return Problem::new(StatusCode::NOT_FOUND, "everybody on this machine may read").into_response();
    };
    if !token.is(given.token.trim().as_bytes()) {
        return (StatusCode::UNAUTHORIZED, login(Some("The token is another one."))).into_response();
    }
    let Some(secret) = logins.begin(Instant::now()) else {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the system has no randomness").into_response();
    };
    sent_home(&format!("{secret}; Max-Age={}", VALID.as_secs()))
}

/// Takes the cookie back.
pub(crate) async fn leave(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    if let Some((logins, given)) = shared.logins.as_ref().zip(cookie(&headers)) {
        logins.end(given, Instant::now());
    }
    sent_home("; Max-Age=0")
}

fn sent_home(value: &str) -> Response {
    let mut response = Redirect::to("/").into_response();
    let cookie = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_in_until_its_time_is_over_or_it_leaves() {
        let (logins, now) = (Logins::default(), Instant::now());
        let [first, second] = [logins.begin(now).unwrap(), logins.begin(now).unwrap()];
        assert_ne!(first, second);
        assert!(logins.is_in(&first, now) && logins.is_in(&second, now + VALID - Duration::from_secs(1)));
        assert!(!logins.is_in(&second, now + VALID));
        for other in ["", "00", &"0".repeat(64), &"é".repeat(32), &first[1..]] {
            assert!(!logins.is_in(other, now), "{other}");
        }
        logins.end(&first, now);
        assert!(!logins.is_in(&first, now) && logins.is_in(&second, now));
        (0..MOST).for_each(|_| _ = logins.begin(now).unwrap());
        assert!(!logins.is_in(&second, now), "the oldest makes room");
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; x__Host-legonf=2"));
        assert_eq!(cookie(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("b=1;  __Host-legonf=abc; c"));
        assert_eq!(cookie(&headers), Some("abc"));
    }
}
