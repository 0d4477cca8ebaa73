//! Random traffic over replicas of both shards, with slots moving in mid-stream: every bit is the single instance's.
#![allow(clippy::unwrap_used)]

#[path = "../../splitter/tests/common/traffic.rs"]
mod traffic;

use legonf_core::{Clock, Headers, Rows, SLOTS};
use legonf_experiments::table2::{Options, Table2};
use legonf_experiments::{Order, Replicas, Setup, Take};
use legonf_extract::{Config, Limits, build, schema_by_name, state_groups};
use legonf_models::kitnet::{KitNet, TrainConfig, Trainer};
use legonf_splitter::{GroupSet, Plan};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use traffic::traffic;

/// So small that streams are evicted all the time.
const TINY: Limits = Limits { sources_per_slot: 1, channels_per_slot: 1, sockets_per_slot: 2, seed: 5 };

fn group_set(schema: &str) -> GroupSet {
    GroupSet::of_schema(&schema_by_name(schema).unwrap(), state_groups(schema).unwrap()).unwrap()
}

fn config(schema: &str, limits: Limits) -> Config {
    Config { schema: schema.into(), limits, ..Config::default() }
}

/// The packets with their stream time.
fn marked(mut packets: Vec<Headers>) -> Vec<Headers> {
    let mut clock = Clock::default();
    packets.iter_mut().for_each(|packet| packet.shift = clock.shift(packet.seq, packet.timestamp));
    packets
}

/// The bits of every row, in the order in which the packets came.
fn single(schema: &str, limits: Limits, packets: &[Headers]) -> Vec<u64> {
    let mut extractor = build(schema, limits).unwrap();
    let (mut rows, mut all) = (Rows::default(), Vec::new());
    for packets in packets.chunks(256) {
        extractor.extract(packets, &mut rows);
        all.extend(rows.as_slice().iter().map(|x| x.to_bits()));
    }
    all
}

/// The bits of every row, and the packets' numbers.
#[derive(Debug, Default)]
struct Bits {
    rows: Vec<u64>,
    seqs: Vec<u64>,
}

impl Take for Bits {
    fn take(&mut self, packets: &[Headers], rows: &Rows) {
        assert_eq!(packets.len(), rows.len());
        self.seqs.extend(packets.iter().map(|packet| packet.seq));
        self.rows.extend(rows.as_slice().iter().map(|x| x.to_bits()));
    }
}

/// From packet `at` on, slots of a shard have owners that look random.
#[derive(Clone, Copy, Debug)]
struct Change {
    at: usize,
    shard: usize,
    replicas: usize,
    salt: u64,
}

prop_compose! {
    fn change()(at in 0..400usize, shard in 0..2usize, replicas in 1..65usize, salt in any::<u64>()) -> Change {
        Change { at, shard, replicas, salt }
    }
}

