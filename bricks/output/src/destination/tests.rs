use super::*;
use crate::{Existing, check, open_resumable};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn refused(path: &Path) -> String {
    let checked = check(path, Existing::Replace).unwrap_err().to_string();
    let opened = Destination::open(path).unwrap_err().to_string();
    assert_eq!(checked, opened);
    opened
}

#[test]
fn a_link_stays_and_its_file_changes() {
    let dir = folder();
    let (file, link) = (dir.path().join("sub/real"), dir.path().join("link"));
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(&file, "old").unwrap();
    symlink("sub/real", &link).unwrap();
    write(&link, b"new").unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(
        (names(dir.path()), names(&dir.path().join("sub"))),
        (vec!["link".into(), "sub".into()], vec!["real".into()])
    );
}

#[test]
fn a_link_that_leads_nowhere_is_refused() {
    let dir = folder();
    let link = dir.path().join("link");
    symlink("none", &link).unwrap();
    assert_eq!(
        refused(&link),
        "it is a link to none, which does not exist; make that file, or remove the link"
    );
    assert_eq!(names(dir.path()), ["link"]);
}

#[test]
fn a_planted_partial_file_is_not_written_through() {
    let dir = folder();
    let (path, partial, victim) =
        (dir.path().join("out"), dir.path().join("out.partial"), dir.path().join("victim"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &partial).unwrap();
    assert!(refused(&path).ends_with("out.partial is in the way: it is not a file of its own; remove it"));
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&victim, &partial).unwrap();
    write(&path, b"new").unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert_eq!(names(dir.path()), ["out", "victim"]);
}

#[test]
fn a_download_goes_on_only_in_a_file_of_its_own() {
    let dir = folder();
    let (partial, victim) = (dir.path().join("f.partial"), dir.path().join("victim"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &partial).unwrap();
    let refusal = |path: &Path| open_resumable(path).unwrap_err().to_string();
    assert!(refusal(&partial).ends_with("f.partial is in the way: it is not a file of its own; remove it"));
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&victim, &partial).unwrap();
    assert!(refusal(&partial).contains("in the way"));
    fs::remove_file(&partial).unwrap();
    fs::write(&partial, "begun").unwrap();
    let first = open_resumable(&partial).unwrap();
    assert!(refusal(&partial).ends_with("f.partial is being written by another run"));
    assert_eq!(first.metadata().unwrap().len(), 5);
}

#[test]
fn what_an_earlier_run_left_makes_way_and_a_running_one_does_not() {
    let dir = folder();
    let path = dir.path().join("out");
    fs::write(dir.path().join("out.partial"), "of an earlier run").unwrap();
    let mut first = Destination::open(&path).unwrap();
    assert!(refused(&path).ends_with("out.partial is being written by another run"));
    first.file().write_all(b"whole").unwrap();
    first.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
}

#[test]
fn a_file_that_appears_meanwhile_is_left_alone() {
    let dir = folder();
    let path = dir.path().join("out");
    let mut out = Destination::open(&path).unwrap();
    out.file().write_all(b"result").unwrap();
    fs::write(&path, "of another").unwrap();
    let error = out.finish().unwrap_err().to_string();
    assert!(error.starts_with("a file of this name has appeared meanwhile; it is left alone"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"of another");
    assert_eq!(fs::read(dir.path().join("out.partial")).unwrap(), b"result");
}

#[test]
fn a_partial_file_that_was_exchanged_gets_no_name() {
    let dir = folder();
    let (path, partial) = (dir.path().join("out"), dir.path().join("out.partial"));
    let mut out = Destination::open(&path).unwrap();
    fs::remove_file(&partial).unwrap();
    fs::write(&partial, "planted").unwrap();
    assert!(
        out.finish().unwrap_err().to_string().ends_with("out.partial was taken away while it was written")
    );
    assert_eq!(names(dir.path()), ["out.partial"]);
}

#[test]
fn what_exists_is_kept_unless_it_is_empty_or_may_go() {
    let dir = folder();
    let path = dir.path().join("out");
    check(&path, Existing::Keep).unwrap();
    fs::write(&path, "").unwrap();
    check(&path, Existing::Keep).unwrap();
    fs::write(&path, "mine").unwrap();
    let error = check(&path, Existing::Keep).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(error.to_string(), "it exists already; give another name, or --force to replace it");
    check(&path, Existing::Replace).unwrap();
    assert_eq!(
        check(&dir.path().join("none/out"), Existing::Keep).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
    assert_eq!(check(dir.path(), Existing::Replace).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn a_pipe_is_written_to_and_stays() {
    let dir = folder();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    check(&pipe, Existing::Keep).unwrap();
    write(&pipe, b"through").unwrap();
    assert_eq!(reader.join().unwrap(), b"through");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(names(dir.path()), ["pipe"]);
}

#[test]
fn a_socket_is_refused() {
    let dir = folder();
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    assert_eq!(refused(&path), "it is a socket; expected a file, a pipe or a device");
}

#[test]
fn a_new_file_is_no_more_open_than_the_old_one() {
    let dir = folder();
    let path = dir.path().join("out");
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    write(&path, b"new").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let error = write(Path::new("/dev/full"), b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    assert!(!Path::new("/dev/full.partial").exists());
}
