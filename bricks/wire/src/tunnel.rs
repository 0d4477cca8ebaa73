//! The packet inside the packet, one level deep.

use crate::network::{self, Payload, Upper};
use crate::{datagram, ethernet, ethertype, gre, icmp, tag, transport};
use legonf_core::{Encapsulation, Inner, Layer, Malformed, Transport};

/// Reads what the transport layer `upper` carries, if that is a tunnel or an ICMP error. The tunnel's
/// identity is kept even where its payload is none that is parsed.
#[inline(always)]
pub(crate) fn read(upper: Upper<'_>, outer: &Layer, inner: &mut Option<Inner>) -> Result<(), Malformed> {
    match (outer.transport, outer.ports) {
        (Transport::Tcp, _) => Ok(()),
        (Transport::Udp, Some((_, port))) if datagram::is_tunnel(port) => {
            datagram::read(port, upper.bytes, inner)
        }
        (Transport::Udp, _) => Ok(()),
        (Transport::Other(protocol), _) => by_protocol(protocol, upper.bytes, inner),
        (other, _) => match icmp::quotes(other) {
            Some(ethertype) => icmp::quoted(ethertype, upper.bytes, inner),
            None => Ok(()),
        },
    }
}

fn by_protocol(protocol: u8, bytes: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let ip = |ethertype| Ok(Some(Payload { ethertype, bytes }));
    match protocol {
        transport::IPV4 => carry(Encapsulation::IpInIp, ip(ethertype::IPV4), inner),
        transport::IPV6 => carry(Encapsulation::IpInIp, ip(ethertype::IPV6), inner),
        transport::GRE => gre::read(bytes, inner),
        _ => Ok(()),
    }
}

/// Keeps the tunnel's identity, then reads its payload.
pub(crate) fn carry(
    by: Encapsulation,
    payload: Result<Option<Payload<'_>>, Malformed>,
    inner: &mut Option<Inner>,
) -> Result<(), Malformed> {
    let inner = inner.insert(Inner { by, layer: Layer::default() });
    let Some(payload) = payload? else { return Ok(()) };
    layer(payload, &mut inner.layer)
}

/// Reads a packet inside the packet. One copy of the code for all that carry one: the path of the outer layer
/// is the one that is inlined.
#[inline(never)]
pub(crate) fn layer(payload: Payload<'_>, layer: &mut Layer) -> Result<(), Malformed> {
    let Some(upper) = network::read(payload, layer)? else { return Ok(()) };
    transport::read(upper, layer)
}

/// The link-layer identity of an inner frame is not kept.
pub(crate) fn inner_ethernet(frame: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    ethernet::read(frame, &mut None).map(Some)
}

