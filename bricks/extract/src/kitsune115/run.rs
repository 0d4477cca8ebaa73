//! Packets through the tables, in runs and in phases.
//!
//! Records; clocks and the decay factors that they ask for; factors; then, packet by packet, sums, statistics and
//! rows. Each phase does one kind of work for the whole run, so that memory latencies overlap and vectors are full.
//! Every stream still sees its packets one by one, in their order.

use super::channel::Gaps;
use super::packets::{ALL_BUT_SOCKETS, LENGTH, Packets};
use super::pairs::{Ends, Pairs};
use super::statistics::{Cells, PairSums, Slowest, write_pair, write_single};
use super::sums::{Addend, Loaded};
use super::{Link, Rules, Tables, Variant};
use crate::Shard;
use crate::damp::{Factors, Gap};
use crate::hash::Hasher;
use crate::shard::Shards;
use crate::table::Pending;
use crate::vector::{self, Vector, Work};
use legonf_core::Headers;
use std::ops::Range;

/// Runs that are on their way at a time.
const STAGES: usize = 4;

/// The most gaps that a packet decays over: MI, H, jitter, and three each of HH and HpHp.
const GAPS: usize = 9;
const _: () = assert!(LENGTH * GAPS <= Factors::MOST);

/// The sets of shards that the machinery is compiled for: all, and the parts of the exact plan.
const ALL: u8 = Shards::ALL.0;
const SOURCES: u8 = Shards::SOURCES.0;
const PAIRS: u8 = Shards::PAIRS.0;
/// For any other set.
const OTHER: u8 = 0;

/// Where the run of a packet is among those under way.
fn run(packet: usize) -> usize {
    packet / LENGTH % STAGES
}

/// Packets of a batch in the order of arrival: all of them, or those at some places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    headers: &'a [Headers],
    places: Option<&'a [usize]>,
}

impl<'a> Selection<'a> {
    /// All packets.
    pub(crate) fn all(headers: &'a [Headers]) -> Self {
        Self { headers, places: None }
    }

    /// Those at `places`.
    pub(crate) fn some(headers: &'a [Headers], places: &'a [usize]) -> Self {
        Self { headers, places: Some(places) }
    }

    #[inline(always)]
    fn len(self) -> usize {
        self.places.map_or(self.headers.len(), <[usize]>::len)
    }

    #[inline(always)]
    fn get(self, packet: usize) -> Option<&'a Headers> {
        match self.places {
            Some(places) => places.get(packet).map(|place| &self.headers[*place]),
            None => self.headers.get(packet),
        }
    }
}

/// What is computed apart from other parts: some shards, and the pairs whose records in these are remembered.
#[derive(Debug)]
pub(crate) struct Part {
    shards: Shards,
    pairs: Pairs,
}

impl Part {
    /// Those shards.
    pub(crate) fn of(shards: Shards) -> Self {
        Self { shards, pairs: Pairs::new() }
    }
}

/// The machinery of one extractor.
#[derive(Debug)]
pub(crate) struct Run {
    rules: Rules,
    hasher: Hasher,
    /// What it computes, and the shards that rows have columns of.
    part: Part,
    columns: Shards,
    /// Runs on their way: in turn identified, anticipated, their victims looked up, counted in.
    under_way: [Box<Packets>; STAGES],
    factors: Factors,
}

impl Run {
    /// Empty buffers.
    pub(crate) fn new(variant: Variant, hasher: Hasher, shards: Shards) -> Self {
        Self {
            rules: Rules { clean: variant == Variant::Clean },
            hasher,
            part: Part::of(shards),
            columns: shards,
            under_way: std::array::from_fn(|_| Box::new(Packets::new())),
            factors: Factors::new(),
        }
    }

    /// Exchanges what it computes for something else, in rows of such a width: those of all columns of some shards, or of the
    /// columns that are computed alone.
    pub(crate) fn exchange(&mut self, part: &mut Part, width: usize, all: Shards) {
        std::mem::swap(&mut self.part, part);
        self.columns = if width == self.part.shards.width() { self.part.shards } else { all };
    }

