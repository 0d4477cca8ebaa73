//! `legonf live`: the packets of a network interface through the brick graph, as they come.

use crate::alerts::Alerts;
use crate::failure::Failure;
#[cfg(feature = "http")]
use crate::http::Http;
use crate::invalid::Invalid;
use crate::listening::Listening;
use crate::rotation::{Every, every, rotation};
use crate::scoring::{Scoring, render};
use crate::steering::{self, Steering};
use crate::{Style, interrupt};
use clap::{ArgGroup, Args};
use legonf_engine::arguments::time;
use legonf_engine::live::Forward;
use legonf_engine::{Live, Seed};
use legonf_io::sink::SyslogTarget;
use legonf_output::printable;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Scores the packets of a network interface as they come, until Ctrl-C, SIGTERM, --duration or
/// --limit; then sums up. Packets that the kernel or the interface lost are counted as dropped.
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
/// `legonf live -` takes a capture from standard input instead, as it comes:
///
///   ssh router tcpdump -U -w - | legonf live - --model m.onnx --eve eve.json
///
/// --record keeps what was seen: a replay of it with the same --slot-seed gives the same scores.
///
/// Outputs have their own names while they grow, and every batch is with the system when it is
/// scored: what was seen survives a `kill -9`. After a SIGHUP the run goes on in new files, as
/// logrotate expects. A full disk, and a socket or a named pipe whose reader is away or does not
/// keep up, cost what could not be written, which is counted, and not the run. An interface that
/// goes down is listened to again when it comes up; one that is removed ends the run.
///
/// Under systemd it says when it is ready, when it ends and, if asked, that it is alive
/// (Type=notify, WatchdogSec= of 3 s or more).
///
/// With --controller it runs as `legonf run` does (`legonf run --help` says what a policy is): the
/// controller finds the brick that is the bottleneck, replicates it, and merges it again when the
/// load has gone, with the same scores. What finds no room meanwhile is dropped, and counted.
#[derive(Args)]
#[command(verbatim_doc_comment)]
#[command(group = ArgGroup::new("alert outputs").args(ALERT_OUTPUTS).multiple(true))]
pub struct Arguments {
    /// `-`: take a capture from standard input, in place of an interface.
    #[arg(value_name = "-", value_parser = ["-"], required_unless_present = "interface", conflicts_with = "interface")]
    stream: Option<String>,
    /// Interface to listen on; `any` is all of them, `-` is a capture from standard input.
    #[arg(long, short, value_name = "IFACE")]
    interface: Option<String>,
    #[command(flatten)]
    scoring: Scoring,
    /// Alerts as they come, in Suricata's EVE JSON: a file, which is appended to, a named pipe, `-` for standard output (the
    /// summary then goes to standard error), or unix:PATH for a socket on which a reader listens. Up to 4 MiB are kept for a
    /// reader who is slow or away.
    #[arg(long, value_name = "FILE|-|unix:PATH")]
    eve: Option<OsString>,
    /// Begin a new --eve file before one exceeds this size (K, M, G), or at this age (30m, 1h, 1d); the full one becomes FILE.1, the
    /// one before it FILE.2, and so on.
    #[arg(long, value_name = "SIZE|TIME", requires = "eve", value_parser = every)]
    rotate: Option<Every>,
    /// Keep this many full --eve files, and remove those that are older.
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,
    /// Alerts as syslog messages (RFC 5424), each with the record of --eve as its text: to a socket of this machine, such as
    /// unix:/dev/log, or over UDP.
    #[arg(long, value_name = "unix:PATH|udp://HOST:PORT", value_parser = syslog)]
    syslog: Option<SyslogTarget>,
    /// Alerts as messages of a subject of NATS, each with a record of --eve: nats://HOST:PORT/SUBJECT, or tls://. A broker may come late, go
    /// and come again; up to 4 MiB are kept for it.
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "URL/SUBJECT", value_parser = nats)]
    nats: Option<legonf_io::sink::NatsTarget>,
    /// Write a record of the type `stats` as often as this (30s, 5m) where the alerts go: packets received, scored, rejected and
    /// dropped so far, by reason, and alerts.
    #[arg(long, value_name = "TIME", requires = "alert outputs", value_parser = interval)]
    stats: Option<Duration>,
    #[command(flatten)]
    alerts: Alerts,
    /// Score of every packet (CSV). A file of this name becomes FILE.1.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Every packet that was scored, as pcapng with nanoseconds, for its owner alone to read; where bricks rewrite packets, as they are
    /// then. A file of this name becomes FILE.1.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Send the packets of this port of the graph out of that interface, or nowhere (`none`). Each port of a graph that acts on
    /// packets needs one; any other graph has the port `out`, by which all leave as they came. What cannot be sent is counted as
    /// dropped.
    #[arg(long, value_name = "PORT=IFACE|none", value_parser = forward)]
    forward: Vec<Forward>,
    #[command(flatten)]
    listening: Listening,
    #[cfg(feature = "http")]
    #[command(flatten)]
    http: Http,
    /// Take orders on this Unix socket, for its owner alone: `legonf model swap` changes the model while packets flow.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Run under the controller; --policy, --costs, --costs-out and --events ask for it too.
    #[arg(long)]
    controller: bool,
    #[command(flatten)]
    steering: Steering,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_outputs(arguments.steering.given().outputs())?;
    style.check_results(arguments.scoring.outputs())?;
    let live = arguments.given()?;
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
    fn given(&self) -> Result<Live, Failure> {
        #[cfg(feature = "http")]
        let (monitor, connects) = (self.http.monitor()?, self.http.connects());
        #[cfg(not(feature = "http"))]
        let (monitor, connects) = (None, false);
        Ok(Live {
            config: self.listening.config(self.interface.as_deref().unwrap_or("-")),
            bounds: self.listening.bounds(),
            user: self.listening.user.clone(),
            scoring: self.scoring.given(Seed::Random),
            eve: self.eve.clone(),
            rotation: rotation(self.rotate, self.keep),
            syslog: self.syslog.clone(),
            #[cfg(feature = "nats")]
            nats: self.nats.clone(),
            stats: self.stats,
            alerts: self.alerts.rate(),
            watching: self.alerts.watching(),
            scores: self.scores.clone(),
            record: self.record.clone(),
            forward: self.forward.clone(),
            steering: (self.controller || self.steering.is_given()).then(|| self.steering.given()),
            monitor,
            connects,
            control: self.control.clone(),
            reopen: interrupt::hang_up(),
        })
    }
}

