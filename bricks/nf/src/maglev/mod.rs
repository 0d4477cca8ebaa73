//! The function that balances the flows of a service over its back ends.

mod table;

use crate::NfError;
use crate::chain::recorded::descriptor;
use crate::chain::{
    ChainFunction, FlowHandle, FlowState, Holds, Kept, KeyedState, Packet, Record, Recorded, default,
};
use crate::ip::{TCP, UDP};
use legonf_core::{Address, ColumnSpec, Descriptor, DropReason, Element, HeaderAction, Mac, MacFrom};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use table::Tables;

/// Back ends, outages, and entries of a table at most.
const MOST_BACKENDS: usize = 4_096;
const MOST_OUTAGES: usize = 64;
const MOST_ENTRIES: u32 = 655_373;

/// Configuration of [`Maglev`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port of the service. No default.
    pub service: SocketAddr,
    /// Its protocol. Default `tcp`.
    #[serde(default)]
    pub protocol: Transport,
    /// The back ends. No default.
    pub backends: Vec<Backend>,
    /// Packet numbers from which on back ends fail, and are up again. Default none.
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// Entries of the lookup table, a prime; a hundred times the back ends at least. Default 65,537.
    #[serde(default = "entries")]
    pub entries: u32,
    /// Seconds without a packet after which a flow is another one. Default 300.
    #[serde(default = "idle")]
    pub idle: f64,
    /// Flows that a slot holds, from 1 to 65,535; the one whose last packet came first makes room. Default 128.
    #[serde(default = "default::flows_per_slot")]
    pub flows_per_slot: u32,
    /// Seed of the hash that divides flows into slots. Default 1234.
    #[serde(default = "default::seed")]
    pub seed: u64,
    /// The column of actions that it fills. Default `maglev-action`.
    #[serde(default)]
    pub output: Option<String>,
}

const fn entries() -> u32 {
    65_537
}

const fn idle() -> f64 {
    300.0
}

/// The protocol of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// A back end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Its name, which also decides on its part of the flows.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
}

/// When a back end is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// The back end's name.
    pub backend: String,
    /// The number of the first packet that it does not get.
    pub from: u64,
    /// The number of the first packet that it may get again. Default none: it stays down.
    #[serde(default)]
    pub to: Option<u64>,
}

/// Balances the flows of a service over its back ends by consistent hashing (Maglev, NSDI 2016, §3.4): packets to the service's address and port get the
/// destination MAC of a back end, which answers clients itself (direct server return). So addresses stay, and with them the flow's slot.
///
/// A flow stays with its back end as long as that is up, also where the table has changed (§3.3). When it fails, the flow goes to another one from the next
/// packet on: an event. Fragments to the service are dropped, since later ones have no ports. All else passes untouched, as do packets that are no Ethernet frames.
#[derive(Clone, Debug)]
pub struct Maglev {
    kept: KeyedState<Choice>,
    service: (Address, u16),
    protocol: u8,
    macs: Vec<Mac>,
    tables: Tables,
    idle: i64,
    counters: Counters,
}

/// The back end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Choice(u16);

impl Kept for Choice {
    fn is_possible(&self) -> bool {
        usize::from(self.0) < MOST_BACKENDS
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    chosen: u64,
    rerouted: u64,
    without: u64,
    fragments: u64,
}

impl Maglev {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "maglev";

    /// The column of actions that it fills, unless its configuration names another one.
    pub const FILLS: &'static [ColumnSpec] = &[ColumnSpec::scalar("maglev-action", Element::HeaderAction)];

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "load balancer", Self::FILLS);

