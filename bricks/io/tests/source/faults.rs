//! Captures that are cut off, at every byte, and files that are none.

use crate::build::{MICROS, NANOS, ORDERS, Order, pcap_header, pcap_record};
use crate::pcapng::rich;
use crate::{Seen, read};
use legonf_io::{SourceOptions, open, open_with};
use std::io::Write;

/// Checks every prefix of a capture: whole packets only, and a fault unless the cut is between two records.
///
/// `ends` are the offsets at which a record ends.
fn check_prefixes(file: &[u8], packets: &[Seen], ends: &[usize]) {
    for len in 0..=file.len() {
        let run = read(&file[..len]);
        assert_eq!(run.packets, packets[..run.packets.len()], "cut at {len}");
        assert_eq!(run.error.is_none(), ends.contains(&len), "cut at {len}: {}", run.message());
    }
}

fn small_pcap(order: Order, magic: u32) -> (Vec<u8>, Vec<usize>) {
    let mut file = pcap_header(order, magic, 1);
    let mut ends = vec![file.len()];
    for bytes in [&b"first"[..], b"", b"the third packet"] {
        file.extend(pcap_record(order, 1, 2, 60, bytes));
        ends.push(file.len());
    }
    (file, ends)
}

#[test]
fn pcap_cut_at_every_byte() {
    for (order, magic) in ORDERS.into_iter().flat_map(|o| [(o, MICROS), (o, NANOS)]) {
        let (file, ends) = small_pcap(order, magic);
        let packets = read(&file).packets;
        assert_eq!(packets.len(), 3);
        check_prefixes(&file, &packets, &ends);
        for (n, pair) in ends.windows(2).enumerate() {
            let message = read(&file[..pair[1] - 1]).message();
            let expected = format!("x: cut off inside packet {n} (byte {})", pair[0]);
            assert!(message.starts_with(&expected), "{message}");
        }
    }
}

#[test]
fn pcapng_cut_at_every_byte() {
    for order in ORDERS {
        let (file, packets) = rich(order);
        let mut ends = Vec::new();
        let mut at = 0;
        while at < file.len() {
            let len: [u8; 4] = file[at + 4..at + 8].try_into().unwrap();
            at +=
                if order == Order::Big { u32::from_be_bytes(len) } else { u32::from_le_bytes(len) } as usize;
            ends.push(at);
        }
        // The long block in the middle is cut at a few bytes only, to keep the test short.
        let long = ends.windows(2).position(|pair| pair[1] - pair[0] > 60_000).unwrap();
        let (from, to) = (ends[long] + 20, ends[long + 1] - 20);
        for len in (0..from).chain((from..to).step_by(7919)).chain(to..=file.len()) {
            let run = read(&file[..len]);
            assert_eq!(run.packets, packets[..run.packets.len()], "cut at {len}");
            assert_eq!(run.error.is_none(), ends.contains(&len), "cut at {len}: {}", run.message());
        }
    }
}

#[test]
fn file_header_cut_off() {
    let header = pcap_header(Order::Little, MICROS, 1);
    assert_eq!(read(&header[..10]).message(), "x: cut off inside the file header (byte 0)");
    assert!(read(&header[..3]).message().contains("a file of less than 4 bytes"));
}

#[test]
fn files_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("capture.with.a.misleading.name.png");
    let (file, _) = small_pcap(Order::Little, MICROS);
    std::fs::File::create(&path).unwrap().write_all(&file[..file.len() - 1]).unwrap();
    let run = crate::drain(open(&path).unwrap());
    assert_eq!(run.packets.len(), 2);
    let expected =
        format!("{}: cut off inside packet 2 (byte 61); the 2 packets before it were read", path.display());
    assert_eq!(run.message(), expected);
    let first = open_with(&path, &SourceOptions { limit: Some(1), ..SourceOptions::default() }).unwrap();
    assert_eq!(first.progress().total_bytes, Some(file.len() as u64 - 1));
    assert_eq!(crate::drain(first).packets.len(), 1);
    let empty = dir.path().join("empty.pcap");
    std::fs::write(&empty, b"").unwrap();
    let message = open(&empty).err().unwrap().to_string();
    assert!(message.ends_with("this file is empty, expected pcap, pcapng or Kitsune TSV"), "{message}");
}
