//! One row: from 19 cells to what the parser of raw packets would have found.
//!
//! The columns hold the first occurrence of a field at any depth of a packet, so a tunnel shows as both kinds of
//! address or both kinds of port, and an ICMP error as ICMP with the ports of the packet that it quotes.

use super::cell;
use crate::error::RowError;
use crate::source::detect::unquoted;
use legonf_core::{Encapsulation, Headers, Icmp, Inner, Layer, Link, Malformed, Network, Transport};
use std::net::IpAddr;

/// The columns, as tshark names them.
pub(super) const COLUMNS: [&str; 19] = [
    "frame.time_epoch",
    "frame.len",
    "eth.src",
    "eth.dst",
    "ip.src",
    "ip.dst",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "icmp.type",
    "icmp.code",
    "arp.opcode",
    "arp.src.hw_mac",
    "arp.src.proto_ipv4",
    "arp.dst.hw_mac",
    "arp.dst.proto_ipv4",
    "ipv6.src",
    "ipv6.dst",
];

/// What a time is.
const SECONDS: &str = "a time in decimal seconds";

const TIME: usize = 0;
const LENGTH: usize = 1;
const ETHERNET: usize = 2;
const IPV4: usize = 4;
const TCP: usize = 6;
const UDP: usize = 8;
const ICMP: usize = 10;
const ARP: usize = 12;
const ARP_SRC: usize = 14;
const ARP_DST: usize = 16;
const IPV6: usize = 17;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_RARP: u16 = 0x8035;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_IPV6: u8 = 41;

/// The cells of a row.
pub(super) struct Row<'a>(pub(super) [&'a [u8]; 19]);

/// Ports and their protocol; no ports where the row has only one of the two.
type Flow = (Transport, Option<(u16, u16)>);

/// What the transport columns of a row say.
struct Transports {
    tcp: Option<Flow>,
    udp: Option<Flow>,
    icmp: Option<Icmp>,
}

impl Row<'_> {
    /// The headers of packet `seq`.
    pub(super) fn headers(&self, seq: u64) -> Result<Headers, RowError> {
        let timestamp = self.required(TIME, |cell| cell::time(cell).or_else(|| cell::date(cell)), SECONDS)?;
        let wire_len = self.required(LENGTH, whole, "a length in bytes")?;
        let transports = self.transports()?;
        let arp = self.arp()?.filter(|_| transports.tcp.is_none() && transports.udp.is_none());
        let (outer, inner) = match arp {
            Some(_) => (self.arp_layer()?, None),
            None => self.layers(&transports)?,
        };
        let ethertype = match (outer.network, arp) {
            (Network::Arp, Some(3 | 4)) => ETHERTYPE_RARP,
            (Network::Arp, _) => ETHERTYPE_ARP,
            (Network::Ipv4, _) => ETHERTYPE_IPV4,
            (Network::Ipv6, _) => ETHERTYPE_IPV6,
            (Network::None, _) => 0,
        };
        let link = self.link(ethertype)?;
        let malformed = malformed(link, &outer, inner.as_ref());
        Ok(Headers { seq, timestamp, shift: 0, wire_len, link, outer, inner, malformed })
    }

    fn transports(&self) -> Result<Transports, RowError> {
        Ok(Transports {
            tcp: self.flow(TCP, Transport::Tcp)?,
            udp: self.flow(UDP, Transport::Udp)?,
            icmp: self.icmp()?,
        })
    }

    fn link(&self, ethertype: u16) -> Result<Option<Link>, RowError> {
        let src = self.optional(ETHERNET, cell::mac, "an Ethernet address")?;
        let dst = self.optional(ETHERNET + 1, cell::mac, "an Ethernet address")?;
        Ok(src.map(|src| Link { src, dst: dst.unwrap_or_default(), ethertype, vlan: None }))
    }

    fn flow(&self, column: usize, transport: Transport) -> Result<Option<Flow>, RowError> {
        let src = self.optional(column, whole, "a port number (0 to 65535)")?;
        let dst = self.optional(column + 1, whole, "a port number (0 to 65535)")?;
        Ok((src.is_some() || dst.is_some()).then(|| (transport, src.zip(dst))))
    }

    fn icmp(&self) -> Result<Option<Icmp>, RowError> {
        let kind = self.optional(ICMP, whole, "an ICMP type (0 to 255)")?;
        let code = self.optional(ICMP + 1, whole, "an ICMP code (0 to 255)")?;
        Ok(kind.map(|kind| Icmp { kind, code: code.unwrap_or(0) }))
    }

    /// ARP's operation.
    fn arp(&self) -> Result<Option<u16>, RowError> {
        self.optional(ARP, whole, "an ARP operation (0 to 65535)")
    }

    fn arp_layer(&self) -> Result<Layer, RowError> {
        let address = |column| self.address(column, cell::ipv4, "an IPv4 address");
        Ok(Layer {
            network: Network::Arp,
            src: address(ARP_SRC)?,
            dst: address(ARP_DST)?,
            ..Layer::default()
        })
    }

    /// A layer with the addresses of IP version 4, without transport; `None` if the row has neither address.
    fn ipv4_layer(&self) -> Result<Option<Layer>, RowError> {
        let address = |column| self.address(column, cell::ipv4, "an IPv4 address");
        Ok(ip_layer(Network::Ipv4, address(IPV4)?, address(IPV4 + 1)?))
    }

    /// The same of IP version 6.
    fn ipv6_layer(&self) -> Result<Option<Layer>, RowError> {
        let address = |column| self.address(column, cell::ipv6, "an IPv6 address");
        Ok(ip_layer(Network::Ipv6, address(IPV6)?, address(IPV6 + 1)?))
    }

    /// The outer and the inner layer of what is not ARP. With both versions of IP the outer one is 4, whose
    /// address is the packet's in Kitsune.
    fn layers(&self, found: &Transports) -> Result<(Layer, Option<Inner>), RowError> {
        let (v4, v6) = (self.ipv4_layer()?, self.ipv6_layer()?);
        let tunnelled = v4.and(v6);
        let outer = v4.or(v6).unwrap_or_default();
        let flow = found.tcp.or(found.udp);
        let layers = match (found.tcp, found.udp, found.icmp) {
            (Some(tcp), Some(udp), _) => {
                let inside = tunnelled.unwrap_or_default();
                (with_flow(outer, udp), inner(Encapsulation::Vxlan(0), with_flow(inside, tcp)))
            }
            (_, _, Some(icmp)) => {
                let network = if outer.network == Network::None { Network::Ipv4 } else { outer.network };
                let outer = Layer { network, transport: Transport::Icmp(icmp), ..outer };
                let quoted = tunnelled.unwrap_or(Layer { network: Network::Ipv4, ..Layer::default() });
                let quoted = flow.map(|flow| with_flow(quoted, flow)).or(tunnelled);
                (outer, quoted.and_then(|layer| inner(Encapsulation::Quoted, layer)))
            }
            _ => match tunnelled {
                Some(inside) => {
                    let outer = Layer { transport: Transport::Other(PROTOCOL_IPV6), ..outer };
                    let inside = flow.map_or(inside, |flow| with_flow(inside, flow));
                    (outer, inner(Encapsulation::IpInIp, inside))
                }
                None => (flow.map_or(outer, |flow| with_flow(outer, flow)), None),
            },
        };
        Ok(layers)
    }

    fn address<A: Into<IpAddr>>(
        &self,
        column: usize,
        parse: impl Fn(&[u8]) -> Option<A>,
        what: &'static str,
    ) -> Result<Option<IpAddr>, RowError> {
        Ok(self.optional(column, parse, what)?.map(Into::into))
    }

    fn required<T>(
        &self,
        column: usize,
        parse: impl Fn(&[u8]) -> Option<T>,
        what: &'static str,
    ) -> Result<T, RowError> {
        let cell = unquoted(self.0[column]);
        parse(cell).ok_or_else(|| wrong(column, cell, what))
    }

    fn optional<T>(
        &self,
        column: usize,
        parse: impl Fn(&[u8]) -> Option<T>,
        what: &'static str,
    ) -> Result<Option<T>, RowError> {
        match unquoted(self.0[column]) {
            [] => Ok(None),
            cell => parse(cell).map(Some).ok_or_else(|| wrong(column, cell, what)),
        }
    }
}

