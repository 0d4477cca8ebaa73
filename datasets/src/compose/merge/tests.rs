use super::*;
use legonf_core::Headers;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

const BATCH: usize = 100;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

fn labelled(folder: &str, capture: &str, labels: &str) -> Input {
    let path = |name| example(folder).join(name);
    Input { path: path(capture), labels: Some(path(labels)) }
}

fn testbed() -> Input {
    labelled("testbed", "capture.pcap.zst", "labels.csv.gz")
}

fn unlabelled() -> Input {
    Input { labels: None, ..mini() }
}

fn mini() -> Input {
    labelled("synth-mini", "synth-mini.pcap.gz", "labels.csv")
}

/// The small capture, in which all is benign, with the testbed's attacks, ten times faster, and all of itself.
fn config(seed: u64) -> Config {
    let attack = |input, start, speed| Attack { input, start: Some(start), speed, thin: 1 };
    Config {
        benign: mini(),
        attacks: vec![attack(testbed(), 1.5, 10.0), attack(unlabelled(), 2.0, 1.0)],
        seed,
    }
}

fn compose(config: Config) -> (Composer, Vec<Headers>, Vec<bool>, Vec<u8>) {
    let mut composer = Composer::new(config).unwrap();
    let (mut packets, mut labels) = (Packets::default(), Vec::new());
    let (mut headers, mut all) = (Vec::new(), Vec::new());
    loop {
        packets.clear();
        composer.append(&mut packets, &mut labels, BATCH).unwrap();
        if packets.is_empty() {
            return (composer, headers, labels, all);
        }
        for (record, bytes) in packets.iter() {
            headers.push(legonf_wire::parse(record, bytes));
            all.extend_from_slice(bytes);
        }
    }
}

/// The small capture's time runs backwards here and there: its packets stay in their order.
#[test]
fn packets_are_in_the_order_of_time() {
    let (_, headers, labels, _) = compose(Config { attacks: config(1).attacks[..1].to_vec(), ..config(1) });
    let mut latest = [i64::MIN; 2];
    let turns = headers.iter().zip(&labels).map(|(h, label)| {
        let latest = &mut latest[usize::from(*label)];
        *latest = h.timestamp.as_nanos().max(*latest);
        *latest
    });
    assert!(turns.is_sorted());
    let benign: Vec<_> =
        headers.iter().zip(&labels).filter(|(_, l)| !**l).map(|(h, _)| h.timestamp).collect();
    let mut stream = Stream::open(&mini(), false).unwrap();
    let recorded = std::iter::from_fn(|| stream.advance().unwrap().map(|(record, _)| record.timestamp));
    assert!(recorded.eq(benign));
}

#[test]
fn every_packet_is_accounted_for() {
    let (composer, headers, labels, _) = compose(config(1));
    assert!(headers.iter().zip(0..).all(|(h, seq)| h.seq == seq));
    let malicious = labels.iter().filter(|l| **l).count() as u64;
    assert_eq!((composer.malicious(), composer.position()), (malicious, labels.len() as u64));
    let manifest = composer.manifest(Path::new("a/b.pcapng"), |_| Ok::<_, ()>("0".into())).unwrap();
    let parts = [&manifest.benign, &manifest.attacks[0].part, &manifest.attacks[1].part];
    for part in parts {
        assert_eq!(part.received, part.written + part.left_out.values().sum::<u64>(), "{part:?}");
    }
    assert_eq!(parts[1].written, 13_029, "every attack packet of the testbed: see its manifest");
    assert_eq!((parts[0].written, parts[0].received), (3500, 3500));
    assert!(parts[2].written > 3000, "{:?}", parts[2]);
    assert_eq!((manifest.kind, &*manifest.output.file), ("composite", "b.pcapng"));
    let first = labels.iter().position(|l| *l).map(|at| at as u64);
    assert_eq!(manifest.output.first_malicious_index, first);
}

