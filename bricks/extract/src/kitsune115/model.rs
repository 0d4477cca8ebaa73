//! The extractor against a naive model: hash maps, one packet at a time, a scan for the least weight.

use super::keys::{Flow, PacketKeys, PairKey};
use super::{Kitsune115, Variant};
use crate::damp::{LAMBDAS, RATES, expiry};
use crate::hash::{Hasher, slot};
use crate::shard::Shards;
use crate::{Extractor, Limits};
use legonf_core::{
    Clock, Encapsulation, Headers, Icmp, Inner, Layer, Link, Mac, Network, Rows, Timestamp, Transport,
};
use proptest::prelude::*;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};

type V = [f64; RATES];

fn damp(gap: f64) -> V {
    LAMBDAS.map(|l| if gap > 0.0 { std::hint::black_box(2f64).powf(-l * gap) } else { 1.0 })
}

fn zip(a: V, b: V, f: impl Fn(f64, f64) -> f64) -> V {
    std::array::from_fn(|k| f(a[k], b[k]))
}

/// One damped stream, as in the reference.
#[derive(Clone)]
struct Stream {
    sums: [V; 3],
    time: f64,
    residual: V,
    residual_time: f64,
}

impl Stream {
    fn new(time: f64) -> Self {
        Self { sums: [[0.0; RATES]; 3], time, residual: [0.0; RATES], residual_time: time }
    }

    fn decay(&mut self, time: f64) {
        if time > self.time {
            let f = damp(time - self.time);
            self.sums = self.sums.map(|s| zip(s, f, |s, f| s * f));
            self.time = time;
        }
    }

    fn add(&mut self, time: f64, value: f64) {
        self.decay(time);
        for (sums, v) in self.sums.iter_mut().zip([1.0, value, value * value]) {
            *sums = sums.map(|s| s + v);
        }
    }

    fn stats(&self) -> [V; 3] {
        let [w, ls, ss] = self.sums;
        let mean = zip(ls, w, |a, w| if w > 0.0 { a / w } else { 0.0 });
        let square = zip(ss, w, |a, w| if w > 0.0 { a / w } else { 0.0 });
        [w, mean, zip(square, mean, |s, m| (s - m * m).abs())]
    }
}

/// Two streams and their covariance.
#[derive(Clone)]
struct Channel {
    streams: [Stream; 2],
    jitter: [Option<Stream>; 2],
    products: V,
    packets: u64,
    last: f64,
    odd: f64,
}

impl Channel {
    fn new(time: f64) -> Self {
        let streams = [Stream::new(time), Stream::new(time)];
        Self { streams, jitter: [None, None], products: [0.0; RATES], packets: 0, last: time, odd: time }
    }

    fn decay_products(&mut self, time: f64, clock: f64, clean: bool) {
        let multiply = |s: V, f: V| zip(s, f, |s, f| s * f);
        if clean {
            self.products = multiply(self.products, damp(time - clock));
        } else if self.packets.is_multiple_of(2) {
            let f = damp(time - self.last);
            self.products = multiply(multiply(self.products, f), f);
        } else {
            self.products = multiply(self.products, damp(time - self.odd));
            self.odd = time;
        }
    }

    fn step(&mut self, flow: Flow, time: f64, value: f64, clean: bool) -> Vec<f64> {
        let (i, j) = (flow.own as usize, flow.other as usize);
        let clock = self.streams[j].time;
        self.streams[j].decay(time);
        self.streams[i].add(time, value);
        let mean = self.streams[i].stats()[1];
        self.decay_products(time, clock, clean);
        let other = &self.streams[j];
        let damped = zip(other.residual, damp(time - other.residual_time), |r, f| r * f);
        let residual = mean.map(|m| value - m);
        self.products = zip(self.products, zip(residual, damped, |a, b| a * b), |s, p| s + p);
        (self.streams[i].residual, self.streams[i].residual_time) = (residual, time);
        self.last = time;
        self.packets += 1;
        self.features(i, j)
    }

