//! The function that translates addresses and ports.

mod popular;
mod ports;

use crate::NfError;
use crate::chain::recorded::descriptor;
use crate::chain::{
    ChainFunction, Flow, FlowHandle, FlowState, Flows, Kept, Keyed, KeyedState, Packet, Record, Recorded,
    default, ip_of, socket_of,
};
use crate::ip_filter::{Prefix, Words};
use legonf_core::{ColumnSpec, Descriptor, DropReason, Element, Hasher, HeaderAction, Socket, slot};
use legonf_extract::StateError;
use ports::{Exhausted, Ports};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// External addresses at most.
const MOST_ADDRESSES: usize = 256;

/// Configuration of [`Nat`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The addresses inside, as prefixes. No default.
    pub inside: Words,
    /// The addresses outside that those inside are translated to, of IPv4, IPv6 or both. No default.
    pub addresses: Vec<IpAddr>,
    /// The first and the last port that is given. Default 1024 to 65535.
    #[serde(default = "all_ports")]
    pub ports: [u16; 2],
    /// Seconds without a packet after which a translation ends. Default 300.
    #[serde(default = "idle")]
    pub idle: f64,
    /// The same for a connection of TCP that had a FIN or a RST. Default 10.
    #[serde(default = "closing")]
    pub closing: f64,
    /// Translations that a slot holds, from 1 to 65,535. Default 128.
    #[serde(default = "default::flows_per_slot")]
    pub flows_per_slot: u32,
    /// Seed of the hash that divides flows into slots. Default 1234.
    #[serde(default = "default::seed")]
    pub seed: u64,
    /// The column of actions that it fills. Default `nat-action`.
    #[serde(default)]
    pub output: Option<String>,
}

const fn all_ports() -> [u16; 2] {
    [1024, u16::MAX]
}

const fn idle() -> f64 {
    300.0
}

const fn closing() -> f64 {
    10.0
}

/// Translates addresses and ports of TCP and UDP between inside and outside (NAPT, RFC 3022; SpeedyBox's MazuNAT).
///
/// A translation belongs to one flow: an inside socket and a remote one (endpoint-dependent mapping, RFC 4787 §4.1). So an outside port is used again
/// towards other remote sockets. **The port is chosen so that the translated flow is in the slot of the flow itself.** Both directions, before
/// and behind the translation, are then in one slot, although they have no field in common but the remote socket. The replica that has the slot
/// has the translation, no port can be given by two replicas, and which port is given depends on the packets of that slot alone.
///
/// What is neither from inside to outside nor to an outside address passes untouched. Of what would have to be translated, fragments are dropped (a
/// later one has no ports), and so are other protocols, and packets from outside that belong to no translation.
#[derive(Clone, Debug)]
pub struct Nat {
    /// Translations by the flow inside.
    kept: KeyedState<Mapping>,
    inside: Vec<Prefix>,
    ports: Ports,
    idle: i64,
    closing: i64,
    /// Their numbers by the flow outside.
    outside: Flows<u32>,
    exhausted: Exhausted,
    counters: Counters,
}

/// A translation of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mapping {
    inside: Socket,
    outside: Socket,
    remote: Socket,
    protocol: u8,
    /// Whether the connection has had a FIN or a RST.
    closing: bool,
}

impl Kept for Mapping {
    fn is_possible(&self) -> bool {
        self.outside.ip.is_ipv4() == self.remote.ip.is_ipv4()
    }
}

impl Mapping {
    /// The flow as it is outside.
    fn outside(&self, hasher: &Hasher) -> Keyed {
        Flow::between(self.outside, self.remote, self.protocol).keyed(hasher)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    made: u64,
    ended: u64,
    no_port: u64,
    unknown: u64,
    fragments: u64,
    other: u64,
}

/// Which way a packet goes.
enum Way {
    Out,
    In,
    Neither,
}

impl Nat {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "nat";

    /// The column of actions that it fills, unless its configuration names another one.
    pub const FILLS: &'static [ColumnSpec] = &[ColumnSpec::scalar("nat-action", Element::HeaderAction)];

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "NAT", Self::FILLS);