#[cold]
fn wrong(column: usize, cell: &[u8], expected: &'static str) -> RowError {
    let remedy = match column {
        TIME if cell::is_date(cell) => {
            ", but a date; export frame.time_epoch with `tshark -t e -T fields`, or dates in ISO 8601 with their time zone"
        }
        TIME => "",
        _ if cell.contains(&b',') => "; export with `-E occurrence=f`, so that a cell holds one value",
        _ => "",
    };
    RowError::Cell { column: COLUMNS[column].into(), cell: cell::shown(cell), expected, remedy }
}

/// A whole number that fits into `T`.
fn whole<T: TryFrom<u64>>(cell: &[u8]) -> Option<T> {
    cell::number(cell).and_then(|n| T::try_from(n).ok())
}

fn ip_layer(network: Network, src: Option<IpAddr>, dst: Option<IpAddr>) -> Option<Layer> {
    (src.is_some() || dst.is_some()).then(|| Layer { network, src, dst, ..Layer::default() })
}

fn with_flow(layer: Layer, (transport, ports): Flow) -> Layer {
    Layer { transport, ports, ..layer }
}

fn inner(by: Encapsulation, layer: Layer) -> Option<Inner> {
    Some(Inner { by, layer })
}

/// Why the packet was not parsed to its end, as far as gaps in the row show it.
fn malformed(link: Option<Link>, outer: &Layer, inner: Option<&Inner>) -> Option<Malformed> {
    let cut =
        |layer: &Layer| matches!(layer.transport, Transport::Tcp | Transport::Udp) && layer.ports.is_none();
    let incomplete = outer.src.is_none() || outer.dst.is_none();
    match outer.network {
        Network::None if link.is_none() => Some(Malformed::LinkTooShort),
        Network::Arp if incomplete => Some(Malformed::BadArp),
        Network::Ipv4 if incomplete => Some(Malformed::BadIpv4),
        Network::Ipv6 if incomplete => Some(Malformed::BadIpv6),
        _ if cut(outer) || inner.is_some_and(|i| cut(&i.layer)) => Some(Malformed::TransportTooShort),
        _ => None,
    }
}
