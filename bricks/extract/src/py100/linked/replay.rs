//! Bringing streams and links up to date.

use super::Linked;
use super::link::{self, Link};
use super::log::Log;
use super::near::SPAN;
use super::stream::{NONE, State, Stream};
use crate::damp::RATES;
use crate::py100::arithmetic::{Calculator, FEW, RUN, Rated, Run};
use crate::py100::sums::Sums;
use crate::vector::{Portable, Vector, Work, dispatch};

/// Looking at so many events costs as much as being told of one by lists.
const LOOKS: u32 = 16;

impl Linked {
    /// Does to a stream what its peers' packets since its own last one do to it.
    #[inline(always)]
    pub(super) fn catch_up(&mut self, id: u32, calculator: &mut Calculator) {
        let stream = &self.streams[id as usize];
        if stream.state == NONE {
            self.wake(id);
            return;
        }
        if !stream.far && self.log.len() - stream.heard > self.bounds.patience {
            self.leave(id);
        }
        let stream = &self.streams[id as usize];
        if !stream.far {
            self.hear(id, self.log.len(), calculator);
        } else if stream.behind != NONE {
            self.gather(id, usize::MAX);
            self.damp(id, calculator);
        }
    }

    /// Does to a stream that has sent and is not far what its peers' packets up to event `last` do to it.
    #[inline(always)]
    pub(super) fn hear(&mut self, id: u32, last: u32, calculator: &mut Calculator) {
        let stream = &mut self.streams[id as usize];
        if stream.far || stream.state == NONE {
            return;
        }
        let sums = &mut self.states[stream.state as usize].sums;
        let (mut concerned, first) = (0, stream.heard);
        while stream.heard < last {
            let end = last.min(stream.heard + SPAN as u32);
            let many = self.near.gather(id, &self.log, stream.heard, end, &mut self.events);
            let room = (&mut self.gaps, &mut self.run);
            damp(sums, &mut stream.time, &self.log, &self.events[..many], calculator, room);
            stream.heard = end;
            concerned += many as u32;
        }
        stream.looked = (stream.looked + (last - first)).saturating_sub(LOOKS * (concerned + 1));
        if stream.looked > self.bounds.patience {
            self.leave(id);
        }
    }

    /// Lets a stream be told of its peers' packets by lists from now on.
    pub(super) fn leave(&mut self, id: u32) {
        let stream = &mut self.streams[id as usize];
        if std::mem::replace(&mut stream.far, true) || stream.state == NONE {
            return;
        }
        let (heard, mut next) = (stream.heard, stream.newest);
        while next != NONE {
            let link = &self.links[next as usize];
            let side = link.side(id);
            let (older, other) = (link.older[side], link.other(id));
            let late = self.streams[other as usize].head > heard.max(link.before());
            match link.is_loop() {
                true => {}
                false if late => self.fall_behind(next, side),
                false => self.listen(next, side),
            }
            next = older;
        }
    }

    /// Gives a stream its state at its first packet. Only its time depends on its peers' packets.
    fn wake(&mut self, id: u32) {
        let state = self.states.len() as u32;
        self.states.push(State::EMPTY);
        self.streams[id as usize].state = state;
        self.streams[id as usize].time = self.time_of_silent(id);
        if !self.streams[id as usize].far {
            return;
        }
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
        let Stream { heard, behind, .. } = self.streams[id as usize];
        self.streams[id as usize].behind = NONE;
        let (mut next, mut chains) = (behind, 0);
        while next != NONE {
            let link = &self.links[next as usize];
            let side = link.side(id);
            let following = link.next[side];
            let peer = &self.streams[link.ends[1 - side] as usize];
            let room = most.saturating_sub(self.pending.len()).saturating_add(1);
            self.pending.extend(self.log.chain(peer.head, heard.max(link.before())).take(room));
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
            self.order.sort(&mut self.pending, heard, self.log.len())
        }
        true
    }

    /// Damps a stream's sums over the events just collected.
    #[inline(always)]
    pub(super) fn damp(&mut self, id: u32, calculator: &mut Calculator) {
        let stream = &mut self.streams[id as usize];
        let sums = &mut self.states[stream.state as usize].sums;
        let room = (&mut self.gaps, &mut self.run);
        damp(sums, &mut stream.time, &self.log, &self.pending, calculator, room);
    }

