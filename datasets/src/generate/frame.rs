//! Frames as bytes: headers are laid out once per flow, then only what changes is patched.

/// Bytes of a frame that are kept: every header fits, payloads are left out as a snapshot length does.
pub const FRAME: usize = 64;

/// A host's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    pub mac: [u8; 6],
    pub ip: [u8; 4],
}

impl Host {
    /// Host `index` of 10.0.0.0/8: the same index gives the same addresses.
    pub fn new(index: u32) -> Self {
        let [_, a, b, c] = (index + 1).to_be_bytes();
        Self { mac: [2, 0, 0, a, b, c], ip: [10, a, b, c] }
    }
}

/// IP protocol numbers.
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// The headers of one direction of a flow.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: [u8; FRAME],
    captured: usize,
    /// Sum of the IPv4 header's words but total length and identification; none for ARP.
    sum: Option<u32>,
}

impl Frame {
    /// An IPv4 frame. For ICMP the ports are identifier and sequence number of an echo request.
    pub fn ipv4(src: Host, dst: Host, protocol: u8, ports: (u16, u16)) -> Self {
        let mut bytes = ethernet(src, dst.mac, [0x08, 0x00]);
        bytes[14] = 0x45;
        bytes[20] = 0x40;
        bytes[22] = 64;
        bytes[23] = protocol;
        bytes[26..30].copy_from_slice(&src.ip);
        bytes[30..34].copy_from_slice(&dst.ip);
        let transport = transport(protocol, ports);
        bytes[34..34 + transport.len()].copy_from_slice(&transport);
        let captured = 34 + if protocol == TCP { 20 } else { 8 };
        let words = bytes[14..34].chunks_exact(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
        let sum = words.sum();
        Self { bytes, captured, sum: Some(sum) }
    }

    /// An ARP request of `src` for `dst`.
    pub fn arp(src: Host, dst: Host) -> Self {
        let mut bytes = ethernet(src, [0xff; 6], [0x08, 0x06]);
        bytes[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        bytes[22..28].copy_from_slice(&src.mac);
        bytes[28..32].copy_from_slice(&src.ip);
        bytes[38..42].copy_from_slice(&dst.ip);
        Self { bytes, captured: 42, sum: None }
    }

    /// Sets what differs from packet to packet and gives the captured bytes of a frame of `wire_len` bytes.
    pub fn stamp(&mut self, wire_len: u16, identification: u16) -> &[u8] {
        if let Some(base) = self.sum {
            let total = wire_len.saturating_sub(14);
            self.bytes[16..18].copy_from_slice(&total.to_be_bytes());
            self.bytes[18..20].copy_from_slice(&identification.to_be_bytes());
            let checksum = fold(base + u32::from(total) + u32::from(identification));
            self.bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
            if self.bytes[23] == UDP {
                self.bytes[38..40].copy_from_slice(&total.saturating_sub(20).to_be_bytes());
            }
        }
        &self.bytes[..self.captured]
    }

    /// Replaces the source address: the spoofed sources of a flood.
    pub fn set_source(&mut self, ip: [u8; 4]) {
        let word = |b: &[u8]| u32::from(u16::from_be_bytes([b[0], b[1]]));
        let old = word(&self.bytes[26..28]) + word(&self.bytes[28..30]);
        self.bytes[26..30].copy_from_slice(&ip);
        self.sum = self.sum.map(|sum| sum - old + word(&ip[..2]) + word(&ip[2..]));
    }

    /// Replaces the destination, address and MAC: the targets of a scan.
    pub fn set_destination(&mut self, host: Host) {
        let word = |b: &[u8]| u32::from(u16::from_be_bytes([b[0], b[1]]));
        let old = word(&self.bytes[30..32]) + word(&self.bytes[32..34]);
        self.bytes[0..6].copy_from_slice(&host.mac);
        self.bytes[30..34].copy_from_slice(&host.ip);
        self.sum = self.sum.map(|sum| sum - old + word(&host.ip[..2]) + word(&host.ip[2..]));
    }

    /// Replaces the source port.
    pub fn set_source_port(&mut self, port: u16) {
        self.bytes[34..36].copy_from_slice(&port.to_be_bytes());
    }
}

fn ethernet(src: Host, dst: [u8; 6], ethertype: [u8; 2]) -> [u8; FRAME] {
    let mut bytes = [0; FRAME];
    bytes[0..6].copy_from_slice(&dst);
    bytes[6..12].copy_from_slice(&src.mac);
    bytes[12..14].copy_from_slice(&ethertype);
    bytes
}

/// The transport header with its checksum left out, as checksum offload leaves it.
fn transport(protocol: u8, (a, b): (u16, u16)) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (words, at) = ([a.to_be_bytes(), b.to_be_bytes()].concat(), if protocol == ICMP { 4 } else { 0 });
    bytes[at..at + 4].copy_from_slice(&words);
    match protocol {
        TCP => (bytes[12], bytes[13], bytes[14]) = (0x50, 0x10, 0xff),
        ICMP => bytes[0] = 8,
        _ => {}
    }
    bytes
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
