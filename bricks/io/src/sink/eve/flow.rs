//! The names of a flow: Suricata's `flow_id`, and the Community ID by which other tools know it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use legonf_core::{Icmp, Layer, Transport};
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// Names that both directions of a flow share.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FlowNames {
    /// 51 bits, as in Suricata, so that every reader of JSON keeps them all.
    pub flow_id: u64,
    /// Community ID, version 1, with the seed 0.
    pub community_id: String,
}

impl FlowNames {
    /// Those of a packet; none where it has no two addresses, or its protocol or ports are not known.
    pub fn of(layer: &Layer) -> Option<Self> {
        let Conversation { protocol, ports, is_one_way } = Conversation::of(layer.transport, layer.ports)?;
        let from = (bytes(layer.src?), ports.map(|(from, _)| from));
        let to = (bytes(layer.dst?), ports.map(|(_, to)| to));
        let (from, to) = if is_one_way || from <= to { (from, to) } else { (to, from) };
        let mut digest = Sha1::new();
        digest.update([0, 0]);
        digest.update(&from.0);
        digest.update(&to.0);
        digest.update([protocol, 0]);
        [from.1, to.1].into_iter().flatten().for_each(|port| digest.update(port.to_be_bytes()));
        let digest = digest.finalize();
        let head = digest.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
        Some(Self { flow_id: head >> 13, community_id: format!("1:{}", STANDARD.encode(digest)) })
    }
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// What both directions of a flow share.
struct Conversation {
    /// Number of the protocol.
    protocol: u8,
    /// Its ports, or what stands for them.
    ports: Option<(u16, u16)>,
    /// Whether there is no other direction.
    is_one_way: bool,
}

impl Conversation {
    fn of(transport: Transport, ports: Option<(u16, u16)>) -> Option<Self> {
        const SCTP: u8 = 132;
        let with = |protocol, ports| Some(Self { protocol, ports, is_one_way: false });
        match transport {
            Transport::Tcp => with(6, Some(ports?)),
            Transport::Udp => with(17, Some(ports?)),
            Transport::Icmp(icmp) => Some(Self::of_messages(1, icmp, counterpart(icmp.kind))),
            Transport::Icmpv6(icmp) => Some(Self::of_messages(58, icmp, counterpart_v6(icmp.kind))),
            // Its ports are not parsed, and belong to the name.
            Transport::None | Transport::Other(SCTP) => None,
            Transport::Other(protocol) => with(protocol, None),
        }
    }

    fn of_messages(protocol: u8, icmp: Icmp, counterpart: Option<u8>) -> Self {
        let other = counterpart.unwrap_or(icmp.code);
        Self { protocol, ports: Some((icmp.kind.into(), other.into())), is_one_way: counterpart.is_none() }
    }
}

/// The message that answers one, or that one answers.
fn counterpart(kind: u8) -> Option<u8> {
    match kind {
        0 => Some(8),
        8 => Some(0),
        9 => Some(10),
        10 => Some(9),
        13 | 15 | 17 => Some(kind + 1),
        14 | 16 | 18 => Some(kind - 1),
        _ => None,
    }
}

fn counterpart_v6(kind: u8) -> Option<u8> {
    match kind {
        128 | 130 | 133 | 135 | 139 | 144 => Some(kind + 1),
        129 | 131 | 134 | 136 | 140 | 145 => Some(kind - 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the specification: protocol, addresses, ports (type and code, or counterpart, of ICMP), name.
    const VECTORS: &str = include_str!("community_ids.txt");

    fn layer(fields: &[&str]) -> Layer {
        let (src, dst) = (fields[1].parse().ok(), fields[2].parse().ok());
        let number = |place: usize| fields[place].parse::<u16>().unwrap_or_default();
        let icmp = Icmp { kind: number(3) as u8, code: number(4) as u8 };
        let transport = match number(0) {
            1 => Transport::Icmp(icmp),
            6 => Transport::Tcp,
            17 => Transport::Udp,
            58 => Transport::Icmpv6(icmp),
            other => Transport::Other(other as u8),
        };
        let ports = matches!(transport, Transport::Tcp | Transport::Udp).then(|| (number(3), number(4)));
        Layer { src, dst, transport, ports, ..Layer::default() }
    }

    #[test]
    fn community_ids_are_those_of_the_specification() {
        let lines: Vec<Vec<&str>> = VECTORS.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!(lines.len(), 21);
        for fields in lines {
            let layer = layer(&fields);
            let names = FlowNames::of(&layer).unwrap();
            assert_eq!(names.community_id, fields[5], "{fields:?}");
            assert!(names.flow_id > 0 && names.flow_id < 1 << 51);
            let back = Layer {
                src: layer.dst,
                dst: layer.src,
                ports: layer.ports.map(|(from, to)| (to, from)),
                ..layer
            };
            if layer.ports.is_some() {
                assert_eq!(FlowNames::of(&back), Some(names));
            }
        }
    }

    #[test]
    fn what_is_no_flow_has_no_name() {
        let tcp = layer(&["6", "10.0.0.1", "10.0.0.2", "1", "2"]);
        let without = [
            Layer { src: None, ..tcp },
            Layer { ports: None, ..tcp },
            Layer { transport: Transport::None, ..tcp },
            Layer { transport: Transport::Other(132), ..tcp },
        ];
        assert!(without.iter().all(|layer| FlowNames::of(layer).is_none()));
    }
}
