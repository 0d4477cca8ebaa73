use super::*;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

fn open(path: &Path, rotate: Option<u64>) -> LineStream {
    LineStream::open(path.as_os_str(), Rotation { size: rotate, ..Rotation::default() }).unwrap()
}

#[test]
fn a_file_is_appended_to_and_readable_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    fs::write(&path, "old\ncut").unwrap();
    let mut stream = open(&path, None);
    stream.put(b"new\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old\ncut\nnew\n");
    stream.finish().unwrap();
}

#[test]
fn files_rotate_between_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    fs::write(dir.path().join("eve.json.7"), "of an earlier run\n").unwrap();
    let mut stream = open(&path, Some(8));
    stream.put(b"1\n2\n3\n4\n5\n").unwrap();
    stream.put(b"a line that is too long\n6\n").unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("eve.json.3"), "1\n2\n3\n4\n");
    assert_eq!(read("eve.json.2"), "5\n");
    assert_eq!(read("eve.json.1"), "a line that is too long\n");
    assert_eq!(read("eve.json"), "6\n");
    assert_eq!(read("eve.json.7"), "of an earlier run\n");
}

#[test]
fn a_socket_needs_no_reader_to_begin_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let name = format!("unix:{}", path.display());
    let mut stream = LineStream::open(OsStr::new(&name), Rotation::default()).unwrap();
    stream.put(b"line\n").unwrap();
    assert!(!stream.is_read() && stream.name() == name);
    let listener = UnixListener::bind(&path).unwrap();
    stream.tend().unwrap();
    let (mut reader, _) = listener.accept().unwrap();
    let mut line = [0; 5];
    reader.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"line\n");
    drop((reader, listener));
    stream.put(b"lost\n").unwrap();
    stream.finish().unwrap();
    assert_eq!((stream.is_read(), stream.loss().units), (false, 1));
    let missing =
        LineStream::open(OsStr::new("unix:/nonesuch/s"), Rotation::default()).unwrap_err().to_string();
    assert_eq!(missing, "cannot create unix:/nonesuch/s: its folder is not a folder");
}

#[test]
fn a_file_that_others_rename_is_gone_on_with_until_it_is_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("eve.json"), dir.path().join("eve.json-1"));
    let mut stream = open(&path, None);
    stream.put(b"1\n").unwrap();
    fs::rename(&path, &old).unwrap();
    stream.put(b"2\n").unwrap();
    stream.tend().unwrap();
    assert!(!path.exists());
    stream.reopen();
    stream.put(b"3\n").unwrap();
    stream.reopen();
    stream.put(b"4\n").unwrap();
    assert_eq!((fs::read(&old).unwrap(), fs::read(&path).unwrap()), (b"1\n2\n".to_vec(), b"3\n4\n".to_vec()));
    fs::remove_file(&path).unwrap();
    stream.tend().unwrap();
    stream.put(b"5\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"5\n");
    assert_eq!(stream.loss(), Loss::default());
}

#[test]
fn a_rotation_leaves_alone_what_others_put_in_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let (path, old) = (dir.path().join("eve.json"), dir.path().join("old"));
    let mut stream = open(&path, Some(4));
    stream.put(b"1\n2\n").unwrap();
    fs::rename(&path, &old).unwrap();
    fs::write(&path, "of others\n").unwrap();
    stream.put(b"3\n").unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(
        (read("old"), read("eve.json.1"), read("eve.json")),
        ("1\n2\n".into(), "of others\n".into(), "3\n".into())
    );
}

#[test]
fn a_file_that_is_truncated_in_place_has_no_hole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.csv");
    let mut stream = LineStream::fresh(&path, Framing::Lines, Rotation::default()).unwrap();
    stream.begin_with(b"head\n").unwrap();
    stream.put(b"1\n2\n").unwrap();
    fs::copy(&path, dir.path().join("scores.csv.1")).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    stream.put(b"3\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"head\n3\n");
}

#[test]
fn files_rotate_by_their_age_where_they_hold_something() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scores.csv");
    let rotation = Rotation { time: Some(Duration::ZERO), keep: Some(2), ..Rotation::default() };
    let mut stream = LineStream::fresh(&path, Framing::Lines, rotation).unwrap();
    stream.begin_with(b"head\n").unwrap();
    for line in ["1\n", "2\n", "3\n"] {
        stream.put(line.as_bytes()).unwrap();
        stream.tend().unwrap();
        // Nothing came since.
        stream.tend().unwrap();
    }
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let kept = ["scores.csv.2", "scores.csv.1", "scores.csv"].map(read);
    assert_eq!(kept, ["head\n2\n", "head\n3\n", "head\n"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_rotation_that_cannot_be_done_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("eve.json");
    let rotation = Rotation { size: Some(2), keep: Some(1), ..Rotation::default() };
    // A folder is no file of ours that could be removed.
    fs::create_dir(dir.path().join("eve.json.1")).unwrap();
    let mut stream = LineStream::open(path.as_os_str(), rotation).unwrap();
    stream.put(b"1\n2\n3\n").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"1\n2\n3\n");
    let Loss { units, reason } = stream.loss();
    assert!(units == 0 && reason.is_some());
}

#[test]
fn what_is_there_makes_way_for_a_new_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.pcapng");
    fs::write(&path, "old").unwrap();
    let stream = LineStream::fresh(&path, Framing::Blocks, Rotation::default()).unwrap();
    assert_eq!(fs::read(dir.path().join("record.pcapng.1")).unwrap(), b"old");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(stream);
    drop(LineStream::fresh(&path, Framing::Blocks, Rotation::default()).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_full_disk_is_a_counted_loss() {
    let mut stream = open(Path::new("/dev/full"), None);
    stream.put(b"x\ny\n").unwrap();
    assert_eq!(stream.loss(), Loss { units: 2, reason: Some("the disk is full".into()) });
}

#[test]
fn a_folder_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = LineStream::open(dir.path().as_os_str(), Rotation::default()).unwrap_err().to_string();
    assert!(error.ends_with("it is a folder"), "{error}");
}
