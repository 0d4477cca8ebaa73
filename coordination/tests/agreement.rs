//! Two sides that propose at once get one answer.
#![allow(clippy::unwrap_used)]

use legonf_coordination::open;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

const SIDES: [&str; 2] = ["primary", "standby"];

/// What both sides are told when they propose at the same moment.
fn contest(place: &str, run: &str) -> [String; 2] {
    let start = Barrier::new(2);
    let ask = |side| {
        let place = open(place).unwrap();
        start.wait();
        place.decide(run, side).unwrap()
    };
    thread::scope(|scope| SIDES.map(|side| scope.spawn(move || ask(side))).map(|asked| asked.join().unwrap()))
}

/// Contests of 50 runs, by winner.
fn contests(place: &str) -> BTreeSet<String> {
    let winner = |number| {
        let [first, second] = contest(place, &format!("run-{number}"));
        assert_eq!(first, second, "run {number}");
        assert!(SIDES.contains(&first.as_str()), "{first}");
        let standing = open(place).unwrap().decision(&format!("run-{number}")).unwrap();
        assert_eq!(standing.as_deref(), Some(first.as_str()));
        first
    };
    (0..50).map(winner).collect()
}

#[test]
fn two_sides_agree_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    contests(folder.path().to_str().unwrap());
}
