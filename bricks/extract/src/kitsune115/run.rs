//! A run of packets through the tables, in phases.
//!
//! Keys and hashes; records; clocks and the decay factors that they ask for; factors; sums, packet by packet;
//! statistics; rows. Each phase does one kind of work for the whole run, so that memory latencies overlap and
//! vectors are full. Every stream still sees its packets one by one, in their order.

use super::channel::Decay;
use super::keys::PacketKeys;
use super::link::Jitter;
use super::source::Source;
use super::statistics::{Pair, Single, Statistics};
use super::{Channel, Link, Rules, Tables, Variant, WIDTH};
use crate::Arithmetic;
use crate::damp::{Factor, Factors};
use crate::hash::{Hasher, slot};
use crate::table::{Pending, Query};
use legonf_core::Headers;
use multiversion::multiversion;
use std::ops::Range;

/// The most packets in a run.
pub(crate) const LENGTH: usize = 32;

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

/// Numbers of the packets' records, by table.
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
    value: f64,
    identity: Factor,
    source: Factor,
    jitter: Jitter,
    channel: Decay,
    socket: Decay,
}

/// Buffers for one run.
#[derive(Debug)]
pub(crate) struct Run {
    rules: Rules,
    hasher: Hasher,
    keys: [PacketKeys; LENGTH],
    hashes: [Hashes; LENGTH],
    numbers: Numbers,
    steps: [Step; LENGTH],
    factors: Factors,
    statistics: Statistics,
}

impl Run {
    /// Empty buffers.
    pub(crate) fn new(variant: Variant, arithmetic: Arithmetic, hasher: Hasher) -> Self {
        let none = [0; LENGTH];
        Self {
            rules: Rules { clean: variant == Variant::Clean, fast: arithmetic == Arithmetic::Fast },
            hasher,
            keys: [PacketKeys::default(); LENGTH],
            hashes: [Hashes::default(); LENGTH],
            numbers: Numbers { identity: none, source: none, link: none, socket: none },
            steps: [Step::default(); LENGTH],
            factors: Factors::new(arithmetic, LENGTH * GAPS),
            statistics: Statistics::new(LENGTH),
        }
    }

    /// Counts up to [`LENGTH`] packets in and writes their feature vectors.
    pub(crate) fn extract(&mut self, tables: &mut Tables, headers: &[Headers], rows: &mut [f64]) {
        self.identify(headers);
        self.prefetch(tables, headers.len());
        let mut from = 0;
        for at in 0..headers.len() {
            if self.locate(tables, from, at).is_err() {
                self.finish(tables, from..at, rows);
                from = at;
                self.locate(tables, from, at).expect("no packet is under way, so nothing is pending");
            }
        }
        self.finish(tables, from..headers.len(), rows);
    }

    fn identify(&mut self, headers: &[Headers]) {
        for (at, headers) in headers.iter().enumerate() {
            let keys = PacketKeys::of(headers);
            let channel = self.hasher.five(keys.channel);
            self.hashes[at] = Hashes {
                identity: self.hasher.three(keys.identity),
                source: self.hasher.three(keys.source),
                channel,
                socket: self.hasher.five(keys.socket),
                socket_shard: match keys.socket_shard == keys.channel {
                    true => channel,
                    false => self.hasher.five(keys.socket_shard),
                },
            };
            self.keys[at] = keys;
            self.steps[at].time = headers.timestamp.as_secs_f64();
            self.steps[at].value = f64::from(headers.wire_len);
        }
    }

    /// Asks for what the tables will read, first of their indexes, then of what must go to make room, then of their
    /// records.
    fn prefetch(&self, tables: &Tables, packets: usize) {
        for hashes in &self.hashes[..packets] {
            tables.identities.prefetch_index(hashes.identity);
            tables.sources.prefetch_index(hashes.source);
            tables.links.prefetch_index(hashes.channel);
            tables.sockets.prefetch_index(hashes.socket);
        }
        let hashes = self.hashes[..packets].iter();
        tables.identities.prefetch_victims(hashes.clone().map(|h| slot(h.source)));
        tables.sources.prefetch_victims(hashes.clone().map(|h| slot(h.source)));
        tables.links.prefetch_victims(hashes.clone().map(|h| slot(h.channel)));
        tables.sockets.prefetch_victims(hashes.map(|h| slot(h.socket_shard)));
        for hashes in &self.hashes[..packets] {
            tables.identities.prefetch_record(hashes.identity);
            tables.sources.prefetch_record(hashes.source);
            tables.links.prefetch_record(hashes.channel);
            tables.sockets.prefetch_record(hashes.socket);
        }
    }

