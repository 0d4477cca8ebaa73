//! The rules of a filter.

use super::set::{PortSet, Prefix, Unread, Words, covers};
use crate::NfError;
use crate::chain::{Flow, Packet};
use legonf_core::{Address, Transport};
use serde::Deserialize;

/// A rule: what it matches, and what happens to that. What is not named matches all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens to packets that it matches. No default.
    pub action: Verb,
    /// Source addresses: prefixes of IPv4 or IPv6. Default all.
    pub src: Option<Words>,
    /// Destination addresses. Default all.
    pub dst: Option<Words>,
    /// Source ports of TCP and UDP: numbers and ranges. Default all, and packets without ports.
    pub src_ports: Option<Words>,
    /// Destination ports. Default likewise.
    pub dst_ports: Option<Words>,
    /// The protocol. Default all.
    pub protocol: Option<Protocol>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// The packet goes on.
    #[default]
    Accept,
    /// It is dropped.
    Drop,
}

/// The protocol of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, and ICMPv6.
    Icmp,
}

impl Protocol {
    fn is_of(self, transport: Transport) -> bool {
        match self {
            Self::Tcp => transport == Transport::Tcp,
            Self::Udp => transport == Transport::Udp,
            Self::Icmp => matches!(transport, Transport::Icmp(_) | Transport::Icmpv6(_)),
        }
    }
}

/// Rules of a list at most.
const MOST_RULES: usize = 4_096;

/// A list of rules, of which the first that matches a packet decides.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    rules: Vec<(Match, Verb)>,
    default: Verb,
}

impl Rules {
    /// Reads rules, and what happens to packets that none of them matches.
    ///
    /// # Errors
    /// If a set cannot be read, or a rule can never decide.
    pub fn new(rules: &[Rule], default: Verb) -> Result<Self, NfError> {
        if rules.len() > MOST_RULES {
            return Err(NfError::Many { key: "rules", found: rules.len(), most: MOST_RULES });
        }
        let matches = rules.iter().enumerate().map(|(at, rule)| Match::of(at, rule));
        let matches: Vec<Match> = matches.collect::<Result<_, _>>()?;
        for (at, rule) in matches.iter().enumerate() {
            if let Some(earlier) = matches[..at].iter().position(|earlier| earlier.covers(rule)) {
                return Err(NfError::Shadowed { rule: at + 1, earlier: earlier + 1 });
            }
        }
        let rules = matches.into_iter().zip(rules.iter().map(|rule| rule.action)).collect();
        Ok(Self { rules, default })
    }

    /// What happens to a packet; one that is not IP is accepted.
    pub fn decide(&self, packet: &Packet<'_>) -> Verb {
        let Some(flow) = &packet.flow() else { return Verb::Accept };
        let found = self.rules.iter().find(|(rule, _)| rule.holds(packet, flow));
        found.map_or(self.default, |(_, verb)| *verb)
    }
}

/// What a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    src: Option<Vec<Prefix>>,
    dst: Option<Vec<Prefix>>,
    src_ports: Option<PortSet>,
    dst_ports: Option<PortSet>,
    protocol: Option<Protocol>,
}

impl Match {
    /// What a rule at a place matches.
    pub fn of(at: usize, rule: &Rule) -> Result<Self, NfError> {
        let at = at + 1;
        let found = Self {
            src: read(at, "src", rule.src.as_ref(), Prefix::read)?,
            dst: read(at, "dst", rule.dst.as_ref(), Prefix::read)?,
            src_ports: read(at, "src_ports", rule.src_ports.as_ref(), PortSet::read)?.map(PortSet::of),
            dst_ports: read(at, "dst_ports", rule.dst_ports.as_ref(), PortSet::read)?.map(PortSet::of),
            protocol: rule.protocol,
        };
        match found.contradiction() {
            Some(why) => Err(NfError::Never { rule: at, why }),
            None => Ok(found),
        }
    }

    /// Why it can match nothing.
    fn contradiction(&self) -> Option<&'static str> {
        if let (Some(src), Some(dst)) = (&self.src, &self.dst) {
            let common = |six| [src, dst].iter().all(|set| set.iter().any(|prefix| prefix.is_six() == six));
            if !common(false) && !common(true) {
                return Some("src and dst have no version of IP in common");
            }
        }
        let has_ports = self.src_ports.is_some() || self.dst_ports.is_some();
        (has_ports && self.protocol == Some(Protocol::Icmp)).then_some("packets of icmp have no ports")
    }

    /// Whether it matches a packet.
    #[inline]
    pub fn holds(&self, packet: &Packet<'_>, flow: &Flow) -> bool {
        let outer = &packet.headers.outer;
        let address = |set: &Option<Vec<Prefix>>, address: Address| match set {
            None => true,
            Some(set) => set.iter().any(|prefix| prefix.has(address)),
        };
        let port = |set: &Option<PortSet>, port| match set {
            None => true,
            Some(set) => outer.ports.is_some() && set.holds(port),
        };
        self.protocol.is_none_or(|protocol| protocol.is_of(outer.transport))
            && address(&self.src, flow.src.0)
            && address(&self.dst, flow.dst.0)
            && port(&self.src_ports, flow.src.1)
            && port(&self.dst_ports, flow.dst.1)
    }

    /// Whether it surely matches all that another one does.
    pub fn covers(&self, other: &Self) -> bool {
        let prefixes = |own: &Option<Vec<Prefix>>, others: &Option<Vec<Prefix>>| match (own, others) {
            (None, _) => true,
            (Some(own), Some(others)) => covers(own, others),
            (Some(_), None) => false,
        };
        let ports = |own: &Option<PortSet>, others: &Option<PortSet>| match (own, others) {
            (None, _) => true,
            (Some(own), Some(others)) => own.covers(others),
            (Some(_), None) => false,
        };
        self.protocol.is_none_or(|protocol| other.protocol == Some(protocol))
            && prefixes(&self.src, &other.src)
            && prefixes(&self.dst, &other.dst)
            && ports(&self.src_ports, &other.src_ports)
            && ports(&self.dst_ports, &other.dst_ports)
    }
}

/// The elements of a set.
fn read<T>(
    rule: usize,
    key: &'static str,
    words: Option<&Words>,
    element: impl Fn(&str) -> Result<T, Unread>,
) -> Result<Option<Vec<T>>, NfError> {
    let Some(words) = words else { return Ok(None) };
    let elements = words.elements();
    if elements.is_empty() {
        return Err(NfError::Empty { rule, key });
    }
    let one =
        |text: &str| element(text).map_err(|why| NfError::Element { rule, key, found: text.to_owned(), why });
    elements.into_iter().map(one).collect::<Result<_, _>>().map(Some)
}
