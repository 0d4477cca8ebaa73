//! `legonf live`: the packets of a network interface through the brick graph, as they come.

use crate::alerts::Alerts;
use crate::failure::Failure;
use crate::invalid::Invalid;
use crate::scoring::{Scoring, render};
use crate::steering::{self, Steering};
use crate::{Style, interrupt};
use clap::Args;
use legonf_engine::live::{Bounds, Forward, LiveConfig};
use legonf_engine::{Live, Seed};
use legonf_output::printable;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Scores the packets of a network interface as they come, until Ctrl-C, SIGTERM, --duration or
/// --packets; then sums up. Packets that the kernel or the interface lost are counted as dropped.
///
/// It needs the capability CAP_NET_RAW and nothing else:
///
///   sudo setcap cap_net_raw=ep $(command -v legonf)
///
/// As soon as the interface is open, and before the model is read, it gives up all capabilities,
/// root's too, and the system calls that lead to new ones. Run as root it stays root's user without
/// them, so that it can open its files anew, unless --user names another, who must then be able to
/// read the model and to write into the outputs' folders.
///
/// --record keeps what was seen: a replay of it with the same --slot-seed gives the same scores.
///
/// Outputs have their own names while they grow, and every batch is with the system when it is
/// scored: what was seen survives a `kill -9`. After a SIGHUP the run goes on in new files, as
/// logrotate expects. A full disk, and a socket or a named pipe whose reader is away or does not
/// keep up, cost what could not be written, which is counted, and not the run. An interface that
/// goes down is listened to again when it comes up; one that is removed ends the run.
///
/// With --controller it runs as `legonf run` does (`legonf run --help` says what a policy is): the
/// controller finds the brick that is the bottleneck, replicates it, and merges it again when the
/// load has gone, with the same scores. What finds no room meanwhile is dropped, and counted.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Interface to listen on; `any` is all of them.
    #[arg(long, short, value_name = "IFACE")]
    interface: String,
    #[command(flatten)]
    scoring: Scoring,
    /// Only packets that this BPF expression takes, such as 'tcp and not port 22' (man 7 pcap-filter).
    #[arg(long, value_name = "BPF")]
    filter: Option<String>,
    /// Alerts as they come, in Suricata's EVE JSON: a file, which is appended to, a named pipe, `-` for standard output (the
    /// summary then goes to standard error), or unix:PATH for a socket on which a reader listens. Up to 4 MiB are kept for a
    /// reader who is slow or away.
    #[arg(long, value_name = "FILE|-|unix:PATH")]
    eve: Option<OsString>,
    /// Begin a new --eve file before one exceeds this size (K, M, G); the full ones become FILE.1, FILE.2, ...
    #[arg(long, value_name = "SIZE", requires = "eve", value_parser = size)]
    rotate: Option<u64>,
    #[command(flatten)]
    alerts: Alerts,
    /// Score of every packet (CSV). A file of this name becomes FILE.1, or what number follows.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Every packet that was scored, as pcapng with nanoseconds, for its owner alone to read; where bricks rewrite packets, as they are
    /// then. A file of this name becomes FILE.1,
    /// or what number follows.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Send the packets of this port of the graph out of that interface, or nowhere (`none`). Each port of a graph that acts on
    /// packets needs one; any other graph has the port `out`, by which all leave as they came. What cannot be sent is counted as
    /// dropped.
    #[arg(long, value_name = "PORT=IFACE|none", value_parser = forward)]
    forward: Vec<Forward>,
    /// Go on as this user (name or number) once the interface is open; root can.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Bytes of each packet that are kept.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    snaplen: u32,
    /// Size of the kernel's ring (K, M, G): what it holds while legonf is busy is not lost.
    #[arg(long, value_name = "SIZE", default_value = "32M", value_parser = ring)]
    buffer: u32,
    /// How long the kernel may hold packets back to deliver more at once. Under a policy's `latency_ms` no batch waits for longer
    /// than the deadline of packet batching, if that is less.
    #[arg(long, value_name = "MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    latency: u64,
    /// Take only packets from and to this machine.
    #[arg(long)]
    no_promiscuous: bool,
    /// Run under the controller; --policy, --costs, --costs-out and --events ask for it too.
    #[arg(long)]
    controller: bool,
    #[command(flatten)]
    steering: Steering,
    /// End after this many seconds.
    #[arg(long, value_name = "S", value_parser = seconds)]
    duration: Option<Duration>,
    /// End after this many packets.
    #[arg(long, value_name = "N")]
    packets: Option<u64>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_outputs(arguments.steering.given().outputs())?;
    style.check_results(arguments.scoring.outputs())?;
    let live = arguments.given();
    let report = live.run(&style.session())?;
    // The summary goes where it is in no one's way.
    let print = |text: &str| match live.takes_standard_output() {
        true => Ok(std::io::stderr().write_all(printable(text).as_bytes())?),
        false => crate::failure::print(text),
    };
    print(&render(&report, style)?)?;
    let decided = report.decided?;
    if !style.quiet && !style.json {
        print(&steering::lines(&decided))?;
    }
    report.ended.map_or(Ok(()), |ended| Err(ended.into()))
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> Live {
        Live {
            config: self.config(),
            bounds: Bounds { packets: self.packets, duration: self.duration },
            user: self.user.clone(),
            scoring: self.scoring.given(Seed::Random),
            eve: self.eve.clone(),
            rotate: self.rotate,
            alerts: self.alerts.rate(),
            watching: self.alerts.watching(),
            scores: self.scores.clone(),
            record: self.record.clone(),
            forward: self.forward.clone(),
            steering: (self.controller || self.steering.is_given()).then(|| self.steering.given()),
            reopen: interrupt::hang_up(),
        }
    }

    fn config(&self) -> LiveConfig {
        LiveConfig {
            filter: self.filter.clone(),
            snaplen: self.snaplen,
            buffer: self.buffer,
            latency: Duration::from_millis(self.latency),
            promiscuous: !self.no_promiscuous,
            ..LiveConfig::new(&*self.interface)
        }
    }
}

