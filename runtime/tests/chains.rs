//! Chains of network functions in every layout: what leaves, what is dropped and what is counted is that of one thread.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Script;
use common::mines::{MinedState, StateMines};
use legonf_catalog::{Context, build};
use legonf_core::{
    Batch, BindError, Brick, ColumnSpec, Disposition, DropReason, Fault, Handle, Headers, Layout, LinkType,
    Plan, Progress, Sink, SlotMove, Socket, Source, State, Timestamp,
};
use legonf_nf::{ChainFunction, Nat, Packet};
use legonf_runtime::{Graph, GraphSpec, Options, Outcome, Supply, SupplyError, run_under};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CHAIN: &str = include_str!("../../examples/graphs/chain.toml");
/// The same on one fast path.
const FAST: &str = include_str!("../../examples/graphs/fast-path.toml");
/// Packets that are made; behind them the same come again.
const PACKETS: u64 = 12_000;

fn mix(seq: u64) -> u64 {
    let mixed = (seq ^ seq >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// One's complement sum of words, to be folded.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low))).sum()
}

fn folded(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}

/// A frame of TCP or UDP between two sockets, with right checksums.
fn frame(src: Socket, dst: Socket, protocol: u8, hops: u8, flags: u8, payload: usize) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [src.port.to_be_bytes(), dst.port.to_be_bytes()].concat();
    let mut transport = match protocol {
        6 => [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0]].concat(),
        _ => [&ports[..], &(8 + payload as u16).to_be_bytes(), &[0, 0]].concat(),
    };
    transport.resize(transport.len() + payload, 7);
    let length = (transport.len() as u16).to_be_bytes();
    let addresses = [octets(src.ip), octets(dst.ip)].concat();
    let field = if protocol == 6 { 16 } else { 6 };
    let total = sum(&addresses) + u32::from(protocol) + sum(&length) + sum(&transport);
    transport[field..field + 2].copy_from_slice(&folded(total).to_be_bytes());
    let macs = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if src.ip.is_ipv6() {
        let head = [&[0x60, 0, 0, 0][..], &length, &[protocol, hops], &addresses].concat();
        return [&macs[..], &[0x86, 0xdd], &head, &transport].concat();
    }
    let whole = (20 + transport.len() as u16).to_be_bytes();
    let mut head = [&[0x45, 0][..], &whole, &[0, 1, 0x40, 0, hops, protocol, 0, 0], &addresses].concat();
    let sum = folded(sum(&head)).to_be_bytes();
    head[10..12].copy_from_slice(&sum);
    [&macs[..], &[0x08, 0x00], &head, &transport].concat()
}

/// Packets out of the office, answers to them, packets to the service and to others, and what no function takes. Answers go to where the
/// office's flows have been translated.
struct Made(Vec<Vec<u8>>);

impl Made {
    fn new(nat: &str) -> Self {
        let mut nat = Nat::new(&toml::from_str(nat).unwrap()).unwrap();
        let mut translated: Vec<(Socket, Socket, u8)> = Vec::new();
        let make = |seq: u64| {
            let some = mix(seq);
            let (hops, flags) =
                (if some >> 8 & 63 == 0 { 1 } else { 64 }, [0x10, 0x10, 0x11, 0x02][some as usize & 3]);
            let (payload, protocol) = ((some >> 16) as usize % 90, if some >> 24 & 3 == 0 { 17 } else { 6 });
            let four = |ip: [u8; 4], port| Socket { ip: Ipv4Addr::from(ip).into(), port };
            let port = 2000 + (some >> 32) as u16 % 30;
            match some >> 44 & 15 {
                0..6 => {
                    let inside = four([10, 0, 0, (some >> 40) as u8 & 15], port);
                    let remote = four(
                        [192, 0, 2, (some >> 36) as u8 & 7],
                        if some >> 50 & 15 == 0 { 445 } else { 443 },
                    );
                    let bytes = frame(inside, remote, protocol, hops, flags, payload);
                    let mut batch = Batch::default();
                    batch.packets.push(seq, Timestamp::default(), 60, LinkType::Ethernet, &bytes);
                    batch.headers.push(legonf_wire::parse(batch.packets.record(0), &bytes));
                    let action = nat.process(&Packet::of(&batch, 0, seq as i64 * 1_000_000)).action;
                    translated.extend(action.src.map(|outside| (outside, remote, protocol)));
                    bytes
                }
                6..10 if !translated.is_empty() => {
                    let (outside, remote, protocol) = translated[some as usize % translated.len()];
                    frame(remote, outside, protocol, hops, flags, payload)
                }
                10..13 => {
                    frame(four([198, 18, 0, 9], port), four([198, 51, 100, 7], 80), 6, hops, flags, payload)
                }
                13 => {
                    let six = |last: u128| Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | last).into();
                    let bad = 0x0bad_u128 << 80 | 9;
                    let dst = if some >> 50 & 1 == 0 { six(bad) } else { six(7) };
                    frame(
                        Socket { ip: six(1), port },
                        Socket { ip: dst, port: 80 },
                        protocol,
                        hops,
                        flags,
                        payload,
                    )
                }
                14 => {
                    let mut bytes =
                        frame(four([10, 0, 0, 1], port), four([192, 0, 2, 1], 80), 6, hops, flags, payload);
                    match some >> 50 & 3 {
                        0 => bytes[24] ^= 1,
                        1 => bytes[12..14].copy_from_slice(&[0x08, 0x06]),
                        2 => bytes.truncate(40),
                        _ => bytes[23] = 47,
                    }
                    bytes
                }
                _ => frame(four([192, 0, 2, 9], port), four([203, 0, 113, 2], port), 6, hops, flags, payload),
            }
        };
        Self((0..PACKETS).map(make).collect())
    }
}

