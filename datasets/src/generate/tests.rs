use super::*;
use legonf_core::Headers;
use std::collections::HashSet;

fn run(config: Config) -> (Vec<Headers>, Vec<bool>) {
    let mut generator = Generator::new(config).unwrap();
    let (mut packets, mut labels) = (Packets::default(), Vec::new());
    generator.append(&mut packets, &mut labels, usize::MAX);
    (packets.iter().map(|(record, bytes)| legonf_wire::parse(record, bytes)).collect(), labels)
}

const SMALL: fn() -> Config = || Config { packets: 20_000, ..Config::default() };

#[test]
fn one_seed_gives_one_capture() {
    assert_eq!(run(SMALL()), run(SMALL()));
    assert_ne!(run(SMALL()), run(Config { seed: 2, ..SMALL() }));
}

#[test]
fn every_packet_parses_and_time_never_runs_backwards() {
    let attack = Some(Attack { start: 2.0, rate: 500.0 });
    let (headers, labels) = run(Config { scan: attack, flood: attack, spoofed_sources: 100, ..SMALL() });
    assert_eq!((headers.len(), labels.len()), (20_000, 20_000));
    assert!(headers.iter().all(|h| h.malformed.is_none()));
    assert!(headers.is_sorted_by_key(|h| h.timestamp));
    assert!(headers.iter().enumerate().all(|(i, h)| h.seq == i as u64));
    assert!(headers.iter().all(|h| (60..=1514).contains(&h.wire_len)));
}

#[test]
fn rates_and_labels_are_those_asked_for() {
    let scan = Some(Attack { start: 5.0, rate: 250.0 });
    let (headers, labels) = run(Config { scan, ..SMALL() });
    let start = headers[0].timestamp.as_nanos();
    let seconds = |h: &Headers| (h.timestamp.as_nanos() - start) as f64 / 1e9;
    let duration = seconds(&headers[headers.len() - 1]);
    let attacks = labels.iter().filter(|l| **l).count() as f64;
    assert!((attacks / (duration - 5.0) - 250.0).abs() < 2.0, "{attacks} in {duration} s");
    assert!(((labels.len() as f64 - attacks) / duration - 1000.0).abs() < 30.0, "{duration} s");
    let first = labels.iter().position(|l| *l).unwrap();
    assert!((seconds(&headers[first]) - 5.0).abs() < 0.01);
    let probes = headers.iter().zip(&labels).filter(|(_, l)| **l);
    assert!(probes.clone().all(|(h, _)| h.outer.ports.unwrap().1 == 23));
    assert_eq!(probes.map(|(h, _)| h.outer.dst).collect::<HashSet<_>>().len(), 49);
}

#[test]
fn spoofed_sources_are_distinct() {
    let flood = Some(Attack { start: 0.0, rate: 1e6 });
    let (headers, labels) = run(Config { flood, spoofed_sources: 15_000, ..SMALL() });
    let sources: HashSet<_> =
        headers.iter().zip(&labels).filter(|(_, l)| **l).map(|(h, _)| h.outer.src).collect();
    assert_eq!(sources.len(), 15_000);
}

#[test]
fn what_is_out_of_range_is_named() {
    for (config, key) in [
        (Config { hosts: 1, ..SMALL() }, "hosts = 1"),
        (Config { rate: f64::NAN, ..SMALL() }, "rate = NaN"),
        (Config { min_size: 10, ..SMALL() }, "min_size = 10"),
        (Config { max_size: 61, min_size: 62, ..SMALL() }, "max_size = 61"),
        (Config { mix: Mix { tcp: 0.0, udp: 0.0, icmp: 0.0, arp: 0.0 }, ..SMALL() }, "mix = 0"),
        (Config { scan: Some(Attack { start: -1.0, rate: 1.0 }), ..SMALL() }, "scan = -1"),
    ] {
        let error = Generator::new(config).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
