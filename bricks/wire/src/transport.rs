//! The transport layer.

use crate::bytes::be16;
use crate::icmp;
use crate::network::Upper;
use legonf_core::{Layer, Malformed, Transport};

pub(crate) const ICMP: u8 = 1;
pub(crate) const IPV4: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const IPV6: u8 = 41;
pub(crate) const GRE: u8 = 47;
pub(crate) const AUTHENTICATION: u8 = 51;
pub(crate) const ICMPV6: u8 = 58;

pub(crate) const TCP_HEADER: usize = 20;
pub(crate) const UDP_HEADER: usize = 8;

/// Reads the transport header into `layer`. A header that is cut off behind its ports has ports all the same.
#[inline(always)]
pub(crate) fn read(upper: Upper<'_>, layer: &mut Layer) -> Result<(), Malformed> {
    match upper.protocol {
        TCP => ports(upper.bytes, TCP_HEADER, Transport::Tcp, layer),
        UDP => ports(upper.bytes, UDP_HEADER, Transport::Udp, layer),
        ICMP => icmp::read(upper.bytes, Transport::Icmp, layer),
        ICMPV6 => icmp::read(upper.bytes, Transport::Icmpv6, layer),
        other => {
            layer.transport = Transport::Other(other);
            Ok(())
        }
    }
}

#[inline(always)]
fn ports(bytes: &[u8], header: usize, transport: Transport, layer: &mut Layer) -> Result<(), Malformed> {
    let (Some(src), Some(dst)) = (be16(bytes, 0), be16(bytes, 2)) else {
        return Err(Malformed::TransportTooShort);
    };
    layer.transport = transport;
    layer.ports = Some((src, dst));
    if bytes.len() < header { Err(Malformed::TransportTooShort) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST4, ethernet, ip4, parse, tcp, udp};
    use legonf_core::{Malformed, Transport};

    #[test]
    fn ports_need_their_own_four_bytes_only() {
        for (protocol, transport, full) in
            [(6, Transport::Tcp, tcp(80, 4000)), (17, Transport::Udp, udp(80, 4000))]
        {
            let whole = parse(&ethernet(0x0800, &ip4(protocol, &full)));
            assert_eq!((whole.outer.transport, whole.malformed), (transport, None));
            let cut = parse(&ethernet(0x0800, &ip4(protocol, &full[..4])));
            assert_eq!((cut.outer.transport, cut.outer.ports), (transport, Some((80, 4000))));
            assert_eq!(cut.malformed, Some(Malformed::TransportTooShort));
            let gone = parse(&ethernet(0x0800, &ip4(protocol, &full[..3])));
            assert_eq!((gone.outer.transport, gone.outer.ports), (Transport::None, None));
            assert_eq!((gone.outer.dst, gone.malformed), (Some(DST4), Some(Malformed::TransportTooShort)));
        }
    }

    #[test]
    fn bad_offsets_and_lengths_keep_the_ports() {
        let mut segment = tcp(80, 4000);
        segment[12] = 0x10;
        assert_eq!(parse(&ethernet(0x0800, &ip4(6, &segment))).outer.ports, Some((80, 4000)));
        let mut datagram = udp(80, 4000);
        datagram[5] = 3;
        assert_eq!(parse(&ethernet(0x0800, &ip4(17, &datagram))).outer.ports, Some((80, 4000)));
    }

    #[test]
    fn other_protocols_are_named_by_number() {
        let sctp = parse(&ethernet(0x0800, &ip4(132, &udp(80, 4000))));
        assert_eq!((sctp.outer.transport, sctp.outer.ports), (Transport::Other(132), None));
    }
}
