//! Two sides that propose at once get one answer.
#![allow(clippy::unwrap_used)]

mod common;

#[test]
fn two_sides_agree_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    (0..50).for_each(|number| {
        common::contest(folder.path().to_str().unwrap(), &format!("run-{number}"));
    });
}
