//! Attempts, pauses, and the stop flag.

use super::partial::Partial;
use super::transfer::{Attempt, Trouble};
use super::{Event, FetchError, Fetched, Item, Options, sha256_of};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Bytes that an attempt must bring to count as progress, in all since the last that did.
const PROGRESS: u64 = 16 << 10;
/// The most bytes of a response's head.
const LONGEST_HEAD: usize = 64 << 10;
/// How often the stop flag is looked at.
const TICK: Duration = Duration::from_millis(20);

/// Brings the file, or what its partial file lacks.
pub(super) fn download(
    item: &Item<'_>,
    options: &Options,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Fetched, FetchError> {
    if let Some(folder) = item.target.parent() {
        std::fs::create_dir_all(folder).map_err(FetchError::file(folder))?;
    }
    let mut partial = Partial::open(item)?;
    let resumed_from = partial.len();
    bring(item, options, &mut partial, stop, watch)?;
    finish(partial, item, resumed_from, stop, watch)
}

/// Brings what the partial file lacks.
fn bring(
    item: &Item<'_>,
    options: &Options,
    partial: &mut Partial,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<(), FetchError> {
    let agent = agent(item.url, options);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ended = SetOnDrop(&ended);
        scope.spawn(|| shut_down_on_stop(&agent, stop, &ended));
        attempts(&Attempt { agent: &agent, item, options, stop }, options, partial, watch)
    })
}

/// Checks the whole file and gives it its name.
fn finish(
    partial: Partial,
    item: &Item<'_>,
    resumed_from: u64,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Fetched, FetchError> {
    partial.sync()?;
    let total = partial.len();
    let (bytes, sha256) =
        sha256_of(&partial.path, stop, &mut |bytes| watch(Event::Checking { bytes, total }))?;
    if let Some(expected) = item.sha256.filter(|expected| *expected != sha256) {
        partial.forget()?;
        return Err(FetchError::Checksum {
            url: item.url.into(),
            expected: expected.into(),
            found: sha256,
            partial: partial.path,
        });
    }
    partial.rename(item.target)?;
    Ok(Fetched { bytes, sha256, verified: item.sha256.is_some(), present: false, resumed_from })
}

/// Sets its flag even if the thread panics, so that the thread beside it ends.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Wakes a read that waits for a silent server once `stop` is set.
fn shut_down_on_stop(agent: &Agent, stop: &AtomicBool, ended: &AtomicBool) {
    while !ended.load(Ordering::Relaxed) {
        if stop.load(Ordering::Relaxed) {
            return agent.clone().shutdown();
        }
        thread::sleep(TICK);
    }
}

fn agent(url: &str, options: &Options) -> Agent {
    let stall = Some(options.stall);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(url.starts_with("https:"))
        .user_agent(concat!("legonf/", env!("CARGO_PKG_VERSION")))
        .max_redirects(0)
        .max_response_header_size(LONGEST_HEAD)
        .timeout_resolve(stall)
        .timeout_connect(stall)
        .timeout_recv_response(stall)
        .timeout_per_read(stall)
        .timeout_per_write(stall);
    if options.proxy { config.build() } else { config.proxy(None).build() }.into()
}

/// Makes attempts until the partial file is whole.
fn attempts(
    attempt: &Attempt<'_>,
    options: &Options,
    partial: &mut Partial,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<(), FetchError> {
    let start = partial.len();
    let (mut furthest, mut counted, mut failures) = (start, start, 0);
    while !partial.is_whole() {
        let trouble = match check_stop(attempt.stop, partial).map_err(Trouble::Fatal) {
            Ok(()) => attempt.run(partial, watch),
            stopped => stopped,
        };
        let mut slow = false;
        let reason = match trouble {
            Ok(()) => return Ok(()),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::Unreachable(reason)) if furthest == start => {
                return Err(FetchError::Request { url: attempt.item.url.into(), reason });
            }
            Err(Trouble::Slow(reason)) => {
                slow = true;
                reason
            }
            Err(Trouble::Transient(reason) | Trouble::Unreachable(reason)) => reason,
        };
        // A server that always breaks off at the same byte, or after a few, makes no progress, however much it sends.
        furthest = furthest.max(partial.len());
        if furthest >= counted + PROGRESS && !slow {
            (counted, failures) = (furthest, 0);
        }
        failures += 1;
        if failures >= options.attempts {
            check_stop(attempt.stop, partial)?;
            return Err(gave_up(attempt.item.url, reason, failures, partial));
        }
        watch(Event::Waiting { attempt: failures, attempts: options.attempts, reason: &reason });
        pause(options, failures, attempt.stop);
    }
    Ok(())
}

fn gave_up(url: &str, reason: String, attempts: u32, partial: &Partial) -> FetchError {
    FetchError::GaveUp {
        url: url.into(),
        reason,
        attempts,
        partial: partial.path.clone(),
        bytes: partial.len(),
    }
}

fn check_stop(stop: &AtomicBool, partial: &Partial) -> Result<(), FetchError> {
    if stop.load(Ordering::Relaxed) {
        return Err(FetchError::Interrupted { partial: partial.path.clone(), bytes: partial.len() });
    }
    Ok(())
}

fn pause(options: &Options, failures: u32, stop: &AtomicBool) {
    let doubled = options.pause.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE);
    let end = Instant::now() + doubled;
    while !stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(TICK));
    }
}
