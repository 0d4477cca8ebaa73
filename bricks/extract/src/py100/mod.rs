//! The 100 features that the published Python code of Kitsune computes, `kitsune-py-100` (kitsune-py-100.md), bug
//! for bug: for people with results to reproduce.
//!
//! Four tables of streams are damped at five rates λ: **MI** (source MAC and address), **HH** (source address,
//! linked with destination addresses), **HH_jit** (times between packets of an ordered pair of addresses) and
//! **HpHp** (source socket, linked with destination sockets; ARP: MACs).
//!
//! # What is reproduced
//!
//! Variance in place of the deviation, HH and HpHp by source alone, a covariance that all packets of the source
//! add to and packets between the two ends add to twice, residuals that never decay, means and variances of the
//! other end as of its last packet, packets to oneself that use the first link that happens to be there, and keys
//! put together without separators. `pow` is the C library's to the last bit, so the features are the reference's
//! bit for bit, on any machine.
//!
//! # What is not
//!
//! - The reference keeps every stream and link for ever. Here the bounds are those of [`Limits`] times the 4,096
//!   slots, over all streams together, because a packet may touch any stream that is linked with its own:
//!   `sources_per_slot` bounds MI and HH, `channels_per_slot` HH_jit and the links of HH, `sockets_per_slot`
//!   HpHp and its links. What is evicted is counted.
//! - tshark reassembles fragments and looks deeper into tunnels than one level.
//! - Cooked captures have a source MAC here; tshark shows theirs under another name.

mod arithmetic;
mod flows;
mod linked;
mod lone;
mod names;
mod schema;
mod sums;
mod text;
mod tuple;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use crate::shard::Shards;
use crate::{Extractor, Limits, Shard, StateError};
use arithmetic::Calculator;
use flows::{Flow, Flows, Place};
use legonf_core::{Headers, Rows, Schema};
use linked::{Bounds, Linked, NEAR, PATIENCE, Route};
use lone::{Lone, Value};
use multiversion::multiversion;
use multiversion::target::match_target;
pub(crate) use schema::schema;
use schema::{HH, JITTER, MI, SOCKETS, WIDTH};
use text::Keys;
use tuple::Tuple;

/// Slots by which the limits are given.
const SLOTS: usize = crate::hash::SLOTS;
/// Packets that a table may keep in its log.
const EVENTS: usize = 1 << 20;

/// How many packets ahead their flows are looked up.
const AHEAD: usize = 8;

/// The bounds of every table.
#[derive(Clone, Copy, Debug)]
struct AllBounds {
    identities: usize,
    channels: usize,
    hosts: Bounds,
    sockets: Bounds,
}

impl AllBounds {
    fn new(limits: &Limits) -> Self {
        let total = |per_slot: u32| per_slot as usize * SLOTS;
        let sources = total(limits.sources_per_slot);
        let channels = total(limits.channels_per_slot);
        let sockets = total(limits.sockets_per_slot);
        let bounds =
            |streams, links| Bounds { streams, links, events: EVENTS, near: NEAR, patience: PATIENCE };
        Self {
            identities: sources,
            channels,
            hosts: bounds(sources, channels),
            sockets: bounds(sockets, sockets),
        }
    }
}

/// Every table.
#[derive(Debug)]
struct Tables {
    identities: Lone,
    hosts: Linked,
    channels: Lone,
    sockets: Linked,
}

impl Tables {
    /// Makes room for a packet in every table. `true` if any was renumbered.
    #[inline(always)]
    fn make_room(&mut self, calculator: &mut Calculator) -> bool {
        self.identities.make_room()
            | self.channels.make_room()
            | self.hosts.make_room(calculator)
            | self.sockets.make_room(calculator)
    }

    /// Asks for the streams of a flow.
    #[inline(always)]
    fn prefetch(&self, flow: &Flow) {
        self.identities.prefetch(flow.identity);
        self.hosts.prefetch(flow.hosts);
        self.channels.prefetch(flow.channel);
        self.sockets.prefetch(flow.sockets);
    }

    /// Asks for what the streams of a flow name.
    #[inline(always)]
    fn prefetch_states(&self, flow: &Flow) {
        self.hosts.prefetch_states(flow.hosts);
        self.sockets.prefetch_states(flow.sockets);
    }

    /// The streams of a packet, new ones made at `now`.
    fn find(&mut self, tuple: &Tuple, now: f64) -> Flow {
        let keys = Keys::of(tuple);
        let route = |table: &mut Linked, keys: &[&[u8]; 2]| Route {
            ends: keys.map(|key| table.stream(key, now)),
            link: Route::UNKNOWN,
        };
        Flow {
            identity: self.identities.stream(keys.identity(), now),
            channel: self.channels.stream(keys.channel(), now),
            hosts: route(&mut self.hosts, &keys.hosts()),
            sockets: route(&mut self.sockets, &keys.sockets()),
        }
    }
}

/// The extractor.
#[derive(Debug)]
pub(crate) struct Py100 {
    schema: Schema,
    bounds: AllBounds,
    tables: Tables,
    flows: Flows,
    calculator: Calculator,
    /// Packets of a part.
    some: Vec<Headers>,
}

