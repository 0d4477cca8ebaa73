//! Tables whose streams are linked, HH and HpHp, computed exactly but lazily.
//!
//! In the reference every packet of a stream updates every link of the stream and damps the stream at the other
//! end of each (kitsune-py-100.md §4). Here a packet is only logged. What it does to a peer is done when the peer
//! sends next, for only then are the peer's sums read; what it does to a link is done when a packet is next sent
//! over that link. Both redo the logged events in their order, each over its own gap, so that every rounding
//! takes place as in the reference. Moreover:
//!
//! - A stream that has never sent has nothing to damp: its weight of 1e-20 vanishes in its first packet's 1. Only
//!   its time must be right then, and that is the latest of its peers' packets.
//! - A link's covariance is 0 as long as either end has had only residuals of 0 (a first packet's is), so links
//!   that are not answered, or once, are never worked out.
//! - Which peers have sent since a stream did is kept in two lists per stream that move links at their ends'
//!   first packet after one another, so that no packet looks at peers to whom nothing is new. Among the first
//!   streams of a table, as long as they are linked with each other only, a row of bits says so instead.
//!
//! Hence a packet costs as much as its peers that go on sending, not as all whom it ever addressed.

mod link;
mod log;
mod near;
mod order;
mod read;
mod replay;
mod stream;
mod sweep;

use super::arithmetic::{Calculator, LANES, RUN, Run, narrow};
use super::names::Names;
use legonf_core::prefetch::prefetch;
use link::{Index, Link};
use log::{Event, Log};
pub(super) use near::{NEAR, PATIENCE};
use near::{Near, SPAN};
use order::Order;
use read::Own;
use stream::{Last, NONE, State, Stream};

/// The most that a table keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Streams.
    pub(super) streams: usize,
    /// Links.
    pub(super) links: usize,
    /// Logged packets.
    pub(super) events: usize,
    /// Streams that look for themselves what concerns them, at most [`NEAR`].
    pub(super) near: u32,
    /// Events that such a stream may look at in vain, [`PATIENCE`] but in tests.
    pub(super) patience: u32,
}

/// A packet of a table: who sends to whom, and over which link if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// Source and destination stream.
    pub(super) ends: [u32; 2],
    /// The link, or [`Route::UNKNOWN`].
    pub(super) link: u32,
}

impl Route {
    /// Stands for a link that is yet to be found or made.
    pub(super) const UNKNOWN: u32 = NONE;
}

/// A table of linked streams, each by the text of its key.
#[derive(Clone, Debug)]
pub(super) struct Linked {
    names: Names,
    streams: Vec<Stream>,
    states: Vec<State>,
    links: Vec<Link>,
    link_states: Vec<link::State>,
    index: Index,
    log: Log,
    near: Near,
    /// Events to be redone.
    pending: Vec<u32>,
    order: Order,
    /// Events that concern a stream.
    events: Box<[u32; SPAN]>,
    /// Gaps between them, and the factors of these.
    gaps: [f64; RUN],
    run: Run,
    bounds: Bounds,
    evicted_streams: u64,
    evicted_links: u64,
}

impl Linked {
    /// An empty table.
    pub(super) fn new(bounds: Bounds, seed: u64) -> Self {
        Self {
            names: Names::new(seed),
            streams: Vec::new(),
            states: Vec::new(),
            links: Vec::new(),
            link_states: Vec::new(),
            index: Index::new(),
            log: Log::new(),
            near: Near::new(bounds.near),
            pending: Vec::new(),
            order: Order::default(),
            events: Box::new([0; SPAN]),
            gaps: [0.0; RUN],
            run: Run::EMPTY,
            bounds,
            evicted_streams: 0,
            evicted_links: 0,
        }
    }

    /// Makes room for one more packet. `true` if anything was evicted or renumbered.
    #[inline(always)]
    pub(super) fn make_room(&mut self, calculator: &mut Calculator) -> bool {
        let full = self.streams.len() + 2 > self.bounds.streams
            || self.links.len() >= self.bounds.links
            || self.log.len() as usize >= self.bounds.events;
        if full {
            self.sweep(calculator);
        }
        full
    }

    /// The stream of this key, made at `now` if there is none.
    pub(super) fn stream(&mut self, key: &[u8], now: f64) -> u32 {
        let id = self.names.intern(key);
        if id as usize == self.streams.len() {
            self.streams.push(Stream { far: !self.near.covers(id), ..Stream::new(now) });
        }
        id
    }

    /// Adds a packet of `value`, whose square is given, and writes its seven statistics at every rate. Returns the
    /// link.
    #[inline(always)]
    pub(super) fn packet(
        &mut self,
        route: Route,
        value: (f64, f64),
        now: f64,
        calculator: &mut Calculator,
        out: &mut [f64],
    ) -> u32 {
        let [source, _] = route.ends;
        self.catch_up(source, calculator);
        let (event, own) = self.insert(source, value, now, calculator);
        self.announce(source);
        let link = self.link(route, event, calculator);
        let other = self.links[link as usize].other(source);
        self.log.set_peer(event, other);
        self.links[link as usize].touched = event;
        let covariance = self.covariance(link, calculator);
        self.write(&own, other, &covariance, out);
        link
    }

