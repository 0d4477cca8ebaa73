//! What was above the threshold, minute by minute.

use legonf_core::Schema;
use legonf_decide::DecideError;
use legonf_decide::calibrate::Calibration;
use serde::Serialize;
use std::fmt::{self, Write};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
/// How many times the bound the share of a minute may be.
const MOST: f64 = 2.0;

/// A minute of stream time; a longer time where that has few packets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Minute {
    /// Seconds of stream time at which it begins.
    pub second: u64,
    /// Packets.
    pub packets: u64,
    /// Those above the threshold.
    pub above: u64,
    /// Their share.
    pub share: f64,
}

/// Counts packets, minute by minute.
pub(super) struct Minutes {
    begin: Duration,
    /// Packets that a minute has at least; it lasts longer where they are fewer.
    least: u64,
    packets: u64,
    above: u64,
    minutes: Vec<Minute>,
}

impl Minutes {
    /// Those from this time on, of traffic of which a share of `bound` may be above the threshold.
    pub fn new(begin: Duration, bound: f64) -> Self {
        let least = (MOST / bound).ceil() as u64;
        Self { begin, least, packets: 0, above: 0, minutes: Vec::new() }
    }

    /// Counts a packet.
    pub fn push(&mut self, elapsed: Duration, is_above: bool) {
        if elapsed < self.begin {
            return;
        }
        if elapsed >= self.begin + MINUTE && self.packets >= self.least {
            self.close();
            self.begin += MINUTE * ((elapsed - self.begin).as_secs() / MINUTE.as_secs()) as u32;
        }
        self.packets += 1;
        self.above += u64::from(is_above);
    }

    fn close(&mut self) {
        let (packets, above) = (std::mem::take(&mut self.packets), std::mem::take(&mut self.above));
        let share = above as f64 / packets.max(1) as f64;
        self.minutes.push(Minute { second: self.begin.as_secs(), packets, above, share });
    }

    /// All of them; what is left at the end is one if it has packets enough.
    pub fn finish(mut self) -> Vec<Minute> {
        if self.packets >= self.least {
            self.close();
        }
        self.minutes
    }
}

/// One traffic.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// Seed or capture.
    pub traffic: String,
    /// Packets of the training.
    pub training_packets: u64,
    /// Seconds of stream time of these.
    pub training_seconds: u64,
    /// Benign scores that the threshold was found from.
    pub calibration_packets: usize,
    /// The minutes of these.
    pub calibration_minutes: usize,
    /// Scores above it are anomalous; none where it was refused.
    pub threshold: Option<f64>,
    /// The share above the threshold that it stands for.
    pub bound: Option<f64>,
    /// Why there is no threshold, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Share above the threshold of the first minute.
    pub first_minute: f64,
    /// That of the worst one.
    pub worst_minute: f64,
    /// Minutes with more than twice the bound.
    pub above_twice_the_bound: usize,
    /// All minutes since the statistics had settled.
    pub minutes: Vec<Minute>,
}

/// All traffic.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The feature schema.
    pub schema: String,
    /// Seconds of stream time after which the statistics have settled: minutes are counted from there.
    pub settled_after_seconds: u64,
    /// The highest share above the threshold that one of them stands for; none where there is no threshold.
    pub bound: Option<f64>,
    /// The largest share above the threshold of any first minute.
    pub first_minute: f64,
    /// That of any minute.
    pub worst_minute: f64,
    /// Minutes in all.
    pub minutes: usize,
    /// Those with more than twice the bound.
    pub above_twice_the_bound: usize,
    /// Each traffic.
    pub runs: Vec<Run>,
}

impl Run {
    pub(super) fn of(
        traffic: String,
        (training_packets, training): (u64, Duration),
        found: &Calibration,
        minutes: Vec<Minute>,
    ) -> Self {
        let bound = found.false_positive_bound;
        Self {
            traffic,
            training_packets,
            training_seconds: training.as_secs(),
            calibration_packets: found.samples,
            calibration_minutes: found.minutes.unwrap_or(0),
            threshold: Some(found.threshold),
            bound: Some(bound),
            refused: None,
            first_minute: minutes.first().map_or(0.0, |minute| minute.share),
            worst_minute: worst(minutes.iter().map(|minute| minute.share)),
            above_twice_the_bound: minutes.iter().filter(|minute| minute.share > MOST * bound).count(),
            minutes,
        }
    }

