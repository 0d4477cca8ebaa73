//! Whom alerts are not to be told of: scanners of one's own, and other hosts that are known to be unusual.

use crate::Error;
use crate::reading::{self, parsed};
use chrono::DateTime;
use legonf_core::{Headers, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;
use toml::Spanned;
use toml::value::Datetime;

/// What is wrong with a file of suppressions, by its line.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error("line {line}: {message}")]
    Syntax { line: usize, message: String },
    #[error("line {line}: {key} = \"{value}\": expected {expected}")]
    Value { line: usize, key: &'static str, value: String, expected: &'static str },
    #[error("line {line}: [[suppress]] has an address and a prefix; give one of them")]
    Both { line: usize },
    #[error("line {line}: [[suppress]] has no address, prefix or port; give at least one of them")]
    All { line: usize },
    #[error("holds no [[suppress]]; each suppression begins with that line")]
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    suppress: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    address: Option<Spanned<String>>,
    prefix: Option<Spanned<String>>,
    port: Option<u16>,
    until: Option<Spanned<Datetime>>,
    comment: Option<String>,
}

/// A suppression that is asked for while a run goes on: at least one of address, prefix and port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSuppression {
    /// An IP address.
    pub address: Option<String>,
    /// A network such as `10.0.0.0/8`, in place of an address.
    pub prefix: Option<String>,
    /// A port of either side.
    pub port: Option<u16>,
    /// A time of packets from which on it does not hold any more (RFC 3339).
    pub until: Option<String>,
    /// Why.
    pub comment: Option<String>,
}

/// A change of suppressions while a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuppressionChange {
    /// Alerts are not to be told of.
    Add(NewSuppression),
    /// A suppression is to hold no more.
    End {
        /// Its number, from 0.
        number: usize,
    },
}

/// One suppression: packets from or to an address, or by a port, raise no alert up to a time.
#[derive(Clone, Debug)]
struct Rule {
    /// Network and length of its prefix.
    network: Option<Prefix>,
    port: Option<u16>,
    until: Option<Timestamp>,
    told: Suppressed,
}

/// A network and the length of its prefix.
type Prefix = (IpAddr, u8);

/// What was suppressed by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// Line of the file at which the rule begins; none of one that came while the run went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Whom it is about, such as `10.0.0.0/8, port 53`.
    pub of: String,
    /// Up to when, by the time of packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether it was ended while the run went on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_ended: bool,
    /// Its comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Alerts that it suppressed.
    pub alerts: u64,
}

/// All suppressions of a file, with what they did.
#[derive(Clone, Debug, Default)]
pub struct Suppression(Vec<Rule>);

impl Suppression {
    /// Reads a file (TOML): a table `[[suppress]]` for each, with `address` or `prefix`, `port`, `until` (RFC 3339) and `comment`.
    ///
    /// # Errors
    /// If the file cannot be read, or anything in it is not as it must be; the message names file, line and key.
    pub fn open(path: &Path) -> Result<Self, Error> {
        parsed(path, reading::TABLE, Self::parse)
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = line(text, error.span().map_or(0, |span| span.start));
            Invalid::Syntax { line, message: error.message().replace('\n', "; ") }
        })?;
        if file.suppress.is_empty() {
            return Err(Invalid::Empty);
        }
        file.suppress.into_iter().map(|entry| Rule::of(entry, text)).collect::<Result<_, _>>().map(Self)
    }

    /// Changes what is suppressed, and says how in words.
    ///
    /// # Errors
    /// If what is asked for is no suppression, or there is none of this number.
    pub fn change(&mut self, change: SuppressionChange) -> Result<String, Error> {
        match change {
            SuppressionChange::Add(new) => {
                let rule = Rule::new(new)?;
                let words = format!("number {}: {}", self.0.len(), rule.words());
                self.0.push(rule);
                Ok(words)
            }
            SuppressionChange::End { number } => {
                let last = self.0.len();
                let Some(rule) = self.0.get_mut(number).filter(|rule| !rule.told.is_ended) else {
                    return Err(Error::refused(format!(
                        "no suppression {number} is in force; there were {last} so far"
                    )));
                };
                rule.told.is_ended = true;
                Ok(format!("number {number} ends: {}", rule.words()))
            }
        }
    }

    /// Whether an alert of a packet is suppressed; it is counted then.
    pub fn takes(&mut self, headers: &Headers) -> bool {
        let rule = self.0.iter_mut().find(|rule| rule.holds(headers));
        rule.map(|rule| rule.told.alerts += 1).is_some()
    }

    /// What each rule suppressed.
    pub fn told(&self) -> Vec<Suppressed> {
        self.0.iter().map(|rule| rule.told.clone()).collect()
    }

    /// Alerts that were suppressed; none where there is no file.
    pub fn alerts(&self) -> Option<u64> {
        (!self.0.is_empty()).then(|| self.0.iter().map(|rule| rule.told.alerts).sum())
    }
}

