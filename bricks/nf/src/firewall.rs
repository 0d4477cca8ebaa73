//! The function that lets in what was asked for.

use crate::NfError;
use crate::chain::recorded::descriptor;
use crate::chain::{
    ChainFunction, Flow, FlowHandle, FlowState, Kept, KeyedState, Packet, Record, Recorded, default,
};
use crate::ip_filter::{Prefix, Rule, Rules, Verb, Words};
use legonf_core::{ColumnSpec, Descriptor, DropReason, Element, HeaderAction};
use serde::Deserialize;

/// Configuration of [`Firewall`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The addresses inside, as prefixes. No default.
    pub inside: Words,
    /// Rules for what comes from outside and belongs to no flow, of which the first that matches decides. What none matches is dropped. Default none.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Seconds without a packet after which a flow is over. Default 300.
    #[serde(default = "idle")]
    pub idle: f64,
    /// The same for a connection of TCP that had a FIN or a RST. Default 10.
    #[serde(default = "closing")]
    pub closing: f64,
    /// Flows that a slot holds, from 1 to 65,535; the one whose last packet came first makes room. Default 128.
    #[serde(default = "default::flows_per_slot")]
    pub flows_per_slot: u32,
    /// Seed of the hash that divides flows into slots. Default 1234.
    #[serde(default = "default::seed")]
    pub seed: u64,
    /// The column of actions that it fills. Default `firewall-action`.
    #[serde(default)]
    pub output: Option<String>,
}

const fn idle() -> f64 {
    300.0
}

const fn closing() -> f64 {
    10.0
}

/// A stateful firewall (StatelessNF, table 4.1): what goes from inside to outside passes, and so does what comes back in the same flow. What else comes from outside
/// passes only if a rule accepts it, and then its flow passes both ways. Other packets are dropped for [`DropReason::Policy`].
///
/// What stays inside or outside passes. Later fragments, which have no ports, are a flow of their own.
#[derive(Clone, Debug)]
pub struct Firewall {
    kept: KeyedState<Connection>,
    inside: Vec<Prefix>,
    rules: Rules,
    idle: i64,
    closing: i64,
    counters: Counters,
}

/// Whether a flow has had a FIN or a RST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
struct Connection {
    closing: bool,
}

impl Kept for Connection {}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    admitted: u64,
    denied: u64,
}

impl Firewall {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "firewall";

