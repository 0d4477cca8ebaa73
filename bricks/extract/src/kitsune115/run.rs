//! A run of packets through the tables, in phases.
//!
//! Keys and hashes; records; clocks and the decay factors that they ask for; factors; sums, packet by packet;
//! statistics; rows. Each phase does one kind of work for the whole run, so that memory latencies overlap and
//! vectors are full. Every stream still sees its packets one by one, in their order.

use super::channel::{Decay, Outcome};
use super::keys::{Flow, PacketKeys};
use super::link::Jitter;
use super::statistics::{Pair, Single, Statistics};
use super::sums::{self, Sums};
use super::{Link, Packet, Rules, Tables, Variant};
use crate::damp::{Factor, Factors};
use crate::hash::{Hasher, same, slot};
use crate::shard::Shards;
use crate::table::{NEW, Pending, Query};
use crate::{Arithmetic, Shard};
use legonf_core::Headers;
use multiversion::multiversion;
use std::ops::Range;

/// The most packets in a run.
const LENGTH: usize = 32;

/// Runs that are on their way at a time.
const STAGES: usize = 4;

/// The most gaps that a packet decays over: MI, H, jitter, and three each of HH and HpHp.
const GAPS: usize = 9;

/// Hashes of a packet's keys.
#[derive(Clone, Copy, Debug, Default)]
struct Hashes {
    identity: u64,
    source: u64,
    channel: u64,
    socket: u64,
    socket_shard: u64,
}

impl Hashes {
    #[inline]
    fn of(keys: &PacketKeys, hasher: &Hasher) -> Self {
        let channel = hasher.five(keys.channel);
        Self {
            identity: hasher.three(keys.identity),
            source: hasher.three(keys.source),
            channel,
            socket: hasher.five(keys.socket),
            socket_shard: match same(&keys.socket_shard, &keys.channel) {
                true => channel,
                false => hasher.five(keys.socket_shard),
            },
        }
    }
}

/// Numbers of the packets' records, by table; [`NEW`] for a packet that is the first of its stream.
#[derive(Debug)]
struct Numbers {
    identity: [u32; LENGTH],
    source: [u32; LENGTH],
    link: [u32; LENGTH],
    socket: [u32; LENGTH],
}

/// What a packet adds to its streams, and how they decay before.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    time: f64,
    length: u32,
    identity: Factor,
    source: Factor,
    jitter: Jitter,
    channel: Decay,
    socket: Decay,
}

/// A run of packets on its way.
#[derive(Debug)]
struct Packets {
    shards: Shards,
    keys: [PacketKeys; LENGTH],
    hashes: [Hashes; LENGTH],
    numbers: Numbers,
    steps: [Step; LENGTH],
}

impl Packets {
    /// Empty buffers.
    fn new(shards: Shards) -> Self {
        let none = [NEW; LENGTH];
        Self {
            shards,
            keys: [PacketKeys::default(); LENGTH],
            hashes: [Hashes::default(); LENGTH],
            numbers: Numbers { identity: none, source: none, link: none, socket: none },
            steps: [Step::default(); LENGTH],
        }
    }

    /// Takes a packet in, and asks for where the tables' indexes and slots have it.
    #[inline]
    fn identify(&mut self, tables: &Tables, hasher: &Hasher, headers: &Headers, at: usize) {
        let keys = PacketKeys::of(headers);
        let hashes = Hashes::of(&keys, hasher);
        if self.shards.has(Shard::Sources) {
            tables.identities.prefetch(hashes.identity, slot(hashes.source));
            tables.sources.prefetch(hashes.source, slot(hashes.source));
        }
        if self.shards.has(Shard::Channels) {
            tables.links.prefetch(hashes.channel, slot(hashes.channel));
        }
        if self.shards.has(Shard::Sockets) {
            tables.sockets.prefetch(hashes.socket, slot(hashes.socket_shard));
        }
        self.hashes[at] = hashes;
        self.keys[at] = keys;
        self.steps[at].time = headers.timestamp.as_secs_f64();
        self.steps[at].length = headers.wire_len;
    }

