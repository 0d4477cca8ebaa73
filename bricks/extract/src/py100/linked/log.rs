//! What happened in a table and has not yet reached every link: one event per packet, in arrival order.

use crate::py100::arithmetic::Lanes;

/// Stands before a stream's first event.
pub(super) const NONE: u32 = 0;

/// When, and where to go on reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Time of the packet.
    pub(super) time: f64,
    /// The sending stream's event before, or [`NONE`].
    pub(super) before: u32,
    /// The stream at the other end of the link that the packet was sent over.
    pub(super) peer: u32,
}

/// Events, numbered from 1 on; those of one stream are chained backwards.
#[derive(Clone, Debug)]
pub(super) struct Log {
    events: Vec<Event>,
    /// The packet's residual at every rate: value less mean.
    residuals: Vec<Lanes>,
    /// The last event that was earlier than one before it.
    disordered: u32,
    latest: f64,
}

impl Log {
    /// An empty log.
    pub(super) fn new() -> Self {
        let before_all = Event { time: f64::NEG_INFINITY, before: NONE, peer: u32::MAX };
        Self {
            events: vec![before_all],
            residuals: vec![Lanes::default()],
            disordered: NONE,
            latest: f64::NEG_INFINITY,
        }
    }

    /// Forgets every event.
    pub(super) fn clear(&mut self) {
        self.events.truncate(1);
        self.residuals.truncate(1);
        self.disordered = NONE;
    }

    /// Number of events.
    pub(super) fn len(&self) -> usize {
        self.events.len() - 1
    }

    /// Appends an event and returns its number.
    #[inline(always)]
    pub(super) fn push(&mut self, event: Event, residual: Lanes) -> u32 {
        let id = self.events.len() as u32;
        if event.time < self.latest {
            self.disordered = id;
        }
        self.latest = self.latest.max(event.time);
        self.events.push(event);
        self.residuals.push(residual);
        id
    }

    /// Names the other end of the link that event `id` was sent over.
    #[inline(always)]
    pub(super) fn set_peer(&mut self, id: u32, peer: u32) {
        self.events[id as usize].peer = peer;
    }

    /// An event.
    #[inline(always)]
    pub(super) fn event(&self, id: u32) -> &Event {
        &self.events[id as usize]
    }

    /// The residual of an event.
    #[inline(always)]
    pub(super) fn residual(&self, id: u32) -> &Lanes {
        &self.residuals[id as usize]
    }

    /// The latest time among the events of a chain from its end `head` back to, but not including, `start`.
    pub(super) fn latest_since(&self, head: u32, start: u32) -> f64 {
        if start >= self.disordered {
            return if head > start { self.event(head).time } else { f64::NEG_INFINITY };
        }
        self.chain(head, start).map(|id| self.event(id).time).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The events of a chain from its end `head` back to, but not including, `start`.
    #[inline(always)]
    pub(super) fn chain(&self, head: u32, start: u32) -> impl Iterator<Item = u32> {
        let mut id = head;
        std::iter::from_fn(move || {
            let this = id;
            (this > start).then(|| {
                id = self.event(this).before;
                this
            })
        })
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<Event>() + self.residuals.capacity() * size_of::<Lanes>()
    }

    /// The most bytes that `most` events can take.
    pub(super) fn max_bytes(most: usize) -> usize {
        2 * (most + 1).next_power_of_two() * (size_of::<Event>() + size_of::<Lanes>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(times: &[f64]) -> Log {
        let mut log = Log::new();
        let mut before = NONE;
        for &time in times {
            before = log.push(Event { time, before, peer: 0 }, [0.0; 5]);
        }
        log
    }

    #[test]
    fn the_latest_time_needs_no_walk_where_time_is_in_order() {
        let log = log(&[1.0, 5.0, 2.0, 3.0, 4.0]);
        assert_eq!((log.latest_since(5, 4), log.latest_since(5, 2), log.latest_since(5, 0)), (4.0, 4.0, 5.0));
        assert_eq!(log.latest_since(5, 5), f64::NEG_INFINITY);
        assert_eq!(log.chain(5, 2).collect::<Vec<_>>(), [5, 4, 3]);
        assert!(log.bytes() <= Log::max_bytes(5));
    }
}
