//! ICMP and ICMPv6, with the packet that an error quotes.

use crate::network::Payload;
use crate::{ethertype, tunnel};
use legonf_core::{Encapsulation, Icmp, Inner, Layer, Malformed, Transport};

/// Type, code, checksum and the four bytes before the quoted packet.
const HEADER: usize = 8;

/// As much of the header as tshark needs to show type and code: it reads the sixth byte, the length of the
/// quoted packet (RFC 4884), first.
const NEEDED: usize = 6;

/// Reads type and code.
pub(crate) fn read(
    bytes: &[u8],
    transport: impl Fn(Icmp) -> Transport,
    layer: &mut Layer,
) -> Result<(), Malformed> {
    let Some([kind, code, ..]) = bytes.first_chunk::<NEEDED>() else {
        return Err(Malformed::TransportTooShort);
    };
    let (kind, code) = (*kind, *code);
    layer.transport = transport(Icmp { kind, code });
    if bytes.len() < HEADER { Err(Malformed::TransportTooShort) } else { Ok(()) }
}

/// The EtherType of the packet that a message quotes, if the message is an error.
pub(crate) fn quotes(transport: Transport) -> Option<u16> {
    match transport {
        // Destination unreachable, source quench, redirect, time exceeded, parameter problem.
        Transport::Icmp(Icmp { kind: 3 | 4 | 5 | 11 | 12, .. }) => Some(ethertype::IPV4),
        // Destination unreachable, packet too big, time exceeded, parameter problem.
        Transport::Icmpv6(Icmp { kind: 1..=4, .. }) => Some(ethertype::IPV6),
        _ => None,
    }
}

/// Reads the quoted packet. Routers quote as little as 8 bytes of its transport layer, so that only missing
/// ports are a fault.
pub(crate) fn quoted(ethertype: u16, bytes: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let Some(bytes) = bytes.get(HEADER..) else { return Err(Malformed::TransportTooShort) };
    let inner = inner.insert(Inner { by: Encapsulation::Quoted, layer: Layer::default() });
    match tunnel::layer(Payload { ethertype, bytes }, &mut inner.layer) {
        Err(_) if inner.layer.transport != Transport::None => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST4, DST6, SRC4, SRC6, ethernet, ip4, ip6, parse, tcp, udp};
    use legonf_core::{Encapsulation, Headers, Icmp, Malformed, Transport};

    fn message(kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0, 0, 0, 0, 0][..], body].concat()
    }

    fn icmp(kind: u8, code: u8, body: &[u8]) -> Headers {
        parse(&ethernet(0x0800, &ip4(1, &message(kind, code, body))))
    }

    fn icmp6(kind: u8, code: u8, body: &[u8]) -> Headers {
        parse(&ethernet(0x86dd, &ip6(58, &message(kind, code, body))))
    }

    #[test]
    fn type_and_code() {
        let echo = icmp(8, 0, b"ping");
        assert_eq!(echo.outer.transport, Transport::Icmp(Icmp { kind: 8, code: 0 }));
        assert_eq!((echo.outer.ports, echo.inner, echo.malformed), (None, None, None));
        let echo = icmp6(128, 0, b"ping");
        assert_eq!(echo.outer.transport, Transport::Icmpv6(Icmp { kind: 128, code: 0 }));
        assert_eq!((echo.inner, echo.malformed), (None, None));
    }

    #[test]
    fn errors_quote_a_packet() {
        for kind in [3, 4, 5, 11, 12] {
            let headers = icmp(kind, 1, &ip4(17, &udp(53, 4000)));
            let quoted = headers.inner.unwrap();
            assert_eq!(
                (quoted.by, quoted.layer.src, quoted.layer.dst),
                (Encapsulation::Quoted, Some(SRC4), Some(DST4))
            );
            assert_eq!((quoted.layer.ports, headers.malformed), (Some((53, 4000)), None));
            assert_eq!(
                (headers.outer.ports, headers.outer.transport),
                (None, Transport::Icmp(Icmp { kind, code: 1 }))
            );
        }
        for kind in 1..=4 {
            let quoted = icmp6(kind, 0, &ip6(6, &tcp(80, 4000))).inner.unwrap();
            assert_eq!((quoted.layer.src, quoted.layer.dst), (Some(SRC6), Some(DST6)));
            assert_eq!((quoted.layer.transport, quoted.layer.ports), (Transport::Tcp, Some((80, 4000))));
        }
    }

    #[test]
    fn a_quote_needs_four_bytes_of_transport() {
        let mut packet = ip4(6, &tcp(80, 4000));
        packet.truncate(24);
        let headers = icmp(3, 3, &packet);
        assert_eq!((headers.inner.unwrap().layer.ports, headers.malformed), (Some((80, 4000)), None));
        packet.truncate(23);
        let headers = icmp(3, 3, &packet);
        assert_eq!(headers.inner.unwrap().layer.ports, None);
        assert_eq!(headers.malformed, Some(Malformed::TransportTooShort));
    }

    #[test]
    fn a_quoted_later_fragment_has_no_ports() {
        let mut packet = ip4(17, &udp(53, 4000));
        packet[7] = 1;
        let headers = icmp(11, 1, &packet);
        assert_eq!((headers.inner.unwrap().layer.ports, headers.malformed), (None, None));
    }

    #[test]
    fn a_cut_message_keeps_type_and_code() {
        for (len, transport) in [(5, Transport::None), (6, Transport::Icmp(Icmp { kind: 3, code: 1 }))] {
            let headers = parse(&ethernet(0x0800, &ip4(1, &message(3, 1, &[])[..len])));
            assert_eq!((headers.outer.transport, headers.inner), (transport, None));
            assert_eq!(headers.malformed, Some(Malformed::TransportTooShort));
        }
    }
}
