//! Sessions of three classes that a small forest tells apart, and captures of them.
#![allow(dead_code)]

use crate::common::text;
use std::fs;
use std::path::Path;

/// What a session of each class begins with.
const WORDS: [&[u8]; 3] = [
    b"GET / HTTP/1.1\r\nHost: ",
    b"\x16\x03\x01\x00\x20\x01\x00\x00\x1c\x03\x03",
    b"EHLO mx.example.org\r\n",
];

/// Options of `legonf train classifier` for a forest that is made at once.
pub const TREES: [&str; 6] = ["--networks", "0", "--trees", "10", "--seed", "5"];

/// Bytes of a session, told apart by its number.
pub fn session(class: usize, number: usize) -> Vec<u8> {
    let noise = (0..200).map(|at| ((at * 7919 + number * 104_729 + at * at * number) % 251) as u8);
    WORDS[class].iter().copied().chain(noise).collect()
}

/// A packet of the session of a class and a number, as raw IPv4 with UDP.
pub fn packet(class: usize, number: usize, payload: &[u8]) -> Vec<u8> {
    let ports = [(2000 + number as u16).to_be_bytes(), 53u16.to_be_bytes()].concat();
    let udp = [&ports[..], &(8 + payload.len() as u16).to_be_bytes(), &[0, 0], payload].concat();
    let total = (20 + udp.len() as u16).to_be_bytes();
    let ip = [
        &[0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, 17, 0, 0][..],
        &[10, 0, 0, class as u8 + 1],
        &[10, 0, 1, 1],
        &udp,
    ];
    ip.concat()
}

/// A capture of packets in raw IP, each with its second.
fn write(path: &Path, packets: impl Iterator<Item = (usize, Vec<u8>)>) {
    let mut file =
        [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 8], &[0, 0, 4, 0], &101u32.to_le_bytes()].concat();
    for (second, packet) in packets {
        let length = (packet.len() as u32).to_le_bytes();
        file.extend([&(second as u32).to_le_bytes()[..], &[0; 4], &length, &length, &packet].concat());
    }
    fs::write(path, file).unwrap();
}

/// A capture of UDP sessions of a class, of a packet each.
pub fn capture(path: &Path, class: usize, first: usize) {
    let of = |number| (number, packet(class, number, &session(class, number)));
    write(path, (first..first + 6).map(of));
}

/// The payloads of a session that is long enough for a class while it lasts.
pub fn long(class: usize, number: usize) -> Vec<Vec<u8>> {
    (0..6)
        .map(
            |part| {
                if part == 0 { session(class, number) } else { session(class, number + part)[30..].to_vec() }
            },
        )
        .collect()
}

/// A folder with a folder of captures of sessions for each class, as [`captures`] makes it, whose sessions are [`long`].
pub fn long_captures(folder: &Path, classes: &[&str], count: usize) -> String {
    captures_with(folder, classes, count, |path, class, first| {
        let of =
            |number| long(class, number).into_iter().map(move |part| (number, packet(class, number, &part)));
        write(path, (first..first + 6).flat_map(of));
    })
}

/// A folder with a folder of `count` captures for each of `classes`.
pub fn captures(folder: &Path, classes: &[&str], count: usize) -> String {
    captures_with(folder, classes, count, capture)
}

fn captures_with(
    folder: &Path,
    classes: &[&str],
    count: usize,
    make: impl Fn(&Path, usize, usize),
) -> String {
    for (class, name) in classes.iter().enumerate() {
        let of_class = folder.join(name);
        fs::create_dir_all(&of_class).unwrap();
        (0..count).for_each(|at| make(&of_class.join(format!("c{at}.pcap")), class, 100 * class + 10 * at));
    }
    text(folder)
}
