//! What happened in a table and has not yet reached every link: one event per packet, in arrival order.

use super::near::NEAR;
use crate::damp::RATES;
use crate::py100::arithmetic::Rates;

/// Stands before a stream's first event.
pub(super) const NONE: u32 = 0;

/// Who sent what to whom, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Time of the packet.
    pub(super) time: f64,
    /// The stream that sent it.
    pub(super) sender: u32,
    /// The sender's event before, or [`NONE`].
    pub(super) before: u32,
}

/// Events, numbered from 1 on; those of one stream are chained backwards. In columns, since most readers follow one.
#[derive(Clone, Debug)]
pub(super) struct Log {
    times: Vec<f64>,
    /// The stream that sent each packet; [`NEAR`] for all from there on.
    senders: Vec<u16>,
    before: Vec<u32>,
    /// The stream at the other end of the link that each packet was sent over.
    peers: Vec<u32>,
    /// The packet's residual at every rate: value less mean.
    residuals: Vec<Rates>,
    /// The last event that was earlier than one before it.
    disordered: u32,
    latest: f64,
}

impl Log {
    /// An empty log.
    pub(super) fn new() -> Self {
        Self {
            times: vec![f64::NEG_INFINITY],
            senders: vec![NEAR as u16],
            before: vec![NONE],
            peers: vec![u32::MAX],
            residuals: vec![[0.0; RATES]],
            disordered: NONE,
            latest: f64::NEG_INFINITY,
        }
    }

    /// Forgets every event.
    pub(super) fn clear(&mut self) {
        self.times.truncate(1);
        self.senders.truncate(1);
        self.before.truncate(1);
        self.peers.truncate(1);
        self.residuals.truncate(1);
        self.disordered = NONE;
    }

    /// Number of events, which is that of the last.
    #[inline(always)]
    pub(super) fn len(&self) -> u32 {
        self.times.len() as u32 - 1
    }

    /// Appends an event and returns its number.
    #[inline(always)]
    pub(super) fn push(&mut self, event: Event, residual: Rates) -> u32 {
        let id = self.times.len() as u32;
        if event.time < self.latest {
            self.disordered = id;
        }
        self.latest = self.latest.max(event.time);
        self.times.push(event.time);
        self.senders.push(event.sender.min(NEAR) as u16);
        self.before.push(event.before);
        self.peers.push(u32::MAX);
        self.residuals.push(residual);
        id
    }

    /// Names the other end of the link that event `id` was sent over.
    #[inline(always)]
    pub(super) fn set_peer(&mut self, id: u32, peer: u32) {
        self.peers[id as usize] = peer;
    }

    /// The other end of the link that event `id` was sent over.
    #[inline(always)]
    pub(super) fn peer(&self, id: u32) -> u32 {
        self.peers[id as usize]
    }

    /// Time of an event.
    #[inline(always)]
    pub(super) fn time(&self, id: u32) -> f64 {
        self.times[id as usize]
    }

    /// The sender's event before an event, or [`NONE`].
    #[inline(always)]
    pub(super) fn before(&self, id: u32) -> u32 {
        self.before[id as usize]
    }

    /// The residual of an event.
    #[inline(always)]
    pub(super) fn residual(&self, id: u32) -> &Rates {
        &self.residuals[id as usize]
    }

    /// The senders, if below [`NEAR`], of the events behind event `after`, up to and with event `last`.
    #[inline(always)]
    pub(super) fn senders(&self, after: u32, last: u32) -> &[u16] {
        &self.senders[after as usize + 1..=last as usize]
    }

    /// The latest time among the events of a chain from its end `head` back to, but not including, `start`.
    pub(super) fn latest_since(&self, head: u32, start: u32) -> f64 {
        if start >= self.disordered {
            return if head > start { self.time(head) } else { f64::NEG_INFINITY };
        }
        self.chain(head, start).map(|id| self.time(id)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The events of a chain from its end `head` back to, but not including, `start`.
    #[inline(always)]
    pub(super) fn chain(&self, head: u32, start: u32) -> impl Iterator<Item = u32> {
        let mut id = head;
        std::iter::from_fn(move || {
            let this = id;
            (this > start).then(|| {
                id = self.before(this);
                this
            })
        })
    }

    /// Collects the events behind event `seen` of two chains that end in `heads`, last first, each with its chain in the
    /// lowest bit. `false` if there are more than `most`. Which chain is next cannot be foreseen, so it decides no branch.
    #[inline(always)]
    pub(super) fn merge(
        &self,
        [mut a, mut b]: [u32; 2],
        seen: u32,
        most: usize,
        into: &mut Vec<u32>,
    ) -> bool {
        into.clear();
        loop {
            let second = u32::from(b > a);
            let last = a.max(b);
            if last <= seen || into.len() == most {
                return last <= seen;
            }
            into.push(last << 1 | second);
            let (before, mask) = (self.before(last), second.wrapping_neg());
            (a, b) = (a & mask | before & !mask, b & !mask | before & mask);
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.times.capacity() * size_of::<f64>()
            + self.senders.capacity() * size_of::<u16>()
            + (self.before.capacity() + self.peers.capacity()) * size_of::<u32>()
            + self.residuals.capacity() * size_of::<Rates>()
    }

    /// The most bytes that `most` events can take.
    pub(super) fn max_bytes(most: usize) -> usize {
        let event = size_of::<f64>() + size_of::<u16>() + 2 * size_of::<u32>() + size_of::<Rates>();
        2 * (most + 1).next_power_of_two() * event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(events: &[(f64, u32)]) -> (Log, [u32; 2]) {
        let (mut log, mut heads) = (Log::new(), [NONE; 2]);
        for &(time, sender) in events {
            let head = &mut heads[sender as usize];
            *head = log.push(Event { time, sender, before: *head }, [0.0; RATES]);
        }
        (log, heads)
    }

    #[test]
    fn the_latest_time_needs_no_walk_where_time_is_in_order() {
        let (log, _) = log(&[1.0, 5.0, 2.0, 3.0, 4.0].map(|time| (time, 0)));
        assert_eq!((log.latest_since(5, 4), log.latest_since(5, 2), log.latest_since(5, 0)), (4.0, 4.0, 5.0));
        assert_eq!(log.latest_since(5, 5), f64::NEG_INFINITY);
        assert_eq!(log.chain(5, 2).collect::<Vec<_>>(), [5, 4, 3]);
        assert!(log.bytes() <= Log::max_bytes(5));
    }

    #[test]
    fn two_chains_are_merged_backwards() {
        let (log, heads) = log(&[0, 1, 1, 0, 0, 1].map(|sender| (0.0, sender)));
        let mut merged = vec![7];
        assert!(log.merge(heads, 1, 5, &mut merged));
        assert_eq!(merged, [6 << 1 | 1, 5 << 1, 4 << 1, 3 << 1 | 1, 2 << 1 | 1]);
        assert!(log.merge(heads, 6, 0, &mut merged));
        assert!(merged.is_empty());
        assert!(!log.merge(heads, 1, 4, &mut merged) && log.merge([heads[0], NONE], NONE, 3, &mut merged));
        assert_eq!(merged, [5 << 1, 4 << 1, 1 << 1]);
        assert_eq!((log.len(), log.senders(3, 6)), (6, &[0, 0, 1][..]));
    }
}
