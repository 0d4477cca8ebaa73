//! What a replay was like second by second, to be looked at again: the file `playback.jsonl` in a folder of results.
//!
//! A second is one of packet time, so that the file is the same bytes whatever the layout was and however fast the replay ran. There are
//! [so many](SECONDS) at most; of a longer capture each line is of two seconds, of four, and so on.

mod keeper;

pub(crate) use keeper::{Keeper, Kept};

use crate::monitor::{Accounts, Facts, Moment, Monitor};
use crate::{Error, reading};
use legonf_core::{Coverage, Incident, Plan, Snapshot, StageLoad};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The file of a folder.
pub(crate) const FILE: &str = "playback.jsonl";
/// Of this form.
const FORM: u32 = 1;
/// Seconds of a file, at most.
const SECONDS: usize = 3_600;
/// Incidents of a file, at most: those of most weight.
const INCIDENTS: usize = 1_000;
/// Bricks of a graph, and seconds of a capture, that are believed.
const BRICKS: usize = 1_000;
const LONGEST: f64 = 1e10;

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
enum Entry {
    /// The first one.
    Begin {
        form: u32,
        /// Seconds of packet time of a line.
        step: f64,
        facts: Facts,
    },
    Second(Second),
    Incident {
        /// Seconds of packet time to the first and to the last alert.
        from: f64,
        to: f64,
        incident: Box<Incident>,
    },
    /// The last one: without it the file is not whole.
    End {
        /// Lines of seconds.
        seconds: u64,
    },
}

/// Where packets went up to a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Its end, in seconds of packet time since the first packet.
    at: f64,
    #[serde(flatten)]
    coverage: Coverage,
    alerts: u64,
    warming_up: u64,
    /// The highest score in it.
    peak: Option<f64>,
}

/// A replay as it was.
#[derive(Debug)]
pub struct Playback {
    step: f64,
    facts: Facts,
    seconds: Vec<Second>,
    incidents: Vec<(f64, f64, Arc<Incident>)>,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("it is not whole; run the replay again")]
    Truncated,
    #[error("line {0} is not what `legonf replay --out` writes: {1}")]
    Line(usize, String),
    #[error("it is of form {0}, and this program reads form {FORM}")]
    Form(u32),
}

