//! What was wrong with a capture's clock, in words.

use legonf_core::LONGEST_GAP;
use legonf_engine::ClockReport;

/// A line of a summary.
pub fn text(report: &ClockReport) -> String {
    let found = [
        overtaken(report),
        counted(report.steps_back, "step back", report.seconds_back),
        counted(report.jumps, "jump ahead", report.seconds_ahead),
    ];
    let found = found.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let schema = &report.schema;
    let rule = match report.left_out {
        _ if report.steps_back + report.jumps == 0 => String::new(),
        true => format!(": {schema} goes on as if no time had passed"),
        false => format!(": {schema} takes them as they are, as the reference does"),
    };
    format!("clock       {found}; first at packet {} (from 0){rule}\n", report.first_seq)
}

fn overtaken(report: &ClockReport) -> Option<String> {
    let packets = if report.reordered == 1 { "packet" } else { "packets" };
    (report.reordered > 0).then(|| format!("{} {packets} behind others by up to 1 s", report.reordered))
}

/// How often something happened, with the time that it made in all.
fn counted(times: u64, what: &str, seconds: f64) -> Option<String> {
    let plural = match what.split_once(' ') {
        Some((noun, rest)) if times != 1 => format!("{noun}s {rest}"),
        _ => what.to_owned(),
    };
    (times > 0).then(|| format!("{times} {plural} ({})", span(seconds)))
}

/// A time in a unit in which it can be read.
fn span(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    match seconds {
        s if s <= LONGEST_GAP.as_secs_f64() => format!("{s:.1} s"),
        s if s < 2.0 * DAY => format!("{:.1} h", s / 3_600.0),
        s if s < 730.0 * DAY => format!("{:.1} days", s / DAY),
        s => format!("{:.1} years", s / (365.25 * DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Clock, Timestamp};

    fn report(seconds: &[i64], schema: &str) -> Option<ClockReport> {
        let mut clock = Clock::default();
        for (second, seq) in seconds.iter().zip(0..) {
            clock.shift(seq, Timestamp::new(*second, 0));
        }
        ClockReport::of(&clock, schema)
    }

    #[test]
    fn a_clock_in_order_is_not_spoken_of() {
        assert_eq!(report(&[], "kitsune-115"), None);
        assert_eq!(report(&[1, 2, 900], "kitsune-115-clean"), None);
    }

    #[test]
    fn what_was_wrong_is_counted_with_the_rule() {
        let words = |seconds: &[i64], schema| text(&report(seconds, schema).unwrap());
        assert_eq!(
            words(&[0, 1, 864_001, 864_002, 1_728_002], "kitsune-115-clean"),
            "clock       2 jumps ahead (20.0 days); first at packet 2 (from 0): kitsune-115-clean goes on as if no time had passed\n"
        );
        assert_eq!(
            words(&[100, 40, 41], "kitsune-py-100"),
            "clock       1 step back (60.0 s); first at packet 1 (from 0): kitsune-py-100 takes them as they are, as the reference does\n"
        );
        assert_eq!(
            words(&[100, 99, 100], "kitsune-115-clean"),
            "clock       1 packet behind others by up to 1 s; first at packet 1 (from 0)\n"
        );
        let json = serde_json::to_value(report(&[0, 3_155_760_000], "kitsune-115")).unwrap();
        assert_eq!((&json["jumps"], &json["left_out"]), (&1.into(), &false.into()));
        assert_eq!((&json["seconds_ahead"], &json["first_seq"]), (&3_155_760_000.0.into(), &1.into()));
        assert_eq!((span(3_155_760_000.0), span(7_200.0)), ("100.0 years".into(), "2.0 h".into()));
    }
}