impl Rule {
    fn of(entry: Spanned<Entry>, text: &str) -> Result<Self, Invalid> {
        let line = line(text, entry.span().start);
        let Entry { address, prefix, port, until, comment } = entry.into_inner();
        let network = match (address, prefix) {
            (Some(_), Some(_)) => return Err(Invalid::Both { line }),
            (Some(address), None) => Some(checked("address", address, text, "an IP address", host)?),
            (None, Some(prefix)) => Some(checked(
                "prefix",
                prefix,
                text,
                "a network such as 10.0.0.0/8 or 2001:db8::/32",
                network,
            )?),
            (None, None) if port.is_none() => return Err(Invalid::All { line }),
            (None, None) => None,
        };
        let until = until.map(|until| checked("until", until, text, UNTIL, instant));
        let until = until.transpose()?;
        Ok(Self::made(network, port, until, comment, Some(line)))
    }

    /// One that is asked for while a run goes on.
    fn new(new: NewSuppression) -> Result<Self, Error> {
        let NewSuppression { address, prefix, port, until, comment } = new;
        let read = |key: &str, value: Option<String>, expected: &str, read: fn(&str) -> Option<Prefix>| {
            let wrong = |value: &str| Error::refused(format!("{key} = \"{value}\": expected {expected}"));
            value.map(|value| read(&value).ok_or_else(|| wrong(&value))).transpose()
        };
        let address = read("address", address, "an IP address", host)?;
        let prefix = read("prefix", prefix, "a network such as 10.0.0.0/8 or 2001:db8::/32", network)?;
        let wrong = |value: &str| Error::refused(format!("until = \"{value}\": expected {UNTIL}"));
        let until = until.map(|value| instant(&value).ok_or_else(|| wrong(&value))).transpose()?;
        if address.is_some() && prefix.is_some() {
            return Err(Error::refused("give an address or a prefix, not both"));
        }
        if address.or(prefix).is_none() && port.is_none() {
            return Err(Error::refused(
                "give an address, a prefix or a port: whose alerts are not to be told",
            ));
        }
        Ok(Self::made(address.or(prefix), port, until, comment, None))
    }

    fn made(
        network: Option<Prefix>,
        port: Option<u16>,
        until: Option<Timestamp>,
        comment: Option<String>,
        line: Option<usize>,
    ) -> Self {
        let host = network.map(|(address, length)| match (address, length) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => address.to_string(),
            _ => format!("{address}/{length}"),
        });
        let of = host.into_iter().chain(port.map(|port| format!("port {port}")));
        let of = of.collect::<Vec<_>>().join(", ");
        let told = Suppressed {
            line,
            of,
            until: until.map(|until| until.iso8601()),
            is_ended: false,
            comment,
            alerts: 0,
        };
        Self { network, port, until, told }
    }

    /// Whom it is about, and up to when.
    fn words(&self) -> String {
        let Suppressed { of, until, .. } = &self.told;
        until.as_ref().map_or_else(|| of.clone(), |until| format!("{of} until {until}"))
    }

    fn holds(&self, headers: &Headers) -> bool {
        let layers = || [Some(headers.outer), headers.inner.map(|inner| inner.layer)].into_iter().flatten();
        let ends = || layers().flat_map(|layer| [layer.src, layer.dst]).flatten();
        let ports = || layers().filter_map(|layer| layer.ports).flat_map(|(from, to)| [from, to]);
        !self.told.is_ended
            && self.until.is_none_or(|until| headers.timestamp < until)
            && self.network.is_none_or(|network| ends().any(|address| is_within(address, network)))
            && self.port.is_none_or(|port| ports().any(|known| known == port))
    }
}

const UNTIL: &str = "a time with date and offset such as 2026-12-31T00:00:00Z";

/// What a value means, or that it is none that is expected.
fn checked<T: ToString, V>(
    key: &'static str,
    value: Spanned<T>,
    text: &str,
    expected: &'static str,
    read: impl Fn(&str) -> Option<V>,
) -> Result<V, Invalid> {
    let line = line(text, value.span().start);
    let value = value.into_inner().to_string();
    read(&value).ok_or(Invalid::Value { line, key, value, expected })
}

fn host(text: &str) -> Option<(IpAddr, u8)> {
    let address: IpAddr = text.parse().ok()?;
    Some((address, if address.is_ipv4() { 32 } else { 128 }))
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let (address, most) = host(address)?;
    let length = length.parse().ok().filter(|length| *length <= most)?;
    Some((address, length))
}

fn instant(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp::new(time.timestamp(), time.timestamp_subsec_nanos()))
}

/// Whether an address is within a network; one of IPv4 is in none of IPv6.
fn is_within(address: IpAddr, (network, length): (IpAddr, u8)) -> bool {
    let differing = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(length)
}