    /// Adds a value to the sums of a stream that is up to date, and logs it.
    #[inline(always)]
    fn insert(&mut self, id: u32, value: (f64, f64), now: f64, calculator: &mut Calculator) -> (u32, Own) {
        let stream = &mut self.streams[id as usize];
        let state = &mut self.states[stream.state as usize];
        let mut sums = state.sums.wide();
        sums.advance(&mut stream.time, now, calculator);
        sums.insert(value.0, value.1);
        let moments = sums.moments(calculator);
        let var_squared = calculator.squares(&moments.var);
        let [mut deviation, mut residual] = [[0.0; LANES]; 2];
        for lane in 0..LANES {
            deviation[lane] = moments.var[lane].sqrt();
            residual[lane] = value.0 - moments.mean[lane];
        }
        let mean_squared = narrow(moments.mean_squared);
        let last = Last { mean_squared, var_squared: narrow(var_squared), deviation: narrow(deviation) };
        (state.sums, state.last) = (sums.sums(), last);
        stream.lively |= residual != [0.0; LANES];
        stream.head = self.log.push(Event { time: now, sender: id, before: stream.head }, narrow(residual));
        stream.heard = stream.head;
        (stream.head, Own { weight: sums.weight, moments, var_squared, deviation })
    }

    /// The link of a packet, made by `event` if there is none. A stream that sends to itself uses its first link,
    /// whatever that link's other end.
    #[inline(always)]
    fn link(&mut self, route: Route, event: u32, calculator: &mut Calculator) -> u32 {
        let Route { ends: [a, b], link } = route;
        if link != NONE {
            return link;
        }
        let known = match self.streams[a as usize].oldest {
            NONE => None,
            oldest if a == b => Some(oldest),
            _ => self.index.find([a, b], &self.links),
        };
        known.unwrap_or_else(|| self.make_link([a, b], event, calculator))
    }

    fn make_link(&mut self, [a, b]: [u32; 2], event: u32, calculator: &mut Calculator) -> u32 {
        if a != b {
            self.meet([a, b], event, calculator);
        }
        let id = self.links.len() as u32;
        self.links.push(Link::new([a, b], event));
        self.join(id);
        self.index.add_last(&self.links);
        if a != b {
            // The source knows all that the destination has sent; the destination has yet to hear this packet.
            let [source, destination] = [a, b].map(|end| &self.streams[end as usize]);
            let late = destination.far && destination.state != NONE;
            if source.far {
                self.listen(id, 0);
            }
            if late {
                self.fall_behind(id, 1);
            }
        }
        id
    }

    /// Prepares two streams for being linked by `event`: no event before it is one of the new peer's.
    fn meet(&mut self, [a, b]: [u32; 2], event: u32, calculator: &mut Calculator) {
        if self.near.covers(a.max(b)) {
            self.hear(b, event - 1, calculator);
            self.near.join([a, b]);
        } else {
            self.leave(a);
            self.leave(b);
        }
    }

    /// Appends a link to the lists of its ends.
    fn join(&mut self, id: u32) {
        let link = &mut self.links[id as usize];
        for side in 0..2 {
            let stream = &mut self.streams[link.ends[side] as usize];
            if stream.newest != id {
                link.older[side] = stream.newest;
                stream.newest = id;
            }
            if stream.oldest == NONE {
                stream.oldest = id;
            }
        }
    }

    /// Asks for what a packet on this route needs first.
    #[inline(always)]
    pub(super) fn prefetch(&self, route: Route) {
        for end in route.ends {
            self.streams.get(end as usize).map(prefetch);
        }
        self.links.get(route.link as usize).map(prefetch);
    }

    /// Asks for what the streams and the link of a route name.
    #[inline(always)]
    pub(super) fn prefetch_states(&self, route: Route) {
        for stream in route.ends.iter().filter_map(|&end| self.streams.get(end as usize)) {
            self.states.get(stream.state as usize).map(prefetch);
        }
        if let Some(link) = self.links.get(route.link as usize) {
            self.link_states.get(link.state as usize).map(prefetch);
        }
    }

    /// Streams and links evicted so far.
    pub(super) fn evictions(&self) -> (u64, u64) {
        (self.evicted_streams, self.evicted_links)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes()
            + self.streams.capacity() * size_of::<Stream>()
            + self.states.capacity() * size_of::<State>()
            + self.links.capacity() * size_of::<Link>()
            + self.link_states.capacity() * size_of::<link::State>()
            + self.index.bytes()
            + self.log.bytes()
            + self.near.bytes()
            + self.pending.capacity() * size_of::<u32>()
            + self.order.bytes()
    }

    /// The most bytes that a table within these bounds can take.
    pub(super) fn max_bytes(bounds: Bounds) -> usize {
        let streams = 2 * bounds.streams.next_power_of_two() * (size_of::<Stream>() + size_of::<State>());
        let per_link = size_of::<Link>() + size_of::<link::State>() + 2 * size_of::<u32>();
        let links = 2 * bounds.links.next_power_of_two() * per_link;
        let pending = 2 * bounds.events.next_power_of_two() * size_of::<u32>();
        let log = Log::max_bytes(bounds.events) + Near::max_bytes() + Order::max_bytes(bounds.events);
        Names::max_bytes(bounds.streams) + streams + links + log + pending
    }
}