    fn features(&self, i: usize, j: usize) -> Vec<f64> {
        let [w, m, var] = self.streams[i].stats();
        let [wo, mo, varo] = self.streams[j].stats();
        let one = |k: usize| {
            let cov = self.products[k] / ((w[k] + wo[k]) / 2.0);
            let product = var[k].sqrt() * varo[k].sqrt();
            let pcc = if product != 0.0 { cov / product } else { 0.0 };
            let magnitude = (m[k] * m[k] + mo[k] * mo[k]).sqrt();
            let radius = (var[k] * var[k] + varo[k] * varo[k]).sqrt();
            [w[k], m[k], var[k].sqrt(), magnitude, radius, cov, pcc]
        };
        (0..RATES).flat_map(one).collect()
    }

    fn jitter(&mut self, flow: Flow, time: f64, clean: bool) -> Vec<f64> {
        let start = if clean { time } else { 0.0 };
        let stream = self.jitter[flow.own as usize].get_or_insert_with(|| Stream::new(start));
        stream.add(time, (time - stream.time).max(0.0));
        singles(stream)
    }
}

fn singles(stream: &Stream) -> Vec<f64> {
    let [w, m, v] = stream.stats();
    (0..RATES).flat_map(|k| [w[k], m[k], v[k]]).collect()
}

/// A table that scans its slot for the record to evict.
struct Naive<K, R> {
    records: HashMap<K, (usize, u64, R)>,
    per_slot: usize,
    born: u64,
    evictions: u64,
}

impl<K: Hash + Eq + Copy, R> Naive<K, R> {
    fn new(per_slot: u32) -> Self {
        Self { records: HashMap::new(), per_slot: per_slot as usize, born: 0, evictions: 0 }
    }

    fn get(&mut self, key: K, slot: usize, expiry: impl Fn(&R) -> i64, new: impl FnOnce() -> R) -> &mut R {
        if !self.records.contains_key(&key) {
            let same = || self.records.iter().filter(|(_, (s, ..))| *s == slot);
            if same().count() >= self.per_slot {
                let least = same().min_by_key(|(_, (_, born, record))| (expiry(record), *born));
                let key = *least.unwrap().0;
                self.records.remove(&key);
                self.evictions += 1;
            }
            self.born += 1;
            self.records.insert(key, (slot, self.born, new()));
        }
        &mut self.records.get_mut(&key).unwrap().2
    }
}

struct Model {
    clean: bool,
    hasher: Hasher,
    identities: Naive<[u64; 3], Stream>,
    sources: Naive<[u64; 3], Stream>,
    links: Naive<PairKey, Channel>,
    sockets: Naive<PairKey, Channel>,
}

impl Model {
    fn new(variant: Variant, limits: &Limits) -> Self {
        Self {
            clean: variant == Variant::Clean,
            hasher: Hasher::new(limits.seed),
            identities: Naive::new(limits.sources_per_slot),
            sources: Naive::new(limits.sources_per_slot),
            links: Naive::new(limits.channels_per_slot),
            sockets: Naive::new(limits.sockets_per_slot),
        }
    }

    fn step(&mut self, headers: &Headers) -> Vec<f64> {
        let (keys, clean) = (PacketKeys::of(headers), self.clean);
        let time = if clean { headers.stream_time() } else { headers.timestamp };
        let (time, value) = (time.as_secs_f64(), f64::from(headers.wire_len));
        let one = |s: &Stream| expiry(s.time, s.sums[0][4]);
        let two = |c: &Channel| {
            let [a, b] = &c.streams;
            expiry(a.time, a.sums[0][4] + b.sums[0][4])
        };
        let by_source = slot(self.hasher.three(keys.source()));
        let identity = self.identities.get(keys.identity, by_source, one, || Stream::new(time));
        identity.add(time, value);
        let source = self.sources.get(keys.source(), by_source, one, || Stream::new(time));
        source.add(time, value);
        let at = slot(self.hasher.five(keys.channel));
        let link = self.links.get(keys.channel, at, two, || Channel::new(time));
        let at = slot(keys.hashes(&self.hasher, Shards::ALL).socket_shard);
        let socket = self.sockets.get(keys.socket, at, two, || Channel::new(time));
        [
            singles(identity),
            singles(source),
            link.step(keys.channel_flow, time, value, clean),
            link.jitter(keys.channel_flow, time, clean),
            socket.step(keys.socket_flow, time, value, clean),
        ]
        .concat()
    }

