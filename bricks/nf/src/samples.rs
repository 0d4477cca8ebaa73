//! Packets for tests.

use legonf_core::{Batch, Headers, LinkType, Timestamp};

/// An Ethernet frame with UDP over IPv4, with the right checksum of the header.
pub fn udp4() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 32, 0x12, 0x34, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend([0x10, 0xe1, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
    frame
}

/// UDP over IPv6.
pub fn udp6() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 12, 17, 64];
    packet.extend([1; 16]);
    packet.extend([2; 16]);
    packet.extend([0x10, 0xe1, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
    packet
}

/// The checksum of a header (RFC 1071); 0 over one that has its own.
pub fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// A batch of packets with their lengths on the wire, and with their headers.
pub fn batch(packets: &[(LinkType, &[u8], u32)]) -> Batch {
    let mut batch = Batch::default();
    for (seq, (link, bytes, wire_len)) in packets.iter().enumerate() {
        batch.packets.push(seq as u64, Timestamp::new(7, 5), *wire_len, *link, bytes);
    }
    batch.headers = reparsed(&batch);
    batch
}

/// What the packets' headers are.
pub fn reparsed(batch: &Batch) -> Vec<Headers> {
    batch.packets.iter().map(|(record, bytes)| legonf_wire::parse(record, bytes)).collect()
}