    /// Guesses a packet's records and asks for them, and for what must go to make room.
    #[inline]
    fn anticipate(&mut self, tables: &Tables, at: usize) {
        let (numbers, hashes) = (&mut self.numbers, &self.hashes[at]);
        if self.shards.has(Shard::Sources) {
            let by_source = slot(hashes.source);
            numbers.identity[at] = tables.identities.anticipate(hashes.identity, by_source);
            numbers.source[at] = tables.sources.anticipate(hashes.source, by_source);
        }
        if self.shards.has(Shard::Channels) {
            numbers.link[at] = tables.links.anticipate(hashes.channel, slot(hashes.channel));
        }
        if self.shards.has(Shard::Sockets) {
            numbers.socket[at] = tables.sockets.anticipate(hashes.socket, slot(hashes.socket_shard));
        }
    }

    /// Asks for the indexes' part in evictions.
    #[inline]
    fn prefetch_victims(&self, tables: &Tables, at: usize) {
        let (numbers, hashes) = (&self.numbers, &self.hashes[at]);
        if self.shards.has(Shard::Sources) {
            let by_source = slot(hashes.source);
            tables.identities.prefetch_victim(numbers.identity[at], by_source);
            tables.sources.prefetch_victim(numbers.source[at], by_source);
        }
        if self.shards.has(Shard::Channels) {
            tables.links.prefetch_victim(numbers.link[at], slot(hashes.channel));
        }
        if self.shards.has(Shard::Sockets) {
            tables.sockets.prefetch_victim(numbers.socket[at], slot(hashes.socket_shard));
        }
    }

    /// Finds or makes the records of the packet after those that are `pending`. Goes on after the tables that are
    /// `located` already.
    #[inline]
    fn locate(
        &mut self,
        tables: &mut Tables,
        rules: Rules,
        pending: Range<usize>,
        located: &mut u8,
    ) -> Result<(), Pending> {
        let (shards, from, at) = (self.shards, pending.start, pending.end);
        let (keys, hashes, numbers) = (&self.keys[at], &self.hashes[at], &mut self.numbers);
        let Step { time, length, .. } = self.steps[at];
        let by_source = slot(hashes.source);
        let packet = Packet { time, length, flow: Flow::default() };
        if *located == 0 && shards.has(Shard::Sources) {
            let (pending, guess) = (&numbers.source[from..at], numbers.source[at]);
            let query = Query { key: &keys.source, hash: hashes.source, slot: by_source, guess };
            numbers.source[at] = tables.sources.locate(query, pending, &packet, rules)?;
            *located = 1;
        }
        if *located <= 1 && shards.has(Shard::Sources) {
            let (pending, guess) = (&numbers.identity[from..at], numbers.identity[at]);
            let query = Query { key: &keys.identity, hash: hashes.identity, slot: by_source, guess };
            numbers.identity[at] = tables.identities.locate(query, pending, &packet, rules)?;
            *located = 2;
        }
        if *located <= 2 && shards.has(Shard::Channels) {
            let (pending, guess) = (&numbers.link[from..at], numbers.link[at]);
            let query = Query { key: &keys.channel, hash: hashes.channel, slot: slot(hashes.channel), guess };
            let packet = Packet { flow: keys.channel_flow, ..packet };
            numbers.link[at] = tables.links.locate(query, pending, &packet, rules)?;
            *located = 3;
        }
        if !shards.has(Shard::Sockets) {
            return Ok(());
        }
        let (pending, guess) = (&numbers.socket[from..at], numbers.socket[at]);
        let query = Query { key: &keys.socket, hash: hashes.socket, slot: slot(hashes.socket_shard), guess };
        let packet = Packet { flow: keys.socket_flow, ..packet };
        numbers.socket[at] = tables.sockets.locate(query, pending, &packet, rules)?;
        Ok(())
    }
}

/// Where the run of a packet is among those under way.
fn run(packet: usize) -> usize {
    packet / LENGTH % STAGES
}

/// The machinery of one extractor.
#[derive(Debug)]
pub(crate) struct Run {
    rules: Rules,
    hasher: Hasher,
    shards: Shards,
    /// Columns of the shards.
    width: usize,
    /// Runs on their way: in turn identified, anticipated, their victims looked up, counted in.
    under_way: [Box<Packets>; STAGES],
    factors: Factors,
    statistics: Statistics,
}

