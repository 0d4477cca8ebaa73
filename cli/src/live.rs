//! `legonf live`: the packets of a network interface through the brick graph, as they come.

mod outputs;

use crate::agent::Agent;
use crate::alerts::Alerts;
use crate::failure::Failure;
use crate::progress::Bar;
use crate::replay::tally::Tally;
use crate::scoring::{Report, Scoring, fault_after, render};
use crate::steering::{Steering, Work};
use crate::summary::Incidents;
use crate::{Style, features, interrupt};
use clap::Args;
use legonf_io::Content;
use legonf_live::{Bounds, LiveConfig, LiveSource, Losses};
use legonf_output::printable;
use legonf_runtime::Control;
use outputs::{Outputs, Purpose};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Scores the packets of a network interface as they come, until Ctrl-C, SIGTERM, --duration or
/// --packets; then sums up. Packets that the kernel or the interface lost are counted as dropped.
///
/// It needs the capability CAP_NET_RAW and nothing else:
///
///   sudo setcap cap_net_raw=ep $(command -v legonf)
///
/// As soon as the interface is open it gives up all capabilities, root's too: run as root, it can
/// write only where root's user can without special rights. --record keeps what was seen: a replay
/// of it gives the same scores.
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
    /// Alerts as they come, in Suricata's EVE JSON: a file, which is appended to, `-` for standard output (the summary
    /// then goes to standard error), or unix:PATH for a socket on which a reader listens.
    #[arg(long, value_name = "FILE|-|unix:PATH")]
    eve: Option<OsString>,
    /// Begin a new --eve file before one exceeds this size (K, M, G); the full ones become FILE.1, FILE.2, ...
    #[arg(long, value_name = "SIZE", requires = "eve", value_parser = size)]
    rotate: Option<u64>,
    #[command(flatten)]
    alerts: Alerts,
    /// Score of every packet (CSV).
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Every packet that was scored, as pcapng with nanoseconds.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
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

/// The graph's own stop flag stays unset: the source ends in order, with all that the kernel took before.
static NEVER: AtomicBool = AtomicBool::new(false);

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    arguments.steering.check_outputs(style)?;
    style.check_outputs([&arguments.scores, &arguments.record].into_iter().filter_map(Option::as_deref))?;
    let orders = arguments.is_steered().then(|| arguments.steering.orders()).transpose()?;
    let mut function = arguments.scoring.build(arguments.scoring.network()?, Content::Packets)?;
    let hold = orders.as_ref().and_then(|orders| orders.hold(&mut function));
    let interface = legonf_live::open(&arguments.config(hold))?;
    let stop = interrupt::install();
    // Before there are other threads, which would keep theirs.
    legonf_live::give_up_privileges()?;
    let mut agent = orders.map(|orders| arguments.steering.agent(orders, &mut function)).transpose()?;
    let purpose = arguments.purpose();
    let outputs = Outputs::create(&purpose, function.threshold, function.network.explainer())?;
    let bounds = Bounds { packets: arguments.packets, duration: arguments.duration };
    let mut source = LiveSource::new(interface, bounds, stop);
    let (losses, mut tally) = (source.losses(), Tally::new(None, Some(outputs)));

    let bar = Bar::live(style.quiet);
    let mut show = |_, packets| bar.update_live(packets, losses.total());
    let control = agent.as_mut().map(|agent| agent as &mut dyn Control);
    let ran = function.run(control, &mut source, &mut tally, &NEVER, &mut show);
    bar.clear();
    let (outcome, timing) = ran?;
    count(&losses, &mut tally);
    let ended = fault_after(&outcome);
    let mut summary = arguments.scoring.summary(arguments.interface.clone(), &function, &mut tally, &outcome);
    summary.ended_early = ended.clone();
    let coverage = tally.coverage().clone();
    let outputs =
        tally.outputs().map_or(Ok(Vec::new()), |o| o.finish(&coverage, features::with_clock(&outcome)))?;
    let (controller, incidents) = (agent.as_ref().map(Agent::ending), Incidents::of(&outcome));
    let report = Report { summary: &summary, timing, incidents, outputs, controller };
    arguments.print(&render(report, style)?)?;
    agent.map_or(Ok(()), |agent| arguments.conclude(agent, outcome.packets, style))?;
    ended.map_or(Ok(()), |reason| Err(Failure::Fault(reason)))
}

fn count(losses: &Losses, tally: &mut Tally<Outputs>) {
    for (reason, packets) in losses.by_reason() {
        tally.lose(reason, packets);
    }
}

impl Arguments {
    fn config(&self, hold: Option<Duration>) -> LiveConfig {
        LiveConfig {
            filter: self.filter.clone(),
            snaplen: self.snaplen,
            buffer: self.buffer,
            latency: Duration::from_millis(self.latency),
            hold,
            promiscuous: !self.no_promiscuous,
            ..LiveConfig::new(&*self.interface)
        }
    }

    /// Whether the controller is wanted.
    fn is_steered(&self) -> bool {
        self.controller || self.steering.is_given()
    }

    /// Writes what the controller has to say at the end.
    fn conclude(&self, mut agent: Agent, packets: u64, style: Style) -> Result<(), Failure> {
        let (graph, capture) = (self.scoring.graph_name(), self.interface.clone());
        let decided = self.steering.conclude(&mut agent, Work { graph, capture, packets })?;
        if style.quiet || style.json { Ok(()) } else { self.print(&decided) }
    }

    fn purpose(&self) -> Purpose<'_> {
        let (eve, rotate) = (self.eve.as_deref(), self.rotate);
        let rate = self.alerts.rate();
        Purpose { eve, rotate, rate, scores: self.scores.as_deref(), record: self.record.as_deref() }
    }

    /// Prints the summary where it is in no one's way.
    fn print(&self, text: &str) -> Result<(), Failure> {
        if self.purpose().takes_standard_output() {
            return Ok(std::io::stderr().write_all(printable(text).as_bytes())?);
        }
        crate::failure::print(text)
    }
}

/// A number of bytes with K, M or G behind it for powers of 1,024.
fn size(text: &str) -> Result<u64, String> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units.iter().find(|(letter, _)| text.to_ascii_uppercase().ends_with(*letter));
    let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "expected a size such as 500000, 64K, 32M or 1G".into())
}

/// Size of a ring, within what libpcap takes.
fn ring(text: &str) -> Result<u32, String> {
    let bytes = size(text)?;
    let bytes = u32::try_from(bytes).ok().filter(|bytes| (64 << 10..=1 << 30).contains(bytes));
    bytes.ok_or_else(|| "expected a size from 64K to 1G".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    seconds.filter(|time| !time.is_zero()).ok_or_else(|| "expected a number of seconds above 0".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("500", 500), ("64K", 65_536), ("32m", 32 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "K", "0", "-1", "1.5M", "64KB", "99999999999G", "1é"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!((ring("64K"), ring("1G")), (Ok(1 << 16), Ok(1 << 30)));
        assert!(ring("63K").is_err() && ring("2G").is_err());
    }

    #[test]
    fn durations_are_positive() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for text in ["0", "-1", "inf", "NaN", "1e300", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
