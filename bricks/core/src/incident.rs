//! Incidents: the alerts of a source, gathered into what it did.

mod words;

pub use words::grouped;

use crate::{Coverage, Origin, Timestamp};
use serde::{Deserialize, Serialize};

/// What a source did, told from the peers and ports of its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Few packets to each of many hosts.
    HostScan,
    /// Few small packets to each of many ports of few hosts.
    PortScan,
    /// Many packets a second to few hosts.
    Flood,
    /// None of these.
    #[default]
    Other,
}

impl Activity {
    /// Every activity.
    pub const ALL: [Self; 4] = [Self::HostScan, Self::PortScan, Self::Flood, Self::Other];

    /// Its name in tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::HostScan => "host-scan",
            Self::PortScan => "port-scan",
            Self::Flood => "flood",
            Self::Other => "other",
        }
    }
}

/// How far scores were above the threshold at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Up to three times the threshold.
    #[default]
    Low,
    /// Up to ten times.
    Medium,
    /// More than that, or any score above a threshold of 0 or less.
    High,
}

impl Severity {
    /// That of a peak over a threshold.
    pub fn of(peak: f64, threshold: f64) -> Self {
        match peak / threshold {
            ratio if threshold <= 0.0 || ratio > 10.0 => Self::High,
            ratio if ratio > 3.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Its word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// As Suricata counts: 1 is the highest.
    pub const fn number(self) -> u8 {
        3 - self as u8
    }
}

/// One of many, with its number of packets: exact while there are up to eight, and no less than the true number beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted<T> {
    /// Which one.
    pub value: T,
    /// Packets.
    pub packets: u64,
}

/// A feature that was far from what the network expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// Name in the schema.
    pub feature: String,
    /// What it measures, in words.
    pub words: String,
    /// What the network expected, in the feature's own unit.
    pub expected: f64,
    /// What was observed.
    pub observed: f64,
}

/// Alerts of one source without a long gap between them, in which it did one thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Whom it is about; unknown for those of many sources together.
    #[serde(flatten)]
    pub source: Origin,
    /// How many sources: 1, or more where many sources with few alerts each are told of together.
    pub sources: u64,
    /// What it did.
    pub activity: Activity,
    /// How severe it is.
    pub severity: Severity,
    /// Time of its first alert, in UTC.
    #[serde(with = "iso8601")]
    pub since: Timestamp,
    /// Time of its last alert.
    #[serde(with = "iso8601")]
    pub until: Timestamp,
    /// Seconds from the first to the last.
    pub seconds: f64,
    /// Stream time of the first and the last alert in nanoseconds: the places on the axis of a plot.
    #[serde(skip)]
    pub stream: (i64, i64),
    /// Packets above the threshold.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Hosts to which they went: exact up to about a hundred, within some percent beyond that.
    pub hosts: u64,
    /// The hosts with most packets.
    pub top_hosts: Vec<Counted<String>>,
    /// Ports of services on either side, as [`hosts`](Self::hosts).
    pub ports: u64,
    /// The ports with most packets.
    pub top_ports: Vec<Counted<u16>>,
    /// The threshold.
    pub threshold: f64,
    /// Mean score of its packets.
    pub mean_score: f64,
    /// Highest score.
    pub peak_score: f64,
    /// Number of the packet with the highest score in the capture, from 0.
    pub peak_seq: u64,
    /// Number of its first packet.
    pub first_seq: u64,
    /// What deviated most in the packet with the highest score; empty where nobody asked.
    pub features: Vec<Deviation>,
    /// Packets of it that the labels call malicious, where there are labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malicious: Option<u64>,
    /// Where all packets went up to the time at which the incident was closed.
    pub coverage: Coverage,
}

/// Times as text.
mod iso8601 {
    use super::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.iso8601())
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::from_iso8601(&text).ok_or_else(|| D::Error::custom("expected a time in UTC"))
    }
}

/// What an alert is to the incident that it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notice {
    /// The packet raises no alert.
    #[default]
    None,
    /// It would raise one, but its source is not to be told of.
    Suppressed,
    /// The first alert of an incident.
    First,
    /// A score that is at least twice the highest one of which this was said, or of the first.
    Higher,
    /// Any other.
    Further,
}

/// What was found of a batch beside its columns.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// For each packet.
    pub notices: Vec<Notice>,
    /// Incidents that were closed, each with the place of the packet before which it was.
    pub closed: Vec<(usize, Incident)>,
}

impl Findings {
    /// Forgets a batch, and keeps the memory.
    pub fn clear(&mut self) {
        self.notices.clear();
        self.closed.clear();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn scan() -> Incident {
        Incident {
            source: Origin::Ip("192.168.50.21".parse().unwrap()),
            sources: 1,
            activity: Activity::HostScan,
            severity: Severity::of(12.5, 2.5),
            since: Timestamp::new(1_795_265_206, 0),
            until: Timestamp::new(1_795_265_277, 400_000_000),
            seconds: 71.4,
            stream: (0, 0),
            packets: 14_596,
            bytes: 875_760,
            hosts: 5_300,
            top_hosts: Vec::new(),
            ports: 2,
            top_ports: vec![Counted { value: 23, packets: 8_000 }, Counted { value: 2323, packets: 6_596 }],
            threshold: 2.5,
            mean_score: 8.0,
            peak_score: 12.5,
            peak_seq: 77,
            first_seq: 70,
            features: Vec::new(),
            malicious: None,
            coverage: Coverage::default(),
        }
    }

    #[test]
    fn severity_follows_the_ratio_to_the_threshold() {
        let of = |peak| Severity::of(peak, 2.0);
        assert_eq!([2.1, 6.0, 6.1, 20.0, 20.1].map(of).map(Severity::number), [3, 3, 2, 2, 1]);
        assert_eq!(Severity::of(0.5, -1.0), Severity::High);
    }

    #[test]
    fn programs_read_names_and_dates() {
        let json = serde_json::to_value(scan()).unwrap();
        assert_eq!((&json["src_ip"], &json["activity"]), (&"192.168.50.21".into(), &"host-scan".into()));
        assert_eq!((&json["severity"], &json["top_ports"][1]["value"]), (&"medium".into(), &2323.into()));
        assert_eq!(json["since"], "2026-11-21T12:46:46.000000+0000");
        assert!(json.get("malicious").is_none());
        let mac = Incident { source: Origin::Mac("02:00:00:00:00:0f".parse().unwrap()), ..scan() };
        for incident in [scan(), mac, Incident { source: Origin::Unknown, ..scan() }] {
            let text = serde_json::to_string(&incident).unwrap();
            assert_eq!(serde_json::from_str::<Incident>(&text).unwrap(), incident);
        }
    }
}