impl Run {
    /// Empty buffers.
    pub(crate) fn new(variant: Variant, arithmetic: Arithmetic, hasher: Hasher, shards: Shards) -> Self {
        Self {
            rules: Rules { clean: variant == Variant::Clean, fast: arithmetic == Arithmetic::Fast },
            hasher,
            shards,
            width: shards.width(),
            under_way: std::array::from_fn(|_| Box::new(Packets::new(shards))),
            factors: Factors::new(arithmetic, LENGTH * GAPS),
            statistics: Statistics::new(LENGTH),
        }
    }

    /// Counts packets in and writes their feature vectors.
    ///
    /// While a packet is counted in, the memory that those one, two and three runs later need is on its way.
    pub(crate) fn extract(&mut self, tables: &mut Tables, headers: &[Headers], rows: &mut [f64]) {
        (0..3 * LENGTH).for_each(|packet| self.identify(tables, headers, packet));
        (0..2 * LENGTH).for_each(|packet| self.anticipate(tables, headers, packet));
        (0..LENGTH).for_each(|packet| self.prefetch_victims(tables, headers, packet));
        for (start, rows) in (0..headers.len()).step_by(LENGTH).zip(rows.chunks_mut(LENGTH * self.width)) {
            self.count_in(tables, headers, start, rows);
        }
    }

    /// [`Packets::identify`], if there is such a packet.
    #[inline]
    fn identify(&mut self, tables: &Tables, headers: &[Headers], packet: usize) {
        if let Some(headers) = headers.get(packet) {
            self.under_way[run(packet)].identify(tables, &self.hasher, headers, packet % LENGTH);
        }
    }

    /// [`Packets::anticipate`], if there is such a packet.
    #[inline]
    fn anticipate(&mut self, tables: &Tables, headers: &[Headers], packet: usize) {
        if packet < headers.len() {
            self.under_way[run(packet)].anticipate(tables, packet % LENGTH);
        }
    }

    /// [`Packets::prefetch_victims`], if there is such a packet.
    #[inline]
    fn prefetch_victims(&mut self, tables: &Tables, headers: &[Headers], packet: usize) {
        if packet < headers.len() {
            self.under_way[run(packet)].prefetch_victims(tables, packet % LENGTH);
        }
    }

    /// Counts in the run from packet `start` on and writes its rows.
    fn count_in(&mut self, tables: &mut Tables, headers: &[Headers], start: usize, rows: &mut [f64]) {
        let mut from = 0;
        let packets = (headers.len() - start).min(LENGTH);
        for at in 0..packets {
            self.prefetch_victims(tables, headers, start + LENGTH + at);
            let mut located = 0;
            while self.under_way[run(start)].locate(tables, self.rules, from..at, &mut located).is_err() {
                self.finish(tables, headers, start, from..at, rows);
                from = at;
            }
        }
        self.finish(tables, headers, start, from..packets, rows);
    }

    /// Counts in the packets of a range, whose records are known, and writes their rows.
    fn finish(
        &mut self,
        tables: &mut Tables,
        headers: &[Headers],
        start: usize,
        packets: Range<usize>,
        rows: &mut [f64],
    ) {
        self.factors.clear();
        for at in packets.clone() {
            self.anticipate(tables, headers, start + 2 * LENGTH + at);
            self.tick(tables, run(start), at);
        }
        self.factors.evaluate();
        insert_all(self, tables, run(start), packets.clone());
        self.statistics.evaluate(packets.clone(), self.rules.fast);
        for at in packets {
            self.identify(tables, headers, start + 3 * LENGTH + at);
            let row = &mut rows[at * self.width..(at + 1) * self.width];
            self.statistics.write(at, self.shards, row);
        }
    }

