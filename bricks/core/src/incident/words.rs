//! Incidents in plain words.

use super::{Activity, Counted, Deviation, Incident};
use std::fmt;

/// Ports of which the numbers of packets are exact, at most.
const EXACT: u64 = 8;

impl Activity {
    /// In a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::HostScan => "a scan of hosts",
            Self::PortScan => "a scan of ports",
            Self::Flood => "a flood",
            Self::Other => "unusual traffic",
        }
    }
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let digits = number.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    })
}

/// One sentence without its full stop: who, since when, what, how unusual. Times are UTC.
impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sources {
            1 => write!(f, "{}", self.source)?,
            many => write!(f, "{} sources", grouped(many))?,
        }
        let begin = self.since.iso8601();
        write!(f, ": from {} for {}, {} ", &begin[11..19], span(self.seconds), grouped(self.packets))?;
        write!(f, "{} to ", if self.packets == 1 { "packet" } else { "packets" })?;
        match (self.hosts, self.top_hosts.first()) {
            (1, Some(host)) => f.write_str(&host.value)?,
            (hosts, _) => write!(f, "{} hosts", grouped(hosts))?,
        }
        self.ports(f)?;
        write!(f, ": {}", self.activity.words())?;
        self.features.first().map_or(Ok(()), |feature| write!(f, "; {feature}"))
    }
}

impl Incident {
    fn ports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let often = |port: &&Counted<u16>| 20 * port.packets >= self.packets;
        let named: Vec<_> = self.top_ports.iter().filter(often).map(|port| port.value.to_string()).collect();
        let others = self.ports.saturating_sub(named.len() as u64);
        match &named[..] {
            _ if self.ports == 0 => return Ok(()),
            // Of more than these the numbers are not exact.
            [] => return write!(f, " on {} ports", grouped(self.ports)),
            _ if self.ports > EXACT => return write!(f, " on {} ports", grouped(self.ports)),
            [one] => write!(f, " on port {one}")?,
            [first @ .., last] => write!(f, " on ports {} and {last}", first.join(", "))?,
        }
        match others {
            0 => Ok(()),
            1 => f.write_str(" and another"),
            _ => write!(f, " and {others} others"),
        }
    }
}

/// A time in whole seconds, or in minutes where it is long.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.95 => "less than 1 s".into(),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 36_000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

/// The feature with how far it was from what was expected.
impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.observed / self.expected {
            ratio if self.expected > 0.0 && ratio >= 3.0 => "far more than usual",
            _ if self.observed > self.expected => "more than usual",
            ratio if self.expected > 0.0 && ratio <= 1.0 / 3.0 => "far less than usual",
            _ if self.observed < self.expected => "less than usual",
            _ => "unusual together with others",
        };
        write!(f, "{}: {how}", self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scan;
    use super::*;
    use crate::Origin;

    #[test]
    fn a_sentence_says_who_since_when_and_what() {
        let begin = "192.168.50.21: from 12:46:46 for 71 s, 14,596 packets to 5,300 hosts on ports 23 and 2323: a scan of hosts";
        assert_eq!(scan().to_string(), begin);
        let feature = Deviation {
            feature: "MI_L0.01_weight".into(),
            words: "packets a second from this MAC over 100 s".into(),
            expected: 1.0,
            observed: 90.0,
        };
        let why = Incident { features: vec![feature], ..scan() };
        let expected = format!("{begin}; packets a second from this MAC over 100 s: far more than usual");
        assert_eq!(why.to_string(), expected);
    }

    #[test]
    fn what_there_is_one_of_is_named() {
        let host = Counted { value: "203.0.113.20".to_owned(), packets: 1 };
        let one = Incident {
            packets: 1,
            hosts: 1,
            top_hosts: vec![host],
            seconds: 0.0,
            ports: 1,
            top_ports: vec![Counted { value: 80, packets: 1 }],
            activity: Activity::Other,
            ..scan()
        };
        let text = "192.168.50.21: from 12:46:46 for less than 1 s, 1 packet to 203.0.113.20 on port 80: unusual traffic";
        assert_eq!(one.to_string(), text);
        let rare = [(23, 8_000), (2323, 6_500), (80, 40)].map(|(value, packets)| Counted { value, packets });
        let mixed = Incident { ports: 6, top_ports: rare.into(), ..scan() };
        assert!(mixed.to_string().contains(" hosts on ports 23 and 2323 and 4 others: "), "{mixed}");
        let many =
            Incident { source: Origin::Unknown, sources: 1_200, ports: 4_000, seconds: 7_000.0, ..scan() };
        assert!(many.to_string().starts_with("1,200 sources: from 12:46:46 for 117 min, 14,596 packets"));
        assert!(many.to_string().contains(" on 4,000 ports: "));
    }
}
