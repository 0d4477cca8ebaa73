//! Gathers alerts into incidents.
//!
//! The state is keyed by source and lives where packets come in order, so that incidents follow from the packets alone. It is
//! bounded by slot of the source; what has to make room is counted, and told of in an incident of many sources if it is small.

mod counts;
mod open;
mod part;
mod rank;

use counts::Distinct;
use legonf_core::{
    Account, Activity, Counted, Deviation, DropReason, Explain, Findings, Hasher, Headers, Incident, Notice,
    Origin, Severity, Verdict, slot, source_words,
};
use open::Open;
use part::Part;
use rank::Kept;
use serde::Serialize;
use std::cmp::Reverse;
use std::time::Duration;

/// Sets of sources by the hash of their address, and sources of a set, at most.
const SETS: usize = 1024;
const WAYS: usize = 8;
/// Packets of an incident that may be told of together with those of other sources.
const SMALL: u64 = 8;
/// Small incidents that end within a second and are told of one by one, at most.
const ALONE: usize = 64;
/// Nanoseconds between looks at what has ended.
const LOOK: i64 = 1_000_000_000;
/// Features, hosts and ports that an incident names, at most.
const NAMED: usize = 3;

/// How alerts are gathered.
#[derive(Clone, Copy, Debug)]
pub struct IncidentOptions {
    /// A gap between two alerts of a source that ends its incident.
    pub gap: Duration,
    /// Scores above it are alerts.
    pub threshold: f64,
    /// Seed of the hash by which sources are divided into sets.
    pub seed: u64,
}

impl IncidentOptions {
    /// A minute: longer than the pauses of a scanner that waits for answers, shorter than those between two attacks of one device.
    pub const GAP: Duration = Duration::from_secs(60);
}

/// A packet of which it was decided.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its headers.
    pub headers: &'a Headers,
    /// Its score.
    pub score: f64,
    /// The verdict on that.
    pub verdict: Verdict,
    /// Why it was dropped, if it was.
    pub dropped: Option<DropReason>,
    /// Whether the labels call it malicious, where there are labels.
    pub malicious: Option<bool>,
    /// What it was scored by, where incidents are explained.
    pub features: Option<&'a [f64]>,
    /// Whether alerts of it are not to be told of.
    pub suppressed: bool,
}

impl Seen<'_> {
    fn stream(&self) -> i64 {
        self.headers.stream_time().as_nanos()
    }
}

/// What was gathered, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IncidentCounts {
    /// Incidents that have ended.
    pub closed: u64,
    /// Sources whose incident ended early because there were more sources than there is room for.
    pub evicted: u64,
    /// Incidents that are in no list, because there are others of more weight.
    pub left_out: u64,
}

/// Alerts on their way to incidents.
pub struct Incidents {
    options: IncidentOptions,
    explain: Option<Box<dyn Explain>>,
    hasher: Hasher,
    sets: Vec<Vec<Open>>,
    /// Small incidents of many sources, and how many sources.
    many: Option<(Part, Distinct)>,
    /// Stream time of the next look at what has ended.
    look: i64,
    /// Stream time before which nothing that is open ends.
    due: i64,
    account: Account,
    labelled: bool,
    kept: Kept,
    counts: IncidentCounts,
    /// Memory for a look.
    ended: Vec<Open>,
}

impl Incidents {
    /// None yet; `explain` says which features deviated.
    pub fn new(options: IncidentOptions, explain: Option<Box<dyn Explain>>) -> Self {
        Self {
            options,
            explain,
            hasher: Hasher::new(options.seed),
            sets: (0..SETS).map(|_| Vec::new()).collect(),
            many: None,
            look: i64::MIN,
            due: i64::MAX,
            account: Account::default(),
            labelled: false,
            kept: Kept::default(),
            counts: IncidentCounts::default(),
            ended: Vec::new(),
        }
    }

    /// Judges the severity of incidents that are told of from now on by another threshold.
    pub fn set_threshold(&mut self, threshold: f64) {
        self.options.threshold = threshold;
    }

