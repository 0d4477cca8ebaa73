//! Accounting: no packet is lost silently.

use crate::{DropReason, Headers, Malformed, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where every received packet went: `received = scored + rejected + dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Packets that the source delivered or knows that it lost.
    pub received: u64,
    /// Packets that got a score and a verdict.
    pub scored: u64,
    /// Packets that could not be scored, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Packets that were lost for want of capacity, or that a brick dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Coverage {
    /// The reason under which packets whose score is not a finite number are rejected.
    pub const NON_FINITE_SCORE: &str = "non-finite-score";

    /// The reason of packets for which a classifier, or another decision, gave no verdict.
    pub const UNDECIDED: &str = "undecided";

    /// Counts `packets` as rejected for `reason`, and as received.
    pub fn reject(&mut self, reason: &str, packets: u64) {
        self.received += packets;
        *self.rejected.entry(reason.to_owned()).or_default() += packets;
    }

    /// Counts `packets` as dropped for `reason`, and as received; nothing where there are none.
    pub fn lose(&mut self, reason: &str, packets: u64) {
        if packets > 0 {
            self.received += packets;
            *self.dropped.entry(reason.to_owned()).or_default() += packets;
        }
    }

    /// Counts packets as dropped, and as received: for each reason as many as `packets` has at its place.
    pub fn lose_all(&mut self, packets: &[u64; DropReason::ALL.len()]) {
        DropReason::ALL.iter().zip(packets).for_each(|(reason, packets)| self.lose(reason.label(), *packets));
    }

    /// Counts `packets` as scored, and as received.
    pub fn score(&mut self, packets: u64) {
        self.received += packets;
        self.scored += packets;
    }

    /// Packets that were lost before they came to a brick.
    pub fn lost(&self) -> u64 {
        let by_bricks = |reason: &str| DropReason::ALL.iter().any(|known| known.label() == reason);
        self.dropped.iter().filter(|(reason, _)| !by_bricks(reason)).map(|(_, packets)| packets).sum()
    }

    /// Whether every packet is accounted for.
    pub fn is_complete(&self) -> bool {
        let lost: u64 = self.rejected.values().chain(self.dropped.values()).sum();
        self.received == self.scored + lost
    }
}

/// Counts packets one by one for a [`Coverage`], without an allocation for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    scored: u64,
    not_finite: u64,
    /// Of a link type that is not parsed.
    unread: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl Account {
    /// Adds a packet with the verdict on its score, or with why it was dropped.
    #[inline]
    pub fn count(&mut self, headers: &Headers, verdict: Verdict, dropped: Option<DropReason>) {
        *match dropped {
            Some(reason) => &mut self.dropped[reason as usize],
            None if verdict != Verdict::REJECTED => &mut self.scored,
            None if headers.is_unread() => &mut self.unread,
            None => &mut self.not_finite,
        } += 1;
    }

    /// Where the packets went.
    pub fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        coverage.score(self.scored);
        coverage.lose_all(&self.dropped);
        let rejected =
            [(Malformed::LinkType.label(), self.unread), (Coverage::NON_FINITE_SCORE, self.not_finite)];
        rejected.into_iter().filter(|(_, packets)| *packets > 0).for_each(|(why, n)| coverage.reject(why, n));
        coverage
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |m: &BTreeMap<String, u64>| m.values().sum::<u64>();
        let reasons = |m: &BTreeMap<String, u64>| {
            let list: Vec<_> = m.iter().map(|(k, v)| format!("{k} {v}")).collect();
            if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) }
        };
        write!(
            f,
            "{} received = {} scored + {} rejected{} + {} dropped{}",
            self.received,
            self.scored,
            sum(&self.rejected),
            reasons(&self.rejected),
            sum(&self.dropped),
            reasons(&self.dropped)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_is_accounted_for() {
        let mut coverage = Coverage::default();
        coverage.score(5);
        coverage.reject("bad-row", 2);
        assert!(coverage.is_complete());
        assert_eq!(coverage.to_string(), "7 received = 5 scored + 2 rejected (bad-row 2) + 0 dropped");
        coverage.lose("kernel", 3);
        coverage.lose("interface", 0);
        assert!(coverage.is_complete());
        let line = "10 received = 5 scored + 2 rejected (bad-row 2) + 3 dropped (kernel 3)";
        assert_eq!(coverage.to_string(), line);
        let mut dropped = [0; DropReason::ALL.len()];
        dropped[DropReason::Policy as usize] = 2;
        coverage.lose_all(&dropped);
        assert_eq!((coverage.received, coverage.dropped.len(), coverage.dropped["policy"]), (12, 2, 2));
        assert_eq!(coverage.lost(), 3);
        assert!(coverage.is_complete());
        coverage.received += 1;
        assert!(!coverage.is_complete());
    }
}
