//! The brick that looks for known attacks in payloads.

mod rule;

use crate::NfError;
use crate::chain::Packet;
use aho_corasick::AhoCorasick;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Element, Handle, Layout, State, Verdict,
};
pub use rule::{Action, Rule as IdsRule};
use rule::{Compiled, automata, compile};
use serde::Deserialize;
use std::borrow::Cow;

/// Configuration of [`Ids`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The rules. No default.
    pub rules: Vec<IdsRule>,
    /// The column of verdicts that it fills. Default `ids`.
    #[serde(default)]
    pub output: Option<String>,
}

/// Matches the payload of each packet of TCP and UDP against rules, as Snort does (SpeedyBox's Snort): literal contents by one automaton for all rules
/// (Aho and Corasick), then regular expressions. What a packet's verdict is says the action of the first rule that matches it: rules that let pass come
/// first, then alerts, then logs, and those of one kind as they are listed.
///
/// Each packet is looked at by itself: a pattern that lies across two packets is not found. [`VerdictFilter`](crate::VerdictFilter) behind it makes an IPS of it.
#[derive(Debug)]
pub struct Ids {
    rules: Vec<Compiled>,
    /// Of contents as they are, and of those whose case does not matter.
    automata: [Option<AhoCorasick>; 2],
    /// Which contents were found in a packet: those of the first automaton, then those of the second.
    found: Vec<bool>,
    column: ColumnSpec,
    verdicts: Handle<Vec<Verdict>>,
    counts: [u64; 3],
}

/// The labels of its verdicts: no rule matches, and the actions of rules.
const LABELS: [&str; 4] = ["none", "pass", "alert", "log"];

impl Ids {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "ids";

    /// What the graph needs to know of the brick; its own descriptor has the labels, and the name of its column.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "IDS",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        writes: Cow::Borrowed(&[ColumnSpec::scalar("ids", Element::Verdict)]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If there is no rule, one cannot be read, or one can never decide.
    pub fn new(config: &Config) -> Result<Self, NfError> {
        let (rules, contents) = compile(&config.rules)?;
        let name = config.output.clone().unwrap_or_else(|| "ids".to_owned());
        Ok(Self {
            rules,
            automata: automata(&contents)?,
            found: vec![false; contents.len()],
            column: crate::verdicts(&name).with_labels(LABELS.map(str::to_owned)),
            verdicts: Handle::default(),
            counts: [0; 3],
        })
    }

    fn verdict(&mut self, packet: &Packet<'_>) -> Verdict {
        let (Some(flow), Some(payload)) = (packet.flow(), packet.payload()) else { return Verdict::of(0) };
        self.search(payload);
        let Self { rules, found, counts, .. } = self;
        let matches = |rule: &&Compiled| rule.holds(packet, &flow, payload, found);
        let Some(rule) = rules.iter().find(matches) else { return Verdict::of(0) };
        let label = rule.action as usize;
        counts[label - 1] += 1;
        Verdict::of(label)
    }

    /// Notes which contents are in a payload.
    fn search(&mut self, payload: &[u8]) {
        self.found.fill(false);
        let mut first = 0;
        for automaton in self.automata.iter().flatten() {
            for hit in automaton.find_overlapping_iter(payload) {
                self.found[first + hit.pattern().as_usize()] = true;
            }
            first += automaton.patterns_len();
        }
    }
}