    /// Finds or makes the records of packet `at`, while the packets since `from` are under way.
    #[inline]
    fn locate(&mut self, tables: &mut Tables, from: usize, at: usize) -> Result<(), Pending> {
        let (keys, hashes, numbers) = (&self.keys[at], &self.hashes[at], &mut self.numbers);
        let time = self.steps[at].time;
        let query = Query { key: &keys.source, hash: hashes.source, slot: slot(hashes.source) };
        let source = || Source::new(&keys.source, time);
        numbers.source[at] = tables.sources.locate(query, &numbers.source[from..at], source)?;
        let query = Query { key: &keys.identity, hash: hashes.identity, ..query };
        let identity = || Source::new(&keys.identity, time);
        numbers.identity[at] = tables.identities.locate(query, &numbers.identity[from..at], identity)?;
        let query = Query { key: &keys.channel, hash: hashes.channel, slot: slot(hashes.channel) };
        let link = || Link::new(&keys.channel, time);
        numbers.link[at] = tables.links.locate(query, &numbers.link[from..at], link)?;
        let query = Query { key: &keys.socket, hash: hashes.socket, slot: slot(hashes.socket_shard) };
        let socket = || Channel::new(&keys.socket, time);
        numbers.socket[at] = tables.sockets.locate(query, &numbers.socket[from..at], socket)?;
        Ok(())
    }

    /// Counts in the packets of a range, whose records are known, and writes their rows.
    fn finish(&mut self, tables: &mut Tables, packets: Range<usize>, rows: &mut [f64]) {
        self.factors.clear();
        packets.clone().for_each(|at| self.tick(tables, at));
        self.factors.evaluate();
        insert_all(self, tables, packets.clone());
        self.statistics.evaluate(packets.clone(), self.rules.fast);
        for at in packets {
            self.statistics.write(at, &mut rows[at * WIDTH..(at + 1) * WIDTH]);
        }
    }

    /// Advances the clocks of a packet's streams and notes how they decay.
    #[inline]
    fn tick(&mut self, tables: &mut Tables, at: usize) {
        let (keys, numbers, step) = (&self.keys[at], &self.numbers, &mut self.steps[at]);
        let (time, rules, factors) = (step.time, self.rules, &mut self.factors);
        factors.next_packet();
        step.source = factors.push(tables.sources.get_mut(numbers.source[at]).tick(time));
        step.identity = factors.push(tables.identities.get_mut(numbers.identity[at]).tick(time));
        let link = tables.links.get_mut(numbers.link[at]);
        step.jitter = link.tick(keys.channel_flow, time, rules, factors);
        step.channel = link.channel.tick(keys.channel_flow, time, rules, factors);
        let socket = tables.sockets.get_mut(numbers.socket[at]);
        step.socket = socket.tick(keys.socket_flow, time, rules, factors);
    }

    /// Adds a packet to its streams and leaves their sums for the statistics.
    #[inline(always)]
    fn insert(&mut self, tables: &mut Tables, at: usize) {
        let (keys, numbers, step) = (&self.keys[at], &self.numbers, &self.steps[at]);
        let (statistics, factors, rules) = (&mut self.statistics, &self.factors, self.rules);
        let source = tables.sources.get_mut(numbers.source[at]);
        statistics.set_single(at, Single::Source, source.insert(step.value, factors.get(step.source)));
        let identity = tables.identities.get_mut(numbers.identity[at]);
        statistics.set_single(at, Single::Identity, identity.insert(step.value, factors.get(step.identity)));
        let link = tables.links.get_mut(numbers.link[at]);
        let flow = keys.channel_flow;
        let jitter = match rules.fast {
            true => link.insert_fast(flow, step.jitter.interval, step.channel.sums, factors),
            false => link.insert(flow, &step.jitter, factors),
        };
        statistics.set_single(at, Single::Jitter, jitter);
        let outcome = link.channel.insert(flow, step.value, &step.channel, factors, rules);
        statistics.set_pair(at, Pair::Channel, &outcome);
        let socket = tables.sockets.get_mut(numbers.socket[at]);
        let outcome = socket.insert(keys.socket_flow, step.value, &step.socket, factors, rules);
        statistics.set_pair(at, Pair::Socket, &outcome);
    }
}

/// Adds a range of packets to their streams, in order.
#[multiversion(targets("x86_64+avx512f+avx512vl", "x86_64+avx2"))]
fn insert_all(run: &mut Run, tables: &mut Tables, packets: Range<usize>) {
    for at in packets {
        run.insert(tables, at);
    }
}