/// A number of bytes with K, M or G behind it for powers of 1,024.
fn size(text: &str) -> Result<u64, Invalid> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units.iter().find(|(letter, _)| text.to_ascii_uppercase().ends_with(*letter));
    let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or(Invalid::Value("a size such as 500000, 64K, 32M or 1G"))
}

/// Size of a ring, within what libpcap takes.
fn ring(text: &str) -> Result<u32, Invalid> {
    let bytes = size(text)?;
    let bytes = u32::try_from(bytes).ok().filter(|bytes| (64 << 10..=1 << 30).contains(bytes));
    bytes.ok_or(Invalid::Value("a size from 64K to 1G"))
}

/// A port and its interface.
fn forward(text: &str) -> Result<Forward, Invalid> {
    let given = text.split_once('=').filter(|(port, interface)| !port.is_empty() && !interface.is_empty());
    let (port, interface) = given.ok_or(Invalid::Value("PORT=INTERFACE or PORT=none"))?;
    Ok(Forward { port: port.into(), interface: (interface != "none").then(|| interface.into()) })
}

fn seconds(text: &str) -> Result<Duration, Invalid> {
    let seconds = text.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    seconds.filter(|time| !time.is_zero()).ok_or(Invalid::Value("a number of seconds above 0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("500", 500), ("64K", 65_536), ("32m", 32 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        for text in ["", "K", "0", "-1", "1.5M", "64KB", "99999999999G", "1é"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!((ring("64K").unwrap(), ring("1G").unwrap()), (1 << 16, 1 << 30));
        assert!(ring("63K").is_err() && ring("2G").is_err());
    }

    #[test]
    fn durations_are_positive() {
        assert_eq!(seconds("1.5").unwrap(), Duration::from_millis(1500));
        for text in ["0", "-1", "inf", "NaN", "1e300", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
