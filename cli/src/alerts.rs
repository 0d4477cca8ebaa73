//! The options that say what is told of alerts.

use crate::invalid::Invalid;
use clap::Args;
use legonf_engine::Watching;
use legonf_engine::arguments::time;
use legonf_io::sink::{AlertRate, PerSource};
use std::path::PathBuf;
use std::time::Duration;

/// Which alerts are written, and what they are gathered into; all are counted.
#[derive(Clone, Args)]
pub struct Alerts {
    /// Which alerts of a source are written: all; the first of each incident; peak: the first, and each whose score is at least twice
    /// that of those before; or at most so many in a time (5/s, 1/10m; of packet time). The others are held back, and counted.
    #[arg(long, value_name = "all|first|peak|N/TIME", default_value = "peak", value_parser = per_source)]
    alerts: PerSource,
    /// Write at most so many alerts a second (of packet time) of all sources together, 0 for all.
    #[arg(long, value_name = "N", default_value_t = AlertRate::default().per_second)]
    alerts_per_second: u32,
    /// Hosts of which no alerts are told (TOML): one `suppress` table for each, with `address` or `prefix`, `port`, `until` (RFC 3339) and
    /// `comment`. Packets from and to them stay in the features; their alerts are counted as suppressed.
    #[arg(long, value_name = "FILE")]
    suppress: Option<PathBuf>,
    /// What the alerts gather into, for each source: since when, what it did, to whom, how severe. JSON, CSV, Parquet, or Zeek's
    /// notice.log, by the extension (.json, .csv, .parquet, .log).
    #[arg(long, value_name = "FILE")]
    incidents: Option<PathBuf>,
    /// A source that raised no alert for so long ends its incident.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    incident_gap: Duration,
}

impl Alerts {
    /// Which alerts are written.
    pub fn rate(&self) -> AlertRate {
        AlertRate { per_source: self.alerts, per_second: self.alerts_per_second }
    }

    /// What they are gathered into.
    pub fn watching(&self) -> Watching {
        Watching {
            gap: self.incident_gap,
            suppress: self.suppress.clone(),
            incidents: self.incidents.clone(),
        }
    }
}

/// A word, or a number of alerts in a time: `5/s` is `5/1s`.
fn per_source(text: &str) -> Result<PerSource, Invalid> {
    const EXPECTED: Invalid = Invalid::Value("all, first, peak, or a number in a time such as 5/s or 1/10m");
    match text {
        "all" => return Ok(PerSource::All),
        "first" => return Ok(PerSource::First),
        "peak" => return Ok(PerSource::Peak),
        _ => {}
    }
    let (alerts, each) = text.split_once('/').ok_or(EXPECTED)?;
    let alerts = alerts.parse().ok().filter(|alerts| *alerts > 0).ok_or(EXPECTED)?;
    let one = if each.starts_with(|c: char| c.is_ascii_alphabetic()) { "1" } else { "" };
    let span = time(&format!("{one}{each}")).map_err(|_| EXPECTED)?;
    Ok(PerSource::Rate { alerts, span })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_chosen_by_a_word_or_a_rate() {
        let rate = |alerts, seconds| PerSource::Rate { alerts, span: Duration::from_secs(seconds) };
        for (text, expected) in [
            ("all", PerSource::All),
            ("first", PerSource::First),
            ("peak", PerSource::Peak),
            ("5/s", rate(5, 1)),
            ("1/10m", rate(1, 600)),
            ("3/h", rate(3, 3_600)),
        ] {
            assert_eq!(per_source(text).unwrap(), expected, "{text}");
        }
        for text in ["", "some", "0/s", "5", "5/", "/s", "5/soon", "-1/s"] {
            assert!(per_source(text).is_err(), "{text}");
        }
    }
}
