//! BPF filters for the packets of captures.

use crate::LiveError;
use crate::open::{bad_filter, one_line};
use legonf_core::{Fault, LinkType, PacketRecord};
use legonf_io::linktype;
use legonf_io::source::{Filter, MAX_CAPTURED};
use pcap::{BpfProgram, Capture, Linktype};

/// libpcap's number of a link type that files and interfaces number alike.
const ETHERNET: i32 = 1;
const WLAN_RADIO: i32 = 127;
/// Those that libpcap numbers otherwise than capture files do.
const RAW: i32 = 12;
const ATM_RFC1483: i32 = 11;
/// A loopback whose address family is big-endian on every machine.
const LOOP: i32 = 108;

/// What a load of the packet's length begins with, as libpcap's crate shows instructions: `BPF_LD | BPF_LEN`, `BPF_LDX | BPF_LEN`.
const LENGTHS: [&str; 2] = ["128 ", "129 "];

/// A BPF expression (pcap-filter(7)), compiled by libpcap for each link type that comes.
///
/// `len` is the length on the wire, as on an interface. For an expression with it, bytes that a capture has cut off count as zeros.
pub struct PacketFilter {
    expression: String,
    programs: Vec<(i32, Program)>,
    /// A packet with the bytes that were cut off.
    whole: Vec<u8>,
}

struct Program {
    compiled: BpfProgram,
    reads_length: bool,
}

impl PacketFilter {
    /// A filter by an expression.
    ///
    /// # Errors
    /// If libpcap takes it neither for Ethernet nor for IEEE 802.11: then it is none.
    pub fn new(expression: &str) -> Result<Self, LiveError> {
        if let Err(error) = compile(expression, ETHERNET) {
            compile(expression, WLAN_RADIO).map_err(|_| bad_filter(expression, &error))?;
        }
        Ok(Self { expression: expression.to_owned(), programs: Vec::new(), whole: Vec::new() })
    }

    /// Compiles the expression for a link type, if it is not yet.
    ///
    /// # Errors
    /// If libpcap does not take it for that.
    pub fn fit(&mut self, link: LinkType) -> Result<(), LiveError> {
        self.program(link, number(link, &[])).map(drop)
    }

    fn program(&mut self, link: LinkType, number: i32) -> Result<usize, LiveError> {
        if let Some(known) = self.programs.iter().position(|(of, _)| *of == number) {
            return Ok(known);
        }
        let unfit = |error: pcap::Error| LiveError::Unfit {
            filter: self.expression.clone(),
            number: linktype::to_number(link),
            reason: one_line(&error),
        };
        let compiled = compile(&self.expression, number).map_err(unfit)?;
        self.programs.push((number, Program::new(compiled)));
        Ok(self.programs.len() - 1)
    }
}

impl Program {
    fn new(compiled: BpfProgram) -> Self {
        let is_length = |text: String| LENGTHS.iter().any(|code| text.starts_with(code));
        let reads_length = compiled.get_instructions().iter().any(|one| is_length(one.to_string()));
        Self { compiled, reads_length }
    }
}

impl Filter for PacketFilter {
    fn passes(&mut self, packet: &PacketRecord, bytes: &[u8]) -> Result<bool, Fault> {
        let program = self.program(packet.link, number(packet.link, bytes)).map_err(Fault::new)?;
        let Program { compiled, reads_length } = &self.programs[program].1;
        let length = packet.wire_len.min(MAX_CAPTURED) as usize;
        if !reads_length || length <= bytes.len() {
            return Ok(compiled.filter(bytes));
        }
        self.whole.clear();
        self.whole.extend_from_slice(bytes);
        self.whole.resize(length, 0);
        Ok(compiled.filter(&self.whole))
    }
}

/// The number by which libpcap knows the link type of a packet.
fn number(link: LinkType, bytes: &[u8]) -> i32 {
    match link {
        LinkType::RawIp => RAW,
        LinkType::Llc => ATM_RFC1483,
        LinkType::Null if bytes.starts_with(&[0, 0]) => LOOP,
        link => linktype::to_number(link).cast_signed(),
    }
}

fn compile(expression: &str, number: i32) -> Result<BpfProgram, pcap::Error> {
    Capture::dead(Linktype(number))?.compile(expression, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Packets, Timestamp};

    /// An IPv4 header of a TCP or UDP packet from 10.0.0.1 to 10.0.0.2, and ports.
    fn ip(protocol: u8, port: u8) -> Vec<u8> {
        let head = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&head[..], &[0, port, 0, 80], &[0; 16]].concat()
    }

    fn ethernet(packet: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &[8, 0], packet].concat()
    }

    fn ask(expression: &str, link: LinkType, wire_len: u32, bytes: &[u8]) -> bool {
        let mut packets = Packets::default();
        packets.push(0, Timestamp::default(), wire_len, link, bytes);
        let mut filter = PacketFilter::new(expression).unwrap();
        filter.fit(link).unwrap();
        filter.passes(packets.record(0), bytes).unwrap()
    }

    #[test]
    fn packets_of_every_framing_are_told_apart() {
        for (link, front) in [
            (LinkType::Ethernet, &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 8, 0][..]),
            (LinkType::RawIp, &[]),
            (LinkType::Null, &[2, 0, 0, 0]),
            (LinkType::Null, &[0, 0, 0, 2]),
            (LinkType::LinuxSll, &[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 8, 0]),
            (LinkType::Ppp, &[0xff, 3, 0, 0x21]),
            (LinkType::Llc, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        ] {
            let (tcp, udp) = ([front, &ip(6, 7)].concat(), [front, &ip(17, 7)].concat());
            let asked = |expression| (ask(expression, link, 60, &tcp), ask(expression, link, 60, &udp));
            assert_eq!(asked("tcp"), (true, false), "{link:?} {front:?}");
            assert_eq!(asked("udp src port 7 and host 10.0.0.2"), (false, true), "{link:?} {front:?}");
            assert_eq!(asked("not ip"), (false, false), "{link:?} {front:?}");
        }
    }

    #[test]
    fn lengths_are_those_on_the_wire() {
        let packet = ethernet(&ip(6, 7));
        for (expression, short, long) in
            [("greater 1000", false, true), ("less 100", true, false), ("tcp and len > 999", false, true)]
        {
            let asked = |wire_len| ask(expression, LinkType::Ethernet, wire_len, &packet);
            assert_eq!((asked(packet.len() as u32), asked(1000)), (short, long), "{expression}");
        }
        assert!(ask("greater 1000", LinkType::Ethernet, u32::MAX, &packet));
    }

    #[test]
    fn what_is_no_filter_is_said_with_libpcaps_words() {
        let line = PacketFilter::new("tcp prot 80").err().unwrap().to_string();
        assert!(line.starts_with("filter `tcp prot 80`: ") && line.contains("syntax error"), "{line}");
        let mut filter = PacketFilter::new("type mgt").unwrap();
        assert!(filter.fit(LinkType::Radiotap).is_ok());
        let error = filter.fit(LinkType::Ethernet).err().unwrap();
        let line = error.to_string();
        assert_eq!(error.label(), "unfit-filter");
        assert!(line.starts_with("filter `type mgt`: not for packets of link type 1 (Ethernet): "), "{line}");
        assert!(!line.contains('\n'));
    }
}