    /// Whether packets are to come with their features.
    pub fn explains(&self) -> bool {
        self.explain.is_some()
    }

    /// Takes the next packet. Incidents that end before it are added to the findings of its batch, and what it is to its own.
    pub fn note(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        let stream = seen.stream();
        if stream >= self.look {
            if stream >= self.due {
                self.close_ended(stream, findings);
            }
            self.look = stream.saturating_sub(stream.rem_euclid(LOOK)).saturating_add(LOOK);
        }
        self.account.count(seen.headers, seen.verdict, seen.dropped);
        self.labelled |= seen.malicious.is_some();
        let notice = match seen.verdict {
            Verdict::ANOMALOUS if seen.suppressed => Notice::Suppressed,
            Verdict::ANOMALOUS => self.alert(seen, findings),
            _ => Notice::None,
        };
        findings.notices.push(notice);
    }

    /// Ends what is open. The place of these incidents is behind the last packet.
    pub fn finish(&mut self, findings: &mut Findings) {
        self.close_ended(i64::MAX, findings);
    }

    /// What ended so far and has most weight, the most first.
    pub fn ranked(&self) -> Vec<Incident> {
        self.kept.ranked()
    }

    /// What goes on, up to so many of most packets, each as if it ended now.
    pub fn open(&self, most: usize) -> Vec<Incident> {
        let mut open: Vec<_> = self.sets.iter().flatten().collect();
        open.sort_unstable_by_key(|open| (Reverse(open.packets()), open.first_seq()));
        let parts = open
            .into_iter()
            .take(most)
            .flat_map(|open| open.clone().close().map(|(part, activity)| (open.source, (1, part, activity))));
        parts.map(|(source, ended)| self.incident(source, ended)).collect()
    }

    /// How many there were.
    pub fn counts(&self) -> IncidentCounts {
        IncidentCounts { left_out: self.kept.left_out(), ..self.counts }
    }

    fn alert(&mut self, seen: &Seen<'_>, findings: &mut Findings) -> Notice {
        let source = Origin::of(seen.headers);
        let hash = self.hasher.three(source_words(source.address()));
        let set = slot(hash) % SETS;
        let known = self.sets[set].iter().position(|open| open.source == source);
        if let Some(place) = known.filter(|place| self.goes_on(&self.sets[set][*place], seen.stream())) {
            let open = &mut self.sets[set][place];
            let ended = open.add(seen, &self.hasher);
            let (notice, end) = (open.notice(seen.score), open.end());
            self.expect_end(end);
            ended.into_iter().for_each(|(part, activity)| self.tell(source, (1, part, activity), findings));
            return notice;
        }
        if let Some(place) = known {
            let open = self.sets[set].swap_remove(place);
            self.close(open, findings);
        }
        self.make_room(set, findings);
        let mut open = Open::new(source, seen, &self.hasher);
        let notice = open.notice(seen.score);
        self.expect_end(open.end());
        self.sets[set].push(open);
        notice
    }

    /// Something is open whose last alert was at this stream time.
    fn expect_end(&mut self, last: i64) {
        self.due = self.due.min(last.saturating_add(self.gap()));
    }

    fn goes_on(&self, open: &Open, stream: i64) -> bool {
        stream.saturating_sub(open.end()).cast_unsigned() <= self.gap().cast_unsigned()
            || stream <= open.end()
    }

