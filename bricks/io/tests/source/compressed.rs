//! gzip and zstd around a capture.

use crate::build::{MICROS, Order, pcap_header, pcap_record};
use crate::{Run, read, source};
use flate2::Compression;
use flate2::write::GzEncoder;
use legonf_core::Batch;
use legonf_io::SourceOptions;
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// 5,000 packets that do not compress well, so that the stream is long.
fn capture() -> Vec<u8> {
    let mut file = pcap_header(Order::Little, MICROS, 1);
    let mut noise = 1_u32;
    for n in 0..5000 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .collect();
        file.extend(pcap_record(Order::Little, n, 0, 200, &bytes));
    }
    file
}

#[test]
fn compressed_captures_read_as_plain_ones() {
    let file = capture();
    let plain = read(&file).packets;
    assert_eq!(plain.len(), 5000);
    let (first, second) = file.split_at(file.len() / 2);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(&file)].concat();
    for packed in [
        gzip(&file),
        zstd(&file),
        [gzip(first), gzip(second)].concat(),
        [zstd(first), zstd(second)].concat(),
        skippable,
    ] {
        let run = read(&packed);
        assert_eq!(run.message(), "");
        assert_eq!(run.packets, plain);
    }
}

/// A zstd frame of one block as it is, with a window of 2 to the power of `log`.
fn windowed(log: u8, bytes: &[u8]) -> Vec<u8> {
    let block = ((bytes.len() as u32) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3], &block[..3], bytes].concat()
}

#[test]
fn long_windows_are_read_up_to_a_bound() {
    let mut file = pcap_header(Order::Little, MICROS, 1);
    file.extend(pcap_record(Order::Little, 1, 0, 3, b"abc"));
    for log in [10, 27, 28] {
        assert_eq!(read(&windowed(log, &file)).packets.len(), 1, "{log}");
    }
    for log in [29, 31, 41] {
        let message = read(&windowed(log, &file)).message();
        assert!(message.contains("longer than 256 MiB; decompress it before"), "{log}: {message}");
        assert!(message.contains("zstd -dc --long=31"), "{log}: {message}");
    }
}

#[test]
fn a_stream_with_a_dictionary_says_what_it_needs() {
    let mut frame = windowed(20, b"packets");
    frame[4] = 1;
    frame.insert(6, 7);
    let message = read(&frame).message();
    assert!(message.contains("it needs a dictionary"), "{message}");
}

fn check_damage(run: &Run, plain: &[crate::Seen], compression: &str) {
    let begin = format!("x: damaged {compression} stream: ");
    assert!(run.message().starts_with(&begin), "{}", run.message());
    assert_eq!(run.packets, plain[..run.packets.len()]);
}

#[test]
fn a_stream_that_ends_early_delivers_what_it_holds() {
    let file = capture();
    let plain = read(&file).packets;
    for (packed, compression) in [(gzip(&file), "gzip"), (zstd(&file), "zstd")] {
        for len in (packed.len() / 2..packed.len()).step_by(9973) {
            let run = read(&packed[..len]);
            check_damage(&run, &plain, compression);
            assert!(run.packets.len() > 1500, "{compression} {len}: {}", run.packets.len());
            let expected = format!("it ends early; the {} packets before it were read", run.packets.len());
            assert!(run.message().ends_with(&expected), "{}", run.message());
        }
    }
}

#[test]
fn a_short_stream_that_ends_early_delivers_what_it_holds() {
    let mut file = pcap_header(Order::Little, MICROS, 1);
    file.extend(pcap_record(Order::Little, 1, 0, 3, b"abc"));
    file.extend(pcap_record(Order::Little, 2, 0, 3, b"def"));
    let packed = gzip(&file);
    let run = read(&packed[..packed.len() - 4]);
    assert_eq!(run.message(), "x: damaged gzip stream: it ends early; the 2 packets before it were read");
}

#[test]
fn a_changed_byte_never_goes_unseen() {
    let file = capture();
    let plain = read(&file).packets;
    let mut packed = gzip(&file);
    let at = packed.len() - 6;
    packed[at] ^= 1;
    let run = read(&packed);
    check_damage(&run, &plain, "gzip");
    assert_eq!(run.packets.len(), 5000);
    let middle = packed.len() / 2;
    let mut packed = zstd(&file);
    packed[..20].copy_from_slice(&[0xff; 20]);
    packed[..4].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
    check_damage(&read(&packed), &plain, "zstd");
    let mut packed = gzip(&file);
    packed[middle..middle + 64].fill(0xff);
    let run = read(&packed);
    assert!(!run.message().is_empty());
}

#[test]
fn an_empty_or_foreign_file_inside_is_named() {
    for pack in [gzip, zstd] {
        assert_eq!(read(&pack(b"")).message(), "x: this file is empty, expected pcap, pcapng or Kitsune TSV");
        let message = read(&pack(b"\x7fELF\x02\x01\x01")).message();
        assert_eq!(message, "x: this is an ELF program, expected pcap, pcapng or Kitsune TSV");
    }
}

#[test]
fn progress_counts_stored_bytes() {
    let file = capture();
    for stored in [file.clone(), gzip(&file), zstd(&file)] {
        let mut source = source(&stored, &SourceOptions::default()).unwrap();
        let (mut batch, mut last) = (Batch::default(), 0);
        assert_eq!(source.progress().total_bytes, Some(stored.len() as u64));
        loop {
            batch.clear();
            source.fill(&mut batch).unwrap();
            assert!(source.progress().read_bytes >= last);
            last = source.progress().read_bytes;
            if batch.is_empty() {
                break;
            }
        }
        assert_eq!(last, stored.len() as u64);
    }
}
