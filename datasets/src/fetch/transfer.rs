//! One request and its answer.

use super::partial::{Partial, State};
use super::{Event, FetchError, Item, Options, space};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body};

/// The most redirects of a request.
const REDIRECTS: u32 = 10;
/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// Why an attempt did not bring the rest of the file.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Trying again does not help.
    Fatal(FetchError),
    /// Trying again may help.
    Transient(String),
    /// What came was too little for its time, so that it does not count as progress.
    Slow(String),
    /// The server was not found at all.
    Unreachable(String),
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Fatal(error)
    }
}

/// One attempt at the rest of `item`.
pub(super) struct Attempt<'a> {
    pub agent: &'a Agent,
    pub item: &'a Item<'a>,
    pub options: &'a Options,
    pub stop: &'a AtomicBool,
}

impl Attempt<'_> {
    /// Asks for what `partial` lacks, and appends it. After `Ok` the partial file is whole.
    pub fn run(&self, partial: &mut Partial, watch: &mut dyn FnMut(Event<'_>)) -> Result<(), Trouble> {
        let response = self.ask(partial)?;
        match response.status() {
            StatusCode::OK => self.begin(partial, &response)?,
            StatusCode::PARTIAL_CONTENT => self.go_on(partial, &response)?,
            status => return Err(self.refused(partial, status)),
        }
        self.check_room(partial)?;
        self.copy(response.into_body(), partial, watch)
    }

    /// Follows redirects. The body of one is not read, since it may have no end.
    fn ask(&self, partial: &Partial) -> Result<Response<Body>, Trouble> {
        let mut url = self.item.url.to_owned();
        for _ in 0..=REDIRECTS {
            let response = self.request(&url, partial)?;
            match redirect(&url, &response) {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        let reason = "too many redirects".into();
        Err(FetchError::Request { url: self.item.url.into(), reason }.into())
    }

    fn request(&self, url: &str, partial: &Partial) -> Result<Response<Body>, Trouble> {
        let mut request = self.agent.get(url).header(header::ACCEPT_ENCODING, "identity");
        if partial.len() > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", partial.len()));
            if let Some(validator) = &partial.state().validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        request.call().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: ureq::Error) -> Trouble {
        let fatal = |reason| Trouble::Fatal(FetchError::Request { url: self.item.url.into(), reason });
        match error {
            ureq::Error::HostNotFound => Trouble::Unreachable("the host is not found".into()),
            ureq::Error::Timeout(_) => Trouble::Transient(STALLED.into()),
            // So rustls reports a certificate that it does not trust.
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => fatal(insecure(&e)),
            ureq::Error::Rustls(e) => fatal(insecure(&e)),
            // The resolver's errors have no kind of their own.
            ureq::Error::Io(e) if e.to_string().contains("lookup address") => {
                Trouble::Unreachable("the host is not found".into())
            }
            ureq::Error::Io(e) => Trouble::Transient(io_reason(&e)),
            other => fatal(other.to_string()),
        }
    }

    fn refused(&self, partial: &mut Partial, status: StatusCode) -> Trouble {
        let code = status.as_u16();
        match code {
            416 if partial.len() > 0 => match partial.restart(State::default()) {
                Ok(()) => Trouble::Transient("the server's file is shorter than what is there".into()),
                Err(error) => Trouble::Fatal(error),
            },
            408 | 425 | 429 | 500..=599 => Trouble::Transient(format!("the server answers {code}")),
            _ => Trouble::Fatal(FetchError::Status { url: self.item.url.into(), status: code }),
        }
    }

    /// The whole file comes: the first time, or because the server does not resume or has another file now.
    fn begin(&self, partial: &mut Partial, response: &Response<Body>) -> Result<(), Trouble> {
        let headers = response.headers();
        let size = response.body().content_length();
        let chunked = headers.contains_key(header::TRANSFER_ENCODING);
        if size.is_none() && !chunked && self.item.size.is_none() && self.item.sha256.is_none() {
            return Err(FetchError::UnknownLength { url: self.item.url.into() }.into());
        }
        self.check_size(size)?;
        let size = size.or(self.item.size);
        partial.restart(State { url: self.item.url.into(), size, validator: validator(headers) })?;
        Ok(())
    }

    /// The rest of the file comes, if it is the rest of the same file.
    fn go_on(&self, partial: &mut Partial, response: &Response<Body>) -> Result<(), Trouble> {
        let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
        let Some((first, size)) = range.and_then(content_range) else {
            partial.restart(State::default())?;
            return Err(Trouble::Transient("the server sends a part that it does not name".into()));
        };
        let known = partial.state().size;
        if first != partial.len() || (known.is_some() && size.is_some() && known != size) {
            partial.restart(State::default())?;
            return Err(Trouble::Transient("the server sends another part than asked for".into()));
        }
        let tags = partial.state().validator.as_ref().zip(validator(response.headers()));
        if tags.is_some_and(|(before, now)| *before != now) {
            partial.restart(State::default())?;
            return Err(Trouble::Transient("the server has another file now".into()));
        }
        self.check_size(size)?;
        if known.is_none() && size.is_some() {
            partial.set_state(State { size, ..partial.state().clone() })?;
        }
        Ok(())
    }

    fn check_size(&self, found: Option<u64>) -> Result<(), FetchError> {
        match (self.item.size, found) {
            (Some(expected), Some(found)) if expected != found => {
                Err(FetchError::Size { url: self.item.url.into(), expected, found })
            }
            _ => Ok(()),
        }
    }

    fn check_room(&self, partial: &Partial) -> Result<(), FetchError> {
        let Some(size) = partial.state().size else { return Ok(()) };
        space::require(&partial.path, size.saturating_sub(partial.len()))
    }

    fn copy(
        &self,
        body: Body,
        partial: &mut Partial,
        watch: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Trouble> {
        let (mut body, mut buffer) = (body.into_reader(), vec![0; CHUNK]);
        let mut pace = Pace::new(self.options);
        loop {
            let read = match body.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|e| Trouble::Transient(io_reason(&e)))?,
            };
            // An end that the stop flag brought about is not the file's.
            if self.stop.load(Ordering::Relaxed) {
                return Err(Trouble::Transient("stopped".into()));
            }
            if read == 0 {
                return end(partial);
            }
            self.check_end(partial.len() + read as u64, partial)?;
            partial.append(&buffer[..read])?;
            watch(Event::Received { bytes: partial.len(), total: partial.state().size });
            pace.count(read)?;
        }
    }

    fn check_end(&self, reached: u64, partial: &Partial) -> Result<(), FetchError> {
        match partial.state().size {
            Some(expected) if reached > expected => {
                Err(FetchError::Size { url: self.item.url.into(), expected, found: reached })
            }
            None if reached > self.options.max_size => {
                Err(FetchError::TooLong { url: self.item.url.into(), limit: self.options.max_size })
            }
            _ => Ok(()),
        }
    }
}

/// Looks whether enough bytes come.
struct Pace {
    window: Duration,
    min_rate: u64,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(options: &Options) -> Self {
        Self { window: options.stall, min_rate: options.min_rate, since: Instant::now(), bytes: 0 }
    }

    /// Counts what was read, and says at the end of each window whether it was enough.
    fn count(&mut self, read: usize) -> Result<(), Trouble> {
        self.bytes += read as u64;
        let spent = self.since.elapsed();
        if spent < self.window {
            return Ok(());
        }
        if (self.bytes as f64) < self.min_rate as f64 * spent.as_secs_f64() {
            let seconds = self.window.as_secs_f64();
            let rate = self.min_rate;
            return Err(Trouble::Slow(format!("less than {rate} bytes a second came over {seconds} s")));
        }
        *self = Self { since: Instant::now(), bytes: 0, ..*self };
        Ok(())
    }
}

/// Where a redirect leads from `url` (RFC 9110, 10.2.2), but for `..` in it, which is left to the server.
fn redirect(url: &str, response: &Response<Body>) -> Option<String> {
    let code = response.status().as_u16();
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    matches!(code, 301 | 302 | 303 | 307 | 308).then(|| located(url, location))
}

fn located(url: &str, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    let is_whole =
        location.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(char::is_alphanumeric));
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, folder) =
        (path.split('/').next().unwrap_or_default(), path.rfind('/').map(|at| &path[..at]));
    match location {
        _ if is_whole => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ if location.starts_with('?') || location.is_empty() => format!("{scheme}://{path}{location}"),
        _ => format!("{scheme}://{}/{location}", folder.unwrap_or(authority)),
    }
}