    fn gap(&self) -> i64 {
        i64::try_from(self.options.gap.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Evicts from a full set the source with the fewest alerts, and among these the one that was quiet for longest.
    fn make_room(&mut self, set: usize, findings: &mut Findings) {
        if self.sets[set].len() < WAYS {
            return;
        }
        let sources = self.sets[set].iter().enumerate();
        let least = sources.min_by_key(|(_, open)| (open.packets(), open.end(), open.source));
        let Some((place, _)) = least else { return };
        let open = self.sets[set].swap_remove(place);
        self.counts.evicted += 1;
        if open.packets() <= SMALL { self.put_together(open) } else { self.close(open, findings) }
    }

    /// Closes what has had no alert for the length of the gap, in the order of its first alerts.
    fn close_ended(&mut self, stream: i64, findings: &mut Findings) {
        let before = stream.saturating_sub(self.gap());
        let mut ended = std::mem::take(&mut self.ended);
        for set in &mut self.sets {
            ended.extend(set.extract_if(.., |open| stream == i64::MAX || open.end() < before));
        }
        ended.sort_unstable_by_key(|open| open.first_seq());
        let small = ended.iter().filter(|open| open.packets() <= SMALL).count();
        for open in ended.drain(..) {
            let together = small > ALONE && open.packets() <= SMALL;
            if together { self.put_together(open) } else { self.close(open, findings) }
        }
        self.ended = ended;
        let ends = |(part, _): &(Part, Distinct)| stream == i64::MAX || part.end < before;
        if let Some((part, sources)) = self.many.take_if(|many| ends(many)) {
            let activity = part.activity();
            self.tell(Origin::Unknown, (sources.number(), part, activity), findings);
        }
        let open = self.sets.iter().flatten().map(Open::end);
        let first = open.chain(self.many.iter().map(|(part, _)| part.end)).min();
        self.due = i64::MAX;
        first.into_iter().for_each(|last| self.expect_end(last));
    }

    fn put_together(&mut self, open: Open) {
        let hash = self.hasher.three(source_words(open.source.address()));
        let part = open.whole();
        match &mut self.many {
            Some((many, sources)) => {
                many.merge(&part);
                sources.add(hash);
            }
            none => none.insert((part, Distinct::default())).1.add(hash),
        }
    }

    fn close(&mut self, open: Open, findings: &mut Findings) {
        let source = open.source;
        open.close().for_each(|(part, activity)| self.tell(source, (1, part, activity), findings));
    }

    fn tell(&mut self, source: Origin, ended: (u64, Part, Activity), findings: &mut Findings) {
        self.counts.closed += 1;
        let incident = self.incident(source, ended);
        self.kept.add(incident.clone());
        findings.closed.push((findings.notices.len(), incident));
    }

    fn incident(&self, source: Origin, (sources, part, activity): (u64, Part, Activity)) -> Incident {
        let hosts = part.top_hosts.ranked(NAMED).into_iter();
        Incident {
            source,
            sources,
            activity,
            severity: Severity::of(part.peak.score, self.options.threshold),
            since: part.first,
            until: part.last,
            seconds: part.seconds(),
            stream: (part.begin, part.end),
            packets: part.packets,
            bytes: part.bytes,
            hosts: part.hosts.number(),
            top_hosts: hosts
                .map(|host| Counted { value: host.value.to_string(), packets: host.packets })
                .collect(),
            ports: part.ports.number(),
            top_ports: part.top_ports.ranked(NAMED),
            threshold: self.options.threshold,
            mean_score: part.score / part.packets as f64,
            peak_score: part.peak.score,
            peak_seq: part.peak.seq,
            first_seq: part.first_seq,
            features: self.deviations(&part.peak.features),
            malicious: self.labelled.then_some(part.malicious),
            coverage: self.account.coverage(),
        }
    }

    /// Of each of the autoencoders that deviated most, the feature that did so most.
    fn deviations(&self, features: &[f64]) -> Vec<Deviation> {
        let explain = self.explain.as_ref().filter(|_| !features.is_empty());
        let groups = explain.map(|explain| explain.explain(features, NAMED).groups).unwrap_or_default();
        let first = groups.into_iter().filter_map(|group| group.features.into_iter().next());
        let deviation = |share: legonf_core::FeatureShare| Deviation {
            feature: share.feature,
            words: share.words,
            expected: share.expected,
            observed: share.observed,
        };
        first.take(NAMED).map(deviation).collect()
    }
}

impl std::fmt::Debug for Incidents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incidents").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
