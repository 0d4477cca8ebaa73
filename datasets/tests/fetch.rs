//! Downloads from a server that breaks off, stalls and lies.
#![allow(clippy::unwrap_used)]

mod server;

use legonf_datasets::fetch::{Event, FetchError, Fetched, Item, Options, fetch, partial_path, sha256_of};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use server::{Server, Step};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

const TAG: &str = "\"v1\"";

const OPTIONS: Options = Options {
    stall: Duration::from_secs(60),
    attempts: 3,
    pause: Duration::from_millis(1),
    min_rate: 1024,
    max_size: 1 << 30,
    proxy: false,
};

fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn digest(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, bytes).unwrap();
    sha256_of(&path, &AtomicBool::new(false), &mut |_| {}).unwrap().1
}

/// A folder to fetch into.
struct Place {
    _dir: TempDir,
    target: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("set/file.pcap");
        Self { _dir: dir, target }
    }

    fn item<'a>(&'a self, url: &'a str) -> Item<'a> {
        Item { url, target: &self.target, size: None, sha256: None }
    }

    /// Nothing but the whole file is there.
    #[track_caller]
    fn holds(&self, bytes: &[u8]) {
        assert!(fs::read(&self.target).unwrap() == bytes, "other bytes");
        let names = names(self.target.parent().unwrap());
        assert_eq!(names, ["file.pcap"]);
    }

    /// No file has the target's name, and the partial file holds so many bytes.
    #[track_caller]
    fn holds_only_part(&self, bytes: u64) {
        assert!(!self.target.exists());
        assert_eq!(fs::metadata(partial_path(&self.target)).unwrap().len(), bytes);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn get(item: &Item<'_>) -> Result<Fetched, FetchError> {
    fetch(item, &OPTIONS, &AtomicBool::new(false), &mut |_| {})
}

fn ranges(firsts: &[u64]) -> Vec<Option<String>> {
    firsts.iter().map(|first| (*first > 0).then(|| format!("bytes={first}-"))).collect()
}

#[test]
fn a_file_is_fetched_and_checked() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::Serve]);
    let (url, sha256) = (server.url("f"), digest(&content));
    let item = Item { size: Some(content.len() as u64), sha256: Some(&sha256), ..place.item(&url) };
    let mut last = None;
    let fetched = fetch(&item, &OPTIONS, &AtomicBool::new(false), &mut |event| {
        if let Event::Received { bytes, total } = event {
            last = Some((bytes, total));
        }
    });
    let expected = Fetched {
        bytes: content.len() as u64,
        sha256: sha256.clone(),
        verified: true,
        present: false,
        resumed_from: 0,
    };
    assert_eq!(fetched.unwrap(), expected);
    assert_eq!(last, Some((content.len() as u64, Some(content.len() as u64))));
    place.holds(&content);
    let again = get(&item).unwrap();
    assert_eq!(again, Fetched { present: true, resumed_from: expected.bytes, ..expected });
    assert_eq!(server.requests().len(), 1, "a file that is there is not fetched again");
}

#[test]
fn a_broken_transfer_goes_on_where_it_was() {
    let (place, content) = (Place::new(), content());
    let steps = [Step::BreakOff(1000), Step::BreakOff(50_000), Step::HangUp, Step::Serve];
    let server = Server::start(&content, Some(TAG), &steps);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
    assert_eq!(server.ranges(), ranges(&[0, 1000, 51_000, 51_000]));
    assert_eq!(server.requests()[1].if_range.as_deref(), Some(TAG));
}

#[test]
fn a_stalled_transfer_goes_on_where_it_was() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::Stall(7777), Step::Mute, Step::Serve]);
    let url = server.url("f");
    let mut reasons = Vec::new();
    let watch = &mut |event: Event<'_>| {
        if let Event::Waiting { attempt, attempts, reason } = event {
            reasons.push(format!("{attempt}/{attempts} {reason}"));
        }
    };
    // On a busy machine even the good answer may come too late, and is then tried again.
    let impatient = Options { stall: Duration::from_secs(1), attempts: 100, ..OPTIONS };
    fetch(&place.item(&url), &impatient, &AtomicBool::new(false), watch).unwrap();
    place.holds(&content);
    assert_eq!(server.ranges()[..3], ranges(&[0, 7777, 7777]));
    assert_eq!(reasons[..2], ["1/100 the server sends nothing", "2/100 the server sends nothing"]);
}

