//! Both sides of a join, over loopback.

use super::message::{Request, VERSION, encode};
use super::*;
use crate::tls::{Identity, create};
use rcgen::{KeyPair, PublicKeyData};
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with the authority of a cluster, whose first host is `a`.
fn cluster() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), create("a", &[], SystemTime::now(), HOUR).unwrap());
    folder
}

fn write(folder: &Path, files: impl IntoIterator<Item = crate::tls::Pem>) {
    files.into_iter().for_each(|pem| fs::write(folder.join(pem.file), pem.text).unwrap());
}

fn admission(folder: &Path, names: &[&str]) -> Admission {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let terms = Terms { until: SystemTime::now() + HOUR, names, valid: HOUR };
    Admission::new(folder, terms, [1; BYTES]).unwrap()
}

/// What both sides of a join find.
fn meet(
    admission: &Admission,
    joining: &Joining,
    now: SystemTime,
) -> (Result<String, JoinError>, Result<[crate::tls::Pem; 3], JoinError>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    thread::scope(|scope| {
        let accepted = listener.accept().unwrap().0;
        let admitted = scope.spawn(move || admission.admit(accepted, PATIENCE, SystemTime::now()));
        let joined = joining.join(socket, PATIENCE, now);
        (admitted.join().unwrap(), joined)
    })
}

/// Why a host is not admitted that joins by a name and a token, as it is told.
#[track_caller]
fn told(admission: &Admission, name: &str, token: Token) -> String {
    let joining = Joining::new(name, token).unwrap();
    let (admitted, joined) = meet(admission, &joining, SystemTime::now());
    assert!(admitted.is_err());
    joined.err().unwrap().to_string()
}

#[test]
fn a_host_that_has_joined_knows_the_others() {
    let (a, b) = (cluster(), tempfile::tempdir().unwrap());
    let admission = admission(a.path(), &[]);
    let token: Token = admission.token().text().parse().unwrap();
    let (admitted, joined) = meet(&admission, &Joining::new("b", token).unwrap(), SystemTime::now());
    assert_eq!(admitted.unwrap(), "b");
    write(b.path(), joined.unwrap());
    let (one, other) = (Identity::load(a.path()).unwrap(), Identity::load(b.path()).unwrap());
    for (client, server, name) in [(&one, &other, "b"), (&other, &one, "a")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| server.accept(listener.accept().unwrap().0, PATIENCE).map(drop).unwrap());
            client.connect(name, socket, PATIENCE).map(drop).unwrap();
        });
    }
}

#[test]
fn who_is_not_admitted_is_told_why() {
    let folder = cluster();
    let (any, named) = (admission(folder.path(), &[]), admission(folder.path(), &["c"]));
    let token = || any.token().clone();
    let wrong = Token { secret: [2; BYTES], ..token() };
    assert_eq!(told(&any, "b", wrong), Refusal::Token.to_string());
    assert_eq!(told(&any, "A.", token()), Refusal::Taken.to_string());
    meet(&any, &Joining::new("b", token()).unwrap(), SystemTime::now()).1.unwrap();
    assert_eq!(told(&any, "B", token()), Refusal::Taken.to_string());
    assert_eq!(told(&named, "b", named.token().clone()), Refusal::Unexpected.to_string());
    // One that pretends to be the host, and so does not learn the secret.
    assert_eq!(told(&named, "c", token()), JoinError::Stranger.to_string());
    meet(&named, &Joining::new("c", named.token().clone()).unwrap(), SystemTime::now()).1.unwrap();
    assert!(matches!(Joining::new("no name", token()), Err(TlsError::Name(_))));
}

#[test]
fn a_clock_that_is_off_is_named() {
    let folder = cluster();
    let admission = admission(folder.path(), &[]);
    for (name, now) in [("b", SystemTime::now() - 2 * HOUR), ("c", SystemTime::now() + 2 * HOUR)] {
        let joining = Joining::new(name, admission.token().clone()).unwrap();
        let error = meet(&admission, &joining, now).1.err().unwrap();
        assert!(matches!(error, JoinError::Clock(_)), "{error}");
        assert!(error.to_string().contains("set the clocks of both hosts"), "{error}");
    }
}