const STALLED: &str = "the server sends nothing";

/// The body has ended: that is the file's end unless it is known to lie elsewhere.
fn end(partial: &mut Partial) -> Result<(), Trouble> {
    match partial.state().size {
        Some(size) if size != partial.len() => {
            Err(Trouble::Transient(format!("the transfer broke off at {} of {size} bytes", partial.len())))
        }
        Some(_) => Ok(()),
        None => Ok(partial.set_state(State { size: Some(partial.len()), ..partial.state().clone() })?),
    }
}

/// What `If-Range` may ask for: a strong entity tag, or else the date (RFC 9110, 13.1.5).
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    text(header::ETAG).filter(|tag| tag.starts_with('"')).or_else(|| text(header::LAST_MODIFIED))
}

/// First byte and whole size of `bytes FIRST-LAST/SIZE`; the size may be `*`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-')?.0.trim().parse().ok()?;
    match size.trim() {
        "*" => Some((first, None)),
        size => Some((first, Some(size.parse().ok()?))),
    }
}

fn io_reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => STALLED.into(),
        _ if error.kind() == io::ErrorKind::TimedOut => STALLED.into(),
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "the transfer broke off".into(),
        _ => error.to_string(),
    }
}

fn insecure(error: &dyn std::error::Error) -> String {
    format!("no secure connection to the server ({error}): fetch the file by hand")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes", "bytes 5", "bytes 5/10", "bytes -9/10", "bytes 5-9/ten", "items 5-9/10"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn redirects_lead_to_addresses() {
        let from = "https://a.b:8/c/d?e";
        for (location, expected) in [
            ("http://x/y#z", "http://x/y"),
            ("//x/y", "https://x/y"),
            ("/y?z=http://w", "https://a.b:8/y?z=http://w"),
            ("y", "https://a.b:8/c/y"),
            ("?y", "https://a.b:8/c/d?y"),
            ("", "https://a.b:8/c/d"),
        ] {
            assert_eq!(located(from, location), expected);
        }
        assert_eq!(located("http://a", "y"), "http://a/y");
    }

    #[test]
    fn weak_tags_do_not_resume() {
        let mut headers = HeaderMap::new();
        assert_eq!(validator(&headers), None);
        headers.insert(header::ETAG, "W/\"a\"".parse().unwrap());
        assert_eq!(validator(&headers), None);
        headers.insert(header::LAST_MODIFIED, "Sat, 21 Nov 2026 10:00:00 GMT".parse().unwrap());
        assert_eq!(validator(&headers).as_deref(), Some("Sat, 21 Nov 2026 10:00:00 GMT"));
        headers.insert(header::ETAG, "\"a\"".parse().unwrap());
        assert_eq!(validator(&headers).as_deref(), Some("\"a\""));
    }
}
