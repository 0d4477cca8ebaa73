//! Packets for tests.

use crate::chain::{ChainFunction, Packet, Record};
use crate::ip::checksum;
use legonf_core::{
    Batch, Brick, ColumnSpec, Disposition, Handle, HeaderAction, Headers, Layout, LinkType, Socket, Timestamp,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// TCP over IPv4 in an Ethernet frame, with right checksums: from 10.0.0.1 to 10.0.0.2, with some flags.
pub fn tcp4(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 43, 0x12, 0x34, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0, 7, 8, 9]);
    with_checksum(frame)
}

/// ARP in an Ethernet frame.
pub fn arp() -> Vec<u8> {
    let mut frame = vec![255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1];
    frame.extend([2, 0, 0, 0, 0, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame
}

/// An Ethernet frame of IPv4 without options, with right checksums of the network header and of TCP or UDP.
pub fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let field = 34 + if frame[23] == 6 { 16 } else { 6 };
    frame[field..field + 2].fill(0);
    let sum = transport_checksum(&frame, 34);
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// The checksum of TCP or UDP over IPv4 whose header begins at a place of a frame; 0 over one that has its own.
pub fn transport_checksum(frame: &[u8], at: usize) -> u16 {
    let length = (frame.len() - at) as u16;
    checksum(&[&frame[at - 8..at], &[0, frame[at - 11]], &length.to_be_bytes(), &frame[at..]].concat())
}

/// Lets packets pass a brick in one batch, and gives that with the dispositions.
pub fn run(brick: &mut dyn Brick, packets: &[(LinkType, Vec<u8>)]) -> (Batch, Vec<Disposition>) {
    let layout = Layout::binding(&mut [brick]).unwrap();
    let packets: Vec<_> = packets.iter().map(|(link, bytes)| (*link, &**bytes, bytes.len() as u32)).collect();
    let some = batch(&packets);
    let mut batch = Batch::new(&layout);
    (batch.packets, batch.headers) = (some.packets, some.headers);
    let dispositions: Option<Handle<Vec<Disposition>>> =
        layout.handle_if_any(&ColumnSpec::DISPOSITION).unwrap();
    if let Some(column) = dispositions {
        *batch.columns.get_mut(column) = vec![Disposition::default(); packets.len()];
    }
    brick.process(&mut batch).unwrap();
    let found = dispositions.map_or_else(Vec::new, |column| batch.columns.get(column).clone());
    (batch, found)
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

/// A packet of TCP or UDP between two sockets, in an Ethernet frame, with right checksums.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub src: Socket,
    pub dst: Socket,
    pub protocol: u8,
    pub hops: u8,
    /// Flags of TCP.
    pub flags: u8,
    /// Bytes of payload.
    pub payload: u8,
    /// Words of options of IPv4, or of eight bytes of an extension header of IPv6.
    pub options: u8,
}

impl Sample {
    /// From one socket to another, by TCP.
    pub fn tcp(src: &str, dst: &str) -> Self {
        let socket = |text: &str| -> Socket {
            let socket: SocketAddr = text.parse().unwrap();
            Socket { ip: socket.ip(), port: socket.port() }
        };
        Self {
            src: socket(src),
            dst: socket(dst),
            protocol: 6,
            hops: 64,
            flags: 0x10,
            payload: 5,
            options: 0,
        }
    }

    /// The same by UDP.
    pub fn udp(self) -> Self {
        Self { protocol: 17, ..self }
    }

    /// With these flags.
    pub fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// In the other direction.
    pub fn back(self) -> Self {
        Self { src: self.dst, dst: self.src, ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let transport = self.transport();
        let (kind, network) = match (self.src.ip, self.dst.ip) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => ([0x08, 0x00], self.four(src, dst, transport.len())),
            (IpAddr::V6(src), IpAddr::V6(dst)) => ([0x86, 0xdd], self.six(src, dst, transport.len())),
            _ => panic!("addresses of one kind"),
        };
        let macs = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        [&macs[..], &kind, &network, &transport].concat()
    }

    fn four(&self, src: Ipv4Addr, dst: Ipv4Addr, behind: usize) -> Vec<u8> {
        let words = self.options % 11;
        let length = 20 + usize::from(words) * 4;
        let mut header = vec![0x45 + words, 0];
        header.extend(((length + behind) as u16).to_be_bytes());
        header.extend([0, 1, 0x40, 0, self.hops, self.protocol, 0, 0]);
        header.extend([src.octets(), dst.octets()].concat());
        header.resize(length, 1);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn six(&self, src: Ipv6Addr, dst: Ipv6Addr, behind: usize) -> Vec<u8> {
        let extension = usize::from(self.options % 3) * 8;
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(((extension + behind) as u16).to_be_bytes());
        header.extend([if extension == 0 { self.protocol } else { 60 }, self.hops]);
        header.extend([src.octets(), dst.octets()].concat());
        if extension > 0 {
            header.extend([self.protocol, (extension / 8 - 1) as u8, 1, 4, 0, 0, 0, 0]);
            header.resize(40 + extension, 0);
        }
        header
    }

    fn transport(&self) -> Vec<u8> {
        let payload: Vec<u8> = (0..self.payload).collect();
        let ports = [self.src.port.to_be_bytes(), self.dst.port.to_be_bytes()].concat();
        let mut bytes = match self.protocol {
            6 => {
                [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, self.flags, 1, 0, 0, 0, 0, 0], &payload].concat()
            }
            _ => [&ports[..], &(8 + payload.len() as u16).to_be_bytes(), &[0, 0], &payload].concat(),
        };
        let field = if self.protocol == 6 { 16 } else { 6 };
        // Of UDP 0 says that there is none.
        let sum = match self.sum(&bytes) {
            0 if self.protocol == 17 => u16::MAX,
            sum => sum,
        };
        bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The checksum of the transport header, payload and pseudo header; 0 over bytes that have their own.
    pub fn sum(&self, transport: &[u8]) -> u16 {
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let pseudo = [octets(self.src.ip), octets(self.dst.ip), vec![0, self.protocol]].concat();
        let length = (transport.len() as u16).to_be_bytes();
        checksum(&[&pseudo[..], &length, transport].concat())
    }
}

/// Lets packets pass a function one by one, each a second behind the one before, and gives what it does to each.
pub fn pass(function: &mut dyn ChainFunction, packets: &[Sample]) -> Vec<HeaderAction> {
    let at = |place: usize| place as i64 * 1_000_000_000;
    let timed = packets.iter().enumerate().map(|(place, sample)| (at(place), sample.bytes()));
    pass_at(function, &timed.collect::<Vec<_>>()).into_iter().map(|record| record.action).collect()
}

/// Lets packets with their times, in nanoseconds, pass a function.
pub fn pass_at(function: &mut dyn ChainFunction, packets: &[(i64, Vec<u8>)]) -> Vec<Record> {
    let given: Vec<_> = packets.iter().map(|(_, bytes)| (LinkType::Ethernet, &**bytes, 60)).collect();
    let batch = batch(&given);
    let each = packets.iter().enumerate();
    each.map(|(place, (now, _))| function.process(&Packet::of(&batch, place, *now))).collect()
}