    fn evictions(&self) -> [u64; 4] {
        [self.identities.evictions, self.sources.evictions, self.links.evictions, self.sockets.evictions]
    }
}

/// Addresses of one slot: as sources, and as peers of the first.
fn addresses(seed: u64) -> Vec<IpAddr> {
    let hasher = Hasher::new(seed);
    let between = |a: u32, b: u32| {
        let [src, dst] = [a, b].map(|ip| Some(IpAddr::from(Ipv4Addr::from(ip))));
        let outer = Layer { network: Network::Ipv4, src, dst, ..Layer::default() };
        PacketKeys::of(&Headers { outer, ..Headers::default() })
    };
    let source = |a: u32| slot(hasher.three(between(a, 1).source()));
    let pair = |a: u32| slot(hasher.five(between(1, a).channel));
    let as_sources = (1..).filter(|&a| source(a) == source(1)).take(4);
    let as_peers = (2..).filter(|&a| pair(a) == pair(2)).take(4);
    as_sources.chain(as_peers).map(|a| Ipv4Addr::from(a).into()).collect()
}

/// A packet from small pools, so that streams meet again and slots overflow.
fn packet(pool: &[IpAddr], kind: u8, [a, b, p, q]: [usize; 4], time: i64, wire_len: u32) -> Headers {
    let link = Some(Link {
        src: Mac([2, 0, 0, 0, 0, p as u8 / 4]),
        dst: Mac([2, 0, 0, 0, 1, q as u8]),
        ..Link::default()
    });
    let (src, dst) = (Some(pool[a % pool.len()]), Some(pool[b % pool.len()]));
    let ports = Some((p as u16, q as u16));
    let udp =
        Layer { network: Network::Ipv4, src, dst, transport: Transport::Udp, ports, ..Layer::default() };
    let icmp = Layer { transport: Transport::Icmp(Icmp { kind: 3, code: 1 }), ports: None, ..udp };
    let arp = Layer { network: Network::Arp, transport: Transport::None, ports: None, ..udp };
    let quoted = Some(Inner { by: Encapsulation::Quoted, layer: udp });
    let (link, outer, inner) = match kind {
        0 => (link, arp, None),
        1 => (link, icmp, quoted),
        2 => (link, icmp, None),
        3 => (link, Layer::default(), None),
        4 => (None, Layer::default(), None),
        _ => (link, udp, None),
    };
    Headers { timestamp: Timestamp::from_nanos(time), wire_len, link, outer, inner, ..Headers::default() }
}

/// Times in nanoseconds that mostly advance, by gaps of every size, and sometimes go back.
fn times(steps: Vec<(u8, i64)>, start: i64) -> impl Iterator<Item = i64> {
    steps.into_iter().scan(start, |time, (size, gap)| {
        let scale = [0, 1_000, 1_000_000, 1_000_000_000, 300_000_000_000, -5_000_000_000][size as usize];
        *time += scale * gap / 1000;
        Some(*time)
    })
}

fn run(extractor: &mut Kitsune115, packets: &[Headers], batch: usize) -> Vec<f64> {
    let (mut rows, mut all) = (Rows::default(), Vec::new());
    for packets in packets.chunks(batch) {
        extractor.extract(packets, &mut rows);
        all.extend_from_slice(rows.as_slice());
    }
    all
}

prop_compose! {
    fn traffic()(
        steps in prop::collection::vec((0..6u8, 0..1000i64), 1..160),
        ends in prop::collection::vec((0..9u8, prop::array::uniform4(0..8usize)), 160),
        sizes in prop::collection::vec(prop_oneof![Just(60), Just(1514), any::<u32>()], 160),
        start in prop_oneof![Just(0), Just(-3_000_000_000), Just(1_540_446_000_000_000_000)],
    ) -> Vec<Headers> {
        let pool = addresses(1234);
        times(steps, start).zip(ends).zip(sizes).map(|((time, (kind, ends)), n)| packet(&pool, kind, ends, time, n)).collect()
    }
}