    /// Advances the clocks of a packet's streams and notes how they decay.
    #[inline]
    fn tick(&mut self, tables: &mut Tables, run: usize, at: usize) {
        let Packets { keys, numbers, steps, .. } = &mut *self.under_way[run];
        let (keys, step) = (&keys[at], &mut steps[at]);
        let (time, rules, factors) = (step.time, self.rules, &mut self.factors);
        factors.next_packet();
        if let Some(source) = tables.sources.get_mut(numbers.source[at]) {
            step.source = factors.push(source.tick(time));
        }
        if let Some(identity) = tables.identities.get_mut(numbers.identity[at]) {
            step.identity = factors.push(identity.tick(time));
        }
        if let Some(link) = tables.links.get_mut(numbers.link[at]) {
            step.jitter = link.tick(keys.channel_flow, time, rules, factors);
            step.channel = link.channel.tick(keys.channel_flow, time, rules, factors);
        }
        if let Some(socket) = tables.sockets.get_mut(numbers.socket[at]) {
            step.socket = socket.tick(keys.socket_flow, time, rules, factors);
        }
    }

    /// Adds a packet to its streams and leaves their sums for the statistics.
    #[inline(always)]
    fn insert(&mut self, tables: &mut Tables, run: usize, at: usize) {
        let Packets { numbers, steps, .. } = &*self.under_way[run];
        let step = &steps[at];
        let (statistics, factors) = (&mut self.statistics, &self.factors);
        let value = f64::from(step.length);
        let first = sums::first(value);
        if self.shards.has(Shard::Sources) {
            let sums = match tables.sources.get_mut(numbers.source[at]) {
                Some(source) => source.insert(value, factors.get(step.source)),
                None => &first,
            };
            statistics.set_single(at, Single::Source, sums);
            let sums = match tables.identities.get_mut(numbers.identity[at]) {
                Some(identity) => identity.insert(value, factors.get(step.identity)),
                None => &first,
            };
            statistics.set_single(at, Single::Identity, sums);
        }
        if self.shards.has(Shard::Channels) {
            self.insert_link(tables, run, at, &first);
        }
        if self.shards.has(Shard::Sockets) {
            self.insert_socket(tables, run, at, &first);
        }
    }

    /// The part of [`insert`](Self::insert) in HH and HH_jit.
    #[inline(always)]
    fn insert_link(&mut self, tables: &mut Tables, run: usize, at: usize, first: &Sums) {
        let Packets { keys, numbers, steps, .. } = &*self.under_way[run];
        let (keys, step) = (&keys[at], &steps[at]);
        let (statistics, factors, rules) = (&mut self.statistics, &self.factors, self.rules);
        let (value, flow) = (f64::from(step.length), keys.channel_flow);
        match tables.links.get_mut(numbers.link[at]) {
            Some(link) => {
                let jitter = match rules.fast {
                    true => link.insert_fast(flow, step.jitter.interval, step.channel.sums, factors),
                    false => link.insert(flow, &step.jitter, factors),
                };
                statistics.set_single(at, Single::Jitter, jitter);
                let outcome = link.channel.insert(flow, value, &step.channel, factors, rules);
                statistics.set_pair(at, Pair::Channel, &outcome);
            }
            None => {
                let (interval, _) = Link::first_interval(step.time, rules);
                statistics.set_single(at, Single::Jitter, &sums::first(interval));
                statistics.set_pair(at, Pair::Channel, &Outcome::first(flow, first));
            }
        }
    }

    /// The part of [`insert`](Self::insert) in HpHp.
    #[inline(always)]
    fn insert_socket(&mut self, tables: &mut Tables, run: usize, at: usize, first: &Sums) {
        let Packets { keys, numbers, steps, .. } = &*self.under_way[run];
        let (flow, step) = (keys[at].socket_flow, &steps[at]);
        let outcome = match tables.sockets.get_mut(numbers.socket[at]) {
            Some(socket) => {
                socket.insert(flow, f64::from(step.length), &step.socket, &self.factors, self.rules)
            }
            None => Outcome::first(flow, first),
        };
        self.statistics.set_pair(at, Pair::Socket, &outcome);
    }
}

/// Adds a range of packets to their streams, in order.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn insert_all(extractor: &mut Run, tables: &mut Tables, run: usize, packets: Range<usize>) {
    for at in packets {
        extractor.insert(tables, run, at);
    }
}
