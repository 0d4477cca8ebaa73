//! Reading allocates nothing per packet once the window and the batch have their size.
#![allow(clippy::unwrap_used)]

use legonf_allocations::allocations_of_thread;
use legonf_core::Batch;
use legonf_io::SourceOptions;
use legonf_io::source::from_reader;
use std::io::{Cursor, Write};

const PACKETS: usize = 20_000;

fn pcap() -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for _ in 0..PACKETS {
        file.extend([1, 0, 0, 0, 2, 0, 0, 0, 100, 0, 0, 0, 100, 0, 0, 0]);
        file.extend([0x5a; 100]);
    }
    file
}

fn pcapng() -> Vec<u8> {
    let mut file = vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
    file.extend([0xff; 8]);
    file.extend([28, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0]);
    for _ in 0..PACKETS {
        file.extend([6, 0, 0, 0, 132, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
        file.extend([100, 0, 0, 0, 100, 0, 0, 0]);
        file.extend([0x5a; 100]);
        file.extend([132, 0, 0, 0]);
    }
    file
}

fn tsv() -> Vec<u8> {
    let rows = [
        "1.5\t60\t02:00:00:00:00:01\t02:00:00:00:00:02\t10.0.0.1\t10.0.0.2\t1\t2\t\t\t\t\t\t\t\t\t\t\t\n",
        "1.6\t60\t02:00:00:00:00:01\t02:00:00:00:00:02\t\t\t\t\t5\t6\t\t\t\t\t\t\t\tfe80::1\tff02::1\n",
    ];
    rows.concat().repeat(PACKETS / 2).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn steady_state_allocates_nothing() {
    let plain = [("pcap", pcap()), ("pcapng", pcapng()), ("tsv", tsv())];
    let packed = plain.iter().flat_map(|(name, file)| {
        [(format!("{name}.gz"), gzip(file)), (format!("{name}.zst"), zstd::encode_all(&file[..], 1).unwrap())]
    });
    let packed: Vec<_> = packed.collect();
    let plain = plain.iter().map(|(name, file)| ((*name).to_owned(), file.clone()));
    for (name, file) in plain.chain(packed) {
        let options = SourceOptions::default();
        let mut source = from_reader(&*name, Box::new(Cursor::new(file)), None, &options).unwrap();
        let (mut batch, mut packets, mut before) = (Batch::default(), 0, 0);
        loop {
            batch.clear();
            source.fill(&mut batch).unwrap();
            packets += batch.len();
            if batch.is_empty() {
                break;
            }
            if packets == 2048 {
                before = allocations_of_thread();
            }
        }
        let after = allocations_of_thread();
        assert_eq!((packets, after - before), (PACKETS, 0), "{name}");
        assert!(before > 0, "the counter counts");
    }
}