#[test]
fn a_later_run_goes_on_where_the_first_gave_up() {
    let (place, content) = (Place::new(), content());
    let steps = [Step::BreakOff(5000), Step::HangUp, Step::HangUp, Step::Serve];
    let server = Server::start(&content, Some(TAG), &steps);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err().to_string();
    let partial = partial_path(&place.target).display().to_string();
    let expected = format!(
        "{url}: the transfer broke off; gave up after 3 attempts, {partial} has the first 5000 bytes: run the same command again to go on"
    );
    assert_eq!(error, expected);
    place.holds_only_part(5000);
    assert_eq!(get(&place.item(&url)).unwrap().resumed_from, 5000);
    place.holds(&content);
    assert_eq!(server.ranges(), ranges(&[0, 5000, 5000, 5000]));
}

#[test]
fn a_file_that_changed_meanwhile_is_fetched_from_the_start() {
    let (place, other) = (Place::new(), vec![7; 3000]);
    let steps = [Step::BreakOff(5000), Step::Replace(other.clone(), "\"v2\"")];
    let server = Server::start(&content(), Some(TAG), &steps);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&other);
    assert_eq!(server.ranges(), ranges(&[0, 5000]));
}

#[test]
fn a_part_of_another_file_is_not_taken() {
    let (place, mut other) = (Place::new(), content());
    other.reverse();
    let steps = [Step::BreakOff(5000), Step::ReplaceUnsaid(other.clone(), "\"v2\""), Step::Serve];
    let server = Server::start(&content(), Some(TAG), &steps);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&other);
    assert_eq!(server.ranges(), ranges(&[0, 5000, 0]));
}

#[test]
fn a_server_without_tags_is_not_resumed_unless_the_checksum_is_known() {
    let content = content();
    let server =
        Server::start(&content, None, &[Step::BreakOff(5000), Step::HangUp, Step::HangUp, Step::Serve]);
    let (place, url) = (Place::new(), server.url("f"));
    get(&place.item(&url)).unwrap_err();
    get(&place.item(&url)).unwrap();
    place.holds(&content);
    assert_eq!(server.ranges().last(), Some(&None));

    let server = Server::start(&content, None, &[Step::BreakOff(5000), Step::Serve]);
    let (place, url, sha256) = (Place::new(), server.url("f"), digest(&content));
    get(&Item { sha256: Some(&sha256), ..place.item(&url) }).unwrap();
    place.holds(&content);
    assert_eq!(server.ranges(), ranges(&[0, 5000]));
}

#[test]
fn a_server_that_ignores_ranges_is_heard_from_the_start() {
    let (place, content) = (Place::new(), content());
    let steps = [Step::BreakOff(5000), Step::IgnoreRange(usize::MAX)];
    let server = Server::start(&content, Some(TAG), &steps);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
}

#[test]
fn a_server_that_ignores_ranges_and_breaks_off_is_given_up() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::IgnoreRange(5000)]);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err();
    assert!(matches!(error, FetchError::GaveUp { attempts: 3, bytes: 5000, .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
    place.holds_only_part(5000);
}

#[test]
fn a_part_that_was_not_asked_for_is_not_taken() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::BreakOff(5000), Step::WrongPart, Step::Serve]);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
    assert_eq!(server.ranges(), ranges(&[0, 5000, 0]));
}

#[test]
fn a_length_that_is_too_long_is_a_broken_transfer() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::WrongLength(10)]);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err();
    assert!(matches!(error, FetchError::GaveUp { .. }), "{error}");
    place.holds_only_part(content.len() as u64);
}