impl Change {
    fn order(&self) -> Order {
        let mix = |slot: u64| (slot ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let owner = |slot| (mix(slot) % self.replicas as u64) as u16;
        let owners = (0..SLOTS as u64).map(owner).collect();
        let several = self.replicas > 1;
        Order {
            replicas: self.replicas,
            owners: several.then_some((self.shard, owners)).into_iter().collect(),
        }
    }
}

/// The bits of every row, in the order in which packets came out, while slots move, and how many did.
fn split(
    (schema, limits): (&str, Limits),
    plan: &Plan,
    replicas: usize,
    packets: &[Headers],
    changes: &[Change],
) -> (Vec<u64>, u64) {
    let (config, clock) = (&config(schema, limits), || Duration::ZERO);
    let setup = Setup { config, plan, replicas, copies: None, steered: !changes.is_empty(), clock };
    let mut run = Replicas::start(&setup, Bits::default()).unwrap();
    let (mut done, mut changes) = (0, changes.to_vec());
    changes.sort_by_key(|change| change.at);
    for change in changes {
        let to = change.at.min(packets.len()).max(done);
        packets[done..to].chunks(100).for_each(|packets| run.push(packets));
        run.order(change.order());
        done = to;
    }
    packets[done..].chunks(100).for_each(|packets| run.push(packets));
    let found = run.finish().unwrap();
    assert!(found.taker.seqs.iter().eq(&packets.iter().map(|p| p.seq).collect::<Vec<_>>()), "arrival order");
    (found.taker.rows, found.moved)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_exact_plan_changes_no_bit_while_slots_move(
        packets in traffic(400),
        replicas in 1..65usize,
        changes in prop::collection::vec(change(), 0..4),
        tiny in any::<bool>(),
    ) {
        let limits = if tiny { TINY } else { Limits { seed: 5, ..Limits::default() } };
        let packets = marked(packets);
        for schema in ["kitsune-115", "kitsune-115-clean"] {
            let plan = Plan::exact(&group_set(schema));
            let (rows, _) = split((schema, limits), &plan, replicas, &packets, &changes);
            prop_assert!(rows == single(schema, limits, &packets), "{} {}", schema, replicas);
        }
    }
}

/// One replica, as many as divide slots evenly or not, and as many as a large machine has cores.
#[test]
fn one_to_64_replicas_change_no_bit() {
    let packets: Vec<_> = (0..20_000u32).map(conversation).collect();
    let (schema, limits) = ("kitsune-115-clean", Limits::default());
    let (plan, packets) = (Plan::exact(&group_set(schema)), marked(packets));
    let expected = single(schema, limits, &packets);
    for replicas in [1, 2, 7, 64] {
        assert!(split((schema, limits), &plan, replicas, &packets, &[]).0 == expected, "{replicas}");
    }
}

/// So the property above sees slots that move.
#[test]
fn slots_move_while_packets_come() {
    let packets: Vec<_> = (0..40_000u32).map(conversation).collect();
    let (schema, limits) = ("kitsune-115-clean", TINY);
    let (plan, packets) = (Plan::exact(&group_set(schema)), marked(packets));
    let change = |(at, replicas)| Change { at, shard: at % 2, replicas, salt: at as u64 };
    let changes = [(3000, 7), (9001, 2), (15_000, 64), (25_001, 1), (30_000, 5)].map(change);
    let (rows, moved) = split((schema, limits), &plan, 3, &packets, &changes);
    assert!(rows == single(schema, limits, &packets));
    assert!(moved > SLOTS as u64, "{moved}");
}

/// What the papers' granularity changes, the exact plan does not: so the test above can fail.
#[test]
fn the_papers_granularity_changes_bits() {
    let packets = marked((0..200u32).map(conversation).collect());
    let (schema, limits) = ("kitsune-115", Limits::default());
    let set = group_set(schema);
    let expected = single(schema, limits, &packets);
    let bits = |plan: &Plan| split((schema, limits), plan, 3, &packets, &[]).0;
    assert!(bits(&Plan::approximate(&set)) != expected);
    assert!(bits(&Plan::exact(&set)) == expected);
}

/// State that is divided by a plan that is not exact cannot move, and that is said.
#[test]
fn replicas_of_a_plan_that_is_not_exact_stay_as_they_are() {
    let packets = marked((0..5000u32).map(conversation).collect());
    let (config, plan) = (Config::default(), Plan::approximate(&group_set("kitsune-115-clean")));
    let clock = || Duration::ZERO;
    let setup = Setup { config: &config, plan: &plan, replicas: 2, copies: None, steered: true, clock };
    let mut run = Replicas::start(&setup, Bits::default()).unwrap();
    run.order(Order { replicas: 3, owners: Vec::new() });
    run.push(&packets);
    let error = run.finish().unwrap_err().to_string();
    assert!(
        error.contains("`extractor` keeps state that cannot be divided") && error.contains("not exact"),
        "{error}"
    );
}

/// A plan that is taken for exact and is not: the experiment fails, and says where.
#[test]
fn a_deviation_is_a_failure_that_names_the_packet() {
    let packets = marked((0..600u32).map(conversation).collect());
    let (set, config) = (group_set("kitsune-115"), config("kitsune-115", Limits::default()));
    let network = Arc::new(network(&packets));
    let report = |plan: &Plan| {
        let clock = || Duration::ZERO;
        let options = Options { replicas: 3, threshold: None, skip: 0, rebalanced: false, clock };
        let mut table = Table2::new(&set, plan, &config, &network, options).unwrap();
        packets.chunks(77).for_each(|packets| table.push(packets));
        table.finish().unwrap()
    };
    assert_eq!(report(&Plan::exact(&set)).failure, None);
    let failure = report(&Plan::approximate(&set)).failure.unwrap();
    assert!(failure.starts_with("exact plan: ") && failure.contains("the first is packet "), "{failure}");
}

fn network(packets: &[Headers]) -> KitNet {
    let config = TrainConfig {
        features: 115,
        feature_mapping_packets: 200,
        training_packets: 300,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config).unwrap();
    let mut extractor = build("kitsune-115", Limits::default()).unwrap();
    let mut rows = Rows::default();
    extractor.extract(packets, &mut rows);
    rows.iter().for_each(|row| {
        trainer.train(row);
    });
    trainer.finish().unwrap()
}

/// Eight hosts that talk to one another in turn.
fn conversation(i: u32) -> Headers {
    use legonf_core::{Layer, Network, Timestamp, Transport};
    let ip = |bits: u32| Some(std::net::Ipv4Addr::from_bits(bits).into());
    let (a, b) = if i.is_multiple_of(2) { (i / 2 % 8, 9) } else { (9, i / 2 % 8) };
    let outer = Layer {
        network: Network::Ipv4,
        src: ip(a),
        dst: ip(b),
        transport: Transport::Tcp,
        ports: Some((1, 1)),
        ..Layer::default()
    };
    let timestamp = Timestamp::from_nanos(1_540_000_000_000_000_000 + i64::from(i) * 1_000_000);
    Headers { seq: i.into(), timestamp, wire_len: 60 + i % 7 * 100, outer, ..Headers::default() }
}