    /// Whether the residual products over a link surely are all zero.
    #[inline(always)]
    pub(super) fn is_quiet(&self, id: u32) -> bool {
        let link = &self.links[id as usize];
        let quiet = |side: usize| {
            let stream = &self.streams[link.ends[side] as usize];
            link.silent[side] && (!stream.lively || stream.head <= link.seen)
        };
        link.is_loop() || (link.uncorrelated && (quiet(0) || quiet(1)))
    }

    /// Brings a link up to date. `false` if it has more than `most` events to see; then nothing is done.
    #[inline(always)]
    pub(super) fn redo(&mut self, id: u32, most: usize, calculator: &mut Calculator) -> bool {
        let link = &mut self.links[id as usize];
        let heads = link.ends.map(|end| self.streams[end as usize].head);
        if !self.log.merge(heads, link.seen, most, &mut self.pending) {
            return false;
        }
        if link.state == NONE {
            link.state = self.link_states.len() as u32;
            self.link_states.push(link::State::new(self.log.time(link.made)));
        }
        let state = &mut self.link_states[link.state as usize];
        for events in self.pending.rchunks(RUN) {
            let in_order = events.iter().rev().map(|event| event >> 1);
            gaps(&mut state.time, &self.log, in_order, &mut self.gaps);
            let (gaps, run) = (&self.gaps, &mut self.run);
            let update = Update { calculator, gaps, run, state, link, log: &self.log, events };
            match events.len() {
                0..=FEW => update.run::<Portable>(),
                _ => dispatch(update),
            }
        }
        link.seen = self.log.len();
        link.silent = state.residuals.map(|residual| residual == [0.0; RATES]);
        link.uncorrelated = state.products == [0.0; RATES];
        true
    }
}

/// Moves a clock over events, writes the gaps between them, at most [`RUN`], and returns how many.
#[inline(always)]
fn gaps(clock: &mut f64, log: &Log, events: impl Iterator<Item = u32>, gaps: &mut [f64; RUN]) -> usize {
    let (mut many, mut now) = (0, *clock);
    for (event, gap) in events.zip(gaps) {
        let time = log.time(event);
        let later = if time > now { time } else { now };
        (*gap, now) = (later - now, later);
        many += 1;
    }
    *clock = now;
    many
}

/// Damps sums, whose time is `clock`, over events in order.
#[inline(always)]
fn damp(
    sums: &mut Sums,
    clock: &mut f64,
    log: &Log,
    events: &[u32],
    calculator: &mut Calculator,
    (room, run): (&mut [f64; RUN], &mut Run),
) {
    if events.len() > FEW {
        for events in events.chunks(RUN) {
            let many = gaps(clock, log, events.iter().copied(), room);
            dispatch(Damp { calculator, gaps: room, many, run, sums });
        }
        return;
    }
    let mut wide = sums.wide();
    for &event in events {
        wide.advance(clock, log.time(event), calculator);
    }
    *sums = wide.sums();
}

/// Damps sums over gaps.
struct Damp<'a> {
    calculator: &'a mut Calculator,
    gaps: &'a [f64; RUN],
    many: usize,
    run: &'a mut Run,
    sums: &'a mut Sums,
}

impl Work for Damp<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        self.calculator.run::<V>(self.gaps, self.many, self.run);
        self.sums.damp::<V>(self.run, self.many);
    }
}

/// Does to a link what events, last first and each with its side in the lowest bit, do: twice if one was sent over
/// this link, but once if it made the link.
struct Update<'a> {
    calculator: &'a mut Calculator,
    gaps: &'a [f64; RUN],
    run: &'a mut Run,
    state: &'a mut link::State,
    link: &'a Link,
    log: &'a Log,
    events: &'a [u32],
}

impl Work for Update<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { calculator, gaps, run, state, link, log, events } = self;
        calculator.run::<V>(gaps, events.len(), run);
        let (mut products, mut weight) = (Rated::<V>::of(&state.products), Rated::of(&state.weight));
        let before = state.residuals;
        let mut residuals = before.each_ref();
        for (event, (quick, slow)) in events.iter().rev().zip(run.factors(events.len())) {
            let (id, side) = (event >> 1, (event & 1) as usize);
            residuals[side] = log.residual(id);
            let [factors, product] =
                [Rated::new(quick, *slow), Rated::of(residuals[0]) * Rated::of(residuals[1])];
            products = products * factors + product;
            weight = weight * factors + Rated::splat(1.0);
            if log.peer(id) == link.ends[1 - side] && id != link.made {
                products = products + product;
                weight = weight + Rated::splat(1.0);
            }
        }
        state.residuals = residuals.map(|residual| *residual);
        (state.products, state.weight) = (products.rates(), weight.rates());
    }
}