impl Py100 {
    /// An extractor without any stream.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::bounded(AllBounds::new(limits), limits.seed)
    }

    fn bounded(bounds: AllBounds, seed: u64) -> Self {
        let tables = Tables {
            identities: Lone::new(bounds.identities, seed),
            hosts: Linked::new(bounds.hosts, seed),
            channels: Lone::new(bounds.channels, seed),
            sockets: Linked::new(bounds.sockets, seed),
        };
        Self {
            schema: schema(),
            bounds,
            tables,
            flows: Flows::new(),
            calculator: Calculator::new(),
            some: Vec::new(),
        }
    }

    #[inline(always)]
    fn packet(&mut self, headers: &Headers, place: &Place, row: &mut [f64; WIDTH]) {
        let Self { tables, flows, calculator, .. } = self;
        if tables.make_room(calculator) {
            flows.clear();
        }
        let now = headers.timestamp.as_secs_f64();
        let flow = flows.get(place, || tables.find(&Tuple::of(headers), now));
        let length = f64::from(headers.wire_len);
        let value = (length, calculator.square(length));
        let (identity, row) = row.split_at_mut(HH - MI);
        let (hosts, row) = row.split_at_mut(JITTER - HH);
        let (channel, sockets) = row.split_at_mut(SOCKETS - JITTER);
        tables.identities.packet(flow.identity, Value::Length(value.0, value.1), now, calculator, identity);
        flow.hosts.link = tables.hosts.packet(flow.hosts, value, now, calculator, hosts);
        tables.channels.packet(flow.channel, Value::Interval, now, calculator, channel);
        flow.sockets.link = tables.sockets.packet(flow.sockets, value, now, calculator, sockets);
    }

    /// Asks for what the packets behind packet `at` need, in the order in which one thing names the next.
    #[inline(always)]
    fn look_ahead(&self, headers: &[Headers], at: usize, places: &mut [Place; AHEAD]) {
        if let Some(headers) = headers.get(at + AHEAD - 1) {
            let place = Place::of(&Tuple::of(headers));
            self.flows.prefetch(&place);
            places[(at + AHEAD - 1) % AHEAD] = place;
        }
        let flow = |ahead: usize| {
            let known = at + ahead < headers.len();
            self.flows.peek(&places[(at + ahead) % AHEAD]).filter(|_| known)
        };
        if let Some(flow) = flow(AHEAD / 2) {
            self.tables.prefetch(flow);
        }
        if let Some(flow) = flow(AHEAD / 4) {
            self.tables.prefetch_states(flow);
        }
    }
}

impl Extractor for Py100 {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn extract(&mut self, headers: &[Headers], rows: &mut Rows) {
        rows.reset(headers.len(), WIDTH);
        extract_all(self, headers, rows.as_mut_slice());
    }

    /// Its streams depend on one another: the only part that it can be divided into has all of them.
    fn divide(&mut self, parts: &[Vec<Shard>]) -> Result<(), StateError> {
        match parts {
            [all] if Shards::of(all) == Shards::ALL => Ok(()),
            _ => Err(StateError::Undivided(self.schema.name.clone())),
        }
    }

    fn extract_part(
        &mut self,
        part: usize,
        headers: &[Headers],
        places: &[usize],
        rows: &mut Rows,
    ) -> Result<(), StateError> {
        if part > 0 {
            return Err(StateError::NoPart(part));
        }
        let mut some = std::mem::take(&mut self.some);
        some.clear();
        some.extend(places.iter().map(|place| headers[*place]));
        self.extract(&some, rows);
        self.some = some;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let (hosts, host_links) = self.tables.hosts.evictions();
        let (sockets, socket_links) = self.tables.sockets.evictions();
        vec![
            ("evicted-MI", self.tables.identities.evictions()),
            ("evicted-HH", hosts),
            ("evicted-HH-links", host_links),
            ("evicted-HH_jit", self.tables.channels.evictions()),
            ("evicted-HpHp", sockets),
            ("evicted-HpHp-links", socket_links),
        ]
    }

    fn state_bytes(&self) -> usize {
        let Tables { identities, hosts, channels, sockets } = &self.tables;
        let tables = identities.bytes() + hosts.bytes() + channels.bytes() + sockets.bytes();
        tables + self.flows.bytes() + self.calculator.bytes()
    }

    fn max_state_bytes(&self) -> usize {
        Lone::max_bytes(self.bounds.identities)
            + Lone::max_bytes(self.bounds.channels)
            + Linked::max_bytes(self.bounds.hosts)
            + Linked::max_bytes(self.bounds.sockets)
            + self.flows.bytes()
            + self.calculator.bytes()
    }
}

/// The instruction set that rows are computed with on this processor.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn instruction_set() -> &'static str {
    match_target! {
        "x86_64+avx512f" => "avx512",
        "x86_64+avx2+fma" => "avx2",
        "aarch64+neon" => "neon",
        _ => "portable",
    }
}

/// Writes the rows of all packets.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn extract_all(extractor: &mut Py100, headers: &[Headers], rows: &mut [f64]) {
    let mut places = [Place::default(); AHEAD];
    for (place, headers) in places.iter_mut().zip(headers).take(AHEAD - 1) {
        *place = Place::of(&Tuple::of(headers));
    }
    for (at, row) in rows.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate().take(headers.len()) {
        extractor.look_ahead(headers, at, &mut places);
        extractor.packet(&headers[at], &places[at % AHEAD], row);
    }
}