struct Traffic {
    made: Arc<Made>,
    next: u64,
    end: u64,
    until: Option<Arc<AtomicBool>>,
}

impl Source for Traffic {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let over = self.until.as_ref().is_some_and(|until| until.load(Ordering::Relaxed));
        self.end = if over { self.next } else { self.end };
        let len = 1 + mix(self.next) as usize % 100;
        while self.next < self.end && batch.packets.len() < len {
            let bytes = &self.made.0[(self.next % PACKETS) as usize];
            let time = Timestamp::from_nanos(self.next as i64 * 1_000_000);
            batch.packets.push(self.next, time, bytes.len() as u32, LinkType::Ethernet, bytes);
            self.next += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress { read_bytes: self.next, total_bytes: None }
    }
}

/// What becomes of each packet: its bytes, hashed, or why it was dropped.
#[derive(Default)]
struct Told {
    packets: Vec<Result<u64, DropReason>>,
    dispositions: Handle<Vec<Disposition>>,
}

impl Sink for Told {
    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![ColumnSpec::PACKETS, ColumnSpec::HEADERS, ColumnSpec::DISPOSITION])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.dispositions = layout.handle(&ColumnSpec::DISPOSITION)?;
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let dispositions = batch.columns.get(self.dispositions);
        for (place, disposition) in dispositions.iter().enumerate() {
            let mut hasher = DefaultHasher::new();
            batch.packets.bytes(place).hash(&mut hasher);
            if disposition.dropped().is_none() {
                // The headers that bricks find are those of the bytes.
                let parsed = legonf_wire::parse(batch.packets.record(place), batch.packets.bytes(place));
                assert_eq!(batch.headers[place], parsed);
            }
            self.packets.push(disposition.dropped().map_or(Ok(hasher.finish()), Err));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn spec(text: &str) -> GraphSpec {
    GraphSpec::from_toml(text).unwrap()
}

/// Makes bricks of a graph.
fn supply(text: &str) -> impl Fn(&str) -> Result<Box<dyn Brick>, SupplyError> + Sync + Clone + use<> {
    let bricks: BTreeMap<_, _> =
        spec(text).bricks.into_iter().map(|brick| (brick.id.clone(), brick)).collect();
    move |id: &str| {
        let brick = &bricks[id];
        Ok(build(&brick.kind, &brick.config, &Context::default()).unwrap())
    }
}

fn go(
    (text, make): (&str, Supply<'_>),
    layout: &str,
    mut traffic: Traffic,
    script: Option<&mut Script>,
    checkpoint: Option<usize>,
) -> (Outcome, Told) {
    let reads = Told::default().reads().unwrap();
    let made = |brick: &legonf_runtime::BrickSpec| make.supply(&brick.id, 0);
    let mut graph = Graph::assemble(&spec(text), &[ColumnSpec::PACKETS], &*reads, made).unwrap();
    let (layout, stop, mut told) = (layout.parse().unwrap(), AtomicBool::new(false), Told::default());
    let options = Options { queue: 2, supply: Some(make), checkpoint, ..Options::new(&layout, &stop) };
    let control = script.map(|script| script as &mut dyn legonf_runtime::Control);
    let outcome = run_under(control, &mut graph, &mut traffic, &mut told, options, &mut |_, _| {});
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    (outcome, told)
}

/// The configuration of the translation in a graph, as text.
fn nat(text: &str) -> String {
    let spec = spec(text);
    let brick = spec.bricks.iter().find(|brick| brick.kind == Nat::KIND).unwrap();
    toml::to_string(&brick.config).unwrap()
}

fn to(made: &Arc<Made>, end: u64) -> Traffic {
    Traffic { made: made.clone(), next: 0, end, until: None }
}

/// The counters of all bricks, added up by name.
fn counters(outcome: &Outcome) -> BTreeMap<&str, u64> {
    let mut all = BTreeMap::new();
    for (name, value) in outcome.counters.iter().flat_map(|brick| &brick.counters) {
        *all.entry(&**name).or_default() += *value;
    }
    all.retain(|_, value| *value > 0);
    all
}

#[test]
fn a_chain_is_the_same_in_every_layout() {
    let (make, made) = (supply(CHAIN), Arc::new(Made::new(&nat(CHAIN))));
    let (outcome, expected) = go((CHAIN, &make), "fused", to(&made, PACKETS), None, None);
    let found = |reason| expected.packets.iter().filter(|packet| **packet == Err(reason)).count();
    use DropReason::{BadHeader, NoTranslation, Policy, TtlExpired};
    for reason in [BadHeader, NoTranslation, Policy, TtlExpired] {
        assert!(found(reason) > 50, "{reason:?}: {}", found(reason));
    }
    let all = counters(&outcome);
    for name in
        ["translations", "balanced-flows", "rerouted-flows", "flows", "denied", "bad-header", "ttl-expired"]
    {
        assert!(all.get(name).is_some_and(|count| *count > 5), "{name}: {all:?}");
    }
    assert!(expected.packets.iter().filter(|packet| packet.is_ok()).count() > PACKETS as usize / 2);
    for layout in [
        "pipeline",
        "source batching check ttl | nat x2 | translate | balancer x2 | balance | monitor x2 | cut-off filter | sink",
        "source | batching check ttl nat x4 | translate x2 | balancer balance x3 | monitor cut-off x4 | filter x2 | sink",
    ] {
        let (found, told) = go((CHAIN, &make), layout, to(&made, PACKETS), None, None);
        assert!(told.packets == expected.packets, "{layout}");
        assert_eq!(found.counters, outcome.counters, "{layout}");
    }
}

#[test]
fn a_chain_is_moved_and_killed_and_nobody_sees_it() {
    let text = "source batching check ttl | nat x3 | translate | balancer x2 | balance | monitor x2 | cut-off filter | sink";
    moved_and_killed(CHAIN, text, &[("nat", 3), ("balancer", 2), ("monitor", 2)]);
}

/// Moves all slots of some bricks among so many replicas again and again, while bricks panic.
fn moved_and_killed(graph: &str, layout: &str, keyed: &[(&str, u16)]) {
    let moved = |round: u16| Plan {
        moves: (0..4096)
            .flat_map(|slot| {
                keyed.iter().map(move |(brick, replicas)| {
                    let to = (slot / 7 + round) % replicas;
                    SlotMove { brick: (*brick).into(), shard: 0, slot, to }
                })
            })
            .collect(),
        ..layout.parse().unwrap()
    };
    let ids = spec(graph).bricks.into_iter().map(|brick| brick.id).collect::<Vec<_>>().join(" ");
    let one: Plan = format!("source {ids} sink").parse().unwrap();
    let plans: Vec<_> =
        (0..5).map(moved).chain([one, layout.parse().unwrap()]).chain((0..3).map(moved)).collect();
    let (make, chain, made) = (supply(graph), supply(CHAIN), Arc::new(Made::new(&nat(CHAIN))));
    for every in [0, 5] {
        let (mines, plain) = (Arc::new(StateMines::each(every)), make.clone());
        let mined = mines.clone();
        let make = move |id: &str| -> Result<Box<dyn Brick>, SupplyError> {
            let brick = plain(id)?;
            let panics: Box<dyn Fn(&Headers) + Send> = Box::new(|_| {});
            let keyed = brick.descriptor().state == State::Keyed;
            Ok(if keyed { MinedState::with_packets(brick, &mined, panics) } else { brick })
        };
        let mut script = Script::of(plans.clone());
        let traffic = Traffic { until: Some(script.done.clone()), ..to(&made, u64::MAX) };
        let (outcome, told) = go((graph, &make), layout, traffic, Some(&mut script), Some(20_000));
        assert!(script.refused.is_empty(), "{:?}", script.refused);
        assert!(outcome.pauses.slots > 4096 && (every == 0 || outcome.restarts > 0), "{:?}", outcome.pauses);
        let (alone, expected) = go((CHAIN, &chain), "fused", to(&made, outcome.packets), None, None);
        assert!(told.packets == expected.packets);
        assert_eq!(counters(&outcome), counters(&alone));
    }
}

#[test]
fn a_fast_path_is_the_chain_in_every_layout() {
    let (make, chain, made) = (supply(FAST), supply(CHAIN), Arc::new(Made::new(&nat(CHAIN))));
    let (outcome, expected) = go((CHAIN, &chain), "fused", to(&made, PACKETS), None, None);
    for layout in [
        "fused",
        "pipeline",
        "source batching | chain x2 | actions sink",
        "source | batching chain actions x4 | sink",
    ] {
        let (found, told) = go((FAST, &make), layout, to(&made, PACKETS), None, None);
        assert!(told.packets == expected.packets, "{layout}");
        assert_eq!(counters(&found), counters(&outcome), "{layout}");
    }
}

#[test]
fn a_fast_path_is_moved_and_killed_and_nobody_sees_it() {
    moved_and_killed(FAST, "source batching | chain x3 | actions sink", &[("chain", 3)]);
}
