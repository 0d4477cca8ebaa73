//! `legonf hosts`: what was seen of each host in the results of a replay.

use crate::Style;
use crate::failure::{Failure, print_json, tell};
use crate::summary::tables;
use clap::Args;
use legonf_core::{count, grouped};
use legonf_engine::reading::{self, parsed};
use legonf_output::one_line;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Shows each host of the results that `legonf replay --out` wrote: its packets, the share of them above the threshold, the highest
/// score, its incidents, and when its packets were above the threshold. Those with most such packets come first.
#[derive(Args)]
pub struct Arguments {
    /// Folder of results.
    results: PathBuf,
    /// Show so many hosts, 0 for all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
}

/// The address of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
struct Address {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    src_ip: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    src_mac: Option<String>,
}

/// A host of `hosts.json`.
#[derive(Debug, Deserialize, Serialize)]
struct Host {
    #[serde(flatten)]
    address: Address,
    packets: u64,
    above: u64,
    peak: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    malicious: Option<u64>,
    strip: Vec<u32>,
    /// Of `incidents.json`.
    #[serde(default)]
    incidents: u64,
}

/// `hosts.json`.
#[derive(Debug, Deserialize, Serialize)]
struct Report {
    span_seconds: f64,
    hosts: Vec<Host>,
    others: u64,
    others_above: u64,
    evicted: u64,
}

/// What is needed of an incident.
#[derive(Debug, Deserialize)]
struct Incident {
    #[serde(flatten)]
    address: Address,
    sources: u64,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let mut report: Report = read(&arguments.results, "hosts.json")?;
    let incidents: Vec<Incident> = read(&arguments.results, "incidents.json")?;
    let mut numbers = BTreeMap::new();
    for incident in incidents.into_iter().filter(|incident| incident.sources == 1) {
        *numbers.entry(incident.address).or_default() += 1;
    }
    for host in &mut report.hosts {
        host.incidents = numbers.get(&host.address).copied().unwrap_or(0);
    }
    if style.json { print_json(&report) } else { tell(&text(&report, arguments.rows)) }
}

fn read<T: for<'a> Deserialize<'a>>(results: &Path, name: &str) -> Result<T, Failure> {
    let path = results.join(name);
    if !path.exists() {
        let reason =
            format!("holds no {name}; legonf replay --out writes it for a capture and a graph with scores");
        return Err(Failure::fault(format!("{}: {reason}", results.display())));
    }
    Ok(parsed(&path, reading::DOCUMENT, |text| serde_json::from_str(text))?)
}

/// Columns of a strip: with them a line has 80.
const STRIP: usize = 23;
/// Columns of a name; longer ones have a line of their own.
const NAME: usize = 17;

fn text(report: &Report, limit: usize) -> String {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let spans = report.hosts.iter().map(|host| host.strip.len()).max().unwrap_or(0);
    let when = format!("when, of {:.0} s", report.span_seconds * spans as f64);
    let headings = ["host", "packets", "above", "peak", "incidents", &when];
    let rows: Vec<_> = report.hosts.iter().take(limit).map(|host| cells(host, spans)).collect();
    let mut out = tables::table(&headings, &rows, line);
    let more = report.hosts.len().saturating_sub(limit);
    if more > 0 {
        out += &format!("and {} more (--rows 0 shows all)\n", count(more as u64, "host"));
    }
    if report.others > 0 {
        let (others, above) = (grouped(report.others), grouped(report.others_above));
        out += &format!("and {others} packets of other hosts, {above} of them above the threshold\n");
    }
    out
}

/// What is shown of a host.
fn cells(host: &Host, spans: usize) -> Vec<String> {
    let name = host.address.src_ip.as_deref().or(host.address.src_mac.as_deref()).unwrap_or("no address");
    vec![
        one_line(name).into_owned(),
        grouped(host.packets).to_string(),
        format!("{:.1}%", 100.0 * host.above as f64 / host.packets.max(1) as f64),
        host.peak.map_or_else(|| "-".into(), significant),
        host.incidents.to_string(),
        strip(&host.strip, spans),
    ]
}

/// A row of the table. A long name has a line of its own.
fn line(cells: &[String]) -> String {
    let [name, packets, above, peak, incidents, when] = cells else { return String::new() };
    let figures = format!(" {packets:>10} {above:>7} {peak:>8} {incidents:>9}  {when}\n");
    match name.chars().count() > NAME {
        true => format!("{name}\n{:NAME$}{figures}", ""),
        false => format!("{name:<NAME$}{figures}"),
    }
}

/// Four digits that count, within eight columns.
fn significant(value: f64) -> String {
    match value.abs() {
        size if !(1e-3..1e6).contains(&size) && size > 0.0 => format!("{value:.2e}"),
        size if size >= 1_000.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}

/// Bars for equal spans of the whole time: a dot where no packet was above the threshold, and the height by the number.
fn strip(packets: &[u32], spans: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = spans.clamp(1, STRIP);
    let mut sums = vec![0_u64; columns];
    for (span, packets) in packets.iter().enumerate() {
        sums[span * columns / spans.max(1)] += u64::from(*packets);
    }
    let most = sums.iter().copied().max().unwrap_or(0).max(1);
    let bar = |sum: u64| if sum == 0 { '·' } else { BARS[((sum * 8).div_ceil(most) as usize - 1).min(7)] };
    sums.into_iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_show_when_and_how_much() {
        assert_eq!(strip(&[0, 1, 8, 4], 4), "·▁█▄");
        assert_eq!(strip(&[], 3), "···");
        let long: Vec<u32> = (0..48).collect();
        assert_eq!(strip(&long, 48).chars().count(), STRIP);
        assert_eq!(strip(&[], 0), "·");
    }

    #[test]
    fn lines_fit_80_columns() {
        let host = |name: &str, packets| Host {
            address: Address { src_ip: Some(name.into()), src_mac: None },
            packets,
            above: packets / 2,
            peak: Some(6_689_556.25),
            malicious: None,
            strip: vec![1; 48],
            incidents: 4_096,
        };
        let hosts = vec![
            host("192.168.150.121", 99_999_999),
            host("2001:db8:1234:5678:9abc:def0:1234:5678", 1),
            host("a\u{1b}[31m", 2),
        ];
        let report = Report { span_seconds: 6.3, hosts, others: 9, others_above: 1, evicted: 3 };
        let shown = text(&report, 2);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains(" 50.0%") && shown.contains("and 1 host more"), "{shown}");
        assert!(!text(&report, 0).contains('\u{1b}'));
    }
}