    /// Counts packets in and writes the cells of its shards in their rows, of which there is one for each of these packets.
    ///
    /// While a packet is counted in, the memory that those one, two and three runs later need is on its way.
    pub(crate) fn extract(&mut self, tables: &mut Tables, packets: Selection<'_>, rows: &mut [f64]) {
        let Selection { headers, places } = packets;
        match (self.part.shards, places) {
            (Shards::ALL, None) => self.extract_shards::<ALL>(tables, Selection::all(headers), rows),
            (Shards::SOURCES, Some(places)) => {
                self.extract_shards::<SOURCES>(tables, Selection::some(headers, places), rows);
            }
            (Shards::PAIRS, Some(places)) => {
                self.extract_shards::<PAIRS>(tables, Selection::some(headers, places), rows);
            }
            _ => self.extract_shards::<OTHER>(tables, packets, rows),
        }
    }

    /// The shards, known to the compiler where it compiles for a set.
    #[inline(always)]
    fn shards<const SET: u8>(&self) -> Shards {
        if SET == OTHER { self.part.shards } else { Shards(SET) }
    }

    /// The shards that rows have columns of, likewise where these are all.
    #[inline(always)]
    fn columns<const SET: u8>(&self) -> Shards {
        if SET == ALL { Shards::ALL } else { self.columns }
    }

    #[inline(always)]
    fn extract_shards<const SET: u8>(
        &mut self,
        tables: &mut Tables,
        headers: Selection<'_>,
        rows: &mut [f64],
    ) {
        self.part.pairs.turn(headers.len());
        let first = |runs: usize| 0..(runs * LENGTH).min(headers.len());
        first(3).for_each(|packet| self.identify::<SET>(tables, headers, packet));
        first(2).for_each(|packet| self.anticipate::<SET>(tables, headers, packet));
        first(1).for_each(|packet| self.prefetch_victims::<SET>(tables, headers, packet));
        for start in (0..headers.len()).step_by(LENGTH) {
            vector::dispatch(CountIn::<SET> { extractor: self, tables, headers, start, rows });
        }
    }

    /// [`Packets::identify`], if there is such a packet.
    #[inline(always)]
    fn identify<const SET: u8>(&mut self, tables: &Tables, headers: Selection<'_>, packet: usize) {
        if let Some(headers) = headers.get(packet) {
            let (shards, packets) = (self.shards::<SET>(), &mut self.under_way[run(packet)]);
            let (at, rules) = (packet % LENGTH, self.rules);
            packets.identify(tables, &self.hasher, &self.part.pairs, (headers, shards), at, rules);
        }
    }

    /// [`Packets::anticipate`], if there is such a packet.
    #[inline(always)]
    fn anticipate<const SET: u8>(&mut self, tables: &Tables, headers: Selection<'_>, packet: usize) {
        if packet < headers.len() {
            let shards = self.shards::<SET>();
            self.under_way[run(packet)].anticipate(tables, shards, packet % LENGTH);
        }
    }

    /// [`Packets::prefetch_victims`], if there is such a packet.
    #[inline(always)]
    fn prefetch_victims<const SET: u8>(&mut self, tables: &Tables, headers: Selection<'_>, packet: usize) {
        if tables.has_evicted() && packet < headers.len() {
            let shards = self.shards::<SET>();
            self.under_way[run(packet)].prefetch_victims(tables, shards, packet % LENGTH);
        }
    }

    /// Finds the streams of a packet; goes on after the tables that are `located` already.
    #[inline(always)]
    fn locate<const SET: u8>(
        &mut self,
        tables: &mut Tables,
        headers: &Headers,
        run: usize,
        pending: Range<usize>,
        located: &mut u8,
    ) -> Result<(), Pending> {
        let has_sockets = self.shards::<SET>().has(Shard::Sockets);
        let (at, packets) = (pending.end, &mut *self.under_way[run]);
        let is_known = packets.steps[at].known == tables.generation();
        let (key, hash) = (&packets.keys[at].socket, packets.hashes[at].socket);
        if is_known && (!has_sockets || tables.sockets.hit(&mut packets.numbers.socket[at], hash, key)) {
            return Ok(());
        }
        self.search(tables, headers, run, pending, located)
    }