    /// The function for `config`.
    ///
    /// # Errors
    /// If there is no back end, two have one name, an outage is of none of them, or a number is out of its range.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        let own = Config { output: None, ..config.clone() };
        let kept = KeyedState::new(&own, config.flows_per_slot, config.seed)?;
        let macs = check(config)?;
        let names: Vec<_> = config.backends.iter().map(|backend| backend.name.as_str()).collect();
        let place = |name: &str| names.iter().position(|known| *known == name).unwrap_or(usize::MAX);
        let outages = config.outages.iter().map(|outage| table::Outage {
            backend: place(&outage.backend),
            from: outage.from,
            to: outage.to.unwrap_or(u64::MAX),
        });
        Ok(Self {
            kept,
            service: (config.service.ip().into(), config.service.port()),
            protocol: if config.protocol == Transport::Tcp { TCP } else { UDP },
            tables: Tables::new(&names, config.entries, &outages.collect::<Vec<_>>()),
            macs,
            idle: NfError::nanos("idle", config.idle)?,
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

    /// The number of a packet's flow, which has a back end that is up; none if no back end is.
    fn flow(&mut self, packet: &Packet<'_>) -> Option<u32> {
        let keyed = packet.flow()?.keyed(&self.kept.hasher);
        let known = self.kept.flows.find(&keyed);
        if let Some(number) = known {
            let item = self.kept.flows.item(number);
            if !item.is_idle(packet, self.idle) && self.tables.is_up(item.value.0, packet.seq) {
                return Some(number);
            }
        }
        let choice = Choice(self.tables.choose(keyed.hash, packet.seq)?);
        let Some(number) = known else {
            self.counters.chosen += 1;
            return Some(self.kept.add(&keyed, packet, choice));
        };
        let is_new = self.kept.flows.item(number).is_idle(packet, self.idle);
        self.counters.chosen += u64::from(is_new);
        self.counters.rerouted += u64::from(!is_new);
        self.kept.begin_anew(number, packet, choice);
        Some(number)
    }
}

/// Checks what a configuration says of back ends, and gives their MAC addresses.
fn check(config: &Config) -> Result<Vec<Mac>, NfError> {
    let value = |key, found: &str, why: &'static str| {
        Err(NfError::Value { key, found: found.to_owned(), why: why.into() })
    };
    let Config { backends, outages, entries, .. } = config;
    if backends.is_empty() {
        return Err(NfError::Nothing { key: "backends", expected: "[{ name = \"NAME\", mac = \"MAC\" }]" });
    }
    for (key, found, most) in
        [("backends", backends.len(), MOST_BACKENDS), ("outages", outages.len(), MOST_OUTAGES)]
    {
        if found > most {
            return Err(NfError::Many { key, found, most });
        }
    }
    NfError::within("entries", f64::from(*entries), 100.0 * backends.len() as f64, MOST_ENTRIES.into())?;
    if !table::is_prime(*entries) {
        return value("entries", &entries.to_string(), "expected a prime, such as 65537");
    }
    for (at, backend) in backends.iter().enumerate() {
        if backends[..at].iter().any(|other| other.name == backend.name) {
            return value("backends.name", &backend.name, "two back ends have this name");
        }
    }
    for outage in outages {
        if !backends.iter().any(|backend| backend.name == outage.backend) {
            return value("outages.backend", &outage.backend, "no back end has this name");
        }
        if outage.to.is_some_and(|to| to <= outage.from) {
            return value("outages.backend", &outage.backend, "its `to` must be behind its `from`");
        }
    }
    backends.iter().map(|backend| mac(&backend.mac)).collect()
}

/// Reads `02:00:00:00:00:01`.
fn mac(text: &str) -> Result<Mac, NfError> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    let read = mac.iter_mut().all(|byte| {
        let part = parts.next().filter(|part| part.len() == 2);
        part.and_then(|part| u8::from_str_radix(part, 16).ok()).is_some_and(|read| {
            *byte = read;
            true
        })
    });
    if read && parts.next().is_none() {
        return Ok(Mac(mac));
    }
    let why = "expected a MAC address, such as 02:00:00:00:00:01".into();
    Err(NfError::Value { key: "backends.mac", found: text.to_owned(), why })
}

impl ChainFunction for Maglev {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let Some(flow) = packet.flow().filter(|flow| flow.dst.0 == self.service.0) else {
            return Record::FORWARD;
        };
        match packet.whole() {
            None if packet.is_fragment() => {
                self.counters.fragments += 1;
                return Record::once(HeaderAction::drop(DropReason::Fragment));
            }
            Some(protocol)
                if protocol == self.protocol && flow.dst.1 == self.service.1 && packet.is_frame => {}
            _ => return Record { holds: Holds::Flow, ..Record::FORWARD },
        }
        let Some(number) = self.flow(packet) else {
            self.counters.without += 1;
            return Record::once(HeaderAction::drop(DropReason::NoBackend));
        };
        let (handle, Choice(backend)) = (self.kept.flows.handle(number), self.kept.flows.item(number).value);
        self.update(handle, packet);
        let mac_dst = MacFrom::Other(self.macs[usize::from(backend)]);
        Record { state: Some(handle), ..Record::of(HeaderAction { mac_dst, ..HeaderAction::default() }) }
    }

    fn update(&mut self, handle: FlowHandle, packet: &Packet<'_>) -> bool {
        let Some(item) = self.kept.flows.get(handle) else { return false };
        if item.is_idle(packet, self.idle) || !self.tables.is_up(item.value.0, packet.seq) {
            return false;
        }
        item.touch(packet);
        true
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counters { chosen, rerouted, without, fragments } = self.counters;
        vec![
            ("balanced-flows", chosen),
            ("rerouted-flows", rerouted),
            ("evicted-flows", self.kept.evicted),
            ("no-backend", without),
            ("fragments", fragments),
        ]
    }

    fn state(&self) -> Option<&dyn FlowState> {
        Some(&self.kept)
    }

    fn state_mut(&mut self) -> Option<&mut dyn FlowState> {
        Some(&mut self.kept)
    }
}

#[cfg(test)]
mod tests;