#[test]
fn times_are_shifted_and_scaled() {
    let (_, headers, labels, _) = compose(Config { attacks: config(1).attacks[..1].to_vec(), ..config(1) });
    let seconds = |h: &Headers| (h.timestamp.as_nanos() - headers[0].timestamp.as_nanos()) as f64 / 1e9;
    let times: Vec<_> = headers.iter().zip(&labels).filter(|(_, l)| **l).map(|(h, _)| seconds(h)).collect();
    let survey = Survey::of(&testbed(), true).unwrap();
    let recorded = (survey.last.as_nanos() - survey.first.as_nanos()) as f64 / 1e9;
    assert!((times[0] - 1.5).abs() < 1e-6, "{}", times[0]);
    assert!((times[times.len() - 1] - times[0] - recorded / 10.0).abs() < 1e-6);
}

/// The small capture with one packet stamped 2106, in whose middle the attack comes by default.
#[test]
fn a_wrong_time_stamp_moves_no_attack() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.pcapng");
    let mut stream = Stream::open(&unlabelled(), false).unwrap();
    let mut out = legonf_io::sink::PacketFile::create(&path).unwrap();
    while let Some((record, bytes)) = stream.advance().unwrap() {
        let mut record = *record;
        if record.seq == 100 {
            record.timestamp = Timestamp::new(4_294_967_295, 0);
        }
        out.packet(&record, bytes).unwrap();
    }
    out.finish().unwrap();
    let attacks = vec![Attack { input: testbed(), start: None, speed: 10.0, thin: 1 }];
    let order = |path| {
        let benign = Input { path, labels: None };
        let (_, headers, labels, _) = compose(Config { benign, attacks: attacks.clone(), seed: 1 });
        let times = headers.iter().filter(|h| h.timestamp < Timestamp::new(4_294_967_295, 0));
        (labels, times.map(|h| h.timestamp).max())
    };
    assert!(order(path) == order(mini().path));
}

#[test]
fn attackers_are_hosts_of_the_benign_network() {
    let (composer, headers, labels, _) = compose(config(1));
    let hosts = Survey::of(&mini(), false).unwrap().census.hosts();
    let known: HashSet<_> = hosts.macs.iter().copied().collect();
    let busiest: IpAddr = became(&composer.attacks[0].0.mapping)[0].to.parse().unwrap();
    let from = |h: &&Headers| h.outer.src == Some(busiest);
    let attack: Vec<_> = headers.iter().zip(&labels).filter(|(_, l)| **l).map(|(h, _)| h).collect();
    assert!(attack.iter().copied().filter(from).count() > 5000);
    assert!(attack.iter().copied().filter(from).all(|h| known.contains(&(busiest, h.link.unwrap().src))));
}

#[test]
fn the_seed_decides() {
    let bytes = |seed| compose(config(seed)).3;
    let first = bytes(1);
    assert!(first == bytes(1));
    assert!(first != bytes(2));
}

#[test]
fn bad_input_is_named() {
    let error = |config| Composer::new(config).err().unwrap().to_string();
    let with = |attack| Config { attacks: vec![attack], ..config(1) };
    let base = || Attack { input: mini(), start: None, speed: 1.0, thin: 1 };
    assert_eq!(
        error(with(Attack { start: Some(-1.0), ..base() })),
        "start = -1: expected seconds from 0 to 1e9"
    );
    assert!(error(with(Attack { speed: f64::NAN, ..base() })).starts_with("speed = NaN: expected"));
    assert!(error(with(Attack::new("-"))).contains("cannot be read twice"));
    assert!(error(with(Attack::new("/dev/null"))).contains("no regular file"));
    assert!(error(with(Attack::new(example("synth-mini/none.pcap")))).contains("no such file"));
    assert!(error(with(Attack::new(example("synth-mini/synth-mini.pcap.tsv")))).contains("table of headers"));
    let short = Input { path: testbed().path, ..mini() };
    assert!(error(Config { benign: short, ..config(1) }).contains("labels, but the capture has"));
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none.csv");
    std::fs::write(&none, "0\n".repeat(3500)).unwrap();
    let input = Input { labels: Some(none), ..mini() };
    assert!(error(with(Attack { input, ..base() })).contains("no packet of it is an attack"));
}