    /// [`locate`](Self::locate), if not all records are known.
    #[inline(never)]
    fn search(
        &mut self,
        tables: &mut Tables,
        headers: &Headers,
        run: usize,
        pending: Range<usize>,
        located: &mut u8,
    ) -> Result<(), Pending> {
        let (at, packets) = (pending.end, &mut *self.under_way[run]);
        let known = packets.steps[at].known;
        if known == tables.generation() {
            *located = ALL_BUT_SOCKETS;
        } else if known != 0 {
            packets.spell(&self.hasher, (headers, self.part.shards), at);
        }
        if *located == 0
            && tables.hit(&packets.keys[at], &packets.hashes[at], &mut packets.numbers, at, self.part.shards)
        {
            *located = ALL_BUT_SOCKETS;
            if let Some(ends) = Ends::of(headers, self.part.shards) {
                self.part.pairs.remember(&ends, tables.generation(), packets.pair(at));
            }
        }
        let result = packets.locate(tables, (self.rules, self.part.shards), pending, located);
        tables.renew();
        result
    }

    /// Advances the clocks of a packet's streams and notes how they decay.
    #[inline(always)]
    fn tick<const SET: u8>(&mut self, tables: &mut Tables, run: usize, at: usize) {
        let shards = self.shards::<SET>();
        let Packets { numbers, steps, .. } = &mut *self.under_way[run];
        let (step, rules, mut factors) = (&mut steps[at], self.rules, self.factors.ask());
        let (time, mut near) = (step.time, Gap::NONE);
        if shards.has(Shard::Sources)
            && let Some(source) = tables.sources.get_mut(numbers.source[at])
        {
            near = factors.push(source.tick(time), [Gap::NONE]);
            step.source = near.factor;
        }
        if shards.has(Shard::Sources)
            && let Some(identity) = tables.identities.get_mut(numbers.identity[at])
        {
            step.identity = factors.push(identity.tick(time), [near]).factor;
        }
        let mut near = Gaps::of_source(near);
        if shards.has(Shard::Channels)
            && let Some(link) = tables.links.get_mut(numbers.link[at])
        {
            (near, step.jitter) = link.tick(step.flows[0], time, rules, &mut factors, &near);
            step.channel = near.decay();
        }
        if shards.has(Shard::Sockets)
            && let Some(socket) = tables.sockets.get_mut(numbers.socket[at])
        {
            step.socket = socket.tick(step.flows[1], time, rules, &mut factors, &near).decay();
        }
        factors.done();
    }

    /// Adds a packet to its streams and writes its row. Meanwhile, of the runs behind it, a packet is identified and
    /// another anticipated: that needs no divisions, and they little else.
    #[inline(always)]
    fn insert<V: Vector, const SET: u8>(
        &mut self,
        tables: &mut Tables,
        headers: Selection<'_>,
        packet: usize,
        row: &mut [f64],
    ) {
        let shards = self.shards::<SET>();
        let (run, at, mut cells) =
            (run(packet), packet % LENGTH, Cells::of(row, shards, self.columns::<SET>()));
        let addend = Addend::of(self.under_way[run].steps[at].value);
        let [source, identity] = match shards.has(Shard::Sources) {
            true => self.insert_source::<V>(tables, run, at, &addend),
            false => [Loaded::first(&addend), Loaded::first(&addend)],
        };
        if let Some([identity_cells, source_cells]) = &mut cells.sources {
            write_single::<V>(&identity, identity_cells);
            write_single::<V>(&source, source_cells);
        }
        if !shards.has(Shard::Channels) && !shards.has(Shard::Sockets) {
            self.anticipate::<SET>(tables, headers, packet + 2 * LENGTH);
            self.identify::<SET>(tables, headers, packet + 3 * LENGTH);
            return cells.write_slowest_sources::<V>(identity.slow, source.slow);
        }
        self.anticipate::<SET>(tables, headers, packet + 2 * LENGTH);
        let (jitter, channel) = self.insert_link::<V>(tables, run, at, &addend);
        if let Some((cells, jitter_cells)) = &mut cells.channel {
            write_pair::<V>(&channel, cells);
            write_single::<V>(&jitter, jitter_cells);
        }
        self.identify::<SET>(tables, headers, packet + 3 * LENGTH);
        let socket = self.insert_socket::<V>(tables, run, at, &addend);
        if let Some(cells) = &mut cells.socket {
            write_pair::<V>(&socket, cells);
        }
        cells.write_slowest::<V>(&Slowest {
            own: [channel.own.slow, socket.own.slow, identity.slow, source.slow],
            other: [channel.other.slow, socket.other.slow, jitter.slow, jitter.slow],
        });
    }