#[test]
fn a_length_that_is_not_the_catalogues_is_refused() {
    let (place, content) = (Place::new(), content());
    for by in [10, -10] {
        let server = Server::start(&content, Some(TAG), &[Step::WrongLength(by)]);
        let url = server.url("f");
        let item = Item { size: Some(content.len() as u64), ..place.item(&url) };
        let found = content.len() as i64 + by;
        let expected = format!("{url}: the server's file has {found} bytes, expected {}", content.len());
        assert_eq!(get(&item).unwrap_err().to_string(), expected);
        assert!(!place.target.exists());
    }
}

#[test]
fn a_length_that_is_too_short_is_found_by_the_checksum() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::WrongLength(-10)]);
    let (url, sha256) = (server.url("f"), digest(&content));
    let error = get(&Item { sha256: Some(&sha256), ..place.item(&url) }).unwrap_err();
    assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    assert!(!place.target.exists());
}

#[test]
fn a_wrong_checksum_is_refused_and_the_next_fetch_starts_anew() {
    let (place, content) = (Place::new(), content());
    let lie = vec![0; content.len()];
    let server = Server::start(&lie, Some(TAG), &[Step::Serve, Step::Replace(content.clone(), "\"v2\"")]);
    let (url, sha256) = (server.url("f"), digest(&content));
    let item = Item { sha256: Some(&sha256), ..place.item(&url) };
    let error = get(&item).unwrap_err().to_string();
    let expected = format!("{url}: its SHA-256 is {}, expected {sha256}; ", digest(&lie));
    assert!(error.starts_with(&expected), "{error}");
    place.holds_only_part(lie.len() as u64);
    get(&item).unwrap();
    place.holds(&content);
    assert_eq!(server.ranges(), ranges(&[0, 0]));
}

#[test]
fn passing_troubles_are_tried_again_and_lasting_ones_are_not() {
    let content = content();
    for passing in [500, 503, 429, 408] {
        let place = Place::new();
        let server = Server::start(&content, Some(TAG), &[Step::Status(passing), Step::Serve]);
        let url = server.url("f");
        get(&place.item(&url)).unwrap();
        place.holds(&content);
    }
    for (lasting, remedy) in [
        (404, "the server answers 404, the file has moved: look for it on the data set's page"),
        (403, "the server answers 403, it wants a login or a browser: fetch the file by hand"),
        (400, "the server answers 400"),
    ] {
        let place = Place::new();
        let server = Server::start(&content, Some(TAG), &[Step::Status(lasting)]);
        let url = server.url("f");
        assert_eq!(get(&place.item(&url)).unwrap_err().to_string(), format!("{url}: {remedy}"));
        assert_eq!(server.requests().len(), 1);
        place.holds_only_part(0);
    }
}

#[test]
fn a_partial_file_longer_than_the_servers_file_is_dropped() {
    let (place, short) = (Place::new(), vec![7; 300]);
    let sha256 = digest(&short);
    let first = Server::start(
        &content(),
        None,
        &[
            Step::Chunked(5000),
            Step::HangUp,
            Step::HangUp,
            Step::Status(416),
            Step::Replace(short.clone(), TAG),
        ],
    );
    let url = first.url("f");
    let item = Item { sha256: Some(&sha256), ..place.item(&url) };
    get(&item).unwrap_err();
    place.holds_only_part(5000);
    get(&item).unwrap();
    place.holds(&short);
}

#[test]
fn redirects_are_followed_with_the_range() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(
        &content,
        Some(TAG),
        &[Step::Redirect("/g".into()), Step::BreakOff(5000), Step::Redirect("/h".into()), Step::Serve],
    );
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
    let requests = server.requests();
    let paths: Vec<_> = requests.iter().map(|r| r.path.as_str()).collect();
    assert_eq!(paths, ["/f", "/g", "/f", "/h"]);
    assert_eq!(requests[3].range.as_deref(), Some("bytes=5000-"));
}

#[test]
fn a_redirect_without_end_is_refused() {
    let place = Place::new();
    let server = Server::start(b"", None, &[Step::Redirect("/f".into())]);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err().to_string();
    assert_eq!(error, format!("{url}: too many redirects"));
}