    /// The function for `config`.
    ///
    /// # Errors
    /// If there is no address, inside or outside, or no port; if an outside address is inside; or a number is out of its range.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        let Config { addresses, ports, idle, closing, seed, flows_per_slot, .. } = config;
        let own = (config.inside.elements(), addresses, ports, idle, closing, seed);
        let kept = KeyedState::new(&own, *flows_per_slot, *seed)?;
        let inside = Prefix::read_all("inside", &config.inside)?;
        check(config, &inside)?;
        Ok(Self {
            ports: Ports::new(addresses, *ports, kept.hasher),
            kept,
            inside,
            idle: NfError::nanos("idle", *idle)?,
            closing: NfError::nanos("closing", *closing)?,
            outside: Flows::of(*flows_per_slot as usize),
            exhausted: Exhausted::default(),
            counters: Counters::default(),
        })
    }

    /// The brick for `config`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn brick(config: &Config) -> Result<Recorded<Self>, NfError> {
        Ok(Recorded::new(Self::new(config)?, &Self::DESCRIPTOR, config.output.as_deref()))
    }

    fn is_inside(&self, ip: IpAddr) -> bool {
        self.inside.iter().any(|prefix| prefix.holds(ip))
    }

    fn way(&self, flow: &Flow) -> Way {
        let (Some(src), Some(dst)) = (ip_of(flow.src.0), ip_of(flow.dst.0)) else { return Way::Neither };
        match () {
            () if self.ports.has(dst) => Way::In,
            () if self.is_inside(src) && !self.is_inside(dst) => Way::Out,
            () => Way::Neither,
        }
    }

    fn timeout(&self, mapping: &Mapping) -> i64 {
        if mapping.closing { self.closing } else { self.idle }
    }

    /// The translation of this number, if it has not ended by the time of a packet.
    fn living(&self, number: u32, packet: &Packet<'_>) -> bool {
        let item = self.kept.flows.item(number);
        !item.is_idle(packet, self.timeout(&item.value))
    }

    /// What has ended in a slot by the time of a packet goes.
    fn clean(&mut self, slot: usize, packet: &Packet<'_>) {
        loop {
            let over = self.kept.flows.of_slot(slot).find(|number| !self.living(*number, packet));
            let Some(number) = over else { return };
            self.end(number);
        }
    }

    fn end(&mut self, number: u32) {
        let mapping = self.kept.flows.remove(number);
        self.exhausted.forget(mapping.slot());
        self.counters.ended += 1;
        if let Some(number) = self.outside.find(&mapping.value.outside(&self.kept.hasher)) {
            self.outside.remove(number);
        }
    }

    fn out(&mut self, flow: &Flow, protocol: u8, packet: &Packet<'_>) -> Record {
        let keyed = flow.keyed(&self.kept.hasher);
        let known = self.kept.flows.find(&keyed).filter(|number| self.living(*number, packet));
        let Some(number) = known.or_else(|| self.make(flow, &keyed, protocol, packet)) else {
            self.counters.no_port += 1;
            return Record::once(HeaderAction::drop(DropReason::NoPort));
        };
        let src = Some(self.kept.flows.item(number).value.outside);
        self.record(number, packet, HeaderAction { src, ..HeaderAction::default() })
    }

    fn back(&mut self, flow: &Flow, packet: &Packet<'_>) -> Record {
        let outside = self.outside.find(&flow.keyed(&self.kept.hasher));
        let number = outside.map(|number| self.outside.item(number).value);
        let Some(number) = number.filter(|number| self.living(*number, packet)) else {
            self.counters.unknown += 1;
            return Record::once(HeaderAction::drop(DropReason::NoTranslation));
        };
        let dst = Some(self.kept.flows.item(number).value.inside);
        self.record(number, packet, HeaderAction { dst, ..HeaderAction::default() })
    }

    fn record(&mut self, number: u32, packet: &Packet<'_>, action: HeaderAction) -> Record {
        let handle = self.kept.flows.handle(number);
        self.update(handle, packet);
        Record { state: Some(handle), ..Record::of(action) }
    }

    /// Makes a translation, if there is room and a port for it.
    fn make(&mut self, flow: &Flow, keyed: &Keyed, protocol: u8, packet: &Packet<'_>) -> Option<u32> {
        let slot = slot(keyed.hash);
        self.clean(slot, packet);
        let (inside, remote) = (socket_of(flow.src)?, socket_of(flow.dst)?);
        if self.kept.flows.is_full(slot) || self.exhausted.is_known(slot, remote, protocol, packet.now) {
            return None;
        }
        let outside = &self.outside;
        let Some(socket) = self.ports.find(keyed, remote, protocol, |keyed| outside.find(keyed).is_some())
        else {
            let ends = |number| {
                let item = self.kept.flows.item(number);
                item.last.saturating_add(self.timeout(&item.value))
            };
            let until = self.kept.flows.of_slot(slot).map(ends).min().unwrap_or(i64::MAX);
            self.exhausted.note(slot, remote, protocol, until);
            return None;
        };
        let mapping = Mapping { inside, outside: socket, remote, protocol, closing: false };
        let number = self.kept.flows.add(keyed, packet, mapping);
        self.outside.add(&mapping.outside(&self.kept.hasher), packet, number);
        self.counters.made += 1;
        Some(number)
    }
}