    /// Adds a packet to H and MI.
    #[inline(always)]
    fn insert_source<V: Vector>(
        &self,
        tables: &mut Tables,
        run: usize,
        at: usize,
        addend: &Addend<V>,
    ) -> [Loaded<V>; 2] {
        let Packets { numbers, steps, .. } = &*self.under_way[run];
        let (step, factors) = (&steps[at], &self.factors);
        let source = match tables.sources.get_mut(numbers.source[at]) {
            Some(source) => source.insert(addend, factors.get(step.source)),
            None => Loaded::first(addend),
        };
        let identity = match tables.identities.get_mut(numbers.identity[at]) {
            Some(identity) => identity.insert(addend, factors.get(step.identity)),
            None => Loaded::first(addend),
        };
        [source, identity]
    }

    /// Adds a packet to HH_jit and HH.
    #[inline(always)]
    fn insert_link<V: Vector>(
        &self,
        tables: &mut Tables,
        run: usize,
        at: usize,
        addend: &Addend<V>,
    ) -> (Loaded<V>, PairSums<V>) {
        let Packets { numbers, steps, .. } = &*self.under_way[run];
        let (flow, step, factors) = (steps[at].flows[0], &steps[at], &self.factors);
        let Some(link) = tables.links.get_mut(numbers.link[at]) else {
            let (interval, _) = Link::first_interval(step.time, self.rules);
            return (Loaded::first(&Addend::of(interval)), PairSums::first(addend, flow.own == flow.other));
        };
        let interval = &Addend::of(step.jitter.interval);
        let jitter = link.insert(flow, interval, factors.get(step.jitter.decay));
        (jitter, link.channel.insert::<V>(flow, addend, &step.channel, factors))
    }

    /// Adds a packet to HpHp.
    #[inline(always)]
    fn insert_socket<V: Vector>(
        &self,
        tables: &mut Tables,
        run: usize,
        at: usize,
        addend: &Addend<V>,
    ) -> PairSums<V> {
        let Packets { numbers, steps, .. } = &*self.under_way[run];
        let (flow, step) = (steps[at].flows[1], &steps[at]);
        match tables.sockets.get_mut(numbers.socket[at]) {
            Some(socket) => socket.insert::<V>(flow, addend, &step.socket, &self.factors),
            None => PairSums::first(addend, flow.own == flow.other),
        }
    }
}

/// Counts in the run from packet `start` on and writes its rows. Meanwhile, of the runs behind it, packets are identified
/// and anticipated.
struct CountIn<'a, const SET: u8> {
    extractor: &'a mut Run,
    tables: &'a mut Tables,
    headers: Selection<'a>,
    start: usize,
    rows: &'a mut [f64],
}

impl<const SET: u8> Work for CountIn<'_, SET> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { extractor, tables, headers, start, rows } = self;
        let (packets, run) = ((headers.len() - start).min(LENGTH), run(start));
        let width = extractor.columns::<SET>().width();
        let (mut from, mut located) = (0, 0);
        while from < packets {
            let mut end = from;
            while end < packets
                && headers.get(start + end).is_some_and(|headers| {
                    extractor.locate::<SET>(tables, headers, run, from..end, &mut located).is_ok()
                })
            {
                extractor.prefetch_victims::<SET>(tables, headers, start + LENGTH + end);
                (end, located) = (end + 1, 0);
            }
            // Clocks come after all records are found: what is evicted depends on them.
            extractor.factors.clear();
            (from..end).for_each(|at| extractor.tick::<SET>(tables, run, at));
            extractor.factors.evaluate::<V>();
            for at in from..end {
                let row = &mut rows[(start + at) * width..][..width];
                extractor.insert::<V, SET>(tables, headers, start + at, row);
            }
            from = end;
        }
    }
}
