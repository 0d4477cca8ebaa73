//! A run of packets on its way through the tables: who they are, where their streams are, and what they add.

use super::channel::Decay;
use super::keys::{Flow, Hashes, PacketKeys};
use super::link::Jitter;
use super::pairs::{Ends, Pair, Pairs};
use super::{Packet, Rules, Tables};
use crate::Shard;
use crate::damp::Factor;
use crate::hash::{Hasher, slot};
use crate::shard::Shards;
use crate::table::{NEW, Pending, Query};
use legonf_core::Headers;
use std::ops::Range;

/// The most packets in a run.
pub(crate) const LENGTH: usize = 32;

/// The number of tables before that of HpHp, in the order in which records are located.
pub(crate) const ALL_BUT_SOCKETS: u8 = 3;

/// Numbers of the packets' records, by table; [`NEW`] for a packet that is the first of its stream.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) identity: [u32; LENGTH],
    pub(crate) source: [u32; LENGTH],
    pub(crate) link: [u32; LENGTH],
    pub(crate) socket: [u32; LENGTH],
}

/// What a packet adds to its streams, and how they decay before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step {
    pub(crate) time: f64,
    /// Bytes.
    pub(crate) value: f64,
    /// Its direction in HH and in HpHp.
    pub(crate) flows: [Flow; 2],
    /// Generation of the tables in which its records but that of HpHp are those that its pair is known to have. Otherwise 0,
    /// and it has all keys and hashes.
    pub(crate) known: u64,
    pub(crate) identity: Factor,
    pub(crate) source: Factor,
    pub(crate) jitter: Jitter,
    pub(crate) channel: Decay,
    pub(crate) socket: Decay,
}

/// A run of packets on its way.
#[derive(Debug)]
pub(crate) struct Packets {
    pub(crate) keys: [PacketKeys; LENGTH],
    pub(crate) hashes: [Hashes; LENGTH],
    pub(crate) numbers: Numbers,
    pub(crate) steps: [Step; LENGTH],
}

impl Packets {
    /// Empty buffers.
    pub(crate) fn new() -> Self {
        let none = [NEW; LENGTH];
        Self {
            keys: [PacketKeys::default(); LENGTH],
            hashes: [Hashes::default(); LENGTH],
            numbers: Numbers { identity: none, source: none, link: none, socket: none },
            steps: [Step::default(); LENGTH],
        }
    }

    /// Takes a packet in. Where its records are not known, asks for where the tables' indexes and slots have it.
    #[inline(always)]
    pub(crate) fn identify(
        &mut self,
        tables: &Tables,
        hasher: &Hasher,
        pairs: &Pairs,
        (headers, shards): (&Headers, Shards),
        at: usize,
        rules: Rules,
    ) {
        let step = &mut self.steps[at];
        step.time = rules.time(headers);
        step.value = f64::from(headers.wire_len);
        match Ends::of(headers, shards).and_then(|ends| Some((ends, pairs.find(&ends, tables.generation())?)))
        {
            Some((ends, pair)) => self.recognize(tables, hasher, (headers, shards), (&ends, pair), at),
            None => {
                self.spell(hasher, (headers, shards), at);
                self.prefetch(tables, shards, at);
            }
        }
    }

    /// Takes a packet in whose pair is known.
    #[inline(always)]
    fn recognize(
        &mut self,
        tables: &Tables,
        hasher: &Hasher,
        (headers, shards): (&Headers, Shards),
        (ends, pair): (&Ends, &Pair),
        at: usize,
    ) {
        let [identity, source, link] = pair.numbers;
        (self.numbers.identity[at], self.numbers.source[at]) = (identity, source);
        self.numbers.link[at] = link;
        if !shards.has(Shard::Sockets) {
            self.steps[at].flows = [pair.flow, Flow::default()];
        } else if let Some((p, q)) = headers.outer.ports {
            let (keys, hashes) = (&mut self.keys[at], &mut self.hashes[at]);
            let socket_flow = keys.set_ipv4_sockets((ends.src, p), (ends.dst, q));
            self.steps[at].flows = [pair.flow, socket_flow];
            let [channel, four] = pair.hashes;
            let [.., kinds] = keys.socket;
            (hashes.socket, hashes.socket_shard) = (hasher.fifth(four, kinds), channel);
        } else {
            self.spell(hasher, (headers, shards), at);
        }
        self.steps[at].known = tables.generation();
        if shards.has(Shard::Sockets) {
            let hashes = &self.hashes[at];
            tables.sockets.prefetch(hashes.socket, slot(hashes.socket_shard));
        }
    }

    /// Notes a packet's keys and hashes.
    #[inline(always)]
    pub(crate) fn spell(&mut self, hasher: &Hasher, (headers, shards): (&Headers, Shards), at: usize) {
        let (keys, step) = (&mut self.keys[at], &mut self.steps[at]);
        keys.set(headers);
        (step.flows, step.known) = ([keys.channel_flow, keys.socket_flow], 0);
        self.hashes[at] = keys.hashes(hasher, shards);
    }