/// Checks what a configuration says of addresses and ports.
fn check(config: &Config, inside: &[Prefix]) -> Result<(), NfError> {
    let none = |key, expected| Err(NfError::Nothing { key, expected });
    let [first, last] = config.ports;
    if inside.is_empty() {
        return none("inside", "the prefixes of the addresses inside, such as [\"10.0.0.0/8\"]");
    }
    if config.addresses.is_empty() {
        return none("addresses", "the addresses outside, such as [\"192.0.2.1\"]");
    }
    if config.addresses.len() > MOST_ADDRESSES {
        return Err(NfError::Many { key: "addresses", found: config.addresses.len(), most: MOST_ADDRESSES });
    }
    let value = |key, found: String, why: &'static str| Err(NfError::Value { key, found, why: why.into() });
    if first > last || first == 0 {
        let found = format!("{first}, {last}");
        return value(
            "ports",
            found,
            "there is no free port; expected the first and the last one, from 1 to 65535",
        );
    }
    for (at, address) in config.addresses.iter().enumerate() {
        if inside.iter().any(|prefix| prefix.holds(*address)) {
            return value(
                "addresses",
                address.to_string(),
                "the address is inside; expected one that is not",
            );
        }
        if config.addresses[..at].contains(address) {
            return value("addresses", address.to_string(), "it is there twice");
        }
    }
    let unserved = inside
        .iter()
        .find(|prefix| !config.addresses.iter().any(|address| address.is_ipv6() == prefix.is_six()));
    match unserved {
        Some(prefix) if prefix.is_six() => {
            none("addresses", "also one of IPv6, since a prefix inside is of that")
        }
        Some(_) => none("addresses", "also one of IPv4, since a prefix inside is of that"),
        None => Ok(()),
    }
}

impl ChainFunction for Nat {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let Some(flow) = packet.flow() else { return Record::FORWARD };
        let way = self.way(&flow);
        match (way, packet.whole()) {
            (Way::Neither, _) => Record::FORWARD,
            (Way::Out, Some(protocol)) => self.out(&flow, protocol, packet),
            (Way::In, Some(_)) => self.back(&flow, packet),
            (_, None) if packet.is_fragment() => {
                self.counters.fragments += 1;
                Record::once(HeaderAction::drop(DropReason::Fragment))
            }
            (_, None) => {
                self.counters.other += 1;
                Record::once(HeaderAction::drop(DropReason::NoTranslation))
            }
        }
    }

    fn update(&mut self, handle: FlowHandle, packet: &Packet<'_>) -> bool {
        let (idle, closing) = (self.idle, self.closing);
        let timeout = |mapping: &Mapping| if mapping.closing { closing } else { idle };
        let Some(item) =
            self.kept.flows.get(handle).filter(|item| !item.is_idle(packet, timeout(&item.value)))
        else {
            return false;
        };
        item.touch(packet);
        if item.value.protocol == crate::ip::TCP
            && let Some(ip) = packet.ip()
        {
            let ends = ip.ends(packet.bytes);
            if ends || ip.begins(packet.bytes) {
                item.value.closing = ends;
                let slot = item.slot();
                self.exhausted.forget(slot);
            }
        }
        true
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counters { made, ended, no_port, unknown, fragments, other } = self.counters;
        vec![
            ("translations", made),
            ("ended-translations", ended),
            ("no-port", no_port),
            ("no-translation", unknown),
            ("fragments", fragments),
            ("other-protocols", other),
        ]
    }

    fn state(&self) -> Option<&dyn FlowState> {
        Some(self)
    }

    fn state_mut(&mut self) -> Option<&mut dyn FlowState> {
        Some(self)
    }
}

impl FlowState for Nat {
    fn seed(&self) -> u64 {
        self.kept.seed()
    }

    fn copy(&self, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        self.kept.copy(slots)
    }

    fn remove(&mut self, slots: &[u16]) {
        let (outside, hasher, exhausted) = (&mut self.outside, self.kept.hasher, &mut self.exhausted);
        self.kept.remove_each(slots, |mapping| {
            exhausted.forget(mapping.slot());
            if let Some(number) = outside.find(&mapping.value.outside(&hasher)) {
                outside.remove(number);
            }
        });
    }

    fn import(&mut self, state: &[u8]) -> Result<(), StateError> {
        let (outside, hasher, exhausted) = (&mut self.outside, self.kept.hasher, &mut self.exhausted);
        self.kept.import_each(state, |mapping, number| {
            exhausted.forget(mapping.slot());
            outside.add_moved(&mapping.value.outside(&hasher), mapping, number);
        })
    }

    fn used(&self) -> usize {
        self.kept.used() + self.outside.used()
    }
}

#[cfg(test)]
mod tests;
