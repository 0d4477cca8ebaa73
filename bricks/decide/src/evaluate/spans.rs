//! What alerts are worth to a person: by windows of time, by hosts and by incidents, and how soon they come.

use super::Confusion;
use legonf_core::{Headers, Verdict};
use serde::Serialize;

/// Nanoseconds of a window.
const WINDOW: i64 = 10_000_000_000;

/// How many of some things are malicious, and of how many there was an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// By truth and alert.
    pub confusion: Confusion,
    /// Part of the malicious ones with an alert; none where there are none.
    pub recall: Option<f64>,
    /// Part of those with an alert that are malicious; none where there are none.
    pub precision: Option<f64>,
}

impl Figures {
    /// Of things of which it is known whether they are malicious, and whether there was an alert.
    pub fn of(truths: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut confusion = Confusion::default();
        truths.into_iter().for_each(|(malicious, alert)| confusion.count(malicious, alert));
        Self::from(confusion)
    }
}

impl From<Confusion> for Figures {
    fn from(confusion: Confusion) -> Self {
        Self { confusion, recall: confusion.true_positive_rate(), precision: confusion.precision() }
    }
}

/// Figures beside those of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SpanReport {
    /// Of windows of 10 s: malicious with a malicious packet, with an alert where a packet is above the threshold.
    pub windows: Figures,
    /// Of hosts, likewise by the packets that they sent.
    pub hosts: Figures,
    /// Of incidents: right if one of their packets is malicious.
    pub incidents: Figures,
    /// Seconds from the first malicious packet to the first one above the threshold; none where there is none.
    pub seconds_to_first_alert: Option<f64>,
}

/// Windows of 10 s of stream time, in the order of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Windows {
    confusion: Confusion,
    current: Option<i64>,
    malicious: bool,
    alert: bool,
    /// Times of the first malicious packet, and of the first one that was found.
    attack: Option<i64>,
    found: Option<i64>,
}

impl Windows {
    /// Adds a packet with its label.
    pub fn push(&mut self, headers: &Headers, verdict: Verdict, malicious: bool) {
        let time = headers.stream_time().as_nanos();
        let window = time.div_euclid(WINDOW);
        if self.current.is_none_or(|current| window > current) {
            self.end();
            self.current = Some(window);
        }
        let alert = verdict == Verdict::ANOMALOUS;
        self.malicious |= malicious;
        self.alert |= alert;
        if malicious {
            self.attack.get_or_insert(time);
        }
        if malicious && alert {
            self.found.get_or_insert(time);
        }
    }

    fn end(&mut self) {
        if self.current.is_some() {
            self.confusion.count(self.malicious, self.alert);
        }
        (self.malicious, self.alert) = (false, false);
    }

    /// The figures, with those of hosts and of incidents: for each whether it is malicious, and whether there was an alert.
    pub fn beside(
        mut self,
        hosts: impl IntoIterator<Item = (bool, bool)>,
        incidents: impl IntoIterator<Item = (bool, bool)>,
    ) -> SpanReport {
        self.end();
        let seconds =
            self.attack.zip(self.found).map(|(attack, found)| found.saturating_sub(attack) as f64 / 1e9);
        SpanReport {
            windows: self.confusion.into(),
            hosts: Figures::of(hosts),
            incidents: Figures::of(incidents),
            seconds_to_first_alert: seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Timestamp;

    #[test]
    fn windows_hosts_and_incidents_are_right_or_wrong() {
        let mut windows = Windows::default();
        let mut push = |seconds: f64, above: bool, malicious: bool| {
            let timestamp = Timestamp::from_nanos((seconds * 1e9) as i64);
            let verdict = if above { Verdict::ANOMALOUS } else { Verdict::BENIGN };
            windows.push(&Headers { timestamp, ..Headers::default() }, verdict, malicious);
        };
        push(1.0, false, false);
        push(12.0, true, false);
        push(25.0, false, true);
        push(28.5, true, true);
        push(28.4, false, false);
        push(41.0, false, true);
        let report = windows.beside([(true, true), (false, false)], [(false, true)]);
        let expected =
            Confusion { true_positives: 1, false_positives: 1, true_negatives: 1, false_negatives: 1 };
        assert_eq!(report.windows.confusion, expected);
        assert_eq!((report.hosts.recall, report.hosts.precision), (Some(1.0), Some(1.0)));
        assert_eq!((report.incidents.recall, report.incidents.precision), (None, Some(0.0)));
        assert_eq!(report.seconds_to_first_alert, Some(3.5));
        assert_eq!(Windows::default().beside([], []), SpanReport::default());
    }
}