#[test]
fn chunks_end_a_file_and_a_missing_last_chunk_does_not() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, None, &[Step::Chunked(5000), Step::Chunked(usize::MAX)]);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_file_of_unknown_length_needs_a_size_or_a_checksum() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, None, &[Step::NoLength]);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err();
    assert!(matches!(error, FetchError::UnknownLength { .. }), "{error}");
    assert!(!place.target.exists());
    let long = Item { size: Some(content.len() as u64 + 1), ..place.item(&url) };
    let error = get(&long).unwrap_err().to_string();
    assert!(error.contains("the transfer broke off at 400000 of 400001 bytes; gave up"), "{error}");
    assert!(!place.target.exists());
    let short = Item { size: Some(content.len() as u64 - 1), ..place.item(&url) };
    assert!(matches!(get(&short).unwrap_err(), FetchError::Size { .. }));
    assert!(!place.target.exists());
    get(&Item { size: Some(content.len() as u64), ..place.item(&url) }).unwrap();
    place.holds(&content);
}

#[test]
fn a_reply_without_end_ends_at_the_size() {
    let server = Server::start(b"", None, &[Step::Endless]);
    let url = server.url("f");
    let place = Place::new();
    let bounded = Options { max_size: 1_000_000, ..OPTIONS };
    let error = fetch(&place.item(&url), &bounded, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::TooLong { limit: 1_000_000, .. }), "{error}");
    assert!(
        error.to_string().contains("more than 1000000 bytes came")
            && error.to_string().contains("--max-size")
    );
    assert!(fs::metadata(partial_path(&place.target)).unwrap().len() <= 1_000_000);
    let place = Place::new();
    let error = get(&Item { size: Some(5000), ..place.item(&url) }).unwrap_err();
    assert!(matches!(error, FetchError::Size { expected: 5000, .. }), "{error}");
    assert!(fs::metadata(partial_path(&place.target)).unwrap().len() <= 5000);
    assert_eq!(server.requests().len(), 2, "it is not tried again");
}

#[test]
fn a_trickle_is_given_up() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::Trickle]);
    let url = server.url("f");
    let options = Options { stall: Duration::from_millis(500), min_rate: 10_000, attempts: 2, ..OPTIONS };
    let error = fetch(&place.item(&url), &options, &AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::GaveUp { attempts: 2, .. }), "{error}");
    assert!(error.to_string().contains("less than 10000 bytes a second came over 0.5 s"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_few_bytes_an_attempt_are_no_progress() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::BreakOff(1)]);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err();
    assert!(matches!(error, FetchError::GaveUp { attempts: 3, bytes: 3, .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_head_without_end_is_refused() {
    let place = Place::new();
    for step in [Step::EndlessHead, Step::EndlessInformation] {
        let server = Server::start(b"", None, std::slice::from_ref(&step));
        let url = server.url("f");
        let error = get(&place.item(&url)).unwrap_err().to_string();
        assert!(error.starts_with(&url), "{error}");
        place.holds_only_part(0);
    }
}

#[test]
fn the_body_of_a_redirect_or_a_refusal_is_not_read_without_end() {
    let (place, content) = (Place::new(), content());
    let steps = [Step::EndlessRedirect("/g".into()), Step::EndlessStatus(503), Step::Serve];
    let server = Server::start(&content, Some(TAG), &steps);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
}

#[test]
fn what_is_compressed_stays_compressed() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::Encoded]);
    let url = server.url("f");
    get(&place.item(&url)).unwrap();
    place.holds(&content);
}

#[test]
fn a_link_in_place_of_a_partial_file_is_not_followed() {
    let (place, content) = (Place::new(), content());
    let folder = place.target.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    let victim = folder.join("victim");
    fs::write(&victim, "precious").unwrap();
    let server = Server::start(&content, Some(TAG), &[Step::Serve]);
    let url = server.url("f");
    for name in ["file.pcap.partial", "file.pcap.partial.toml.partial"] {
        std::os::unix::fs::symlink(&victim, folder.join(name)).unwrap();
        let error = get(&place.item(&url)).unwrap_err().to_string();
        assert!(error.contains(&format!("{name} is in the way")), "{error}");
        fs::remove_file(folder.join(name)).unwrap();
    }
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    get(&place.item(&url)).unwrap();
    fs::remove_file(&victim).unwrap();
    place.holds(&content);
}