/// The refusal that is the answer to a request.
#[track_caller]
fn refusal(admission: &Admission, request: &[u8], key: Option<&[u8]>, now: SystemTime) -> Refusal {
    let Answered { bytes: answer, outcome } = admission.answer(request, key, now).unwrap();
    let Err(JoinError::Refused(refusal)) = outcome else { panic!("it was admitted") };
    let joining = Joining::new("b", admission.token().clone()).unwrap();
    let told = joining.take(&answer, now).err().unwrap();
    assert!(matches!(told, JoinError::Refused(same) if same == refusal), "{told}");
    refusal
}

#[test]
fn requests_that_this_program_does_not_make_are_refused() {
    let folder = cluster();
    let admission = admission(folder.path(), &[]);
    let now = SystemTime::now();
    let request = |name| encode(&Request { secret: [1; BYTES], name }).unwrap();
    let key = KeyPair::generate().unwrap().subject_public_key_info();
    assert_eq!(refusal(&admission, &request("b"), Some(&key), now + HOUR), Refusal::Expired);
    assert_eq!(refusal(&admission, &request("b\n"), Some(&key), now), Refusal::Name);
    assert_eq!(refusal(&admission, &request("*.b"), Some(&key), now), Refusal::Name);
    for key in [None, Some(&key[1..]), Some(&key[..key.len() - 1]), Some(&[][..])] {
        assert_eq!(refusal(&admission, &request("b"), key, now), Refusal::Key);
    }
    let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().subject_public_key_info();
    assert_eq!(refusal(&admission, &request("b"), Some(&edwards), now), Refusal::Key);
    assert_eq!(refusal(&admission, &[], Some(&key), now), Refusal::Message);
    assert_eq!(refusal(&admission, &request("b")[..9], Some(&key), now), Refusal::Message);
    assert_eq!(refusal(&admission, &[VERSION + 1], Some(&key), now), Refusal::Version(VERSION));
    assert_eq!(admission.answer(&request("b"), Some(&key), now).unwrap().outcome.unwrap(), "b");
}

#[test]
fn a_certificate_that_was_not_asked_for_is_not_taken() {
    let (folder, now) = (cluster(), SystemTime::now());
    let admission = admission(folder.path(), &[]);
    let key = KeyPair::generate().unwrap().subject_public_key_info();
    let answer = |name| {
        let request = encode(&Request { secret: [1; BYTES], name }).unwrap();
        admission.answer(&request, Some(&key), now).unwrap().bytes
    };
    let joining = Joining::new("b", admission.token().clone()).unwrap();
    // One of another key, of another name, and answers that are none.
    let [key, name] = ["b", "c"].map(|name| joining.take(&answer(name), now).err().unwrap().to_string());
    assert!(key.contains("keys may not be consistent") || key.contains("KeyMismatch"), "{key}");
    assert!(name.contains("not valid for name"), "{name}");
    let whole = answer("d");
    for damaged in [&[][..], &[VERSION], &whole[..whole.len() - 1], &[VERSION, 0, 1, 2, 1, 2]] {
        let error = joining.take(damaged, now).err().unwrap();
        assert!(matches!(error, JoinError::Damaged | JoinError::Certificate(_)), "{error}");
    }
}

#[test]
fn what_is_no_join_ends_and_takes_no_memory() {
    let folder = cluster();
    let admission = admission(folder.path(), &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = || {
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (socket, listener.accept().unwrap().0)
    };
    let (silent, accepted) = connect();
    let late = admission.admit(accepted, Duration::from_millis(20), SystemTime::now());
    assert!(matches!(late, Err(JoinError::Late)), "{late:?}");
    drop(silent);
    let (mut other, accepted) = connect();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let damaged = admission.admit(accepted, PATIENCE, SystemTime::now());
    assert!(matches!(damaged, Err(JoinError::Damaged)), "{damaged:?}");
    let (gone, accepted) = connect();
    drop(gone);
    let closed = admission.admit(accepted, PATIENCE, SystemTime::now());
    assert!(matches!(closed, Err(JoinError::Closed)), "{closed:?}");
}