/// What a tunnel carries by EtherType.
pub(crate) fn by_ethertype(ethertype: u16, bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    match ethertype {
        ethertype::TRANSPARENT_ETHERNET => inner_ethernet(bytes),
        ethertype => tag::read_bare(Payload { ethertype, bytes }).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST4, DST6, SRC, SRC4, SRC6, ethernet, ip4, ip6, parse, tcp, udp, udp_with};
    use legonf_core::{Encapsulation, Headers, Inner, Malformed, Network, Transport};

    fn carried(protocol: u8, header: &[u8], packet: &[u8]) -> Headers {
        let headers = parse(&ethernet(0x0800, &ip4(protocol, &[header, packet].concat())));
        assert_eq!((headers.link.unwrap().src, headers.outer.src), (SRC, Some(SRC4)));
        headers
    }

    fn assert_tcp(inner: Option<Inner>, by: Encapsulation) {
        let inner = inner.unwrap();
        assert_eq!((inner.by, inner.layer.network), (by, Network::Ipv4));
        assert_eq!((inner.layer.src, inner.layer.dst), (Some(SRC4), Some(DST4)));
        assert_eq!((inner.layer.transport, inner.layer.ports), (Transport::Tcp, Some((80, 4000))));
    }

    #[test]
    fn ip_in_ip() {
        let in4 = carried(4, &[], &ip4(6, &tcp(80, 4000)));
        assert_tcp(in4.inner, Encapsulation::IpInIp);
        assert_eq!((in4.outer.transport, in4.outer.ports, in4.malformed), (Transport::Other(4), None, None));
        let six = carried(41, &[], &ip6(17, &udp(1, 2))).inner.unwrap().layer;
        assert_eq!((six.network, six.src, six.dst), (Network::Ipv6, Some(SRC6), Some(DST6)));
        let over6 = parse(&ethernet(0x86dd, &ip6(4, &ip4(6, &tcp(80, 4000)))));
        assert_tcp(over6.inner, Encapsulation::IpInIp);
    }

    #[test]
    fn gre_in_its_forms() {
        let packet = ip4(6, &tcp(80, 4000));
        assert_tcp(carried(47, &[0, 0, 8, 0], &packet).inner, Encapsulation::Gre(None));
        assert_tcp(carried(47, &[0x20, 0, 8, 0, 0, 0, 1, 2], &packet).inner, Encapsulation::Gre(Some(0x102)));
        let all = [0xb0, 0, 8, 0, 9, 9, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
        assert_tcp(carried(47, &all, &packet).inner, Encapsulation::Gre(Some(7)));
        let labelled = [0, 0, 0x88, 0x47, 0, 1, 1, 64];
        assert_tcp(carried(47, &labelled, &packet).inner, Encapsulation::Gre(None));
    }

    #[test]
    fn gre_carries_ethernet_and_ppp() {
        let packet = ip4(6, &tcp(80, 4000));
        let bridged = carried(47, &[0, 0, 0x65, 0x58], &ethernet(0x0800, &packet));
        assert_tcp(bridged.inner, Encapsulation::Gre(None));
        let pptp = [0x30, 0x81, 0x88, 0x0b, 0, 44, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21];
        assert_tcp(carried(47, &pptp, &packet).inner, Encapsulation::Gre(Some(0x002c_0009)));
        let acknowledgement = carried(47, &pptp[..16], &[]);
        assert_eq!(
            (acknowledgement.inner.unwrap().layer.network, acknowledgement.malformed),
            (Network::None, None)
        );
    }

    #[test]
    fn vxlan_keeps_both_layers() {
        let frame = ethernet(0x0800, &ip4(6, &tcp(80, 4000)));
        let mut datagram = udp_with(40010, 4789, &[&[0x08, 0, 0, 0, 0, 0x12, 0x34, 0][..], &frame].concat());
        let headers = carried(17, &datagram, &[]);
        assert_tcp(headers.inner, Encapsulation::Vxlan(0x1234));
        assert_eq!((headers.outer.transport, headers.outer.ports), (Transport::Udp, Some((40010, 4789))));
        datagram[8] = 0;
        let no_identifier = carried(17, &datagram, &[]);
        assert_eq!((no_identifier.inner, no_identifier.malformed), (None, Some(Malformed::BadTunnel)));
    }

    #[test]
    fn an_unparsed_payload_keeps_the_tunnel() {
        let keepalive = carried(47, &[0, 0, 0, 0], &[]);
        assert_eq!(keepalive.inner.unwrap().by, Encapsulation::Gre(None));
        assert_eq!(keepalive.malformed, None);
        let routed = carried(47, &[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0], &ip4(6, &tcp(1, 2)));
        assert_eq!((routed.inner.unwrap().layer.network, routed.malformed), (Network::None, None));
    }

    #[test]
    fn cut_tunnels_keep_the_outer_identity() {
        for (protocol, bytes, malformed) in [
            (4, vec![], Malformed::BadIpv4),
            (41, vec![0x60; 30], Malformed::BadIpv6),
            (47, vec![0, 0, 8], Malformed::BadTunnel),
            (47, vec![0x20, 0, 8, 0, 0, 0], Malformed::BadTunnel),
            (47, vec![0, 0, 0x65, 0x58, 1, 2, 3], Malformed::LinkTooShort),
            (17, udp(1, 4789), Malformed::BadTunnel),
        ] {
            assert_eq!(carried(protocol, &bytes, &[]).malformed, Some(malformed), "{protocol}: {bytes:02x?}");
        }
    }

    #[test]
    fn a_tunnel_in_a_tunnel_is_not_followed() {
        let inner = carried(4, &[], &ip4(4, &ip4(6, &tcp(80, 4000)))).inner.unwrap();
        assert_eq!((inner.layer.transport, inner.layer.ports), (Transport::Other(4), None));
    }
}