impl Brick for Ids {
    fn descriptor(&self) -> Descriptor {
        Descriptor { writes: vec![self.column.clone()].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.verdicts = layout.handle(&self.column)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let mut verdicts = std::mem::take(batch.columns.get_mut(self.verdicts));
        verdicts.clear();
        for place in 0..batch.headers.len() {
            verdicts.push(self.verdict(&Packet::of(batch, place, 0)));
        }
        *batch.columns.get_mut(self.verdicts) = verdicts;
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let [passed, alerts, logged] = self.counts;
        vec![("rules-passed", passed), ("rules-alerted", alerts), ("rules-logged", logged)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, batch};
    use legonf_core::LinkType;

    fn ids(rules: &str) -> Result<Ids, NfError> {
        Ids::new(&toml::from_str(&format!("rules = [{rules}]")).unwrap())
    }

    /// The labels of packets with these payloads, to a port.
    fn labels(rules: &str, port: u16, payloads: &[&str]) -> Vec<&'static str> {
        let mut ids = ids(rules).unwrap();
        let layout = Layout::binding(&mut [&mut ids]).unwrap();
        let sample = Sample { payload: 0, ..Sample::tcp("10.0.0.1:5", &format!("10.0.0.2:{port}")) };
        let frame = |payload: &&str| {
            let mut frame = [sample.bytes(), payload.as_bytes().to_vec()].concat();
            frame[16..18].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
            // Padding of the wire is no payload.
            frame.extend(b"root");
            frame
        };
        let frames: Vec<_> = payloads.iter().map(frame).collect();
        let some = batch(&frames.iter().map(|frame| (LinkType::Ethernet, &**frame, 99)).collect::<Vec<_>>());
        let mut all = Batch::new(&layout);
        (all.packets, all.headers) = (some.packets, some.headers);
        ids.process(&mut all).unwrap();
        let counted: u64 = ids.counters().iter().map(|(_, count)| count).sum();
        let labels: Vec<_> =
            all.columns.get(ids.verdicts).iter().map(|verdict| LABELS[verdict.place(LABELS.len())]).collect();
        assert_eq!(counted, labels.iter().filter(|label| **label != "none").count() as u64);
        labels
    }

    /// SpeedyBox's test of Snort (§VII-C): payloads that match rules of each of the three kinds.
    #[test]
    fn rules_of_each_kind_are_found() {
        let rules = "{ action = 'log', contents = ['GET '] },
            { action = 'alert', contents = ['/etc/', 'passwd'] },
            { action = 'alert', contents = ['select'], ignore_case = true, pattern = '(?i)select.+from' },
            { action = 'pass', contents = ['GET /etc/passwd.html'] }";
        let payloads = [
            "GET / HTTP",
            "passwd in /etc/",
            "GET /etc/passwd.html",
            "SELECT a FROM b",
            "Select a",
            "",
            "ro",
        ];
        assert_eq!(labels(rules, 80, &payloads), ["log", "alert", "pass", "alert", "none", "none", "none"]);
        let rules = "{ action = 'alert', pattern = '^a+b$', protocol = 'tcp', dst_ports = '80' }";
        assert_eq!(labels(rules, 80, &["aab", "aabc", "xaab"]), ["alert", "none", "none"]);
        assert_eq!(labels(rules, 81, &["aab"]), ["none"]);
        assert_eq!(
            labels("{ action = 'alert', contents = ['root'] }", 80, &["roo", "root"]),
            ["none", "alert"]
        );
    }

    #[test]
    fn contents_that_overlap_are_all_found() {
        let rules = "{ action = 'alert', contents = ['abc', 'bcd', 'bc'] }";
        assert_eq!(labels(rules, 80, &["xabcdx", "abcbd"]), ["alert", "none"]);
    }

    #[test]
    fn a_rule_that_cannot_be_is_named() {
        let refused = |rules: &str| ids(rules).unwrap_err().to_string();
        for (rules, words) in [
            ("", "rules is empty: expected"),
            ("{ action = 'log' }", "rule 1 never decides: it has neither contents nor a pattern"),
            ("{ action = 'log', contents = [''] }", "rule 1: contents: \"\": expected some bytes"),
            ("{ action = 'log', pattern = '(' }", "rule 1: pattern: \"(\": "),
            (
                "{ action = 'log', contents = ['ab', 'c'] }, { action = 'alert', contents = ['c'] }",
                "rule 1 never decides: rule 2 matches all that it does",
            ),
            (
                "{ action = 'log', protocol = 'icmp', contents = ['a'] }",
                "rule 1 never decides: only TCP and UDP",
            ),
        ] {
            let found = refused(rules);
            assert!(found.starts_with(words), "{rules}: {found}");
        }
        assert!(
            ids("{ action = 'log', contents = ['c'] }, { action = 'alert', contents = ['ab', 'c'] }").is_ok()
        );
    }
}
