//! No bytes make a source panic or go on for ever.

use crate::build::{MICROS, Order, pcap_header, pcap_record};
use crate::pcapng::rich;
use crate::read;
use proptest::prelude::*;

/// The begin of a file of each kind.
fn begins() -> Vec<Vec<u8>> {
    let mut pcap = pcap_header(Order::Little, MICROS, 1);
    pcap.extend(pcap_record(Order::Little, 1, 2, 3, b"abc"));
    let table = b"1.5\t60\t\t\t10.0.0.1\t10.0.0.2\t1\t2\t\t\t\t\t\t\t\t\t\t\t\n".to_vec();
    let gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let zstd = vec![0x28, 0xb5, 0x2f, 0xfd];
    vec![vec![], pcap, rich(Order::Big).0, table, gzip, zstd]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_end(kind in 0_usize..6, tail in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut file = begins().swap_remove(kind);
        file.extend(tail);
        read(&file);
    }

    #[test]
    fn changed_bytes_end(
        kind in 1_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = begins().swap_remove(kind);
        // Changes fall into the first bytes, where the headers are.
        let len = file.len().min(600);
        for (at, byte) in changes {
            file[at.index(len)] = byte;
        }
        read(&file);
    }
}
