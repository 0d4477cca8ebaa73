//! Bringing streams and links up to date.

use super::Linked;
use super::link::{self, Link};
use super::log::Log;
use super::stream::{NONE, State, Stream};
use crate::damp::RATES;
use crate::py100::arithmetic::{Calculator, Lanes};

impl Linked {
    /// Does to a stream what its peers' packets since its own last one do to it.
    #[inline(always)]
    pub(super) fn catch_up(&mut self, id: u32, calculator: &mut Calculator) {
        let stream = &self.streams[id as usize];
        if stream.state == NONE {
            self.wake(id);
        } else if stream.behind != NONE {
            self.gather(id, usize::MAX);
            self.damp(id, calculator);
        }
    }

    /// Gives a stream its state at its first packet. Only its time depends on its peers' packets.
    fn wake(&mut self, id: u32) {
        let state = self.states.len() as u32;
        self.states.push(State::EMPTY);
        self.streams[id as usize].state = state;
        self.streams[id as usize].time = self.time_of_silent(id);
        let mut next = self.streams[id as usize].newest;
        while next != NONE {
            let link = &self.links[next as usize];
            let side = link.side(id);
            let older = link.older[side];
            if !link.is_loop() {
                self.listen(next, side);
            }
            next = older;
        }
    }

    /// The time of a stream that has never sent: the latest of its peers' packets.
    pub(super) fn time_of_silent(&self, id: u32) -> f64 {
        let stream = &self.streams[id as usize];
        let (mut time, mut next) = (stream.time, stream.newest);
        while next != NONE {
            let link = &self.links[next as usize];
            let peer = &self.streams[link.other(id) as usize];
            time = time.max(self.log.latest_since(peer.head, link.before()));
            next = link.older[link.side(id)];
        }
        time
    }

    /// Puts a link on the list of those whose `side` has heard all and must hear of the other end's next packet.
    pub(super) fn listen(&mut self, id: u32, side: usize) {
        let link = &mut self.links[id as usize];
        let speaker = &mut self.streams[link.ends[1 - side] as usize];
        link.next[side] = speaker.listening;
        speaker.listening = id;
    }

    /// Puts a link on the list of those whose `side` has something to hear.
    #[inline(always)]
    pub(super) fn fall_behind(&mut self, id: u32, side: usize) {
        let link = &mut self.links[id as usize];
        let listener = &mut self.streams[link.ends[side] as usize];
        link.next[side] = listener.behind;
        listener.behind = id;
    }

    /// Lets the listeners of a stream know that it has sent.
    #[inline(always)]
    pub(super) fn announce(&mut self, id: u32) {
        let mut next = std::mem::replace(&mut self.streams[id as usize].listening, NONE);
        while next != NONE {
            let side = 1 - self.links[next as usize].side(id);
            let following = self.links[next as usize].next[side];
            self.fall_behind(next, side);
            next = following;
        }
    }

    /// Collects the events that a stream has yet to hear, in their order, and marks them heard. `false` if there
    /// are more than `most`; then nothing is collected, and some are lost.
    pub(super) fn gather(&mut self, id: u32, most: usize) -> bool {
        self.pending.clear();
        let Stream { head, behind, .. } = self.streams[id as usize];
        self.streams[id as usize].behind = NONE;
        let (mut next, mut chains) = (behind, 0);
        while next != NONE {
            let link = &self.links[next as usize];
            let side = link.side(id);
            let following = link.next[side];
            let peer = &self.streams[link.ends[1 - side] as usize];
            let room = most.saturating_sub(self.pending.len()).saturating_add(1);
            self.pending.extend(self.log.chain(peer.head, head.max(link.before())).take(room));
            if self.pending.len() > most {
                self.pending.clear();
                return false;
            }
            self.listen(next, side);
            next = following;
            chains += 1;
        }
        if chains == 1 {
            self.pending.reverse()
        } else {
            self.pending.sort_unstable()
        }
        true
    }

    /// Damps a stream's sums over the events just collected.
    #[inline(always)]
    pub(super) fn damp(&mut self, id: u32, calculator: &mut Calculator) {
        let stream = &mut self.streams[id as usize];
        let sums = &mut self.states[stream.state as usize].sums;
        for &event in &self.pending {
            sums.advance(&mut stream.time, self.log.event(event).time, calculator);
        }
    }

    /// Whether the residual products over a link surely are all zero.
    #[inline(always)]
    pub(super) fn is_quiet(&self, id: u32) -> bool {
        let link = &self.links[id as usize];
        let quiet = |side: usize| {
            let stream = &self.streams[link.ends[side] as usize];
            link.silent[side] && (!stream.lively || stream.sent == link.seen[side])
        };
        link.is_loop() || (link.uncorrelated && (quiet(0) || quiet(1)))
    }

    /// How many events have yet to reach a link.
    pub(super) fn unseen(&self, id: u32) -> usize {
        let link = &self.links[id as usize];
        if link.is_loop() {
            return 0;
        }
        (0..2).map(|side| (self.streams[link.ends[side] as usize].sent - link.seen[side]) as usize).sum()
    }

    /// Brings a link up to date.
    pub(super) fn redo(&mut self, id: u32, calculator: &mut Calculator) {
        let link = &mut self.links[id as usize];
        if link.state == NONE {
            link.state = self.link_states.len() as u32;
            self.link_states.push(link::State::new(self.log.event(link.made).time));
        }
        let streams = link.ends.map(|end| self.streams[end as usize]);
        merge(&self.log, link, &streams, &mut self.pending);
        let state = &mut self.link_states[link.state as usize];
        for &event in self.pending.iter().rev() {
            update(state, link, &self.log, event, calculator);
        }
        link.seen = streams.map(|stream| stream.sent);
        link.silent = state.residuals.map(|residual| residual == [0.0; RATES]);
        link.uncorrelated = state.products == [0.0; RATES];
    }
}

/// Collects the events that a link has yet to see, last first, each with its side in the lowest bit.
fn merge(log: &Log, link: &Link, streams: &[Stream; 2], pending: &mut Vec<u32>) {
    pending.clear();
    let mut heads = [streams[0].head, streams[1].head];
    let mut left = [streams[0].sent - link.seen[0], streams[1].sent - link.seen[1]];
    while left != [0; 2] {
        let side = usize::from(left[0] == 0 || (left[1] != 0 && heads[1] > heads[0]));
        pending.push(heads[side] << 1 | side as u32);
        heads[side] = log.event(heads[side]).before;
        left[side] -= 1;
    }
}

/// Does to a link what an event, with its side in the lowest bit, does: twice if it was sent over this link, but
/// once if it made the link.
#[inline(always)]
fn update(state: &mut link::State, link: &Link, log: &Log, event: u32, calculator: &mut Calculator) {
    let (id, side) = (event >> 1, (event & 1) as usize);
    let event = log.event(id);
    let gap = event.time - state.time;
    if gap > 0.0 {
        let factors = calculator.factors(gap);
        for (lane, factor) in factors.iter().enumerate() {
            state.products[lane] *= factor;
            state.weight[lane] *= factor;
        }
        state.time = event.time;
    }
    let residual: &Lanes = log.residual(id);
    let direct = event.peer == link.ends[1 - side] && id != link.made;
    for _ in 0..=usize::from(direct) {
        for (lane, residual) in residual.iter().enumerate() {
            state.products[lane] += residual * state.residuals[1 - side][lane];
            state.weight[lane] += 1.0;
        }
    }
    state.residuals[side] = *residual;
}
