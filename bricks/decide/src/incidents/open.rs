//! The incident of a source that may go on.

use super::Seen;
use super::part::Part;
use legonf_core::{Activity, Hasher, Notice, Origin};

/// Nanoseconds of alerts by which it is told what a source does; when that changes, another incident begins.
const WINDOW: i64 = 10_000_000_000;

/// Alerts of a source without a long gap.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub source: Origin,
    /// Windows that have ended, with what the source did in them.
    before: Option<(Part, Activity)>,
    /// The window that goes on.
    window: Part,
    /// The highest score that was told of; none where the next alert is the first of an incident.
    told: Option<f64>,
}

impl Open {
    pub fn new(source: Origin, seen: &Seen<'_>, hasher: &Hasher) -> Self {
        Self { source, before: None, window: Part::of(seen, hasher), told: None }
    }

    /// Packets so far.
    pub fn packets(&self) -> u64 {
        self.window.packets + self.before.as_ref().map_or(0, |(part, _)| part.packets)
    }

    /// Number of its first packet.
    pub fn first_seq(&self) -> u64 {
        self.before.as_ref().map_or(self.window.first_seq, |(part, _)| part.first_seq)
    }

    /// Stream time of its last alert.
    pub fn end(&self) -> i64 {
        self.window.end
    }

    /// Takes the next alert, and gives the incident that ended because the source did something else, if so.
    pub fn add(&mut self, seen: &Seen<'_>, hasher: &Hasher) -> Option<(Part, Activity)> {
        if seen.stream().saturating_sub(self.window.begin) < WINDOW {
            self.window.add(seen, hasher);
            return None;
        }
        let window = std::mem::replace(&mut self.window, Part::of(seen, hasher));
        let ended = self.roll(window);
        if ended.is_some() {
            self.told = None;
        }
        ended
    }

    /// What the alert that was taken last is to its incident.
    pub fn notice(&mut self, score: f64) -> Notice {
        let Some(told) = self.told else {
            self.told = Some(score);
            return Notice::First;
        };
        if score > told && score >= 2.0 * told {
            self.told = Some(score);
            return Notice::Higher;
        }
        Notice::Further
    }

    /// Adds a window that has ended to those before it, or ends their incident and begins another with it.
    fn roll(&mut self, window: Part) -> Option<(Part, Activity)> {
        let activity = window.activity();
        let Some((part, before)) = &mut self.before else {
            self.before = Some((window, activity));
            return None;
        };
        if *before == activity || activity == Activity::Other || *before == Activity::Other {
            part.merge(&window);
            *before = if *before == Activity::Other { activity } else { *before };
            return None;
        }
        self.before.replace((window, activity))
    }

    /// Ends it: one incident, or two where the source did something else in the end.
    pub fn close(mut self) -> impl Iterator<Item = (Part, Activity)> {
        let window = std::mem::take(&mut self.window);
        let ended = self.roll(window);
        ended.into_iter().chain(self.before)
    }

    /// All of it as one.
    pub fn whole(self) -> Part {
        let window = self.window;
        match self.before {
            None => window,
            Some((mut part, _)) => {
                part.merge(&window);
                part
            }
        }
    }
}