    /// The column of actions that it fills, unless its configuration names another one.
    pub const FILLS: &'static [ColumnSpec] = &[ColumnSpec::scalar("firewall-action", Element::HeaderAction)];

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "stateful firewall", Self::FILLS);

    /// The function for `config`.
    ///
    /// # Errors
    /// If there is no address inside, a rule can never decide, or a number is out of its range.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        let Config { idle, closing, seed, flows_per_slot, .. } = config;
        let text = (config.inside.elements(), format!("{:?}", config.rules), idle, closing, seed);
        let kept = KeyedState::new(&text, *flows_per_slot, *seed)?;
        let inside = Prefix::read_all("inside", &config.inside)?;
        if inside.is_empty() {
            let expected = "the prefixes of the addresses inside, such as [\"10.0.0.0/8\"]";
            return Err(NfError::Nothing { key: "inside", expected });
        }
        Ok(Self {
            kept,
            inside,
            rules: Rules::new(&config.rules, Verb::Drop)?,
            idle: NfError::nanos("idle", *idle)?,
            closing: NfError::nanos("closing", *closing)?,
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

    /// Whether a packet goes from inside to outside; none if it stays where it is.
    fn goes_out(&self, flow: &Flow) -> Option<bool> {
        let [src, dst] = [flow.src, flow.dst].map(|end| self.inside.iter().any(|prefix| prefix.has(end.0)));
        (src != dst).then_some(src)
    }

    /// The number of a packet's flow, if that is not over.
    fn known(&self, flow: &Flow, packet: &Packet<'_>) -> Option<u32> {
        let number = self.kept.flows.find(&flow.keyed(&self.kept.hasher))?;
        let item = self.kept.flows.item(number);
        let timeout = if item.value.closing { self.closing } else { self.idle };
        (!item.is_idle(packet, timeout)).then_some(number)
    }

    /// Lets a flow pass from a packet on.
    fn admit(&mut self, flow: &Flow, packet: &Packet<'_>) -> u32 {
        let keyed = flow.keyed(&self.kept.hasher);
        self.counters.admitted += 1;
        if let Some(over) = self.kept.flows.find(&keyed) {
            self.kept.flows.remove(over);
        }
        self.kept.add(&keyed, packet, Connection::default())
    }
}

impl ChainFunction for Firewall {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let Some(flow) = packet.flow() else { return Record::FORWARD };
        let Some(goes_out) = self.goes_out(&flow) else { return Record::FORWARD };
        let number = match self.known(&flow, packet) {
            Some(number) => number,
            None if goes_out || self.rules.decide(packet) == Verb::Accept => self.admit(&flow, packet),
            None => {
                self.counters.denied += 1;
                return Record::once(HeaderAction::drop(DropReason::Policy));
            }
        };
        let handle = self.kept.flows.handle(number);
        self.update(handle, packet);
        Record { state: Some(handle), ..Record::FORWARD }
    }

    fn update(&mut self, handle: FlowHandle, packet: &Packet<'_>) -> bool {
        let Some(item) = self.kept.flows.get(handle) else { return false };
        let timeout = if item.value.closing { self.closing } else { self.idle };
        if item.is_idle(packet, timeout) {
            return false;
        }
        item.touch(packet);
        if let Some(ip) = packet.ip() {
            let ends = ip.ends(packet.bytes);
            item.value.closing = ends || item.value.closing && !ip.begins(packet.bytes);
        }
        true
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Counters { admitted, denied } = self.counters;
        vec![("admitted-flows", admitted), ("evicted-flows", self.kept.evicted), ("denied", denied)]
    }

    fn state(&self) -> Option<&dyn FlowState> {
        Some(&self.kept)
    }

    fn state_mut(&mut self) -> Option<&mut dyn FlowState> {
        Some(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, arp, pass_at};

    fn firewall(more: &str) -> Result<Firewall, NfError> {
        Firewall::new(&toml::from_str(&format!("inside = '{{ 10.0.0.0/8, fd00::/8 }}'\n{more}")).unwrap())
    }

    fn out() -> Sample {
        Sample::tcp("10.0.0.1:5", "192.0.2.1:80")
    }

    /// Which packets pass, each with its second.
    fn passed(firewall: &mut Firewall, packets: &[(i64, Sample)]) -> Vec<bool> {
        let packets: Vec<_> =
            packets.iter().map(|(second, sample)| (second * 1_000_000_000, sample.bytes())).collect();
        pass_at(firewall, &packets).iter().map(|record| record.action.drop.is_none()).collect()
    }

    #[test]
    fn answers_come_in_and_nothing_else() {
        let mut wall = firewall("").unwrap();
        let other = Sample::tcp("192.0.2.1:81", "10.0.0.1:5");
        let packets = [(0, out().back()), (1, out()), (2, out().back()), (3, other), (4, out().udp().back())];
        assert_eq!(passed(&mut wall, &packets), [false, true, true, false, false]);
        let six = Sample::tcp("[fd00::1]:5", "[2001:db8::1]:80");
        assert_eq!(passed(&mut wall, &[(5, six.back()), (5, six), (5, six.back())]), [false, true, true]);
        assert_eq!(wall.counters(), [("admitted-flows", 2), ("evicted-flows", 0), ("denied", 4)]);
        // What does not cross passes, and what is not IP.
        let within = [Sample::tcp("10.0.0.1:1", "10.0.0.2:2"), Sample::tcp("192.0.2.1:1", "192.0.2.2:2")];
        assert_eq!(passed(&mut wall, &within.map(|sample| (6, sample))), [true, true]);
        assert!(pass_at(&mut wall, &[(0, arp())])[0].action.is_forward());
    }

    #[test]
    fn rules_say_what_may_begin_outside() {
        let rules = "rules = [{ action = 'accept', protocol = 'tcp', dst_ports = '22' }]";
        let mut wall = firewall(rules).unwrap();
        let there = Sample::tcp("192.0.2.9:700", "10.0.0.1:22");
        assert_eq!(
            passed(&mut wall, &[(0, there), (1, there.back()), (2, there.udp())]),
            [true, true, false]
        );
        let shadowed = "rules = [{ action = 'drop' }, { action = 'accept' }]";
        assert!(firewall(shadowed).unwrap_err().to_string().starts_with("rule 2 never decides"));
        let none = Firewall::new(&toml::from_str("inside = []").unwrap()).unwrap_err().to_string();
        assert!(none.starts_with("inside is empty: expected the prefixes"), "{none}");
    }

    #[test]
    fn a_flow_is_over_when_it_is_idle_and_sooner_behind_a_fin() {
        let mut wall = firewall("idle = 100.0\nclosing = 5.0").unwrap();
        let packets = [(0, out()), (99, out().back()), (199, out().back())];
        assert_eq!(passed(&mut wall, &packets), [true, true, false]);
        let closed = [(200, out()), (201, out().flags(0x11)), (205, out().back()), (210, out().back())];
        assert_eq!(passed(&mut wall, &closed), [true, true, true, false]);
        let again = [(300, out()), (301, out().flags(0x11)), (302, out().flags(0x02)), (320, out().back())];
        assert_eq!(passed(&mut wall, &again), [true; 4]);
    }
}
