use super::*;
use crate::monitor::BrickFacts;
use legonf_core::{State, Timestamp};
use std::fs;

fn facts() -> Facts {
    let brick = |id: &str| BrickFacts { id: id.into(), kind: String::new(), state: State::Stateless };
    Facts {
        graph: "a".into(),
        bricks: ["source", "b", "sink"].map(brick).into(),
        threshold: Some(0.5),
        ..Facts::default()
    }
}

/// Feeds packets at these nanoseconds, each with its number as its score.
fn kept(times: impl IntoIterator<Item = i64>) -> Kept {
    let (mut keeper, mut coverage) = (Keeper::default(), Coverage::default());
    for nanos in times {
        let time = Timestamp::from_nanos(nanos);
        if keeper.is_over(time) {
            keeper.next(time, coverage.clone(), coverage.scored / 2, 0);
        }
        keeper.score(coverage.scored as f64);
        coverage.score(1);
    }
    let alerts = coverage.scored / 2;
    keeper.conclude(coverage, alerts, 0).unwrap()
}

fn incident(from: i64, to: i64, packets: u64) -> Incident {
    Incident { stream: (from, to), packets, first_seq: packets, ..Incident::default() }
}

const SECOND: i64 = 1_000_000_000;

fn played() -> String {
    let begin = 1_700_000_000 * SECOND;
    let times = [0, 1, SECOND, SECOND + 1, SECOND + 2, 5 * SECOND].map(|time| begin + time);
    let found = [incident(begin + SECOND, begin + 2 * SECOND, 3), incident(begin, begin + 5 * SECOND, 2)];
    kept(times).text(facts(), &found).unwrap()
}

#[test]
fn a_run_is_there_again_at_any_moment() {
    let playback = Playback::parse(&played()).unwrap();
    assert_eq!(playback.end(), 6.0);
    let at = |at: f64| {
        let monitor = playback.at(at);
        let moment = monitor.moment();
        let snapshot = moment.snapshot.unwrap();
        let received = moment.accounts.coverage.received;
        (received, snapshot.offered, moment.accounts.open.len(), moment.closed, moment.is_over)
    };
    assert_eq!(at(0.0), (0, 0, 1, 0, false));
    assert_eq!(at(1.0), (2, 2, 2, 0, false));
    assert_eq!(at(2.5), (5, 3, 1, 1, false));
    assert_eq!(at(4.0), (5, 0, 1, 1, false), "nothing came");
    assert_eq!(at(6.0), (6, 1, 0, 2, true));
    assert_eq!(at(1e9), (6, 0, 0, 2, true));
    let monitor = playback.at(3.0);
    assert_eq!(monitor.facts(), &facts());
    assert_eq!(monitor.incidents(9).len(), 1);
    let change = crate::monitor::Change::Drain { replica: "a".into() };
    assert!(monitor.ask(change, |_| ()).unwrap_err().to_string().contains("played again"));
    let peaks: Vec<_> = playback.moments(9.0, 2).map(|(moment, peak)| (moment.offered, peak)).collect();
    assert_eq!(peaks, [(5, Some(4.0)), (6, Some(5.0))]);
}

#[test]
fn a_long_capture_has_longer_lines_and_no_more_of_them() {
    for packets in [SECONDS as i64, SECONDS as i64 + 1, 20_000, 100_000] {
        let text = kept((0..packets).map(|at| at * SECOND)).text(facts(), &[]).unwrap();
        let playback = Playback::parse(&text).unwrap();
        assert!(playback.seconds.len() <= SECONDS && playback.seconds.len() * 3 > SECONDS, "{packets}");
        let last = playback.seconds.last().unwrap();
        assert_eq!((last.coverage.received, last.peak), (packets as u64, Some(packets as f64 - 1.0)));
        for pair in playback.seconds.windows(2) {
            assert!((pair[1].at - pair[0].at - playback.step).abs() < 1e-6);
            assert_eq!(pair[1].coverage.received, pair[1].at.min(packets as f64) as u64);
        }
    }
    // A clock that jumps, back and to the end of time.
    let text = kept([5, 0, i64::MAX, i64::MAX, i64::MIN, 7]).text(facts(), &[]).unwrap();
    assert_eq!(Playback::parse(&text).unwrap().seconds.last().unwrap().coverage.received, 6);
}

#[test]
fn incidents_are_bounded_too() {
    let many: Vec<_> = (0..INCIDENTS as i64 + 10).map(|at| incident(at, at, at as u64)).collect();
    let playback = Playback::parse(&kept([0]).text(facts(), &many).unwrap()).unwrap();
    assert_eq!(playback.incidents.len(), INCIDENTS);
    assert_eq!(playback.incidents[0].2.packets, 10);
}

#[test]
fn what_is_not_whole_or_not_sound_is_refused_in_a_line() {
    let whole = played();
    for end in 0..whole.len() {
        let Some(part) = whole.get(..end) else { continue };
        // The last line is whole without its end.
        if end + 1 < whole.len() {
            assert!(Playback::parse(part).is_err(), "{part}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &[u8]| {
        fs::write(folder.path().join(FILE), text).unwrap();
        let line = Playback::open(folder.path()).unwrap_err().to_string();
        assert!(line.lines().count() == 1 && line.contains(FILE), "{line}");
        line
    };
    let cut = &whole[..whole.len() / 2];
    assert!(refused(cut.as_bytes()).contains("not whole"));
    assert!(refused(b"").contains("not whole"));
    assert!(refused(&[0xff; 100]).contains("UTF-8"));
    assert!(refused(b"{}\n{}\n").contains("line 1"));
    let lines: Vec<_> = whole.lines().collect();
    let swapped = [&[lines[0], lines[2], lines[1]], &lines[3..]].concat().join("\n");
    assert!(refused(swapped.as_bytes()).contains("line 3"));
    for (from, to, words) in [
        ("\"form\":1", "\"form\":2", "form 2"),
        ("\"step\":1.0", "\"step\":0.0", "line 1"),
        ("\"step\":1.0", "\"step\":1e300", "line 1"),
        ("\"received\":5", "\"received\":4", "out of range"),
        ("\"at\":6.0", "\"at\":1e300", "out of range"),
        ("\"from\":1.0", "\"from\":7.0", "out of range"),
        ("\"seconds\":3", "\"seconds\":4", "out of its place"),
    ] {
        assert!(whole.contains(from), "{from}: {whole}");
        assert!(refused(whole.replacen(from, to, 1).as_bytes()).contains(words), "{to}");
    }
    fs::remove_file(folder.path().join(FILE)).unwrap();
    let line = Playback::open(folder.path()).unwrap_err().to_string();
    assert!(line.contains("holds no playback.jsonl") && line.contains("replay --out"), "{line}");
}
