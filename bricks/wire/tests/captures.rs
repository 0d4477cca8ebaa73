//! Real and damaged captures: each packet is parsed, none panics.
#![allow(clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;

use legonf_core::Malformed;
use legonf_wire::parse;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn captures(folder: &str) -> Vec<PathBuf> {
    let Some(folder) = common::shared(folder) else { return Vec::new() };
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e != "txt" && e != "gz" && e != "csv"));
    paths.sort();
    paths
}

/// Number of packets, and of malformed ones by reason.
fn parse_all(folder: &str) -> (usize, BTreeMap<Malformed, usize>) {
    let (mut count, mut malformed) = (0, BTreeMap::new());
    for path in captures(folder) {
        let packets = common::read(&path);
        count += packets.len();
        for (record, bytes) in packets.iter() {
            if let Some(reason) = parse(record, bytes).malformed {
                *malformed.entry(reason).or_default() += 1;
            }
        }
    }
    (count, malformed)
}

#[test]
fn robustness() {
    let (count, malformed) = parse_all("robustness");
    if count > 0 {
        println!("{count} packets, malformed: {malformed:?}");
        assert!(count > 30_000 && malformed.values().sum::<usize>() < count / 10);
    }
}

#[test]
fn real_scans_have_hardly_a_malformed_packet() {
    let (count, malformed) = parse_all("scans");
    if count > 0 {
        println!("{count} packets, malformed: {malformed:?}");
        assert!(count > 40_000 && malformed.values().sum::<usize>() < count / 100);
    }
}