#[test]
fn a_file_that_is_there_and_differs_is_left_alone() {
    let (place, content) = (Place::new(), content());
    fs::create_dir_all(place.target.parent().unwrap()).unwrap();
    fs::write(&place.target, b"mine").unwrap();
    let server = Server::start(&content, Some(TAG), &[Step::Serve]);
    let (url, sha256) = (server.url("f"), digest(&content));
    let file = place.target.display();
    let error = get(&Item { sha256: Some(&sha256), ..place.item(&url) }).unwrap_err().to_string();
    let expected = format!(
        "{file}: the SHA-256 of this file is {}, expected {sha256}; move it away to fetch the file",
        digest(b"mine")
    );
    assert_eq!(error, expected);
    let error = get(&Item { size: Some(5), ..place.item(&url) }).unwrap_err().to_string();
    assert_eq!(error, format!("{file}: this file has 4 bytes, expected 5; move it away to fetch the file"));
    assert_eq!(fs::read(&place.target).unwrap(), b"mine");
    assert!(server.requests().is_empty());
}

#[test]
fn a_disk_that_is_too_small_is_seen_before() {
    let place = Place::new();
    let server = Server::start(&content(), Some(TAG), &[Step::WrongLength(1 << 60)]);
    let url = server.url("f");
    let error = get(&place.item(&url)).unwrap_err();
    assert!(matches!(error, FetchError::Space { needed, .. } if needed > 1 << 60), "{error}");
    place.holds_only_part(0);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let target = file.join("set/f");
    let error = get(&Item { url: "http://127.0.0.1:9/f", target: &target, size: None, sha256: None });
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", file.join("set").display())), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let place = Place::new();
    let error = get(&place.item("http://nowhere.invalid/f")).unwrap_err().to_string();
    assert_eq!(error, "http://nowhere.invalid/f: the host is not found");
    let error = get(&place.item("http:/f")).unwrap_err();
    assert!(matches!(error, FetchError::Request { .. }), "{error}");
}

#[test]
fn stopping_leaves_a_partial_file_that_goes_on() {
    let (place, content) = (Place::new(), content());
    let server = Server::start(&content, Some(TAG), &[Step::Stall(5000), Step::Serve]);
    let url = server.url("f");
    let stop = AtomicBool::new(false);
    // The stall timeout is no help here: the stop must wake the read.
    let patient = Options { stall: Duration::from_secs(600), ..OPTIONS };
    let error = fetch(&place.item(&url), &patient, &stop, &mut |event| {
        if matches!(event, Event::Received { bytes: 5000, .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { bytes: 5000, .. }), "{error}");
    place.holds_only_part(5000);
    assert_eq!(get(&place.item(&url)).unwrap().resumed_from, 5000);
    place.holds(&content);
}

#[test]
fn a_server_without_tls_gives_no_secure_connection() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/f", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the client goes away.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = get(&place.item(&url)).unwrap_err().to_string();
    server.join().unwrap();
    assert!(error.starts_with(&format!("{url}: no secure connection to the server (")), "{error}");
    assert!(error.ends_with("): fetch the file by hand"), "{error}");
}

#[test]
fn a_certificate_that_nobody_signed_is_not_trusted() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/f", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(self_signed()).unwrap();
        // The client refuses the handshake.
        tls.complete_io(&mut stream).unwrap_err();
    });
    let error = get(&place.item(&url)).unwrap_err().to_string();
    server.join().unwrap();
    let expected = format!("{url}: no secure connection to the server (invalid peer certificate: ");
    assert!(error.starts_with(&expected), "{error}");
}

/// A server's configuration with a certificate of its own making.
fn self_signed() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap())
}
