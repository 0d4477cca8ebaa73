//! Captures made byte by byte.

/// Byte order of what is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    Little,
    Big,
}

pub const ORDERS: [Order; 2] = [Order::Little, Order::Big];

impl Order {
    pub fn u16(self, n: u16) -> [u8; 2] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u32(self, n: u32) -> [u8; 4] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub fn u64(self, n: u64) -> [u8; 8] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

pub const MICROS: u32 = 0xa1b2_c3d4;
pub const NANOS: u32 = 0xa1b2_3c4d;

/// The file header of a pcap.
pub fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    [&order.u32(magic)[..], &order.u16(2), &order.u16(4), &[0; 8], &order.u32(262_144), &order.u32(link)]
        .concat()
}

/// A record of a pcap.
pub fn pcap_record(order: Order, seconds: u32, ticks: u32, original: u32, bytes: &[u8]) -> Vec<u8> {
    let captured = bytes.len() as u32;
    let words = [seconds, ticks, captured, original].map(|n| order.u32(n)).concat();
    [&words, bytes].concat()
}

/// A block of a pcapng around a body, which is padded.
pub fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let len = order.u32((12 + body.len() + padding.len()) as u32);
    [&order.u32(kind)[..], &len, body, &padding, &len].concat()
}

/// A section header.
pub fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// An option of a block.
pub fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
    [&order.u16(code)[..], &order.u16(value.len() as u16), value, &padding].concat()
}

/// An interface description.
pub fn interface(order: Order, link: u16, snap_len: u32, options: &[u8]) -> Vec<u8> {
    block(order, 1, &[&order.u16(link)[..], &[0; 2], &order.u32(snap_len), options].concat())
}

/// An enhanced packet block.
pub fn enhanced(order: Order, interface: u32, ticks: u64, original: u32, bytes: &[u8]) -> Vec<u8> {
    let (high, low) = ((ticks >> 32) as u32, ticks as u32);
    let words = [interface, high, low, bytes.len() as u32, original].map(|n| order.u32(n)).concat();
    let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
    let comment = option(order, 1, b"a comment");
    let end = option(order, 0, &[]);
    block(order, 6, &[&words, bytes, &padding, &comment, &end].concat())
}

/// A simple packet block.
pub fn simple(order: Order, original: u32, bytes: &[u8]) -> Vec<u8> {
    block(order, 3, &[&order.u32(original)[..], bytes].concat())
}

/// An obsolete packet block.
pub fn obsolete(order: Order, interface: u16, ticks: u64, original: u32, bytes: &[u8]) -> Vec<u8> {
    let (high, low) = ((ticks >> 32) as u32, ticks as u32);
    let words = [high, low, bytes.len() as u32, original].map(|n| order.u32(n)).concat();
    block(order, 2, &[&order.u16(interface)[..], &order.u16(7), &words, bytes].concat())
}