    /// Asks for where the tables' indexes and slots have a packet.
    #[inline(always)]
    fn prefetch(&self, tables: &Tables, shards: Shards, at: usize) {
        let hashes = &self.hashes[at];
        if shards.has(Shard::Sources) {
            tables.identities.prefetch(hashes.identity, slot(hashes.source));
            tables.sources.prefetch(hashes.source, slot(hashes.source));
        }
        if shards.has(Shard::Channels) {
            tables.links.prefetch(hashes.channel, slot(hashes.channel));
        }
        if shards.has(Shard::Sockets) {
            tables.sockets.prefetch(hashes.socket, slot(hashes.socket_shard));
        }
    }

    /// The pair of a packet that has been located by its keys.
    #[inline(always)]
    pub(crate) fn pair(&self, at: usize) -> Pair {
        let (Numbers { identity, source, link, .. }, hashes) = (&self.numbers, &self.hashes[at]);
        Pair {
            numbers: [identity[at], source[at], link[at]],
            flow: self.steps[at].flows[0],
            hashes: [hashes.channel, hashes.pair],
        }
    }

    /// Guesses a packet's records and asks for them, and for what must go to make room.
    #[inline(always)]
    pub(crate) fn anticipate(&mut self, tables: &Tables, shards: Shards, at: usize) {
        if self.steps[at].known != 0 {
            return self.anticipate_known(tables, shards, at);
        }
        let (numbers, hashes) = (&mut self.numbers, &self.hashes[at]);
        if shards.has(Shard::Sources) {
            let by_source = slot(hashes.source);
            numbers.identity[at] = tables.identities.anticipate(hashes.identity, by_source);
            numbers.source[at] = tables.sources.anticipate(hashes.source, by_source);
        }
        if shards.has(Shard::Channels) {
            numbers.link[at] = tables.links.anticipate(hashes.channel, slot(hashes.channel));
        }
        if shards.has(Shard::Sockets) {
            numbers.socket[at] = tables.sockets.anticipate(hashes.socket, slot(hashes.socket_shard));
        }
    }

    /// [`anticipate`](Self::anticipate) for a packet whose pair is known.
    #[inline(always)]
    fn anticipate_known(&mut self, tables: &Tables, shards: Shards, at: usize) {
        let (numbers, hashes) = (&mut self.numbers, &self.hashes[at]);
        if shards.has(Shard::Sources) {
            tables.identities.prefetch_record(numbers.identity[at]);
            tables.sources.prefetch_record(numbers.source[at]);
        }
        if shards.has(Shard::Channels) {
            tables.links.prefetch_record(numbers.link[at]);
        }
        if shards.has(Shard::Sockets) {
            numbers.socket[at] = tables.sockets.anticipate(hashes.socket, slot(hashes.socket_shard));
        }
    }

    /// Asks for the indexes' part in evictions.
    #[inline]
    pub(crate) fn prefetch_victims(&self, tables: &Tables, shards: Shards, at: usize) {
        let (numbers, hashes) = (&self.numbers, &self.hashes[at]);
        let is_known = self.steps[at].known != 0;
        if shards.has(Shard::Sources) && !is_known {
            let by_source = slot(hashes.source);
            tables.identities.prefetch_victim(numbers.identity[at], by_source);
            tables.sources.prefetch_victim(numbers.source[at], by_source);
        }
        if shards.has(Shard::Channels) && !is_known {
            tables.links.prefetch_victim(numbers.link[at], slot(hashes.channel));
        }
        if shards.has(Shard::Sockets) {
            tables.sockets.prefetch_victim(numbers.socket[at], slot(hashes.socket_shard));
        }
    }

    /// Finds or makes the records of the packet after those that are `pending`, where the guesses are not right. Goes on
    /// after the tables that are `located` already.
    pub(crate) fn locate(
        &mut self,
        tables: &mut Tables,
        (rules, shards): (Rules, Shards),
        pending: Range<usize>,
        located: &mut u8,
    ) -> Result<(), Pending> {
        let at = pending.end;
        let (keys, hashes, numbers) = (&self.keys[at], &self.hashes[at], &mut self.numbers);
        let Step { time, value, .. } = self.steps[at];
        let (by_source, by_channel) = (slot(hashes.source), slot(hashes.channel));
        let packet = Packet { time, length: value as u32, flow: Flow::default() };
        if shards.has(Shard::Sources) && *located < 1 {
            let (key, hash) = (&keys.source(), hashes.source);
            let query = Query { key, hash, slot: by_source };
            tables.sources.locate(query, &mut numbers.source, pending.clone(), &packet, rules)?;
            *located = 1;
        }
        if shards.has(Shard::Sources) && *located < 2 {
            let query = Query { key: &keys.identity, hash: hashes.identity, slot: by_source };
            tables.identities.locate(query, &mut numbers.identity, pending.clone(), &packet, rules)?;
            *located = 2;
        }
        if shards.has(Shard::Channels) && *located < ALL_BUT_SOCKETS {
            let query = Query { key: &keys.channel, hash: hashes.channel, slot: by_channel };
            let packet = Packet { flow: keys.channel_flow, ..packet };
            tables.links.locate(query, &mut numbers.link, pending.clone(), &packet, rules)?;
            *located = ALL_BUT_SOCKETS;
        }
        if shards.has(Shard::Sockets) {
            let query = Query { key: &keys.socket, hash: hashes.socket, slot: slot(hashes.socket_shard) };
            let packet = Packet { flow: keys.socket_flow, ..packet };
            tables.sockets.locate(query, &mut numbers.socket, pending, &packet, rules)?;
        }
        Ok(())
    }
}