/// The line of a byte, from 1.
fn line(text: &str, byte: usize) -> usize {
    1 + text.as_bytes()[..byte.min(text.len())].iter().filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Layer;

    fn packet(src: &str, dst: &str, ports: (u16, u16), second: i64) -> Headers {
        let (src, dst) = (src.parse().ok(), dst.parse().ok());
        let outer = Layer { src, dst, ports: Some(ports), ..Layer::default() };
        Headers { timestamp: Timestamp::new(second, 0), outer, ..Headers::default() }
    }

    #[test]
    fn packets_are_taken_by_address_prefix_port_and_time() {
        let text = "\
[[suppress]]
address = \"10.0.0.7\"
until = 2026-12-31T01:00:00+01:00
comment = \"our scanner\"

[[suppress]]
prefix = \"2001:db8::/32\"
port = 53

[[suppress]]
port = 9100
";
        let mut rules = Suppression::parse(text).unwrap();
        let end = 1_798_675_200;
        let mut takes = |src, dst, ports, second| rules.takes(&packet(src, dst, ports, second));
        assert!(takes("10.0.0.7", "10.0.0.1", (1, 2), end - 1) && takes("10.0.0.1", "10.0.0.7", (2, 1), 0));
        assert!(!takes("10.0.0.7", "10.0.0.1", (1, 2), end) && !takes("10.0.0.8", "10.0.0.1", (1, 2), 0));
        assert!(takes("2001:db8::9", "::1", (53, 4), 0) && !takes("2001:db8::9", "::1", (54, 4), 0));
        assert!(!takes("2001:db9::9", "::1", (53, 4), 0) && takes("1.2.3.4", "5.6.7.8", (5, 9100), 0));
        let told: Vec<_> = rules.told().into_iter().map(|rule| (rule.line, rule.alerts)).collect();
        assert_eq!((told, rules.alerts()), (vec![(Some(1), 2), (Some(6), 1), (Some(10), 1)], Some(4)));
        assert_eq!(rules.told()[0].comment.as_deref(), Some("our scanner"));
        assert_eq!(Suppression::default().alerts(), None);
    }

    #[test]
    fn what_is_suppressed_changes_while_packets_come() {
        let mut rules = Suppression::default();
        let packet = packet("10.0.0.7", "10.0.0.1", (1, 53), 5);
        assert!(!rules.takes(&packet));
        let add = |address: Option<&str>, prefix: Option<&str>, port, until: Option<&str>| {
            let [address, prefix, until] = [address, prefix, until].map(|value| value.map(str::to_owned));
            SuppressionChange::Add(NewSuppression { address, prefix, port, until, comment: None })
        };
        let words = rules.change(add(None, Some("10.0.0.0/24"), Some(53), None)).unwrap();
        assert_eq!(words, "number 0: 10.0.0.0/24, port 53");
        assert!(rules.takes(&packet) && rules.takes(&packet));
        let words = rules.change(SuppressionChange::End { number: 0 }).unwrap();
        assert_eq!(words, "number 0 ends: 10.0.0.0/24, port 53");
        assert!(!rules.takes(&packet));
        // What it did stays told.
        assert_eq!((rules.alerts(), rules.told()[0].is_ended), (Some(2), true));
        rules.change(add(Some("10.0.0.1"), None, None, Some("1970-01-01T00:00:05Z"))).unwrap();
        assert!(!rules.takes(&packet), "its time is over");
        for (change, words) in [
            (SuppressionChange::End { number: 0 }, "no suppression 0 is in force; there were 2 so far"),
            (SuppressionChange::End { number: 9 }, "no suppression 9"),
            (add(None, None, None, None), "give an address, a prefix or a port"),
            (add(Some("10.0.0"), None, None, None), "address = \"10.0.0\": expected an IP address"),
            (add(None, Some("::/129"), None, None), "prefix = \"::/129\": expected a network"),
            (add(Some("::1"), Some("::/0"), None, None), "not both"),
            (add(Some("::1"), None, None, Some("soon")), "until = \"soon\": expected a time"),
        ] {
            let error = rules.change(change).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(rules.told().len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_key() {
        for (text, expected) in [
            ("", "holds no [[suppress]]; each suppression begins with that line"),
            ("[[suppress]]\naddress = \"10.0.0\"\n", "line 2: address = \"10.0.0\": expected an IP address"),
            (
                "\n[[suppress]]\nprefix = \"10.0.0.0/33\"\n",
                "line 3: prefix = \"10.0.0.0/33\": expected a network",
            ),
            ("[[suppress]]\ncomment = \"x\"\n", "line 1: [[suppress]] has no address, prefix or port"),
            (
                "[[suppress]]\naddress = \"::1\"\nprefix = \"::/0\"\n",
                "line 1: [[suppress]] has an address and a prefix",
            ),
            (
                "[[suppress]]\nport = 1\nuntil = 2026-12-31\n",
                "line 3: until = \"2026-12-31\": expected a time with date",
            ),
            ("[[suppress]]\nport = 1\nuntil = \"soon\"\n", "line 3: "),
            ("[[suppress]]\nport = 70000\n", "line 2: "),
            ("[[suppress]]\nadress = \"10.0.0.1\"\n", "line 2: unknown field `adress`"),
            ("[[suppress\naddress = \"10.0.0.1\"\n", "line 1: "),
            ("[[suppress]]\naddress = \"10.0.0.1\n", "line 2: "),
        ] {
            let error = Suppression::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected) && error.lines().count() == 1, "{text:?}: {error}");
        }
    }
}