/// A port and its interface.
fn forward(text: &str) -> Result<Forward, Invalid> {
    let given = text.split_once('=').filter(|(port, interface)| !port.is_empty() && !interface.is_empty());
    let (port, interface) = given.ok_or(Invalid::Value("PORT=INTERFACE or PORT=none"))?;
    Ok(Forward { port: port.into(), interface: (interface != "none").then(|| interface.into()) })
}

/// Options that say where alerts go.
const ALERT_OUTPUTS: &[&str] = &[
    "eve",
    "syslog",
    #[cfg(feature = "nats")]
    "nats",
];

/// Where messages of NATS go.
#[cfg(feature = "nats")]
fn nats(text: &str) -> Result<legonf_io::sink::NatsTarget, Invalid> {
    legonf_io::sink::NatsTarget::parse(text)
        .ok_or(Invalid::Value("a broker and a subject, such as nats://127.0.0.1:4222/legonf.eve"))
}

/// Where syslog messages go.
fn syslog(text: &str) -> Result<SyslogTarget, Invalid> {
    SyslogTarget::parse(text).ok_or(Invalid::Value("unix:PATH or udp://HOST:PORT"))
}

/// A time of a second or more: the clock is looked at as often as that.
fn interval(text: &str) -> Result<Duration, Invalid> {
    let every = time(text)?;
    if every < Duration::from_secs(1) { Err(Invalid::Value("a time of 1 s or more")) } else { Ok(every) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_intervals_say_what_they_are() {
        assert_eq!(syslog("udp://h:514").unwrap().to_string(), "udp://h:514");
        assert!(syslog("h:514").unwrap_err().to_string().contains("udp://HOST:PORT"));
        assert_eq!(interval("30s").unwrap(), Duration::from_secs(30));
        assert!(interval("0.5").is_err() && interval("often").is_err());
    }
}