impl Playback {
    /// Reads what a folder of results holds.
    ///
    /// # Errors
    /// If it holds none, or one that is not whole or not sound; says so in one line.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        if !path.exists() {
            let reason = format!("holds no {FILE}; `legonf replay --out` writes it for a capture of packets");
            return Err(Error::file(folder, reason));
        }
        reading::parsed(&path, reading::DOCUMENT, Self::parse)
    }

    fn parse(text: &str) -> Result<Self, Damage> {
        let damaged = |line: usize, reason: &dyn ToString| Damage::Line(line, reason.to_string());
        let entries = text.lines().enumerate().map(|(at, line)| {
            serde_json::from_str(line).map(|entry: Entry| (at + 1, entry)).map_err(|error| {
                let is_last = at + 1 == text.lines().count() && !text.ends_with('\n');
                if is_last { Damage::Truncated } else { damaged(at + 1, &error) }
            })
        });
        let mut entries = entries.peekable();
        let mut played = match entries.next().transpose()? {
            Some((_, Entry::Begin { form: FORM, step, facts })) => {
                let is_sound = step > 0.0 && step <= LONGEST && facts.bricks.len() <= BRICKS;
                is_sound.then(|| Self { step, facts, seconds: Vec::new(), incidents: Vec::new() })
            }
            Some((_, Entry::Begin { form, .. })) => return Err(Damage::Form(form)),
            Some(_) => None,
            None => return Err(Damage::Truncated),
        }
        .ok_or_else(|| damaged(1, &"expected the begin"))?;
        for entry in entries {
            match entry? {
                (at, Entry::Second(second)) if played.follows(&second) => {
                    played.seconds.push(second);
                    if played.seconds.len() > SECONDS {
                        return Err(damaged(at, &"too many seconds"));
                    }
                }
                (_, Entry::Incident { from, to, incident })
                    if from <= to && to.abs() <= LONGEST && played.incidents.len() < INCIDENTS =>
                {
                    played.incidents.push((from, to, Arc::from(incident)));
                }
                (_, Entry::End { seconds }) if seconds == played.seconds.len() as u64 => return Ok(played),
                (at, _) => return Err(damaged(at, &"it is out of its place, or out of range")),
            }
        }
        Err(Damage::Truncated)
    }

    fn follows(&self, second: &Second) -> bool {
        let before = self.seconds.last().map_or(0.0, |second| second.at);
        second.at > before && second.at <= LONGEST && second.coverage.is_complete()
    }

    /// Seconds of packet time, in all.
    pub fn end(&self) -> f64 {
        self.seconds.last().map_or(0.0, |second| second.at)
    }

    /// The run as it was so many seconds after its first packet.
    pub fn at(&self, at: f64) -> Arc<Monitor> {
        let next = self.seconds.partition_point(|second| second.at <= at);
        let (moment, ended) = self.moment(next, at);
        let ended = (0..).zip(ended).collect();
        Monitor::played(self.facts.clone(), moment, ended)
    }

    /// The moments at the ends of up to so many seconds before that, each with its highest score.
    pub fn moments(&self, at: f64, most: usize) -> impl Iterator<Item = (Moment, Option<f64>)> {
        let next = self.seconds.partition_point(|second| second.at <= at);
        let first = next.saturating_sub(most);
        (first..next).map(|place| {
            let second = &self.seconds[place];
            (self.moment(place + 1, second.at).0, second.peak)
        })
    }

    /// What is known after so many lines, at a time; and the incidents that have ended.
    fn moment(&self, next: usize, at: f64) -> (Moment, Vec<Arc<Incident>>) {
        let none = Second::default();
        let line = |place: Option<usize>| place.and_then(|place| self.seconds.get(place)).unwrap_or(&none);
        let second = line(next.checked_sub(1));
        // In a time without packets nothing was added.
        let is_quiet = at >= second.at + self.step;
        let before = if is_quiet { second } else { line(next.checked_sub(2)) };
        let added = |of: fn(&Coverage) -> u64| of(&second.coverage).saturating_sub(of(&before.coverage));
        let (offered, dropped) = (added(|coverage| coverage.received), added(Coverage::lost));
        let is_over = next == self.seconds.len();
        let (ended, open) = self.incidents_at(at, is_over);
        let received = second.coverage.received;
        let ids = self.facts.bricks.iter().map(|brick| &*brick.id);
        let plan = Plan::pipeline(ids.filter(|id| ![Plan::SOURCE, Plan::SINK].contains(id)));
        let load = || StageLoad { packets: offered, ..StageLoad::default() };
        let snapshot = Snapshot {
            at,
            span: self.step,
            stages: plan.stages.iter().map(|_| load()).collect(),
            plan,
            offered,
            done: offered.saturating_sub(dropped),
            dropped,
            ..Snapshot::default()
        };
        let accounts = Accounts {
            coverage: second.coverage.clone(),
            alerts: second.alerts,
            warming_up: second.warming_up,
            open,
            ..Accounts::default()
        };
        let moment = Moment {
            version: next as u64,
            snapshot: Some(Arc::new(snapshot)),
            dropped: accounts.coverage.lost(),
            accounts: Arc::new(accounts),
            offered: received,
            done: received,
            closed: ended.len() as u64,
            is_over,
            ..Moment::default()
        };
        (moment, ended)
    }

    /// Those that have ended, the latest last, and those that go on, those with most packets first.
    fn incidents_at(&self, at: f64, is_over: bool) -> (Vec<Arc<Incident>>, Vec<Incident>) {
        let begun = self.incidents.iter().filter(|(from, ..)| *from <= at);
        let (mut ended, open): (Vec<_>, Vec<_>) = begun.partition(|(_, to, _)| is_over || *to < at);
        ended.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut open: Vec<_> = open.into_iter().map(|(.., incident)| Incident::clone(incident)).collect();
        open.sort_by_key(|incident| std::cmp::Reverse(incident.packets));
        (ended.into_iter().map(|(.., incident)| incident.clone()).collect(), open)
    }
}

#[cfg(test)]
mod tests;