    pub(super) fn refused(traffic: String, error: &DecideError) -> Self {
        Self { traffic, refused: Some(error.to_string()), ..Self::default() }
    }
}

impl Report {
    pub(super) fn of(schema: &Schema, runs: Vec<Run>) -> Self {
        Self {
            schema: schema.name.clone(),
            settled_after_seconds: schema.settling_time().as_secs(),
            bound: runs.iter().filter_map(|run| run.bound).reduce(f64::max),
            first_minute: worst(runs.iter().map(|run| run.first_minute)),
            worst_minute: worst(runs.iter().map(|run| run.worst_minute)),
            minutes: runs.iter().map(|run| run.minutes.len()).sum(),
            above_twice_the_bound: runs.iter().map(|run| run.above_twice_the_bound).sum(),
            runs,
        }
    }

    /// Why the experiment has failed, if so.
    pub fn failure(&self) -> Option<String> {
        if let Some(run) = self.runs.iter().find(|run| run.refused.is_some()) {
            return Some(format!(
                "{}: no threshold: {}",
                run.traffic,
                run.refused.as_deref().unwrap_or_default()
            ));
        }
        let (above, minutes) = (self.above_twice_the_bound, self.minutes);
        let failure =
            || format!("{above} of {minutes} minutes have more than twice the bound above the threshold");
        (above > 0).then(failure)
    }
}

fn worst(shares: impl Iterator<Item = f64>) -> f64 {
    shares.fold(0.0, f64::max)
}

/// The report as text: a line for each traffic, then a table with a line for each minute.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(report, &mut out);
    out
}

fn write_text(report: &Report, out: &mut String) -> fmt::Result {
    let Report { schema, minutes, above_twice_the_bound: above, .. } = report;
    let percent = |share: f64| format!("{:.4}%", 100.0 * share);
    writeln!(out, "schema        {schema}, settled after {} s", report.settled_after_seconds)?;
    writeln!(out, "bound         {}", report.bound.map_or_else(|| "none".into(), percent))?;
    writeln!(out, "first minute  {} at most", percent(report.first_minute))?;
    writeln!(out, "worst minute  {}", percent(report.worst_minute))?;
    writeln!(out, "minutes       {minutes}, {above} of them above twice the bound")?;
    report.runs.iter().try_for_each(|run| write_run(run, out))?;
    write_minutes(&report.runs, out)
}

fn write_run(run: &Run, out: &mut String) -> fmt::Result {
    if let Some(reason) = &run.refused {
        return writeln!(out, "{}: no threshold: {reason}", run.traffic);
    }
    writeln!(
        out,
        "{}: trained on {} packets of {} s, threshold {:.4} from {} minutes",
        run.traffic,
        run.training_packets,
        run.training_seconds,
        run.threshold.unwrap_or_default(),
        run.calibration_minutes
    )
}

/// Shares in percent: a line for each minute, a column for each traffic.
fn write_minutes(runs: &[Run], out: &mut String) -> fmt::Result {
    let longest = runs.iter().map(|run| run.minutes.len()).max().unwrap_or(0);
    writeln!(out, "\nabove the threshold, in % of each minute's packets")?;
    for at in 0..longest {
        let second = runs.iter().find_map(|run| run.minutes.get(at)).map_or(0, |minute| minute.second);
        write!(out, "{second:>6} s")?;
        for run in runs {
            let cell = run.minutes.get(at).map(|minute| format!("{:.3}", 100.0 * minute.share));
            write!(out, " {:>6}", cell.unwrap_or_default())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_begin_when_the_statistics_have_settled_and_have_packets_enough() {
        let mut minutes = Minutes::new(Duration::from_secs(10), 0.1);
        for second in 0..190 {
            minutes.push(Duration::from_secs(second), (70..73).contains(&second));
        }
        let minutes = minutes.finish();
        assert_eq!(minutes.iter().map(|minute| minute.second).collect::<Vec<_>>(), [10, 70, 130]);
        assert_eq!((minutes[1].packets, minutes[1].above, minutes[1].share), (60, 3, 0.05));
        // Twenty packets are the least of which one is half of a tenth.
        let mut few = Minutes::new(Duration::ZERO, 0.1);
        (0..21).for_each(|at| few.push(Duration::from_secs(at * 10), false));
        assert_eq!(few.finish().iter().map(|minute| minute.packets).collect::<Vec<_>>(), [20]);
    }
}
