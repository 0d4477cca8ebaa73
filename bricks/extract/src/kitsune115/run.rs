//! Packets through the tables, in runs and in phases.
//!
//! Records; clocks and the decay factors that they ask for; factors; sums, packet by packet;
//! statistics; rows. Each phase does one kind of work for the whole run, so that memory latencies overlap and
//! vectors are full. Every stream still sees its packets one by one, in their order.

use super::channel::Outcome;
use super::packets::Packets;
use super::statistics::{LENGTH, Pair, Single, Statistics};
use super::sums;
use super::{Link, Rules, Tables, Variant};
use crate::damp::Factors;
use crate::hash::Hasher;
use crate::shard::Shards;
use crate::{Arithmetic, Shard};
use legonf_core::Headers;
use multiversion::multiversion;
use std::ops::Range;

/// Runs that are on their way at a time.
const STAGES: usize = 4;

/// The most gaps that a packet decays over: MI, H, jitter, and three each of HH and HpHp.
const GAPS: usize = 9;

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
            statistics: Statistics::default(),
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
    #[inline(always)]
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
        insert_all(self, tables, headers, start, packets.clone());
        self.statistics.evaluate(packets.clone(), self.rules.fast);
        write_all(&self.statistics, self.shards, packets, rows);
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
        if self.shards.has(Shard::Sources) {
            let sums = match tables.sources.get_mut(numbers.source[at]) {
                Some(source) => source.insert(value, factors.get(step.source)),
                None => &sums::first(value),
            };
            statistics.set_single(at, Single::Source, sums);
            let sums = match tables.identities.get_mut(numbers.identity[at]) {
                Some(identity) => identity.insert(value, factors.get(step.identity)),
                None => &sums::first(value),
            };
            statistics.set_single(at, Single::Identity, sums);
        }
        if self.shards.has(Shard::Channels) {
            self.insert_link(tables, run, at);
        }
        if self.shards.has(Shard::Sockets) {
            self.insert_socket(tables, run, at);
        }
    }

    /// The part of [`insert`](Self::insert) in HH and HH_jit.
    #[inline(always)]
    fn insert_link(&mut self, tables: &mut Tables, run: usize, at: usize) {
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
                statistics.set_pair(
                    at,
                    Pair::Channel,
                    &Outcome::first(flow, &sums::first(f64::from(step.length))),
                );
            }
        }
    }

    /// The part of [`insert`](Self::insert) in HpHp.
    #[inline(always)]
    fn insert_socket(&mut self, tables: &mut Tables, run: usize, at: usize) {
        let Packets { keys, numbers, steps, .. } = &*self.under_way[run];
        let (flow, step) = (keys[at].socket_flow, &steps[at]);
        let first;
        let outcome = match tables.sockets.get_mut(numbers.socket[at]) {
            Some(socket) => {
                socket.insert(flow, f64::from(step.length), &step.socket, &self.factors, self.rules)
            }
            None => {
                first = sums::first(f64::from(step.length));
                Outcome::first(flow, &first)
            }
        };
        self.statistics.set_pair(at, Pair::Socket, &outcome);
    }
}

/// Adds a range of packets to their streams, in order, and identifies as many to come.
#[multiversion(targets("x86_64+avx512f+avx512vl+bmi2", "x86_64+avx2+bmi2"))]
fn insert_all(
    extractor: &mut Run,
    tables: &mut Tables,
    headers: &[Headers],
    start: usize,
    packets: Range<usize>,
) {
    for at in packets {
        extractor.identify(tables, headers, start + 3 * LENGTH + at);
        extractor.insert(tables, run(start), at);
    }
}

/// Writes the rows of a range of packets.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn write_all(statistics: &Statistics, shards: Shards, packets: Range<usize>, rows: &mut [f64]) {
    let rows = rows.chunks_exact_mut(shards.width()).skip(packets.start);
    for (at, row) in packets.zip(rows) {
        statistics.write(at, shards, row);
    }
}
