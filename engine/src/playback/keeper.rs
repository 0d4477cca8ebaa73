//! Keeps what is needed to look at a replay again.

use super::{Entry, FORM, INCIDENTS, SECONDS, Second};
use crate::Error;
use crate::monitor::Facts;
use legonf_core::{Coverage, Incident, Timestamp};

const NANOS: i64 = 1_000_000_000;

/// Where packets went, second by second, while a replay goes on: as much memory as [`SECONDS`] lines take.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Stream time of the first packet.
    begin: Option<Timestamp>,
    /// Nanoseconds of a line.
    step: i64,
    /// Number of the line that goes on, and the time at which it is over.
    current: i64,
    due: i64,
    peak: Option<f64>,
    seconds: Vec<(i64, Second)>,
}

/// What was kept of a whole replay.
#[derive(Debug)]
pub(crate) struct Kept {
    begin: Timestamp,
    step: f64,
    seconds: Vec<Second>,
}

/// Adds what a line has, behind the last one or to it.
fn put(seconds: &mut Vec<(i64, Second)>, (line, second): (i64, Second)) {
    match seconds.last_mut().filter(|(last, _)| *last == line) {
        Some((_, last)) => {
            let peak = [last.peak, second.peak].into_iter().flatten().reduce(f64::max);
            *last = Second { peak, ..second };
        }
        None => seconds.push((line, second)),
    }
}

impl Default for Keeper {
    fn default() -> Self {
        Self { begin: None, step: NANOS, current: 0, due: i64::MIN, peak: None, seconds: Vec::new() }
    }
}

impl Keeper {
    fn line(&self, time: Timestamp, begin: Timestamp) -> i64 {
        time.as_nanos().saturating_sub(begin.as_nanos()).div_euclid(self.step)
    }

    /// Whether the second that goes on is over before a packet of this time; so it is before the first one.
    #[inline]
    pub fn is_over(&self, time: Timestamp) -> bool {
        time.as_nanos() >= self.due
    }

    /// Ends the second before a packet of this time.
    pub fn next(&mut self, time: Timestamp, coverage: Coverage, alerts: u64, warming_up: u64) {
        match self.begin {
            Some(begin) => {
                self.end(coverage, alerts, warming_up);
                self.current = self.line(time, begin);
            }
            None => self.begin = Some(time),
        }
        if self.seconds.len() >= SECONDS {
            self.halve();
        }
        let next = (self.current + 1).saturating_mul(self.step);
        self.due = self.begin.unwrap_or(time).as_nanos().saturating_add(next);
    }

    /// Takes a score.
    #[inline]
    pub fn score(&mut self, score: f64) {
        if score.is_finite() && self.peak.is_none_or(|peak| score > peak) {
            self.peak = Some(score);
        }
    }

    fn end(&mut self, coverage: Coverage, alerts: u64, warming_up: u64) {
        let second = Second { at: 0.0, coverage, alerts, warming_up, peak: self.peak.take() };
        put(&mut self.seconds, (self.current, second));
    }

    /// Lines become twice as long, until there is room.
    fn halve(&mut self) {
        while self.seconds.len() > SECONDS / 2 {
            (self.step, self.current) = (self.step.saturating_mul(2), self.current / 2);
            let mut merged = Vec::with_capacity(SECONDS);
            self.seconds.drain(..).for_each(|(line, second)| put(&mut merged, (line / 2, second)));
            self.seconds = merged;
        }
    }

    /// Ends the last second; nothing where no packet came.
    pub fn conclude(mut self, coverage: Coverage, alerts: u64, warming_up: u64) -> Option<Kept> {
        let begin = self.begin?;
        self.end(coverage, alerts, warming_up);
        let step = self.step as f64 / NANOS as f64;
        let timed = |(line, second)| Second { at: (line + 1) as f64 * step, ..second };
        Some(Kept { begin, step, seconds: self.seconds.into_iter().map(timed).collect() })
    }
}

impl Kept {
    /// As a file.
    pub fn text(self, facts: Facts, incidents: &[Incident]) -> Result<String, Error> {
        let begin = Entry::Begin { form: FORM, step: self.step, facts };
        let since = |nanos: i64| nanos.saturating_sub(self.begin.as_nanos()).max(0) as f64 / NANOS as f64;
        let mut told: Vec<_> = incidents.iter().collect();
        if told.len() > INCIDENTS {
            told.sort_by(|a, b| (b.packets, a.first_seq).cmp(&(a.packets, b.first_seq)));
            told.truncate(INCIDENTS);
            told.sort_by_key(|incident| incident.first_seq);
        }
        let incident = |incident: &Incident| {
            let (from, to) = (since(incident.stream.0), since(incident.stream.1));
            Entry::Incident { from, to: to.max(from), incident: incident.clone().into() }
        };
        let end = Entry::End { seconds: self.seconds.len() as u64 };
        let seconds = self.seconds.into_iter().map(Entry::Second);
        let entries = [begin].into_iter().chain(seconds).chain(told.into_iter().map(incident)).chain([end]);
        let mut text = String::new();
        for entry in entries {
            text += &(serde_json::to_string(&entry)? + "\n");
        }
        Ok(text)
    }
}
