//! The function that filters packets by rules.

mod rule;
mod set;

use crate::NfError;
use crate::chain::in_place::{Changes, descriptor};
use crate::chain::{ChainFunction, FlowHandle, InPlace, Packet, Record};
use legonf_core::{Descriptor, DropReason, HeaderAction};
pub(crate) use rule::{Match, Rules};
pub use rule::{Protocol, Rule, Verb};
use serde::Deserialize;
pub(crate) use set::Prefix;
pub use set::{Unread, Words};

/// Configuration of [`IpFilter`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The rules, of which the first that matches decides. Default none.
    pub rules: Vec<Rule>,
    /// What happens to packets that no rule matches. Default `accept`.
    pub default: Verb,
}

/// Filters packets by addresses, ports and protocol: the first rule that matches says whether a packet is accepted or dropped, for
/// [`DropReason::Policy`] (µNF's L3L4Filter, SpeedyBox's IPFilter). Rules are scanned one after the other.
///
/// Packets that are not IP pass. A later fragment has no ports, so that no rule with ports matches it.
#[derive(Clone, Debug)]
pub struct IpFilter {
    rules: Rules,
    denied: u64,
}

impl IpFilter {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "ip-filter";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "IP filter", Changes::Ways);

    /// The function for `config`.
    ///
    /// # Errors
    /// If a set cannot be read, or a rule can never decide: since nothing matches it, or an earlier rule matches all that it does.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        Ok(Self { rules: Rules::new(&config.rules, config.default)?, denied: 0 })
    }

    /// The brick for `config`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn brick(config: &Config) -> Result<InPlace<Self>, NfError> {
        Ok(InPlace::new(Self::new(config)?, Self::DESCRIPTOR))
    }
}

impl ChainFunction for IpFilter {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        match self.rules.decide(packet) {
            Verb::Accept => Record::FORWARD,
            Verb::Drop => {
                self.denied += 1;
                let state = Some(FlowHandle::default());
                Record { state, ..Record::of(HeaderAction::drop(DropReason::Policy)) }
            }
        }
    }

    fn update(&mut self, _: FlowHandle, _: &Packet<'_>) -> bool {
        self.denied += 1;
        true
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("denied", self.denied)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{arp, run, tcp4, udp4, udp6};
    use legonf_core::{Brick, Disposition, LinkType};

    fn filter(text: &str) -> Result<InPlace<IpFilter>, NfError> {
        IpFilter::brick(&toml::from_str(text).unwrap())
    }

    /// Which of some packets pass: UDP from 10.0.0.1:4321 to 10.0.0.2:53, the same over IPv6 between 101::101.. and 202::.., TCP from
    /// 10.0.0.1:4321 to 10.0.0.2:80, a later fragment of the first, and ARP.
    fn passed(text: &str) -> [bool; 5] {
        let mut brick = filter(text).unwrap();
        let mut later = udp4();
        later[20..22].copy_from_slice(&[0, 9]);
        let frames = [udp4(), tcp4(4321, 80, 0x18), later, arp()].map(|frame| (LinkType::Ethernet, frame));
        let [udp, tcp, later, arp] = frames;
        let (_, found) = run(&mut brick, &[udp, (LinkType::RawIp, udp6()), tcp, later, arp]);
        let passed: Vec<_> = found.iter().map(|found| *found == Disposition::default()).collect();
        let denied = passed.iter().filter(|passed| !**passed).count() as u64;
        assert_eq!(brick.counters(), [("denied", denied)]);
        passed.try_into().unwrap()
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        assert_eq!(passed(""), [true; 5]);
        assert_eq!(passed("default = 'drop'"), [false, false, false, false, true]);
        let rules = "default = 'drop'\nrules = [
            { action = 'drop', protocol = 'udp', dst_ports = ['1-52', '53'] },
            { action = 'accept', src = ['10.0.0.0/30', '101::/16'] }]";
        assert_eq!(passed(rules), [false, false, true, true, true]);
        let rules = "default = 'drop'\nrules = [
            { action = 'accept', dst = '{ 10.0.0.2, 9.9.9.0/24 }', src_ports = '{ 4000-5000 }' }]";
        assert_eq!(passed(rules), [true, false, true, false, true]);
    }

    #[test]
    fn a_rule_that_can_never_decide_is_named() {
        let refused = |rules: &str| filter(&format!("rules = [{rules}]")).unwrap_err().to_string();
        for (rules, words) in [
            (
                "{ action = 'drop' }, { action = 'accept', src = ['1.2.3.4'] }",
                "rule 2 never decides: rule 1 matches all that it does",
            ),
            (
                "{ action = 'drop', src = ['10.0.0.0/8'], dst_ports = ['1-9', '10-20'] },
                 { action = 'accept', protocol = 'icmp' },
                 { action = 'accept', src = ['10.1.0.0/16'], dst_ports = ['5-15'], protocol = 'tcp' }",
                "rule 3 never decides: rule 1 matches",
            ),
            ("{ action = 'drop', src = [] }", "rule 1: src is empty"),
            ("{ action = 'drop', dst_ports = '{ }' }", "rule 1: dst_ports is empty"),
            (
                "{ action = 'drop', src = ['10.0.0.1'], dst = ['::1'] }",
                "rule 1 never decides: src and dst have no",
            ),
            (
                "{ action = 'drop', protocol = 'icmp', dst_ports = ['1'] }",
                "rule 1 never decides: packets of icmp",
            ),
            ("{ action = 'drop', src = ['10.0.0.1/33'] }", "rule 1: src: \"10.0.0.1/33\": expected"),
            ("{ action = 'drop', src = ['10.0.0.1/8'] }", "write 10.0.0.0/8"),
            ("{ action = 'drop', src_ports = ['9-3'] }", "rule 1: src_ports: \"9-3\": expected"),
            ("{ action = 'drop', src_ports = '1, 2' }", "rule 1: src_ports: \"1, 2\": expected"),
        ] {
            let found = refused(rules);
            assert!(found.contains(words), "{rules}: {found}");
        }
        assert!(filter("rules = [{ action = 'drop', src = ['10.0.0.0/9'] }, { action = 'accept', src = ['10.0.0.0/8'] }]").is_ok());
    }
}
