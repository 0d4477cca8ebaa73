//! Rules of an IDS.

use crate::NfError;
use crate::chain::{Flow, Packet};
use crate::ip_filter::{Match, Protocol, Rule as HeaderRule, Unread, Verb, Words};
use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

/// Rules, and bytes of all their contents, at most.
const MOST_RULES: usize = 4_096;
const MOST_BYTES: usize = 1 << 20;
/// Bytes that a compiled pattern takes at most.
const MOST_OF_PATTERN: usize = 1 << 20;

/// A rule: what it matches, and what it says of that. What is not named matches all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the rule says of packets that it matches. No default.
    pub action: Action,
    /// Texts that must all be in the payload, in any order. Default none.
    #[serde(default)]
    pub contents: Vec<String>,
    /// Whether the case of letters of the contents does not matter. Default false.
    #[serde(default)]
    pub ignore_case: bool,
    /// A regular expression that must match within the payload. Default none.
    pub pattern: Option<String>,
    /// Source addresses: prefixes. Default all.
    pub src: Option<Words>,
    /// Destination addresses. Default all.
    pub dst: Option<Words>,
    /// Source ports: numbers and ranges. Default all.
    pub src_ports: Option<Words>,
    /// Destination ports. Default all.
    pub dst_ports: Option<Words>,
    /// The protocol, TCP or UDP. Default both.
    pub protocol: Option<Protocol>,
}

/// What a rule says, in the order in which rules are tried; the numbers are those of verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The packet is known to be harmless.
    Pass = 1,
    /// It is an attack.
    Alert = 2,
    /// It is worth a note.
    Log = 3,
}

/// A rule that is ready.
#[derive(Debug)]
pub(super) struct Compiled {
    pub action: Action,
    header: Match,
    /// The numbers of its contents.
    contents: Vec<usize>,
    pattern: Option<Regex>,
}

impl Compiled {
    /// Whether it matches a packet in which these contents were found.
    pub fn holds(&self, packet: &Packet<'_>, flow: &Flow, payload: &[u8], found: &[bool]) -> bool {
        self.contents.iter().all(|content| found[*content])
            && self.header.holds(packet, flow)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(payload))
    }

    /// Whether it surely matches all that another one does.
    fn covers(&self, other: &Self) -> bool {
        let text = |rule: &Self| rule.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
        (self.pattern.is_none() || text(self) == text(other))
            && self.contents.iter().all(|content| other.contents.contains(content))
            && self.header.covers(&other.header)
    }
}

/// Contents with whether their case does not matter, those whose case matters first.
pub(super) type Contents = Vec<(bool, String)>;

/// Makes rules ready, in the order in which they are tried, with their contents.
pub(super) fn compile(rules: &[Rule]) -> Result<(Vec<Compiled>, Contents), NfError> {
    if rules.is_empty() {
        return Err(NfError::Nothing {
            key: "rules",
            expected: "[{ action = \"alert\", contents = [\"TEXT\"] }]",
        });
    }
    if rules.len() > MOST_RULES {
        return Err(NfError::Many { key: "rules", found: rules.len(), most: MOST_RULES });
    }
    let mut contents: Contents = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        check(at + 1, rule)?;
        contents.extend(rule.contents.iter().map(|content| (rule.ignore_case, content.clone())));
    }
    contents.sort_unstable();
    contents.dedup();
    let bytes = contents.iter().map(|(_, content)| content.len()).sum();
    if bytes > MOST_BYTES {
        return Err(NfError::Many { key: "bytes of contents", found: bytes, most: MOST_BYTES });
    }
    let mut order: Vec<usize> = (0..rules.len()).collect();
    order.sort_by_key(|at| rules[*at].action);
    let made: Vec<_> = order.iter().map(|at| make(*at, &rules[*at], &contents)).collect::<Result<_, _>>()?;
    for (place, rule) in made.iter().enumerate() {
        if let Some(earlier) = made[..place].iter().position(|earlier| earlier.covers(rule)) {
            return Err(NfError::Shadowed { rule: order[place] + 1, earlier: order[earlier] + 1 });
        }
    }
    Ok((made, contents))
}

fn check(rule: usize, config: &Rule) -> Result<(), NfError> {
    if config.contents.is_empty() && config.pattern.is_none() {
        return Err(NfError::Never { rule, why: "it has neither contents nor a pattern" });
    }
    if config.protocol == Some(Protocol::Icmp) {
        return Err(NfError::Never { rule, why: "only TCP and UDP have a payload" });
    }
    if config.contents.iter().any(String::is_empty) {
        return Err(NfError::Element { rule, key: "contents", found: String::new(), why: Unread::Bytes });
    }
    Ok(())
}

fn make(at: usize, rule: &Rule, contents: &Contents) -> Result<Compiled, NfError> {
    let header = HeaderRule {
        action: Verb::Accept,
        src: rule.src.clone(),
        dst: rule.dst.clone(),
        src_ports: rule.src_ports.clone(),
        dst_ports: rule.dst_ports.clone(),
        protocol: rule.protocol,
    };
    let number = |content: &String| contents.binary_search(&(rule.ignore_case, content.clone()));
    let pattern = rule.pattern.as_ref().map(|text| {
        let built = RegexBuilder::new(text).unicode(false).size_limit(MOST_OF_PATTERN).build();
        built.map_err(|error| NfError::Pattern { rule: at + 1, found: text.clone(), why: one_line(&error) })
    });
    Ok(Compiled {
        action: rule.action,
        header: Match::of(at, &header)?,
        contents: rule.contents.iter().filter_map(|content| number(content).ok()).collect(),
        pattern: pattern.transpose()?,
    })
}

/// The last line of an error of a regular expression says what is wrong.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

/// An automaton for the contents of each kind, if there are any.
pub(super) fn automata(contents: &Contents) -> Result<[Option<AhoCorasick>; 2], NfError> {
    let of = |ignores: bool| {
        let some: Vec<_> =
            contents.iter().filter(|(ignore, _)| *ignore == ignores).map(|(_, text)| text).collect();
        let build = || AhoCorasick::builder().ascii_case_insensitive(ignores).build(&some);
        let built = (!some.is_empty()).then(build).transpose();
        built.map_err(|error| NfError::Value {
            key: "contents",
            found: String::new(),
            why: error.to_string().into(),
        })
    };
    Ok([of(false)?, of(true)?])
}