/// The same packets with a clock that is wrong by this from packet `at` on, as a run marks them.
fn set_clock(packets: &[Headers], at: usize, wrong: i64) -> Vec<Headers> {
    let mut clock = Clock::default();
    let mut set = |(seq, packet): (u64, &Headers)| {
        let by = if seq < at as u64 { 0 } else { wrong };
        let timestamp = Timestamp::from_nanos(packet.timestamp.as_nanos().saturating_add(by));
        Headers { seq, timestamp, shift: clock.shift(seq, timestamp), ..*packet }
    };
    (0..).zip(packets).map(&mut set).collect()
}

#[test]
fn the_clean_schema_follows_no_clock_that_is_set() {
    let pool = addresses(1234);
    let steady: Vec<Headers> =
        (0..200).map(|i| packet(&pool, 8, [i % 3, i % 2 + 4, 1, 2], i as i64 * 1_000_000_000, 60)).collect();
    let year = 365 * 86_400 * 1_000_000_000;
    for wrong in [year, -year] {
        let packets = set_clock(&steady, 100, wrong);
        let rows = |variant, packets: &[Headers]| {
            run(&mut Kitsune115::new(variant, &Limits::default()), packets, 64)
        };
        // The packet at which it was set comes at once, the others as if it had not been.
        let mut right = set_clock(&steady, 0, 0);
        right[100..].iter_mut().for_each(|packet| packet.shift = -1_000_000_000);
        assert_eq!(rows(Variant::Clean, &packets), rows(Variant::Clean, &right));
        assert_ne!(rows(Variant::Published, &packets), rows(Variant::Published, &steady));
        // The published one takes the time stamps, whatever the run says of them.
        let plain: Vec<Headers> = packets.iter().map(|packet| Headers { shift: 0, ..*packet }).collect();
        assert_eq!(rows(Variant::Published, &packets), rows(Variant::Published, &plain));
    }
}

proptest! {
    #[test]
    fn equals_the_model_in_every_bit(
        packets in traffic(), batch in 1..100usize, clean in any::<bool>(), (at, wrong) in (0..200usize, any::<i64>()), limits in prop::array::uniform3(1..7u32),
    ) {
        let [sources_per_slot, channels_per_slot, sockets_per_slot] = limits;
        let limits = Limits { sources_per_slot, channels_per_slot, sockets_per_slot, ..Limits::default() };
        let variant = if clean { Variant::Clean } else { Variant::Published };
        let mut extractor = Kitsune115::new(variant, &limits);
        let mut model = Model::new(variant, &limits);
        let packets = set_clock(&packets, at, wrong);
        let ours = run(&mut extractor, &packets, batch);
        for (at, (packet, row)) in packets.iter().zip(ours.chunks(115)).enumerate() {
            for (column, (a, b)) in row.iter().zip(model.step(packet)).enumerate() {
                prop_assert_eq!(a.to_bits(), b.to_bits(), "packet {} column {}: {} and {}", at, column, a, b);
                prop_assert!(a.is_finite());
            }
        }
        let evictions: Vec<u64> = extractor.counters().into_iter().map(|(_, n)| n).collect();
        prop_assert_eq!(&evictions, &model.evictions());
    }
}

#[test]
fn the_traffic_overflows_every_table() {
    let pool = addresses(1234);
    let limits =
        Limits { sources_per_slot: 1, channels_per_slot: 1, sockets_per_slot: 1, ..Limits::default() };
    let mut model = Model::new(Variant::Published, &limits);
    for i in 0..64 {
        model.step(&packet(&pool, 8, [i, i / 3 + 1, i % 5, 1], i as i64 * 1000, 60));
    }
    assert!(model.evictions().iter().all(|&n| n > 0), "{:?}", model.evictions());
}
